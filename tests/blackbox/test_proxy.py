"""Promise P3 on a bad network: between producer and node messages are lost, repeated, delayed and overtaken,
and connections are cut in the middle of a frame. Every batch has the effect of one, and none is missing.

Batch n writes n to `left` and `right` at time n, and to `newest` at time 0: a batch applied twice counts too
many points, and one applied again after a later one turns `newest` back. The Python producer also
gives every attempt at a batch other values, so that a mixture would show.

CH_TEST_SEED replays the fates of messages (not the schedule of the machine); CH_TEST_LONG=1 sends more.
"""

import os
import random
import subprocess
import time
import unittest

import zmq

from harness import BIN_DIR, Client, NodeTest, Producer, key
from proxy import Proxy

SEED = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().randrange(2**32)))
LONG = os.environ.get("CH_TEST_LONG") == "1"
BATCHES = 4000 if LONG else 250
WINDOW = 32
ANSWER_MS = 200  # a question unanswered so long is asked anew
RESEND_S = 0.2
LIMIT_S = 120
ATTEMPTS = 1000  # value of batch n, attempt a: n * ATTEMPTS + a


class BadNetwork(NodeTest):
    def setUp(self):
        print("seed", SEED)
        super().setUp()
        self.proxies = [Proxy(self.node.endpoints[name], SEED + i)
                        for i, name in enumerate(("ingest", "query"))]
        for proxy in self.proxies:
            self.addCleanup(proxy.close)

    def check(self, name, scale):
        """All batches are there, whole, each with the effect of one. A value is n * scale + attempt."""
        left, right, newest = (dict(self.read_all("%s_%s" % (kind, name))[key("%s_%s" % (kind, name))])
                               for kind in ("left", "right", "newest"))
        self.assertEqual({n: value // scale for n, value in left.items()},
                         {n: n for n in range(1, BATCHES + 1)})
        self.assertEqual(left, right, "a batch is there in part, or mixed from two attempts")
        self.assertEqual(newest, {0: left[BATCHES]}, "an earlier batch took effect after a later one")
        self.assertEqual(self.ok("stats")["stats"]["engine.points"], 3 * BATCHES, "a batch counts twice")

    def check_network(self, name):
        """It was a bad network, and the node met what it does."""
        for proxy in self.proxies:
            print(proxy.done)
        for fate in ("lose", "repeat", "late", "copy_late", "cut"):
            self.assertGreater(self.proxies[0].done[fate], 0, fate)
        ledger = self.ok("producers")["producers"][name]
        self.assertGreater(ledger["gaps"], 0)
        self.assertGreater(ledger["duplicates"], 0)
        self.assertEqual((ledger["durable"], ledger["rejected"]), (BATCHES, 0))

    def test_libcityhall_delivers_each_batch_once(self):
        done = subprocess.run([os.path.join(BIN_DIR, "pusher"), *(p.endpoint for p in self.proxies), "c",
                               str(BATCHES), str(LIMIT_S)], capture_output=True, text=True,
                              timeout=LIMIT_S + 30)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        result = dict(pair.split("=") for pair in done.stdout.split())
        print(done.stdout.strip())
        self.assertEqual((int(result["durable"]), int(result["sessions_lost"])), (BATCHES, 0))
        self.assertGreater(int(result["resent"]), 0)
        self.check("c", scale=1)
        self.check_network("c")

    def test_a_producer_written_from_the_protocol_does_too(self):
        context = zmq.Context()
        self.addCleanup(context.destroy, 0)
        producer = GoBackN(context, *(p.endpoint for p in self.proxies))
        self.addCleanup(producer.close)
        producer.deliver(BATCHES)
        self.check("py", scale=ATTEMPTS)
        self.check_network("py")


class GoBackN:
    """A producer as docs/protocol.md describes it, in its simplest form."""

    def __init__(self, context, ingest, query):
        self.context, self.query = context, query
        self.push = Producer(context, ingest, "py")
        self.push.socket.reconnect_ivl = 10
        self.client = Client(context, query)
        self.attempts = {}

    def send(self, seq):
        attempt = self.attempts[seq] = self.attempts.get(seq, 0) + 1
        value = seq * ATTEMPTS + attempt % ATTEMPTS
        self.push.batch(seq, points=[["left_py", seq, value], ["newest_py", 0, value],
                                     ["right_py", seq, value]])

    def ask(self, seq):
        """The ack's reply; None when none came (Lazy Pirate: the socket is thrown away)."""
        wanted = self.client.send("ack", producer="py", epoch=1, seq=seq, wait_ms=ANSWER_MS // 2)
        while self.client.socket.poll(ANSWER_MS):
            reply = self.client.receive()
            if reply["id"] == wanted:
                return reply
        number = self.client.next_id
        self.client.close()
        self.client = Client(self.context, self.query)
        self.client.next_id = number
        return None

    def deliver(self, count):
        end = time.monotonic() + LIMIT_S
        acked = sent = 0
        resent_for, resent_at = 0, time.monotonic()
        while acked < count:
            assert time.monotonic() < end, "only %d batches were acked" % acked
            while sent < min(count, acked + WINDOW):
                sent += 1
                self.send(sent)
            reply = self.ask(min(count, acked + 1))
            if reply is None:
                continue
            assert reply["ok"] and reply["state"] in ("ok", "gap", "pending", "unknown"), reply
            assert not reply["rejects"], reply
            assert reply["durable"] >= acked, "an acked batch is gone: %r" % reply
            acked = reply["durable"]
            fresh_gap = reply["state"] == "gap" and resent_for != reply["expected"]
            waited = time.monotonic() - resent_at > RESEND_S  # what was sent again may be lost too
            if reply["state"] != "ok" and (fresh_gap or waited):
                resent_for, resent_at = reply["expected"], time.monotonic()
                sent = reply["expected"] - 1

    def close(self):
        self.push.close()
        self.client.close()


if __name__ == "__main__":
    unittest.main()
