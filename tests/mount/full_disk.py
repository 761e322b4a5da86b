"""A disk gets full: who fills it hears it, everything else goes on."""

import contextlib
import errno
import itertools
import os

from harness import (KIB, MIB, Failed, check, check_equal, error_of, run, seeded, wait_until, write_file)


@contextlib.contextmanager
def small_disk(space, place, size):
    image = space.path("disk.img")
    with open(image, "wb") as file:
        file.truncate(size)
    run("mkfs.ext4", "-q", "-F", "-m", "0", image)
    place.mkdir(parents=True)
    run("mount", "-o", "loop", image, place)
    try:
        yield
    finally:
        run("umount", "-l", place)


def a_full_disk_is_enospc_to_the_writer_and_nothing_else_breaks(space):
    generator = seeded("full disk")
    block = generator.randbytes(4 * MIB)
    place = space.directory / "cluster/storage1"
    with small_disk(space, place, 500 * MIB):
        with space.cluster(servers=1, replicas=1, extra=["storage=--reserve=64MiB"]) as cluster:
            complete = fill(cluster.mount, block)
            check(len(complete) >= 5, f"only {len(complete)} files of 16 MiB fitted on 500 MiB")
            for _ in range(3):
                check_equal(error_of(write_file, cluster.mount / "again", block * 4, True), "ENOSPC",
                            "writing on a full disk once more")

            cluster.check_all_alive()
            for path in complete[:3] + complete[-2:]:
                check(path.read_bytes() == block * 4, f"{path.name}, which was complete, holds wrong bytes")
            (cluster.mount / "directory").mkdir()
            os.rename(complete[0], cluster.mount / "directory/moved")
            check(b"alive" in cluster.dfs("status").stdout, "dfs status does not answer")

            for path in list(cluster.mount.iterdir()):
                if path.name not in ("directory", complete[1].name):
                    path.unlink()
            wait_until(lambda: error_of(write_file, cluster.mount / "fresh", block * 4, True) == "",
                       "there is room again after files were removed", limit=60, pause=0.5)
            check((cluster.mount / "fresh").read_bytes() == block * 4, "a new file holds wrong bytes")
            check((cluster.mount / "directory/moved").read_bytes() == block * 4, "an old file holds wrong bytes")
            cluster.restart_mounts_cold()
            check((cluster.mount / "fresh").read_bytes() == block * 4, "a new file holds wrong bytes later")
            check(complete[1].read_bytes() == block * 4, "an old file holds wrong bytes later")


def a_full_metadata_disk_stops_growth_and_nothing_else(space):
    generator = seeded("full metadata disk")
    body = generator.randbytes(3 * MIB)
    place = space.directory / "cluster/meta"
    with small_disk(space, place, 300 * MIB):
        with space.cluster(servers=1, replicas=1, extra=["meta=--reserve=32MiB"]) as cluster:
            mount, pid = cluster.mount, cluster.pid("meta")
            for number in range(20):
                write_file(mount / f"file-{number}", body, sync=True)
            (mount / "directory").mkdir()
            with ballast(place / "ballast", leave=70 * MIB):
                check(fill_with_attributes(mount / "directory") > 0, "no attribute fitted")
                check_nothing_grows(mount)
                check_everything_else_goes_on(cluster, mount, body)
            wait_until(lambda: error_of(write_file, mount / "fresh", body, True) == "",
                       "names are taken again when there is room", limit=60)

            # To the last byte, which is more than the server ever takes by itself.
            with ballast(place / "ballast", leave=0):
                names = (mount / f"more-{number}" for number in itertools.count())
                wait_until(lambda: error_of(next(names).mkdir) == "ENOSPC", "a full disk is noticed", limit=30)
                check((mount / "fresh").read_bytes() == body, "a file holds wrong bytes")
                check(error_of((mount / "fresh").unlink) in ("", "ENOSPC"), "removing on a disk without a byte")
            wait_until(lambda: error_of(write_file, mount / "fresh", body, True) == "",
                       "names are taken again when there is room", limit=60)
            check_equal(cluster.pid("meta"), pid, "the metadata server's process")
            cluster.kill("meta")
            cluster.start("meta")
            cluster.restart_mounts_cold()
            for path in (mount / "fresh", mount / "file-9", mount / "directory/moved"):
                check(path.read_bytes() == body, f"{path.name} holds wrong bytes later")


@contextlib.contextmanager
def ballast(path, leave):
    """Takes all but `leave` bytes of the disk meanwhile."""
    def free():
        facts = os.statvfs(path.parent)
        return facts.f_bavail * facts.f_frsize

    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        for step in (MIB, 4 * KIB):
            while free() >= leave + step:
                file.write(bytes(step))
    try:
        yield
    finally:
        path.unlink()


def fill_with_attributes(directory):
    """Gives new files large attributes until there is no room for more; how many fitted."""
    for number in range(100_000):
        try:
            path = directory / f"full-{number // 8}"
            path.touch()
            os.setxattr(path, f"user.{number % 8}", bytes(48 * KIB))
        except OSError as problem:
            check_equal(errno.errorcode[problem.errno], "ENOSPC", "the error of a full disk")
            return number
    raise Failed("5 GB of attributes were accepted by a disk of 300 MiB")


def check_nothing_grows(mount):
    for what, grow in (("mkdir", lambda: (mount / "new").mkdir()),
                       ("create", lambda: write_file(mount / "new", b"")),
                       ("symlink", lambda: (mount / "new").symlink_to("file-0")),
                       ("link", lambda: os.link(mount / "file-0", mount / "new")),
                       ("mkfifo", lambda: os.mkfifo(mount / "new")),
                       ("setxattr", lambda: os.setxattr(mount / "file-0", "user.new", b"1")),
                       ("write", lambda: write_file(mount / "file-0", bytes(20 * MIB), sync=True))):
        check_equal(error_of(grow), "ENOSPC", f"{what} on a full metadata disk")
    check(not os.path.lexists(mount / "new"), "something refused is there all the same")


def check_everything_else_goes_on(cluster, mount, body):
    check((mount / "file-1").read_bytes() == body, "a file holds wrong bytes")
    os.close(os.open(mount / "file-1", os.O_WRONLY | os.O_CREAT))
    os.chmod(mount / "file-1", 0o600)
    os.rename(mount / "file-2", mount / "directory/moved")
    os.truncate(mount / "file-3", 100)
    (mount / "file-4").unlink()
    os.removexattr(mount / "directory/full-0", "user.0")
    check_equal((mount / "file-3").stat().st_size, 100, "the size after truncate")
    check(not (mount / "file-4").exists(), "a removed file is there")
    check(b"alive" in cluster.dfs("status").stdout, "dfs status does not answer")
    cluster.restart_mounts_cold()  # new sessions are welcome
    check((mount / "directory/moved").read_bytes() == body, "a renamed file holds wrong bytes")
    cluster.check_all_alive()


def fill(directory, block):
    """Writes and syncs files until the disk is full; those that were complete."""
    complete = []
    for number in range(200):
        path = directory / f"fill-{number:03d}"
        try:
            write_file(path, block * 4, sync=True)
        except OSError as problem:
            check_equal(errno.errorcode[problem.errno], "ENOSPC", "the error of a full disk")
            return complete
        complete.append(path)
    raise Failed("3 GiB were accepted by a disk of 500 MiB")
