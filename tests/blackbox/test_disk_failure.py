"""Promise P8 from outside: when the log cannot be written, who waits is told `internal`, the node
ends with code 74, and nothing that was acked is lost."""

import os
import resource
import socket
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
        self.assertEqual(self.node.process.wait(timeout=90), 74, self.node.log.text())
        self.node.log.join(timeout=30)
        self.assertIn("event=failed", self.node.log.text())
        self.restart()
        self.assertEqual(self.read_all("kept")[key("kept")], [(T + s, s) for s in range(1, 21)])
        producer = self.producer("p")
        producer.batch(21, points=[["found", T, 1]])
        self.assert_durable(producer, 21)
        self.assertFalse(self.ok("get", key="lost")["found"])

    def test_connections_that_use_up_the_descriptors_only_delay(self):
        """Promise P10: who connects too often holds writes up, and cannot end the node."""
        producer = self.producer("p")
        producer.batch(1, points=[["a", T, 1]])
        self.assert_durable(producer, 1)
        used = len(os.listdir("/proc/%d/fd" % self.node.process.pid))
        few = (used + 8, used + 8)
        resource.prlimit(self.node.process.pid, resource.RLIMIT_NOFILE, few)
        host, port = self.node.endpoints["ingest"][len("tcp://"):].split(":")
        idle = [socket.create_connection((host, int(port)), timeout=30) for _ in range(40)]
        self.ok("seal")  # the next batch wants a new file
        producer.batch(2, points=[["a", T + 1, 2]])
        self.node.log.wait_for("Too many open files")
        held = self.ack(producer, 2, wait_ms=50)
        self.assertEqual(held["state"], "pending", held)
        self.assertEqual(held["reason"], "no room for files, see the node's log")
        for connection in idle:
            connection.close()
        self.node.log.wait_for("event=disk_has_room")
        producer.batch(2, points=[["a", T + 1, 2]])
        self.assert_durable(producer, 2)
        self.assertEqual(self.node.terminate(), 0)

    def test_one_descriptor_is_enough_for_a_new_segment(self):
        """Its file takes it; the directory that its name is synced in was opened before."""
        producer = self.producer("p")
        producer.batch(1, points=[["a", T, 1]])
        self.assert_durable(producer, 1)
        self.ok("ping")
        for seq in range(2, 12):
            self.ok("seal")  # the next batch wants a new file
            self.leave_descriptors(1)
            reply = None
            while not reply or reply["state"] != "ok":  # who makes files ready may be quicker
                producer.batch(seq, points=[["a", T + seq, seq]])
                reply = self.ack(producer, seq, wait_ms=500)
                self.assertTrue(self.node.alive(), self.node.log.text())
        self.leave_descriptors(16)  # a stop flushes: a table's file beside the log's
        self.assertEqual(self.node.terminate(), 0, self.node.log.text())

    def leave_descriptors(self, count):
        """The node can open that many more files."""
        used = {int(fd) for fd in os.listdir("/proc/%d/fd" % self.node.process.pid)}
        free = [fd for fd in range(len(used) + count + 1) if fd not in used]
        resource.prlimit(self.node.process.pid, resource.RLIMIT_NOFILE,
                         (free[count - 1] + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


if __name__ == "__main__":
    unittest.main()
