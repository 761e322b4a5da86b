"""How a mount ends while its servers are away."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time

from harness import KIB, check, check_equal, mounts_below, program, run, wait_until, write_file


class Mount:
    """dfs-mount in the foreground, so that its exit code and its words are seen."""

    def __init__(self, space, cluster, name):
        self.directory = space.path(name)
        self.directory.mkdir()
        self._log = space.path(f"{name}.log")
        reader, writer = os.pipe()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [program("dfs-mount"), cluster.processes()["meta"]["address"], self.directory, "-f",
                 "--ready-fd", str(writer)], pass_fds=[writer], stdout=log, stderr=log)
        os.close(writer)
        check_equal(os.read(reader, 100), b"ready\n", "what dfs-mount says when it answers")
        os.close(reader)

    def signal(self):
        self._process.send_signal(signal.SIGTERM)

    def is_running(self):
        return self._process.poll() is None

    def said(self):
        return self._log.read_text(errors="replace")

    def check_ended(self, code):
        wait_until(lambda: not self.is_running(), f"dfs-mount at {self.directory} ends", limit=60)
        check_equal(self._process.returncode, code, f"the exit code of dfs-mount, which said {self.said()!r}")
        check_equal(mounts_below(self.directory), [], "what is still mounted")


def cluster_with_short_leases(space, servers=1):
    """A mount that ends while the metadata server is away says no goodbye: the others wait for its leases to end."""
    config = space.path("meta.toml")
    config.write_text("lease_time_ms = 2000\n")
    return space.cluster(servers=servers, replicas=1, extra=[f"meta=--config={config}"])


@contextlib.contextmanager
def stopped(cluster, name):
    """The server is shut down meanwhile."""
    cluster.stop(name)
    try:
        yield
    finally:
        cluster.start(name)


@contextlib.contextmanager
def frozen(cluster, name):
    """The server keeps its connections and says nothing meanwhile."""
    pid = cluster.pid(name)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# Before a first write the kernel asks for security.capability, for which the
# metadata server must be there; after attributes are asked for, again.
WRITER = """
import errno, os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
inode = os.fstat(file).st_ino
os.write(file, b"x")
os.fsync(file)
print(inode, flush=True)
sys.stdin.readline()
print(os.write(file, b"x" * 64 * 1024), flush=True)
sys.stdin.readline()
try:
    os.close(file)
    print("closed", flush=True)
except OSError as problem:
    print(errno.errorcode[problem.errno], flush=True)
"""


class Writer:
    """A program with a file open. Not the test itself: whatever that starts would close the file too, and wait."""

    def __init__(self, path):
        self._process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self.inode = int(self._process.stdout.readline())

    def write(self):
        check_equal(self._go_on(), str(64 * KIB), "what was written")

    def close(self):
        """What closing the file said."""
        said = self._go_on()
        self._process.communicate()
        return said

    def _go_on(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def umount(mount):
    run("umount", mount.directory, timeout=60)


def a_mount_with_nothing_unsent_ends_without_its_servers(space):
    with cluster_with_short_leases(space) as cluster:
        for number, (away, names, end) in enumerate((
                (stopped, ["meta"], Mount.signal),
                (stopped, ["meta"], umount),
                (stopped, ["meta", "storage1"], Mount.signal),
                (frozen, ["meta"], Mount.signal),
                (frozen, ["meta"], umount))):
            mount = Mount(space, cluster, f"place{number}")
            write_file(mount.directory / f"file{number}", b"sent")
            with contextlib.ExitStack() as gone:
                for name in reversed(names):
                    gone.enter_context(away(cluster, name))
                end(mount)
                mount.check_ended(0)
            check_equal((cluster.mount / f"file{number}").read_bytes(), b"sent", "what another mount reads")


def a_mount_with_unsent_data_waits_for_its_servers(space):
    with cluster_with_short_leases(space) as cluster:
        for away in (stopped, frozen):
            mount = Mount(space, cluster, f"place-{away.__name__}")
            writer = Writer(mount.directory / away.__name__)
            with away(cluster, "meta"):
                writer.write()
                mount.signal()
                time.sleep(3)
                check(mount.is_running(), f"dfs-mount did not wait: {mount.said()!r}")
            mount.check_ended(0)
            writer.close()
            check_equal((cluster.mount / away.__name__).read_bytes(), b"x" * (64 * KIB + 1), "what another mount reads")


def a_second_signal_ends_the_wait_and_says_what_may_be_lost(space):
    with cluster_with_short_leases(space) as cluster:
        for away in (stopped, frozen):
            mount = Mount(space, cluster, f"place-{away.__name__}")
            writer = Writer(mount.directory / away.__name__)
            with away(cluster, "meta"):
                writer.write()
                mount.signal()
                time.sleep(1)
                check(mount.is_running(), f"dfs-mount did not wait: {mount.said()!r}")
                mount.signal()
                mount.check_ended(1)
            check_equal(writer.close(), "ENOTCONN", "closing a file of a mount that is gone")
            lost = rf"64 KiB written to 1 file \(inode {writer.inode}\) may be lost"
            check(re.search(lost, mount.said()), f"dfs-mount said {mount.said()!r}")
            # The commit may wait at a frozen server, to be taken when it goes on.
            size = (cluster.mount / away.__name__).stat().st_size
            check(size in (1, 64 * KIB + 1), f"{size} bytes are seen by another mount: neither all nor nothing")
            cluster.check_all_alive()
