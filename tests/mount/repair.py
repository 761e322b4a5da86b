"""Storage servers die, stay away, come back, and are replaced: every chunk gets its copies back."""

import json
import os
import shutil
import subprocess

from harness import KIB, MIB, check, check_equal, error_of, run, seeded, wait_until, write_file

from failures import SERVERS, Copier, find_in_files, flip


def settings(**values):
    """Of the servers that are started from now on, in this test's process."""
    for name, value in values.items():
        os.environ["DFS_" + name.upper()] = str(value)


def quick(**more):
    """Times of seconds instead of minutes."""
    settings(**{"meta_heartbeat_interval_ms": 200, "meta_server_silence_max_ms": 1000,
                "meta_server_out_after_ms": 3_600_000, **more})


class Files:
    """Synced files of several sizes, known by their bytes."""

    def __init__(self, cluster, generator):
        self.cluster = cluster
        self.generator = generator
        self.bodies = {}

    def add(self, count, prefix="file", sizes=(1, 5 * KIB, 300 * KIB, 3 * MIB)):
        for number in range(count):
            name = f"{prefix}-{number:03d}"
            body = self.generator.randbytes(sizes[number % len(sizes)] + 64)
            write_file(self.cluster.mount / name, body, sync=True)
            self.bodies[name] = body

    def remove(self, names):
        for name in names:
            os.unlink(self.cluster.mount / name)
            del self.bodies[name]

    def check(self):
        check_equal(sorted(os.listdir(self.cluster.mount)), sorted(self.bodies), "the files there are")
        for name, body in self.bodies.items():
            check((self.cluster.mount / name).read_bytes() == body, f"{name} holds wrong bytes")

    def copies_on(self, server):
        """How many of the files have their last bytes on the server."""
        directory = self.cluster.directory / server
        return sum(bool(find_in_files(directory, body[-48:])) for body in self.bodies.values())

    def wait_for_copies(self, servers):
        for server in servers:
            wait_until(lambda: self.copies_on(server) == len(self.bodies),
                       f"{server} has a copy of each of {len(self.bodies)} files", limit=60, pause=0.3)


def alive(cluster, server):
    return {each["server"]: each["alive"] for each in cluster.status()["servers"]}[server]


def number_of(cluster, name):
    """The id of the server that `dfs local` calls by this name."""
    address = cluster.processes()[name]["address"]
    return next(each["server"] for each in cluster.status()["servers"] if each["address"] == address)


def wait_whole(cluster, limit=90):
    """Until no copy is missing, nothing moves and no list is compared in haste."""
    def is_whole():
        status = cluster.status()
        repair = status["repair"]
        return (status["repair_queue"] == 0 and repair["moving_memberships"] == 0
                and not repair["notes"])
    wait_until(is_whole, "every chunk has its copies", limit=limit, pause=0.2)


def read_alone(cluster, files, survivor):
    """Everything is read while the other servers are away."""
    others = [name for name in cluster.processes() if name.startswith("storage") and name != survivor]
    for name in others:
        cluster.kill(name)
    cluster.restart_mounts_cold()
    files.check()
    for name in others:
        cluster.start(name)


def a_server_that_comes_back_catches_up(space):
    quick()
    with space.cluster(servers=3, replicas=3) as cluster:
        files = Files(cluster, seeded("back"))
        files.add(12, "before")
        cluster.kill("storage2")
        two = number_of(cluster, "storage2")
        wait_until(lambda: not alive(cluster, two), "the server counts as dead")
        files.add(12, "meanwhile")
        gone = [name for name in files.bodies if name.startswith("before")][:6]
        bodies = {name: files.bodies[name] for name in gone}
        files.remove(gone)
        check(cluster.status()["repair_queue"] > 0, "what the dead server lacks is queued")
        cluster.start("storage2")
        files.wait_for_copies(["storage2"])
        wait_whole(cluster)
        wait_until(lambda: cluster.status()["garbage_chunks"] == 0, "deleted chunks are gone")
        for name, body in bodies.items():
            check(not find_in_files(cluster.directory / "storage2", body[-48:]),
                  f"{name} was deleted and is still on the server that was away")
        read_alone(cluster, files, "storage2")
        cluster.check_all_alive()


