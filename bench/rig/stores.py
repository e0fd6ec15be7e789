"""store_bench, the C program that works on one store in one directory; and cells that set stores side by side."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile

from rig import servers  # first: it settles CH_BIN_DIR
import harness

PROGRAM = os.path.join(harness.BIN_DIR, "store_bench")
TABLE_PROGRAM = os.path.join(harness.BIN_DIR, "bench_sstable")
TIMEOUT_S = 600
OURS, RIVALS = "cityhall", ("rocksdb", "leveldb")


def command(what, store, path, files=(), **options):
    """Options as store_bench's, with underscores; True is a flag."""
    arguments = [PROGRAM, what, store, path]
    for name, value in options.items():
        if value is True:
            arguments.append("--" + name.replace("_", "-"))
        elif value is not None and value is not False:
            arguments += ["--" + name.replace("_", "-"), value]
    return [str(argument) for argument in arguments + list(files)]


def call(arguments):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=TIMEOUT_S)
    if done.returncode != 0:
        raise RuntimeError("%s ended with %d: %s" % (" ".join(arguments[:4]), done.returncode,
                                                     done.stderr.decode("utf-8", "replace").strip()))
    return done.stdout.decode()


def run(what, store, path, files=(), **options):
    return json.loads(call(command(what, store, path, files, **options)))


def run_and_kill(what, store, path, **options):
    """SIGKILL once it has done its work and sits there, nothing closed."""
    process = subprocess.Popen(command(what, store, path, stay=True, **options), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    try:
        line = process.stdout.readline()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return json.loads(line)


def names():
    """This engine first, then the rivals that are built in."""
    return call([PROGRAM, "stores"]).split()


def disk_bytes(path):
    """All files of a store."""
    return servers.disk_bytes(path)


def table_bytes(path):
    """Its tables alone."""
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, files in os.walk(path)
               for name in files if name.endswith((".sst", ".ldb")))


@contextlib.contextmanager
def folder():
    """Path of a directory that does not exist yet; gone afterwards."""
    root = tempfile.mkdtemp(prefix="cityhall-bench-")
    try:
        yield os.path.join(root, "data")
    finally:
        shutil.rmtree(root, ignore_errors=True)


class Row:
    """One figure of several stores. `reach` is (text, check of {store: value})."""

    def __init__(self, title, form, values, more_is_better, reach=None):
        self.title, self.form, self.values = title, form, values
        self.more, self.reach = more_is_better, reach

    def ratio(self, store):
        ours, theirs = self.values.get(OURS), self.values.get(store)
        if not ours or not theirs:
            return "-"
        return "%.3g x" % (ours / theirs if self.more else theirs / ours)

    def cells(self):
        shown = [self.form % self.values[store] if store in self.values else "-" for store in (OURS,) + RIVALS]
        there = "-" if not self.reach else "yes" if self.reach[1](self.values) else "NO"
        return [self.title] + shown + [self.ratio(store) for store in RIVALS] + [
            self.reach[0] if self.reach else "-", there]


HEAD = ["", "cityhall", "RocksDB", "LevelDB", "better than RocksDB", "than LevelDB", "reach", "there"]


def at_least(limit, **times):
    """The reach of a rate: `limit` itself, and so many times a rival's."""
    def check(values):
        return values[OURS] >= limit and all(values[OURS] >= factor * values[store]
                                             for store, factor in times.items() if store in values)
    text = [">= %g" % limit] if limit else []
    text += [">= %g x %s" % (factor, "RocksDB" if store == "rocksdb" else "LevelDB") for store, factor in times.items()]
    return ", ".join(text), check


def below(limit):
    return "< %g" % limit, lambda values: values[OURS] < limit


def at_most(limit):
    return "<= %g" % limit, lambda values: values[OURS] <= limit
