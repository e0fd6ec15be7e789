#!/usr/bin/python3
"""recovery [--kills N] [--shape SHAPE] [--quick]

Kills a node with SIGKILL under full load, starts it again on the same directory and measures until it
answers: `ping`, then `get`. Then everything that was acknowledged is read back and compared. The
reach: 1 s plus what is not flushed of the log at 300 MB/s.
"""

import argparse
import contextlib
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import load, report, servers  # noqa: E402

REPLAY_BYTES_PER_S = 300e6
KILL_TIMEOUT_S = 60
PLANS = {"series": 10000, "tables": 10000, "rows": 5000, "points": 1000}


def kill_under_load(node, data, plan, kill_at):
    """The node is gone once it has taken `kill_at` points; what the producers were told by then."""
    running = load.start("push", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"], **plan)
    try:
        end = time.monotonic() + KILL_TIMEOUT_S
        stats = node.stats()
        while stats["engine.points"] < kill_at:
            if time.monotonic() > end or running.poll() is not None:
                raise RuntimeError("the load did not reach %d points" % kill_at)
            stats = node.stats()
        node.node.kill()
        running.terminate()
        return load.finish(running), stats
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


def one(data, shape, share):
    plan = {"shape": shape, "points": PLANS[shape], "producers": 2, "column": data.column}
    with contextlib.closing(servers.CityHall()) as node:
        node.start()
        told, before = kill_under_load(node, data, plan, int(data.points * share))
        record_bytes = before["wal.bytes"] / max(1, before["wal.records"])
        start = time.monotonic()
        node.start()
        node.ask("ping")
        answered = time.monotonic() - start
        node.ask("get", key="no.such.series")
        stats = node.stats()
        verified = load.run("verify", data, query=node.endpoints["query"],
                            acked=",".join(map(str, told["acked"])), **plan)
        log_bytes = stats["wal.recovered_records"] * record_bytes
        reach = 1 + log_bytes / REPLAY_BYTES_PER_S
        return [shape, "%.2f" % (told["points"] / 1e6), "%.1f" % (log_bytes / 1e6),
                "%d" % stats["wal.recovered_records"], "%.0f" % stats["wal.recovery_ms"],
                "%.3f" % answered, "<= %.2f" % reach, "yes" if answered <= reach else "NO",
                "%d" % verified["verified_points"], "%d" % verified["unacked_points"]]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench recovery", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3, help="of each shape (3)")
    parser.add_argument("--shape", choices=sorted(PLANS), help="only this one")
    parser.add_argument("--seed", type=int, default=1, help="of the instants")
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs")
    options = parser.parse_args()
    servers.end_orderly()
    data = load.TINY if options.quick else load.DEVOPS
    rng = random.Random(options.seed)
    print(report.machine() + "\n")
    rows = [one(data, shape, rng.uniform(0.1, 0.7))
            for shape in ([options.shape] if options.shape else list(PLANS))
            for _ in range(1 if options.quick else options.kills)]
    report.table(["killed under", "M points acked", "unflushed log MB", "its records", "replay ms", "answers after s",
                  "reach", "there", "acked points read back", "unacked ones there"], rows)


if __name__ == "__main__":
    main()
