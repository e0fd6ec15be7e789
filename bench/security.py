#!/usr/bin/python3
"""security [--rounds N] [--quick]

What CURVE costs: the devops data of TSBS as columns, everything acknowledged `durable`, into a node without keys and
into one with them, in turns, with frames of three sizes. The figure is the median of the rounds. Producers encrypt
on the same machine; their CPU is told apart.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import load, report, servers  # noqa: E402
import harness  # noqa: E402

CHQ = os.path.join(harness.BIN_DIR, "chq")
# Points of a batch, for frames of about 64 KiB, 200 KB and 1 MB.
SIZES = (3700, 10000, 55000)
REACH = 40  # percent that CURVE may cost, at most


def keys(folder):
    """A node's key, a producer's, and the table: settings of the node, and the producer's file."""
    def keygen(name, *more):
        path = os.path.join(folder, name)
        done = subprocess.run([CHQ, "keygen", path, *more], check=True, stdout=subprocess.PIPE, text=True)
        return path, done.stdout.strip()
    node, public = keygen("node.key")
    producer, own = keygen("producer.key", "--server", public)
    table = os.path.join(folder, "authorized_keys")
    subprocess.run([CHQ, "auth", "add", own, "write", "load", "--file", table], check=True)
    return {"security.key_file": node, "security.authorized_keys": table}, producer


def run(data, points, settings, key_file):
    """Points a second, server's CPU and load's, in s per million points, and bytes of a frame."""
    with contextlib.closing(servers.CityHall(settings)) as node:
        node.start()
        cpu = node.cpu_seconds()
        seen = load.run("push", data, ingest=node.endpoints["ingest"], query=node.endpoints["query"],
                        shape="series", points=points, column=data.column, producers=2, window=4 << 20,
                        key_file=key_file)
        cpu = node.cpu_seconds() - cpu
        million = seen["points"] / 1e6
        return (seen["points"] / seen["seconds"], cpu / million, seen["load_cpu_seconds"] / million,
                seen["bytes"] / (seen["points"] / points))


def measure(data, points, rounds):
    plain, curve = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="cityhall-bench-") as folder:
            settings, key_file = keys(folder)
            plain.append(run(data, points, None, None))
            curve.append(run(data, points, settings, key_file))
    a, b = ([statistics.median(column) for column in zip(*rows)] for rows in (plain, curve))
    cost = 100 * (1 - b[0] / a[0])
    return ["%d KiB" % (a[3] / 1024), "%.1f" % (a[0] / 1e6), "%.1f" % (b[0] / 1e6), "%.0f %%" % cost,
            "yes" if cost <= REACH else "NO", "%.3f" % a[1], "%.3f" % b[1], "%.3f" % a[2], "%.3f" % b[2]]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench security", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny data: shows that everything runs, no figures")
    options = parser.parse_args()
    servers.end_orderly()
    print(report.machine() + "\n", flush=True)
    data, sizes, rounds = (load.TINY, (100,), 1) if options.quick else (load.DEVOPS, SIZES, options.rounds)
    rows = [measure(data, points, rounds) for points in sizes]
    report.table(["frame", "plain, M points/s", "CURVE", "costs", "<= %d %%" % REACH, "server CPU s/M", "CURVE",
                  "load CPU s/M", "CURVE"], rows)


if __name__ == "__main__":
    main()
