"""Processes die and disks lie while work goes on."""

import hashlib
import itertools
import json
import mmap
import os
import random
import threading
import time

from harness import (KIB, MIB, Failed, check, check_equal, check_same_trees, drop_caches, error_of,
                     make_tree, run, seeded, wait_until, write_file)


class Copier:
    """Copies generated files into a directory, one after another, until told
    to stop, and reads earlier ones back meanwhile. What happens to the servers
    in between therefore always hits the middle of a copy."""

    def __init__(self, directory, seed, bytes_max=8 * MIB):
        self.directory = directory
        self.sums = {}  # name -> SHA-256, once the file was closed without an error
        self._generator = random.Random(seed)
        self._block = self._generator.randbytes(2 * MIB)
        self._bytes_max = bytes_max
        self._stop = threading.Event()
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        if kind is None:
            self.finish()

    def start(self):
        self.directory.mkdir(exist_ok=True)
        self._thread.start()
        return self

    def end(self, limit=120):
        """Lets the file that is being copied be finished, or fail."""
        self._stop.set()
        self._thread.join(limit)
        check(not self._thread.is_alive(), f"the copy hangs after {len(self.sums)} files")

    def finish(self, limit=120):
        """The same, and fails if any file did."""
        self.end(limit)
        if self._error:
            raise Failed(f"the copy broke off after {len(self.sums)} files: {self._error!r}")

    def wait_for_files(self, count, limit=120):
        """Until `count` more files are there."""
        goal = len(self.sums) + count
        wait_until(lambda: len(self.sums) >= goal or self._error, f"{count} more files are copied", limit)
        if self._error:
            self.finish()

    def _run(self):
        try:
            while not self._stop.is_set():
                self._copy_one(f"file-{len(self.sums):05d}")
        except BaseException as problem:  # reported by finish()
            self._error = problem

    def _copy_one(self, name):
        left = self._generator.choice([0, 1, 300, 5 * KIB, 100 * KIB, MIB, self._bytes_max])
        digest = hashlib.sha256()
        with open(self.directory / name, "wb", buffering=0) as file:
            while left > 0:
                start = self._generator.randrange(MIB)
                piece = self._block[start:start + min(left, MIB)]
                digest.update(piece)
                left -= file.write(piece)
        self.sums[name] = digest.hexdigest()
        earlier = self._generator.choice(list(self.sums))
        check_file(self.directory / earlier, self.sums[earlier])

    def check_all(self):
        check_equal(sorted(os.listdir(self.directory)), sorted(self.sums), "the files there are")
        for name, digest in self.sums.items():
            check_file(self.directory / name, digest)


def check_file(path, digest):
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    check(found == digest, f"{path} holds wrong bytes")


def a_copy_survives(space, name, kills, **options):
    """The named process is killed and started again in the middle of a copy."""
    seed = seeded(name).randrange(1 << 30)
    source = make_tree(space.path("source"), 1500, random.Random(seed))
    with space.cluster(**options) as cluster:
        with Copier(cluster.mount / "copy", seed) as copier:
            rsync = threading.Thread(target=run, args=("cp", "-a", source, cluster.mount / "tree"))
            rsync.start()
            for _ in range(kills):
                copier.wait_for_files(5)
                cluster.kill(name)
                time.sleep(0.5)  # others notice that it is away
                cluster.start(name)
            copier.wait_for_files(5)
            rsync.join(240)
            check(not rsync.is_alive(), "cp hangs")
        cluster.restart_mounts_cold()
        copier.check_all()
        check_same_trees(source, cluster.mount / "tree")
        cluster.check_all_alive()


def a_copy_survives_kills_of_the_metadata_server(space):
    a_copy_survives(space, "meta", kills=4)


def a_copy_survives_kills_of_a_storage_server(space):
    a_copy_survives(space, "storage1", kills=4)


def a_copy_survives_kills_of_the_only_storage_server(space):
    a_copy_survives(space, "storage1", kills=3, servers=1, replicas=1)


