"""What `cmake --install` puts somewhere is enough for a stranger: programs that run, a library that
pkg-config finds and a compiler takes, shared and static."""

import os
import shlex
import shutil
import subprocess
import tempfile
import unittest

from harness import BIN_DIR, CITYHALL, NodeTest, sanitizer_bytes

SOURCE = os.environ.get("CH_SOURCE_DIR", ".")
EXAMPLE = os.path.join(SOURCE, "docs", "examples", "producer.c")
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


def counts_lines():
    with open(CITYHALL, "rb") as program:
        return b"__gcov_" in program.read()


@unittest.skipIf(counts_lines(), "a library that counts lines is not for strangers")
@unittest.skipIf(sanitizer_bytes(), "a library with a sanitizer in it is not for strangers")
class Installed(NodeTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.prefix = os.path.join(cls.folder.name, "elsewhere")
        cls.run_tool("cmake", "--install", os.path.dirname(os.path.abspath(BIN_DIR)),
                     "--prefix", cls.prefix)
        for folder, _, files in os.walk(cls.prefix):
            if "cityhall.pc" in files:
                cls.pkgconfig = folder

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @staticmethod
    def run_tool(*command, environment=None):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, **(environment or {})))
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def test_the_unit_is_one_that_systemd_takes_and_shuts_in(self):
        unit = os.path.join(self.prefix, "lib/systemd/system/cityhall.service")
        with open(unit, encoding="utf-8") as file:
            self.assertIn("ExecStart=%s/bin/cityhall " % self.prefix, file.read())
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze here")
        self.run_tool("systemd-analyze", "verify", unit)
        self.run_tool("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)  # of 100

    def flags(self, *options):
        return shlex.split(self.run_tool("pkg-config", *options, "cityhall",
                                         environment={"PKG_CONFIG_PATH": self.pkgconfig}))

    def run_example(self, program):
        libdir, = self.flags("--variable=libdir")
        self.assertEqual(self.run_tool(program, self.node.endpoints["ingest"],
                                       self.node.endpoints["query"],
                                       environment={"LD_LIBRARY_PATH": libdir}), "durable\n")
        self.assertEqual(self.ok("get", key='greenhouse.temperature{bed="3"}')["value"], 21.0)

    def test_the_programs_are_there(self):
        for name in ("cityhall", "chq", "cityhall-agent"):
            self.assertTrue(self.run_tool(os.path.join(self.prefix, "bin", name), "--help"))

    def test_shared(self):
        program = os.path.join(self.prefix, "shared")
        self.run_tool("cc", *STRICT, EXAMPLE, *self.flags("--cflags", "--libs"), "-o", program)
        self.assertIn("libcityhall.so.0", self.run_tool("readelf", "-d", program))
        self.run_example(program)

    def test_static(self):
        """Ours static, libzmq as the system has it (docs/examples/README.md)."""
        program = os.path.join(self.prefix, "static")
        libdir, = self.flags("--variable=libdir")
        self.run_tool("cc", *STRICT, EXAMPLE, *self.flags("--cflags"),
                      os.path.join(libdir, "libcityhall.a"), "-lzmq", "-pthread", "-o", program)
        self.assertNotIn("libcityhall", self.run_tool("readelf", "-d", program))
        self.run_example(program)

    def test_the_header_is_c_plus_plus_too(self):
        self.run_tool("c++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c++",
                      os.path.join(self.prefix, "include", "cityhall.h"))

    def test_the_shared_library_shows_its_own_names_only(self):
        libdir, = self.flags("--variable=libdir")
        names = [line.split()[-1] for line in self.run_tool(
            "nm", "-D", "--defined-only", os.path.join(libdir, "libcityhall.so")).splitlines()]
        self.assertGreater(len(names), 30)
        self.assertEqual([n for n in names if not n.startswith("cityhall_")], [])


if __name__ == "__main__":
    unittest.main()
