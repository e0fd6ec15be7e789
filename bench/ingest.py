#!/usr/bin/python3
"""ingest [SHAPE..] [--data devops|wide|both] [--many] [--clickhouse] [--no-victoria] [--quick] ...

Pushes the devops data of TSBS through a node's real sockets in each shape, everything acknowledged
`durable`, then the same data into Debian's VictoriaMetrics (line protocol, 2 connections, 10,000
points a request), and prints both beside the reach. The clock starts when all producers stand ready
and stops at the last durable acknowledgement. Producers encode as they go, on the same machine.

CPU is that of the server's process: while the clock runs, and of its whole life from start to end
after SIGTERM, without that of reading back. Disk is the whole data directory after SIGTERM. All
points are read back and compared.
"""

import argparse
import contextlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import clickhouse, load, report, servers  # noqa: E402

# Points of a batch, so that a frame has about 200 KB.
SHAPES = {
    "series": {"shape": "series", "points": 10000},
    "series-regular": {"shape": "series", "points": 10000, "regular": True},
    "tables": {"shape": "tables", "points": 10000},
    "rows": {"shape": "rows", "points": 5000},
    "points": {"shape": "points", "points": 1000},
}
# Times VictoriaMetrics' points/s, and share of its CPU per point.
REACH = {"series": (8, 0.2), "series-regular": (8, 0.2), "tables": (5, 0.2), "rows": (2, None),
         "points": (1, None)}
HEAD = ["", "M points/s", "CPU s/M", "life CPU s/M", "load CPU s/M", "wire B/pt", "fsyncs",
        "ack p50 ms", "p90", "p99", "disk B/pt", "w/o reserve", "peak RSS MiB"]


class Result:
    """What one run of one server showed."""

    def __init__(self, title, server, seen, cpu, syncs, checking_cpu=0):
        self.title, self.seen, self.syncs = title, seen, syncs
        self.rate = seen["points"] / seen["seconds"]
        self.per_million = 1e6 / seen["points"]
        self.cpu = cpu * self.per_million
        self.rss = server.peak_rss_bytes()
        self.life_cpu = (server.stop() - checking_cpu) * self.per_million
        self.disk = [size / seen["points"] for size in server.disk_bytes()]

    def row(self):
        seen, ack = self.seen, self.seen["ack_ms"]
        return [self.title, "%.2f" % (self.rate / 1e6), "%.4f" % self.cpu, "%.4f" % self.life_cpu,
                "%.4f" % (seen["load_cpu_seconds"] * self.per_million),
                "%.1f" % (seen["bytes"] / seen["points"]), self.syncs, "%.1f" % ack["p50"],
                "%.1f" % ack["p90"], "%.1f" % ack["p99"], "%.2f" % self.disk[0],
                "%.2f" % self.disk[1], "%d" % (self.rss >> 20)]


def run_cityhall(name, data, options):
    shape = dict(SHAPES[name])
    common = {"producers": options.producers, "column": data.column}
    with contextlib.closing(servers.CityHall()) as node:
        node.start()
        cpu = node.cpu_seconds()
        seen = load.run("push", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"],
                        window=options.window, **shape, **common)
        cpu = node.cpu_seconds() - cpu
        syncs = "%d" % node.stats()["wal.syncs"]
        checking = node.cpu_seconds()
        verified = load.run("verify", data, query=node.endpoints["query"],
                            acked=",".join(map(str, seen["acked"])), **shape, **common)
        if verified["verified_points"] != data.points:
            raise RuntimeError("%d of %d points are there" % (verified["verified_points"], data.points))
        return Result(name, node, seen, cpu, syncs, node.cpu_seconds() - checking)


def run_http(server, what, data, points):
    """VictoriaMetrics or ClickHouse: two connections, so many points a request."""
    with contextlib.closing(server):
        server.start()
        cpu = server.cpu_seconds()
        seen = load.run(what, data, address=server.address, path=server.path, producers=2, points=points)
        cpu = server.cpu_seconds() - cpu
        if server.rows() != data.points:
            raise RuntimeError("%s took %d of %d points" % (server.name, server.rows(), data.points))
        return Result(server.name, server, seen, cpu, "-")


def against_reach(value, reach, sign):
    """Cells: the reach, and whether it is met."""
    if reach is None:
        return ["-", "-"]
    there = value >= reach if sign == ">=" else value <= reach
    return ["%s %g" % (sign, reach), "yes" if there else "NO"]


