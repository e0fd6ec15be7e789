"""The built programs carry what the build promises: position independent, relocations read-only from
the start, no executable stack, stack guards, fortified calls."""
import json
import os
import re
import subprocess
import tempfile
import unittest

BIN = os.environ.get("CH_BIN_DIR")
BUILD = os.path.dirname(BIN) if BIN else None
PROGRAMS = ("bin/cityhall", "bin/chq", "bin/cityhall-agent", "lib/libcityhall.so")

SOFT = """#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) { char text[64]; strcpy(text, argv[argc - 1]); return puts(text) < 0; }
"""
SOFT_FLAGS = ["-O0", "-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fcf-protection=none", "-no-pie",
              "-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack"]


def readelf(*arguments):
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["readelf", "-W", *arguments], env=environment, check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def cache(name):
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        found = re.search(r"^%s:\w+=(.*)$" % name, file.read(), re.M)
    return found.group(1) if found else ""


def missing(path, fortified):
    """What this program lacks."""
    header, segments = readelf("-h", path), readelf("-l", path)
    dynamic, symbols = readelf("-d", path), readelf("--dyn-syms", path)
    lacks = []
    if not re.search(r"Type:\s+DYN", header):
        lacks.append("PIE")
    if "TEXTREL" in dynamic:
        lacks.append("no text relocations")
    if "GNU_RELRO" not in segments:
        lacks.append("RELRO")
    if not re.search(r"BIND_NOW|FLAGS_1.*\bNOW\b", dynamic):
        lacks.append("bind now")
    if not re.search(r"GNU_STACK\s.*\sRW\s", segments):
        lacks.append("a stack that cannot be executed")
    if "__stack_chk_fail" not in symbols:
        lacks.append("stack protector")
    if fortified and not re.search(r"__(mem|str|s|vs|f|vf)\w*_chk\b", symbols):
        lacks.append("fortified calls")
    return lacks


@unittest.skipUnless(BUILD and os.path.exists(os.path.join(BUILD or "", "CMakeCache.txt")), "no CH_BIN_DIR")
class Hardening(unittest.TestCase):
    def optimized(self):
        return cache("CMAKE_BUILD_TYPE") != "Debug" and not cache("CH_SANITIZE")

    def test_the_programs_are_hard(self):
        for name in PROGRAMS:
            with self.subTest(name):
                self.assertEqual(missing(os.path.join(BUILD, name), self.optimized()), [])

    def test_a_soft_program_is_seen(self):
        with tempfile.TemporaryDirectory() as folder:
            source, program = os.path.join(folder, "soft.c"), os.path.join(folder, "soft")
            with open(source, "w", encoding="utf-8") as file:
                file.write(SOFT)
            subprocess.run([cache("CMAKE_C_COMPILER") or "cc", *SOFT_FLAGS, source, "-o", program], check=True,
                           stderr=subprocess.DEVNULL)
            lacks = missing(program, True)
        for what in ("PIE", "RELRO", "bind now", "stack protector", "fortified calls",
                     "a stack that cannot be executed"):
            self.assertIn(what, lacks)

    def test_every_source_is_compiled_so(self):
        """What no symbol shows: the level of fortification, frames that cannot jump a guard page, and marks of
        where calls may land (a program bears those as a whole only where the C library's start files do)."""
        with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
            commands = json.load(file)
        wanted = ["-fstack-protector-strong", "-Werror=vla"]
        wanted += ["-D_FORTIFY_SOURCE=3"] if self.optimized() else []
        wanted += [flag for flag in ("-fstack-clash-protection", "-fcf-protection=full")
                   if cache("CH_HAS" + re.sub(r"\W", "_", flag))]
        self.assertGreater(len(commands), 200)
        for command in commands:
            for flag in wanted:
                self.assertIn(flag, command["command"].split(), command["file"])


if __name__ == "__main__":
    unittest.main()
