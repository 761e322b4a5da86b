"""Policies that are set later, servers that are added, disks that fail: data moves and stays whole."""

import contextlib
import os

from harness import KIB, MIB, check, run, seeded, wait_until, write_file

from failures import find_in_files
from repair import number_of, quick, wait_whole

SIZES = (100, 6 * KIB, 300 * KIB, 3 * MIB)


class Bodies:
    """Synced files in one directory, known by their bytes."""

    def __init__(self, cluster, directory, generator, count, sizes=SIZES):
        self.cluster = cluster
        self.directory = directory
        self.bodies = {}
        for number in range(count):
            body = generator.randbytes(sizes[number % len(sizes)])
            write_file(directory / f"file-{number}", body, sync=True)
            self.bodies[f"file-{number}"] = body

    def check(self):
        for name, body in self.bodies.items():
            check((self.directory / name).read_bytes() == body, f"{name} holds wrong bytes")

    def copies(self, servers):
        """Of each file's last bytes, on how many of the servers they are."""
        return [sum(bool(find_in_files(self.cluster.directory / server, body[-48:])) for server in servers)
                for body in self.bodies.values()]

    def wait_for_copies(self, servers, count):
        wait_until(lambda: self.copies(servers) == [count] * len(self.bodies),
                   f"each file is on {count} servers", limit=60, pause=0.3)


def wait_converted(cluster):
    def is_done():
        repair = cluster.status()["repair"]
        left = repair["conversion"]
        return left["directories"] == 0 and left["files"] == 0 and not repair["notes"]
    wait_until(is_done, "everything has the number of copies that was asked for", limit=60, pause=0.2)


def a_directory_gets_more_copies_and_fewer_again(space):
    servers = ["storage1", "storage2", "storage3"]
    quick()
    with space.cluster(servers=3, replicas=1) as cluster:
        directory = cluster.mount / "d/below"
        directory.mkdir(parents=True)
        files = Bodies(cluster, directory, seeded("policy"), 12)
        with open(directory / "file-3", "rb") as reader:
            first = reader.read(MIB)
            cluster.dfs("policy", "set", "/d", "--replicas", "2")
            wait_converted(cluster)
            files.wait_for_copies(servers, 2)
            check(first + reader.read() == files.bodies["file-3"],
                  "a file that was open meanwhile holds wrong bytes")
        files.check()
        cluster.kill("storage2")
        cluster.restart_mounts_cold()
        files.check()
        cluster.start("storage2")
        wait_whole(cluster)

        cluster.dfs("policy", "set", "/d", "--replicas", "1")
        cluster.kill("meta")
        cluster.start("meta")
        wait_converted(cluster)
        files.wait_for_copies(servers, 1)
        wait_until(lambda: cluster.status()["garbage_chunks"] == 0, "the other copies are gone")
        cluster.restart_mounts_cold()
        files.check()
        cluster.check_all_alive()


@contextlib.contextmanager
def small_disks(space, places, size):
    with contextlib.ExitStack() as mounted:
        for place in places:
            image = space.path(f"{place.name}.img")
            with open(image, "wb") as file:
                file.truncate(size)
            run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1", image)
            place.mkdir(parents=True)
            run("mount", "-o", "loop", image, place)
            mounted.callback(run, "umount", "-l", place, ok=(0, 32))  # or away already
        yield


def a_server_that_is_added_gets_its_share(space):
    names = ["storage1", "storage2", "storage3", "storage4"]
    quick(meta_balance_pause_ms=500)
    places = [space.directory / "cluster" / name for name in names]
    with small_disks(space, places[:3], 800 * MIB), contextlib.ExitStack() as later:
        with space.cluster(servers=3, replicas=2, extra=["storage=--reserve=64MiB"]) as cluster:
            files = Bodies(cluster, cluster.mount, seeded("balance"), 48, sizes=(3 * MIB,))
            later.enter_context(small_disks(space, places[3:], 800 * MIB))
            cluster.local("up", "--servers", "4")
            four = number_of(cluster, "storage4")

            def has_its_share():
                members = [member for group in cluster.status()["groups"] for member in group["members"]
                           if member["server"] == four]
                return (members and all(member["state"] == "active" for member in members)
                        and sum(files.copies(["storage4"])) >= 8)
            wait_until(has_its_share, "the new server has some of the old files", limit=60, pause=0.5)
            wait_whole(cluster)
            files.wait_for_copies(names, 2)
            cluster.restart_mounts_cold()
            files.check()
            cluster.check_all_alive()


def a_server_whose_disk_fails_is_relieved(space):
    """A single disk; its file system gives up, as it does when the device stops answering."""
    quick(storage_checkpoint_interval_ms=1000)
    names = ["storage1", "storage2", "storage3", "storage4"]
    with small_disks(space, [space.directory / "cluster" / name for name in names], 800 * MIB):
        with space.cluster(servers=4, replicas=2, extra=["storage=--reserve=64MiB"]) as cluster:
            files = Bodies(cluster, cluster.mount, seeded("failing disk"), 16)
            failing = next(name for name in names if sum(files.copies([name])) > 0)
            others = [name for name in names if name != failing]
            one = number_of(cluster, failing)
            run("mount", "-o", "remount,abort", cluster.directory / failing)
            more = Bodies(cluster, make_directory(cluster.mount / "later"), seeded("later"), 8)

            def condition():
                return next(each for each in cluster.status()["servers"] if each["server"] == one)
            wait_until(lambda: any(failing in problem for problem in condition()["problems"]),
                       "the failed disk is named")
            for each in (files, more):
                each.check()
                each.wait_for_copies(others, 2)
            wait_until(lambda: all(member["server"] != one for group in cluster.status()["groups"]
                                   for member in group["members"]), "others have taken its places", limit=60)
            cluster.kill(failing)
            cluster.restart_mounts_cold()
            files.check()
            more.check()
            run("umount", "-l", cluster.directory / failing)


def make_directory(path):
    path.mkdir()
    return path
