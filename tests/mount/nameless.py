"""Inodes without a name: files made so, and what is removed while programs use it."""

import ctypes
import os
import stat
import subprocess

from harness import MIB, Failed, check, check_equal, drop_caches, error_of, wait_until, write_file

AT_SYMLINK_FOLLOW = 0x400


def make(directory, flags=0):
    return os.open(directory, os.O_RDWR | os.O_TMPFILE | flags, 0o640)


def link_to(descriptor, path):
    """linkat(2) through /proc, which os.link() does not do."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.linkat(-100, f"/proc/self/fd/{descriptor}".encode(), -100, os.fsencode(path), AT_SYMLINK_FOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def files_made_without_a_name_get_one_or_are_gone(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        here, there = cluster.mounts
        (here / "dir").mkdir()
        before = (here / "dir").stat().st_mtime_ns

        named = make(here / "dir")
        os.write(named, b"a" * MIB)
        cluster.kill("meta")
        cluster.start("meta")
        os.write(named, b"b" * MIB)
        check_equal(os.fstat(named).st_nlink, 0, "links before")
        check_equal(os.listdir(here / "dir"), [], "the names in its directory")
        check_equal((here / "dir").stat().st_mtime_ns, before, "the time of its directory")
        link_to(named, here / "dir/file")
        check_equal(os.fstat(named).st_nlink, 1, "links after")
        check((there / "dir/file").read_bytes() == b"a" * MIB + b"b" * MIB,
              "the other mount reads something else by the new name")
        os.close(named)
        drop_caches()
        check((here / "dir/file").read_bytes() == b"a" * MIB + b"b" * MIB, "the bytes of what got a name")

        exclusive = make(here / "dir", os.O_EXCL)
        check_equal(error_of(link_to, exclusive, here / "dir/other"), "ENOENT", "a link to what O_EXCL made")
        os.close(exclusive)

        bytes_before = cluster.status()["chunk_bytes"]
        unnamed = make(here)
        os.write(unnamed, b"c" * MIB)
        os.fsync(unnamed)
        check(cluster.status()["chunk_bytes"] >= bytes_before + MIB, "its bytes are on the servers")
        os.close(unnamed)
        wait_until(lambda: cluster.status()["chunk_bytes"] == bytes_before, "its space is given back", limit=60)
        check_equal(cluster.status()["inodes"], 3, "the root, a directory and a file")


def a_killed_program_leaves_no_file_without_a_name(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        program = subprocess.Popen(["python3", "-c", (
            "import os, sys, time\n"
            "file = os.open(sys.argv[1], os.O_RDWR | os.O_TMPFILE)\n"
            "os.write(file, bytes(1 << 20)); os.fsync(file)\n"
            "print('ready', flush=True); time.sleep(600)\n"), cluster.mount], stdout=subprocess.PIPE)
        try:
            program.stdout.readline()
            check_equal(cluster.status()["inodes"], 2, "the root and the file")
        finally:
            program.kill()
            program.wait()
        wait_until(lambda: cluster.status()["inodes"] == 1, "the file is gone with its program", limit=60)
        check_equal(cluster.status()["chunk_bytes"], 0, "bytes in chunks")


class Uses:
    """What a program may hold of a directory, a pipe, a device, a link and a file that is only looked at."""

    def __init__(self, top):
        self.names = {"dir": top / "dir", "pipe": top / "pipe", "device": top / "device", "link": top / "link",
                      "looked": top / "looked"}
        os.mkdir(self.names["dir"])
        os.mkfifo(self.names["pipe"])
        os.mknod(self.names["device"], stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.symlink("target", self.names["link"])
        write_file(self.names["looked"], b"text")
        self.descriptors = {
            "dir": os.open(self.names["dir"], os.O_RDONLY),
            "pipe": os.open(self.names["pipe"], os.O_RDWR | os.O_NONBLOCK),
            "device": os.open(self.names["device"], os.O_RDWR),
            "link": os.open(self.names["link"], os.O_PATH | os.O_NOFOLLOW),
            "looked": os.open(self.names["looked"], os.O_PATH),
        }

    def remove(self, top):
        for name, path in self.names.items():
            (os.rmdir if name == "dir" else os.unlink)(top / path.name)

    def close(self):
        for descriptor in self.descriptors.values():
            os.close(descriptor)


def what_is_removed_while_it_is_in_use_goes_on(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        here, there = cluster.mounts
        uses = Uses(here)
        uses.remove(here)
        # The kernel knows all this for a second, the server for three more: another mount might be opening it.
        wait_until(lambda: cluster.status()["inodes"] == 1, "the server has forgotten them", limit=60)
        for name, descriptor in uses.descriptors.items():
            check_equal(os.fstat(descriptor).st_nlink, 0, f"links of the {name}")
        for name in ("dir", "pipe", "device"):
            descriptor = uses.descriptors[name]
            os.fchmod(descriptor, 0o701)
            os.fchown(descriptor, 12, 34)
            os.utime(descriptor, ns=(1_000_000_001, 2_000_000_003))
            drop_caches()
            facts = os.fstat(descriptor)
            check_equal((facts.st_mode & 0o7777, facts.st_uid, facts.st_gid), (0o701, 12, 34), f"mode and owner of the {name}")
            check_equal((facts.st_atime_ns, facts.st_mtime_ns), (1_000_000_001, 2_000_000_003), f"times of the {name}")
            check_equal(os.listxattr(descriptor), [], f"attributes of the {name}")
        os.write(uses.descriptors["pipe"], b"still")
        check_equal(os.read(uses.descriptors["pipe"], 10), b"still", "what went through the pipe")
        directory = uses.descriptors["dir"]
        check_equal(os.listdir(directory), [], "the names in the removed directory")
        again = os.open(".", os.O_RDONLY, dir_fd=directory)
        os.close(again)
        check_equal(error_of(lambda: os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=directory)), "ENOENT", "a new name there")
        uses.close()

        # What the other mount removes is stale, and says so.
        uses = Uses(here)
        uses.remove(there)
        wait_until(lambda: error_of(os.fstat, uses.descriptors["dir"]) == "ESTALE", "the directory is stale", limit=60)
        uses.close()


def a_program_goes_on_in_a_directory_that_is_removed(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        (cluster.mount / "dir").mkdir()
        child = os.fork()
        if child == 0:
            try:
                os.chdir(cluster.mount / "dir")
                os.rmdir(cluster.mount / "dir")
                wait_until(lambda: cluster.status()["inodes"] == 1, "the server has forgotten it")
                drop_caches()
                fine = (os.stat(".").st_nlink, os.listdir("."), error_of(os.mkdir, "x"), error_of(os.getcwd)) == (
                    0, [], "ENOENT", "ENOENT")
                os.chdir("..")
                os._exit(0 if fine and os.path.samefile(".", cluster.mount) else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        if status != 0:
            raise Failed(f"a program whose directory was removed ended with {status}")


def times_of_birth_stay_as_they_were(space):
    def born(path):
        """Asked for past the kernel's cache, which has none before it was asked once."""
        found = subprocess.run(["stat", "--cached=never", "-c", "%.9W", path], capture_output=True, check=True)
        return found.stdout.decode().strip()

    with space.cluster(servers=1, replicas=1) as cluster:
        path = cluster.mount / "file"
        write_file(path, b"text")
        first = born(path)
        check_equal(int(float(first)), int(path.stat().st_mtime), "the second of birth")
        os.truncate(path, 2)
        os.chmod(path, 0o600)
        os.link(path, cluster.mount / "other")
        os.rename(path, cluster.mount / "renamed")
        os.utime(cluster.mount / "renamed", ns=(5, 5))
        check_equal(born(cluster.mount / "other"), first, "the birth after changes")
        cluster.kill("meta")
        cluster.start("meta")
        cluster.restart_mounts_cold()
        check_equal(born(cluster.mount / "renamed"), first, "the birth after a restart")
