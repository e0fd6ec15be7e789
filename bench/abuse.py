#!/usr/bin/python3
"""abuse [--seconds N] [--rate N] [--quick]

A healthy producer at a steady rate, alone and beside each abuser (tests/support/abuse.py), on a node of its own for
each with engine.memory_limit of 256 MiB: what is left of its rate, and the most memory the node had.
"""

import argparse
import contextlib
import os
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
sys.path.insert(0, os.path.join(ROOT, "tests/blackbox"))
os.environ.setdefault("CH_BIN_DIR", os.path.join(ROOT, "build/release/bin"))
import zmq  # noqa: E402

import abuse  # noqa: E402
import harness  # noqa: E402
from rig import report  # noqa: E402

LIMIT_MIB = 256
ABUSERS = [("cardinality bomb", abuse.CardinalityBomb), ("flood of large batches", abuse.Flood),
           ("slow reader of 1 GB", abuse.SlowReader), ("storm of queries over everything", abuse.QueryStorm),
           ("messages without end", abuse.Endless), ("5,000 idle connections", lambda e: abuse.Idle(e, 5000))]


def peak_rss(node, over, seen):
    while not over.wait(0.02):
        with contextlib.suppress(OSError, AssertionError):
            seen[0] = max(seen[0], node.rss_bytes())


def load_fat(node, context):
    """450,000 points that slow readers and queries ask for."""
    producer = harness.Producer(context, node.endpoints["ingest"], "fat")
    for seq in range(1, 6):
        producer.batch(seq, series=[["fat", {"start": abuse.T + seq * 90000, "step": 1}, harness.ext_f64(range(90000))]])
    client = harness.Client(context, node.endpoints["query"])
    client.request("ack", producer="fat", epoch=1, seq=5, wait_ms=20000)
    client.close()
    producer.close()


def measure(title, abuser, options):
    context = zmq.Context()
    node = harness.Node(settings={"engine.memory_limit": "%dMiB" % LIMIT_MIB, "limits.query_timeout": "10s"})
    try:
        node.start()
        load_fat(node, context)
        seen, over = [0], threading.Event()
        thread = threading.Thread(target=peak_rss, args=(node, over, seen), daemon=True)
        thread.start()
        healthy = abuse.HealthyProcess(node.endpoints, options.rate)
        healthy.points(0.5)
        alone = healthy.points(options.seconds) / options.seconds
        with abuser(node.endpoints):
            healthy.points(options.seconds)  # until it has done what it can
            beside = healthy.points(options.seconds) / options.seconds
        healthy.close()
        over.set()
        thread.join()
        return [title, "%d" % alone, "%d" % beside, "%.0f %%" % (100 * beside / alone), "%d" % (seen[0] >> 20),
                "yes" if node.alive() else "NO"]
    finally:
        node.close()
        context.destroy(0)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench abuse", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (3)")
    parser.add_argument("--rate", type=float, default=100, help="healthy batches of 1,000 points a second; 0: all it can")
    parser.add_argument("--quick", action="store_true", help="one abuser for a moment: shows that everything runs")
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.rate = 0.3, 10
    print(report.machine() + "\n")
    rows = [measure(title, abuser, options) for title, abuser in (ABUSERS[1:2] if options.quick else ABUSERS)]
    report.table(["beside", "alone, points/s", "beside, points/s", "kept", "peak RSS MiB of %d" % LIMIT_MIB,
                  "alive"], rows)


if __name__ == "__main__":
    main()
