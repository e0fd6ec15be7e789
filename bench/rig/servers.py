"""The programs under measurement: started in a fresh temporary directory, looked at, stopped.

Nothing is left behind: every server is closed by `closing`, also when the benchmark is told to end.
"""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("CH_BIN_DIR", os.path.join(ROOT, "build/release/bin"))
sys.path.insert(0, os.path.join(ROOT, "tests/blackbox"))

import harness  # noqa: E402 (it reads CH_BIN_DIR)
import zmq  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 120


def end_orderly():
    """SIGTERM ends as an exception does, so that everything that was started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to end"))


def cpu_seconds(pid):
    """User and system time of a process, its threads included."""
    with open("/proc/%d/stat" % pid) as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_rss_bytes(pid):
    with open("/proc/%d/status" % pid) as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def disk_bytes(path, leave_out=()):
    """What the files below take on the disk."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            if name not in leave_out:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """What all have in common. `pid` is set while it runs."""

    name = ""
    reserve_files = ()

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="cityhall-bench-")
        self.data = os.path.join(self.root, "data")
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        return cpu_seconds(self.pid)

    def peak_rss_bytes(self):
        return peak_rss_bytes(self.pid)

    def disk_bytes(self):
        """(the whole data directory, the same without what is held in reserve for a full disk)"""
        return disk_bytes(self.data), disk_bytes(self.data, self.reserve_files)

    def stop(self):
        """SIGTERM, and wait; CPU seconds of its whole life."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=STOP_TIMEOUT_S)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code != 0:
            raise RuntimeError("%s ended with %d" % (self.name, code))
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=STOP_TIMEOUT_S)
        shutil.rmtree(self.root, ignore_errors=True)


class CityHall(Server):
    """A release node as it comes: its defaults, wal.sync=group, on free ports of the loopback."""

    name = "cityhall"
    reserve_files = ("reserve",)

    def __init__(self, settings=None):
        super().__init__()
        defaults = {"engine.memtable_bytes": "64MiB", "wal.sync": "group"}
        self.node = harness.Node(self.data, {**defaults, **(settings or {})})
        self.context = None

    def start(self):
        self.node.start()
        self.process = self.node.process
        return self

    @property
    def endpoints(self):
        return self.node.endpoints

    def ask(self, op, **fields):
        self.context = self.context or zmq.Context()
        client = harness.Client(self.context, self.endpoints["query"])
        try:
            reply = client.request(op, **fields)
        finally:
            client.close()
        if not reply["ok"]:
            raise RuntimeError("%s: %r" % (op, reply["error"]))
        return reply

    def stats(self):
        return self.ask("stats")["stats"]

    def close(self):
        if self.context:
            self.context.destroy(0)
        super().close()


class VictoriaMetrics(Server):
    """Debian's, as it comes, but for a retention that takes data of any age."""

    name = "victoria-metrics"
    path = "/write"

    @staticmethod
    def missing():
        """Why it cannot be measured; None when it can."""
        return None if shutil.which("victoria-metrics") else "victoria-metrics is not installed"

    def start(self):
        self.address = "127.0.0.1:%d" % free_port()
        self.process = start_quietly(
            ["victoria-metrics", "-storageDataPath=" + self.data, "-httpListenAddr=" + self.address,
             "-retentionPeriod=100y"], self.root)
        wait_for_http(self, "/health")
        return self

    def rows(self):
        """Values it says it has taken."""
        total = 0
        for line in fetch(self.address, "/metrics").splitlines():
            if line.startswith('vm_rows_inserted_total{type="influx"}'):
                total += int(float(line.split()[-1]))
        return total


def start_quietly(command, root, environment=None):
    with open(os.path.join(root, "log"), "wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root,
                                env=environment)


def fetch(address, path, body=None):
    with urllib.request.urlopen("http://%s%s" % (address, path), data=body, timeout=30) as reply:
        return reply.read().decode("utf-8", "replace")


def wait_for_http(server, path):
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError, urllib.error.URLError):
            fetch(server.address, path)
            return
        time.sleep(0.05)
    with open(os.path.join(server.root, "log"), errors="replace") as log:
        raise RuntimeError("%s did not start:\n%s" % (server.name, log.read()[-2000:]))
