"""Keys: who gets in, who may do what, and who is out when. Method: a node with a table of known keys, and peers
with each of them, with unknown ones, and with none, on every socket and for every request."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import zmq
from zmq.utils.monitor import recv_monitor_message

from harness import BIN_DIR, CITYHALL, START_TIMEOUT_S, Client, Node, Producer, column

ROLES = ("write", "read", "replicate", "admin")
# Every request, its fields, and the roles that may ask it.
REQUESTS = {
    "ping": ({}, ROLES),
    "ack": ({"producer": "p", "epoch": 1, "seq": 1}, ("write",)),
    "get": ({"key": "a"}, ("read",)),
    "read": ({"match": "a"}, ("read",)),
    "query": ({"query": "a"}, ("read",)),
    "series": ({"match": "a"}, ("read",)),
    "labels": ({}, ("read",)),
    "label_values": ({"label": "l"}, ("read",)),
    "delete": ({"match": "nothing"}, ("admin",)),
    "stats": ({}, ("read", "admin")),
    "producers": ({}, ("read", "admin")),
    "flush": ({}, ("admin",)),
    "compact": ({}, ("admin",)),
    "seal": ({}, ("admin",)),
    "snapshot": ({}, ("admin",)),
    "promote": ({}, ("admin",)),
    "replicas": ({}, ("admin",)),
    "hello": ({}, ("replicate",)),
    "fetch": ({}, ("replicate",)),
    "replica_ack": ({}, ("replicate",)),
    "no_such_op": ({}, ROLES),
}
SOCKETS = {"ingest": (zmq.PUSH, ("write",)), "query": (zmq.DEALER, ROLES)}


class Pair:
    """A key pair, and how a socket shows it."""

    def __init__(self):
        public = b"-"
        while not public[:1].isalnum():
            public, self.secret = zmq.curve_keypair()
        self.public = public

    def client_of(self, server):
        def prepare(socket):
            socket.curve_serverkey, socket.curve_publickey, socket.curve_secretkey = (
                server, self.public, self.secret)
        return prepare


def write_pair(path, pair, mode=0o600):
    with open(path, "wb") as file:
        file.write(b"public %s\nsecret %s\n" % (pair.public, pair.secret))
    os.chmod(path, mode)


class KeyedNode(unittest.TestCase):
    """A node with a key of its own and a table; `pairs` are the peers' by their names."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="cityhall-test-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, 0)
        self.server = Pair()
        self.pairs = {name: Pair() for name in ROLES}
        self.table = os.path.join(self.folder, "authorized_keys")
        self.key_file = os.path.join(self.folder, "node.key")
        write_pair(self.key_file, self.server)
        self.lines = {name: name for name in ROLES}  # what stands behind the key
        self.write_table()
        self.node = Node(settings={"security.key_file": self.key_file,
                                   "security.authorized_keys": self.table})
        self.addCleanup(self.node.close)

    def write_table(self):
        """The whole table at once, as an editor that renames does."""
        with open(self.table + ".new", "wb") as file:
            for name, rest in self.lines.items():
                roles, _, options = rest.partition(" ")
                file.write(b"%s %s %s %s\n" % (self.pairs[name].public, roles.encode(), name.encode(),
                                                options.encode()))
        os.rename(self.table + ".new", self.table)

    def add(self, name, rest):
        self.pairs[name] = Pair()
        self.lines[name] = rest

    def reload(self):
        self.write_table()
        self.node.process.send_signal(signal.SIGHUP)
        line = self.node.log.wait_for(r"event=keys_loaded keys=%d\b" % len(self.lines))
        self.assertIsNotNone(line, self.node.log.text())

    def revoke(self, name):
        del self.lines[name]
        self.reload()

    def client(self, name):
        client = Client(self.context, self.node.endpoints["query"],
                        self.pairs[name].client_of(self.server.public))
        self.addCleanup(client.close)
        return client

    def producer(self, name, producer=None, epoch=1):
        producer = Producer(self.context, self.node.endpoints["ingest"], producer, epoch,
                            prepare=self.pairs[name].client_of(self.server.public))
        self.addCleanup(producer.close)
        return producer

    def handshake(self, kind, prepare):
        """Does the endpoint of this socket admit a peer? Waits for the end of the handshake."""
        socket = self.context.socket(SOCKETS[kind][0])
        monitor = socket.get_monitor_socket()
        try:
            prepare(socket)
            socket.linger = 0
            socket.connect(self.node.endpoints[kind])
            while monitor.poll(START_TIMEOUT_S * 1000):
                event = recv_monitor_message(monitor)["event"]
                if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                    return True
                if event in (zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
                             zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED):
                    return False
            self.fail("the handshake did not end")
        finally:
            socket.disable_monitor()
            monitor.close(0)
            socket.close(0)

    def ok(self, client, op, **fields):
        reply = client.request(op, **fields)
        self.assertTrue(reply["ok"], reply)
        return reply

    def forbidden(self, client, op, **fields):
        reply = client.request(op, **fields)
        self.assertFalse(reply["ok"], reply)
        self.assertEqual(reply["error"]["code"], "forbidden", reply)
        return reply["error"]["message"]

    def stats(self):
        return self.ok(self.client("admin"), "stats")["stats"]

    def wait_stat(self, name, least):
        """A count reaches `least`; asked again and again."""
        client, end = self.client("admin"), time.monotonic() + START_TIMEOUT_S
        while True:
            found = self.ok(client, "stats")["stats"][name]
            if found >= least:
                return found
            self.assertLess(time.monotonic(), end, "%s stays %d" % (name, found))


