"""`dfs fsck`: nothing is found in a cluster in use, and what is lost is called by its name."""

import json
import shutil

from harness import KIB, MIB, check, check_equal, seeded, wait_until, write_file

from failures import Copier
from repair import alive, number_of, quick


def fsck(cluster, *arguments, ok=(0,)):
    """Its exit code and what it printed, as text."""
    ended = cluster.dfs("fsck", *arguments, ok=ok)
    return ended.returncode, ended.stdout.decode()


def a_cluster_in_use_is_clean(space):
    """Online while files come and go; offline once the metadata server has stopped, and not before."""
    quick()
    with space.cluster(servers=3, replicas=2) as cluster:
        meta = cluster.directory / "meta"
        with Copier(cluster.mount / "copy", 11, bytes_max=256 * KIB) as copier:
            copier.wait_for_files(20)
            for _ in range(3):
                _, text = fsck(cluster, "--repair")
                check("the tables fit together" in text and "repaired:" not in text, f"nothing is found:\n{text}")
            copier.wait_for_files(10)
        refused = cluster.dfs("fsck", "--offline", meta, ok=(8,))
        check(b"in use" in refused.stderr or b"uses" in refused.stderr, f"it says who is in the way: {refused.stderr}")
        cluster.stop("mount1")
        cluster.stop("meta")
        _, text = fsck(cluster, "--offline", meta)
        check("the tables fit together" in text, f"nothing is found offline:\n{text}")
        cluster.start("meta")
        cluster.start("mount1")
        check_equal(fsck(cluster, "--tables-only")[0], 0, "the exit code afterwards")
        cluster.check_all_alive()


def files_of_lost_chunks_are_named(space):
    """Both disks go back in time: what was written since is nowhere, and only that."""
    quick()
    servers = ("storage1", "storage2")
    with space.cluster(servers=2, replicas=2) as cluster:
        generator = seeded("fsck")
        kept = generator.randbytes(MIB)
        write_file(cluster.mount / "kept", kept, sync=True)
        for name in servers:
            cluster.stop(name)
            shutil.copytree(cluster.directory / name, space.path(f"old-{name}"))
            cluster.start(name)
        (cluster.mount / "deep").mkdir()
        write_file(cluster.mount / "deep" / "gone", generator.randbytes(300 * KIB), sync=True)
        # One of the servers may just have come back: it gets its copy later.
        wait_until(lambda: cluster.status()["repair_queue"] == 0, "both servers have everything")
        cluster.stop("storage2")
        two = number_of(cluster, "storage2")
        wait_until(lambda: not alive(cluster, two), "the stopped server counts as dead")
        _, text = fsck(cluster)
        check("/deep/gone: bytes 0 to 307200 have 1 of 2 copies" in text, f"a copy that is away is told:\n{text}")
        cluster.stop("storage1")
        _, text = fsck(cluster, ok=(4,))
        check("/kept: bytes 0 to 1048576 cannot be read now" in text, f"what nobody answers for:\n{text}")
        for name in servers:
            shutil.rmtree(cluster.directory / name)
            shutil.copytree(space.path(f"old-{name}"), cluster.directory / name)
            cluster.start(name)
        _, text = fsck(cluster, ok=(4,))
        check("/deep/gone: bytes 0 to 307200 are lost" in text, f"the lost file is named:\n{text}")
        check("/kept" not in text, f"nothing else is:\n{text}")
        _, text = fsck(cluster, "--json", ok=(4,))
        lines = [json.loads(line) for line in text.splitlines()]
        check_equal([(line["path"], line["kind"]) for line in lines[:-1]], [("/deep/gone", "lost")], "in JSON")
        check_equal((lines[-1]["lost"], lines[-1]["left"], lines[-1]["clean"]), (1, 0, False), "its last line")
        check_equal((cluster.mount / "kept").read_bytes(), kept, "the other file")
