"""The process stays within engine.memory_limit under a cardinality bomb: new series are refused by
name, old ones keep flowing, questions are answered, also after a kill."""

import unittest

from harness import NodeTest, sanitizer_bytes

T = 1_700_000_000_000_000_000
LIMIT = 160 << 20
ROWS = 2000


LABELS = ["cluster", "instance", "namespace", "pod"]


def bomb(seq):
    """Rows of a batch, each a label set of some 120 bytes that nobody has seen."""
    return [["eu-west-%d" % (i % 3), "10.0.%d.%d:9100" % (i % 99, i % 250), "team-%d" % (i % 40),
             "app-%d-%d-%040x" % (seq, i, seq * ROWS + i)] for i in range(ROWS)]


@unittest.skipIf(sanitizer_bytes() > 512 << 20, "the thread sanitizer's own memory, and its pace, say nothing of a budget")
class MemoryLimit(NodeTest):
    settings = {"engine.memory_limit": "160MiB", "engine.memtable_bytes": "8MiB",
                "limits.query_timeout": "3m"}  # sanitizers and a busy machine

    def stats(self):
        return self.ok("stats")["stats"]

    def push_bombs(self, producer, seqs):
        for seq in seqs:
            producer.batch(seq, tables=[{"name": "bomb", "labels": LABELS, "fields": ["value"], "rows": bomb(seq),
                                         "times": T + seq, "values": [[1] * ROWS]}])

    def old_series_flow(self, producer, seq):
        producer.batch(seq, points=[["old", T + seq, seq]])
        self.assert_durable(producer, seq)
        reply = self.ok("get", key="old")
        self.assertEqual(reply["value"], seq)

    def assert_within(self):
        rss = self.node.rss_bytes()
        self.most = max(self.most, rss)
        self.assertLess(rss, LIMIT + sanitizer_bytes(), "resident %d MiB, stats %r" % (rss >> 20, self.stats()))

    def refused(self, producer, seq):
        reply = self.ack(producer, seq)
        return [r for r in reply.get("rejects", []) if r["seq"] == seq]

    def test_a_cardinality_bomb_is_refused_by_name(self):
        old, bad = self.producer("old"), self.producer("bomb")
        self.most = 0
        self.old_series_flow(old, 1)
        first = None
        for seq in range(1, 400, 5):
            self.push_bombs(bad, range(seq, seq + 5))
            rejects = self.refused(bad, seq + 4)
            self.assert_within()
            if rejects:
                first = rejects[0]
                break
        self.assertIsNotNone(first, "800,000 series were taken: %r" % self.stats())
        self.assertEqual(first["code"], "limit")
        self.assertIn("engine.memory_limit=%d" % LIMIT, first["message"])
        series = self.stats()["engine.series"]
        self.assertGreater(series, 50000)
        self.push_bombs(bad, range(seq + 5, seq + 45))
        self.assertTrue(self.refused(bad, seq + 44))
        self.old_series_flow(old, 2)
        self.assert_within()
        after = self.stats()
        self.assertGreater(after["engine.series_refused"], 30)
        self.assertLess(after["engine.series"], series + ROWS * 5)
        self.ok("query", query="count(bomb_value)", time=T + 1, timeout_ms=180_000)
        self.assert_within()
        self.node.kill()
        self.restart()
        self.assertEqual(self.ok("get", key="old")["value"], 2)
        self.old_series_flow(self.producer("old"), 3)
        self.assert_within()
        print("at most %d of %d MiB resident, %d series" % (self.most >> 20, LIMIT >> 20, series))


if __name__ == "__main__":
    unittest.main()
