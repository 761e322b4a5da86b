"""Policies that are set later: data moves and stays whole."""

from harness import KIB, MIB, check, run, seeded, wait_until, write_file

from failures import find_in_files
from repair import quick, wait_whole

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
