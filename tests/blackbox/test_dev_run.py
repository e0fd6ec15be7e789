"""`./dev run`: shows what arrived, stops in order at Ctrl-C, keeps the data."""

import os
import signal
import subprocess
import tempfile
import unittest

from harness import BIN_DIR

SOURCE_DIR = os.path.abspath(os.environ.get("CH_SOURCE_DIR", "."))


class DevRun(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name

    def start(self, **more):
        """A group of its own, as a shell makes one for a command in a terminal."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("CITYHALL_", "CHQ_"))}
        process = subprocess.Popen(
            [os.path.join(SOURCE_DIR, "dev"), "run"], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=dict(clean, CH_BIN_DIR=os.path.abspath(BIN_DIR), CITYHALL_HOME=self.home,
                     CITYHALL_LISTEN_INGEST="tcp://127.0.0.1:*",
                     CITYHALL_LISTEN_QUERY="tcp://127.0.0.1:*",
                     CITYHALL_ENGINE_MEMTABLE_BYTES="8MiB", **more))
        self.addCleanup(process.stdout.close)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=60)

    def until(self, process, word):
        lines = []
        for line in process.stdout:
            lines.append(line)
            if word in line:
                return "".join(lines)
        self.fail("no line with %r:\n%s" % (word, "".join(lines)))

    def log(self):
        with open(os.path.join(self.home, "node.log")) as file:
            return file.read()

    def test_ctrl_c_stops_the_node_in_order_and_the_next_run_has_the_data(self):
        for turn in (1, 2):
            process = self.start()
            shown = self.until(process, "Ctrl-C here stops the node")
            for word in ("system.cpu.load ", "system.memory.used", "chq put greenhouse"):
                self.assertIn(word, shown)
            self.assertTrue(any("\u2800" < c <= "\u28ff" for c in shown))
            os.killpg(process.pid, signal.SIGINT)
            self.assertIn("stopping", process.stdout.read())
            self.assertEqual(process.wait(timeout=60), 0)
            log = self.log()
            self.assertIn("event=stopped code=0", log)
            self.assertNotIn("event=killed", log)
            if turn == 2:
                self.assertIn(" replayed=0 ", log)
                self.assertNotIn(" lsn=0 ", log)

    def test_a_second_one_says_that_the_data_directory_is_in_use(self):
        first = self.start()
        self.until(first, "the node is up")
        second = self.start()
        said = second.stdout.read()
        self.assertEqual(second.wait(timeout=60), 1)
        self.assertIn("the node did not start", said)
        self.assertRegex(said, "in use|locked")


if __name__ == "__main__":
    unittest.main()
