#!/usr/bin/python3
"""Prove that the fault tests can fail: plant each bug of tests/faults.txt, demand a red test.

For each line a build with -DCH_FAULT=<NAME> (one build folder, only what mentions the fault is
compiled anew), then the named test program, which must exit non-zero or hang. A bug that does
not build proves nothing and counts as failed. A program that stays green but left tests out, since
their data is not here, counts as skipped.

    tests/negative_controls.py [--seconds N] [NAME ...]     N bounds the whole; the rest is skipped
"""
import argparse
import glob
import os
import subprocess
import sys
import time

from run_tests import count_cmocka, count_unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(SOURCE, "build", "fault")
TEST_SECONDS = 300


def faults():
    with open(os.path.join(SOURCE, "tests", "faults.txt"), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip() and line[0] != "#"]


def build(name, program):
    """None, or what the failed command printed. A Python test needs all programs."""
    target = [] if program.endswith(".py") else ["--target", program]
    for command in (["cmake", "--preset", "dev", "-B", BUILD, "-DCH_FAULT=" + name],
                    ["cmake", "--build", BUILD, "-j", "2"] + target):
        done = subprocess.run(command, cwd=SOURCE, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            return done.stdout
    return None


def command_of(program):
    if program.endswith(".py"):
        path = glob.glob(os.path.join(SOURCE, "tests", "*", program))[0]
        return ["/usr/bin/python3", "-B", "-m", "unittest", "discover", "-f", "-s",
                os.path.dirname(path), "-p", program]
    command = [os.path.join(BUILD, "bin", program)]
    if program.startswith("replay_"):
        command.append(os.path.join(SOURCE, "tests", "fuzz", "corpus", program[len("replay_"):]))
    return command


def run(program):
    """"red", "green", or "skipped": green, with tests left out."""
    environment = dict(os.environ, CH_BIN_DIR=os.path.join(BUILD, "bin"), CH_SOURCE_DIR=SOURCE,
                       PYTHONPATH=os.path.join(SOURCE, "tests", "support"))
    try:
        done = subprocess.run(command_of(program), env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=TEST_SECONDS)
    except subprocess.TimeoutExpired:
        return "red"
    if done.returncode != 0:
        return "red"
    counts = count_cmocka(done.stdout) or count_unittest(done.stdout)
    return "skipped" if counts and counts[2] else "green"


def check(name, program, what):
    """Plant one bug: "red" when the test saw it."""
    output = build(name, program)
    if output is not None:
        print("FAILED %s: does not build\n%s" % (name, output[-4000:]))
        return "green"
    outcome = run(program)
    print({"red": "red as it must be: {0} in {1} ({2})",
           "skipped": "not checked: {0}: {1} left tests out ({2})",
           "green": "FAILED {0}: {1} stays green though {2}"}[outcome].format(name, program, what),
          flush=True)
    return outcome


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds if arguments.seconds else None
    passed = failed = skipped = 0
    for name, program, what in faults():
        if arguments.names and name not in arguments.names:
            continue
        late = end and time.monotonic() > end
        outcome = "skipped" if late else check(name, program, what)
        passed += outcome == "red"
        skipped += outcome == "skipped"
        failed += outcome == "green"
    print("%d passed, %d failed%s" % (passed, failed, ", %d skipped" % skipped if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
