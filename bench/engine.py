#!/usr/bin/python3
"""engine [SECTION..] [--quick] [--plots DIRECTORY]

The engine through its own API, no sockets, beside Debian's librocksdb and libleveldb through their C
APIs: the same data, Snappy, filters of 10 bits a key, memtables of 64 MiB, one process for each
piece of work, files in the page cache. The rivals keep a point under a key of 16 bytes (number of the
series, time), the value takes 8; the texts of the series are left out of their files.

Sections: insert, size, read, miss, latency, overwrite, put, start. `growth` (only when named) shows how the
figures grow from 1 M to 100 M points and, with --plots, draws them. A directory is measured as it lies there
after closing its store in order, every file of it, as blocks of the disk.
"""

import argparse
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import report, servers, stores, svg  # noqa: E402
from rig.stores import OURS, Row, at_least, at_most, below, folder, run  # noqa: E402

NAB = os.path.join(servers.ROOT, "../shared/data/nab")
STEPS = 25920  # 3 days of 10 s
ROUNDS = 10
KILLS = 3


class Sizes:
    """How much work; rivals get a part of the devops data where all of it would take minutes."""

    def __init__(self, quick):
        self.quick = quick
        self.steps = 60 if quick else STEPS
        self.rival_steps = 30 if quick else STEPS // 10
        self.one_batches = 20 if quick else 2592
        self.during_batches = 100 if quick else 20000
        self.rival_during_batches = 20 if quick else 1000
        self.wide_hosts = 200 if quick else 10000
        self.puts = 500 if quick else 1000000
        self.keys = 100 if quick else 10000
        self.overwrite_steps = 26 if quick else 2592
        self.looks = 100 if quick else 100000
        self.rounds = 1 if quick else 5
        self.memtable_kib = 64 if quick else 1024
        self.growth = (50, 100) if quick else (1000, 3000, 10000, 30000, 100000)
        self.rival_growth = 50 if quick else 3000

    def of(self, store):
        return self.steps if store == OURS else self.rival_steps


def rate_and_cpu(title, seen, reach):
    return [Row(title + ", M points/s", "%.2f", {s: r["points"] / r["seconds"] / 1e6 for s, r in seen.items()}, True, reach),
            Row("... CPU s per M points", "%.3f", {s: r["cpu_seconds"] / r["points"] * 1e6 for s, r in seen.items()}, False)]


def insert(sizes, names):
    """Batches of 1,000 points: a step of 100 hosts; for ours also 100 steps of one host."""
    modes = [("durable, 64 batches in flight", {"in_flight": 64, "synced": True}, at_least(0, rocksdb=30, leveldb=10)),
             ("durable, one at a time", {"synced": True, "batches": sizes.one_batches}, at_least(2)),
             ("unsynced", {}, at_least(0, rocksdb=30, leveldb=10))]
    rows = []
    for title, options, reach in modes:
        seen, columns = {}, {}
        for store in names:
            with folder() as path:
                seen[store] = run("insert", store, path, steps=sizes.of(store), **options)
        with folder() as path:
            columns[OURS] = run("insert", OURS, path, steps=sizes.steps, column=100, **options)
        rows += rate_and_cpu(title, seen, reach)
        rows += rate_and_cpu("... as columns of 100", columns, None)
        ms = {s: r["batch_ms"]["p99"] for s, r in seen.items()}
        rows.append(Row("... p99 of a batch, ms", "%.2f", ms, False))
        if not options:
            rows.append(Row("bytes written per point inserted (log, tables, merges)", "%.2f",
                            {s: r["written_bytes"] / r["points"] for s, r in seen.items()}, False))
    return rows


def sizes_of(title, names, reach, work):
    """work(store, path, then) fills a directory and returns what it saw."""
    flushed, merged, tables, written = {}, {}, {}, {}
    for store in names:
        with folder() as path:
            points = work(store, path, "flush")["points"]
            flushed[store] = stores.disk_bytes(path) / points
        with folder() as path:
            seen = work(store, path, "compact")
            merged[store] = stores.disk_bytes(path) / points
            tables[store] = stores.table_bytes(path) / points
            written[store] = seen["written_bytes"] / points
    return [Row(title + ", compacted: bytes a point", "%.3f", merged, False, reach),
            Row("... tables alone", "%.3f", tables, False),
            Row("... as flushed, whole directory", "%.3f", flushed, False),
            Row("... written, per byte on disk in the end", "%.2f", {s: written[s] / merged[s] for s in names}, False),
            Row("... written, per byte given (16 a point)", "%.2f", {s: written[s] / 16 for s in names}, False)]