class Matrix(KeyedNode):
    def test_every_role_on_every_socket_and_for_every_request(self):
        self.node.start()
        for kind, (_, admitted) in SOCKETS.items():
            for role in ROLES:
                with self.subTest(socket=kind, role=role):
                    prepare = self.pairs[role].client_of(self.server.public)
                    self.assertEqual(self.handshake(kind, prepare), role in admitted)
        for role in ROLES:
            client = self.client(role)
            for op, (fields, allowed) in REQUESTS.items():
                with self.subTest(role=role, op=op):
                    reply = client.request(op, **fields)
                    code = None if reply["ok"] else reply["error"]["code"]
                    self.assertEqual(code == "forbidden", role not in allowed, reply)
                    self.assertIn(code, (None, "forbidden", "unsupported", "unknown_op"), reply)

    def test_who_shows_no_key_of_the_table_does_not_get_in(self):
        self.node.start()
        other = Pair()

        def plain(socket):
            socket.plain_username, socket.plain_password = b"admin", b"admin"

        strangers = {"no key": lambda socket: None, "PLAIN": plain,
                     "unknown key": Pair().client_of(self.server.public),
                     "wrong server key": self.pairs["admin"].client_of(other.public),
                     "the server's public key with another secret": self.impostor()}
        for kind in SOCKETS:
            for what, prepare in strangers.items():
                with self.subTest(socket=kind, peer=what):
                    self.assertFalse(self.handshake(kind, prepare))
        # what they send in spite of it goes nowhere
        for prepare in (strangers["no key"], strangers["unknown key"]):
            client = Client(self.context, self.node.endpoints["query"], prepare)
            client.send("ping")
            self.assertFalse(client.socket.poll(300))
            client.close()
        self.assertGreaterEqual(self.stats()["auth.refused"], 2)
        self.assertIsNotNone(self.node.log.wait_for("module=auth event=refused "))
        self.assertIsNotNone(self.node.log.wait_for("module=audit event=refused who="))

    def impostor(self):
        pair = Pair()
        pair.public = self.pairs["admin"].public  # shown, but the secret is not its
        return pair.client_of(self.server.public)


