"""Documentation and sources agree: log events are explained, links lead somewhere."""
import os
import re
import unittest

SOURCE = os.environ.get("CH_SOURCE_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def files(ending, *folders):
    for folder in folders:
        for path, names, leaves in os.walk(os.path.join(SOURCE, folder)):
            names[:] = [n for n in names if n not in ("build", ".git", "node_modules")]
            yield from (os.path.join(path, leaf) for leaf in leaves if leaf.endswith(ending))


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def events_in_sources():
    """(module, event) of each ch_log call with both written out, and of log_error's callers."""
    found = set()
    for path in files(".c", "engine", "node"):
        text = text_of(path)
        found.update(re.findall(r'\bch_log\([^;"]*"([a-z_]+)",\s*"([a-z_]+)"', text))
        found.update(("node", event) for event in re.findall(r'log_error\([^;"]*"([a-z_]+)"\)', text))
        found.update(re.findall(r"module=(\w+) event=([a-z_]+)", text))
    return found


def events_in_docs():
    found = set()
    for row in re.finditer(r"^\| (`[^|]*`) \| (\w+) \|", text_of(
            os.path.join(SOURCE, "docs", "operations.md")), re.M):
        found.update((row.group(2), event) for event in re.findall(r"`([a-z_]+)`", row.group(1)))
    return found


class Docs(unittest.TestCase):
    def test_every_log_event_is_explained(self):
        sources, docs = events_in_sources(), events_in_docs()
        self.assertGreater(len(sources), 20)
        self.assertEqual(sources - docs, set(), "missing in docs/operations.md, \"Log\"")
        self.assertEqual(docs - sources, set(), "explained, but nothing logs it")

    def test_links_lead_somewhere(self):
        pages = [os.path.join(SOURCE, name) for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
        pages += files(".md", "docs")
        self.assertGreater(len(pages), 15)
        for page in pages:
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text_of(page)):
                if not re.match(r"[a-z]+://", link):
                    target = os.path.join(os.path.dirname(page), link)
                    self.assertTrue(os.path.exists(target), "%s: %s" % (page, link))


if __name__ == "__main__":
    unittest.main()
