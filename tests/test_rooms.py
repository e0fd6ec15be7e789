"""The rooms of the source tree know only whom they may know: every #include is followed.

    base <- engine <- node        base <- wire <- node        wire <- tools (engine's facade too)
    base <- auth <- wire, node, tools
    inside the engine: base <- os <- {column, wal, mem, sst, index} <- db <- query; sst knows column
"""
import os
import re
import unittest

SOURCE = os.environ.get("CH_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOMS = ("engine", "auth", "wire", "node", "tools")

# Which rooms each room may include; its own goes without saying.
BELOW = {
    "base": set(),
    "os": {"base"},
    "column": {"base", "os"},
    "wal": {"base", "os"},
    "mem": {"base", "os"},
    "sst": {"base", "os", "column"},
    "index": {"base", "os"},
    "db": {"base", "os", "column", "wal", "mem", "sst", "index"},
    "query": {"base", "os", "column", "wal", "mem", "sst", "index", "db"},
    "auth": {"base"},
    "wire": {"base", "auth"},
    "node": {"base", "auth", "wire", "door"},
    "tools": {"base", "auth", "wire", "door"},
}
# The engine's door (engine/include/ch): the inner room that each header counts as. Interfaces without
# code that several rooms share (what to read, from where) count as os.
DOORS = {"fs": "os", "selector": "os", "source": "os", "engine": "db", "verify": "db", "snapshot": "db", "query": "query"}
# Libraries that only some rooms may know.
LIBRARIES = {
    "zmq.h": ("node", "tools", "wire/client"),
    "czmq.h": ("node", "tools", "wire/client"),
    "msgpack.h": ("wire", "tools"),
    "msgpack/": ("wire", "tools"),
    "sys/socket.h": ("node", "tools", "wire/client"),
}
# What the simulated disk and clock stand in for: one place each may call the system.
CALLS = re.compile(r"(?<![\w>.])(open|openat|pread|pwrite|pwritev|fsync|fdatasync|rename|unlink|fopen"
                   r"|mkdir|opendir|clock_gettime|gettimeofday)\s*\(")
CALLERS = ("engine/os/fs_posix.c", "engine/base/clock.c",
           "engine/base/log.c",  # stamps the lines of the stderr sink, which nothing reads back
           "engine/db/engine_background.c")  # a timed wait of pthreads takes nothing but an instant


def sources():
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(SOURCE, room)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), SOURCE)


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", " ", text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def room_of(path):
    """The room that a file of ours is in; "door" for the engine's public headers."""
    parts = path.split("/")
    if parts[0] != "engine":
        return parts[0]
    return "door" if parts[1] == "include" else parts[1]


def resolve(path, include):
    """The file of ours that an #include means, or None."""
    folders = [os.path.dirname(path), "engine/base/include", "engine/include", "wire/include",
               "auth/include", "node/include", "engine/base", "engine", "auth", "wire", "node", "tools"]
    for folder in folders:
        candidate = os.path.normpath(os.path.join(folder, include))
        if os.path.isfile(os.path.join(SOURCE, candidate)):
            return candidate
    return None


def inner_room(path):
    room = room_of(path)
    return DOORS[os.path.splitext(os.path.basename(path))[0]] if room == "door" else room


def allowed(path, target):
    room = room_of(path)
    if room in ("node", "tools"):
        return room_of(target) == room or room_of(target) in BELOW[room]
    here, there = inner_room(path), inner_room(target)
    return here == there or there in BELOW[here]


class Rooms(unittest.TestCase):
    def test_every_include_follows_an_arrow(self):
        wrong = []
        for path in sources():
            for include in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', read(path), re.M):
                target = resolve(path, include)
                if target and not allowed(path, target):
                    wrong.append("%s includes %s" % (path, target))
        self.assertEqual(wrong, [])

    def test_every_door_of_the_engine_belongs_to_a_room(self):
        doors = os.listdir(os.path.join(SOURCE, "engine", "include", "ch"))
        self.assertEqual({os.path.splitext(name)[0] for name in doors}, set(DOORS))

    def test_libraries_stay_in_the_rooms_that_need_them(self):
        wrong = []
        for path in sources():
            for include in re.findall(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", read(path), re.M):
                for library, rooms in LIBRARIES.items():
                    if include.startswith(library) and not path.startswith(rooms):
                        wrong.append("%s includes %s" % (path, include))
        self.assertEqual(wrong, [])

    def test_the_engine_asks_files_and_clocks_through_its_options(self):
        wrong = []
        for path in sources():
            if path.startswith("engine/") and path not in CALLERS:
                for call in CALLS.findall(without_comments(read(path))):
                    wrong.append("%s calls %s" % (path, call))
        self.assertEqual(wrong, [])

    def test_a_wrong_arrow_would_be_seen(self):
        self.assertFalse(allowed("engine/wal/wal.c", "engine/mem/memtable.h"))
        self.assertFalse(allowed("engine/mem/memtable.c", "engine/column/chunk.h"))
        self.assertFalse(allowed("engine/base/alloc.c", "engine/os/thread.h"))
        self.assertFalse(allowed("engine/wal/wal.c", "engine/include/ch/engine.h"))
        self.assertFalse(allowed("wire/cursor.c", "engine/include/ch/engine.h"))
        self.assertFalse(allowed("node/node.c", "engine/wal/wal.h"))
        self.assertTrue(allowed("engine/sst/block.c", "engine/column/chunk.h"))
        self.assertTrue(allowed("engine/wal/wal.c", "engine/include/ch/fs.h"))
        self.assertTrue(allowed("node/node.c", "engine/include/ch/engine.h"))
        self.assertEqual(CALLS.findall("ops->open(x) ch_fs_rename(a, b) fsync(fd)"), ["fsync"])


if __name__ == "__main__":
    unittest.main()
