"""Promise P8 with a whole node: a disk of 64 MiB that fills again and again. Writes stop with `pending` and a
reason, reads are answered all the while, writes go on by themselves when there is room, and nothing
acked is lost, also when the node is killed while the disk is full.

The disk is a tmpfs in a mount namespace of its own, kept alive by a process that waits; the node and the
test reach it through that process's /proc/<pid>/root. Needs root.
"""

import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest

import zmq

from harness import Node, NodeTest, key

T = 1_700_000_000_000_000_000
SEED = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().randrange(2**32)))
LONG = os.environ.get("CH_TEST_LONG") == "1"
DISKS = 4 if LONG else 1
FILLINGS = 25 if LONG else 6  # of each disk
MIB = 1 << 20
DISK_BYTES = 64 * MIB
TEXT = "x" * 10000  # long in the log, short in a table: what fills the disk goes away with a flush
TEXTS = 20  # a batch: 200 KB ...
NOISE_BYTES = 16384  # ... and this, which a table cannot shorten: so it is full at last
BATCHES_MAX = 400  # that fit, at the very most, into what is left
ROOM_S = 30  # until writes go on


class Disk:
    """A small disk of its own; `root` is its folder. Raises OSError where that is not permitted."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="cityhall-disk-")
        self.holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c",
             'mount -t tmpfs -o size=%d none "$0" && echo ready && exec cat' % DISK_BYTES, self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.root = "/proc/%d/root%s" % (self.holder.pid, self.folder)
        if self.holder.stdout.readline() != b"ready\n":
            why = self.holder.stderr.read().decode().strip()
            self.close()
            raise OSError(why)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(timeout=30)
        self.holder.stdout.close()
        self.holder.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def free(self):
        about = os.statvfs(self.root)
        return about.f_bavail * about.f_bsize

    def fill(self, leave):
        """Somebody else's file takes all but `leave` bytes."""
        with open(os.path.join(self.root, "filler"), "wb", buffering=0) as file:
            try:
                for _ in range(max(0, self.free() - leave) // MIB):
                    file.write(bytes(MIB))
            except OSError:  # the node took some of it meanwhile: full it is
                pass

    def make_room(self):
        os.unlink(os.path.join(self.root, "filler"))


class SmallDisk(NodeTest):
    def setUp(self):
        print("seed", SEED)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)
        self.start_on_new_disk()

    def start_on_new_disk(self):
        try:
            self.disk = Disk()
        except OSError as error:
            self.skipTest("a mount namespace with a small disk is not permitted here: %s" % error)
        self.addCleanup(self.disk.close)
        self.node = Node(data=os.path.join(self.disk.root, "data"),
                         settings={"wal.segment_bytes": "1MiB", "engine.memtable_bytes": "4MiB"})
        self.addCleanup(self.node.close)
        self.node.start()
        self.client = self.connect()
        self.acked = 0
        self.rng = random.Random(SEED)

    def push(self, producer, seq):
        producer.batch(seq, points=[["n", T + seq, seq]] + [
            ['text{i="%d"}' % i, T + seq, TEXT] for i in range(TEXTS)] + [
            ["noise", T + seq, self.rng.randbytes(NOISE_BYTES)]])

    def push_until_full(self, producer):
        """Batches go in until the answer is that there is no room."""
        for _ in range(BATCHES_MAX):
            self.push(producer, self.acked + 1)
            reply = self.ack(producer, self.acked + 1, wait_ms=1000)
            self.assertGreaterEqual(reply["durable"], self.acked)
            self.assertEqual(reply["rejects"], [])
            self.acked = reply["durable"]
            if reply["state"] == "pending" and "reason" in reply:
                return reply
            self.assertIn(reply["state"], ("ok", "pending"), reply)
        self.fail("%d batches fit: %d bytes are free" % (BATCHES_MAX, self.disk.free()))

    def push_until_taken(self, producer):
        """There is room: who sends again is served, without anybody's help."""
        end = time.monotonic() + ROOM_S
        goal = self.acked + 1
        while self.acked < goal:
            self.assertLess(time.monotonic(), end, "no write goes on:\n" + self.node.log.text()[-2000:])
            self.push(producer, goal)
            reply = self.ack(producer, goal, wait_ms=500)
            self.assertGreaterEqual(reply["durable"], self.acked)
            self.acked = reply["durable"]

    def check_reads(self):
        """Everything acked is there, and nothing else but what may be on its way."""
        times = {at - T: value for at, value in self.read_all("n").get(key("n"), [])}
        self.assertEqual(times, {n: n for n in range(1, len(times) + 1)})
        self.assertGreaterEqual(len(times), self.acked)
        if self.acked:
            reply = self.ok("get", key='text{i="%d"}' % (TEXTS - 1), time=T + self.acked)
            self.assertEqual((reply["time"] - T, reply["value"]), (self.acked, TEXT))
        self.assertTrue(self.ok("query", query="count(n)", time=T + max(1, len(times)))["result"])

    def fill_once(self, producer, kill):
        self.push_until_taken(producer)
        self.disk.fill(leave=self.rng.randrange(MIB))
        reply = self.push_until_full(producer)
        self.assertEqual(reply["reason"], "disk full")
        self.assertEqual(reply["expected"], reply["durable"] + 1)
        for _ in range(3):
            self.check_reads()
        self.assertTrue(self.node.alive())
        if kill:
            self.node.kill()
        self.disk.make_room()
        if kill:
            self.restart()
            producer = self.producer("p")
        self.push_until_taken(producer)
        self.check_reads()
        return producer

    def test_writes_wait_for_room_and_go_on(self):
        for disk in range(DISKS):
            if disk:
                self.node.close()
                self.start_on_new_disk()
            producer = self.producer("p")
            for filling in range(FILLINGS):
                producer = self.fill_once(producer, kill=filling % 3 == 2)
            print("filled %d times, %d batches acked" % (FILLINGS, self.acked))
            self.assertEqual(self.node.terminate(), 0)
            self.restart()
            self.check_reads()


if __name__ == "__main__":
    unittest.main()