def size(sizes, names):
    """Everything is written as it comes, then merged as far as it can be."""
    def devops(**options):
        return lambda store, path, then: run("insert", store, path, then=then, keep_tables=store == OURS and then == "flush",
                                             **{name: value(store) for name, value in options.items()})

    rows = sizes_of("100 hosts x 10 metrics x 3 days", names, at_most(0.30), devops(steps=sizes.of))
    rows += sizes_of("10,000 hosts x 10 metrics x 26 steps", names, at_most(2.0),
                     devops(hosts=lambda _: sizes.wide_hosts, steps=lambda _: 26))
    files = sorted(glob.glob(os.path.join(NAB, "*/*.csv")))
    if files:
        rows += sizes_of("NAB, %d real series" % len(files), names, at_most(1.5),
                         lambda store, path, then: run("nab", store, path, files, then=then))
    else:
        print("(no NAB data in %s: left out)\n" % NAB)
    return rows


def saved(work, names):
    """What a merge of everything saves, percent: of the tables alone, of the whole directory."""
    tables, whole = {}, {}
    for store in names:
        with folder() as path:
            work(store, path)
            before = stores.table_bytes(path), stores.disk_bytes(path)
            run("compact", store, path, keep_tables=True)
            tables[store] = 100 * (1 - stores.table_bytes(path) / before[0])
            whole[store] = 100 * (1 - stores.disk_bytes(path) / before[1])
    return tables, whole


def overwrite(sizes, names):
    """Ten rounds over the same keys, a table each; of ten equal rounds one stays, so more than 90 % only comes of what a
    merge packs better. LevelDB merges before it is asked."""
    texts = saved(lambda store, path: run("put", store, path, count=sizes.keys, rounds=ROUNDS, keep_tables=True), names)
    numbers = saved(lambda store, path: run("overwrite", store, path, steps=sizes.overwrite_steps, rounds=ROUNDS,
                                            keep_tables=True), names)
    return [Row("devops data ten times over, other values: tables saved, %", "%.1f", numbers[0], True, at_least(97)),
            Row("... of the whole directory", "%.1f", numbers[1], True),
            Row("keys of 16 bytes, texts of 100: tables saved, %", "%.1f", texts[0], True, at_least(97)),
            Row("... of the whole directory", "%.1f", texts[1], True)]


def read(sizes, names):
    """One thread. As flushed: no table was merged; the rivals as they come."""
    def look(store, then):
        with folder() as path:
            run("insert", store, path, steps=sizes.of(store), then=then, keep_tables=store == OURS and then == "flush")
            return run("read", store, path, steps=sizes.of(store), rounds=sizes.rounds if store == OURS else 1)

    rows = []
    for then, title, reach in (("flush", "as flushed", 1000), ("compact", "compacted", 200)):
        seen = {store: look(store, then) for store in names}
        rows += [Row("series read whole, %s: M points/s" % title, "%.0f",
                     {s: r["points"] / r["seconds"] / 1e6 for s, r in seen.items()}, True, at_least(reach)),
                 Row("... mean of a series from chunk headers (rivals read it): us", "%.2f",
                     {s: r["mean_us"] for s, r in seen.items()}, False, below(20))]
    return rows


def miss(sizes, names):
    """Keys between those that are there; each of ten tables (of LevelDB as many as it makes) could have them."""
    whole, bare = {}, {}
    for store in names:
        with folder() as path:
            run("put", store, path, count=sizes.keys, rounds=ROUNDS, keep_tables=True)
            asked = {"count": sizes.keys, "rounds": sizes.looks, "keep_tables": True}
            whole[store] = run("miss", store, path, **asked)["missing_us"]
            if store != OURS:
                bare[store] = run("miss", store, path, no_filter=True, **asked)["missing_us"]
    rows = [Row("missing key, whole get, us", "%.3f", whole, False, below(0.5)),
            Row("... without filters, us", "%.2f", bare, False)]
    if sizes.quick:
        return rows
    found = re.search(r"none of 10 tables has: ([0-9.]+) us; without filters ([0-9.]+) us",
                      stores.call([stores.TABLE_PROGRAM, os.environ.get("TMPDIR", "/tmp"), "wide"]))
    tables, bare[OURS] = dict(whole, cityhall=float(found.group(1))), float(found.group(2))
    return rows[:1] + [Row("... ours through ten tables, behind the series table: us", "%.3f", tables, False, below(0.5)),
                       Row("... without filters, us", "%.2f", bare, False),
                       Row("... factor", "%.1f", {s: bare[s] / tables[s] for s in bare}, True)]