class Revoked(KeyedNode):
    def test_a_revoked_key_is_out_with_its_next_message(self):
        self.node.start()
        client, producer = self.client("read"), self.producer("write")
        self.ok(client, "ping")
        producer.push(points=[["a", 1, 1.0]])
        self.wait_stat("ingest.batches", 1)
        del self.lines["read"]
        self.revoke("write")
        self.assertIn("not in authorized_keys", self.forbidden(client, "read", match="a"))
        line = self.node.log.wait_for("module=audit event=refused ")
        self.assertIn(self.pairs["read"].public.decode(), line)
        producer.push(points=[["a", 2, 2.0]])
        self.wait_stat("auth.forbidden", 2)
        self.assertEqual(self.stats()["ingest.batches"], 1)
        prepare = self.pairs["write"].client_of(self.server.public)
        self.assertFalse(self.handshake("query", prepare))

    def test_a_role_taken_away_counts_at_once_and_so_does_one_given(self):
        self.node.start()
        client = self.client("read")
        self.forbidden(client, "flush")
        self.lines["read"] = "admin"
        self.add("more", "read")  # so that the count of keys tells the new table
        self.reload()
        self.ok(client, "flush")
        self.forbidden(client, "read", match="a")
        self.ok(self.client("more"), "read", match="a")

    def test_the_file_is_looked_at_without_a_signal(self):
        self.node.start()
        client = self.client("read")
        self.ok(client, "ping")
        del self.lines["read"]
        self.write_table()
        self.assertIsNotNone(self.node.log.wait_for(r"event=keys_loaded keys=3\b"))
        self.forbidden(client, "ping")

    def test_a_bad_file_keeps_the_table_and_says_so(self):
        self.node.start()
        client = self.client("read")
        self.ok(client, "ping")
        good = self.lines
        self.lines = {"read": "reed"}
        for broken in (self.write_table, lambda: os.truncate(self.table, 0), lambda: os.unlink(self.table)):
            broken()
            self.node.process.send_signal(signal.SIGHUP)
            line = self.node.log.wait_for(r"event=keys_refused")
            self.assertIn("level=error", line)
            self.assertIn("authorized_keys", line)
            self.ok(client, "ping")
            self.assertEqual(self.stats()["auth.table_refused"], 1)
        self.lines = good
        self.revoke("read")
        self.forbidden(client, "ping")
        self.assertEqual(self.stats()["auth.table_refused"], 0)


