"""Peers that take more than their share, and a healthy producer beside them: for tests/blackbox/test_abuse.py and
bench/abuse.py. Each abuser is a context manager: while it is open, it goes on.

Run as a program (`abuse.py healthy INGEST QUERY BATCHES_PER_SECOND`) it is the healthy producer, in a process of its
own so that the abusers' interpreter does not hold it up: for each line SECONDS on stdin it prints how many points
became durable meanwhile. 0 batches a second: as many as are acknowledged.
"""

import collections
import contextlib
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time

import msgpack
import zmq

T = 1_700_000_000_000_000_000
SERIES, POINTS = 10, 100  # of a healthy batch
WINDOW = 64  # batches that are not durable yet


def pack(message):
    return msgpack.packb(message, use_bin_type=True)


# ---- the healthy one


class Healthy:
    """Pushes paced batches, sends again from `expected` after a gap, counts what is durable."""

    def __init__(self, ingest, query, rate):
        context = zmq.Context()
        self.push, self.ask = context.socket(zmq.PUSH), context.socket(zmq.DEALER)
        for one in (self.push, self.ask):
            one.linger = 0
        self.push.sndhwm = 16
        self.push.connect(ingest)
        self.ask.connect(query)
        self.rate, self.began = rate, time.monotonic()
        self.seq = self.durable = 0
        self.unacked, self.again = collections.OrderedDict(), collections.deque()
        self.asked_at = None

    def frame(self, seq):
        times = {"start": T + seq * POINTS, "step": 1}
        values = msgpack.ExtType(1, struct.pack("<%dq" % POINTS, *range(seq, seq + POINTS)))
        return pack({"producer": "healthy", "epoch": 1, "seq": seq,
                     "series": [['healthy{n="%d"}' % n, times, values] for n in range(SERIES)]})

    def due(self):
        if len(self.unacked) >= WINDOW:
            return False
        return not self.rate or self.seq < (time.monotonic() - self.began) * self.rate

    def send(self):
        """One frame, if one is due and the socket takes it."""
        if not self.again and self.due():
            self.seq += 1
            self.unacked[self.seq] = self.frame(self.seq)
            self.again.append(self.seq)
        while self.again and self.again[0] not in self.unacked:
            self.again.popleft()
        if not self.again:
            return False
        try:
            self.push.send(self.unacked[self.again[0]], zmq.DONTWAIT)
        except zmq.Again:
            return False
        self.again.popleft()
        return True

    def ask_ack(self):
        self.asked_at = self.seq
        self.ask.send_multipart([b"", pack({"op": "ack", "producer": "healthy", "epoch": 1, "seq": self.seq,
                                            "wait_ms": 100})])

    def take_ack(self):
        reply = msgpack.unpackb(self.ask.recv_multipart()[1], raw=False)
        self.asked_at = None
        if not reply["ok"]:
            raise SystemExit("ack: %r" % reply)
        self.durable = max(self.durable, reply["durable"])
        while self.unacked and next(iter(self.unacked)) <= self.durable:
            self.unacked.popitem(last=False)
        if reply["state"] == "gap":
            self.again = collections.deque(s for s in self.unacked if s >= reply["expected"])

    def step(self):
        sent = self.send()
        if self.asked_at is None and self.unacked:
            self.ask_ack()
        if self.ask.poll(0 if sent else 2):
            self.take_ack()

    def measure(self, seconds):
        begin, end = self.durable, time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
        return (self.durable - begin) * SERIES * POINTS

    def serve(self):
        """Go on while nothing is measured."""
        stop = threading.Event()
        wanted = collections.deque()

        def read():
            for line in sys.stdin:
                wanted.append(float(line))
            stop.set()

        threading.Thread(target=read, daemon=True).start()
        while not stop.is_set():
            if wanted:
                print(self.measure(wanted.popleft()), flush=True)
            self.step()
        print(self.durable, flush=True)