def a_copy_goes_on_while_one_of_three_servers_stays_down(space):
    seed = seeded("one down").randrange(1 << 30)
    with space.cluster(servers=3, replicas=3) as cluster:
        with Copier(cluster.mount / "copy", seed) as copier:
            copier.wait_for_files(10)
            cluster.kill("storage2")
            copier.wait_for_files(20)
        with open(cluster.mount / "synced", "wb") as file:
            file.write(b"s" * MIB)
            file.flush()
            os.fsync(file.fileno())
        cluster.restart_mounts_cold()  # with a server missing from the start
        copier.check_all()
        check((cluster.mount / "synced").read_bytes() == b"s" * MIB, "the synced file holds wrong bytes")
        write_file(cluster.mount / "after", b"a" * 3 * MIB, sync=True)
        run("rm", "-r", cluster.mount / "copy")
        cluster.start("storage2")
        cluster.kill("storage1")
        cluster.restart_mounts_cold()
        check((cluster.mount / "after").read_bytes() == b"a" * 3 * MIB,
              "what was written while a server was down is wrong")


def what_was_closed_or_synced_survives_a_kill_of_the_mount(space):
    generator = seeded("kill mount")
    with space.cluster(servers=2, replicas=2) as cluster:
        for turn in range(3):
            directory = cluster.mount / f"turn-{turn}"
            body = generator.randbytes(3 * MIB)
            synced = open(cluster.mount / f"synced-{turn}", "wb", buffering=0)
            synced.write(body)
            os.fsync(synced.fileno())  # and stays open
            copier = Copier(directory, generator.randrange(1 << 30)).start()
            copier.wait_for_files(10)
            cluster.kill("mount1")
            closed = dict(copier.sums)
            copier.end()  # what it was at fails with the mount, but does not hang
            error_of(synced.close)
            cluster.start("mount1")
            for name, digest in closed.items():
                check_file(directory / name, digest)
            check((cluster.mount / f"synced-{turn}").read_bytes() == body, "the synced file holds wrong bytes")


def everything_is_there_after_every_process_was_killed(space):
    seed = seeded("kill all").randrange(1 << 30)
    with space.cluster(servers=3, replicas=2) as cluster:
        names = list(cluster.processes())
        with Copier(cluster.mount / "copy", seed) as copier:
            copier.wait_for_files(30)
        (cluster.mount / "dir").mkdir()
        os.rename(cluster.mount / "dir", cluster.mount / "renamed")
        os.setxattr(cluster.mount / "renamed", "user.a", b"b")
        for name in reversed(names):
            cluster.kill(name)
        cluster.up()
        copier.check_all()
        check_equal(sorted(os.listdir(cluster.mount)), ["copy", "renamed"], "the root directory")
        check_equal(os.getxattr(cluster.mount / "renamed", "user.a"), b"b", "an extended attribute")
        write_file(cluster.mount / "new", b"n" * MIB, sync=True)
        check((cluster.mount / "new").read_bytes() == b"n" * MIB, "a new file holds wrong bytes")


def names_change_exactly_once_across_kills_of_the_metadata_server(space):
    """A reply that was lost with the server must not make a repeat fail: a
    rename that happened would say ENOENT, a mkdir EEXIST."""
    with space.cluster(servers=1, replicas=1) as cluster:
        top = cluster.mount
        stop = threading.Event()
        problems = []
        turns = [0]

        def work():
            try:
                number = 0
                while not stop.is_set():
                    number += 1
                    os.mkdir(top / f"d{number}")
                    os.rename(top / f"d{number}", top / f"e{number}")
                    descriptor = os.open(top / f"f{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                    os.close(descriptor)
                    os.link(top / f"f{number}", top / f"e{number}/l")
                    os.unlink(top / f"f{number}")
                    os.unlink(top / f"e{number}/l")
                    os.rmdir(top / f"e{number}")
                    turns[0] = number
            except OSError as problem:
                problems.append(problem)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        for _ in range(6):
            goal = turns[0] + 50
            wait_until(lambda: turns[0] >= goal or problems, "names are changed", limit=60)
            cluster.kill("meta")
            cluster.start("meta")
        goal = turns[0] + 50
        wait_until(lambda: turns[0] >= goal or problems, "names are changed", limit=60)
        stop.set()
        worker.join(60)
        check(not problems, f"after {turns[0]} turns: {problems}")
        check_equal(os.listdir(top), [], "what is left")


# --- wrong bytes on disk ----------------------------------------------------------------


def find_in_files(directory, needle):
    """(file, offset) of every place where the bytes lie."""
    places = []
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path.stat().st_size == 0:
            continue
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
            at = view.find(needle)
            while at >= 0:
                places.append((path, at))
                at = view.find(needle, at + 1)
    return places


def flip(path, offset):
    with open(path, "r+b", buffering=0) as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x40]))
        os.fsync(file.fileno())