def a_server_that_lost_its_bytes_is_filled_again(space):
    """Its disk went back in time: the metadata server believed that it had everything."""
    quick()
    with space.cluster(servers=3, replicas=3) as cluster:
        files = Files(cluster, seeded("lost disk"))
        files.add(8)
        cluster.stop("storage3")
        shutil.copytree(cluster.directory / "storage3", space.path("old"))
        cluster.start("storage3")
        files.add(16, "later")
        cluster.stop("storage3")
        shutil.rmtree(cluster.directory / "storage3")
        shutil.copytree(space.path("old"), cluster.directory / "storage3")
        cluster.start("storage3")
        files.wait_for_copies(["storage3"])
        wait_whole(cluster)
        read_alone(cluster, files, "storage3")


def a_server_that_stays_away_is_replaced(space):
    """And when it comes back at last, it hands back what it does not need to have any more."""
    quick(meta_server_out_after_ms=3000, meta_late_commit_max_ms=4000, meta_compare_interval_ms=3000,
          meta_compare_pause_ms=50, storage_repair_rate="8MiB")
    with space.cluster(servers=4, replicas=3) as cluster:
        files = Files(cluster, seeded("away"))
        files.add(24, "before")
        two = number_of(cluster, "storage2")
        cluster.kill("storage2")
        with Copier(cluster.mount / "copy", 7, bytes_max=MIB) as copier:
            copier.wait_for_files(10)
            wait_until(lambda: members_of(cluster, two) == set(), "its memberships are taken over", limit=90)
            copier.wait_for_files(10)
        gone = [name for name in files.bodies][:8]
        bodies = [files.bodies[name] for name in gone]
        files.remove(gone)
        wait_whole(cluster)
        for body in files.bodies.values():
            holders = sum(bool(find_in_files(cluster.directory / name, body[-48:]))
                          for name in ("storage1", "storage3", "storage4"))
            check_equal(holders, 3, "copies on the servers that are left")
        cluster.start("storage2")
        wait_until(lambda: alive(cluster, two), "it is back")
        wait_until(lambda: not any(find_in_files(cluster.directory / "storage2", body[-48:])
                                   for body in bodies), "what was deleted meanwhile is gone", limit=60)
        old = [body for name, body in files.bodies.items() if name.startswith("before")]
        wait_until(lambda: not any(find_in_files(cluster.directory / "storage2", body[-48:]) for body in old),
                   "what others have in its place is gone", limit=60)
        wait_whole(cluster)
        cluster.restart_mounts_cold()
        copier.check_all()
        run("rm", "-r", cluster.mount / "copy")
        files.check()
        cluster.check_all_alive()


def members_of(cluster, server):
    """The groups that a server is a member of."""
    return {group["group"] for group in cluster.status()["groups"]
            for member in group["members"] if member["server"] == server}


def damaged_copies_are_found_and_replaced(space):
    quick(storage_scrub_rate="64MiB")
    with space.cluster(servers=3, replicas=3) as cluster:
        files = Files(cluster, seeded("damaged"))
        files.add(9, sizes=(3 * MIB,))
        for name, body in files.bodies.items():
            for server in SERVERS[:2]:
                flip(*find_in_files(cluster.directory / server, body[-48:])[0])
        cluster.restart_mounts_cold()
        files.check()  # finds those that are read first; the scrubbers find the rest
        files.wait_for_copies(SERVERS)
        wait_whole(cluster)
        for survivor in SERVERS[:2]:
            read_alone(cluster, files, survivor)


