"""The examples of docs/examples run against a real node, and what they push is there."""

import os
import subprocess
import unittest

from harness import BIN_DIR, NodeTest

EXAMPLES = os.path.join(os.environ.get("CH_SOURCE_DIR", "."), "docs", "examples")


class Examples(NodeTest):
    def run_example(self, *command):
        result = subprocess.run([*command, self.node.endpoints["ingest"],
                                 self.node.endpoints["query"]],
                                capture_output=True, text=True, timeout=60)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_python(self):
        self.assertIn("durable: 1 rejects: []",
                      self.run_example("/usr/bin/python3", os.path.join(EXAMPLES, "producer.py")))
        self.assertIs(self.ok("get", key='door.open{room="12"}')["value"], True)
        self.assertEqual(self.ok("get", key='cpu_system{host="a"}')["value"], 3.5)
        self.assertEqual(self.ok("get", key="ramp")["value"], 3)

    def test_c(self):
        self.assertEqual(self.run_example(os.path.join(BIN_DIR, "example_producer")), "durable\n")
        self.assertEqual(self.ok("get", key='greenhouse.temperature{bed="3"}')["value"], 21.0)
        self.assertIs(self.ok("get", key="door.open")["value"], True)


if __name__ == "__main__":
    unittest.main()
