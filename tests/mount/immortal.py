"""A mount whose worker is killed, at rest and at any moment: programs see a pause and nothing else."""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from harness import KIB, check, check_equal, error_of, only_child, program, run, seeded, wait_until
from loads import (Loads, files_grow, locks_are_taken, names_come_and_go, small_files_are_closed)
from unmounting import Writer


def kill_child(supervisor):
    """kill -9, and nothing else: who goes on is not waited for."""
    worker = only_child(supervisor)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: only_child(supervisor) != worker, "another worker goes on", limit=10, pause=0.002)


def kill_worker(cluster, name="mount1"):
    kill_child(cluster.pid(name))


# --- at rest --------------------------------------------------------------------------


def another_program_gets(mount, path, lock):
    """In another process, since locks of one's own are no obstacle."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        file = os.open(mount / path, os.O_RDWR)
        os.write(writing, error_of(lock, file, fcntl.LOCK_EX | fcntl.LOCK_NB).encode() or b"got it")
        os._exit(0)
    os.close(writing)
    said = os.read(reading, 64).decode()
    os.close(reading)
    os.waitpid(child, 0)
    return said


def descriptors_locks_and_listings_outlive_the_worker(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        mount = cluster.mount
        (mount / "directory").mkdir()
        for number in range(300):
            (mount / "directory" / f"name-{number:03d}").touch()
        file = os.open(mount / "file", os.O_RDWR | os.O_CREAT)
        os.write(file, b"before")
        os.fsync(file)
        removed = os.open(mount / "removed", os.O_RDWR | os.O_CREAT)
        os.write(removed, b"nameless")
        os.fsync(removed)
        os.unlink(mount / "removed")
        appending = os.open(mount / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        listing = os.scandir(mount / "directory")
        seen = [next(listing).name for _ in range(10)]
        fcntl.flock(file, fcntl.LOCK_EX)
        fcntl.lockf(appending, fcntl.LOCK_EX)

        for number in range(3):
            kill_worker(cluster)
            check_equal(os.pread(file, 100, 0), b"before", "what an open file has")
            check_equal(os.pread(removed, 100, 0), b"nameless", "what a file without a name has")
            os.write(appending, b"line %d\n" % number)
            os.fsync(appending)
            check_equal(another_program_gets(mount, "file", fcntl.flock), "EAGAIN", "who wants to flock what is locked")
            check_equal(another_program_gets(mount, "log", fcntl.lockf), "EAGAIN", "who wants to lock what is locked")
        seen += [entry.name for entry in listing]
        check_equal(sorted(seen), [f"name-{number:03d}" for number in range(300)], "a listing that went on")
        check_equal((mount / "log").read_bytes(), b"line 0\nline 1\nline 2\n", "what was appended")

        os.close(file)
        os.close(appending)
        os.close(removed)
        # Closing does not wait for a flock to be given up.
        wait_until(lambda: another_program_gets(mount, "file", fcntl.flock) == "got it", "the flock is gone with its file")
        check_equal(another_program_gets(mount, "log", fcntl.lockf), "got it", "who locks what was unlocked")
        cluster.check_all_alive()


def a_mount_whose_supervisor_is_killed_serves_on(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        worker = cluster.worker()
        os.kill(cluster.pid("mount1"), signal.SIGKILL)
        wait_until(lambda: not cluster.processes()["mount1"]["alive"], "the supervisor is gone")
        with open(cluster.mount / "file", "wb") as file:
            file.write(b"written without a supervisor")
        run("umount", cluster.mount)
        wait_until(lambda: not os.path.exists(f"/proc/{worker}"), "the worker ends with the mount")
        cluster.start("mount1")
        check_equal((cluster.mount / "file").read_bytes(), b"written without a supervisor", "what was written")


def a_worker_that_is_killed_before_it_serves_is_replaced(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        supervisor = cluster.pid("mount1")
        file = os.open(cluster.mount / "file", os.O_RDWR | os.O_CREAT)
        for turn in range(4):
            os.pwrite(file, b"%d" % turn, 0)
            kill_child(supervisor)
            worker = only_child(supervisor)
            os.kill(supervisor, signal.SIGSTOP)
            time.sleep(0.2)  # time to ask for the kernel's connection, and to find nobody
            os.kill(worker, signal.SIGKILL)
            os.kill(supervisor, signal.SIGCONT)
            check_equal(os.pread(file, 100, 0), b"%d" % turn, "what an open file has")
        os.close(file)


def a_dead_worker_that_waits_for_a_page_is_not_waited_for(space):
    """Invalidating a page waits in the kernel until the read that has locked it is answered, kill -9 or not."""
    with space.cluster(servers=1, replicas=1) as cluster:
        data = bytes(range(256)) * 4 * KIB
        path = cluster.mount / "file"
        path.write_bytes(data)
        cluster.restart_mounts_cold()
        storage = cluster.pid("storage1")
        path.stat()
        os.kill(storage, signal.SIGSTOP)
        reader = subprocess.Popen([sys.executable, "-c", READER, path], stdout=subprocess.PIPE)
        reader.stdout.readline()
        time.sleep(0.5)  # the read is on its way, or else this test says nothing
        cluster.kill("meta")
        kill_worker(cluster)
        cluster.start("meta")  # which does not know what the mount had: all pages are invalidated
        time.sleep(1)
        kill_worker(cluster)
        os.kill(storage, signal.SIGCONT)
        check_equal(reader.communicate(timeout=30)[0].strip(), hashlib.sha256(data).hexdigest().encode(), "what was read")
        check_equal(path.read_bytes(), data, "what is read")
        cluster.check_all_alive()


READER = """
import hashlib, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
print(flush=True)
print(hashlib.sha256(os.read(file, 1 << 21)).hexdigest())
"""


# --- another program ------------------------------------------------------------------


def put_in_place(path, content):
    """As a package manager does: the former program goes on, it has no name any more."""
    fresh = path.with_name("fresh")
    shutil.copy(content, fresh)
    fresh.chmod(0o755)
    os.rename(fresh, path)


def an_upgrade_goes_on_with_what_is_open(space):
    place, binary, pretender = space.path("place"), space.path("dfs-mount"), space.path("pretender")
    place.mkdir()
    put_in_place(binary, program("dfs-mount"))
    pretender.write_text("#!/bin/sh\nexit 3\n")
    with space.cluster(servers=1, replicas=1, mounts=0) as cluster:
        supervisor = space.path("supervisor")
        meta = cluster.processes()["meta"]["address"]
        with open(supervisor, "wb") as ready:
            mount = subprocess.Popen([binary, meta, place, "-f", "-o", f"log_file={space.path('log')}",
                                      "--ready-fd", str(ready.fileno())], pass_fds=[ready.fileno()])
            wait_until(lambda: supervisor.read_bytes() == b"ready\n", "the mount answers")
        file = os.open(place / "file", os.O_RDWR | os.O_CREAT)

        def check_goes_on(text, inode):
            os.pwrite(file, text, 0)
            check_equal(os.pread(file, len(text), 0), text, "what an open file has")
            check_equal(os.stat(f"/proc/{only_child(mount.pid)}/exe").st_ino, inode, "the program that serves")

        former = binary.stat().st_ino
        check_goes_on(b"begun", former)
        put_in_place(binary, pretender)
        kill_child(mount.pid)
        check_goes_on(b"killed", former)

        refused = run(program("dfs"), "mount", "upgrade", place, ok=(1,)).stderr.decode()
        check(re.search(r"cannot go on with it \(ended with status 3\): the former one does", refused), refused)
        check_goes_on(b"tried", former)

        os.unlink(binary)
        refused = run(program("dfs"), "mount", "upgrade", place, ok=(1,)).stderr.decode()
        check(re.search(r"No such file", refused), refused)
        check_goes_on(b"told", former)

        put_in_place(binary, program("dfs-mount"))
        said = run(program("dfs"), "mount", "upgrade", place).stdout.decode()
        check(re.search(r"is served by version \d", said), said)
        check_goes_on(b"upgraded", binary.stat().st_ino)
        os.close(file)
        mount.terminate()
        check_equal(mount.wait(30), 0, "how the mount ended")
        refused = run(program("dfs"), "mount", "upgrade", place, ok=(1,)).stderr.decode()
        check(re.search(r"no dfs is mounted at", refused), refused)


# --- what is at risk ------------------------------------------------------------------


def what_is_not_on_the_servers_is_told(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        def unsent():
            mounts = [each for each in cluster.status()["sessions"] if each["program"] == "dfs-mount"]
            return mounts[0]["unsent_bytes"], mounts[0]["oldest_unsent_ms"]
        writer = Writer(cluster.mount / "file")
        wait_until(lambda: unsent() == (0, 0), "an idle mount has nothing to lose")
        cluster.stop("storage1")
        writer.write()
        wait_until(lambda: unsent()[0] >= 64 * KIB and unsent()[1] > 2000, "what the mount would lose is told", limit=20)
        cluster.start("storage1")
        wait_until(lambda: unsent() == (0, 0), "it is told that all is on the servers", limit=30)
        check_equal(writer.close(), "closed", "how the program ended")


# --- at any moment ----------------------------------------------------------------------


def kills_at_any_moment_lose_nothing(space):
    generator = seeded("immortal")
    with space.cluster(servers=1, replicas=1) as cluster:
        loads = Loads(cluster.mounts, generator)
        loads.start(names_come_and_go, "names")
        loads.start(files_grow, "scattered", 0)
        loads.start(files_grow, "appended", os.O_APPEND)
        loads.start(small_files_are_closed, "small")
        loads.start(locks_are_taken, "locked")
        kills = 0
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline and not loads.problems:
            time.sleep(generator.choice((0.02, 0.1, 0.5, 1.2)) * (0.5 + generator.random()))
            kill_worker(cluster)
            kills += 1
        loads.end()
        print(f"{kills} kills, {loads.calls} calls; the longest took {loads.longest:.2f} s", flush=True)
        check(not loads.problems, f"after {kills} kills: {loads.problems}")
        cluster.check_all_alive()
