#!/usr/bin/python3
"""compaction [--sets N] [--seconds N] [--rate N] [--quick] ...

What a full compaction does to the acknowledgements of producers. A release node with its defaults (but
that it merges only when asked) is filled with data sets of 100 hosts x 10 metrics x 3 days, flushed into some seven
tables each. Then 20 connections push 1,000 points ten times a second each and ask for the ack of every batch, all the
while: first alone, then while `compact` merges all tables, then alone again.

Push to durable ack, by what went on when the batch was sent.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import load, report, servers  # noqa: E402

REACH = 2.0  # times the p99 without
STREAM_SEED, STREAM_SECONDS = 1000, 240  # it is ended before
STREAM = {"shape": "series", "column": 20, "points": 1000, "producers": 20, "name": "stream"}
PHASES = ["(start)", "alone", "while all is compacted", "alone again"]
HEAD = ["", "seconds", "acks", "p50 ms", "p90", "p99", "max", "flushes", "node CPU s", "p99 against alone"]


class Clock:
    """What the node did between two instants."""

    def __init__(self, node):
        self.node = node
        self.last = self.look()

    def look(self):
        return time.monotonic(), self.node.stats()["flush.count"], self.node.cpu_seconds()

    def lap(self):
        before, self.last = self.last, self.look()
        return [now - then for now, then in zip(self.last, before)]


def fill(node, options):
    """Data sets that share no series; each is flushed as it grows."""
    for seed in range(1, options.sets + 1):
        data = load.DataSet("", options.hosts, options.steps, 100, seed)
        load.run("push", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"], shape="series",
                 points=10000, window=4 << 20, producers=2, name="fill-%d" % seed)
    node.ask("flush", timeout_ms=60000)
    os.sync()  # what filling left to the disk is not to be measured
    time.sleep(options.seconds / 2)
    return options.sets * data.points


def next_phase(stream):
    stream.send_signal(signal.SIGUSR1)


def compact(node):
    chq = os.path.join(servers.harness.BIN_DIR, "chq")
    subprocess.run([chq, "compact", "--node", node.endpoints["query"], "--timeout", "10m"], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def measure(node, options):
    """[(seconds, flushes, node's CPU seconds) of the phases but the first], what the stream saw."""
    data = load.DataSet("", 100, 20 * options.rate * STREAM_SECONDS, 20, STREAM_SEED)
    before = node.stats()["engine.batches"]
    stream = load.start("many", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"],
                        rate=options.rate, **STREAM)
    try:
        while node.stats()["engine.batches"] < before + STREAM["producers"] and stream.poll() is None:
            time.sleep(0.05)
        clock, laps = Clock(node), []
        for work in (lambda: time.sleep(options.seconds), lambda: compact(node), lambda: time.sleep(options.seconds)):
            clock.lap()
            next_phase(stream)
            work()
            laps.append(clock.lap())
        stream.send_signal(signal.SIGTERM)
        return laps, load.finish(stream)
    finally:
        stream.kill()
        stream.wait()


def ratio(value, base):
    return "%.2f x" % (value / base) if base else "-"


def show(laps, seen):
    alone = min(seen["phases"][1]["p99"], seen["phases"][3]["p99"])  # the disk has neighbours: its better time
    rows = []
    for title, (seconds, flushes, cpu), ack in zip(PHASES[1:], laps, seen["phases"][1:]):
        rows.append([title, "%.1f" % seconds, "%d" % ack["count"]] +
                    ["%.2f" % ack[p] for p in ("p50", "p90", "p99", "max")] +
                    ["%d" % flushes, "%.1f" % cpu, ratio(ack["p99"], alone)])
    report.table(HEAD, rows)
    during = seen["phases"][2]["p99"]
    print("p99 of the acks while all is compacted: %s that without (reach <= %g x): %s\n" % (
        ratio(during, alone), REACH, "there" if during <= REACH * alone else "NOT there"))


def main():
    parser = argparse.ArgumentParser(prog="./dev bench compaction", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=8, help="data sets of 25.9 M points to merge (8)")
    parser.add_argument("--seconds", type=int, default=10, help="of the load alone, before and after (10)")
    parser.add_argument("--rate", type=int, default=10, help="batches a second over each connection (10)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                        help="a setting of the node, e.g. engine.compaction_rate=0")
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs, no figures")
    options = parser.parse_args()
    servers.end_orderly()
    options.hosts, options.steps = (20, 30) if options.quick else (100, 25920)
    if options.quick:
        options.sets, options.seconds = 2, 1
    settings = {"engine.compaction": "false", **dict(item.split("=", 1) for item in options.settings)}
    print(report.machine() + "\n")
    with contextlib.closing(servers.CityHall(settings)) as node:
        node.start()
        points = fill(node, options)
        before = node.stats()
        laps, seen = measure(node, options)
        after = node.stats()
        print("## %.1f M points in %d tables, %.1f MB, merged into %d; beside them %d batches of 1,000 points a second\n" % (
            points / 1e6, before["sst.tables"], before["sst.bytes"] / 1e6, after["sst.tables"],
            STREAM["producers"] * options.rate))
        show(laps, seen)


if __name__ == "__main__":
    main()
