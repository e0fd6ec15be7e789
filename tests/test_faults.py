"""tests/faults.txt and the sources agree: every planted bug is listed, every listed one exists."""
import os
import re
import unittest

SOURCE = os.environ.get("CH_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("engine", "auth", "wire", "node", "tools", "tests")


def faults_in_sources():
    found = set()
    for folder in FOLDERS:
        for path, _, names in os.walk(os.path.join(SOURCE, folder)):
            for name in names:
                if name.endswith((".c", ".h")):
                    with open(os.path.join(path, name), encoding="utf-8") as file:
                        found.update(re.findall(r"\bCH_FAULT_([A-Z0-9_]+)", file.read()))
    return found


def listed():
    with open(os.path.join(SOURCE, "tests", "faults.txt"), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip() and line[0] != "#"]


class Faults(unittest.TestCase):
    def test_every_line_has_name_program_and_words(self):
        for line in listed():
            self.assertEqual(len(line), 3, line)
            self.assertRegex(line[0], r"^[A-Z0-9_]+$")

    def test_no_name_is_listed_twice_for_a_program(self):
        pairs = [tuple(line[:2]) for line in listed()]
        self.assertEqual(sorted(pairs), sorted(set(pairs)))

    def test_listed_names_are_those_in_the_sources(self):
        self.assertEqual({line[0] for line in listed()}, faults_in_sources())

    def test_every_program_exists(self):
        there = {os.path.splitext(name)[0]
                 for _, _, names in os.walk(os.path.join(SOURCE, "tests")) for name in names}
        for line in listed():
            program = os.path.splitext(line[1])[0].replace("replay_", "fuzz_")
            self.assertIn(program, there, line)


if __name__ == "__main__":
    unittest.main()
