"""A disk gets full: the writer hears it, everything else goes on."""

import contextlib
import errno
import os

from harness import (MIB, Failed, check, check_equal, error_of, run, seeded, wait_until, write_file)


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
