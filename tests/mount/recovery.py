"""The metadata server's disk is lost: what a backup, and what storage servers alone, bring back.

Each test does what server/meta/backup/README.md says an operator does.
"""

import json
import os
import shutil

from harness import KIB, MIB, check, check_equal, error_of, program, run, seeded, wait_until, write_file

from repair import Files, quick


def lose_metadata(cluster):
    """The server dies, and its directory with it."""
    cluster.kill("meta")
    shutil.rmtree(cluster.directory / "meta")


def verify(path, ok=(0,)):
    return run(program("dfs"), "meta", "verify", path, ok=ok)


def chunks_of(cluster, name):
    """Ids of the chunks of a file."""
    located = json.loads(cluster.dfs("locate", f"/{name}", "--json").stdout)
    return {extent["chunk"] for extent in located["extents"] if extent.get("chunk")}


def check_bodies(files):
    for name, body in files.bodies.items():
        check((files.cluster.mount / name).read_bytes() == body, f"{name} holds wrong bytes")


def notes_of(cluster):
    return cluster.status()["repair"]["notes"]


def a_backup_brings_everything_back_onto_an_empty_machine(space):
    quick()
    with space.cluster(servers=3, replicas=3) as cluster:
        files = Files(cluster, seeded("backup"))
        files.add(12, "before")
        (cluster.mount / "directory").mkdir(mode=0o750)
        os.symlink("directory", cluster.mount / "link")
        os.link(cluster.mount / "before-001", cluster.mount / "directory" / "again")
        os.setxattr(cluster.mount / "before-002", "user.note", b"kept")
        backup = space.path("dfs-meta.backup")
        cluster.dfs("meta", "backup", backup)
        verify(backup)
        before = dict(files.bodies)

        files.add(6, "after")
        removed = "before-003"
        ids = {name: chunks_of(cluster, name) for name in files.bodies}
        files.remove([removed])
        lose_metadata(cluster)

        # What is cut off or damaged is refused before anything is made of it.
        whole = backup.read_bytes()
        damaged = space.path("damaged")
        for bad in (whole[:-1], whole[:len(whole) // 2],
                    whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]):
            damaged.write_bytes(bad)
            check(b"damaged" in verify(damaged, ok=(1,)).stderr, "the file is named")
            run(program("dfs-meta"), "restore", damaged, "--data", cluster.directory / "meta", ok=(1,))
        check(not (cluster.directory / "meta").exists(), "a damaged backup leaves nothing")

        run(program("dfs-meta"), "restore", backup, "--data", cluster.directory / "meta")
        again = run(program("dfs-meta"), "restore", backup, "--data", cluster.directory / "meta", ok=(1,))
        check(b"has something in it" in again.stderr, "a directory in use is refused")
        cluster.start("meta")

        # The mount has stayed, and sees the old state; so does a new one.
        files.bodies = {name: body for name, body in before.items() if name != removed}
        wait_until(lambda: error_of(os.stat, cluster.mount / "after-000") == "ENOENT",
                   "the mount has forgotten what was not in the backup")
        check_bodies(files)
        cluster.restart_mounts_cold()
        check_bodies(files)
        check_equal((cluster.mount / "directory").stat().st_mode & 0o777, 0o750, "mode of a directory")
        check_equal((cluster.mount / "directory" / "again").read_bytes(), before["before-001"], "a hard link")
        check_equal(os.readlink(cluster.mount / "link"), "directory", "a symbolic link")
        check_equal(os.getxattr(cluster.mount / "before-002", "user.note"), b"kept", "an attribute")

        # New files work, under ids that nobody had.
        old = set().union(*ids.values())
        files.add(12, "new")
        for name in files.bodies:
            if name.startswith("new"):
                check(not chunks_of(cluster, name) & old, f"{name} has a chunk id that was given out before")
        check_bodies(files)

        # What came after the backup is still with the storage servers, and said.
        wait_until(lambda: sum("that no file names" in note for note in notes_of(cluster)) == 3 + 1,
                   "each server's unknown chunks are named, and until when they are kept")
        check_equal(cluster.status()["garbage_chunks"], 0, "chunks to be deleted")
        cluster.check_all_alive()


def files_come_back_from_storage_servers_alone(space):
    quick()
    with space.cluster(servers=3, replicas=3, chunk_size="1MiB") as cluster:
        generator = seeded("salvage")
        files = Files(cluster, generator)
        files.add(8, "file")

        # Overwritten in the middle, and written to in many places out of order.
        over = bytearray(generator.randbytes(3 * MIB))
        path = cluster.mount / "over"
        write_file(path, over, sync=True)
        with open(path, "r+b", buffering=0) as file:
            for offset, length in ((100, 5000), (MIB - 77, 300 * KIB), (2 * MIB, MIB)):
                piece = generator.randbytes(length)
                over[offset:offset + length] = piece
                file.seek(offset)
                file.write(piece)
                os.fsync(file.fileno())
            order = list(range(0, 3 * MIB - KIB, 64 * KIB))
            generator.shuffle(order)
            for offset in order:
                piece = generator.randbytes(700)
                over[offset:offset + 700] = piece
                file.seek(offset)
                file.write(piece)
            os.fsync(file.fileno())
        files.bodies["over"] = bytes(over)
        inodes = {name: (cluster.mount / name).stat().st_ino for name in files.bodies}
        old = set().union(*(chunks_of(cluster, name) for name in files.bodies))

        cluster.local("down")
        shutil.rmtree(cluster.directory / "meta")
        inventories = []
        for number in (1, 2, 3):
            inventories.append(space.path(f"inventory{number}"))
            run(program("dfs-storage"), "inventory", inventories[-1], "--data",
                cluster.directory / f"storage{number}")
        said = run(program("dfs-meta"), "salvage", *inventories, "--data", cluster.directory / "meta",
                   "--chunk-size", "1MiB").stdout
        check(f"{len(files.bodies)} files".encode() in said, f"the files are counted: {said!r}")
        cluster.up()

        lost = cluster.mount / "lost+found"
        check_equal(sorted(os.listdir(lost)), sorted(f"inode-{number}" for number in inodes.values()),
                    "what is in lost+found")
        for name, number in inodes.items():
            check((lost / f"inode-{number}").read_bytes() == files.bodies[name], f"{name} has its bytes")
        write_file(cluster.mount / "new", b"new" * 100_000, sync=True)
        check(not chunks_of(cluster, "new") & old, "a chunk id is given out twice")
        os.rename(lost / f"inode-{inodes['over']}", cluster.mount / "over")
        check((cluster.mount / "over").read_bytes() == files.bodies["over"], "it may be renamed")
        cluster.check_all_alive()
