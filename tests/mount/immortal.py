"""A mount whose worker is killed, at rest and at any moment: programs see a pause and nothing else."""

import errno
import collections
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import traceback

from harness import KIB, check, check_equal, error_of, only_child, program, run, seeded, wait_until
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
        check_equal(unsent(), (0, 0), "what an idle mount would lose")
        cluster.stop("storage1")
        writer.write()
        wait_until(lambda: unsent()[0] >= 64 * KIB and unsent()[1] > 2000, "what the mount would lose is told", limit=20)
        cluster.start("storage1")
        wait_until(lambda: unsent() == (0, 0), "it is told that all is on the servers", limit=30)
        check_equal(writer.close(), "closed", "how the program ended")


# --- at any moment ----------------------------------------------------------------------


class Loads:
    """Threads that work, each in a directory of its own, and remember what was acknowledged."""

    def __init__(self, mount, generator):
        self.mount = mount
        self.longest = 0.0
        self.calls = 0
        self.latest = {}
        self.problems = []
        self._over = threading.Event()
        self._seeds = generator
        self._threads = []

    def start(self, work, *arguments):
        seed = self._seeds.randrange(1 << 32)

        def run():
            try:
                work(self, random.Random(seed), *arguments)
            except BaseException as problem:  # pylint: disable=broad-except
                where = traceback.extract_tb(problem.__traceback__)
                lines = [step.line for step in where if step.filename == __file__]
                self.problems.append(f"{work.__name__}: {problem!r} in {lines[-2:]} after "
                                     f"{list(self.latest[threading.get_ident()])}")
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def go_on(self):
        return not self._over.is_set() and not self.problems

    def call(self, function, *arguments):
        """A call into the mount, whose time is told, not judged."""
        began = time.monotonic()
        mine = self.latest.setdefault(threading.get_ident(), collections.deque(maxlen=4))
        mine.append((function.__name__, *(os.fspath(name)[-12:] for name in arguments if isinstance(name, os.PathLike))))
        result = function(*arguments)
        self.longest = max(self.longest, time.monotonic() - began)
        self.calls += 1
        return result

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


def check_names(top, there):
    found = set(os.listdir(top))
    check(found == there, f"names are missing: {sorted(there - found)}; names too many: {sorted(found - there)}")


def names_come_and_go(loads, generator, name):
    """Creates, renames, links and removes: each must succeed exactly once."""
    top = loads.mount / name
    loads.call(os.mkdir, top)
    there, made = set(), 0
    while loads.go_on():
        choice = generator.random()
        if choice < 0.45 or len(there) < 5:
            new = f"n{made}"
            made += 1
            if choice < 0.1:
                loads.call(os.mkdir, top / new)
                loads.call(os.rmdir, top / new)
                continue
            file = loads.call(os.open, top / new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            loads.call(os.close, file)
            there.add(new)
        elif choice < 0.75:
            old, new = generator.choice(sorted(there)), f"r{made}"
            made += 1
            try:
                loads.call(os.rename, top / old, top / new)
            except OSError:
                check_names(top, there)
                raise
            there.remove(old)
            there.add(new)
        elif choice < 0.85:
            old, new = generator.choice(sorted(there)), f"l{made}"
            made += 1
            loads.call(os.link, top / old, top / new)
            there.add(new)
        else:
            old = generator.choice(sorted(there))
            loads.call(os.unlink, top / old)
            there.remove(old)
    check_names(top, there)


def files_grow(loads, generator, name, flags):
    """Writes at the end and in the middle through one descriptor; what a call has returned is read back."""
    path = loads.mount / name
    file = loads.call(os.open, path, os.O_RDWR | os.O_CREAT | flags)
    model = bytearray()
    while loads.go_on():
        data = generator.randbytes(generator.randrange(1, 40 * KIB))
        at = len(model) if flags & os.O_APPEND else generator.randrange(len(model) + 1)
        if flags & os.O_APPEND:
            check_equal(loads.call(os.write, file, data), len(data), "what was appended")
        else:
            check_equal(loads.call(os.pwrite, file, data, at), len(data), "what was written")
        model[at:at + len(data)] = data
        if generator.random() < 0.2:
            loads.call(os.fsync, file)
        if generator.random() < 0.05:
            cut = generator.randrange(len(model) + 1)
            loads.call(os.ftruncate, file, cut)
            del model[cut:]
        start = generator.randrange(len(model) + 1)
        found = loads.call(os.pread, file, 20 * KIB, start)
        check(found == bytes(model[start:start + 20 * KIB]), f"{name} at {start} is not what was written")
        if len(model) > 4000 * KIB:
            loads.call(os.ftruncate, file, 0)
            model.clear()
    os.close(file)
    check(path.read_bytes() == bytes(model), f"{name} is not what was written")


def small_files_are_closed(loads, generator, name):
    """Written, closed, read by whoever opens them next."""
    top = loads.mount / name
    loads.call(os.mkdir, top)
    model = {}
    while loads.go_on():
        key = f"f{generator.randrange(40)}"
        data = generator.randbytes(generator.randrange(1, 8 * KIB))
        file = loads.call(os.open, top / key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        loads.call(os.write, file, data)
        loads.call(os.close, file)
        model[key] = data
        key = generator.choice(sorted(model))
        check((top / key).read_bytes() == model[key], f"{name}/{key} is not what was written")
    for key, data in model.items():
        check((top / key).read_bytes() == data, f"{name}/{key} is not what was written")


def locks_are_taken(loads, generator, name):
    """Two descriptions of one file never have its lock at once."""
    path = loads.mount / name
    files = [loads.call(os.open, path, os.O_RDWR | os.O_CREAT) for _ in range(2)]
    while loads.go_on():
        first, second = generator.sample(files, 2)
        loads.call(fcntl.flock, first, fcntl.LOCK_EX)
        check_equal(error_of(loads.call, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB), "EAGAIN",
                    "who wants what is locked")
        loads.call(fcntl.flock, first, fcntl.LOCK_UN)
    for file in files:
        os.close(file)


def kills_at_any_moment_lose_nothing(space):
    generator = seeded("immortal")
    with space.cluster(servers=1, replicas=1) as cluster:
        loads = Loads(cluster.mount, generator)
        loads.start(names_come_and_go, "names")
        loads.start(files_grow, "scattered", 0)
        loads.start(files_grow, "appended", os.O_APPEND)
        loads.start(small_files_are_closed, "small")
        loads.start(locks_are_taken, "locked")
        kills = 0
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not loads.problems:
            time.sleep(generator.choice((0.02, 0.1, 0.5, 1.2)) * (0.5 + generator.random()))
            kill_worker(cluster)
            kills += 1
        loads.end()
        print(f"{kills} kills, {loads.calls} calls; the longest took {loads.longest:.2f} s", flush=True)
        check(not loads.problems, f"after {kills} kills: {loads.problems}")
        cluster.check_all_alive()
