"""A TCP proxy that knows ZMTP's frames and treats messages badly: loses, repeats, delays and overtakes them,
cuts connections in the middle of a frame and during the handshake. A seed gives the same fates to the
same messages (not the same schedule of the machine).

Frames (ZMTP 3): a greeting of 64 bytes, then flags (1 more, 2 long, 4 command), size, body. Commands and
greetings pass untouched; a message is all frames up to the one without `more`.
"""

import random
import select
import socket
import threading

GREETING_BYTES = 64
IDLE_S = 0.02  # what is held back goes on when so long nothing else came
FATES = {"lose": 0.04, "repeat": 0.04, "late": 0.04, "copy_late": 0.04, "cut": 0.015}
HANDSHAKE_CUTS = 0.1


class Stream:
    """One direction of a connection: bytes in, whole messages out."""

    def __init__(self, to):
        self.to = to
        self.bytes = bytearray()
        self.greeting_left = GREETING_BYTES
        self.message = b""  # frames of a message that is not whole yet
        self.held = []  # [messages still to pass, message]

    def units(self):
        """What is whole by now: (is a message, its bytes)."""
        greeting = bytes(self.bytes[:self.greeting_left])  # at once: each end waits for the other's
        self.greeting_left -= len(greeting)
        del self.bytes[:len(greeting)]
        found = [(False, greeting)] if greeting else []
        while True:
            size = self.next_size()
            if size is None or len(self.bytes) < size:
                return found
            unit = bytes(self.bytes[:size])
            del self.bytes[:size]
            if unit[0] & 4:
                found.append((False, unit))
            else:
                self.message += unit
                if not unit[0] & 1:
                    found.append((True, self.message))
                    self.message = b""

    def next_size(self):
        if len(self.bytes) < 2 or (self.bytes[0] & 2 and len(self.bytes) < 9):
            return None
        if self.bytes[0] & 2:
            return 9 + int.from_bytes(self.bytes[1:9], "big")
        return 2 + self.bytes[1]


class Cut(Exception):
    """This connection ends here."""


class Proxy(threading.Thread):
    """Stands before `target`; clients connect to `endpoint`. `calm()` ends the mistreatment."""

    def __init__(self, target, seed):
        super().__init__(daemon=True)
        host, port = target.replace("tcp://", "").rsplit(":", 1)
        self.target = (host, int(port))
        self.rng = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.wake_in, self.wake_out = socket.socketpair()
        self.stopped = False
        self.calmed = False
        self.streams = {}  # socket read from: Stream
        self.done = dict.fromkeys([*FATES, "pass", "handshake_cut"], 0)
        self.start()

    def close(self):
        self.stopped = True
        self.wake_out.send(b"x")
        self.join(timeout=30)
        self.wake_in.close()
        self.wake_out.close()

    def calm(self):
        self.calmed = True

    def run(self):
        try:
            while not self.stopped:
                sockets = [self.listener, self.wake_in, *self.streams]
                for ready in select.select(sockets, [], [], IDLE_S)[0] or [None]:
                    self.serve(ready)
        finally:
            for one in [self.listener, *self.streams]:
                one.close()

    def serve(self, ready):
        if ready is None:
            for source in list(self.streams):
                self.guarded(source, self.release_all)
        elif ready is self.listener:
            self.accept()
        elif ready in self.streams:
            self.guarded(ready, self.move)

    def accept(self):
        client = self.listener.accept()[0]
        if not self.calmed and self.rng.random() < HANDSHAKE_CUTS:
            self.done["handshake_cut"] += 1
            client.close()
            return
        try:
            server = socket.create_connection(self.target, timeout=5)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.settimeout(5)
        self.streams[client], self.streams[server] = Stream(server), Stream(client)

    def guarded(self, source, step):
        try:
            if source in self.streams:
                step(source, self.streams[source])
        except (OSError, Cut):
            other = self.streams.pop(source).to
            self.streams.pop(other, None)
            source.close()
            other.close()

    def move(self, source, stream):
        data = source.recv(65536)
        if not data:
            raise Cut
        stream.bytes += data
        for is_message, unit in stream.units():
            if is_message and not self.calmed:
                self.mistreat(stream, unit)
            else:
                stream.to.sendall(unit)
                self.done["pass"] += is_message

    def fate(self):
        draw = self.rng.random()
        for fate, share in FATES.items():
            draw -= share
            if draw < 0:
                return fate
        return "pass"

    def mistreat(self, stream, message):
        fate = self.fate()
        self.done[fate] += 1
        if fate == "cut":
            stream.to.sendall(message[:self.rng.randrange(len(message))])
            raise Cut
        if fate in ("pass", "repeat", "copy_late"):
            stream.to.sendall(message)
        if fate == "repeat":
            stream.to.sendall(message)
        self.pass_one(stream)
        if fate in ("late", "copy_late"):
            stream.held.append([self.rng.randrange(1, 60), message])

    def pass_one(self, stream):
        """One more message went by: whoever has waited for that many goes on."""
        for held in stream.held:
            held[0] -= 1
        due = [held[1] for held in stream.held if held[0] <= 0]
        stream.held = [held for held in stream.held if held[0] > 0]
        for message in due:
            stream.to.sendall(message)

    def release_all(self, source, stream):
        for held in stream.held:
            held[0] = 0
        self.pass_one(stream)
