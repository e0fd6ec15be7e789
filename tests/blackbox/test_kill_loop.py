"""Promises P1, P3 and P4 under SIGKILL.

A journal holds every batch that was sent. The node is killed at random instants under load and
started again on the same directory; then

P1  every batch that was acked durable is there, point by point;
P3  batches that were sent again, because nobody knows what the killed node had taken, have the
    effect of one: every attempt at a batch carries other values, all values of a batch come from
    one attempt, and they never change once seen durable; batches sent again long after their ack
    leave no trace;
P4  each batch writes the same values to two series: either all are there or none, also while the
    load goes on.

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
CHECK_EVERY = 25 if LONG else 5  # rounds; reading all content costs more than a round
WINDOW = 40  # batches in flight
POINTS = 3
POISON = 99  # the attempt of copies that are surely too late


class Journal:
    """What one producer has sent and what it was told, in the form of what must be found."""

    def __init__(self, name):
        self.name = name
        self.sent = 0  # highest seq that was ever pushed
        self.acked = 0  # highest seq that was told durable
        self.attempts = {}  # seq: the attempt that was seen durable

    def batch(self, seq, attempt):
        points = []
        for at, value in self.points(seq, attempt):
            points.append(["left_" + self.name, at, value])
            points.append(['right{producer="%s"}' % self.name, at, value])
        return {"points": points, "series": [["last_" + self.name, [T + seq], [float(seq)]]]}

    def points(self, seq, attempt):
        return [(T + seq * POINTS + i, seq * 1000 + attempt * 10 + i) for i in range(POINTS)]

    @staticmethod
    def attempt_of(value):
        return value // 10 % 100


class Load(threading.Thread):
    """Pushes a window of batches, asks for acks, sends again what is missing; until told to stop."""

    def __init__(self, node, journal, attempt):
        super().__init__(daemon=True)
        self.node, self.journal, self.attempt = node, journal, attempt
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
                push.batch(upto, **journal.batch(upto, self.attempt))
                journal.sent = max(journal.sent, upto)
            if journal.acked > 0:  # a late copy, and one from long ago
                for seq in (journal.acked, 1 + journal.acked // 2):
                    push.batch(seq, **journal.batch(seq, POISON))
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

    def assert_same(self, left, right, said):
        """Maps of many points: say the first differences, not all of them."""
        if left != right:
            keys = sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))
            self.fail("%s, at %r" % (said, [(k, left.get(k), right.get(k)) for k in keys[:5]]))

    def content(self, journal):
        """left, right and last, as maps of time to value."""
        names = ["left_" + journal.name, 'right{producer="%s"}' % journal.name, "last_" + journal.name]
        return [dict(point for points in self.read_all(name).values() for point in points) for name in names]

    def check_producer(self, journal, durable):
        """Everything up to `durable` is there, nothing beyond what was sent, every batch whole."""
        left, right, last = self.content(journal)
        self.assert_same(left, right, "P4: the two series of a batch differ")
        seen = sorted(int(value) for value in last.values())
        self.assertTrue(seen == list(range(1, len(seen) + 1)), "a later batch without an earlier one")
        self.assertGreaterEqual(len(seen), durable, "P1: acked batches are gone")
        self.assertLessEqual(len(seen), journal.sent)
        expected = {}
        for seq in seen:
            attempt = journal.attempt_of(left.get(T + seq * POINTS, 0))
            self.assertNotEqual(attempt, POISON, "P3: a batch sent again took effect again")
            self.assertEqual(journal.attempts.setdefault(seq, attempt), attempt, "P3: a batch changed")
            expected.update(journal.points(seq, attempt))
        self.assert_same(left, expected, "P4: a batch is there in part, or mixed from two attempts")
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
        recent = T + max(0, journal.acked - 1000) * POINTS
        reply = self.ok("read", match='{__name__=~"left_.*|right"}', start=recent)
        self.assertTrue("cursor" not in reply, "it does not fit one page")
        found = {}
        for labels, times, values in reply["series"]:
            name = labels.get("producer") or labels["__name__"][len("left_") :]
            found.setdefault(name, []).append(dict(zip(column(times), column(values))))
        for name, pair in found.items():
            self.assertEqual(len(pair), 2, name)
            self.assert_same(pair[0], pair[1], "P4 under load: the two series of a batch differ")
            self.assertEqual(len(pair[0]) % POINTS, 0)

    def test_acked_batches_survive_sigkill(self):
        rng = random.Random(SEED)
        journals = [Journal("p%d" % i) for i in range(2)]
        for kill in range(KILLS):
            loads = [Load(self.node, journal, 1 + kill % 90) for journal in journals]
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
            if kill % CHECK_EVERY == CHECK_EVERY - 1 or kill == KILLS - 1:
                self.check_all(journals)
            else:
                for journal in journals:
                    reply = self.ok("ack", producer=journal.name, epoch=1, seq=1, wait_ms=0)
                    self.assertGreaterEqual(reply["durable"], journal.acked)
        print("kills %d, acked batches %d" % (KILLS, sum(j.acked for j in journals)))
        self.assertGreater(sum(j.acked for j in journals), KILLS)


if __name__ == "__main__":
    unittest.main()
