"""Deletes through the sockets: gone in the very next answer, durable when answered, counted, once only
with an identity."""

import struct
import time
import unittest

from harness import NodeTest, key

S = 1_000_000_000
ALL = '{__name__=~".+"}'


class Deletes(NodeTest):
    def setUp(self):
        super().setUp()
        self.writer = self.producer("writer")
        self.seq = 0

    def store(self, **series):
        """Each series gets the given values, one a second from 1 s on."""
        self.seq += 1
        self.writer.batch(self.seq, points=[[name, (i + 1) * S, value]
                                            for name, values in series.items()
                                            for i, value in enumerate(values)])
        self.assert_durable(self.writer, self.seq)

    def names(self):
        return [labels["__name__"] for labels in self.ok("series", match=ALL)["series"]]

    def check(self, **series):
        """Every kind of answer agrees on what is left: {name: {second: value}}."""
        expected = {key(name): [(second * S, value) for second, value in sorted(points.items())]
                    for name, points in series.items() if points}
        self.assertEqual(self.read_all(ALL), expected)
        self.assertEqual(self.names(), sorted(name for name, points in series.items() if points))
        self.assertEqual(self.ok("label_values", label="__name__")["values"], self.names())
        for name, points in series.items():
            got = self.ok("get", key=name)
            self.assertEqual(got["found"], bool(points), name)
            if points:
                self.assertEqual((got["time"] // S, got["value"]), max(points.items()))
            reply = self.ok("query", query="sum_over_time(%s[1h])" % name, time=1000 * S)
            total = [float(sum(points.values()))] if points else []
            self.assertEqual(self.values(reply), total)

    @staticmethod
    def values(reply):
        return [struct.unpack("<d", values.data)[0] for _, _, values in reply["result"]]

    def test_gone_in_the_next_answer_and_after_a_kill(self):
        self.store(a=[1, 2, 3, 4], b=[5, 6, 7, 8], c=[9])
        reply = self.ok("delete", match="a", start=2 * S, end=4 * S)
        self.assertEqual((reply["points"], reply["series"]), (2, 1))
        left = {"a": {1: 1, 4: 4}, "b": {1: 5, 2: 6, 3: 7, 4: 8}, "c": {1: 9}}
        self.check(**left)
        reply = self.ok("delete", match='{__name__=~"b|c"}')
        self.assertEqual((reply["points"], reply["series"]), (5, 2))
        left["b"] = left["c"] = {}
        self.check(**left)
        self.node.kill()
        self.restart()
        self.check(**left)
        self.ok("flush")
        self.check(**left)
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        self.check(**left)

    def test_takes_from_tables_and_not_from_what_comes_later(self):
        self.store(a=[1, 2, 3], b=[4])
        self.ok("flush")
        self.assertEqual(self.ok("delete", match="a")["points"], 3)
        self.check(a={}, b={1: 4})
        self.store(a=[10, 20])
        self.check(a={1: 10, 2: 20}, b={1: 4})
        self.ok("flush")
        self.check(a={1: 10, 2: 20}, b={1: 4})
        self.node.kill()
        self.restart()
        self.check(a={1: 10, 2: 20}, b={1: 4})
        self.assertEqual(self.ok("delete", match="a", end=2 * S)["points"], 1)
        self.check(a={2: 20}, b={1: 4})

    def test_dry_run_counts_and_changes_nothing(self):
        self.store(a=[1, 2], b=["text"])
        reply = self.ok("delete", match=ALL, dry_run=True)
        self.assertEqual((reply["points"], reply["series"]), (3, 2))
        self.assertIn("a", self.names())
        reply = self.ok("delete", match="a", start=2 * S, dry_run=True)
        self.assertEqual((reply["points"], reply["series"]), (1, 1))

    def test_nothing_to_delete_is_quick(self):
        """Nobody waits for a tick of the ingest thread: the machine may be busy, not in all of 20 times."""
        self.store(a=[1])
        lsn = self.ok("ping")["lsn"]
        took = []
        for _ in range(20):
            began = time.monotonic()
            reply = self.ok("delete", match="nobody")
            took.append(time.monotonic() - began)
            self.assertEqual((reply["points"], reply["series"]), (0, 0))
        self.assertLess(min(took), 0.05)
        self.assertEqual(self.ok("ping")["lsn"], lsn)

    def test_bad_requests_say_what_is_wrong(self):
        self.error("bad_request", "delete")
        self.error("parse", "delete", match="{{")
        self.error("parse", "delete", match='{a=~".*"}')
        self.error("bad_request", "delete", match="a", producer="x")
        self.error("bad_request", "delete", match="a", producer="x", epoch=1, seq=0)

    def test_identity_takes_its_place_in_the_sequence(self):
        self.store(a=[1, 2], b=[3])
        who = {"producer": "writer", "epoch": 1}
        reply = self.error("stale", "delete", match="a", seq=9, **who)
        self.assertIn("gap", reply["error"]["message"])
        self.assertIn("2 comes next", reply["error"]["message"])
        self.error("parse", "delete", match="{{", seq=2, **who)  # consumes nothing
        self.assertEqual(self.ok("delete", match="a", seq=2, **who)["points"], 2)
        self.assertEqual(self.ack(self.writer, 2)["durable"], 2)
        self.seq = 2
        self.store(a=[7])
        reply = self.ok("delete", match="a", seq=2, **who)  # sent again: no further effect
        self.assertEqual((reply["points"], reply["series"]), (0, 0))
        self.check(a={1: 7}, b={1: 3})
        self.node.kill()
        self.restart()
        self.assertEqual(self.ok("delete", match="a", seq=2, **who)["points"], 0)
        self.check(a={1: 7}, b={1: 3})
        self.assertEqual(self.ok("delete", match="nobody", seq=4, **who)["points"], 0)
        self.assertEqual(self.ack(self.writer, 4)["durable"], 4)
        newer = {"producer": "writer", "epoch": 2}
        self.assertEqual(self.ok("delete", match="b", seq=1, **newer)["points"], 1)
        self.error("fenced", "delete", match="a", seq=5, **who)
        self.check(a={1: 7}, b={})


if __name__ == "__main__":
    unittest.main()
