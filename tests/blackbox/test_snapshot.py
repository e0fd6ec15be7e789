"""Snapshots of a running node: made under load, killed in the middle, backed up, restored, served again."""

import json
import os
import random
import subprocess
import threading
import unittest

from harness import BIN_DIR, NodeTest, column

CHQ = os.path.join(BIN_DIR, "chq")
S = 1_000_000_000
SERIES = 7
ALL = '{__name__=~".+"}'


class SnapshotTest(NodeTest):
    settings = {"engine.memtable_bytes": "1MiB", "wal.segment_bytes": "1MiB"}

    def setUp(self):
        seed = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().getrandbits(32)))
        print("CH_TEST_SEED=%d" % seed)
        self.random = random.Random(seed)
        super().setUp()
        self.writer = self.producer("load")
        self.sent = 0

    def push(self):
        """Batch n puts n at n seconds into each series: one that is there in part is seen."""
        self.sent += 1
        self.writer.batch(self.sent, points=[["s%d" % i, self.sent * S, self.sent] for i in range(SERIES)])

    def store(self, batches):
        for _ in range(batches):
            self.push()
        self.assert_durable(self.writer, self.sent)
        return self.sent

    def chq(self, *arguments, code=0):
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"])
        result = subprocess.run([CHQ, *arguments], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, code, (arguments, result.stdout, result.stderr))
        return result.stdout

    def path(self, name):
        return os.path.join(self.node.data, "snapshots", name)

    def held(self, directory):
        """The last batch of a database at rest, after a look that it has all of every one up to there."""
        self.chq("verify", directory)
        batches = {}
        for line in self.chq("--data", directory, "export").splitlines():
            point = json.loads(line)
            batches.setdefault(point["value"], set()).add(point["series"])
        self.assertEqual(sorted(batches), list(range(1, len(batches) + 1)))
        self.assertTrue(all(len(series) == SERIES for series in batches.values()))
        return len(batches)

    def served(self):
        """The same of the running node."""
        reply = self.ok("read", match=ALL)
        columns = [column(values) for _, _, values in reply["series"]]
        self.assertEqual(len(columns), SERIES)
        self.assertTrue(all(values == list(range(1, len(values) + 1)) for values in columns))
        self.assertEqual(len({len(values) for values in columns}), 1)
        return len(columns[0])


class UnderLoad(SnapshotTest):
    def test_everything_acknowledged_before_is_in_it(self):
        self.store(50)
        stop = threading.Event()

        def load():
            while not stop.is_set() and self.sent < 20000:
                self.push()

        loader = threading.Thread(target=load)
        loader.start()
        self.addCleanup(stop.set)
        acked = {}
        for name in "abc":
            acked[name] = self.ack(self.writer, self.sent)["durable"]
            if name == "b":
                self.ok("flush", timeout_ms=60000)
            reply = self.ok("snapshot", name=name, timeout_ms=60000)
            self.assertEqual(reply["path"], self.path(name))
        stop.set()
        loader.join()
        last = self.store(1)
        held = {name: self.held(self.path(name)) for name in acked}
        for name, batches in held.items():
            self.assertGreaterEqual(batches, acked[name])
            self.assertLess(batches, last)
        self.ok("compact", timeout_ms=60000)  # removes the tables that the snapshots share
        for name, batches in held.items():
            self.assertEqual(self.held(self.path(name)), batches)
        self.assertEqual(self.served(), last)
        self.node.kill()
        self.restart()
        self.assertEqual(self.served(), last)

    def test_a_kill_in_the_middle_leaves_a_whole_one_or_none(self):
        whole = 0
        for turn in range(8):
            acked = self.store(20)
            if turn % 2:
                self.ok("flush", timeout_ms=60000)
            name = "turn%d" % turn
            self.client.send("snapshot", name=name, timeout_ms=60000)
            self.client.socket.poll(self.random.choice((0, 1, 1, 2, 3, 5, 1000)))
            self.node.kill()
            if os.path.exists(os.path.join(self.path(name), "manifest")):
                whole += 1
                self.assertEqual(self.held(self.path(name)), acked)
            self.restart()
            names = set(self.ok("snapshot")["snapshots"])
            self.assertEqual(len(names), whole)
            self.assertEqual(set(os.listdir(self.path(""))) if whole else names, names)
            self.writer = self.producer("load")

    def test_restored_into_a_new_directory_it_is_served(self):
        self.store(30)
        self.ok("flush", timeout_ms=60000)
        first = self.store(5)
        backups = [os.path.join(self.node.root, name) for name in ("monday", "tuesday")]
        self.chq("snapshot", "monday")
        self.chq("--data", self.path("monday"), "backup", backups[0])
        second = self.store(5)
        self.chq("snapshot", "tuesday")
        self.chq("snapshot", "monday", "--remove")
        self.chq("--data", self.path("tuesday"), "backup", backups[1], "--base", backups[0])
        self.store(5)
        self.assertEqual([self.held(backup) for backup in backups], [first, second])
        self.node.terminate()
        restored = os.path.join(self.node.root, "restored")
        self.chq("restore", backups[1], restored)
        self.node.data = restored
        self.restart()
        self.assertEqual(self.served(), second)
        self.sent = second  # the ledger is restored with the data: its producer goes on behind it
        self.writer = self.producer("load")
        self.assertEqual(self.store(3), self.served())


class Names(SnapshotTest):
    def test_listed_refused_and_removed(self):
        self.store(3)
        self.ok("flush")
        self.assertEqual(self.ok("snapshot")["snapshots"], {})
        reply = self.ok("snapshot", name="one.x_-1")
        self.assertEqual((reply["name"], reply["tables"]), ("one.x_-1", 1))
        self.assertGreaterEqual(reply["lsn"], 3)
        error = self.error("bad_request", "snapshot", name="one.x_-1")["error"]["message"]
        self.assertIn("remove that snapshot", error)
        listed = self.ok("snapshot")["snapshots"]
        self.assertEqual(list(listed), ["one.x_-1"])
        self.assertEqual((listed["one.x_-1"]["tables"], listed["one.x_-1"]["points"]), (1, 3 * SERIES))
        self.assertEqual(self.chq("snapshot").splitlines()[1].split(",")[0], "one.x_-1")
        for name in ("..", ".", "a/b", "/tmp/x", "a b", ".hidden", "x" * 65, "\u00e9", "a\0b", "sub/../../x"):
            message = self.error("bad_request", "snapshot", name=name)["error"]["message"]
            self.assertIn("a snapshot's name has letters", message)
            self.error("bad_request", "snapshot", name=name, remove=True)
        for name in ("", 7, b"bytes"):
            self.error("bad_request", "snapshot", name=name)
        self.error("bad_request", "snapshot", remove=True)
        self.error("not_found", "snapshot", name="two", remove=True)
        self.assertEqual(self.ok("snapshot", name="one.x_-1", remove=True)["name"], "one.x_-1")
        self.assertEqual(self.ok("snapshot")["snapshots"], {})
        self.assertEqual(os.listdir(self.path("")), [])
        self.assertEqual(self.served(), 3)


if __name__ == "__main__":
    unittest.main()