def latency(sizes, names):
    """A write is 1,000 points until they are durable; the memtable is small, so that flushes are in the p99."""
    common = {"synced": True, "steps": sizes.rival_steps, "memtable_kib": sizes.memtable_kib}
    seen, alone = {}, {}
    for store in names:
        with folder() as path:
            seen[store] = run("insert", store, path, **common)["batch_ms"]
    with folder() as path:
        alone[OURS] = run("insert", OURS, path, inline=True, **common)["batch_ms"]
    p50, p99 = ({s: r[p] for s, r in seen.items()} for p in ("p50", "p99"))
    return [Row("write, flush in the background: p50 ms", "%.3f", p50, False),
            Row("... p99 ms", "%.3f", p99, False, below(2)),
            Row("write, flush inline: p50 ms", "%.3f", {OURS: alone[OURS]["p50"]}, False),
            Row("... p99 ms", "%.3f", {OURS: alone[OURS]["p99"]}, False),
            Row("... times that in the background", "%.2f", {OURS: alone[OURS]["p99"] / p99[OURS]}, True)] + merging(sizes, names)


def merging(sizes, names):
    """Beside a merge of everything there is; new data comes until it has ended. Memtables of 64 MiB."""
    seen = {}
    for store in names:
        with folder() as path:
            seen[store] = run("during", store, path, steps=sizes.of(store), synced=True, keep_tables=True,
                              batches=sizes.during_batches if store == OURS else sizes.rival_during_batches)
    alone, during = ({s: r[key]["p99"] for s, r in seen.items()} for key in ("alone_ms", "during_ms"))
    factor = {s: during[s] / alone[s] for s in seen}
    return [Row("write, no merge under way: p50 ms", "%.3f", {s: r["alone_ms"]["p50"] for s, r in seen.items()}, False),
            Row("... p99 ms", "%.3f", alone, False),
            Row("write while everything is merged: p50 ms", "%.3f", {s: r["during_ms"]["p50"] for s, r in seen.items()}, False),
            Row("... p99 ms", "%.3f", during, False),
            Row("... times that without a merge", "%.2f", factor, False, at_most(2)),
            Row("... writes seen", "%d", {s: r["during_ms"]["count"] for s, r in seen.items()}, True),
            Row("... seconds of the merge", "%.2f", {s: r["compact_seconds"] for s, r in seen.items()}, False)]


def put(sizes, names):
    """Keys of 16 bytes, texts of 100 (half of it compressible), each a batch; each key is a new series for ours."""
    seen, disk = {}, {}
    for store in names:
        with folder() as path:
            seen[store] = run("put", store, path, count=sizes.puts)
            disk[store] = seen[store]["user_bytes"] / stores.disk_bytes(path)
    return [Row("short puts, log buffered: M/s", "%.3f", {s: r["puts"] / r["seconds"] / 1e6 for s, r in seen.items()}, True,
                at_least(0.5)),
            Row("... p50 us", "%.2f", {s: r["put_ms"]["p50"] * 1e3 for s, r in seen.items()}, False),
            Row("... p99 us", "%.2f", {s: r["put_ms"]["p99"] * 1e3 for s, r in seen.items()}, False, below(30)),
            Row("... CPU us each", "%.2f", {s: r["cpu_seconds"] / r["puts"] * 1e6 for s, r in seen.items()}, False),
            Row("... bytes given per byte on disk", "%.2f", disk, True)]


def left_by_kill(store, path, steps, **options):
    """What is there when SIGKILL comes; ours is told that its log is synced, the rivals' is in the kernel's hands."""
    waited = {"synced": True, "in_flight": 64} if store == OURS else {}
    stores.run_and_kill("insert", store, path, steps=steps, **waited, **options)