def a_drained_server_can_be_taken_away(space):
    """While files are written and read; the metadata server is killed in the middle."""
    quick(storage_repair_rate="16MiB")
    with space.cluster(servers=4, replicas=3) as cluster:
        files = Files(cluster, seeded("drain"))
        files.add(24)
        three = number_of(cluster, "storage3")
        with Copier(cluster.mount / "copy", 11, bytes_max=MIB) as copier:
            cluster.dfs("server", "drain", three)
            copier.wait_for_files(5)
            cluster.kill("meta")
            cluster.start("meta")
            wait_until(lambda: members_of(cluster, three) == set(), "its memberships are taken over", limit=90)
        states = {each["server"]: each["state"] for each in cluster.status()["servers"]}
        check_equal(states[three], "drained", "the state of the server")
        wait_whole(cluster)
        cluster.kill("storage3")
        cluster.restart_mounts_cold()
        copier.check_all()
        run("rm", "-r", cluster.mount / "copy")
        files.check()


# Begins a file, and writes what it is given once it has said so.
WRITER = """
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(file, b"begun")
os.fsync(file)
print("begun", flush=True)
os.pwrite(file, sys.stdin.buffer.read(), 1 << 20)
"""


def what_a_killed_mount_never_committed_is_reclaimed(space):
    quick(meta_late_commit_max_ms=3000, meta_compare_interval_ms=2000, meta_compare_pause_ms=20,
          storage_upload_idle_max_ms=1000, storage_checkpoint_interval_ms=1000)
    with space.cluster(servers=2, replicas=2) as cluster:
        files = Files(cluster, seeded("orphans"))
        files.add(8)
        body = seeded("orphan").randbytes(3 * MIB)
        with subprocess.Popen(["python3", "-c", WRITER, cluster.mount / "never"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()  # it has begun
            cluster.kill("meta")  # chunks can be stored, not committed
            writer.stdin.write(body)
            writer.stdin.close()
            wait_until(lambda: find_in_files(cluster.directory / "storage1", body[-48:]), "it is stored")
            cluster.kill("mount1")
        cluster.start("meta")
        for name in ("storage1", "storage2"):
            wait_until(lambda: not find_in_files(cluster.directory / name, body[:48]),
                       f"{name} has given back what no file names", limit=60)
        cluster.start("mount1")
        os.unlink(cluster.mount / "never")
        files.check()
        files.add(4, "after")
        files.check()


def lost_chunks_are_named(space):
    quick(storage_scrub_rate="64MiB")
    with space.cluster(servers=3, replicas=2) as cluster:
        files = Files(cluster, seeded("lost"))
        files.add(9, sizes=(3 * MIB,))
        body = files.bodies["file-004"]
        for name in SERVERS:
            for place in find_in_files(cluster.directory / name, body[-48:]):
                flip(*place)
        located = json.loads(cluster.dfs("locate", "--json", "/file-004").stdout)
        chunk = located["extents"][-1]["chunk"]
        wait_until(lambda: chunk in cluster.status()["repair"]["lost"], "the lost chunk is named", limit=60)
        check(any("lost" in note for note in cluster.status()["repair"]["notes"]), "a sentence says so")
        check(chunk in cluster.dfs("status").stdout.decode(), "`dfs status` names it")
        cluster.restart_mounts_cold()
        check_equal(error_of((cluster.mount / "file-004").read_bytes), "EIO", "reading the file")
        os.unlink(cluster.mount / "file-004")
        del files.bodies["file-004"]
        files.check()
        wait_until(lambda: not cluster.status()["repair"]["lost"], "what is removed is not lost any more",
                   limit=60)
        wait_whole(cluster)


def a_server_that_cannot_be_replaced_is_named(space):
    quick(meta_server_out_after_ms=2000)
    with space.cluster(servers=3, replicas=3) as cluster:
        files = Files(cluster, seeded("nobody"))
        files.add(4)
        one = number_of(cluster, "storage1")
        cluster.kill("storage1")
        wait_until(lambda: any(f"take the place of {one}" in note
                               for note in cluster.status()["repair"]["notes"]), "a sentence says so")
        files.add(4, "meanwhile")
        files.check()
        cluster.start("storage1")
        files.wait_for_copies(["storage1"])
        wait_whole(cluster)
