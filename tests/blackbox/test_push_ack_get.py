"""Every shape of a batch goes in through the sockets and comes back bit for bit; every state of an
acknowledgement can be reached and is what docs/protocol.md says."""

import math
import struct
import unittest

import msgpack

from harness import NodeTest, bits, column, ext_f64, ext_i64, key

T = 1_700_000_000_000_000_000
S = 1_000_000_000


class Shapes(NodeTest):
    def check(self, expected, match='{__name__=~".+"}'):
        found = self.read_all(match)
        self.assertEqual(set(found), set(expected))
        for series, points in expected.items():
            self.assertEqual(
                [(t, bits(v)) for t, v in found[series]], [(t, bits(v)) for t, v in points], series
            )

    def store(self, **fields):
        producer = self.producer("shapes")
        producer.batch(1, **fields)
        self.assert_durable(producer, 1)

    def test_points_keep_type_and_bits(self):
        odd_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))[0]
        stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0_0000_0000_0002))[0]
        values = [0.0, -0.0, 1.5, math.inf, -math.inf, odd_nan, stale, 5e-324]
        values += [0, -1, 2**63 - 1, -(2**63), True, False, "", "text", "ü\x00\u2603", b"\xff\xfe"]
        points = [["mixed", T + i, v] for i, v in enumerate(values)]
        self.store(points=points)
        self.check({key("mixed"): [(T + i, v) for i, v in enumerate(values)]})

    def test_points_of_many_series_and_key_forms(self):
        self.store(
            points=[
                ['http{code="200",method="get"}', T, 1.0],
                ['http{method="get",code="200"}', T + S, 2.0],
                [{"__name__": "http", "method": "get", "code": "200", "gone": ""}, T + 2 * S, 3.0],
                ['q{a="\\"\\\\\\n"}', T, 4],
                ["system.cpu.load", T, 0.5],
                ["system.cpu.load", msgpack.Timestamp(T // S, T % S + 7), 0.25],
            ]
        )
        self.check(
            {
                key("http", code="200", method="get"): [(T, 1.0), (T + S, 2.0), (T + 2 * S, 3.0)],
                key("q", a='"\\\n'): [(T, 4)],
                key("system.cpu.load"): [(T, 0.5), (T + 7, 0.25)],
            }
        )

    def test_rows_become_one_series_a_field(self):
        self.store(
            rows=[
                ["disk", {"host": "a"}, T, {"used": 10, "free": 2.5, "none": None}],
                ["disk", {"host": "b"}, T, {"used": 11, "state": "ok"}],
            ]
        )
        self.check(
            {
                key("disk_used", host="a"): [(T, 10)],
                key("disk_free", host="a"): [(T, 2.5)],
                key("disk_used", host="b"): [(T, 11)],
                key("disk_state", host="b"): [(T, "ok")],
            }
        )

    def test_series_take_every_form_of_columns(self):
        times = [T + i * S for i in range(5)]
        floats, ints = [0.1 * i for i in range(5)], [i - 2 for i in range(5)]
        self.store(
            series=[
                ["packed_f", ext_i64(times), ext_f64(floats)],
                ["packed_i", ext_i64(times), ext_i64(ints)],
                ["lists", times, [1, 2.0, "three", True, 5]],
                ["regular", {"start": T, "step": S}, ext_f64(floats)],
                ["unsorted", ext_i64(times[::-1]), ext_i64(ints)],
            ]
        )
        self.check(
            {
                key("packed_f"): list(zip(times, floats)),
                key("packed_i"): list(zip(times, ints)),
                key("lists"): list(zip(times, [1, 2.0, "three", True, 5])),
                key("regular"): list(zip(times, floats)),
                key("unsorted"): list(zip(times, ints[::-1])),
            }
        )

    def test_tables_name_labels_once(self):
        self.store(
            tables=[
                {
                    "name": "cpu",
                    "labels": ["host", "core"],
                    "fields": ["user", "idle"],
                    "rows": [["a", "0"], ["a", "1"], ["b", None]],
                    "times": T,
                    "values": [ext_f64([1.0, 2.0, 3.0]), [10, None, 30]],
                }
            ]
        )
        self.check(
            {
                key("cpu_user", host="a", core="0"): [(T, 1.0)],
                key("cpu_user", host="a", core="1"): [(T, 2.0)],
                key("cpu_user", host="b"): [(T, 3.0)],
                key("cpu_idle", host="a", core="0"): [(T, 10)],
                key("cpu_idle", host="b"): [(T, 30)],
            }
        )

    def test_the_last_of_equal_times_wins(self):
        producer = self.producer("shapes")
        producer.batch(1, points=[["m", T, 1], ["m", T, 2], ["m", T + 1, 3]], series=[["m", [T], [9]]])
        producer.batch(2, points=[["m", T + 1, 4.0]])
        self.assert_durable(producer, 2)
        self.check({key("m"): [(T, 9), (T + 1, 4.0)]})

    def test_answers_survive_flush_restart_and_paging(self):
        count = 5000
        times = [T + i * S for i in range(count)]
        producer = self.producer("shapes")
        producer.batch(1, series=[["long", ext_i64(times), ext_f64([i / 7 for i in range(count)])]])
        self.assert_durable(producer, 1)
        expected = [(t, i / 7) for i, t in enumerate(times)]
        flushed = self.ok("flush")
        self.assertGreaterEqual(flushed["lsn"], 1)
        producer.batch(2, points=[["long", T, -1.0]])
        self.assert_durable(producer, 2)
        expected[0] = (T, -1.0)
        self.assertEqual(self.read_all("long", limit=333)[key("long")], expected)
        self.node.kill()
        self.restart()
        self.assertEqual(self.read_all("long")[key("long")], expected)

    def test_answers_survive_merges_of_tables(self):
        producer = self.producer("merged")
        week = 7 * 24 * 3600 * S
        expected = {}
        for i in range(5):
            times = [T + i * 300 * S + j * S for j in range(600)]
            producer.batch(2 * i + 1, series=[["merged", ext_i64(times), ext_f64([i + j / 8 for j in range(600)])]])
            producer.batch(2 * i + 2, points=[["merged", T - week, float(i)]])
            self.assert_durable(producer, 2 * i + 2)
            expected.update({t: i + j / 8 for j, t in enumerate(times)})
            expected[T - week] = float(i)
            self.ok("flush")
        lsn = self.ok("compact", timeout_ms=30000)["lsn"]
        self.assertEqual(lsn, self.ok("ping")["lsn"])
        stats = self.ok("stats")["stats"]
        self.assertEqual(stats["sst.tables"], stats["sst.tables_3"])
        self.assertEqual(stats["sst.points"], len(expected))
        self.assertGreaterEqual(stats["compaction.count"], 1)
        self.assertEqual(self.read_all("merged")[key("merged")], sorted(expected.items()))
        self.assertEqual(self.ok("compact")["lsn"], lsn)  # nothing to do
        self.node.kill()
        self.restart()
        self.assertEqual(self.read_all("merged")[key("merged")], sorted(expected.items()))

    def test_fire_and_forget_is_stored(self):
        self.producer().push(points=[["anonymous", T, 1]])
        reply = {"found": False}
        for _ in range(200):
            reply = self.ok("get", key="anonymous")
            if reply["found"]:
                break
            self.ok("ack", producer="nobody", epoch=1, seq=1, wait_ms=50)
        self.assertEqual((reply["found"], reply["time"], reply["value"]), (True, T, 1))


class Reads(NodeTest):
    def setUp(self):
        super().setUp()
        producer = self.producer("reads")
        points = [['m{i="%d"}' % i, T + i * S, float(i)] for i in range(10)]
        producer.batch(1, points=points + [["text", T, "words"]])
        self.token = self.assert_durable(producer, 1)

    def test_get_finds_the_newest_at_or_before(self):
        reply = self.ok("get", key='m{i="3"}')
        self.assertEqual((reply["found"], reply["time"], reply["value"]), (True, T + 3 * S, 3.0))
        self.assertFalse(self.ok("get", key='m{i="3"}', time=T + 3 * S - 1)["found"])
        self.assertTrue(self.ok("get", key='m{i="3"}', time=T + 3 * S)["found"])
        self.assertFalse(self.ok("get", key="nothing")["found"])
        self.assertEqual(self.ok("get", key="text")["value"], "words")

    def worked(self):
        return self.ok("stats")["stats"]["query.worked"]

    def test_a_get_reads_tables_in_a_worker_and_remembers(self):
        """No cold read in the thread that answers acks: the first get after a restart goes to a worker."""
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        before = self.worked()
        newest = self.ok("get", key='m{i="3"}')
        self.assertTrue(newest["found"])
        self.assertEqual(self.worked(), before + 1)
        again = self.ok("get", key='m{i="3"}')
        self.assertEqual((again["time"], again["value"]), (newest["time"], newest["value"]))
        self.assertFalse(self.ok("get", key="unheard_of")["found"])
        self.assertEqual(self.worked(), before + 1)
        self.assertTrue(self.ok("get", key='m{i="3"}', time=newest["time"])["found"])
        self.assertEqual(self.worked(), before + 2)

    def test_series_labels_and_label_values(self):
        found = self.ok("series", match="m")["series"]
        self.assertEqual(found, [{"__name__": "m", "i": str(i)} for i in range(10)])
        self.assertEqual(len(self.ok("series", match="m", limit=4)["series"]), 4)
        self.assertEqual(self.ok("labels")["values"], ["__name__", "i"])
        self.assertEqual(self.ok("label_values", label="__name__")["values"], ["m", "text"])
        values = self.ok("label_values", label="i", match='m{i=~"[1-3]"}')["values"]
        self.assertEqual(values, ["1", "2", "3"])

    def test_read_bounds_are_half_open(self):
        found = self.read_all("m", start=T + 2 * S, end=T + 5 * S)
        self.assertEqual(sorted(k[1][1] for k in found), ["2", "3", "4"])

    def test_a_read_larger_than_a_reply_comes_in_pages(self):
        producer = self.producer("many")
        count, batches = 90000, 8
        for b in range(batches):
            values = ext_f64([float(b * count + i) for i in range(count)])
            times = {"start": T + b * count, "step": 1}
            producer.batch(b + 1, series=[["many", times, values]])
        self.assert_durable(producer, batches)
        first = self.client.send("read", match="many")
        reply = self.client.receive()
        self.assertEqual(reply["id"], first)
        self.assertIn("cursor", reply)
        self.assertLess(len(reply["series"][0][1].data) * 2, 8 << 20)
        found = self.read_all("many")[key("many")]
        self.assertEqual(found, [(T + i, float(i)) for i in range(count * batches)])

    def test_query_answers_vectors_and_tables(self):
        reply = self.ok("query", query="sum(m)", time=T + 20 * S)
        self.assertEqual(reply["type"], "vector")
        labels, times, values = reply["result"][0]
        self.assertEqual((labels, column(times), column(values)), ({}, [T + 20 * S], [45.0]))
        table = self.ok("query", query="m", time=T + 20 * S, form="table")["table"]
        self.assertEqual(len(table["rows"]), 10)
        matrix = self.ok("query", query="sum(m)", start=T, end=T + 9 * S, step=S)
        self.assertEqual(matrix["type"], "matrix")
        self.assertEqual(column(matrix["result"][0][2])[-1], 45.0)

    def test_replies_to_reads_say_from_what_state(self):
        reply = self.ok("get", key="text", min_lsn=self.token["lsn"], term=self.token["term"])
        self.assertGreaterEqual(reply["as_of"]["lsn"], self.token["lsn"])
        self.assertEqual(reply["warnings"], [])
        self.error("stale", "get", key="text", min_lsn=10**9, term=self.token["term"], timeout_ms=50)
        self.error("stale", "read", match="m", min_lsn=10**9, timeout_ms=0)
        # An lsn of a later term says nothing here, however small it is.
        self.error("stale", "get", key="text", min_lsn=1, term=self.token["term"] + 1, timeout_ms=50)
        self.error("stale", "read", match="m", min_lsn=1, term=2**62, timeout_ms=50)

    def test_a_read_waits_for_its_lsn(self):
        wanted = self.client.send("get", key="later", min_lsn=self.token["lsn"] + 1, timeout_ms=20000)
        self.assertEqual(self.connect().request("ping")["ok"], True)
        producer = self.producer("reads")
        producer.batch(2, points=[["later", T, 7]])
        reply = self.client.receive()
        self.assertEqual((reply["id"], reply["found"], reply["value"]), (wanted, True, 7))

    def test_errors_have_codes(self):
        self.error("bad_request", "read")
        self.error("parse", "read", match="{")
        self.error("parse", "query", query="sum(", time=T)
        self.error("bad_request", "read", match="m", cursor=b"not a cursor")
        self.error("timeout", "read", match="m", timeout_ms=0)
        self.error("timeout", "query", query="sum(m)", time=T, timeout_ms=0)
        self.error("unsupported", "promote")
        self.error("unknown_op", "frobnicate")

    def test_ping_stats_producers_seal(self):
        ping = self.ok("ping")
        self.assertEqual((ping["role"], ping["term"]), ("leader", self.token["term"]))
        self.assertGreaterEqual(ping["lsn"], self.token["lsn"])
        stats = self.ok("stats")["stats"]
        self.assertEqual(stats["ingest.points"], 11)
        self.assertEqual(stats["request.ack.us"]["count"], 1)
        ledger = self.ok("producers")["producers"]
        self.assertEqual(ledger["reads"]["durable"], 1)
        first = self.ok("seal")["segment"]
        producer = self.producer("reads")
        producer.batch(2, points=[["m", T, 1]])
        self.assert_durable(producer, 2)
        self.assertGreater(self.ok("seal")["segment"], first)


class Acks(NodeTest):
    def point(self, seq):
        return {"points": [["acked", T + seq, seq]]}

    def test_levels_and_positions(self):
        producer = self.producer("p")
        producer.batch(1, **self.point(1))
        for level in ("received", "durable", "replicated"):
            reply = self.ack(producer, 1, level=level)
            self.assertEqual(reply["state"], "ok")
            self.assertEqual(reply["received"], 1)
            self.assertEqual(reply["expected"], 2)
            self.assertEqual(reply["rejects"], [])
        self.assertEqual((reply["durable"], reply["replicated"]), (1, 1))
        self.assertGreaterEqual(reply["lsn"], 1)
        self.assertGreaterEqual(reply["term"], 1)

    def test_unknown_and_pending_after_the_wait(self):
        producer = self.producer("p")
        reply = self.ack(producer, 1, wait_ms=0)
        self.assertEqual((reply["state"], reply["expected"]), ("unknown", 1))
        producer.batch(1, **self.point(1))
        self.assert_durable(producer, 1)
        reply = self.ack(producer, 2, wait_ms=20)
        self.assertEqual((reply["state"], reply["durable"], reply["expected"]), ("pending", 1, 2))
        producer.epoch = 9
        self.assertEqual(self.ack(producer, 1, wait_ms=20)["state"], "unknown")

    def test_an_ack_waits_for_its_batch(self):
        producer = self.producer("p")
        wanted = self.client.send("ack", producer="p", epoch=1, seq=1, wait_ms=20000)
        self.assertTrue(self.connect().request("ping")["ok"])
        producer.batch(1, **self.point(1))
        reply = self.client.receive()
        self.assertEqual((reply["id"], reply["state"]), (wanted, "ok"))

    def test_a_gap_is_told_at_once_and_closes(self):
        producer = self.producer("p")
        producer.batch(1, **self.point(1))
        self.assert_durable(producer, 1)
        producer.batch(3, **self.point(3))
        reply = self.ack(producer, 3, wait_ms=20000)
        self.assertEqual((reply["state"], reply["expected"]), ("gap", 2))
        producer.batch(2, **self.point(2))
        producer.batch(3, **self.point(3))
        self.assert_durable(producer, 3)
        self.assertEqual(len(self.read_all("acked")[key("acked")]), 3)

    def test_a_gap_before_an_epoch_opens(self):
        producer = self.producer("p", epoch=4)
        producer.batch(2, **self.point(2))
        reply = self.ack(producer, 2)
        self.assertEqual((reply["state"], reply["expected"]), ("gap", 1))

    def test_duplicates_have_no_effect(self):
        producer = self.producer("p")
        producer.batch(1, **self.point(1))
        producer.batch(1, points=[["acked", T + 1, "changed"], ["other", T, 1]])
        producer.batch(2, **self.point(2))
        self.assert_durable(producer, 2)
        self.assertEqual(self.read_all('{__name__=~".+"}'), {key("acked"): [(T + 1, 1), (T + 2, 2)]})
        self.assertEqual(self.ok("producers")["producers"]["p"]["duplicates"], 1)

    def test_a_higher_epoch_fences(self):
        old, new = self.producer("p", epoch=1), self.producer("p", epoch=2)
        old.batch(1, **self.point(1))
        self.assert_durable(old, 1)
        waiting = self.client.send("ack", producer="p", epoch=1, seq=2, wait_ms=20000)
        self.assertTrue(self.connect().request("ping")["ok"])
        new.batch(1, **self.point(2))
        reply = self.client.receive()
        self.assertEqual((reply["id"], reply["state"], reply["epoch"]), (waiting, "fenced", 2))
        self.assert_durable(new, 1)
        old.batch(2, points=[["late", T, 1]])
        reply = self.ack(old, 2)
        self.assertEqual((reply["state"], reply["epoch"]), ("fenced", 2))
        self.assertFalse(self.ok("get", key="late")["found"])

    def test_rejects_name_the_point_and_consume(self):
        producer = self.producer("p")
        producer.batch(1, points=[["fine", T, 1], ["fine", T + 1, 2], ["bad{", T, 3]])
        producer.batch(2, **self.point(2))
        reply = self.assert_durable(producer, 2)
        self.assertEqual(len(reply["rejects"]), 1)
        reject = reply["rejects"][0]
        self.assertEqual((reject["seq"], reject["index"], reject["code"]), (1, 2, "bad_request"))
        self.assertTrue(reject["message"])
        self.assertFalse(self.ok("get", key="fine")["found"])
        self.node.kill()
        self.restart()
        again = self.ack(producer, 2)["rejects"]
        self.assertEqual([(r["seq"], r["index"], r["code"]) for r in again], [(1, 2, "bad_request")])

    def test_many_acks_wait_at_once(self):
        count = 10000
        wanted = {
            self.client.send("ack", producer="w%d" % i, epoch=1, seq=1, wait_ms=60000): i
            for i in range(count)
        }
        other = self.connect()
        while other.request("stats")["stats"]["ack.waiting"] < count:
            pass
        producer = self.producer()
        for i in range(count):
            producer.push(producer="w%d" % i, epoch=1, seq=1, points=[])
        for _ in range(count):
            reply = self.client.receive()
            self.assertEqual(reply["state"], "ok")
            del wanted[reply["id"]]
        self.assertEqual(wanted, {})


if __name__ == "__main__":
    unittest.main()
