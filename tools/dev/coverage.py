"""Line coverage from gcov's JSON: a row a folder, a total a room.

    coverage.py BUILD ROOM...      ROOM is a folder in the root of the tree, such as engine
"""
import collections
import gzip
import json
import os
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def counter_files(build):
    for folder, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcno"):  # also of code that never ran
                yield os.path.join(folder, name)


def lines_of(paths):
    """{source path: {line: hits}}; a header's lines are counted over all who include it."""
    lines = collections.defaultdict(collections.Counter)
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            subprocess.run(["gcov", "--json-format", "--preserve-paths", os.path.abspath(path)], cwd=folder,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        for name in os.listdir(folder):
            with gzip.open(os.path.join(folder, name), "rt") as file:
                report = json.load(file)
            for source in report["files"]:
                path = os.path.normpath(os.path.join(report["current_working_directory"], source["file"]))
                for line in source["lines"]:
                    lines[os.path.relpath(path, SOURCE)][line["line_number"]] += line["count"]
    return lines


def print_room(room, lines):
    rows = collections.defaultdict(lambda: [0, 0])
    for path, hits in lines.items():
        if path.startswith(room + "/"):
            for key in (os.path.dirname(path), room + " in all"):
                rows[key][0] += sum(1 for count in hits.values() if count)
                rows[key][1] += len(hits)
    for key in sorted(rows, key=lambda key: (key.endswith("in all"), key)):
        ran, total = rows[key]
        print("%-34s %6d of %6d lines  %5.1f %%" % (key, ran, total, 100.0 * ran / max(1, total)))


def main():
    build, rooms = sys.argv[1], sys.argv[2:]
    lines = lines_of(path for path in counter_files(build)
                     if any("/%s/CMakeFiles/" % room in path for room in rooms))
    for room in rooms:
        print_room(room, lines)


if __name__ == "__main__":
    main()
