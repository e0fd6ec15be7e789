"""The benchmarks of whole nodes run: tiny data, no figures. And what they verify with can say no."""

import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

from harness import BIN_DIR, Node

SOURCE = os.environ.get("CH_SOURCE_DIR") or os.path.join(os.path.dirname(__file__), "../..")
LOAD = os.path.join(BIN_DIR, "devops_load")
TIMEOUT_S = 250


def run(*command):
    environment = {**os.environ, "CH_BIN_DIR": BIN_DIR}
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=TIMEOUT_S, universal_newlines=True)


class BenchTest(unittest.TestCase):
    def bench(self, name, *options):
        done = run(sys.executable, "-B", os.path.join(SOURCE, "bench", name + ".py"), "--quick", *options)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("|")]

    def test_ingest_measures_every_shape(self):
        rows = self.bench("ingest", "--no-victoria")
        self.assertEqual(rows[2:], ["series", "series-regular", "tables", "rows", "points"])

    def test_ingest_with_many_connections_loses_nothing(self):
        self.assertEqual(self.bench("ingest", "--many")[2:], ["40"])

    def test_acks_are_measured_beside_a_compaction(self):
        self.assertEqual(self.bench("compaction")[2:], ["alone", "while all is compacted", "alone again"])

    def test_what_curve_costs_is_measured_side_by_side(self):
        self.assertEqual(len(self.bench("security")), 3)

    def test_queries_are_answered_before_and_after_a_flush(self):
        rows = self.bench("query")
        self.assertEqual(len(rows) % 2, 0, rows)
        self.assertGreater(len(rows), 4, rows)
        self.assertEqual(rows[: len(rows) // 2], rows[len(rows) // 2 :])

    def test_a_killed_node_comes_back_with_what_it_acknowledged(self):
        self.assertEqual(self.bench("recovery")[2:], ["series", "tables", "rows", "points"])

    def test_the_engine_is_measured_beside_the_stores_that_are_built_in(self):
        rows = self.bench("engine")
        self.assertGreater(rows.count(""), 5, rows)
        self.assertIn("unsynced, M points/s", rows)
        self.assertIn("... as the load stood: s", rows)
        self.assertIn("series read whole, compacted: M points/s", rows)
        self.assertIn("write while everything is merged: p50 ms", rows)
        self.assertIn("devops data ten times over, other values: tables saved, %", rows)

    def test_a_healthy_producer_is_measured_beside_an_abuser(self):
        self.assertEqual(self.bench("abuse")[2:], ["flood of large batches"])

    def test_growth_is_drawn(self):
        with tempfile.TemporaryDirectory() as folder:
            rows = self.bench("engine", "growth", "--plots", folder)
            self.assertGreater(rows.count("cityhall"), 1, rows)
            self.assertEqual(rows.count("cityhall, compacted"), rows.count("cityhall"), rows)
            plots = sorted(os.listdir(folder))
            self.assertEqual(len(plots), 8, plots)
            for plot in plots:
                xml.etree.ElementTree.parse(os.path.join(folder, plot))


class StoreTest(unittest.TestCase):
    """What store_bench checks what it reads with can say no."""

    def test_other_data_and_missing_points_are_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data")
            self.assertEqual(self.store("insert", path, "50", "1").returncode, 0)
            self.assertEqual(self.store("read", path, "50", "1").returncode, 0)
            other = self.store("read", path, "50", "2")
            self.assertEqual(other.returncode, 1)
            self.assertIn("the sum is", other.stderr)
            more = self.store("read", path, "51", "1")
            self.assertEqual(more.returncode, 1)
            self.assertIn("is not whole", more.stderr)
            self.assertIn("the first answer is", self.store("start", path, "50", "3").stderr)

    @staticmethod
    def store(what, path, steps, seed):
        return run(os.path.join(BIN_DIR, "store_bench"), what, "cityhall", path, "--hosts", "4", "--steps", steps,
                   "--seed", seed)


class VerifyTest(unittest.TestCase):
    """devops_load verify against a node that holds 30 steps of 4 hosts."""

    def setUp(self):
        self.node = Node()
        self.addCleanup(self.node.close)
        self.node.start()
        done = self.load("push", "--ingest", self.node.endpoints["ingest"])
        self.assertEqual(done.returncode, 0, done.stderr)

    def load(self, what, *options):
        return run(LOAD, what, "--hosts", "4", "--steps", "30", "--shape", "rows", "--points", "100",
                   "--query", self.node.endpoints["query"], *options)

    def test_what_was_pushed_is_found(self):
        done = self.load("verify", "--acked", "6,6")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('"verified_points": 1200', done.stdout)

    def test_points_beyond_those_there_are_missed(self):
        done = self.load("verify", "--steps", "40", "--acked", "8,8")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("40 steps acknowledged, 30 there", done.stderr)

    def test_other_values_are_noticed(self):
        done = self.load("verify", "--seed", "2", "--acked", "6,6")
        self.assertEqual(done.returncode, 1, done.stdout)

    def test_points_that_nobody_pushed_are_noticed(self):
        done = self.load("verify", "--steps", "20", "--acked", "4,4")
        self.assertEqual(done.returncode, 1, done.stdout)


if __name__ == "__main__":
    unittest.main()
