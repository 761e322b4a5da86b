"""Contents of files beyond reading and writing: shared copies, holes, room, sizes, durability."""

import ctypes
import errno
import mmap
import os
import resource
import signal
import threading
import time

from harness import (GIB, KIB, MIB, check, check_equal, drop_caches, error_of, run, seeded,
                     sha256_of, wait_until, write_file)

LARGEST = (1 << 63) - 1

# linux/falloc.h
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 0x01, 0x02, 0x10


def chunk_bytes(cluster):
    return cluster.status()["chunk_bytes"]


def write_large(path, size, generator):
    block = bytearray(generator.randbytes(8 * MIB))
    with open(path, "wb", buffering=0) as file:
        for number in range(size // len(block)):
            block[:8] = number.to_bytes(8, "little")  # no two blocks alike
            file.write(block)


def copy_range(source, source_offset, target, target_offset, length):
    """copy_file_range(2) until all of it is copied; returns how many calls that took."""
    calls = 0
    while length > 0:
        count = os.copy_file_range(source, target, length, source_offset, target_offset)
        check(count > 0, f"nothing was copied at {source_offset}")
        source_offset, target_offset, length = source_offset + count, target_offset + count, length - count
        calls += 1
    return calls


def change_range(descriptor, mode, offset, length):
    """fallocate(2), of which Python knows no modes."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate64.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if libc.fallocate64(descriptor, mode, offset, length) != 0:
        raise OSError(ctypes.get_errno(), f"fallocate with mode {mode}")


def a_gib_copied_inside_the_mount_moves_no_bytes(space):
    generator = seeded("copy")
    with space.cluster(servers=2, replicas=2) as cluster:
        top = cluster.mount
        write_large(top / "one", GIB, generator)
        digest = sha256_of(top / "one")
        before = chunk_bytes(cluster)
        check_equal(before, GIB, "bytes in chunks")
        for name, options in (("two", []), ("three", ["--reflink=auto"])):
            started = time.monotonic()
            run("cp", *options, top / "one", top / name)
            print(f"cp {' '.join(options)} of 1 GiB took {1000 * (time.monotonic() - started):.1f} ms")
            check_equal(chunk_bytes(cluster), before, "bytes in chunks after cp")
            check_equal((top / name).stat().st_blocks * 512, GIB, "what the copy occupies")
        cluster.restart_mounts_cold()
        check_equal(sha256_of(top / "two"), digest, "the sum of the copy")

        # Each side is on its own from now on.
        with open(top / "one", "r+b") as one, open(top / "two", "r+b") as two:
            one.seek(5 * MIB + 7)
            one.write(b"a" * 10 * MIB)
            two.seek(900 * MIB - 3)
            two.write(b"b" * 20)
        cluster.restart_mounts_cold()
        check_equal(sha256_of(top / "three"), digest, "the sum of a copy of which others were changed")
        with open(top / "one", "rb") as one, open(top / "two", "rb") as two, open(top / "three", "rb") as three:
            compare(one, three, [(5 * MIB + 7, b"a" * 10 * MIB)])
            compare(two, three, [(900 * MIB - 3, b"b" * 20)])

        # And what nobody refers to any more goes away.
        os.unlink(top / "one")
        os.unlink(top / "three")
        check_equal((top / "two").stat().st_size, GIB, "the size of what is left")
        check(chunk_bytes(cluster) >= GIB, "the copy that is left has lost chunks")
        os.unlink(top / "two")
        wait_until(lambda: cluster.status()["chunks"] == 0, "all chunks are gone")


def compare(one, other, differences):
    """Both files hold the same bytes but for what `differences` says the first has instead."""
    size = os.fstat(other.fileno()).st_size
    for at in range(0, size, 32 * MIB):
        expected = bytearray(os.pread(other.fileno(), 32 * MIB, at))
        for offset, body in differences:
            first, last = max(offset, at), min(offset + len(body), at + len(expected))
            if first < last:
                expected[first - at:last - at] = body[first - offset:last - offset]
        check(os.pread(one.fileno(), 32 * MIB, at) == expected, f"wrong bytes between {at} and {at + 32 * MIB}")


def copies_and_holes_beside_writes_match_a_model(space):
    generator = seeded("copies and holes")
    size = 6 * MIB
    with space.cluster(servers=2, replicas=2, chunk_size="1MiB") as cluster:
        paths = [cluster.mount / name for name in ("a", "b")]
        models = [bytearray(), bytearray()]
        files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]
        for step in range(600):
            kind = generator.randrange(12)
            which = generator.randrange(2)
            file, model = files[which], models[which]
            if kind < 4:
                offset = generator.randrange(size)
                body = generator.randbytes(generator.choice([1, 4096, 70_000, 300_000]))
                model.extend(bytes(max(0, offset - len(model))))
                model[offset:offset + len(body)] = body
                check_equal(os.pwrite(file, body, offset), len(body), "bytes written")
            elif kind < 7:
                source = generator.randrange(2)
                taken = models[source]
                if not taken:
                    continue
                start = generator.randrange(len(taken))
                length = min(generator.choice([1, 4096, 1_000_000, 3_000_000]), len(taken) - start)
                offset = generator.randrange(size)
                if source == which and abs(start - offset) < length:
                    check_equal(error_of(os.copy_file_range, file, file, length, start, offset), "EINVAL",
                                "a copy onto itself")
                    continue
                copy_range(files[source], start, file, offset, length)
                body = bytes(taken[start:start + length])
                model.extend(bytes(max(0, offset - len(model))))
                model[offset:offset + length] = body
            elif kind == 7:
                length = generator.randrange(size)
                os.ftruncate(file, length)
                models[which] = model[:length] + bytes(max(0, length - len(model)))
            elif kind == 8:
                os.fsync(file)
            elif kind == 9:
                offset, length = generator.randrange(size), generator.randrange(1, 500_000)
                mode = generator.choice([PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE | KEEP_SIZE, ZERO_RANGE])
                change_range(file, mode, offset, length)
                if not mode & KEEP_SIZE:
                    model.extend(bytes(max(0, offset + length - len(model))))
                end = min(offset + length, len(model))
                model[offset:end] = bytes(max(0, end - offset))
            else:
                offset, length = generator.randrange(size), generator.randrange(1, 500_000)
                check(os.pread(file, length, offset) == model[offset:offset + length],
                      f"step {step}: {length} bytes at {offset} are wrong")
        for file in files:
            os.close(file)
        cluster.restart_mounts_cold()
        for path, model in zip(paths, models):
            check(path.read_bytes() == model, f"{path.name} after a restart")


def copies_made_while_the_metadata_server_is_killed_are_whole(space):
    generator = seeded("copies and kills")
    bodies = [generator.randbytes(generator.randrange(1, 3 * MIB)) for _ in range(4)]
    with space.cluster(servers=1, replicas=1) as cluster:
        for number, body in enumerate(bodies):
            write_file(cluster.mount / f"source-{number}", body)
        copies, stop = [], threading.Event()

        def copy_on():
            while not stop.is_set():
                target = cluster.mount / f"copy-{len(copies)}"
                run("cp", cluster.mount / f"source-{len(copies) % len(bodies)}", target)
                copies.append(target)

        copying = threading.Thread(target=copy_on)
        copying.start()
        for _ in range(3):
            goal = len(copies) + 20
            wait_until(lambda: len(copies) >= goal, "more copies are made", limit=60)
            cluster.kill("meta")
            cluster.start("meta")
        stop.set()
        copying.join(60)
        check(not copying.is_alive(), "cp hangs")
        # No number of references went wrong: the bytes outlive their first file, and end with the last.
        for number in range(len(bodies)):
            os.unlink(cluster.mount / f"source-{number}")
        cluster.restart_mounts_cold()
        for number, target in enumerate(copies):
            check(target.read_bytes() == bodies[number % len(bodies)], f"{target.name} holds other bytes")
            os.unlink(target)
        wait_until(lambda: cluster.status()["chunks"] == 0, "all chunks are gone")


def segments(descriptor):
    """The data of a file as SEEK_DATA and SEEK_HOLE tell it."""
    found, at = [], 0
    size = os.fstat(descriptor).st_size
    while at < size:
        try:
            data = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as problem:
            check_equal(problem.errno, errno.ENXIO, "the errno behind the last data")
            break
        at = os.lseek(descriptor, data, os.SEEK_HOLE)
        found.append((data, at))
    return found


def occupied(path):
    return os.stat(path).st_blocks * 512


def holes_are_told_exactly_and_kept_by_cp_and_tar(space):
    generator = seeded("holes")
    expected = [(3, 100_003), (5 * MIB + 1, 5 * MIB + 70_001), (64 * MIB, 65 * MIB)]
    size = 100 * MIB + 5
    with space.cluster(servers=1, replicas=1) as cluster:
        top = cluster.mount
        with open(top / "sparse", "w+b", buffering=0) as file:
            descriptor = file.fileno()
            for begin, end in expected:
                os.pwrite(descriptor, generator.randbytes(end - begin), begin)
            file.truncate(size)
            check_equal(segments(descriptor), expected, "the data before it is sent")
            os.fsync(descriptor)
            check_equal(segments(descriptor), expected, "the data on the servers")
            os.pwrite(descriptor, b"x" * 10, 100_003)
            check_equal(segments(descriptor)[0], (3, 100_013), "committed data that goes on in the buffer")
            os.fsync(descriptor)
            for offset in (size, size + 1, LARGEST, -1):
                for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                    check_equal(error_of(os.lseek, descriptor, offset, whence), "ENXIO", f"lseek to {offset}")
            check_equal(os.lseek(descriptor, 90 * MIB, os.SEEK_HOLE), 90 * MIB, "a hole at the end")
        expected[0] = (3, 100_013)
        data = sum(end - begin for begin, end in expected)
        check_equal(occupied(top / "sparse"), (data + 511) // 512 * 512, "st_blocks")
        counted = int(run("du", "-B", "512", top / "sparse").stdout.split()[0])
        check_equal(counted * 512, occupied(top / "sparse"), "du")

        run("cp", "--sparse=always", top / "sparse", top / "always")
        run("cp", top / "sparse", top / "auto")
        (top / "out").mkdir()
        run("tar", "-S", "-cf", top / "tar", "-C", top, "sparse")
        check((top / "tar").stat().st_size < 2 * MIB, "the archive holds the holes")
        run("tar", "-xf", top / "tar", "-C", top / "out")
        for copy in (top / "always", top / "auto", top / "out/sparse"):
            run("cmp", top / "sparse", copy)
            check(occupied(copy) <= data + 512 * KIB, f"{copy} occupies {occupied(copy)} bytes")
        cluster.restart_mounts_cold()
        with open(top / "auto", "rb") as file:
            check_equal(segments(file.fileno()), expected, "the data of the copy")


def fallocate_does_what_linux_says(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        path = cluster.mount / "file"
        body = bytes(range(1, 251)) * 4000  # a million bytes without a zero
        write_file(path, body)

        def fallocate(*options, ok=(0,)):
            before = path.stat()
            time.sleep(0.01)
            done = run("fallocate", *options, path, ok=ok)
            after = path.stat()
            if done.returncode == 0:
                check(after.st_mtime_ns > before.st_mtime_ns and after.st_ctime_ns > before.st_ctime_ns,
                      f"fallocate {options} left the times alone")
            return done

        fallocate("-p", "-o", 1000, "-l", 5000)
        model = bytearray(body)
        model[1000:6000] = bytes(5000)
        check(path.read_bytes() == model, "the bytes after punching a hole")
        check_equal(occupied(path), (len(body) - 5000 + 511) // 512 * 512, "what is occupied then")
        fallocate("-z", "-n", "-o", len(body) - 10, "-l", 1000)
        model[-10:] = bytes(10)
        check(path.read_bytes() == model, "the bytes after zeroing, the size kept")
        fallocate("-z", "-o", len(body) - 10, "-l", 1000)
        model += bytes(990)
        check(path.read_bytes() == model, "the bytes after zeroing")
        fallocate("-l", 2_000_000)
        model += bytes(2_000_000 - len(model))
        check(path.read_bytes() == model, "the bytes after allocating")
        fallocate("-n", "-l", 3_000_000)
        check_equal(path.stat().st_size, 2_000_000, "the size after allocating beyond it with -n")
        for option in ("-c", "-i"):
            done = fallocate(option, "-o", 4096, "-l", 4096, ok=(1,))
            check(b"not supported" in done.stderr, f"fallocate {option} says {done.stderr}")
        with open(path, "r+b") as file:
            available = os.statvfs(cluster.mount).f_bavail * 4096
            check_equal(error_of(os.posix_fallocate, file.fileno(), 0, 2 * available), "ENOSPC",
                        "room for twice of what there is")
            check_equal(error_of(os.posix_fallocate, file.fileno(), LARGEST, 1), "EFBIG", "room past the end")
        cluster.restart_mounts_cold()
        check(path.read_bytes() == model, "the bytes after a restart")


def changes_by_ordinary_users_take_the_set_id_bits(space):
    def punch(descriptor, _):
        change_range(descriptor, PUNCH_HOLE | KEEP_SIZE, 0, 10)

    def allocate(descriptor, _):
        os.posix_fallocate(descriptor, 0, 10)

    def copy(descriptor, source):
        copy_range(source, 0, descriptor, 0, 10)

    with space.cluster(servers=1, replicas=1) as cluster:
        write_file(cluster.mount / "source", b"x" * 100)
        source = os.open(cluster.mount / "source", os.O_RDONLY)
        for change in (punch, allocate, copy):
            path = cluster.mount / change.__name__
            write_file(path, b"y" * 100)
            os.chmod(path, 0o6755)
            descriptor = os.open(path, os.O_RDWR)
            change(descriptor, source)
            check_equal(oct(path.stat().st_mode & 0o7777), "0o6755", f"the mode after root's {change.__name__}")
            as_nobody(change, descriptor, source)
            check_equal(oct(path.stat().st_mode & 0o7777), "0o755", f"the mode after nobody's {change.__name__}")
            os.close(descriptor)
        os.close(source)


def as_nobody(work, *arguments):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            work(*arguments)
            code = 0
        finally:
            os._exit(code)
    check_equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, f"nobody's {work.__name__}")


def sizes_go_up_to_the_largest_offset(space):
    with space.cluster(servers=1, replicas=1, chunk_size="1MiB") as cluster:
        path = cluster.mount / "file"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        for size in (3 * MIB + 1, 0, 1 * MIB, 1 * MIB - 1, 1 * MIB + 1, 2 * MIB):
            os.ftruncate(descriptor, size)
            os.pwrite(descriptor, b"e", size)
            check_equal(os.fstat(descriptor).st_size, size + 1, "the size after truncating and one byte")
        os.ftruncate(descriptor, 10)
        os.ftruncate(descriptor, LARGEST)
        check_equal(os.fstat(descriptor).st_size, LARGEST, "the largest size")
        check_equal(os.pwrite(descriptor, b"the end", LARGEST - 7), 7, "bytes written at the far end")
        check_equal(os.pwrite(descriptor, b"the", LARGEST - 3), 3, "what still fits")
        # Linux answers these two itself, on a tmpfs too.
        check_equal(error_of(os.pwrite, descriptor, b"the end", LARGEST - 3), "EINVAL", "a write past the end")
        check_equal(error_of(os.posix_fallocate, descriptor, LARGEST, 1), "EFBIG", "room past the end")
        os.fsync(descriptor)
        check(occupied(path) < 64 * KIB, f"a sparse file occupies {occupied(path)} bytes")
        os.close(descriptor)
        cluster.restart_mounts_cold()
        with open(path, "rb") as file:
            check_equal(os.pread(file.fileno(), 10, LARGEST - 10), b"\0\0\0the the", "the far end")
            check_equal(os.lseek(file.fileno(), 11, os.SEEK_DATA), LARGEST - 7, "where data is")
        os.unlink(path)
        a_limit_of_the_process_holds(cluster.mount / "limited")


def a_limit_of_the_process_holds(path):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
            fits = os.pwrite(descriptor, bytes(1000), MIB - 10) == 10
            refused = error_of(os.pwrite, descriptor, b"x", MIB) == "EFBIG"
            cut = error_of(os.ftruncate, descriptor, MIB + 1) == "EFBIG"
            room = error_of(os.posix_fallocate, descriptor, 0, MIB + 1) == "EFBIG"
            code = 0 if fits and refused and cut and room else 2
        finally:
            os._exit(code)
    check_equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "a process with RLIMIT_FSIZE")


def appends_of_several_processes_lose_nothing(space):
    lines = 300
    with space.cluster(servers=1, replicas=1) as cluster:
        path = cluster.mount / "log"
        children = []
        for writer in range(4):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                    for number in range(lines):
                        text = f"{writer} {number} {'x' * (number % 90)}\n".encode()
                        check_equal(os.write(descriptor, text), len(text), "bytes appended")
                    code = 0
                finally:
                    os._exit(code)
            children.append(child)
        for child in children:
            check_equal(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0, "a writer")
        cluster.restart_mounts_cold()
        seen = {writer: [] for writer in range(4)}
        for line in path.read_text().splitlines():
            writer, number, rest = line.split(" ", 2)
            check_equal(len(rest), int(number) % 90, "the length of a line")
            seen[int(writer)].append(int(number))
        for writer, numbers in seen.items():
            check_equal(numbers, list(range(lines)), f"the lines of writer {writer}")


def what_was_written_with_o_sync_survives_a_kill_of_everything(space):
    generator = seeded("o_sync")
    with space.cluster(servers=2, replicas=2) as cluster:
        bodies = {}
        open_files = []
        for flags in (os.O_SYNC, os.O_DSYNC, os.O_SYNC | os.O_DIRECT):
            name = f"file-{flags}"
            descriptor = os.open(cluster.mount / name, os.O_WRONLY | os.O_CREAT | flags)
            open_files.append(descriptor)
            memory = mmap.mmap(-1, MIB)  # as aligned as O_DIRECT may want it
            memory[:] = bodies[name] = generator.randbytes(MIB)
            check_equal(os.write(descriptor, memory), MIB, "bytes written")
        descriptor = os.open(cluster.mount / "mapped", os.O_RDWR | os.O_CREAT)
        open_files.append(descriptor)
        os.ftruncate(descriptor, MIB)
        with mmap.mmap(descriptor, MIB) as view:
            view[:] = bodies["mapped"] = generator.randbytes(MIB)
            view.flush()  # msync(MS_SYNC)
            for name in ("mount1", "meta", "storage1", "storage2"):
                cluster.kill(name)
        for descriptor in open_files:
            error_of(os.close, descriptor)  # the mount that knew it is gone
        for name in ("meta", "storage1", "storage2", "mount1"):
            cluster.start(name)
        drop_caches()
        for name, body in bodies.items():
            check((cluster.mount / name).read_bytes() == body, f"{name} lost what was synced")


def a_file_without_a_name_is_used_across_a_restart_of_the_metadata_server(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        path = cluster.mount / "file"
        first = os.open(path, os.O_RDWR | os.O_CREAT)
        second = os.open(path, os.O_RDWR)
        os.write(first, b"a" * MIB)
        os.unlink(path)
        cluster.kill("meta")
        cluster.start("meta")
        os.pwrite(second, b"b" * MIB, MIB)
        os.fsync(second)
        os.ftruncate(first, 2 * MIB - 5)
        os.close(first)
        drop_caches()
        check(os.pread(second, 3 * MIB, 0) == b"a" * MIB + b"b" * (MIB - 5), "the bytes of a file without a name")
        # Its bytes may still be shared with a file that has one.
        kept = os.open(cluster.mount / "kept", os.O_WRONLY | os.O_CREAT)
        copy_range(second, 10, kept, 0, MIB)
        os.close(kept)
        os.close(second)
        wait_until(lambda: cluster.status()["inodes"] == 2, "the file without a name is gone", limit=60)
        check((cluster.mount / "kept").read_bytes() == b"a" * (MIB - 10) + b"b" * 10, "what was copied from it")


def readers_and_writers_beside_a_truncating_one_see_no_wrong_bytes(space):
    """Byte n of the file is always 0 or the same function of n."""
    block = bytes(1 + number % 251 for number in range(251 * 400))
    with space.cluster(servers=1, replicas=1, chunk_size="1MiB") as cluster:
        path = cluster.mount / "file"
        write_file(path, block * 20)
        size, problems, stop = len(block) * 20, [], threading.Event()

        def repeat(seed, step):
            generator = seeded(f"truncating {seed}")
            descriptor = os.open(path, os.O_RDWR)
            try:
                while not stop.is_set():
                    step(descriptor, generator)
            except BaseException as problem:
                problems.append(problem)
            finally:
                os.close(descriptor)

        def read(descriptor, generator):
            offset = generator.randrange(size)
            found = os.pread(descriptor, 300_000, offset)
            if found:
                expected = (block * 5)[offset % 251:][:len(found)]
                wrong = [at for at in range(0, len(found), 97) if found[at] not in (0, expected[at])]
                check(not wrong, f"a wrong byte at {offset + wrong[0] if wrong else 0}")

        def write(descriptor, generator):
            start = generator.randrange(20)
            os.pwrite(descriptor, block, start * len(block))

        def cut(descriptor, generator):
            os.ftruncate(descriptor, generator.randrange(size))

        threads = [threading.Thread(target=repeat, args=work)
                   for work in ((1, read), (2, read), (3, write), (4, cut))]
        for thread in threads:
            thread.start()
        time.sleep(8)
        stop.set()
        for thread in threads:
            thread.join(60)
            check(not thread.is_alive(), "somebody hangs")
        if problems:
            raise problems[0]
        here = path.read_bytes()
        cluster.restart_mounts_cold()
        check(path.read_bytes() == here, "the servers have other bytes than the mount showed")
