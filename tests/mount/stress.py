"""Many processes at once, on the same names: what is left must be sound."""

import errno
import os
import random
import stat
import struct
import time

from harness import Failed, KIB, check, check_equal, error_of, program, run, seeded, wait_until

NAMES = 5  # few, so that they meet
DIRECTORIES = 3
STAYERS = 60  # names that are replaced, but never gone
STEPS = 1_500
WORKERS = 6
RECORD = struct.Struct("<QQ")
RECORDS_AT_ONCE = 700  # more than a page, less than a chunk

# What a name that somebody else changes meanwhile may answer.
MAY_ANSWER = {errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EPERM,
              errno.ELOOP, errno.ESTALE, errno.EXDEV}


def stayers():
    return [f"stays-{number}" for number in range(STAYERS)]


def make_top(path):
    path.mkdir()
    for name in stayers():
        os.close(os.open(path / name, os.O_CREAT | os.O_WRONLY, 0o644))


def record_block(inode, first):
    return b"".join(RECORD.pack(inode, first + number) for number in range(RECORDS_AT_ONCE))


def check_records(inode, first, data):
    """Each record names its file and its place, or has never been written."""
    for number in range(len(data) // RECORD.size):
        found = RECORD.unpack_from(data, number * RECORD.size)
        check(found in ((inode, first + number), (0, 0)),
              f"record {first + number} of inode {inode} says it is record {found[1]} of inode {found[0]}")


class Worker:
    """One process's random work below `top`."""

    def __init__(self, top, seed):
        self.top = top
        self.dice = random.Random(seed)
        self.done = 0

    def name(self, directory):
        return f"d{self.dice.randrange(DIRECTORIES)}" if directory else f"f{self.dice.randrange(NAMES)}"

    def path(self, kind):
        """Mostly one that fits the kind of operation."""
        above = [self.name(True) for _ in range(self.dice.choice((0, 1, 1, 2)))]
        for_directories = kind in (os.mkdir, os.rmdir, self.listing)
        return self.top.joinpath(*above, self.name(for_directories != (self.dice.random() < 0.1)))

    def work(self):
        kinds = [self.make, self.make, self.write, self.write, self.read, self.read, self.truncate, self.copy,
                 os.mkdir, os.mkdir, os.rmdir, os.unlink, os.stat, self.link, self.symlink, self.rename,
                 self.rename_directory, self.replace, self.listing]
        for _ in range(STEPS):
            kind = self.dice.choice(kinds)
            try:
                kind(self.path(kind))
                self.done += 1
            except OSError as problem:
                if problem.errno not in MAY_ANSWER:
                    raise
        return self.done

    def opened(self, path, flags):
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise IsADirectoryError(errno.EISDIR, "not a file")
        return descriptor

    def make(self, path):
        os.close(self.opened(path, os.O_CREAT | os.O_WRONLY | self.dice.choice((0, os.O_EXCL))))

    def write(self, path):
        descriptor = self.opened(path, os.O_WRONLY | self.dice.choice((0, os.O_CREAT)))
        try:
            first = self.dice.randrange(40) * RECORDS_AT_ONCE
            os.pwrite(descriptor, record_block(os.fstat(descriptor).st_ino, first), first * RECORD.size)
            if self.dice.random() < 0.1:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path):
        descriptor = self.opened(path, os.O_RDONLY)
        try:
            first = self.dice.randrange(40) * RECORDS_AT_ONCE
            data = os.pread(descriptor, RECORDS_AT_ONCE * RECORD.size, first * RECORD.size)
            check_records(os.fstat(descriptor).st_ino, first, data)
        finally:
            os.close(descriptor)

    def truncate(self, path):
        descriptor = self.opened(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, self.dice.randrange(30_000) * RECORD.size)
        finally:
            os.close(descriptor)

    def link(self, path):
        os.link(path, self.path(self.link), follow_symlinks=False)

    def symlink(self, path):
        os.symlink(os.path.relpath(self.path(self.symlink), path.parent), path)

    def rename(self, path):
        os.rename(path, self.path(self.rename))

    def rename_directory(self, _):
        os.rename(self.path(os.mkdir), self.path(os.mkdir))

    def listing(self, path):
        os.listdir(path)
        names = [name for name in os.listdir(self.top) if name.startswith("stays-")]
        check_equal(sorted(names), sorted(stayers()), f"names that were in {self.top} all the time, listed")

    def replace(self, _):
        """The new one's place in the listing may be before or behind that of the old one."""
        new = self.top / f"new-{os.getpid()}"
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o644))
        for name in self.dice.sample(stayers(), 3):
            os.rename(new, self.top / name)
            os.link(self.top / name, new)
        os.unlink(new)

    def copy(self, path):
        """A hole is what a copy between files may leave: records name their file."""
        descriptor = self.opened(path, os.O_RDWR)
        try:
            os.copy_file_range(descriptor, descriptor, 64 * KIB, 1 << 20, 1 << 21)
            os.ftruncate(descriptor, 1 << 20)
        finally:
            os.close(descriptor)


