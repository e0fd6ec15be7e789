"""Each limit of docs/limits.md is reached: the peer sees what the page says, and the figure moves."""

import socket
import time
import unittest

import zmq

from harness import Client, Node, NodeTest, ext_i64

T = 1_700_000_000_000_000_000
HARD = 480


class Limits(NodeTest):
    settings = {"limits.batch_bytes": "64KiB", "limits.batch_points": "500", "limits.key_bytes": "100",
                "limits.labels": "3", "limits.producer_series": "20", "limits.series": "60", "limits.producers": "6",
                "limits.query_samples": "2000", "limits.query_memory": "1MiB", "limits.query_timeout": "20s",
                "limits.reply_bytes": "1MiB", "limits.connections": "64"}

    def stat(self, name):
        return self.ok("stats")["stats"][name]

    def rejected(self, producer, seq):
        return [r for r in self.assert_durable(producer, seq)["rejects"] if r["seq"] == seq][0]

    def test_the_limits_themselves_are_figures(self):
        stats = self.ok("stats")["stats"]
        for name, wanted in (("batch_bytes", 64 << 10), ("batch_points", 500), ("key_bytes", 100), ("labels", 3),
                             ("producer_series", 20), ("series", 60), ("producers", 6), ("query_samples", 2000),
                             ("query_memory", 1 << 20), ("query_timeout", 20000), ("reply_bytes", 1 << 20),
                             ("connections", 64), ("request_bytes", 1 << 20)):
            self.assertEqual(stats["limits." + name], wanted, name)
        self.assertEqual(stats["connections.limit"], 64)

    def test_of_a_batch(self):
        producer = self.producer("p")
        deep = 1
        for _ in range(12):
            deep = [deep]
        bad = [({"points": [["m", T, "x" * 60000]] * 2}, "limits.batch_bytes"),
               ({"series": [["m", {"start": T, "step": 1}, [1] * 501]]}, "500 points"),
               ({"points": [["k" * 101, T, 1]]}, "longer than 100 bytes"),
               ({"points": [['m{a="1",b="2",c="3",d="4"}', T, 1]]}, "more than 3 labels"),
               ({"points": [], "more": deep}, "nested deeper")]
        for seq, (batch, words) in enumerate(bad, 1):
            producer.batch(seq, **batch)
            reject = self.rejected(producer, seq)
            self.assertEqual(reject["code"], "limit", reject)
            if not words.startswith("limits."):
                self.assertIn(words, reject["message"])
        self.assertEqual(self.stat("ingest.rejected_limit"), len(bad))

    def test_of_series(self):
        """A producer's own, those without identity together, and the node's."""
        first, second = self.producer("first"), self.producer("second")
        first.batch(1, points=[["a%d" % i, T, 1] for i in range(20)])
        self.assert_durable(first, 1)
        first.batch(2, points=[["a0", T + 1, 1], ["b", T, 1]])
        reject = self.rejected(first, 2)
        self.assertEqual((reject["code"], reject["index"]), ("limit", 1))
        self.assertIn("limits.producer_series", reject["message"])
        first.batch(3, points=[["a0", T + 1, 1]])  # what is there goes on
        self.assertEqual([r["seq"] for r in self.assert_durable(first, 3)["rejects"]], [2])
        second.batch(1, points=[["b%d" % i, T, 1] for i in range(20)])
        self.assertEqual(self.assert_durable(second, 1)["rejects"], [])
        nameless = self.producer()
        for i in range(25):
            nameless.push(points=[["c%d" % i, T, 1]])
        third = self.producer("third")
        for seq in range(1, 22):  # 20 of c, 20 of d: the node's 60 come first or just then
            third.batch(seq, points=[["d%d" % seq, T, 1]])
        self.assertEqual(self.rejected(third, 21)["code"], "limit")
        self.assertLessEqual(self.stat("engine.series"), 60)
        self.assertGreaterEqual(self.stat("engine.producer_series_refused"), 1)
        self.assertGreaterEqual(self.stat("engine.series_refused"), 2)

    def test_of_producers(self):
        for n in range(6):
            producer = self.producer("p%d" % n)
            producer.batch(1, points=[["m", T, 1]])
            self.assert_durable(producer, 1)
        stranger = self.producer("stranger")
        stranger.batch(1, points=[["m", T + 1, 1]])
        while self.stat("engine.producers_refused") == 0:
            self.ok("ack", producer="nobody", epoch=1, seq=1, wait_ms=10)
        reply = self.ack(stranger, 1, wait_ms=0)
        self.assertEqual(reply["state"], "unknown")
        self.assertIn("limits.producers", reply["reason"])
        self.assertEqual(self.stat("engine.producers"), 6)

    def test_of_queries(self):
        producer = self.producer("p")
        for seq in range(1, 6):
            producer.batch(seq, series=[["m", {"start": T + seq * 500, "step": 1}, ext_i64(range(500))]])
        self.assert_durable(producer, 5)
        before = self.stat("query.limit")
        error = self.error("limit", "query", query="stddev_over_time(m[1h])", time=T + 10**6)["error"]
        self.assertIn("2000 points", error["message"])
        producer.batch(6, points=[["few", T, 1]])
        self.assert_durable(producer, 6)
        error = self.error("limit", "query", query="sum(few)", start=T, end=T + 60000, step=1)["error"]
        self.assertIn("limits.query_memory", error["message"])
        error = self.error("limit", "query", query="m", start=T, end=T + 10**6, step=1)["error"]
        self.assertIn("steps", error["message"])
        regex = "(x+x+)+[yz]"  # no letter that must be there saves it
        deep = {"a": "x" * 60}
        producer.batch(7, points=[[dict(deep, __name__="r"), T, 1]])
        self.assert_durable(producer, 7)
        error = self.error("limit", "read", match='r{a=~"%s"}' % regex)["error"]
        self.assertIn("too many steps", error["message"])
        self.assertGreaterEqual(self.stat("index.regex_given_up"), 1)
        self.error("timeout", "query", query="m", time=T, timeout_ms=0)
        self.assertEqual(self.stat("query.limit") - before, 4)
        self.assertGreaterEqual(self.stat("query.timeout"), 1)

    def test_of_requests_that_wait(self):
        """Workers are busy, and what waits for them is bounded in bytes."""
        producer = self.producer("p")
        producer.batch(1, series=[["m", {"start": T, "step": 1}, ext_i64(range(500))]])
        self.assert_durable(producer, 1)
        slow, large = self.connect(), self.connect()
        for _ in range(100):
            slow.send("query", query="sum(stddev_over_time(m[1h]))", start=T + 1000, end=T + 11000, step=1)
        self.ok("ping")
        for _ in range(100):
            large.send("series", match="m", pad=bytes(1000000))
        replies = [large.receive() for _ in range(100)]
        refused = [reply["error"] for reply in replies if not reply["ok"]]
        self.assertTrue(refused, "100 MB waited")
        self.assertLessEqual({error["code"] for error in refused}, {"limit", "timeout"}, refused)  # a slow machine
        limited = [error for error in refused if error["code"] == "limit"]
        self.assertTrue(limited, "100 MB waited")
        self.assertIn("wait for a worker", limited[0]["message"])
        for _ in range(100):
            reply = slow.receive()
            self.assertTrue(reply["ok"] or reply["error"]["code"] == "timeout", reply)  # a slow machine
        self.assertGreaterEqual(self.stat("query.limit"), len(limited))

    def connect_idle(self, name="query"):
        host, port = self.node.endpoints[name][len("tcp://"):].rsplit(":", 1)
        return socket.create_connection((host, int(port)), timeout=1)

    def test_of_connections(self):
        """At the limit who comes waits outside; who is there is served; when some leave, others come in."""
        producer = self.producer("p")
        producer.batch(1, points=[["m", T, 1]])
        self.assert_durable(producer, 1)
        idle = []
        with self.assertRaises(OSError):
            for _ in range(5000):
                idle.append(self.connect_idle())
        self.assertTrue(self.ok("ping"))
        producer.batch(2, points=[["m", T, 2]])
        self.assert_durable(producer, 2)
        stats = self.ok("stats")["stats"]
        self.assertLessEqual(stats["connections.open"], 64)
        self.assertEqual(stats["connections.refusing"], 1)
        self.assertGreaterEqual(stats["connections.refusals"], 1)
        self.assertIsNotNone(self.node.log.wait_for("event=connections_full"))
        for one in idle:
            one.close()
        end = time.monotonic() + 30
        while self.stat("connections.refusing") and time.monotonic() < end:
            self.ok("ack", producer="nobody", epoch=1, seq=1, wait_ms=20)
        self.assertTrue(self.connect().request("ping")["ok"])


class Descriptors(unittest.TestCase):
    def test_files_open_when_connections_have_taken_the_rest(self):
        """The reserve (how files come by it: tests/unit/test_fs.c), and connections stay below what sockets have."""
        node = Node(settings={"limits.connections": "100000"})
        arguments = node.arguments()
        node.arguments = lambda: ["prlimit", "--nofile=%d:%d" % (HARD, HARD)] + arguments
        self.addCleanup(node.close)
        node.start()
        client = Client(zmq.Context.instance(), node.endpoints["query"])
        self.addCleanup(client.close)
        most = client.request("stats")["stats"]["connections.limit"]
        self.assertGreater(most, 100)
        self.assertLess(most, HARD - HARD // 8 - 128)
        with open("/proc/%d/limits" % node.process.pid) as file:
            line = [each for each in file if each.startswith("Max open files")][0].split()
        self.assertEqual((int(line[3]), int(line[4])), (HARD - HARD // 8, HARD))
        self.assertEqual(node.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
