#!/usr/bin/python3
"""query [--quick]

Loads the devops data of TSBS (100 hosts x 10 metrics x 3 days) and asks one question over and over,
one at a time: what it takes over the socket, from the request's encoding to the answer unpacked.
Each question is asked twice: with the newest points still in the memtable, and after a flush.
"""

import argparse
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import load, report, servers  # noqa: E402

HOST = 'hostname="host_7"'
# title, op, rounds, text, seconds of a range's step, reach of p50 in ms
QUESTIONS = [
    ("get: newest point of one series", "get", 5000, "cpu_usage_user{%s}", 0, 0.15),
    ("read: one series, all its points", "read", 300, "cpu_usage_user{%s}" % HOST, 0, 1.0),
    ("instant, one series", "query", 1000, "cpu_usage_user{%s}" % HOST, 0, None),
    ("instant, 100 series, max by (region)", "query", 300, "max by (region) (cpu_usage_user)", 0, None),
    ("max_over_time(..[1h]), 10 series by regex", "query", 300,
     'max_over_time(cpu_usage_user{hostname=~"host_[0-9]"}[1h])', 0, None),
    ("avg_over_time(..[1h]), 100 series", "query", 100, "avg_over_time(cpu_usage_user[1h])", 0, None),
    ("range of 3 days, step 1 h, avg_over_time(..[1h]), 1 series", "query", 100,
     "avg_over_time(cpu_usage_user{%s}[1h])" % HOST, 3600, None),
    ("range of 3 days, step 1 h, 100 series, max by (region)", "query", 10,
     "max by (region) (max_over_time(cpu_usage_user[1h]))", 3600, None),
]


def newest_key(node):
    """A whole key: `get` takes no selector."""
    labels = dict(node.ask("series", match="cpu_usage_user{%s}" % HOST)["series"][0])
    name = labels.pop("__name__")
    return "%s{%s}" % (name, ",".join('%s="%s"' % pair for pair in sorted(labels.items())))


def ask_all(node, data, quick):
    rows = []
    for title, op, rounds, text, step, reach in QUESTIONS:
        if op == "get":
            text = newest_key(node)
        cpu = node.cpu_seconds()
        rounds = 5 if quick else rounds
        seen = load.run(op, data, query=node.endpoints["query"], text=text, rounds=rounds,
                        range_step=step or None)
        cpu = node.cpu_seconds() - cpu
        if seen["points"] == 0:
            raise RuntimeError("%s: an empty answer" % title)
        ms = seen["ms"]
        rows.append([title, "%d" % seen["points"], "%.3f" % ms["p50"], "%.3f" % ms["p90"],
                     "%.3f" % ms["p99"], "%.3f" % (cpu * 1000 / rounds),
                     "p50 <= %g" % reach if reach else "-",
                     "-" if not reach else "yes" if ms["p50"] <= reach else "NO"])
    report.table(["question", "points", "p50 ms", "p90", "p99", "CPU ms", "reach", "there"], rows)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench query", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs")
    options = parser.parse_args()
    servers.end_orderly()
    data = load.TINY if options.quick else load.DEVOPS
    print(report.machine() + "\n")
    with contextlib.closing(servers.CityHall()) as node:
        node.start()
        load.run("push", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"],
                 shape="tables", column=data.column)
        print("## As loaded: %.1f M points, tables, the newest in memory\n" % (data.points / 1e6))
        ask_all(node, data, options.quick)
        node.ask("flush")
        print("## After a flush: %d tables\n" % node.stats()["sst.tables"])
        ask_all(node, data, options.quick)


if __name__ == "__main__":
    main()
