"""The examples of docs/examples run against a real node, and what they push is there."""

import os
import shutil
import subprocess
import tempfile
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

    @staticmethod
    def why_no_node(modules):
        """./dev test, which tries to get them, leaves its reason beside the modules."""
        try:
            with open(os.path.join(os.path.dirname(modules), "why")) as file:
                return file.read().strip()
        except OSError:
            return "node with zeromq and @msgpack/msgpack is not here (CH_NODE_MODULES)"

    def test_node(self):
        """Modules are looked for beside the program and above: CH_NODE_MODULES says where ours are."""
        source = os.environ.get("CH_SOURCE_DIR", ".")
        folders = [os.environ.get("CH_NODE_MODULES", ""), os.path.join(EXAMPLES, "node_modules"),
                   os.path.join(source, "node_modules")]
        modules = [f for f in folders if os.path.isdir(os.path.join(f, "zeromq"))
                   and os.path.isdir(os.path.join(f, "@msgpack", "msgpack"))]
        if not shutil.which("node") or not modules:
            self.skipTest("the example for Node: " + self.why_no_node(folders[0]))
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(os.path.join(EXAMPLES, "producer.mjs"), folder)
            os.symlink(os.path.abspath(modules[0]), os.path.join(folder, "node_modules"))
            said = self.run_example("node", os.path.join(folder, "producer.mjs"))
        self.assertIn("durable: 1 rejects: 0", said)
        self.assertIs(self.ok("get", key='window.open{room="12"}')["value"], True)
        self.assertEqual(self.ok("get", key='lamp_watts{room="12"}')["value"], 7.5)
        self.assertEqual(self.ok("get", key='lamp_hours{room="12"}')["value"], 1200)


if __name__ == "__main__":
    unittest.main()
