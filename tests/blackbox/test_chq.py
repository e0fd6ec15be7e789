"""chq as a person uses it, against a real node."""

import glob
import json
import os
import signal
import struct
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from harness import BIN_DIR, NodeTest

CHQ = os.path.join(BIN_DIR, "chq")
SHARED = os.environ.get("CH_SHARED_DATA") or os.path.join(
    os.environ.get("CH_SOURCE_DIR", "."), "..", "shared", "data")


class ChqTest(NodeTest):
    def chq(self, *arguments, text=None, code=0):
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"],
                           CHQ_INGEST=self.node.endpoints["ingest"])
        if code not in (2, 3):  # a disk that is busy with something else takes its time
            arguments += "--timeout", "60s"
        result = subprocess.run([CHQ, *arguments], env=environment, input=text,
                                capture_output=True, text=True, timeout=90)
        self.assertEqual(result.returncode, code, (arguments, result.stdout, result.stderr))
        return result

    def out(self, *arguments, **more):
        return self.chq(*arguments, **more).stdout


class WithoutANode(ChqTest):
    """The data directory read after the node stopped."""

    LINES = ["%s" % json.dumps(line) for line in (
        {"key": 'a{x="1"}', "time": 1, "value": 1}, {"key": 'a{x="1"}', "time": 2, "value": -7},
        {"key": "b", "time": 1, "value": 2.0}, {"key": "b", "time": 2, "value": 0.1},
        {"key": "b", "time": 3, "value": "NaN", "type": "float"},
        {"key": "b", "time": 4, "value": "-Inf", "type": "float"},
        {"key": "c", "time": 1, "value": "NaN"}, {"key": "c", "time": 2, "value": True},
        {"key": "c", "time": 3, "value": "x \"y\" \u00e9\n"}, {"key": "c", "time": 4, "value": 3})]

    def setUp(self):
        super().setUp()
        self.chq("write", "--format", "ndjson", text="\n".join(self.LINES) + "\n")

    def tree(self):
        return {path: (path.stat().st_mtime_ns, path.read_bytes())
                for path in sorted(Path(self.node.data).rglob("*")) if path.is_file()}

    def test_answers_are_the_nodes_and_nothing_changes(self):
        asked = (("read", '{__name__=~"a|b"}'), ("query", "sum_over_time(a[1h])", "--time", "3"),
                 ("query", "a", "--start", "1", "--end", "3", "--step", "1s"), ("export",))
        answers = [self.out(*question) for question in asked]
        self.chq("--data", self.node.data, "read", "a", code=5)
        self.node.kill()
        before = self.tree()
        for question, answer in zip(asked, answers):
            self.assertTrue(answer)
            self.assertEqual(self.out("--data", self.node.data, *question), answer)
        self.assertEqual(self.chq("verify", self.node.data).stdout.count("damaged"), 0)
        self.assertEqual(self.tree(), before)

    def test_export_is_taken_back_as_it_was(self):
        first = self.out("export")
        self.assertEqual(len(first.splitlines()), len(self.LINES))
        self.node.close()
        self.node = type(self.node)()
        self.addCleanup(self.node.close)
        self.node.start()
        self.chq("write", "--format", "ndjson", text=first)
        self.assertEqual(self.out("export"), first)

    def test_verify_names_what_is_damaged(self):
        self.chq("flush")
        self.node.terminate()
        table = next(Path(self.node.data).glob("sst/*.sst"))
        content = bytearray(table.read_bytes())
        content[len(content) // 3] ^= 1
        table.write_bytes(content)
        result = self.chq("--data", self.node.data, "verify", code=6)
        self.assertIn(table.name, result.stdout)
        self.assertIn("bytes", result.stdout)

    def test_backup_and_restore_hold_what_was_there(self):
        answer = self.out("export")
        self.chq("flush")
        self.node.terminate()
        first, second, restored = (os.path.join(self.node.root, name) for name in "abc")
        self.chq("--data", self.node.data, "backup", first)
        said = self.chq("--data", self.node.data, "backup", second, "--base", first).stderr
        self.assertIn("1 tables (1 of them linked)", said)
        self.chq("restore", second, restored)
        self.assertEqual(self.out("--data", restored, "export"), answer)
        self.assertIn("is a database already", self.chq("restore", first, restored, code=5).stderr)
        self.node.data = restored
        self.restart()
        self.assertEqual(self.out("export"), answer)

    def test_what_is_no_data_directory_is_said(self):
        self.assertIn("no data directory", self.chq("verify", "/proc", code=5).stderr)
        self.assertIn("no data directory", self.chq("--data", "/nowhere", "read", "a", code=5).stderr)
        self.assertIn("--data goes with", self.chq("--data", "/nowhere", "put", "a", "1", code=2).stderr)


class Values(ChqTest):
    def test_put_is_read_back_as_people_expect(self):
        for given, expected in (("0.75", "0.75"), ("42", "42"), ("true", "true"), ("a b", "a b")):
            self.chq("put", "some.key", given)
            self.assertEqual(self.out("get", "some.key"), expected + "\n")
        self.chq("put", 'k{b="2",a="1"}', "7", "--time", "2020-01-01T00:00:00Z")
        self.assertEqual(self.out("get", 'k{a="1",b="2"}', "--full", "-o", "csv"),
                         "time,value\n2020-01-01T00:00:00Z,7\n")

    def test_delete_counts_and_asks_only_a_person(self):
        for second in "123":
            self.chq("put", "d", second, "--time", second)
        self.assertEqual(self.out("delete", "d", "--dry-run", "--end", "3"), "points,series\n2,1\n")
        self.assertEqual(self.out("delete", "d", "--end", "3"), "points,series\n2,1\n")
        self.assertEqual(self.out("read", "d"), "time,series,value\n1970-01-01T00:00:03Z,d,3\n")
        self.assertEqual(self.on_a_terminal("delete", "d", answer=b"n\n"), 1)
        self.assertEqual(self.out("get", "d"), "3\n")
        self.assertEqual(self.on_a_terminal("delete", "d", answer=b"y\n"), 0)
        self.chq("get", "d", code=1)
        self.assertEqual(self.out("delete", "d", "--yes", code=1), "points,series\n0,0\n")
        self.assertIn("selector", self.chq("delete", "{{", code=4).stderr)
        self.chq("delete", code=2)

    def on_a_terminal(self, *arguments, answer):
        """Run chq with a terminal as its standard input; its exit code."""
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"])
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen([CHQ, *arguments], env=environment, stdin=theirs,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.close(theirs)
        os.write(ours, answer)
        _, words = process.communicate(timeout=60)
        self.assertIn(b"delete 1 points of 1 series? [y/N]", words)
        return process.returncode

    def test_missing_key_exits_1(self):
        result = self.chq("get", "no.such.key", code=1)
        self.assertEqual(result.stdout, "")
        self.assertIn("no.such.key", result.stderr)

    def test_formats(self):
        self.chq("put", "f", "1.0", "--type", "float", "--time", "1")
        row = {"time": "1970-01-01T00:00:01Z", "series": "f", "value": 1.0}
        self.assertEqual(json.loads(self.out("read", "f", "-o", "json")), [row])
        self.assertEqual(json.loads(self.out("read", "f", "-o", "ndjson")), row)
        self.assertEqual(self.out("read", "f"), "time,series,value\n1970-01-01T00:00:01Z,f,1.0\n")
        self.assertIn("series", self.out("read", "f", "-o", "table").splitlines()[0])

    def test_get_prints_the_value_alone_unless_a_format_is_asked_for(self):
        self.chq("put", "k", "1.5", "--time", "1")
        self.assertEqual(self.out("get", "k"), "1.5\n")
        self.assertEqual(self.out("get", "k", "-o", "csv"), "time,value\n1970-01-01T00:00:01Z,1.5\n")

    def test_any_bytes_of_a_string_come_out(self):
        producer = self.producer("any", 1)
        producer.batch(1, points=[["s", 10**9, b"a\x00\xff\n\x1b[31m,\xc3\xa9"]])
        self.assert_durable(producer, 1)
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"])
        raw = lambda *a: subprocess.run([CHQ, *a], env=environment, capture_output=True).stdout
        self.assertEqual(raw("get", "s"), b"a\x00\xff\n\x1b[31m,\xc3\xa9\n")
        self.assertEqual(raw("read", "s"), b"time,series,value\n1970-01-01T00:00:01Z,s,"
                         b'"a\x00\xff\n\x1b[31m,\xc3\xa9"\n')
        self.assertEqual(json.loads(raw("read", "s", "-o", "json"))[0]["value"],
                         "a\x00\ufffd\n\x1b[31m,\u00e9")
        self.assertNotIn(b"\x1b", raw("read", "s", "-o", "table"))

    def test_a_refused_question_prints_no_data(self):
        for arguments in (["series", "{"], ["ls", "{"], ["labels", "--match", "{"], ["read", "{"],
                          ["query", "sum("]):
            for form in ("csv", "json"):
                result = self.chq(*arguments, "-o", form, code=4)
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, r"\Achq: parse: [^\n]*\n\Z")
                self.assertNotIn("parse: parse", result.stderr)

    def test_a_range_may_begin_at_zero_and_before(self):
        self.chq("put", "k", "1", "--time", "1")
        self.assertEqual(len(self.out("query", "k", "--start", "0", "--end", "2", "--step", "1s")
                             .splitlines()), 3)
        self.assertEqual(len(self.out("query", "k", "--start=-1", "--end", "1", "--step", "2s")
                             .splitlines()), 2)

    def test_misspelt_words_get_a_suggestion(self):
        for arguments, said in ((["qurey", "k"], "did you mean query?"),
                                (["get", "k", "--tiem", "1"], "did you mean --time?"),
                                (["read", "k", "--limit", "1", "--limit", "2"], "given twice"),
                                (["get"], "usage: chq get KEY"),
                                (["ping", "x"], "one argument too many"),
                                (["put", "k", "1", "--time", "2026-02-31"], "no time"),
                                (["ping", "--timeout", "0s"], "duration"),
                                (["ping", "--timeout", "2d"], "--timeout"),
                                (["ping", "--node", "nowhere"], "tcp://HOST:PORT")):
            self.assertIn(said, self.chq(*arguments, code=2).stderr)
        for arguments in (["put", "-h"], ["-h"], ["help", "put"], ["--help", "put"]):
            self.assertIn("usage: chq ", self.out(*arguments))

    def test_usage_errors_exit_2(self):
        for arguments in (["nope"], ["get"], ["get", "a", "b"], ["get", "a", "--time", "soon"],
                          ["read", "a", "--last", "5"], ["put", "a", "x", "--type", "int"],
                          ["query", "a", "--what"], ["read", "a", "-o", "yaml"], ["put", "a{", "1"]):
            self.assertTrue(self.chq(*arguments, code=2).stderr.startswith("chq: "))

    def test_refusals_exit_4_and_silence_exits_3(self):
        self.assertIn("parse", self.chq("query", "sum(", code=4).stderr)
        self.chq("ping", "--node", "tcp://127.0.0.1:1", "--timeout", "100ms", code=3)

    def test_an_answer_that_cannot_be_written_exits_5(self):
        self.chq("put", "k", "1")
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"])
        for arguments in (["get", "k"], ["read", "k"], ["query", '"text"'], ["plot", "5"], ["help"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([CHQ, *arguments], env=environment, stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (5, 1), arguments)

    def test_the_reader_of_a_pipe_may_leave(self):
        self.chq("write", "--format", "csv", "--key", "p",
                 text="time,value\n" + "".join("%d,%d\n" % (i, i) for i in range(1, 50001)))
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"])
        reader = subprocess.Popen([CHQ, "read", "p"], env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        reader.stdout.readline()
        reader.stdout.close()
        self.assertEqual(reader.stderr.read(), b"")
        reader.stderr.close()
        self.assertEqual(reader.wait(timeout=60), -signal.SIGPIPE)

    def test_lists(self):
        self.chq("put", 'cpu{host="a"}', "1")
        self.chq("put", 'cpu{host="b"}', "2")
        self.assertEqual(self.out("labels", "host").split(), ["value", "a", "b"])
        self.assertEqual(len(self.out("series", "cpu").splitlines()), 3)
        self.assertEqual(len(self.out("ls", "-o", "ndjson").splitlines()), 2)
        self.assertIn("wal.syncs,", self.out("stats", "wal"))
        names = [line.split(",")[0] for line in self.out("producers").splitlines()]
        self.assertEqual(names[0], "producer")
        self.assertIn(len(names), (2, 3))  # two, when another chq on this machine held the first's name
        self.assertEqual(self.out("query", "sum(cpu)", "-o", "csv").splitlines()[1].split(",")[2],
                         "3.0")

    def test_calls_take_turns_with_few_producers(self):
        """A name per call would fill the node's ledger; two calls at once must not fence each other."""
        environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"],
                           CHQ_INGEST=self.node.endpoints["ingest"])
        for turn in range(3):
            calls = [subprocess.Popen([CHQ, "put", "k%d" % i, str(turn)], env=environment)
                     for i in range(5)]
            self.assertEqual([call.wait(timeout=60) for call in calls], [0] * 5)
        for _ in range(10):
            self.chq("write", "--format", "line", text="m f=1")
        # Five at once, and other calls on this machine may hold some of the names; not one for each of 25.
        self.assertLess(len(self.out("producers").splitlines()) - 1, 15)

    def test_help_completion_and_man_name_every_subcommand(self):
        names = [line.split()[0] for line in self.out("help").splitlines()
                 if line.startswith("  ") and not line.startswith("   ") and line[2] != "-"]
        self.assertGreater(len(names), 15)
        completion, man = self.out("completion", "bash"), self.out("man")
        for name in names:
            self.assertIn(" %s) " % name, completion)
            self.assertIn(".B %s" % name, man)
            self.assertIn("usage: chq " + name, self.out("help", name))

    def test_plot(self):
        lines = "time,value\n" + "".join("%d,%d\n" % (1700000000 + i, i) for i in range(60))
        self.chq("write", "--format", "csv", "--key", "p", text=lines)
        span = ["--start", "1700000000", "--end", "1700000060"]
        self.assertIn(" p  min ", self.out("plot", "p", *span))
        self.assertTrue(any("\u2800" < c <= "\u28ff" for c in self.out("plot", "p", *span)))
        self.assertTrue(self.out("plot", "p", *span, "--svg", "-").startswith("<svg "))
        self.assertIn("min 0  max 59  last 59", self.out("plot", "p", *span))
        self.assertIn("max 60  last 60", self.out("plot", "60", *span))
        self.chq("plot", "nothing", *span, code=1)


    def test_plot_of_a_selector_shows_every_stored_point_and_every_gap(self):
        lines = "time,value\n" + "".join(
            "%d,%d\n" % (1700000000 + i, 1000 if i == 1801 else 1) for i in range(3600)
            if not 1000 < i < 1500)
        self.chq("write", "--format", "csv", "--key", "p", text=lines)
        span = ["--start", "1700000000", "--end", "1700003600", "--width", "40"]
        self.assertIn("max 1000", self.out("plot", "p", *span))  # a spike narrower than a step
        picture = self.out("plot", "p", *span, "--svg", "-")
        self.assertEqual(picture.split('class="run"')[1].split('"/>')[0].count("M"), 2)


class Import(ChqTest):
    def test_bad_lines_are_named_and_may_be_passed_over(self):
        text = "time,value\n1,5\nsoon,6\n3,7\n"
        result = self.chq("write", "--format", "csv", "--key", "k", text=text, code=2)
        self.assertIn("standard input:3:", result.stderr)
        result = self.chq("write", "--format", "csv", "--key", "k", "--skip-bad", text=text)
        self.assertIn("1 bad lines", result.stderr)
        self.assertEqual(len(self.out("read", "k").splitlines()), 3)

    def test_what_cannot_be_understood_is_named(self):
        for text, said in (("", "empty"), ("time,a\n1,2,3\n", ":2: 2 and more columns"),
                           ("time,a\n1\n", ":2: 1 columns"), ("time;a\n1;2\n", "commas"),
                           ("time,a\n1,\0\n", ":2: a zero byte"), ("time,a=b,c\n", ":1: column 2")):
            result = self.chq("write", "--format", "csv", text=text, code=2)
            self.assertIn(said, result.stderr)
            self.assertEqual(len(result.stderr.splitlines()), 1)
        self.chq("import", "/nonexistent.csv", code=5)
        self.chq("import", "/tmp", "--format", "csv", code=5)

    def test_keys_the_node_would_not_take_are_bad_lines(self):
        text = '{"key":"a{","value":1}\n{"key":"b","value":2}\n'
        self.assertIn(":1: a{", self.chq("write", "--format", "ndjson", text=text, code=2).stderr)
        self.assertIn("1 points durable", self.chq("write", "--format", "ndjson", "--skip-bad",
                                                   text=text).stderr)
        self.assertEqual(self.out("get", "b"), "2\n")

    def test_a_byte_order_mark_and_blank_lines_do_not_count(self):
        self.chq("write", "--format", "csv", "--key", "k", text="\ufefftime,value\r\n1,5\r\n\r\n  \n2,6")
        self.assertEqual(self.out("read", "k").splitlines()[1:],
                         ["1970-01-01T00:00:01Z,k,5", "1970-01-01T00:00:02Z,k,6"])

    def test_a_pipe_is_read_like_a_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "p.csv")
            os.mkfifo(path)
            writer = threading.Thread(target=Path(path).write_text, args=("time,value\n1,5\n",))
            writer.start()
            self.chq("import", path)
            writer.join()
        self.assertEqual(self.out("get", "p"), "5\n")

    def test_what_read_prints_as_ndjson_is_imported(self):
        self.chq("write", "--format", "line", text='m,a=b i=1i,f=2,t=true,s="x" 5')
        text = self.out("read", '{a="b"}', "-o", "ndjson")
        self.chq("write", "--format", "ndjson", text=text)
        self.assertEqual(self.out("read", '{a="b"}', "-o", "ndjson"), text)
        self.assertEqual(self.stats()["engine.points"], 8)

    def test_an_interrupted_import_says_so_and_resumes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write("time,value\n" + "".join("%d,%d\n" % (i, i) for i in range(1, 500001)))
            file.flush()
            environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"],
                               CHQ_INGEST=self.node.endpoints["ingest"])
            first = subprocess.Popen(
                [CHQ, "import", "--resume", "--key", "r", file.name], env=environment,
                stderr=subprocess.PIPE, text=True)
            while self.stats()["engine.points"] == 0 and first.poll() is None:
                pass
            first.send_signal(signal.SIGINT)
            said = first.communicate()[1]
            if first.returncode != 0:  # 0: it was done before the signal came
                self.assertEqual(first.returncode, -signal.SIGINT)
                self.assertRegex(said, r"interrupted at line \d+; .*--resume")
            self.chq("import", "--resume", "--key", "r", file.name)
            self.assertEqual(self.stats()["engine.points"], 500000)

    def test_three_formats_say_the_same(self):
        self.chq("write", "--format", "csv", "--key", "m_f", text="time,value\n5,1.5\n")
        self.chq("write", "--format", "line", "--precision", "s", text="m f=2.5 6\n")
        self.chq("write", "--format", "ndjson",
                 text='{"name":"m","time":7,"fields":{"f":3.5}}\n{"key":"m_f","time":8,"value":4.5}\n')
        self.assertEqual([line.split(",")[2] for line in self.out("read", "m_f").splitlines()],
                         ["value", "1.5", "2.5", "3.5", "4.5"])

    def test_resume_sends_again_without_doubling(self):
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write("time,value\n" + "".join("%d,%d\n" % (i, i) for i in range(1, 200001)))
            file.flush()
            environment = dict(os.environ, CHQ_NODE=self.node.endpoints["query"],
                               CHQ_INGEST=self.node.endpoints["ingest"])
            first = subprocess.Popen(
                [CHQ, "import", "--resume", "--key", "r", file.name], env=environment,
                stderr=subprocess.DEVNULL)
            while self.stats()["engine.points"] == 0 and first.poll() is None:
                pass
            first.send_signal(signal.SIGKILL)
            first.wait()
            for _ in range(2):
                self.chq("import", "--resume", "--key", "r", file.name)
            self.assertEqual(self.stats()["engine.points"], 200000)
            self.assertEqual(self.out("query", "count_over_time(r[10d])", "--time", "200001"
                                      ).splitlines()[1].split(",")[2], "200000.0")

    def stats(self):
        lines = self.out("stats").splitlines()[1:]
        return {name: float(value) for name, value in (line.split(",") for line in lines)}


@unittest.skipUnless(glob.glob(os.path.join(SHARED, "nab", "*", "*.csv")),
                     "the real data (../shared/data/nab, CH_SHARED_DATA) is not here")
class RealData(ChqTest):
    """Every file in, read back bit for bit: fresh, after kill -9 and restart, flushed, and both again."""

    def expected(self, path):
        rows, whole = {}, True
        with open(path) as file:
            next(file)
            for line in file:
                stamp, value = line.rstrip("\r\n").split(",")
                rows[stamp.replace(" ", "T") + "Z"] = value
                try:
                    int(value)
                except ValueError:
                    whole = False
        as_bits = (lambda v: ("i", int(v))) if whole else (lambda v: struct.pack("<d", float(v)))
        return {stamp.replace(".000000Z", "Z"): as_bits(value) for stamp, value in rows.items()}, whole

    def check(self, files):
        for key, (rows, whole) in files.items():
            got = {}
            for line in self.out("read", '{__name__="%s"}' % key).splitlines()[1:]:
                stamp, _, value = line.split(",")
                got[stamp] = ("i", int(value)) if whole else struct.pack("<d", float(value))
            self.assertEqual(got, rows, key)

    def test_every_file_reads_back_bit_for_bit(self):
        paths = sorted(glob.glob(os.path.join(SHARED, "nab", "*", "*.csv")))
        self.chq("import", *paths, "-q")
        files = {os.path.basename(p)[:-4]: self.expected(p) for p in paths}
        self.assertGreater(len(files), 40)
        self.check(files)
        self.again(files, self.node.kill)  # from the log
        self.again(files, self.end_in_order)  # which flushes: from tables
        self.chq("import", *paths, "-q")  # over what is in tables, the same points again
        self.check(files)
        self.chq("flush")
        self.check(files)
        self.again(files, self.node.kill)
        self.again(files, self.end_in_order)

    def end_in_order(self):
        self.assertEqual(self.node.terminate(), 0)

    def again(self, files, end):
        """End the node this way, start it, look at everything."""
        end()
        self.node.start()
        self.check(files)


if __name__ == "__main__":
    unittest.main()
