"""Promise P1 for deletes, under SIGKILL: what was answered stays deleted, and nothing else is gone.

One producer's sequence holds batches and deletes alike, so the state after each of its places is known: a walk
over a dictionary. The node is killed under load at random instants, with flushes and merges under way, and started
again on the same directory. Then its session says up to which place all is durable: no less than what was
answered; and every point of every series must be what the walk up to that place says.

CH_TEST_SEED replays batches, deletes and instants (not the schedule of the machine); CH_TEST_LONG=1 kills 300 times.
"""

import os
import random
import threading
import unittest

import zmq

from harness import Client, NodeTest, Producer, key

SEED = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().randrange(2**32)))
LONG = os.environ.get("CH_TEST_LONG") == "1"
KILLS = 300 if LONG else 15
SERIES = ["doomed_%d" % i for i in range(4)]
WINDOW = 30  # batches in flight
BACK = 60  # how far back batches write again and deletes reach


class Sequence:
    """Place n of the sequence is the same whenever it is asked for."""

    def __init__(self):
        self.state = {name: {} for name in SERIES}
        self.at = 0  # `state` is that after this place

    @staticmethod
    def place(seq):
        """("batch", points) or ("delete", selector, names, start, end)."""
        rng = random.Random("%d/%d" % (SEED, seq))
        if rng.randrange(9):
            points = [[name, at, seq] for name in SERIES
                      for at in {seq, max(1, seq - rng.randrange(BACK))}]
            return "batch", points
        start = max(0, seq - rng.randrange(BACK))
        end = start + rng.randrange(1, BACK)
        if rng.randrange(3) == 0:
            start = 0
        if rng.randrange(4) == 0:
            return "delete", '{__name__=~"doomed_.*"}', SERIES, start, end
        name = rng.choice(SERIES)
        return "delete", name, [name], start, end

    def walk_to(self, seq):
        while self.at < seq:
            self.at += 1
            kind, *what = self.place(self.at)
            if kind == "batch":
                for name, at, value in what[0]:
                    self.state[name][at] = value
            else:
                _, names, start, end = what
                for name in names:
                    self.state[name] = {at: value for at, value in self.state[name].items()
                                        if not start <= at < end}
        return {key(name): sorted(points.items()) for name, points in self.state.items() if points}


class Load(threading.Thread):
    """Goes through the sequence from the place that the node expects, until told to stop."""

    def __init__(self, node, acked):
        super().__init__(daemon=True)
        self.node, self.acked, self.deletes = node, acked, 0
        self.stop = threading.Event()
        self.progressed = threading.Condition()
        self.failure = None

    def run(self):
        context = zmq.Context()
        push = Producer(context, self.node.endpoints["ingest"], "doom")
        client = Client(context, self.node.endpoints["query"])
        try:
            self.drive(push, client)
        except Exception as failure:  # told to the test
            self.failure = failure
        finally:
            push.close()
            client.close()
            context.destroy(0)
            with self.progressed:
                self.progressed.notify_all()

    def drive(self, push, client):
        while not self.stop.is_set():
            seq = self.acked + 1
            while seq <= self.acked + WINDOW and Sequence.place(seq)[0] == "batch":
                push.batch(seq, points=Sequence.place(seq)[1])
                seq += 1
            if seq > self.acked + 1:
                reply = self.ask(client, "ack", seq=seq - 1, wait_ms=500)
            else:
                _, match, _, start, end = Sequence.place(seq)
                reply = self.ask(client, "delete", seq=seq, match=match, start=start, end=end)
            if reply is None:
                return
            assert reply["ok"], reply
            assert not reply.get("rejects"), reply
            with self.progressed:
                self.deletes += "points" in reply
                self.acked = max(self.acked, reply["durable"] if "durable" in reply else seq)
                self.progressed.notify_all()

    def ask(self, client, op, **fields):
        """The reply; None when the node is gone (or the test is over)."""
        wanted = client.send(op, producer="doom", epoch=1, **fields)
        while not self.stop.is_set():
            if client.socket.poll(50):
                reply = client.receive()
                if reply["id"] == wanted:
                    return reply
        return None

    def wait_acked(self, count, timeout_s=120):
        with self.progressed:
            return self.progressed.wait_for(
                lambda: self.acked >= count or self.failure or not self.is_alive(), timeout_s)


class KillDeletes(NodeTest):
    settings = {"wal.segment_max_age": "50ms", "engine.memtable_bytes": "1MiB"}

    def setUp(self):
        print("seed", SEED)
        super().setUp()

    def check(self, sequence, acked):
        durable = self.ok("ack", producer="doom", epoch=1, seq=1, wait_ms=0)["durable"]
        self.assertGreaterEqual(durable, acked, "the session forgot what was answered")
        expected, found = sequence.walk_to(durable), self.read_all('{__name__=~"doomed_.*"}')
        for name in map(key, SERIES):
            wanted, got = dict(expected.get(name, [])), dict(found.get(name, []))
            self.assertEqual({at: value for at, value in got.items() if at not in wanted}, {},
                             "deleted points are back at place %d" % durable)
            self.assertEqual({at: value for at, value in wanted.items() if got.get(at) != value}, {},
                             "points are gone, or older ones are back, at place %d" % durable)
        return durable

    def test_answered_deletes_survive_sigkill(self):
        rng = random.Random(SEED)
        sequence, acked, deletes = Sequence(), 0, 0
        for kill in range(KILLS):
            load = Load(self.node, acked)
            load.start()
            goals = sorted(acked + rng.randrange(1, 150) for _ in range(2))
            op = rng.choice(("flush", "flush and wait", "flush and wait", "compact", None))
            for goal in goals:
                self.assertTrue(load.wait_acked(goal), "no progress: " + self.node.log.text()[-2000:])
                if op == "flush and wait":  # what it took into a table leaves the log
                    self.ok("flush")
                elif op:
                    self.client.send(op)
                op = op if op == "flush and wait" else None
            self.node.kill()
            load.stop.set()
            load.join(timeout=60)
            self.assertIsNone(load.failure, load.failure)
            self.restart()
            acked = self.check(sequence, load.acked)
            deletes += load.deletes
        print("kills %d, places %d, deletes answered %d" % (KILLS, acked, deletes))
        self.assertGreater(deletes, KILLS // 2)


if __name__ == "__main__":
    unittest.main()
