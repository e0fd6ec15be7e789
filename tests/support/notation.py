"""The notation of tests/support/notation.h, read into what msgpack.unpackb gives."""

import re
import struct

import msgpack

TOKEN = re.compile(r"""[\s,:]*(?:
    (?P<open>[\[{]) | (?P<close>[\]}])
  | (?P<bytes>b?)'(?P<text>(?:\\x[0-9a-f]{2}|\\[^x]|[^'\\])*)'
  | e(?P<column>[12])\((?P<items>[^)]*)\)
  | x(?P<ext>-?[0-9]+)'(?P<payload>(?:\\x[0-9a-f]{2}|[^'\\])*)'
  | \#(?P<raw>[0-9a-f]+)
  | f(?P<float32>-?[0-9.]+) | u(?P<uint>[0-9]+)
  | (?P<number>-?[0-9][0-9.e+-]*)
  | (?P<word>\w+)
)[\s,:]*""", re.X)
WORDS = {"nil": None, "true": True, "false": False, "nan": float("nan"), "inf": float("inf")}


def unescape(text):
    """The bytes of a quoted text."""
    parts = re.split(r"\\(x[0-9a-f]{2}|.)", text)
    for i in range(1, len(parts), 2):
        one = parts[i]
        parts[i] = bytes([int(one[1:], 16)]) if len(one) == 3 else one.encode()
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)


def scalar(token):
    if token["text"] is not None:
        data = unescape(token["text"])
        return data if token["bytes"] else data.decode()
    if token["column"]:
        number, form = (int, "q") if token["column"] == "1" else (float, "d")
        items = [number(item) for item in token["items"].split()]
        return msgpack.ExtType(int(token["column"]), struct.pack("<%d%s" % (len(items), form), *items))
    if token["ext"]:
        payload = unescape(token["payload"])
        if token["ext"] == "-1":
            return msgpack.Timestamp.from_bytes(payload)
        return msgpack.ExtType(int(token["ext"]), payload)
    if token["raw"]:
        return msgpack.unpackb(bytes.fromhex(token["raw"]))
    if token["float32"]:
        return float(token["float32"])
    if token["uint"]:
        return int(token["uint"])
    if token["number"]:
        return int(token["number"]) if re.fullmatch("-?[0-9]+", token["number"]) else float(token["number"])
    return WORDS.get(token["word"], token["word"])


def parse_all(text):
    """All values that stand in a row in `text`."""
    stack = [[]]
    opened = []
    at = 0
    while at < len(text):
        token = TOKEN.match(text, at)
        if not token:
            raise ValueError("bad notation at: %s" % text[at:at + 40])
        at = token.end()
        if token["open"]:
            opened.append(token["open"])
            stack.append([])
        elif token["close"]:
            items = stack.pop()
            stack[-1].append(items if opened.pop() == "[" else dict(zip(items[::2], items[1::2])))
        else:
            stack[-1].append(scalar(token))
    if opened:
        raise ValueError("%s is not closed" % opened[-1])
    return stack[0]
