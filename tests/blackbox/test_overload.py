"""When what may wait to be durable is spent, ingest is not read: producers feel it, acks say pending, it goes on by itself, and
nothing that was acknowledged is lost."""

import time
import unittest

import zmq

from harness import NodeTest, ext_f64, pack

T = 1_700_000_000_000_000_000
POINTS = 20000
BATCHES = 180  # 29 MB on the wire; the window takes 8 MiB, queues some more: also twice that, should a sync fall amid


class Overload(NodeTest):
    settings = {"wal.sync": "interval:2s", "engine.memtable_bytes": "64MiB"}

    def frame(self, seq):
        # Noise: a log record as large as the frame.
        values = ext_f64([((seq * POINTS + i) * 0.7368062997) % 1.0 for i in range(POINTS)])
        return pack({"producer": "p", "epoch": 1, "seq": seq,
                     "series": [["m", {"start": T + seq * POINTS, "step": 1}, values]]})

    def push_all(self, push, frames):
        """Seconds that a push had to wait, at most; what acks said of the batch before while it waited."""
        longest, said = 0.0, []
        for seq, frame in enumerate(frames, 1):
            begin = time.monotonic()
            while not push.poll(100, zmq.POLLOUT):
                self.assertLess(time.monotonic() - begin, 60, "the node does not read any more")
                said.append(self.ok("ack", producer="p", epoch=1, seq=seq - 1, wait_ms=0)["state"])
            push.send(frame)
            longest = max(longest, time.monotonic() - begin)
        return longest, said

    def test_a_spent_window_holds_producers_back_and_loses_nothing(self):
        frames = [self.frame(seq) for seq in range(1, BATCHES + 1)]
        push = self.context.socket(zmq.PUSH)
        self.addCleanup(push.close, 0)
        push.linger, push.sndhwm = 0, 2
        push.setsockopt(zmq.SNDBUF, 256 << 10)
        push.connect(self.node.endpoints["ingest"])
        before = self.ok("stats")["stats"]["wal.syncs"]
        longest, said = self.push_all(push, frames)
        print("held back for %.2f s, %d acks meanwhile" % (longest, len(said)))
        self.assertIn("pending", said)
        stats = self.ok("stats")["stats"]
        self.assertGreater(stats["ingest.stalls"], 0, "ingest was read all the time")
        self.assertLess(stats["wal.pending_bytes"], 2 * stats["wal.window_bytes"])
        self.assertGreater(longest, 0.2, "the producer felt nothing")
        reply = self.ok("ack", producer="p", epoch=1, seq=BATCHES, wait_ms=25000)
        self.assertEqual((reply["state"], reply["durable"]), ("ok", BATCHES))
        self.assertGreater(self.ok("stats")["stats"]["wal.syncs"], before)
        self.node.kill()
        self.restart()
        result = self.ok("query", query="count_over_time(m[1h])", time=T + 10**9)["result"]
        _, _, values = result[0]
        self.assertEqual(values, ext_f64([BATCHES * POINTS]))


if __name__ == "__main__":
    unittest.main()
