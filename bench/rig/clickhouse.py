"""ClickHouse from Debian's package, unpacked into a folder and not installed."""

import glob
import os
import subprocess

from rig import servers

PACKAGE = "clickhouse-server"
PROGRAM = "usr/sbin/clickhouse-server"
DOWNLOAD_TIMEOUT_S = 300
CONFIG = """<yandex>
  <logger><level>error</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>%(http)d</http_port><tcp_port>%(tcp)d</tcp_port>
  <path>%(data)s/</path><tmp_path>%(data)s/tmp/</tmp_path>
  <users_config>%(root)s/users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
</yandex>
"""
USERS = """<yandex>
  <profiles><default/></profiles>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
    <profile>default</profile><quota>default</quota></default></users>
  <quotas><default/></quotas>
</yandex>
"""
FIELDS = ("user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")
TABLE = "CREATE TABLE cpu (time DateTime, host UInt32, %s) ENGINE = MergeTree " \
    "PARTITION BY toYYYYMM(time) ORDER BY (host, time)" % ", ".join("usage_%s Int64" % f for f in FIELDS)


class Missing(Exception):
    """It cannot be had here."""


def wanted_packages():
    """The server's package and what of its dependencies is not here, as apt would install them."""
    done = subprocess.run(["apt-get", "-s", "--no-install-recommends", "install", PACKAGE],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=DOWNLOAD_TIMEOUT_S, universal_newlines=True)
    packages = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]
    if done.returncode != 0 or not packages:
        raise Missing("apt knows no way to " + PACKAGE)
    return packages


def unpack(folder):
    """Path of the server's program, unpacked below `folder` with the libraries it needs."""
    done = subprocess.run(["apt-get", "download"] + wanted_packages(), cwd=folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DOWNLOAD_TIMEOUT_S)
    if done.returncode != 0:
        raise Missing("apt could not download " + PACKAGE)
    for name in os.listdir(folder):
        if name.endswith(".deb"):
            subprocess.run(["dpkg", "-x", name, "."], cwd=folder, check=True)
    program = os.path.join(folder, PROGRAM)
    if not os.path.exists(program):
        raise Missing("its package holds no " + PROGRAM)
    return program


def library_path(folder):
    """Where the unpacked libraries lie."""
    found = {os.path.dirname(path) for path in glob.glob(os.path.join(folder, "usr/lib/**/*.so*"), recursive=True)}
    return ":".join(sorted(found))


class ClickHouse(servers.Server):
    """One table of rows (time, host number, ten Int64), so without the text of the tags."""

    name = "clickhouse"
    path = "/?query=INSERT%20INTO%20cpu%20FORMAT%20RowBinary"

    def start(self):
        try:
            program = unpack(self.root)
        except (Missing, subprocess.SubprocessError) as reason:
            raise Missing(str(reason))
        os.makedirs(self.data)
        http = servers.free_port()
        self.address = "127.0.0.1:%d" % http
        names = {"http": http, "tcp": servers.free_port(), "data": self.data, "root": self.root}
        for name, text in (("config.xml", CONFIG % names), ("users.xml", USERS)):
            with open(os.path.join(self.root, name), "w") as file:
                file.write(text)
        self.process = servers.start_quietly(
            [program, "--config-file=" + os.path.join(self.root, "config.xml")], self.root,
            {**os.environ, "LD_LIBRARY_PATH": library_path(self.root)})
        try:
            servers.wait_for_http(self, "/ping")
        except RuntimeError as reason:
            raise Missing("its program does not start: " + str(reason).strip().splitlines()[-1])
        servers.fetch(self.address, "/", TABLE.encode())
        return self

    def rows(self):
        return 10 * int(servers.fetch(self.address, "/?query=SELECT%20count()%20FROM%20cpu"))
