"""chq, the agent and libcityhall with a node that asks for keys: who has one is served as without, who has none
or the wrong one is told what may be wrong."""

import os
import subprocess
import unittest

from harness import BIN_DIR, START_TIMEOUT_S
from test_security import KeyedNode, Pair, write_pair

CHQ = os.path.join(BIN_DIR, "chq")
AGENT = os.path.join(BIN_DIR, "cityhall-agent")


class Clients(KeyedNode):
    def setUp(self):
        super().setUp()
        self.add("both", "write,read")
        self.write_table()
        self.node.start()
        self.file = self.key_file_of("both", self.server.public)

    def key_file_of(self, name, server=None):
        path = os.path.join(self.folder, name + ".key")
        write_pair(path, self.pairs[name])
        if server:
            with open(path, "ab") as file:
                file.write(b"server %s\n" % server)
        return path

    def chq(self, *arguments, code=0, said=None, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CHQ_", "CITYHALL_"))}
        done = subprocess.run([CHQ, "--node", self.node.endpoints["query"],
                               "--ingest", self.node.endpoints["ingest"], *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                              env={**clean, **environment})
        self.assertEqual(done.returncode, code, done.stderr)
        if said:
            self.assertIn(said, done.stderr)
        self.assertNotIn(self.pairs["both"].secret.decode(), done.stderr + done.stdout)
        return done.stdout

    def test_chq_with_a_key_is_served_as_without(self):
        self.chq("put", "a", "21.5", "--key-file", self.file, "--timeout", "60s")
        self.assertEqual(self.chq("get", "a", "--key-file", self.file, "--timeout", "60s"), "21.5\n")
        self.assertEqual(self.chq("get", "a", CHQ_KEY_FILE=self.file), "21.5\n")
        bare = self.key_file_of("read")
        server = self.server.public.decode()
        self.assertEqual(self.chq("get", "a", "--key-file", bare, "--server-key", server), "21.5\n")
        self.assertEqual(self.chq("get", "a", CHQ_KEY_FILE=bare, CHQ_SERVER_KEY=server), "21.5\n")

    def test_chq_says_what_may_be_wrong(self):
        quick = ("--timeout", "500ms")
        self.chq("ping", *quick, code=3, said="does it ask for a key? (--key-file)")
        self.pairs["unknown"] = Pair()
        unknown = self.key_file_of("unknown", self.server.public)
        self.chq("ping", "--key-file", unknown, *quick, code=3, said="does it know this key?")
        self.chq("flush", "--key-file", self.file, code=4, said="forbidden")
        self.chq("ping", "--key-file", self.key_file_of("read"), code=2, said="the node's public key is needed")
        self.chq("ping", "--server-key", "x", code=2, said="server_key goes with key_file")
        self.chq("ping", "--key-file", self.file, "--server-key", "x", code=2, said="40 characters of Z85")
        os.chmod(self.file, 0o644)
        self.chq("ping", "--key-file", self.file, code=2, said="its mode 0644 lets others")
        self.chq("ping", "--key-file", self.folder, code=2, said="is a directory")
        mixed = Pair()
        mixed.public = self.pairs["both"].public
        self.pairs["mixed"] = mixed
        self.chq("ping", "--key-file", self.key_file_of("mixed", self.server.public), code=2,
                 said="public key is not that of its secret key")

    def test_an_agent_gets_in_when_its_key_does(self):
        self.pairs["agent"] = Pair()
        path = self.key_file_of("agent", self.server.public)
        agent = subprocess.Popen([AGENT, "--ingest", self.node.endpoints["ingest"],
                                  "--query", self.node.endpoints["query"], "--key-file", path,
                                  "--interval", "0.2", "--durable-count", "3"],
                                 stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        # both of its connections were refused, so both must be made anew
        self.wait_stat("auth.refused", 2)
        self.lines["agent"] = "write producer=agent"
        self.reload()
        _, said = agent.communicate(timeout=START_TIMEOUT_S)
        self.assertEqual(agent.returncode, 0, said)
        self.assertIn("agent", self.ok(self.client("read"), "producers")["producers"])


if __name__ == "__main__":
    unittest.main()
