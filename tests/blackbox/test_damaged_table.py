"""A node with a damaged table: it starts, says so, answers what it can, and is never silent about the rest."""

import os
import subprocess
import unittest
from pathlib import Path

from harness import BIN_DIR, NodeTest, column

CHQ = os.path.join(BIN_DIR, "chq")
S = 1_000_000_000


class DamagedTable(NodeTest):
    settings = {"engine.compaction": "false"}

    def setUp(self):
        super().setUp()
        writer = self.producer("w")
        for seq, start in enumerate((0, 100, 200), 1):  # a table each
            writer.batch(seq, points=[["a", (start + i) * S, start + i] for i in range(50)])
            self.assert_durable(writer, seq)
            self.ok("flush")
        self.assertEqual(self.node.terminate(), 0)
        self.table = sorted(Path(self.node.data).glob("sst/*.sst"))[1]
        self.whole = self.table.read_bytes()

    def check(self):
        """What a node says whose second table cannot be read at all."""
        self.node.start()
        self.client.close()
        self.client = self.connect()
        lines = [line for line in self.node.log.lines if "event=table_damaged" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn(self.table.name, lines[0])
        self.assertIn("from=1970-01-01T00:01:40Z to=1970-01-01T00:02:29Z", lines[0])
        for start in (0, 200):
            reply = self.ok("read", match="a", start=start * S, end=(start + 50) * S)
            self.assertEqual(column(reply["series"][0][2]), list(range(start, start + 50)))
        reply = self.ok("query", query="sum_over_time(a[50s])", time=249 * S)
        self.assertEqual(len(reply["result"]), 1)
        self.assertEqual(self.ok("get", key="a")["value"], 249)
        for request in ({"op": "read", "match": "a"}, {"op": "get", "key": "a", "time": 120 * S},
                        {"op": "query", "query": "sum_over_time(a[50s])", "time": 149 * S},
                        {"op": "query", "query": "a", "start": 90 * S, "end": 200 * S, "step": 10 * S},
                        {"op": "read", "match": "nobody", "start": 100 * S, "end": 150 * S},
                        {"op": "get", "key": "nobody"}):
            message = self.error("corrupt", **request)["error"]["message"]
            self.assertIn(self.table.name, message)
        for op, more in (("labels", {}), ("label_values", {"label": "__name__"}), ("series", {"match": "a"})):
            reply = self.ok(op, **more)
            self.assertEqual(len(reply.get("values", reply.get("series"))), 1)
            self.assertIn(self.table.name, reply["warnings"][0])
        self.assertEqual(self.ok("stats")["stats"]["sst.damaged"], 1)
        self.ok("compact", timeout_ms=60000)
        self.assertEqual(self.node.terminate(), 0)
        arguments = [CHQ, "--data", self.node.data, "read", "a"]
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 6, result)
        self.assertIn(self.table.name, result.stderr)
        result = subprocess.run(arguments + ["--end", "50"], capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(len(result.stdout.splitlines()), 51)

    def heal(self):
        self.table.write_bytes(self.whole)
        self.node.start()
        self.client.close()
        self.client = self.connect()
        self.assertNotIn("table_damaged", self.node.log.text())
        reply = self.ok("read", match="a")
        self.assertEqual(column(reply["series"][0][2]), [s + i for s in (0, 100, 200) for i in range(50)])

    def test_a_footer_that_cannot_be_read(self):
        self.table.write_bytes(self.whole[:-20] + bytes(20))
        self.check()
        self.assertEqual(self.table.read_bytes(), self.whole[:-20] + bytes(20))
        self.heal()

    def test_a_file_that_is_gone(self):
        self.table.unlink()
        self.check()
        self.heal()


if __name__ == "__main__":
    unittest.main()
