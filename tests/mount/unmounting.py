"""How a mount ends while its servers are away."""

import contextlib
import os
import re
import signal
import subprocess
import time

from harness import (KIB, check, check_equal, error_of, mounts_below, program, run, wait_until, write_file)


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


def begin(file):
    """Before its first write the kernel asks for security.capability, for which the metadata server must be there."""
    os.write(file, b"x")


def umount(mount):
    run("umount", mount.directory, timeout=60)


def a_mount_with_nothing_unsent_ends_without_its_servers(space):
    with space.cluster(servers=1, replicas=1) as cluster:
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
    with space.cluster(servers=1, replicas=1) as cluster:
        for away in (stopped, frozen):
            mount = Mount(space, cluster, f"place-{away.__name__}")
            with open(mount.directory / away.__name__, "wb", buffering=0) as file:
                begin(file.fileno())
                with away(cluster, "meta"):
                    file.write(b"x" * 64 * KIB)
                    mount.signal()
                    time.sleep(3)
                    check(mount.is_running(), f"dfs-mount did not wait: {mount.said()!r}")
                mount.check_ended(0)
            check_equal((cluster.mount / away.__name__).read_bytes(), b"x" * (64 * KIB + 1), "what another mount reads")


def a_second_signal_ends_the_wait_and_says_what_may_be_lost(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        for away in (stopped, frozen):
            mount = Mount(space, cluster, f"place-{away.__name__}")
            file = os.open(mount.directory / away.__name__, os.O_WRONLY | os.O_CREAT)
            inode = os.fstat(file).st_ino
            begin(file)
            os.fsync(file)
            with away(cluster, "meta"):
                os.write(file, b"x" * 64 * KIB)
                mount.signal()
                time.sleep(1)
                check(mount.is_running(), f"dfs-mount did not wait: {mount.said()!r}")
                mount.signal()
                mount.check_ended(1)
            check_equal(error_of(os.close, file), "ENOTCONN", "closing a file of a mount that is gone")
            lost = rf"64 KiB written to 1 file \(inode {inode}\) may be lost"
            check(re.search(lost, mount.said()), f"dfs-mount said {mount.said()!r}")
            check_equal((cluster.mount / away.__name__).stat().st_size, 1, "the size another mount sees")
            cluster.check_all_alive()