class SpoiltFiles:
    """A dozen synced files with three replicas each, some of which get a wrong byte."""

    def __init__(self, cluster, generator):
        self.cluster = cluster
        self.bodies = {f"file-{number}": generator.randbytes(3 * MIB) for number in range(12)}
        for name, body in self.bodies.items():
            write_file(cluster.mount / name, body, sync=True)

    def spoil(self, name, servers):
        needle = self.bodies[name][2 * MIB + 777:2 * MIB + 777 + 64]
        for server in servers:
            places = find_in_files(self.cluster.directory / server, needle)
            check_equal(len(places), 1, f"copies of the bytes on {server}")
            flip(*places[0])

    def chunks_of(self, name):
        located = json.loads(self.cluster.dfs("locate", "--json", f"/{name}").stdout)
        return {extent["chunk"] for extent in located["extents"]}

    def check_right(self, name):
        check((self.cluster.mount / name).read_bytes() == self.bodies[name], f"{name} holds wrong bytes")

    def check_named_in_logs(self, names):
        logs = "".join(self.cluster.log(name) for name in self.cluster.processes())
        chunks = set().union(*[self.chunks_of(name) for name in names])
        check(any(chunk in logs for chunk in chunks), f"no log names one of {chunks}")


SERVERS = ("storage1", "storage2", "storage3")


def wrong_bytes_in_two_of_three_replicas_are_never_returned(space):
    with space.cluster(servers=3, replicas=3) as cluster:
        files = SpoiltFiles(cluster, seeded("flip"))
        # The good server differs from file to file, and so does the one that is
        # asked first: that all twelve reads begin at a good one does not happen.
        for name, good in zip(files.bodies, itertools.cycle(SERVERS)):
            files.spoil(name, [server for server in SERVERS if server != good])
        for _ in range(3):
            cluster.restart_mounts_cold()
            for name in files.bodies:
                files.check_right(name)
        cluster.check_all_alive()
        files.check_named_in_logs(files.bodies)


def wrong_bytes_in_all_replicas_are_an_error_of_that_file_only(space):
    with space.cluster(servers=3, replicas=3) as cluster:
        files = SpoiltFiles(cluster, seeded("flip all"))
        files.spoil("file-1", SERVERS)
        cluster.restart_mounts_cold()
        check_equal(error_of((cluster.mount / "file-1").read_bytes), "EIO",
                    "reading a file whose replicas are all wrong")
        with open(cluster.mount / "file-1", "rb") as file:
            check(file.read(MIB) == files.bodies["file-1"][:MIB], "the good part of the file is wrong")
        files.check_right("file-0")
        files.check_right("file-2")
        write_file(cluster.mount / "new", files.bodies["file-0"], sync=True)
        check((cluster.mount / "new").read_bytes() == files.bodies["file-0"], "a new file is wrong")
        cluster.check_all_alive()
        files.check_named_in_logs(["file-1"])


def damaged_tails_of_segments_cost_nothing_that_was_acknowledged(space):
    """What a power loss leaves behind an append: garbage after the last record."""
    seed = seeded("tails").randrange(1 << 30)
    with space.cluster(servers=2, replicas=2) as cluster:
        with Copier(cluster.mount / "copy", seed, bytes_max=2 * MIB) as copier:
            copier.wait_for_files(30)
        cluster.stop("mount1")
        needle_file = max(copier.sums)
        for name in ("storage1", "storage2"):
            cluster.kill(name)
            for path in (cluster.directory / name).rglob("*"):
                if path.is_file() and "seg" in path.name and path.stat().st_size > 0:
                    with open(path, "ab") as file:
                        file.write(os.urandom(100_000))
            cluster.start(name)
        drop_caches()
        cluster.start("mount1")
        copier.check_all()
        check(needle_file in copier.sums, "the last file is one of those checked")
        write_file(cluster.mount / "new", b"n" * MIB, sync=True)
        cluster.check_all_alive()