def start(sizes, names):
    """Open and answer one question (its answer is checked), after SIGKILL; the slowest of three."""
    flushed, peak = {}, {}
    for store in names:
        steps = sizes.of(store)
        with folder() as path:
            left_by_kill(store, path, steps, then="flush")
            flushed[store] = max(run("start", store, path, steps=steps)["seconds"] for _ in range(KILLS))
        for kill in range(KILLS):
            with folder() as path:  # other instants between two flushes
                cut = steps - kill * (steps // 30)
                left_by_kill(store, path, cut)
                peak[store] = max(peak.get(store, 0), run("start", store, path, steps=cut)["seconds"])
    return [Row("start after SIGKILL, everything flushed: s", "%.3f", flushed, False, below(0.07)),
            Row("... as the load stood: s", "%.3f", peak, False, below(0.4))]


def grow(store, steps, then):
    points = steps * 1000
    with folder() as path:
        seen = run("insert", store, path, steps=steps, in_flight=64, synced=True, then=then)
        after = run("read", store, path, steps=steps)
        figures = {"insert": seen["points"] / seen["seconds"], "cpu": seen["all_cpu_seconds"] / points * 1e6,
                   "disk": stores.disk_bytes(path) / points, "written": seen["written_bytes"] / points,
                   "read": after["points"] / after["seconds"], "mean": after["mean_us"]}
        figures["amplification"] = figures["written"] / figures["disk"]
    with folder() as path:
        left_by_kill(store, path, steps, then=then if then == "compact" else None)
        figures["start"] = run("start", store, path, steps=steps)["seconds"]
    return figures


GROWTH = [("insert", "durable inserts", "points/s"), ("cpu", "CPU of inserting, flushes and merges included", "s per M points"),
          ("disk", "disk", "bytes a point"), ("written", "written to files", "bytes a point"),
          ("amplification", "bytes written per byte on disk", "times"),
          ("read", "whole series read", "points/s"), ("mean", "mean of a whole series", "us"),
          ("start", "start after SIGKILL", "s")]


def growth(sizes, names, plots):
    """As it comes, with the merges that come by themselves; and once everything was merged."""
    lines = {key: {} for key, _, _ in GROWTH}
    rows = []
    for store, then, title in [(s, t, s + m) for s in names for t, m in (("flush", ""), ("compact", ", compacted"))]:
        for steps in sizes.growth:
            if store != OURS and steps > sizes.rival_growth:
                break
            figures = grow(store, steps, then)
            rows.append([title, "%g" % (steps / 1e3)] + ["%.4g" % figures[key] for key, _, _ in GROWTH])
            for key, _, _ in GROWTH:
                lines[key].setdefault(title, []).append((steps * 1000.0, figures[key]))
    report.table(["store", "M points"] + ["%s, %s" % (title, unit) for _, title, unit in GROWTH], rows)
    for key, title, unit in GROWTH if plots else ():
        os.makedirs(plots, exist_ok=True)
        with open(os.path.join(plots, "engine-%s.svg" % key), "w") as file:
            file.write(svg.Plot(title[0].upper() + title[1:], "points stored", unit, lines[key]).svg())


SECTIONS = {"insert": insert, "size": size, "read": read, "miss": miss, "latency": latency, "overwrite": overwrite,
            "put": put, "start": start}


def main():
    parser = argparse.ArgumentParser(prog="./dev bench engine", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", help=", ".join(list(SECTIONS) + ["growth"]) + "; all but the last")
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs")
    parser.add_argument("--plots", metavar="DIRECTORY", help="where growth puts its SVG plots")
    options = parser.parse_args()
    for section in options.section:
        if section not in SECTIONS and section != "growth":
            parser.error("no section %s; there are %s, growth" % (section, ", ".join(SECTIONS)))
    servers.end_orderly()
    sizes, names = Sizes(options.quick), stores.names()
    print(report.machine() + "\n")
    missing = [name for name in stores.RIVALS if name not in names]
    if missing:
        print("(not in this build: %s)\n" % ", ".join(missing))
    for section in options.section or SECTIONS:
        print("## %s\n" % section, flush=True)
        if section == "growth":
            growth(sizes, names, options.plots)
        else:
            report.table(stores.HEAD, [row.cells() for row in SECTIONS[section](sizes, names)])


if __name__ == "__main__":
    main()