class Bound(KeyedNode):
    def setUp(self):
        super().setUp()
        self.add("fleet", "write producer=fleet/")
        self.add("site", 'write,read series={site=~"a|b"}')
        self.add("slow", "write rate=1")
        self.add("quick", "write rate=1000")
        self.write_table()
        self.node.start()

    def state(self, client, producer, seq, wait_ms=20000):
        return self.ok(client, "ack", producer=producer.name, epoch=1, seq=seq, wait_ms=wait_ms)

    def test_producers_ids_are_bound_to_keys(self):
        client = self.client("fleet")
        mine, other = self.producer("fleet", "fleet/1"), self.producer("fleet", "other")
        mine.batch(1, points=[["a", 1, 1.0]])
        self.assertEqual(self.state(client, mine, 1)["state"], "ok")
        self.forbidden(client, "ack", producer="other", epoch=1, seq=1)
        other.batch(1, points=[["b", 1, 1.0]])
        other.batch(1, points=[[1]])  # not even to be refused in the other's name
        self.wait_stat("auth.forbidden", 3)
        self.assertNotIn("other", self.ok(self.client("read"), "producers")["producers"])
        owner = self.producer("write", "other")
        owner.batch(1, points=[["b", 1, 2.0]])
        reply = self.state(self.client("write"), owner, 1)
        self.assertEqual((reply["state"], reply["rejects"]), ("ok", []))

    def test_series_are_bound_to_keys_in_every_shape(self):
        client, producer = self.client("site"), self.producer("site", "s")
        table = {"name": "m", "labels": ["site"], "fields": ["x", "y"], "times": 1, "values": [[1, 2], [3, 4]]}
        batches = [
            ({"points": [['m{site="a"}', 1, 1.0]]}, True),
            ({"points": [['m{site="a"}', 2, 1.0], ["m", 2, 1.0]]}, False),
            ({"series": [['m{site="c"}', [1], [1.0]]]}, False),
            ({"series": [['m{site="b"}', [1], [1.0]]]}, True),
            ({"rows": [["m", {"site": "a"}, 1, {"f": 1}], ["m", {}, 1, {"f": 1}]]}, False),
            ({"tables": [dict(table, rows=[["a"], ["b"]])]}, True),
            ({"tables": [dict(table, rows=[["a"], ["c"]])]}, False),
        ]
        for seq, (batch, _) in enumerate(batches, 1):
            producer.batch(seq, **batch)
        reply = self.state(client, producer, len(batches))
        refused = [seq for seq, (_, taken) in enumerate(batches, 1) if not taken]
        self.assertEqual([r["seq"] for r in reply["rejects"]], refused)
        self.assertEqual({r["code"] for r in reply["rejects"]}, {"forbidden"})
        self.assertIn("may not write m{}", reply["rejects"][0]["message"])
        everything = self.ok(self.client("read"), "read", match='{__name__=~".+"}')["series"]
        self.assertEqual({labels.get("site") for labels, _, _ in everything}, {"a", "b"})
        self.node.terminate()
        self.node.start()  # the log holds the refusals
        reply = self.state(self.client("site"), producer, len(batches))
        self.assertEqual({r["code"] for r in reply["rejects"]}, {"forbidden"})

    def test_readers_see_only_their_series(self):
        producer = self.producer("write", "w")
        producer.batch(1, series=[['m{site="%s"}' % site, [1], [float(i)]] for i, site in enumerate("abc")]
                       + [["secret", [1], [9.0]], ['m{site="c",rack="r"}', [1], [3.0]]])
        self.assertEqual(self.state(self.client("write"), producer, 1)["state"], "ok")
        client, whole = self.client("site"), self.client("read")
        everything = '{__name__=~".+"}'
        self.assertEqual(len(self.ok(whole, "read", match=everything)["series"]), 5)
        for op, field in (("read", "series"), ("series", "series")):
            found = self.ok(client, op, match=everything)[field]
            labels = [one[0] if op == "read" else one for one in found]
            self.assertEqual({one.get("site") for one in labels}, {"a", "b"})
        for query, answer in (("sum(m)", 0.0 + 1.0), ("count(m)", 2.0), ("sum(sum_over_time(m[1h]))", 1.0)):
            found = self.ok(client, "query", query=query, time=1)
            self.assertEqual(column(found["result"][0][2]), [answer])
        self.assertEqual(self.ok(client, "query", query="secret", time=1)["result"], [])
        self.assertEqual(self.ok(client, "label_values", label="site")["values"], ["a", "b"])
        self.assertEqual(self.ok(client, "label_values", label="site", match="m")["values"], ["a", "b"])
        self.assertNotIn("rack", self.ok(client, "labels")["values"])
        self.assertEqual(self.ok(client, "get", key='m{site="a"}')["value"], 0.0)
        self.forbidden(client, "get", key="secret")
        self.forbidden(client, "stats")
        self.forbidden(client, "producers")

    def test_a_rate_is_kept_and_what_comes_too_fast_may_come_again(self):
        client, producer = self.client("slow"), self.producer("slow", "s")
        points = [["a", time, 1.0] for time in range(1, 301)]  # five minutes' worth
        producer.batch(1, points=points)
        self.assertEqual(self.state(client, producer, 1)["state"], "ok")
        producer.batch(2, points=points)
        self.wait_stat("ingest.over_rate", 1)
        reply = self.state(client, producer, 2, wait_ms=0)
        self.assertEqual((reply["state"], reply["expected"], reply["rejects"]), ("pending", 2, []))
        client, producer = self.client("quick"), self.producer("quick", "q")
        points = [["b", time, 1.0] for time in range(1, 1501)]
        for seq in range(1, 4):
            reply = {"state": "pending"}
            while reply["state"] != "ok":  # the budget grows again
                producer.batch(seq, points=points)
                reply = self.state(client, producer, seq, wait_ms=300)
        self.assertEqual(reply["rejects"], [])


