"""devops_load, the C program that makes the load: called with a data set, answers as a dict."""

import json
import os
import subprocess

from rig import servers  # first: it settles CH_BIN_DIR
import harness

PROGRAM = os.path.join(harness.BIN_DIR, "devops_load")
TIMEOUT_S = 600


class DataSet:
    """hosts x 10 fields x steps; `column` is the length of a `series` column. Other seeds, other series."""

    def __init__(self, title, hosts, steps, column, seed=1):
        self.title, self.hosts, self.steps, self.column, self.seed = title, hosts, steps, column, seed
        self.points = hosts * steps * 10

    def arguments(self):
        return ["--hosts", self.hosts, "--steps", self.steps, "--seed", self.seed]


DEVOPS = DataSet("100 hosts x 10 metrics x 3 days", 100, 25920, 100)
WIDE = DataSet("10,000 hosts x 10 metrics x 26 steps", 10000, 26, 26)
TINY = DataSet("20 hosts x 10 metrics x 30 steps", 20, 30, 10)


def command(what, data, **options):
    """Options as devops_load's, with underscores; True is a flag."""
    arguments = [PROGRAM, what] + data.arguments()
    for name, value in options.items():
        if value is True:
            arguments.append("--" + name.replace("_", "-"))
        elif value is not None and value is not False:
            arguments += ["--" + name.replace("_", "-"), value]
    return [str(argument) for argument in arguments]


def run(what, data, **options):
    done = subprocess.run(command(what, data, **options), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError("devops_load %s ended with %d: %s" % (
            what, done.returncode, done.stderr.decode("utf-8", "replace").strip()))
    return json.loads(done.stdout)


def start(what, data, **options):
    """The same without waiting; finish() takes the answer."""
    return subprocess.Popen(command(what, data, **options), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE)


def finish(process):
    output, _ = process.communicate(timeout=TIMEOUT_S)
    if process.returncode != 0:
        raise RuntimeError("devops_load ended with %d" % process.returncode)
    return json.loads(output)
