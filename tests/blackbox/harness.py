"""Whole nodes for tests: start one in a temporary directory on ephemeral ports, talk to it, kill it.

Nothing here sleeps to wait: a start waits for the log line event=ready, a stop for the process, a
request for its reply; each with a timeout after which the test fails with the node's log.
"""

import os
import queue
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
import unittest

import msgpack
import zmq

BIN_DIR = os.environ.get("CH_BIN_DIR", os.path.join(os.path.dirname(__file__), "../../build/dev/bin"))
CITYHALL = os.path.join(BIN_DIR, "cityhall")
START_TIMEOUT_S = 60  # sanitizers and a busy machine
REPLY_TIMEOUT_MS = 30000


def sanitizer_bytes():
    """What a sanitizer may take beside the node: quarantine (twice over), shadow of what is used (the
    thread sanitizer's is four times that)."""
    with open(CITYHALL, "rb") as file:
        program = file.read()
    return 1 << 30 if b"__tsan_init" in program else 512 << 20 if b"__asan_init" in program else 0


def ext_i64(values):
    return msgpack.ExtType(1, struct.pack("<%dq" % len(values), *values))


def ext_f64(values):
    return msgpack.ExtType(2, struct.pack("<%dd" % len(values), *values))


def column(value):
    """A column of a reply as a list: ext 1 ints, ext 2 floats, or the array it is."""
    if isinstance(value, msgpack.ExtType):
        form = {1: "q", 2: "d"}[value.code]
        return list(struct.unpack("<%d%s" % (len(value.data) // 8, form), value.data))
    return value


def bits(value):
    """A value such that equal means same type and same bits (NaN, -0.0)."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    return (type(value).__name__, value)


def pack(message):
    return msgpack.packb(message, use_bin_type=True)


def unpack(frame):
    return msgpack.unpackb(frame, raw=False, strict_map_key=False)


class Log(threading.Thread):
    """Reads the node's stderr to its end; lines can be waited for."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream = stream
        self.lines = []
        self.fresh = queue.Queue()
        self.start()

    def run(self):
        for raw in self.stream:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(line)
            self.fresh.put(line)
        self.fresh.put(None)
        self.stream.close()

    def wait_for(self, pattern, timeout_s=START_TIMEOUT_S):
        """The next line that matches; None when the node ended first."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                line = self.fresh.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError("no line %r; log:\n%s" % (pattern, "\n".join(self.lines)))
            if line is None:
                self.fresh.put(None)
                return None
            if re.search(pattern, line):
                return line

    def text(self):
        return "\n".join(self.lines)


class Node:
    """One data directory and, while started, the process that serves it."""

    def __init__(self, data=None, settings=None, program=CITYHALL):
        self.root = None if data else tempfile.mkdtemp(prefix="cityhall-test-")
        self.data = data or os.path.join(self.root, "data")
        # A small memtable: memory is touched ahead for two of them, and tests look at the memory.
        self.settings = {"listen.ingest": "tcp://127.0.0.1:*", "listen.query": "tcp://127.0.0.1:*",
                         "engine.memtable_bytes": "8MiB"}
        self.settings.update(settings or {})
        self.program = program
        self.process = None
        self.log = None
        self.endpoints = {}

    def arguments(self):
        arguments = [self.program, "--data", self.data]
        for key, value in self.settings.items():
            arguments += ["--set", "%s=%s" % (key, value)]
        return arguments

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CITYHALL_")}
        self.process = subprocess.Popen(
            self.arguments(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
        )
        self.log = Log(self.process.stderr)
        if self.log.wait_for(r"event=ready") is None:
            raise AssertionError("the node ended at its start:\n" + self.log.text())
        with open(os.path.join(self.data, "endpoints")) as file:
            self.endpoints = dict(line.split() for line in file)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)
        self.log.join(timeout=30)

    def terminate(self, timeout_s=90):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=timeout_s)
        self.log.join(timeout=30)
        return code

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def rss_bytes(self):
        with open("/proc/%d/status" % self.process.pid) as file:
            for line in file:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def close(self):
        if self.alive():
            self.kill()
        elif self.process and self.process.returncode not in (0, 1, 74, -signal.SIGKILL):
            print("the node ended with %d:\n%s" % (self.process.returncode, self.log.text()))
        if self.root:
            shutil.rmtree(self.root, ignore_errors=True)


class Client:
    """Requests over a DEALER with the empty delimiter; replies are matched by id."""

    def __init__(self, context, endpoint, prepare=None):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        if prepare:
            prepare(self.socket)
        self.socket.connect(endpoint)
        self.next_id = 0

    def send(self, op, **fields):
        self.next_id += 1
        self.socket.send_multipart([b"", pack({"op": op, "id": self.next_id, **fields})])
        return self.next_id

    def send_frames(self, frames):
        self.socket.send_multipart(frames)

    def receive(self, timeout_ms=REPLY_TIMEOUT_MS):
        if not self.socket.poll(timeout_ms):
            raise AssertionError("no reply within %d ms" % timeout_ms)
        frames = self.socket.recv_multipart()
        assert len(frames) == 2 and frames[0] == b"", frames[:3]
        return unpack(frames[1])

    def request(self, op, **fields):
        wanted = self.send(op, **fields)
        while True:
            reply = self.receive(max(REPLY_TIMEOUT_MS, fields.get("timeout_ms", 0)))
            if reply.get("id") == wanted:
                return reply

    def close(self):
        self.socket.close(0)


class Producer:
    """A PUSH socket; `batch` adds the identity."""

    def __init__(self, context, endpoint, name=None, epoch=1, hwm=1000, prepare=None):
        self.socket = context.socket(zmq.PUSH)
        self.socket.linger = 0
        self.socket.sndhwm = hwm
        self.socket.sndtimeo = 30000
        if prepare:
            prepare(self.socket)
        self.socket.connect(endpoint)
        self.name = name
        self.epoch = epoch

    def push(self, **fields):
        self.socket.send(pack({"v": 1, **fields}))

    def batch(self, seq, **fields):
        self.push(producer=self.name, epoch=self.epoch, seq=seq, **fields)

    def raw(self, *frames):
        self.socket.send_multipart(list(frames))

    def close(self):
        self.socket.close(0)


class NodeTest(unittest.TestCase):
    """A test with one started node, a client and helpers."""

    settings = {}

    def setUp(self):
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)
        self.node = Node(settings=self.settings)
        self.addCleanup(self.node.close)
        self.node.start()
        self.client = self.connect()

    def connect(self):
        client = Client(self.context, self.node.endpoints["query"])
        self.addCleanup(client.close)
        return client

    def producer(self, name=None, epoch=1):
        producer = Producer(self.context, self.node.endpoints["ingest"], name, epoch)
        self.addCleanup(producer.close)
        return producer

    def restart(self):
        self.node.start()
        self.client.close()
        self.client = self.connect()

    def ok(self, op, **fields):
        reply = self.client.request(op, **fields)
        self.assertTrue(reply["ok"], reply)
        return reply

    def error(self, code, op, **fields):
        reply = self.client.request(op, **fields)
        self.assertFalse(reply["ok"], reply)
        self.assertEqual(reply["error"]["code"], code, reply)
        return reply

    def ack(self, producer, seq, wait_ms=20000, **fields):
        return self.ok(
            "ack", producer=producer.name, epoch=producer.epoch, seq=seq, wait_ms=wait_ms, **fields
        )

    def assert_durable(self, producer, seq):
        reply = self.ack(producer, seq)
        end = time.monotonic() + START_TIMEOUT_S
        while reply["state"] == "gap" and time.monotonic() < end:
            reply = self.ack(producer, seq)  # what closes the gap is on its way
        self.assertEqual(reply["state"], "ok", reply)
        return reply

    def read_all(self, match, **fields):
        """Every point that matches: {key tuple: [(time, value)]}, page by page."""
        found = {}
        cursor = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            reply = self.ok("read", match=match, **fields, **more)
            for labels, times, values in reply["series"]:
                key = tuple(sorted(labels.items()))
                found.setdefault(key, []).extend(zip(column(times), column(values)))
            cursor = reply.get("cursor")
            if cursor is None:
                return found


def key(name, **labels):
    return tuple(sorted({"__name__": name, **labels}.items()))
