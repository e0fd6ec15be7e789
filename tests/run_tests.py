#!/usr/bin/python3
"""Run the test suite of a build folder and count single test cases.

ctest runs the programs; this reads what each printed, since one program holds many cases: cmocka's
and unittest's summaries are understood, anything else counts as one case. Failures are shown in
full, then once more in short, so that the tail of a log tells what to look at. The last line is
"N passed, N failed" (", N skipped" when some were), the exit code is 0 only when nothing failed
and something passed.

    tests/run_tests.py BUILD [-j N] [-L LABELS] [-LE LABELS] [-R NAMES] [--at-most SECONDS]
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

OUTPUT_BYTES = str(16 << 20)  # ctest would cut the output of passed tests to 1 KiB
SHORT_TESTS, SHORT_LINES, SHORT_WIDTH = 8, 15, 200  # how much a summary of failures may take


def count_cmocka(text):
    """(passed, failed, skipped) of a cmocka program's output, or None when it is not one."""
    if not re.search(r"^\[=+\] Running \d+ test", text, re.M):
        return None

    def total(word):
        return sum(int(n) for n in re.findall(r"^\[ +%s +\] (\d+) test" % word, text, re.M))

    passed, failed, skipped = total("PASSED"), total("FAILED"), total("SKIPPED")
    if not re.search(r"^\[=+\] \d+ test\(s\) run", text, re.M):  # died on the way
        passed = len(re.findall(r"^\[ +OK \]", text, re.M))
        failed += 1
    return passed, failed, skipped


def count_unittest(text):
    """The same for Python's unittest."""
    ran = re.search(r"^Ran (\d+) tests? in", text, re.M)
    if not ran:
        return None
    last = re.search(r"^(?:OK|FAILED)(?: \((.*)\))?$", text[ran.end():], re.M)
    parts = dict(re.findall(r"([a-z ]+)=(\d+)", (last and last.group(1)) or ""))
    parts = {key.strip(): int(value) for key, value in parts.items()}
    failed = sum(parts.get(key, 0) for key in ("failures", "errors", "unexpected successes"))
    skipped = parts.get("skipped", 0)
    return max(0, int(ran.group(1)) - failed - skipped), failed, skipped


def count(case):
    """(passed, failed, skipped) of one <testcase> of ctest's report."""
    status, text = case.get("status"), case.findtext("system-out") or ""
    counts = count_cmocka(text) or count_unittest(text)
    if status == "run":
        return counts or (1, 0, 0)
    if status == "disabled":
        return 0, 0, 1
    if status == "notrun":  # a skip that the test asked for, or a program that is not there
        skip = case.find("skipped")
        asked = skip is not None and (skip.get("message") or "").startswith("SKIP_")
        return (0, 0, 1) if asked else (0, 1, 0)
    passed, failed, skipped = counts or (0, 1, 0)
    return passed, max(1, failed), skipped  # red by its exit code, whatever it printed


def show_failure(case):
    print("\n" + "=" * 78)
    print("FAILED %s" % case.get("name"))
    print("=" * 78)
    if message_of(case):
        print(message_of(case))
    print((case.findtext("system-out") or "").rstrip())


def message_of(case):
    failure = case.find("failure")
    return "" if failure is None else failure.get("message") or ""


def in_short(case):
    """The name, the seed and the last lines that tell something; where a sanitizer spoke, its first."""
    text = case.findtext("system-out") or ""
    green = set(re.findall(r"^\[ +OK \] (\S+)$", text, re.M))
    lines = [line for line in text.splitlines() if line.strip() and
             not re.match(r"\[ +OK \]|[\w ]+\(.*\) \.\.\. ok$|=+$|-+$", line) and
             not (line.startswith("[ RUN ") and line.split()[-1] in green)]
    report = [i for i, line in enumerate(lines)
              if re.search(r"(ERROR|WARNING): \w+Sanitizer|: runtime error: ", line)]
    kept = lines[report[0]:][:SHORT_LINES] if report else lines[-SHORT_LINES:]
    kept = [line for line in lines if "SEED=" in line][:1] + kept
    return ["failed: %s %s" % (case.get("name"), message_of(case))] + \
        ["    " + line[:SHORT_WIDTH] for line in kept]


def reasons_for_skips(text):
    """Why tests were skipped: unittest says it at the end of the line, cmocka names the test only."""
    return re.findall(r"skipped ['\"](.*)['\"]$", text, re.M) + \
        re.findall(r"^\[  SKIPPED \] (?!\d+ test)(\S+)$", text, re.M)


def run_ctest(arguments, report):
    command = ["ctest", "--test-dir", arguments.build, "-j", str(arguments.j),
               "--output-junit", report, "--no-tests=error",
               "--test-output-size-passed", OUTPUT_BYTES, "--test-output-size-failed", OUTPUT_BYTES]
    for option, value in (("-L", arguments.L), ("-LE", arguments.LE), ("-R", arguments.R)):
        if value:
            command += [option, value]
    if arguments.at_most:
        command += ["--stop-time", stop_time(arguments.at_most)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if re.match(r" *\d+/\d+ Test ", line) or "rror" in line:
            print(line.rstrip(), flush=True)
    return process.wait()


def stop_time(seconds):
    import datetime
    return (datetime.datetime.now() + datetime.timedelta(seconds=seconds)).strftime("%H:%M:%S")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("-j", type=int, default=2)
    parser.add_argument("-L", help="only tests with a label that matches")
    parser.add_argument("-LE", help="no tests with a label that matches")
    parser.add_argument("-R", help="only tests with a name that matches")
    parser.add_argument("--at-most", type=int, help="start no test after so many seconds")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        status = run_ctest(arguments, report)
        cases = ElementTree.parse(report).iter("testcase") if os.path.exists(report) else []
        totals, skips, red = [0, 0, 0], set(), []
        for case in cases:
            counts = count(case)
            totals = [total + more for total, more in zip(totals, counts)]
            skips.update(reasons_for_skips(case.findtext("system-out") or ""))
            if counts[1]:
                show_failure(case)
                red.append(in_short(case))
    passed, failed, skipped = totals
    if status != 0 and failed == 0:
        print("ctest ended with %d though no test failed" % status)
        failed = 1
    for reason in sorted(skips):
        print("skipped: %s" % reason)
    for lines in red[:SHORT_TESTS]:
        print("\n".join(lines))
    for lines in red[SHORT_TESTS:]:
        print(lines[0])
    print("%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