class HealthyProcess:
    """The same, started and asked."""

    def __init__(self, endpoints, rate):
        self.process = subprocess.Popen(
            [sys.executable, "-B", os.path.abspath(__file__), "healthy", endpoints["ingest"], endpoints["query"],
             str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def points(self, seconds):
        """Points that became durable within so many seconds from now."""
        self.process.stdin.write("%g\n" % seconds)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the healthy producer ended")
        return int(line)

    def close(self):
        """The last batch that is durable, and with it all before."""
        rest, _ = self.process.communicate(timeout=60)
        return int(rest.split()[-1]) if rest.split() else 0


# ---- the others


class Going:
    """Calls step() in a thread until the end."""

    def __init__(self, endpoints):
        self.endpoints, self.over, self.steps = endpoints, threading.Event(), 0
        self.context = zmq.Context()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def socket(self, kind, name, hwm=4):
        made = self.context.socket(kind)
        made.linger, made.sndhwm, made.rcvhwm = 0, hwm, hwm
        made.sndtimeo = 100
        made.connect(self.endpoints[name])
        return made

    def open(self):
        pass

    def step(self):
        raise NotImplementedError

    def close(self):
        pass

    def run(self):
        self.open()
        while not self.over.is_set():
            with contextlib.suppress(zmq.Again):
                self.step()
                self.steps += 1
        self.close()
        self.context.destroy(0)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(timeout=60)


class CardinalityBomb(Going):
    """Label sets that nobody has seen, as many as go through."""

    rows = 2000
    labels = ["cluster", "instance", "namespace", "pod"]

    def open(self):
        self.push = self.socket(zmq.PUSH, "ingest")

    def step(self):
        base = self.steps * self.rows
        rows = [["eu-west-%d" % (i % 3), "10.0.%d.%d:9100" % (i % 99, i % 250), "team-%d" % (i % 40),
                 "app-%d-%d-%040x" % (self.steps, i, base + i)] for i in range(self.rows)]
        self.push.send(pack({"tables": [{"name": "bomb", "labels": self.labels, "fields": ["v"], "rows": rows,
                                         "times": T, "values": [[1] * self.rows]}]}))


class Flood(Going):
    """Large batches, as fast as the node takes them."""

    def open(self):
        self.push = self.socket(zmq.PUSH, "ingest")
        values = msgpack.ExtType(2, struct.pack("<2000d", *range(2000)))
        self.frame = pack({"series": [['flood{n="%d"}' % n, {"start": T, "step": 1}, values] for n in range(20)]})

    def step(self):
        self.push.send(self.frame)


class SlowReader(Going):
    """Asks for a gigabyte and reads none of it."""

    match, wanted_bytes = "fat", 1 << 30

    def open(self):
        self.ask = self.socket(zmq.DEALER, "query", hwm=1000)
        self.ask.rcvhwm = 1
        self.asked = 0

    def step(self):
        if self.asked * 7_000_000 < self.wanted_bytes:
            self.ask.send_multipart([b"", pack({"op": "read", "match": self.match})])
            self.asked += 1
        else:
            self.over.wait(0.05)


class QueryStorm(Going):
    """Questions over everything, many at once; the answers are read."""

    queries = ["sum by (n) (stddev_over_time(fat[30d]))", "avg_over_time(fat[30d])", "max(stddev_over_time(healthy[30d]))"]
    at_once = 32

    def open(self):
        self.asks = [self.socket(zmq.DEALER, "query", hwm=1000) for _ in range(4)]
        for ask in self.asks:
            for n in range(self.at_once):
                self.send(ask, n)

    def send(self, ask, n):
        ask.send_multipart([b"", pack({"op": "query", "query": self.queries[n % len(self.queries)],
                                       "time": T + 10**12})])

    def step(self):
        for ask in self.asks:
            while ask.poll(5):
                ask.recv_multipart()
                self.send(ask, self.steps)
                self.steps += 1


def connect(endpoint):
    host, port = endpoint[len("tcp://"):].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=30)


def greet(peer, kind):
    """ZMTP 3.0, NULL: from here on any frames may follow."""
    peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    return peer


class Endless(Going):
    """Messages of frames without a last one, from connection after connection."""

    frame = b"\x03" + struct.pack(">Q", 1000000) + bytes(1000000)  # "more", long

    def open(self):
        self.peers = [None, None]

    def close(self):
        for peer in self.peers:
            if peer is not None:
                peer.close()

    def step(self):
        for at, (name, kind) in enumerate((("ingest", b"PUSH"), ("query", b"DEALER"))):
            try:
                if self.peers[at] is None:
                    self.peers[at] = greet(connect(self.endpoints[name]), kind)
                    self.peers[at].settimeout(0.2)
                self.peers[at].sendall(self.frame)
            except OSError:
                if self.peers[at] is not None:
                    self.peers[at].close()
                self.peers[at] = None


class Idle:
    """Connections that say hello and nothing more."""

    def __init__(self, endpoints, count):
        self.endpoints, self.count, self.peers = endpoints, count, []

    @staticmethod
    def most():
        """How many this process can have."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard - 256

    def __enter__(self):
        kinds = (("ingest", b"PUSH"), ("query", b"DEALER"))
        for n in range(min(self.count, self.most())):
            name, kind = kinds[n % 2]
            try:
                self.peers.append(connect(self.endpoints[name]))
                greet(self.peers[-1], kind)
            except OSError:
                break  # the node takes no more
        return self

    def __exit__(self, *_):
        for peer in self.peers:
            peer.close()


def main():
    if len(sys.argv) != 5 or sys.argv[1] != "healthy":
        raise SystemExit(__doc__)
    Healthy(sys.argv[2], sys.argv[3], float(sys.argv[4])).serve()


if __name__ == "__main__":
    main()
