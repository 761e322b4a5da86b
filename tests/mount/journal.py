"""A mount with a journal, whose machine loses power: both its processes are killed while what was written is unsent."""

import os
import re

from harness import KIB, check, check_equal, program, run
from unmounting import Mount, Writer


def cluster_with_journal(workspace):
    """And with one mount, since each has a journal of its own; whoever waits for a lease of the dead waits 2 s."""
    journal = workspace.path("journal")
    journal.mkdir()
    config = workspace.path("meta.toml")
    config.write_text("lease_time_ms = 2000\n")
    return workspace.cluster(servers=1, replicas=1,
                         extra=[f"meta=--config={config}", "mount=-o", f"mount=journal={journal}"])


def segments(workspace):
    return sorted(path.name for path in workspace.path("journal").glob("*.log"))


def lose_power(cluster, writer):
    """The storage server is away, so that nothing of what is written now is sent."""
    cluster.stop("storage1")
    writer.write()
    cluster.kill("mount1")
    check_equal(writer.close(), "ENOTCONN", "what closing a file says without its mount")
    cluster.start("storage1")


def what_was_written_survives_the_loss_of_power(space):
    with cluster_with_journal(space) as cluster:
        writer = Writer(cluster.mount / "file")
        lose_power(cluster, writer)
        cluster.start("mount1")
        check_equal((cluster.mount / "file").read_bytes(), b"x" * (1 + 64 * KIB), "what was written")
        check(re.search(r"65536 bytes of 1 files have been sent", cluster.log("mount1")), cluster.log("mount1"))

        # Its worker has it all in memory, and the journal goes on.
        with open(cluster.mount / "file", "r+b") as file:
            file.write(b"y" * 1000)
            file.flush()
            os.kill(cluster.worker(), 9)
            check_equal(os.pread(file.fileno(), 1001, 0), b"y" * 1000 + b"x", "what was written before the kill")
        check_equal(len(segments(space)), 1, "how many segments there are")
        cluster.stop("mount1")
        check_equal(segments(space), [], "what is left once all is sent")


def what_others_have_changed_since_is_kept_aside(space):
    with cluster_with_journal(space) as cluster:
        writer = Writer(cluster.mount / "file")
        lose_power(cluster, writer)
        other = Mount(space, cluster, "other")
        # That it may, though the other mount had said no goodbye, takes until its lease is over.
        with open(other.directory / "file", "r+b") as file:
            file.write(b"another's")
        cluster.start("mount1")
        check_equal((cluster.mount / "file").read_bytes(), b"another's", "what is there")
        kept = space.path("journal") / "kept" / f"inode-{writer.inode}"
        check(str(kept) in cluster.log("mount1"), cluster.log("mount1"))
        check_equal(kept.read_bytes(), b"\0" + b"x" * 64 * KIB, "what is kept aside")
        other.signal()
        other.check_ended(0)


def what_cannot_be_sent_yet_waits(space):
    with cluster_with_journal(space) as cluster:
        writer = Writer(cluster.mount / "file")
        lose_power(cluster, writer)
        journal = space.path("journal")
        before = segments(space)
        check(before, "the journal is empty")
        cluster.stop("meta")
        refused = cluster.local("start", "mount1", ok=(1,)).stderr.decode()
        check("no metadata server answers" in refused, refused)
        check_equal(segments(space), before, "what waits")
        cluster.start("meta")
        place = space.path("place")
        place.mkdir()
        refused = run(program("dfs-mount"), cluster.processes()["meta"]["address"], place, "-o",
                      f"journal={journal}/nowhere", ok=(1,)).stderr.decode()
        check("there is no directory" in refused, refused)
        cluster.start("mount1")
        check_equal((cluster.mount / "file").stat().st_size, 1 + 64 * KIB, "how much was written")