class Start(unittest.TestCase):
    """What a node does not start with; one line says why."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="cityhall-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.pair = Pair()
        self.key, self.table = self.path("node.key"), self.path("authorized_keys")
        write_pair(self.key, self.pair)
        with open(self.table, "wb") as file:
            file.write(b"%s read a\n" % Pair().public)

    def path(self, name):
        return os.path.join(self.folder, name)

    def refused(self, said, *more):
        arguments = ["--data", self.path("data"), "--set", "security.key_file=" + self.key,
                     "--set", "security.authorized_keys=" + self.table,
                     "--set", "listen.ingest=tcp://127.0.0.1:*", "--set", "listen.query=tcp://127.0.0.1:*", *more]
        for check in ([], ["--check-config"]):
            done = subprocess.run([CITYHALL, *arguments, *check], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)
            self.assertIn(done.returncode, (1, 2), done.stderr)
            errors = [line for line in done.stderr.splitlines() if "level=info" not in line]
            self.assertEqual(len(errors), 1, done.stderr)
            self.assertIn(said, errors[0])
            self.assertNotIn(self.pair.secret.decode(), done.stderr)
        self.assertNotIn("event=ready", done.stderr)

    def test_a_secret_that_is_not_the_nodes_alone(self):
        os.chmod(self.key, 0o644)
        self.refused("its mode 0644 lets others at the secret key")
        os.unlink(self.key)
        self.refused("node.key: cannot be read: No such file")
        os.mkdir(self.key)
        self.refused("is a directory")
        os.rmdir(self.key)
        open(self.key, "w").close()
        os.chmod(self.key, 0o600)
        self.refused("node.key: is empty")
        write_pair(self.path("real.key"), self.pair)
        os.unlink(self.key)
        os.symlink(self.path("real.key"), self.key)
        self.refused("is a symbolic link")

    def test_a_pair_that_is_none(self):
        pair = Pair()
        pair.public = self.pair.public
        write_pair(self.key, pair)
        self.refused("the public key is not that of the secret key")

    def test_a_table_that_is_no_good(self):
        for text, said in ((b"", "is empty"), (b"\nx read a\n", "authorized_keys:2: the first word")):
            with open(self.table, "wb") as file:
                file.write(text)
            self.refused(said)
        os.chmod(self.table, 0o666)
        self.refused("lets others write who gets in")
        os.unlink(self.table)
        self.refused("authorized_keys: cannot be read")

    def test_half_of_the_settings(self):
        done = subprocess.run([CITYHALL, "--check-config", "--set", "security.key_file=" + self.key],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 2)
        self.assertIn("security.authorized_keys is not; keys need both", done.stderr)

    def test_other_machines_reach_a_node_with_keys_only(self):
        def check(*settings):
            arguments = [word for setting in settings for word in ("--set", setting)]
            return subprocess.run([CITYHALL, "--check-config", *arguments], capture_output=True, text=True,
                                  timeout=60)
        keys = ("security.key_file=" + self.key, "security.authorized_keys=" + self.table)
        self.assertIn("listen.query: tcp://0.0.0.0:7879 can be reached",
                      check("listen.query=tcp://0.0.0.0:7879").stderr)
        done = check("listen.query=tcp://0.0.0.0:7879", "listen.ingest=tcp://0.0.0.0:7878", *keys)
        self.assertEqual(done.returncode, 0, done.stderr)
        # the HTTP address has no keys
        self.assertIn("listen.http", check("listen.http=0.0.0.0:7881", *keys).stderr)


class Open(KeyedNode):
    def test_a_node_that_other_machines_reach_serves_who_has_a_key(self):
        self.node.settings["listen.query"] = "tcp://0.0.0.0:*"
        self.node.start()
        self.node.endpoints["query"] = self.node.endpoints["query"].replace("0.0.0.0", "127.0.0.1")
        self.ok(self.client("read"), "ping")
        self.assertFalse(self.handshake("query", lambda socket: None))
        self.assertNotIn(self.server.secret.decode(), self.node.log.text())
        self.assertEqual(self.node.terminate(), 0)


if __name__ == "__main__":
    unittest.main()
