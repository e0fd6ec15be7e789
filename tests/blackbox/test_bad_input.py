"""Whatever bytes come on whatever socket: the node stays up, its memory stays bounded, every request
gets a reply, and well-formed traffic goes on."""

import os
import random
import socket
import struct
import unittest

import msgpack
import zmq

from harness import Client, NodeTest, pack, sanitizer_bytes, unpack

T = 1_700_000_000_000_000_000
SEED = int(os.environ.get("CH_TEST_SEED", random.SystemRandom().randrange(2**32)))

# Claims of sizes that are not there, nesting without end, truncation.
HOSTILE = [
    b"",
    b"\x00",
    b"\xc1",
    b"\xff" * 64,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdd\x20\x00\x00\x00" * 32,
    b"\x91" * 100000,
    b"\x81\xa1v" * 5000,
    b"\xdb\xff\xff\xff\xff" + b"x" * 20,
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x81\xa6series\xdd\x7f\xff\xff\xff",
    b"\x81\xa6points\x91\x93\xa1m\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    pack({"v": 2, "points": []}),
    pack({"points": [["m", T, 1]]}) + b"trailing",
    pack([1, 2, 3]),
    pack({"tables": [{"name": "t", "labels": [], "fields": [], "rows": 7, "times": T, "values": []}]}),
    pack({"series": [["s", msgpack.ExtType(1, b"1234567"), msgpack.ExtType(2, b"12345678")]]}),
    pack({"series": [["s", {"start": 0, "step": 1}, msgpack.ExtType(77, b"12345678")]]}),
]


