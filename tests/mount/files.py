"""What programs expect of single files, on one mount and between two."""

import fcntl
import hashlib
import mmap
import os
import stat

from harness import (GIB, KIB, MIB, check, check_equal, drop_caches, error_of, memory_bytes, seeded,
                     sha256_of, wait_until, write_file)

# The defaults of dfs-mount: bytes written and not yet sent, and bytes read and kept.
WRITE_BUFFER = 256 * MIB
READ_CACHE = 512 * MIB


def three_gib_come_back_with_the_same_sum_in_bounded_memory(space):
    size = 3 * GIB
    block = bytearray(seeded("3 GiB").randbytes(8 * MIB))
    with space.cluster(servers=2, replicas=2) as cluster:
        path = cluster.mount / "big"
        digest = hashlib.sha256()
        with open(path, "wb", buffering=0) as file:
            for number in range(size // len(block)):
                block[:8] = number.to_bytes(8, "little")  # no two blocks alike
                digest.update(block)
                check_equal(file.write(block), len(block), "bytes written at once")
            os.fsync(file.fileno())
        written = digest.hexdigest()
        check_equal(path.stat().st_size, size, "the size")
        drop_caches()
        check_equal(sha256_of(path), written, "the SHA-256 after dropping the caches")

        mount_peak = memory_bytes(cluster.worker())
        print(f"dfs-mount used at most {mount_peak // MIB} MiB")
        check(mount_peak <= WRITE_BUFFER + READ_CACHE + 150 * MIB,
              f"dfs-mount used {mount_peak // MIB} MiB, its budgets are {(WRITE_BUFFER + READ_CACHE) // MIB} MiB")
        for name in ("storage1", "storage2"):
            peak = memory_bytes(cluster.pid(name))
            print(f"{name} used at most {peak // MIB} MiB")
            check(peak < 300 * MIB, f"{name} used {peak // MIB} MiB")

        cluster.restart_mounts_cold()
        check_equal(sha256_of(path), written, "the SHA-256 after a restart of the mount")


def two_mounts_see_each_others_closed_files(space):
    generator = seeded("two mounts")
    with space.cluster(servers=2, replicas=2, mounts=2) as cluster:
        here, there = cluster.mounts
        (here / "dir").mkdir()
        for number in range(50):
            writer, reader = (here, there) if number % 2 else (there, here)
            body = generator.randbytes(generator.randrange(1, 300 * KIB))
            name = f"dir/file-{number % 7}"
            write_file(writer / name, body)
            # The file may be known there from before: attributes are kept for a moment.
            wait_until(lambda: (reader / name).exists() and (reader / name).stat().st_size == len(body),
                       f"{name} is seen with its new size", limit=10)
            check((reader / name).read_bytes() == body, f"{name} holds other bytes on the other mount")

        os.rename(here / "dir/file-1", here / "dir/renamed")
        wait_until(lambda: sorted(os.listdir(there / "dir")) == sorted(os.listdir(here / "dir")),
                   "both mounts list the same names", limit=10)
        os.unlink(there / "dir/renamed")
        wait_until(lambda: error_of(os.stat, here / "dir/renamed") == "ENOENT",
                   "a removed file is gone on the other mount", limit=10)
        check_equal((here / "dir").stat().st_ino, (there / "dir").stat().st_ino, "the inode on both mounts")


def a_file_removed_while_open_stays_until_it_is_closed(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        here, there = cluster.mounts
        write_file(here / "file", b"a" * MIB)
        with open(here / "file", "r+b") as file:
            os.unlink(here / "file")
            check_equal(error_of(os.stat, here / "file"), "ENOENT", "the name")
            file.seek(0, os.SEEK_END)
            file.write(b"b" * MIB)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            check(file.read() == b"a" * MIB + b"b" * MIB, "the bytes of a file without a name")
            check_equal(os.fstat(file.fileno()).st_nlink, 0, "its links")

        write_file(here / "other", b"c" * MIB)
        with open(here / "other", "rb") as file:
            os.unlink(there / "other")
            drop_caches()
            check(file.read() == b"c" * MIB, "the bytes of a file that the other mount removed")


def names_and_attributes_behave_as_posix_says(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        top = cluster.mount
        write_file(top / "a", b"one")
        write_file(top / "b", b"two")
        os.rename(top / "a", top / "b")
        check_equal((top / "b").read_bytes(), b"one", "rename over a file")
        (top / "dir/sub").mkdir(parents=True)
        check_equal(error_of(os.rename, top / "b", top / "dir"), "EISDIR", "a file over a directory")
        check_equal(error_of(os.rename, top / "dir", top / "dir/sub/x"), "EINVAL", "a directory into itself")
        check_equal(error_of(os.rmdir, top / "dir"), "ENOTEMPTY", "rmdir of a full directory")
        check_equal(error_of(os.mkdir, top / "dir"), "EEXIST", "mkdir of what is there")
        check_equal((top / "dir").stat().st_nlink, 3, "links of a directory with one below it")

        os.link(top / "b", top / "c")
        check_equal((top / "c").stat().st_nlink, 2, "links of a linked file")
        os.symlink("b", top / "link")
        check_equal((top / "link").read_bytes(), b"one", "through a link")
        check_equal(error_of(os.link, top / "dir", top / "dir2"), "EPERM", "a hard link to a directory")

        os.chmod(top / "b", 0o4751)
        os.chown(top / "b", 12, 34)
        os.utime(top / "b", ns=(1_000_000_001, -5_000_000_003))
        facts = (top / "c").stat()
        check_equal((facts.st_uid, facts.st_gid), (12, 34), "the owner")
        check_equal((facts.st_atime_ns, facts.st_mtime_ns), (1_000_000_001, -5_000_000_003), "the times")
        os.truncate(top / "b", 100)
        check_equal((top / "b").read_bytes(), b"one" + bytes(97), "a file made longer")
        os.truncate(top / "b", 2)
        check_equal((top / "b").read_bytes(), b"on", "a file made shorter")

        os.mkfifo(top / "fifo", 0o640)
        check(stat.S_ISFIFO((top / "fifo").stat().st_mode), "a fifo is a fifo")
        os.setxattr(top / "b", "user.colour", b"blue\0green")
        check_equal(os.getxattr(top / "c", "user.colour"), b"blue\0green", "an extended attribute")
        check_equal(os.listxattr(top / "b"), ["user.colour"], "extended attributes")
        os.removexattr(top / "b", "user.colour")
        check_equal(error_of(os.getxattr, top / "b", "user.colour"), "ENODATA", "a removed attribute")
        space_facts = os.statvfs(top)
        check(0 < space_facts.f_bavail <= space_facts.f_blocks, "statvfs shows space")
        check_equal(space_facts.f_namemax, 255, "the longest name")


def writes_of_every_kind_are_read_back(space):
    generator = seeded("writes")
    size = 24 * MIB
    with space.cluster(servers=2, replicas=2, chunk_size="1MiB") as cluster:
        path = cluster.mount / "file"
        model = bytearray()
        with open(path, "w+b", buffering=0) as file:
            for step in range(600):
                kind = generator.randrange(10)
                if kind < 6:
                    offset = generator.randrange(size)
                    body = generator.randbytes(generator.choice([1, 511, 4096, 70_000, 300_000]))
                    if offset > len(model):
                        model += bytes(offset - len(model))
                    model[offset:offset + len(body)] = body
                    check_equal(os.pwrite(file.fileno(), body, offset), len(body), "bytes written")
                elif kind == 6:
                    length = generator.randrange(size)
                    file.truncate(length)
                    model = model[:length] + bytes(max(0, length - len(model)))
                elif kind == 7:
                    os.fsync(file.fileno())
                else:
                    offset = generator.randrange(size)
                    length = generator.randrange(1, 500_000)
                    check(os.pread(file.fileno(), length, offset) == model[offset:offset + length],
                          f"step {step}: {length} bytes at {offset} are wrong")
        check(path.read_bytes() == model, "the whole file after it was closed")
        cluster.restart_mounts_cold()
        check(path.read_bytes() == model, "the whole file after a restart")

        with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
            view[5000:5010] = b"0123456789"
            view.flush()
        model[5000:5010] = b"0123456789"
        with open(path, "ab") as file:
            file.write(b"end")
        model += b"end"
        check(path.read_bytes() == model, "the file after mmap and append")
        cluster.restart_mounts_cold()
        check(path.read_bytes() == model, "the same after a restart")


def locks_of_one_mount_exclude_each_other(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        write_file(cluster.mount / "file", b"x")
        with open(cluster.mount / "file", "r+b") as one, open(cluster.mount / "file", "r+b") as two:
            fcntl.flock(one, fcntl.LOCK_EX)
            check_equal(error_of(fcntl.flock, two, fcntl.LOCK_EX | fcntl.LOCK_NB), "EAGAIN", "a second flock")
            fcntl.flock(one, fcntl.LOCK_UN)
            fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
