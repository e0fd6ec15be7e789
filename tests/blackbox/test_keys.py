"""chq keygen and chq auth: key pairs in files of one's own, and the table of those who get in."""

import os
import re
import subprocess
import tempfile
import unittest

from harness import BIN_DIR

CHQ = os.path.join(BIN_DIR, "chq")


class Keys(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cityhall-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.table = self.path("authorized_keys")

    def path(self, name):
        return os.path.join(self.folder, name)

    def chq(self, *arguments, code=0, said=None):
        done = subprocess.run([CHQ, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stderr)
        if said:
            self.assertIn(said, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stdout

    def keygen(self, name, *more):
        return self.chq("keygen", self.path(name), *more).strip()

    def test_keygen_makes_a_file_of_ones_own_once(self):
        public = self.keygen("a.key")
        self.assertRegex(public, r"^[A-Za-z0-9][!-~]{39}$")
        self.assertEqual(os.stat(self.path("a.key")).st_mode & 0o7777, 0o600)
        with open(self.path("a.key")) as file:
            text = file.read()
        self.assertIn("\npublic %s\n" % public, text)
        secret = re.search(r"^secret (.{40})$", text, re.M).group(1)
        self.assertNotEqual(secret, public)
        self.assertEqual(self.chq("keygen", self.path("a.key"), code=5, said="never overwritten"), "")
        with open(self.path("a.key")) as file:
            self.assertEqual(file.read(), text)
        self.assertNotEqual(self.keygen("b.key", "--server", public), public)
        with open(self.path("b.key")) as file:
            self.assertIn("\nserver %s\n" % public, file.read())
        self.chq("keygen", self.path("c.key"), "--server", "x", code=2, said="40 characters")
        self.assertFalse(os.path.exists(self.path("c.key")))

    def test_a_table_is_kept_line_by_line(self):
        a, b = self.keygen("a.key"), self.keygen("b.key")
        self.chq("auth", "add", a, "write", "fleet", "--file", self.table, "--producer", "fleet/",
                 "--rate", "1000", "--series", '{site="a b"}')
        with open(self.table, "a") as file:
            file.write("# people\n")
        self.chq("auth", "add", b, "read,admin", "ops", "--file", self.table)
        listed = self.chq("auth", "ls", "--file", self.table, "-o", "ndjson").splitlines()
        self.assertEqual(len(listed), 2)
        self.assertIn('"series":"{site=\\"a b\\"}"', listed[0].replace(": ", ":"))
        self.chq("auth", "rm", "fleet", "--file", self.table)
        with open(self.table) as file:
            self.assertEqual(file.read(), "# people\n%s read,admin ops\n" % b)
        self.assertEqual(os.listdir(self.folder).count("authorized_keys.new"), 0)

    def test_what_a_node_would_refuse_is_not_written(self):
        a = self.keygen("a.key")
        self.chq("auth", "add", a, "read", "a", "--file", self.table)
        with open(self.table) as file:
            before = file.read()
        for arguments, said in (((a, "read", "b"), "the same key stands in line 1"),
                                ((a, "reed", "b"), "did you mean read?"),
                                (("x", "read", "b"), "no public key"),
                                ((a, "read", "b c"), "one word each")):
            self.chq("auth", "add", *arguments, "--file", self.table, code=2, said=said)
        self.chq("auth", "add", a, "read", "b", "--file", self.table, "--series", "{", code=2,
                 said="series=")
        self.chq("auth", "rm", "nobody", "--file", self.table, code=1, said="no key nobody")
        self.chq("auth", "ls", code=2, said="--file")
        self.chq("auth", "drop", "--file", self.table, code=2, said="add, rm or ls")
        with open(self.table) as file:
            self.assertEqual(file.read(), before)
        os.chmod(self.table, 0o666)
        self.chq("auth", "rm", "a", "--file", self.table, code=5, said="others write who gets in")


if __name__ == "__main__":
    unittest.main()
