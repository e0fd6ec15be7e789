"""The audit log of a whole node: one line for each thing that changes or removes, with who asked and what came of it."""

import os
import re
import tempfile
import time
import unittest

from harness import START_TIMEOUT_S, NodeTest

import abuse

T = 1_700_000_000_000_000_000


class Audit(NodeTest):
    def setUp(self):
        self.settings = {"retention.rule_1": '{team="lab\\n"}:90d'}
        super().setUp()

    def lines(self, event):
        return [line for line in self.node.log.lines if "module=audit event=%s " % event in line]

    def line(self, event):
        self.assertIsNotNone(self.node.log.wait_for("module=audit event=%s " % event))
        return self.lines(event)[-1]

    def test_what_changes_or_removes_has_a_line(self):
        self.assertIn("uid %d" % os.getuid(), self.lines("start")[0])
        self.assertIn('rule="{team=', self.lines("retention")[0])
        producer = self.producer("p")
        producer.batch(1, points=[['m{a="b"}', T, 1]])
        self.assert_durable(producer, 1)
        hostile = 'm{a="b\\nevent=delete who=root\u009b"}'
        self.ok("delete", match=hostile)
        line = self.line("delete")
        self.assertRegex(line, r'who="127\.0\.0\.1" result=ok match="m\{a=\\"b\\\\nevent=delete who=root\\xc2\\x9b\\"\}"')
        self.ok("delete", match="m", start=T, end=T + 1)
        self.assertRegex(self.line("delete"), r'match="m" start=%d end=%d lsn=[1-9]\d* ' % (T, T + 1))
        self.error("parse", "delete", match="m{")
        self.assertIn("result=parse", self.line("delete"))
        self.ok("delete", match="m", dry_run=True)
        for op in ("flush", "compact", "seal"):
            self.ok(op)
            self.assertIn("result=ok", self.line(op))
        self.error("unsupported", "promote")
        self.assertIn("result=unsupported", self.line("promote"))
        self.ok("read", match="m")
        self.assertEqual(len(self.lines("delete")), 3)
        end = time.monotonic() + START_TIMEOUT_S
        while self.ok("stats")["stats"]["audit.lines"] < 9:  # counted ten times a second
            self.assertLess(time.monotonic(), end)
        self.assertEqual(self.node.terminate(), 0)
        self.assertRegex(self.lines("stop")[0], r'who="uid %d, pid %d" result=ok signal=15' % (os.getuid(), os.getpid()))

    def test_a_peer_that_is_cut_has_a_line(self):
        peer = abuse.greet(abuse.connect(self.node.endpoints["query"]), b"DEALER")
        self.addCleanup(peer.close)
        with self.assertRaises(OSError):
            for _ in range(3000):
                peer.sendall(abuse.Endless.frame)
        self.assertRegex(self.line("refused"), r'who="127\.0\.0\.1" result=disconnected socket=query')


class AuditFile(NodeTest):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "audit")
        self.settings = {"audit.log": self.path}
        super().setUp()

    def test_a_file_of_its_own_is_appended_to(self):
        self.ok("seal")
        self.assertEqual(self.node.terminate(), 0)
        self.restart()
        with open(self.path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        events = [re.search(r"module=audit event=(\w+) ", line).group(1) for line in lines]
        self.assertEqual(events, ["start", "seal", "stop", "start"])
        self.assertNotIn("module=audit", self.node.log.text())
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)


if __name__ == "__main__":
    unittest.main()
