"""tests/golden/wire_v1.txt read by python-msgpack: another implementation than the one that wrote it.

Each frame must say what stands beside it, and each batch must expand into the points listed, by rules
written here from docs/protocol.md alone. That the project's own code writes and reads these bytes is
tests/unit/test_wire_golden.c's part.
"""

import os
import re
import struct
import unittest

try:
    import msgpack
    from notation import parse_all
except ImportError:
    msgpack = None

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wire_v1.txt")
NOW = 777


def entries():
    """[(kind, name, frame, says, points)]"""
    found = []
    with open(PATH, encoding="utf-8") as file:
        for line in file:
            if line.startswith("#") or not line.strip():
                continue
            if not line.startswith(" "):
                kind, name = line.split()
                found.append((kind, name, {"hex": "", "says": ""}, []))
                continue
            word, rest = line.strip().split(" ", 1)
            if word == "point":
                found[-1][3].append(parse_all(rest))
            else:
                found[-1][2][word] = rest
    return [(kind, name, bytes.fromhex(parts["hex"]), parse_all(parts["says"]), points)
            for kind, name, parts, points in found]


def unpack(frame):
    return msgpack.unpackb(frame, raw=False, strict_map_key=False)


def exact(value):
    """A form in which equal means the same types and the same bits, and order of map keys counts."""
    if isinstance(value, float):
        return ("float", struct.pack("<d", value))
    if isinstance(value, msgpack.ExtType):
        return ("ext", value.code, value.data)
    if isinstance(value, (list, tuple)):
        return ("array", [exact(item) for item in value])
    if isinstance(value, dict):
        return ("map", [(exact(key), exact(item)) for key, item in value.items()])
    return (type(value).__name__, value)


# ---- what a batch means, from docs/protocol.md


def key_text(name, labels):
    def escape(value):
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    pairs = sorted((k.encode(), k, v) for k, v in labels.items() if v)
    inside = ",".join('%s="%s"' % (k, escape(v)) for _, k, v in pairs)
    return name + ("{%s}" % inside if inside else "")


def canonical(key):
    if isinstance(key, dict):
        return key_text(key["__name__"], {k: v for k, v in key.items() if k != "__name__"})
    name, _, inside = key.partition("{")
    plain = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
    labels = {k: re.sub(r'\\[n"\\]', lambda m: plain[m.group()], v)
              for k, v in re.findall(r'([^,="]+)="((?:\\.|[^"\\])*)"', inside)}
    return key_text(name, labels)


def instant(time):
    if time is None:
        return NOW
    return time.to_unix_nano() if isinstance(time, msgpack.Timestamp) else time


def items(column):
    if isinstance(column, msgpack.ExtType):
        return list(struct.unpack("<%d%s" % (len(column.data) // 8, "qd"[column.code - 1]), column.data))
    return column


def times(column, count):
    if isinstance(column, dict):
        return [instant(column["start"]) + i * column["step"] for i in range(count)]
    return [instant(time) for time in items(column)]


def points_of(batch):
    points = [[canonical(key), instant(time), value] for key, time, value in batch.get("points", [])]
    for name, labels, time, fields in batch.get("rows", []):
        points += [[key_text(name + "_" + field, labels), instant(time), value]
                   for field, value in fields.items() if value is not None]
    for key, column, values in batch.get("series", []):
        values = items(values)
        points += [[canonical(key), *pair] for pair in zip(times(column, len(values)), values)]
    for table in batch.get("tables", []):
        rows, when = table["rows"], table["times"]
        single = not isinstance(when, (dict, list, msgpack.ExtType))
        at = [instant(when)] * len(rows) if single else times(when, len(rows))
        columns = [items(column) for column in table["values"]]
        for i, row in enumerate(rows):
            labels = dict(zip(table["labels"], row))
            points += [[key_text(table["name"] + "_" + field, labels), at[i], columns[j][i]]
                       for j, field in enumerate(table["fields"]) if columns[j][i] is not None]
    return points


@unittest.skipUnless(msgpack, "python3-msgpack is not installed")
class WireGolden(unittest.TestCase):
    def test_every_frame_says_what_stands_beside_it(self):
        for kind, name, frame, says, _ in entries():
            with self.subTest(kind=kind, name=name):
                self.assertEqual(len(says), 1)
                self.assertEqual(exact(unpack(frame)), exact(says[0]))

    def test_every_batch_means_its_points(self):
        for kind, name, frame, _, points in entries():
            if kind.startswith("batch"):
                with self.subTest(name=name):
                    self.assertEqual([exact(p) for p in points_of(unpack(frame))],
                                     [exact(p) for p in points])

    def test_every_kind_of_message_is_there(self):
        """The ops and shapes of docs/protocol.md; a new one must come with its bytes."""
        names = {}
        for kind, name, frame, _, _ in entries():
            names.setdefault(kind, []).append((name, unpack(frame)))
        ops = {message["op"] for _, message in names["request"]}
        self.assertEqual(ops, set(
            "ping ack get read query series labels label_values delete stats producers flush compact seal"
            " snapshot promote replicas".split()))
        shapes = {key for _, message in names["batch"] for key in message}
        self.assertEqual(shapes, set("v producer epoch seq points rows series tables".split()))
        self.assertEqual({m["state"] for _, m in names["reply"] if "state" in m},
                         {"ok", "gap", "fenced", "pending", "unknown"})
        self.assertTrue(any(m.get("rejects") for _, m in names["reply"]))
        self.assertTrue(any("error" in m for _, m in names["reply"]))


if __name__ == "__main__":
    unittest.main()