def ratios(results, rival):
    """The reach is against VictoriaMetrics."""
    rows = []
    for result in results:
        rate, cpu = result.rate / rival.rate, result.cpu / rival.cpu
        wanted = REACH[result.title] if rival.title == servers.VictoriaMetrics.name else (None, None)
        rows.append([result.title, "%.2f" % rate] + against_reach(rate, wanted[0], ">=") +
                    ["%.3f" % cpu] + against_reach(cpu, wanted[1], "<=") +
                    ["%.3f" % (result.life_cpu / rival.life_cpu)])
    report.table(["against " + rival.title, "points/s", "reach", "there", "CPU a point", "reach", "there",
                  "life CPU a point"], rows)


def measure(data, options):
    print("## %s: %.1f M points\n" % (data.title, data.points / 1e6), flush=True)
    results = [run_cityhall(name, data, options) for name in options.shapes]
    others = []
    if options.victoria:
        reason = servers.VictoriaMetrics.missing()
        if reason:
            print("left out: %s\n" % reason)
        else:
            others.append(run_http(servers.VictoriaMetrics(), "influx", data, 10000))
    if options.clickhouse:
        try:
            others.append(run_http(clickhouse.ClickHouse(), "rowbinary", data, 100000))
        except clickhouse.Missing as reason:
            print("left out: ClickHouse, %s\n" % reason)
    report.table(HEAD, [result.row() for result in results + others])
    for other in [] if options.quick else others:
        ratios(results, other)


def many(options):
    """Hundreds of connections that each send a 10-point batch a second and ask for its ack."""
    count, seconds = (20, 2) if options.quick else (options.connections, options.seconds)
    data = load.DataSet("many", count, seconds, 1)
    plan = {"shape": "rows", "points": 10, "producers": count}
    with contextlib.closing(servers.CityHall()) as node:
        node.start()
        cpu = node.cpu_seconds()
        seen = load.run("many", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"], **plan)
        cpu = node.cpu_seconds() - cpu
        load.run("verify", data, query=node.endpoints["query"],
                 acked=",".join(map(str, seen["acked"])), **plan)
        ack, syncs = seen["ack_ms"], node.stats()["wal.syncs"]
        print("## %d connections, a 10-point batch and an ack a second each, %d s\n" % (count, seconds))
        report.table(["batches sent", "acked and read back", "CPU share of a core", "CPU ms a batch",
                      "fsyncs", "ack p50 ms", "p90", "p99", "max", "peak RSS MiB"],
                     [["%d" % seen["sent"], "%d" % seen["acked_batches"], "%.3f" % (cpu / seconds),
                       "%.3f" % (cpu * 1000 / seen["sent"]), "%d" % syncs, "%.2f" % ack["p50"],
                       "%.2f" % ack["p90"], "%.2f" % ack["p99"], "%.2f" % ack["max"],
                       "%d" % (node.peak_rss_bytes() >> 20)]])


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench ingest", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES) + "; all unless said")
    parser.add_argument("--data", choices=["devops", "wide", "both"], default="both",
                        help="100 hosts x 3 days, 10,000 hosts x 26 steps, or both")
    parser.add_argument("--producers", type=int, default=2, help="connections to the node (2)")
    parser.add_argument("--window", type=int, default=4 << 20, help="bytes a producer has unacknowledged (4 MiB)")
    parser.add_argument("--no-victoria", dest="victoria", action="store_false", help="without VictoriaMetrics")
    parser.add_argument("--clickhouse", action="store_true", help="also against ClickHouse, where it can be had")
    parser.add_argument("--many", action="store_true", help="only: many small producers")
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs, no figures")
    options = parser.parse_args()
    for name in options.shapes:
        if name not in SHAPES:
            parser.error("no shape %s; there are: %s" % (name, ", ".join(SHAPES)))
    options.shapes = options.shapes or list(SHAPES)
    return options


def main():
    options = arguments()
    servers.end_orderly()
    print(report.machine() + "\n")
    if options.many:
        return many(options)
    sets = {"devops": [load.DEVOPS], "wide": [load.WIDE], "both": [load.DEVOPS, load.WIDE]}[options.data]
    for data in [load.TINY] if options.quick else sets:
        measure(data, options)
    return None


if __name__ == "__main__":
    main()