def in_processes(calls):
    """Runs each in a process of its own; fails if one does."""
    children = {}
    for number, call in enumerate(calls):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                print(f"process {number}: {call()}", flush=True)
                code = 0
            except BaseException as problem:  # the parent must hear of it
                print(f"process {number}: {type(problem).__name__}: {problem}", flush=True)
            finally:
                os._exit(code)
        children[child] = number
    failed = [children[child] for child in children if os.waitpid(child, 0)[1] != 0]
    check(not failed, f"processes {failed} of {len(children)} failed")


def everything_below(top):
    """Path and attributes of each name; os.walk() takes links to directories for these."""
    for entry in os.scandir(top):
        yield entry.path, os.lstat(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from everything_below(entry.path)


def links_by_inode(top):
    """How often each inode that is no directory is named below `top`, and what it says itself."""
    named = {}
    for _, facts in everything_below(top):
        if not stat.S_ISDIR(facts.st_mode):
            named[facts.st_ino] = (named.get(facts.st_ino, (0, 0))[0] + 1, facts.st_nlink)
    return named


def check_sound(top):
    for path, facts in everything_below(top):
        if stat.S_ISDIR(facts.st_mode):
            directories = [entry for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
            check_equal(facts.st_nlink, len(directories) + 2, f"links of the directory {path}")
        if stat.S_ISREG(facts.st_mode):
            with open(path, "rb") as file:
                data = file.read()
            check_equal(len(data), facts.st_size, f"bytes of {path}")
            check_records(facts.st_ino, 0, data)


def same_there(top, there):
    return error_of(os.stat, there / top.name) == "" and (there / top.name).stat().st_ino == top.stat().st_ino


def processes_on_the_same_names_leave_a_sound_tree(space):
    dice = seeded("processes on the same names")
    with space.cluster(servers=2, replicas=1, mounts=2, chunk_size="64KiB") as cluster:
        here, there = cluster.mounts
        top = here / "top"
        make_top(top)
        wait_until(lambda: same_there(top, there), "the other mount sees the directory")
        seeds = [dice.randrange(1 << 32) for _ in range(WORKERS)]
        in_processes([Worker(top, seed).work for seed in seeds])
        time.sleep(1.5)  # the attribute timeout of the other mount
        for mount in (here, there):
            check_sound(mount / "top")
            for inode, (count, links) in links_by_inode(mount / "top").items():
                check_equal(links, count, f"links of inode {inode} on {mount.name}")

        # On both at once no bytes are compared: until a file is closed each sees its own.
        run("rm", "-rf", top)
        make_top(top)
        wait_until(lambda: same_there(top, there), "the other mount sees the directory")
        in_processes([Names(mount / "top", seed).work for mount in (here, there) for seed in seeds[:3]])
        time.sleep(1.5)
        check_equal(links_by_inode(here / "top"), links_by_inode(there / "top"), "what both mounts see")
        for inode, (count, links) in links_by_inode(here / "top").items():
            check_equal(links, count, f"links of inode {inode}")

        run("rm", "-rf", top)
        wait_until(lambda: cluster.status()["chunk_bytes"] == 0, "the space of all files is given back", limit=60)


class Names(Worker):
    """The same, names alone."""

    def write(self, path):
        self.make(path)

    read = truncate = copy = write


def seeds_beside_each_other_do_what_they_do_alone(space):
    """tests/model in several processes, on two mounts: each has a directory of its own."""
    with space.cluster(servers=2, replicas=1, mounts=2, chunk_size="64KiB") as cluster:
        def model(number):
            local, mounted = space.path(f"local-{number}"), cluster.mounts[number % 2] / f"model-{number}"
            local.mkdir()
            mounted.mkdir()

            def work():
                done = run(program("dfs-model"), "--seed", 100 + number, "--steps", 8_000, "--chunk", 64 * KIB,
                           local, mounted, timeout=None, ok=None)
                if done.returncode != 0:
                    raise Failed(done.stderr.decode(errors="replace"))
                return done.stdout.decode(errors="replace").strip().splitlines()[-1]
            return work
        in_processes([model(number) for number in range(4)])
