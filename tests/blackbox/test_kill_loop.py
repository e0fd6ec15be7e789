"""Promises P1, P3 and P4 under SIGKILL.

A journal holds every batch that was sent. The node is killed at random instants under load and
started again on the same directory; then

P1  every batch that was acked durable is there, point by point;
P3  batches that were sent again, because nobody knows what the killed node had taken, have the
    effect of one;
P4  each batch writes the same stamp to two series and to a third that is read in the middle: either
    all are there or none, also while the load goes on.

CH_TEST_SEED replays the instants (not the schedule of the machine); CH_TEST_LONG=1 kills 500 times.
"""

import os
import random
import threading
import unittest

import zmq

from harness import Client, NodeTest, Producer, column, key

T = 1_700_000_000_000_000_000
SEED = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().randrange(2**32)))
LONG = os.environ.get("CH_TEST_LONG") == "1"
KILLS = 500 if LONG else 50
WINDOW = 40  # batches in flight
POINTS = 3


class Journal:
    """What one producer has sent and what it was told, in the form of what must be found."""

    def __init__(self, name):
        self.name = name
        self.sent = 0  # highest seq that was ever pushed
        self.acked = 0  # highest seq that was told durable

    def batch(self, seq):
        """The batch of a seq is always the same: a retry sends equal bytes."""
        stamp = seq * 1000
        points = []
        for i in range(POINTS):
            at = T + seq * POINTS + i
            points.append(["left_" + self.name, at, stamp + i])
            points.append(['right{producer="%s"}' % self.name, at, stamp + i])
        return {"points": points, "series": [["last_" + self.name, [T + seq], [float(seq)]]]}

    def points(self, seq):
        return [(T + seq * POINTS + i, seq * 1000 + i) for i in range(POINTS)]


class Load(threading.Thread):
    """Pushes a window of batches, asks for acks, sends again what is missing; until told to stop."""

    def __init__(self, node, journal):
        super().__init__(daemon=True)
        self.node, self.journal = node, journal
        self.stop = threading.Event()
        self.progressed = threading.Condition()
        self.failure = None

    def run(self):
        context = zmq.Context()
        push = Producer(context, self.node.endpoints["ingest"], self.journal.name)
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
        journal = self.journal
        upto = journal.acked  # pushed to this incarnation of the node; the rest is sent again
        while not self.stop.is_set():
            while upto < journal.acked + WINDOW:
                upto += 1
                push.batch(upto, **journal.batch(upto))
                journal.sent = max(journal.sent, upto)
            reply = self.ask(client, journal.acked + 1)
            if reply is None:
                return
            if reply["rejects"]:
                raise AssertionError("a good batch was rejected: %r" % reply)
            if reply["state"] not in ("ok", "gap", "pending", "unknown"):
                raise AssertionError("unexpected state: %r" % reply)
            with self.progressed:
                journal.acked = max(journal.acked, reply["durable"])
                self.progressed.notify_all()
            if reply["state"] != "ok":
                upto = max(journal.acked, reply["expected"] - 1)

    def ask(self, client, seq):
        """The ack's reply; None when the node is gone (or the test is over)."""
        wanted = client.send("ack", producer=self.journal.name, epoch=1, seq=seq, wait_ms=500)
        while not self.stop.is_set():
            if client.socket.poll(50):
                reply = client.receive()
                if reply["id"] == wanted:
                    return reply
        return None

    def wait_acked(self, count, timeout_s=60):
        """Wait until `count` batches are acked; False when the thread ended before."""
        with self.progressed:
            return self.progressed.wait_for(
                lambda: self.journal.acked >= count or self.failure or not self.is_alive(), timeout_s
            )


class KillLoop(NodeTest):
    # Small limits, so that kills also hit flushes, sealing and rotation.
    settings = {"wal.segment_max_age": "50ms", "engine.memtable_bytes": "1MiB"}

    def setUp(self):
        print("seed", SEED)
        super().setUp()

    def check_producer(self, journal, durable):
        """Everything up to `durable` is there, nothing beyond what was sent, every batch whole."""
        left = dict(self.read_all("left_" + journal.name).get(key("left_" + journal.name), []))
        series = key("right", producer=journal.name)
        right = dict(self.read_all('right{producer="%s"}' % journal.name).get(series, []))
        last = dict(self.read_all("last_" + journal.name).get(key("last_" + journal.name), []))
        self.assertEqual(left, right, "P4: the two series of a batch differ")
        seen = set(int(v) for v in last.values())
        expected = {}
        for seq in seen:
            expected.update(journal.points(seq))
        self.assertEqual(left, expected, "P4: a batch is there in part, or with other content")
        missing = [s for s in range(1, durable + 1) if s not in seen]
        self.assertEqual(missing, [], "P1: acked batches are gone")
        self.assertLessEqual(max(seen, default=0), journal.sent)
        self.assertEqual(sorted(seen), list(range(1, len(seen) + 1)), "a later batch without its earlier")
        return len(seen)

    def check_all(self, journals):
        for journal in journals:
            acked = journal.acked
            reply = self.ok("ack", producer=journal.name, epoch=1, seq=1, wait_ms=0)
            self.assertGreaterEqual(reply["durable"], acked, "P1: the session forgot acked batches")
            count = self.check_producer(journal, acked)
            self.assertEqual(count, reply["durable"], "session and content disagree")
            self.assertEqual(reply["rejects"], [])

    def check_while_running(self, journal):
        """P4 with the load on: two reads of one page are one state each; a batch is whole in it."""
        reply = self.ok("read", match='{__name__=~"left_.*|right"}', limit=1000000)
        self.assertNotIn("cursor", reply)
        found = {}
        for labels, times, values in reply["series"]:
            name = labels.get("producer") or labels["__name__"][len("left_") :]
            found.setdefault(name, []).append(dict(zip(column(times), column(values))))
        for name, pair in found.items():
            self.assertEqual(len(pair), 2, name)
            self.assertEqual(pair[0], pair[1], "P4 under load: %s" % name)
            self.assertEqual(len(pair[0]) % POINTS, 0)

    def test_acked_batches_survive_sigkill(self):
        rng = random.Random(SEED)
        journals = [Journal("p%d" % i) for i in range(2)]
        for kill in range(KILLS):
            loads = [Load(self.node, journal) for journal in journals]
            goals = [journal.acked + rng.randrange(0, 120) for journal in journals]
            for load in loads:
                load.start()
            for load, goal in zip(loads, goals):
                self.assertTrue(load.wait_acked(goal), "no progress: " + self.node.log.text()[-2000:])
            if rng.randrange(4) == 0:
                self.check_while_running(journals[0])
            if rng.randrange(8) == 0:
                self.client.send("flush")
            self.node.kill()
            for load in loads:
                load.stop.set()
            for load in loads:
                load.join(timeout=30)
                self.assertIsNone(load.failure, load.failure)
            self.restart()
            # Content every few rounds: reading all of it costs more than a round.
            if kill % 5 == 4 or kill == KILLS - 1:
                self.check_all(journals)
            else:
                for journal in journals:
                    reply = self.ok("ack", producer=journal.name, epoch=1, seq=1, wait_ms=0)
                    self.assertGreaterEqual(reply["durable"], journal.acked)
        print("kills %d, acked batches %d" % (KILLS, sum(j.acked for j in journals)))
        self.assertGreater(sum(j.acked for j in journals), KILLS)


if __name__ == "__main__":
    unittest.main()
