"""The program as operators meet it: options, exit codes, refusals to start, orderly stops."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from harness import CITYHALL, Node, NodeTest, key

T = 1_700_000_000_000_000_000


def run(*arguments, environment=None):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CITYHALL_")}
    clean.update(environment or {})
    return subprocess.run(
        [CITYHALL, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean,
    )


class Options(unittest.TestCase):
    def refused(self, said, *arguments, **more):
        result = run(*arguments, **more)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn(said, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)

    def file(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".ini")
        file.write(text)
        file.flush()
        self.addCleanup(file.close)
        return file.name

    def test_help_and_version_end_well(self):
        text = run("--help")
        self.assertEqual(text.returncode, 0)
        for word in ("--check-config", "wal.segment_bytes", "security.insecure", "Exit codes"):
            self.assertIn(word, text.stdout)
        version = run("--version")
        self.assertEqual(version.returncode, 0)
        self.assertRegex(version.stdout, r"^cityhall \d+\.\d+\.\d+\n$")

    def test_check_config_says_what_is_wrong_and_where(self):
        good = self.file("[query]\nworkers = 3\n")
        self.assertEqual(run("-c", good, "--check-config").returncode, 0)
        bad = self.file("[query]\n\nworkerz = 3\n")
        self.refused("%s:3: unknown key \"query.workerz\"; did you mean query.workers?" % bad,
                     "-c", bad, "--check-config")
        value = self.file("[wal]\nsegment_bytes = 5 elephants\n")
        self.refused("%s:2: wal.segment_bytes" % value, "-c", value)
        self.refused("cannot be read", "-c", "/nonexistent.ini")
        self.refused(":1: a zero byte", "-c", self.file("\0\1"))
        self.refused(":2: a zero byte", "-c", self.file("[query]\nworkers = 3\0\n"))
        reach = self.file("[listen]\ningest = tcp://0.0.0.0:7878\n")
        self.refused("%s:2: listen.ingest: tcp://0.0.0.0:7878 can be reached" % reach, "-c", reach)

    def test_unknown_options_get_a_suggestion(self):
        self.refused("did you mean --print-config?", "--prnt-config")
        self.refused("needs a value", "--set")
        self.refused("expected section.key=value", "--set", "query.workers")
        self.refused("did you mean query.workers?", "--set", "query.worker=1")

    def test_precedence_is_file_then_environment_then_set(self):
        name = self.file("[query]\nworkers = 3\n[limits]\nlabels = 5\n[log]\nlevel = warn\n")
        result = run("-c", name, "--set", "query.workers=7", "--print-config",
                     environment={"CITYHALL_QUERY_WORKERS": "6", "CITYHALL_LIMITS_LABELS": "9"})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("workers = 7", result.stdout)
        self.assertIn("labels = 9", result.stdout)
        self.assertIn("level = warn", result.stdout)
        self.assertIn("from: %s:6" % name, result.stdout)
        self.refused("did you mean CITYHALL_LISTEN_QUERY?", "--check-config",
                     environment={"CITYHALL_LISTEN_QUERRY": "x"})

    def test_only_loopback_unless_insecure(self):
        self.refused("security.insecure=true", "--set", "listen.ingest=tcp://0.0.0.0:7878")
        self.refused("security.insecure=true", "--set", "listen.query=tcp://*:7878")
        result = run("--set", "listen.query=tcp://*:7878", "--set", "security.insecure=true",
                     "--check-config")
        self.assertEqual(result.returncode, 0)


class Starts(unittest.TestCase):
    def node(self, **settings):
        node = Node(settings={k.replace("__", "."): v for k, v in settings.items()})
        self.addCleanup(node.close)
        return node

    def test_a_second_node_on_the_same_directory_is_refused(self):
        node = self.node().start()
        result = run("--data", node.data, "--set", "listen.ingest=tcp://127.0.0.1:*",
                     "--set", "listen.query=tcp://127.0.0.1:*")
        self.assertEqual(result.returncode, 1)
        errors = [l for l in result.stderr.splitlines() if "level=error" in l]
        self.assertEqual(len(errors), 1, result.stderr)
        self.assertIn("data directory %s is in use by another node" % node.data, errors[0])
        self.assertTrue(node.alive())

    def test_a_port_in_use_is_said_in_one_line(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for which in ("ingest", "query"):
                node = self.node()
                other = "query" if which == "ingest" else "ingest"
                result = run("--data", node.data,
                             "--set", "listen.%s=tcp://127.0.0.1:%d" % (which, port),
                             "--set", "listen.%s=tcp://127.0.0.1:*" % other)
                self.assertEqual(result.returncode, 1, result.stderr)
                errors = [l for l in result.stderr.splitlines() if "level=error" in l]
                self.assertEqual(len(errors), 1, result.stderr)
                self.assertIn("listen.%s: tcp://127.0.0.1:%d is in use" % (which, port), errors[0])

    def test_a_directory_that_cannot_be_made(self):
        result = run("--data", "/proc/nonexistent/data")
        self.assertEqual(result.returncode, 1)
        self.assertIn("/proc/nonexistent/data", result.stderr)

    def test_a_file_in_place_of_the_directory_is_said_in_one_line(self):
        with tempfile.NamedTemporaryFile() as file:
            result = run("--data", file.name)
            self.assertEqual(result.returncode, 1)
            errors = [l for l in result.stderr.splitlines() if "level=error" in l]
            self.assertEqual(len(errors), 1, result.stderr)
            self.assertIn('"%s is not a directory"' % file.name, errors[0])

    def test_insecure_is_logged_loudly(self):
        node = self.node(**{"listen__query": "tcp://0.0.0.0:*", "security__insecure": "true"})
        node.start()
        self.assertTrue([l for l in node.log.lines if "level=warn" in l and "insecure" in l])

    def test_the_log_names_what_listens_and_the_file_goes_at_exit(self):
        node = self.node().start()
        path = os.path.join(node.data, "endpoints")
        for name, endpoint in node.endpoints.items():
            self.assertIn("event=listening socket=%s endpoint=%s" % (name, endpoint), node.log.text())
            self.assertRegex(endpoint, r"^tcp://127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(set(node.endpoints), {"ingest", "query"})
        self.assertEqual(node.terminate(), 0)
        self.assertFalse(os.path.exists(path))

    def test_ipc_endpoints_work(self):
        node = self.node()
        node.settings["listen.ingest"] = "ipc://%s/ingest" % node.root
        node.settings["listen.query"] = "ipc://%s/query" % node.root
        node.start()
        self.assertEqual(node.terminate(), 0)


class Stops(NodeTest):
    def recovered(self):
        line = [l for l in self.node.log.lines if "module=engine" in l and "event=open" in l][-1]
        return int(re.search(r"replayed=(\d+)", line).group(1))

    def store(self, name, count=50):
        producer = self.producer(name)
        for seq in range(1, count + 1):
            producer.batch(seq, points=[["kept", T + seq, seq]])
        self.assert_durable(producer, count)

    def test_sigterm_seals_and_the_next_start_replays_nothing(self):
        self.store("s")
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        self.assertEqual(self.recovered(), 0)
        self.assertEqual(len(self.read_all("kept")[key("kept")]), 50)
        self.assertEqual(self.ack(self.producer("s"), 50)["state"], "ok")

    def test_sigint_is_the_same_and_a_kill_replays(self):
        self.store("s")
        self.node.kill()
        self.restart()
        self.assertEqual(self.recovered(), 50)
        self.node.process.send_signal(signal.SIGINT)
        self.assertEqual(self.node.process.wait(timeout=90), 0)
        self.restart()
        self.assertEqual(self.recovered(), 0)
        self.assertEqual(len(self.read_all("kept")[key("kept")]), 50)

    def test_refusals_and_sessions_survive_a_stop(self):
        producer = self.producer("r")
        producer.batch(1, points=[["bad{", T, 1]])
        producer.batch(2, points=[])
        self.assert_durable(producer, 2)
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        self.assertEqual(self.recovered(), 0)
        reply = self.ack(self.producer("r"), 2)
        self.assertEqual([r["seq"] for r in reply["rejects"]], [1])

    def test_who_waits_is_told_before_the_end(self):
        wanted = self.client.send("ack", producer="never", epoch=1, seq=1, wait_ms=600000)
        self.assertTrue(self.connect().request("ping")["ok"])
        self.node.process.send_signal(signal.SIGTERM)
        reply = self.client.receive()
        self.assertEqual((reply["id"], reply["state"]), (wanted, "unknown"))
        self.assertEqual(self.node.process.wait(timeout=90), 0)

    def test_a_second_signal_ends_at_once(self):
        """Replies that nobody reads keep the end waiting for a second: long enough to signal again. On a
        busy machine the moment may be missed; then the node has ended in order, and there is another."""
        producer = self.producer("fat")
        producer.batch(1, points=[["fat", T + i, "x" * 60000] for i in range(60)])
        self.assert_durable(producer, 1)
        for _ in range(10):
            code = self.signal_twice()
            if code != 0:
                break
            self.restart()
        self.assertEqual(code, 1)
        self.assertIn("second signal", self.node.log.text())

    def signal_twice(self):
        """The second at the very end; the exit code."""
        deaf = self.connect()
        deaf.socket.rcvhwm = 1
        for _ in range(10):
            deaf.send("read", match="fat")
        while self.ok("stats")["stats"].get("request.read.us", {"count": 0})["count"] < 10:
            pass
        self.node.process.send_signal(signal.SIGTERM)
        self.assertIsNotNone(self.node.log.wait_for("event=stopped"))
        self.node.process.send_signal(signal.SIGTERM)
        code = self.node.process.wait(timeout=90)
        self.node.log.join(timeout=30)
        return code

    def test_a_stop_under_load_keeps_what_was_acked(self):
        producer = self.producer("load")
        acked = 0
        for seq in range(1, 401):
            producer.batch(seq, points=[["load", T + seq, seq]])
            if seq % 100 == 0:
                acked = self.ack(producer, seq - 50, level="durable")["durable"]
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        reply = self.ack(self.producer("load"), 400, wait_ms=0)
        self.assertGreaterEqual(reply["durable"], acked)
        found = self.read_all("load")[key("load")]
        self.assertEqual(found, [(T + s, s) for s in range(1, reply["durable"] + 1)])


if __name__ == "__main__":
    unittest.main()
