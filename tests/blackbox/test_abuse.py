"""Promise P9 from outside: whatever one peer does, the others keep at least half of their rate, the node stays
within its memory limit and a tenth, and goes on when it is over. Nothing that was acknowledged is lost."""

import contextlib
import os
import resource
import threading
import unittest

import msgpack

import abuse
from harness import NodeTest, ext_f64, sanitizer_bytes

T = abuse.T
LONG = bool(os.environ.get("CH_TEST_LONG"))
SECONDS = 30 if LONG else 0.7  # of each measurement
RATE = 10  # healthy batches of 1,000 points a second
LIMIT_MIB = 256
FAT_POINTS = 450000


class PeakRss(threading.Thread):
    """The greatest resident size seen, 20 times a second."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.most, self.over = node, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.05):
            with contextlib.suppress(AssertionError, OSError):  # it is being killed
                self.most = max(self.most, self.node.rss_bytes())

    def close(self):
        self.over.set()
        self.join(timeout=10)


@unittest.skipIf(sanitizer_bytes() > 512 << 20, "the thread sanitizer's own memory, and its pace, say nothing of a budget")
class Abuse(NodeTest):
    settings = {"engine.memory_limit": "%dMiB" % LIMIT_MIB, "limits.query_timeout": "10s"}

    def setUp(self):
        super().setUp()
        self.rss = PeakRss(self.node)
        self.addCleanup(self.rss.close)
        # No memory cgroup is sure to be there: a node that took twice its memory would die of this.
        if not sanitizer_bytes():
            resource.prlimit(self.node.process.pid, resource.RLIMIT_DATA, ((2 * LIMIT_MIB + 256) << 20,) * 2)
        fat = self.producer("fat")
        for seq in range(1, 6):
            count = FAT_POINTS // 5
            fat.batch(seq, series=[["fat", {"start": T + seq * count, "step": 1}, ext_f64(range(count))]])
        self.assert_durable(fat, 5)
        self.healthy = abuse.HealthyProcess(self.node.endpoints, RATE)
        self.healthy.points(0.2)
        self.alone = self.healthy.points(SECONDS)

    def tearDown(self):
        """It goes on, and what was acknowledged is there."""
        self.assertTrue(self.connect().request("ping")["ok"])
        self.assertGreater(self.healthy.points(0.5), 0, "it does not go on")
        durable = self.healthy.close()
        self.node.kill()
        self.restart()
        reply = self.ok("query", query="count_over_time(healthy[30d])", time=T + 10**12, timeout_ms=10000)
        counts = [msgpack_f64(values)[0] for _, _, values in reply["result"]]
        self.assertEqual(len(counts), abuse.SERIES)
        self.assertGreaterEqual(min(counts), durable * abuse.POINTS)

    def judge(self, what):
        beside = 0
        for _ in range(4):  # whatever else this machine does: one good second shows that there is no starving
            beside = max(beside, self.healthy.points(SECONDS))
            if beside >= self.alone / 2:
                break
        print("%s: %d of %d points/s, peak RSS %d MiB" % (what, beside / SECONDS, self.alone / SECONDS,
                                                         self.rss.most >> 20))
        self.assertTrue(self.node.alive(), self.node.log.text())
        self.assertGreaterEqual(beside, self.alone / 2, what)
        self.assertLessEqual(self.rss.most, (LIMIT_MIB << 20) * 1.1 + sanitizer_bytes(), what)

    def test_a_cardinality_bomb(self):
        with abuse.CardinalityBomb(self.node.endpoints):
            self.healthy.points(60 if LONG else 1.5)
            self.judge("cardinality bomb")

    def test_a_flooding_producer(self):
        with abuse.Flood(self.node.endpoints):
            self.judge("flood")

    def test_a_slow_reader_of_a_gigabyte(self):
        with abuse.SlowReader(self.node.endpoints):
            self.judge("slow reader")

    def test_a_storm_of_queries(self):
        with abuse.QueryStorm(self.node.endpoints):
            self.judge("query storm")

    def test_messages_without_end(self):
        with abuse.Endless(self.node.endpoints):
            self.judge("endless messages")

    def test_five_thousand_idle_connections(self):
        with abuse.Idle(self.node.endpoints, 5000) as idle:
            print("%d connections" % len(idle.peers))
            self.judge("idle connections")
            self.assertEqual(self.ok("ping")["ok"], True)


def msgpack_f64(value):
    import struct
    assert isinstance(value, msgpack.ExtType) and value.code == 2, value
    return struct.unpack("<%dd" % (len(value.data) // 8), value.data)


if __name__ == "__main__":
    unittest.main()
