"""The tail of a red run says what failed: the runner repeats it in short above its last line."""
import os
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.environ.get("CH_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CMOCKA = """CH_TEST_SEED=7
[==========] Running 3 test(s).
[ RUN      ] test_one
[       OK ] test_one
[ RUN      ] test_two
[  ERROR   ] --- 0x1 != 0x2
[   LINE   ] --- x.c:9: error: Failure!
[  FAILED  ] test_two
%s[==========] 21 test(s) run.
[  PASSED  ] 20 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] test_two
""" % "".join("[ RUN      ] later_%d\n[       OK ] later_%d\n" % (i, i) for i in range(19))


class Runner(unittest.TestCase):
    def run_on(self, **programs):
        """What the runner prints for tests that print a text and exit with a code: name=(text, code)."""
        with tempfile.TemporaryDirectory() as build:
            with open(os.path.join(build, "CTestTestfile.cmake"), "w", encoding="utf-8") as file:
                for name, (text, code) in programs.items():
                    path = os.path.join(build, name)
                    with open(path, "w", encoding="utf-8") as output:
                        output.write(text)
                    file.write('add_test(%s sh -c "cat %s; exit %d")\n' % (name, path, code))
            done = subprocess.run([sys.executable, os.path.join(SOURCE, "tests", "run_tests.py"), build],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        return done.returncode, done.stdout.splitlines()

    def test_a_failure_is_told_at_the_end(self):
        code, lines = self.run_on(good=("fine\n", 0), bad=(CMOCKA, 1))
        self.assertEqual(code, 1)
        self.assertEqual(lines[-1], "21 passed, 1 failed")
        tail = lines[-17:-1]
        for wanted in ("failed: bad ", "    CH_TEST_SEED=7", "    [   LINE   ] --- x.c:9: error: Failure!"):
            self.assertTrue(any(line.startswith(wanted) for line in tail), (wanted, tail))

    def test_of_a_sanitizers_report_the_beginning_is_told(self):
        report = "==9==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n    #0 0x1 in wrong\n"
        code, lines = self.run_on(bad=(report + "    shadow\n" * 200, 1))
        self.assertEqual((code, lines[-1]), (1, "0 passed, 1 failed"))
        self.assertTrue(any("#0 0x1 in wrong" in line for line in lines[-16:]), lines[-16:])

    def test_many_failures_do_not_fill_the_tail(self):
        programs = {"bad%d" % i: ("word " * 1000 + "\n" + "line\n" * 100, 1) for i in range(20)}
        code, lines = self.run_on(**programs)
        self.assertEqual((code, lines[-1]), (1, "0 passed, 20 failed"))
        tail = lines[lines.index(next(line for line in lines if line.startswith("failed: "))):]
        self.assertLess(len("\n".join(tail)), 30000)
        self.assertEqual(sum(line.startswith("failed: ") for line in tail), 20)

    def test_a_green_run_tells_nothing_of_the_kind(self):
        code, lines = self.run_on(good=("fine\n", 0), better=("fine\n", 0))
        self.assertEqual((code, lines[-1]), (0, "2 passed, 0 failed"))
        self.assertFalse(any(line.startswith("failed: ") for line in lines))


if __name__ == "__main__":
    unittest.main()
