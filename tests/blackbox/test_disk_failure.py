"""Promise P8 from outside: when the log cannot be written, who waits is told `internal`, the node
ends with code 74, and nothing that was acked is lost."""

import resource
import unittest

from harness import NodeTest, key

T = 1_700_000_000_000_000_000


class DiskFailure(NodeTest):
    def forbid_writes(self):
        """Every write to a file fails from now on, with EFBIG."""
        resource.prlimit(self.node.process.pid, resource.RLIMIT_FSIZE, (0, 0))

    def test_a_failed_write_ends_the_node_with_74(self):
        producer = self.producer("p")
        for seq in range(1, 21):
            producer.batch(seq, points=[["kept", T + seq, seq]])
        self.assert_durable(producer, 20)
        wanted = self.client.send("ack", producer="p", epoch=1, seq=21, wait_ms=60000)
        self.assertTrue(self.connect().request("ping")["ok"])
        self.forbid_writes()
        producer.batch(21, points=[["lost", T, 1]])
        reply = self.client.receive()
        self.assertEqual((reply["id"], reply["ok"]), (wanted, False), reply)
        self.assertEqual(reply["error"]["code"], "internal")
        self.assertEqual(self.node.process.wait(timeout=30), 74, self.node.log.text())
        self.node.log.join(timeout=30)
        self.assertIn("event=failed", self.node.log.text())
        self.restart()
        self.assertEqual(self.read_all("kept")[key("kept")], [(T + s, s) for s in range(1, 21)])
        producer = self.producer("p")
        producer.batch(21, points=[["found", T, 1]])
        self.assert_durable(producer, 21)
        self.assertFalse(self.ok("get", key="lost")["found"])


if __name__ == "__main__":
    unittest.main()