class BadInput(NodeTest):
    settings = {"log.level": "info"}

    def stats(self):
        return self.ok("stats")["stats"]

    def assert_serving(self, name):
        """A batch goes in and comes out: the node is undamaged. Its ack orders what came before."""
        producer = self.producer(name)
        producer.batch(1, points=[["probe", T, name]])
        self.assert_durable(producer, 1)
        self.assertEqual(self.ok("get", key="probe")["value"], name)
        producer.close()

    def push_until(self, counter, wanted, push):
        """PUSH tells nothing: look at the counter until all have arrived."""
        push()
        for _ in range(2000):
            if self.stats()[counter] >= wanted:
                return
            self.ok("ack", producer="nobody", epoch=1, seq=1, wait_ms=10)
        self.fail("%s stays below %d: %r" % (counter, wanted, self.stats()[counter]))

    def test_garbage_on_ingest_is_counted_and_survived(self):
        producer = self.producer()
        frames = [f for f in HOSTILE if f]

        def push():
            for frame in frames:
                producer.raw(frame)

        self.push_until("ingest.messages", len(frames), push)
        stats = self.stats()
        refused = stats["ingest.undecodable"] + stats["ingest.rejected_invalid"]
        self.assertEqual(refused + stats["ingest.rejected_limit"], len(frames), stats)
        self.assertEqual(stats["ingest.points"], 0)
        self.assert_serving("after-garbage")

    def test_random_and_mutated_frames(self):
        print("seed", SEED)
        rng = random.Random(SEED)
        whole = pack({"producer": "m", "epoch": 1, "seq": 1, "points": [["a", T, 1], ['b{c="d"}', T, "x"]]})
        frames = [rng.randbytes(rng.randrange(1, 200)) for _ in range(500)]
        for _ in range(1500):
            frame = bytearray(whole)
            for _ in range(rng.randrange(1, 4)):
                frame[rng.randrange(len(frame))] = rng.randrange(256)
            frames.append(bytes(frame[: rng.randrange(1, len(frame) + 1)]))
        producer = self.producer()
        self.push_until("ingest.messages", len(frames), lambda: [producer.raw(f) for f in frames])
        for frame in frames:
            self.client.send_frames([b"", frame])
        for _ in frames:
            self.assertIn("ok", self.client.receive())
        self.assert_serving("after-mutations")

    def test_multipart_messages_are_refused_whole(self):
        producer = self.producer()
        good = pack({"points": [["multi", T, 1]]})

        def push():
            producer.raw(good, good)
            producer.raw(good, b"")
            producer.raw(*[b"x" * 1000] * 200)

        self.push_until("ingest.multipart", 3, push)
        self.assertEqual(self.stats()["ingest.multipart"], 3)
        self.assertFalse(self.ok("get", key="multi")["found"])
        self.assert_serving("after-multipart")

    def test_identified_batches_above_the_limits_are_consumed(self):
        producer = self.producer("big")
        producer.batch(1, points=[["m", T, "x" * 60000]] * 80)  # 4.8 MB: above 4 MiB, below 8 MiB
        producer.batch(2, points=[["m", T, "x" * 65537]])
        producer.batch(3, series=[["m", {"start": T, "step": 1}, [1] * 100001]])
        producer.batch(4, points=[["k" * 1025, T, 1]])
        producer.batch(5, points=[["m", T, 2**63]])
        producer.batch(6, points=[["m", T, 1]])
        rejects = self.assert_durable(producer, 6)["rejects"]
        self.assertEqual([r["seq"] for r in rejects], [1, 2, 3, 4, 5], rejects)
        codes = [r["code"] for r in rejects]
        self.assertEqual((codes[0], codes[2], codes[3]), ("limit", "limit", "limit"), rejects)

    def test_beyond_twice_the_limit_the_peer_is_disconnected(self):
        raw = self.context.socket(zmq.PUSH)
        raw.linger = 0
        monitor = raw.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self.addCleanup(monitor.close, 0)
        raw.connect(self.node.endpoints["ingest"])
        raw.send(b"\x81" * (9 << 20))
        self.assertTrue(monitor.poll(30000), "the peer was not disconnected")
        raw.disable_monitor()
        raw.close(0)
        self.assert_serving("after-oversize")

    def test_oversized_requests_disconnect_only_their_peer(self):
        other = self.connect()
        raw = self.context.socket(zmq.DEALER)
        raw.linger = 0
        monitor = raw.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self.addCleanup(monitor.close, 0)
        raw.connect(self.node.endpoints["query"])
        raw.send_multipart([b"", b"x" * ((1 << 20) + 1)])
        self.assertTrue(monitor.poll(30000), "the peer was not disconnected")
        raw.disable_monitor()
        raw.close(0)
        self.assertTrue(other.request("ping")["ok"])

    def bad_request(self, frames):
        self.client.send_frames(frames)
        reply = self.client.receive()
        self.assertFalse(reply["ok"])
        self.assertEqual(reply["error"]["code"], "bad_request", reply)
        self.assertIn("id", reply)
        return reply

    def test_every_broken_request_gets_a_reply(self):
        for frame in HOSTILE:
            self.bad_request([b"", frame])
        ping = pack({"op": "ping", "id": 1})
        self.bad_request([ping])
        self.bad_request([b"x", ping])
        self.bad_request([b"", ping, ping])
        self.bad_request([b"", ping, b""])
        self.bad_request([b"", b""])
        self.bad_request([b""])
        self.bad_request([b"", b"", ping])
        self.bad_request([b""] * 500)
        self.bad_request([b"", pack({"id": 3})])
        self.assertEqual(self.bad_request([b"", pack({"id": 3, "op": 7})])["id"], 3)
        self.bad_request([b"", pack({"op": "ack", "producer": "a b", "epoch": 1, "seq": 1})])
        self.bad_request([b"", pack({"op": "ack", "producer": "p", "epoch": 0, "seq": 1})])
        self.bad_request([b"", pack({"op": "get", "key": "a{"})])
        self.bad_request([b"", pack({"op": "get"})])
        self.error("unknown_op", "x" * 1000)
        self.assertTrue(self.ok("ping"))

    def test_a_req_socket_is_answered_after_garbage(self):
        request = self.context.socket(zmq.REQ)
        request.linger = 0
        request.connect(self.node.endpoints["query"])
        for frame in (b"garbage", b"", b"\xc1"):
            request.send(frame)
            self.assertTrue(request.poll(30000))
            self.assertEqual(unpack(request.recv())["error"]["code"], "bad_request")
        request.send_multipart([pack({"op": "ping"}), b"second"])
        self.assertTrue(request.poll(30000))
        self.assertEqual(unpack(request.recv())["error"]["code"], "bad_request")
        request.send(pack({"op": "ping"}))
        self.assertTrue(request.poll(30000))
        self.assertIsNone(unpack(request.recv())["id"])
        request.close(0)

    def test_bytes_that_are_no_zmtp(self):
        for name in ("ingest", "query"):
            host, port = self.node.endpoints[name][len("tcp://") :].rsplit(":", 1)
            for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1000, b"\x00", os.urandom(4096)):
                with socket.create_connection((host, int(port)), timeout=30) as plain:
                    try:
                        plain.sendall(data)
                        plain.shutdown(socket.SHUT_WR)
                        while plain.recv(4096):
                            pass
                    except OSError:
                        pass  # the node hung up first
        self.assert_serving("after-noise")

    def zmtp(self, name, kind):
        """A peer of our own making: ZMTP 3.0, NULL, with whatever frames we like."""
        host, port = self.node.endpoints[name][len("tcp://") :].rsplit(":", 1)
        peer = socket.create_connection((host, int(port)), timeout=30)
        self.addCleanup(peer.close)
        peer.sendall(b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
        ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
        peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
        greeting = b""
        while len(greeting) < 66:
            greeting += peer.recv(66 - len(greeting))
        return peer

    def test_a_message_without_end_is_cut(self):
        """libzmq shows no frame of a message before its last: what it gathers must be bounded."""
        self.assert_serving("before-endless")
        before = self.node.rss_bytes()
        frame = b"\x03" + struct.pack(">Q", 1000000) + bytes(1000000)  # "more", long
        for name, kind in (("ingest", b"PUSH"), ("query", b"DEALER")):
            peer = self.zmtp(name, kind)
            with self.assertRaises(OSError, msg=name + ": 3 GB were taken"):
                for _ in range(3000):
                    peer.sendall(frame)
        self.assertLess(self.node.rss_bytes() - before, (1 << 30) + sanitizer_bytes())
        self.assertEqual(self.stats()["intake.disconnected"], 2)
        self.assert_serving("after-endless")

    def test_claims_do_not_become_memory(self):
        self.assert_serving("warm")
        before = self.node.rss_bytes()
        producer = self.producer()
        claims = [f for f in HOSTILE if len(f) < 64 and f] * 300
        sent = self.stats()["ingest.messages"] + len(claims)
        self.push_until("ingest.messages", sent, lambda: [producer.raw(f) for f in claims])
        for frame in claims:
            self.client.send_frames([b"", frame])
        for _ in claims:
            self.client.receive()
        self.assertLess(self.node.rss_bytes() - before, (64 << 20) + sanitizer_bytes())
        self.assert_serving("after-claims")

    def test_a_client_that_does_not_read_costs_bounded_memory(self):
        producer = self.producer("fat")
        values = msgpack.ExtType(2, struct.pack("<90000d", *range(90000)))
        producer.batch(1, series=[["fat", {"start": T, "step": 1}, values]])
        self.assert_durable(producer, 1)
        self.ok("read", match="fat")
        before = self.node.rss_bytes()
        deaf = Client(self.context, self.node.endpoints["query"])
        deaf.socket.rcvhwm = 1
        for _ in range(400):  # 1.4 MB each: 580 MB if all were kept
            deaf.send("read", match="fat")
        answered = 0
        for _ in range(6000):
            answered = self.stats()["request.read.us"]["count"]
            if answered > 400:
                break
            self.ok("ack", producer="nobody", epoch=1, seq=1, wait_ms=10)
        self.assertGreater(answered, 400)
        grown = self.node.rss_bytes() - before
        self.assertLess(grown, (160 << 20) + sanitizer_bytes(), "grew by %d MiB" % (grown >> 20))
        deaf.close()
        self.assert_serving("after-deaf")


if __name__ == "__main__":
    unittest.main()
