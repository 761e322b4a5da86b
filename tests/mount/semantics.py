"""The same calls on a mount and in a local directory, and what comes of them.

A scenario does calls in an empty directory and yields (sentence, outcome)
pairs. What the local disk answers is what is expected. tests/model tries calls
at random; here are those that it does not try, and those that are promised.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import shutil
import stat
import subprocess
import time

from harness import check, check_equal, error_name, error_of, write_file
from permissions import ALICE, BOB, TEAM, cluster_for_everybody, outcome_for

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4  # linux/fs.h
FICLONE = 0x40049409
OMIT, NOW = (1 << 30) - 2, (1 << 30) - 1  # UTIME_OMIT, UTIME_NOW
LONGEST = "n" * 255


def compare(space, *scenarios):
    """Runs each scenario at both places; fails at the first difference."""
    with cluster_for_everybody(space, servers=1, replicas=1) as cluster:
        space.path("local").mkdir()
        for scenario in scenarios:
            places = [top / scenario.__name__ for top in (space.path("local"), cluster.mount)]
            for place in places:
                place.mkdir()
                os.chmod(place, 0o777)
            os.chmod(cluster.mount, 0o755)
            expected, found = (list(scenario(place)) for place in places)
            for (sentence, here), (_, there) in zip(found, expected):
                check_equal(here, there, sentence)
            check_equal(len(found), len(expected), f"outcomes of {scenario.__name__}")


def opened(path, flags, mode=0o644):
    """The descriptor, or the errno's name."""
    try:
        return os.open(path, flags, mode)
    except OSError as problem:
        return error_name(problem.errno)


def open_error(path, flags, mode=0o644):
    descriptor = opened(path, flags, mode)
    if isinstance(descriptor, str):
        return descriptor
    os.close(descriptor)
    return ""


def rename2(source, target, flags):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def link_followed(source, target):
    """linkat(2) with AT_SYMLINK_FOLLOW, which os.link() does not do."""
    if LIBC.linkat(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), 0x400) != 0:
        raise OSError(ctypes.get_errno(), "linkat")


# --- open ----------------------------------------------------------------------------


def flags_of_open_do_what_they_do_locally(space):
    compare(space, flags_that_make_files, flags_about_what_is_opened, flags_about_bytes)


def flags_that_make_files(top):
    file = top / "file"
    create = os.O_CREAT | os.O_WRONLY
    yield "O_CREAT|O_EXCL makes a file", open_error(file, create | os.O_EXCL)
    yield "O_CREAT|O_EXCL refuses one that is there", open_error(file, create | os.O_EXCL)
    yield "O_CREAT alone opens it", open_error(file, create)
    os.symlink("nowhere", top / "dangling")
    yield "O_EXCL does not follow a link", open_error(top / "dangling", create | os.O_EXCL)
    yield "O_CREAT makes what a link points to", open_error(top / "dangling", create)
    yield "where it is then", (top / "nowhere").exists()
    yield "O_CREAT of a directory", open_error(top, create)
    yield "a mode without permission to write, while being made", made_read_only(top / "read-only")
    yield "O_TMPFILE", named_late(top, 0, "late")
    yield "O_TMPFILE|O_EXCL", named_late(top, os.O_EXCL, "never")
    yield "O_TMPFILE in a file", open_error(file, os.O_TMPFILE | os.O_RDWR)
    yield "O_TMPFILE for reading", open_error(top, os.O_TMPFILE | os.O_RDONLY)
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY):
        write_file(file, b"0123456789")
        yield "O_TRUNC", open_error(file, flags | os.O_TRUNC)
        yield "the size after it", file.stat().st_size


def named_late(top, flags, name):
    """A file made without a name, and what comes of giving it one."""
    descriptor = opened(top, os.O_TMPFILE | os.O_RDWR | flags, 0o640)
    if isinstance(descriptor, str):
        return descriptor
    os.write(descriptor, b"text")
    facts = os.fstat(descriptor)
    error = error_of(link_followed, f"/proc/self/fd/{descriptor}", top / name)
    os.close(descriptor)
    return facts.st_nlink, oct(facts.st_mode), error, sorted(os.listdir(top))


def made_read_only(path):
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o444)
    written = os.write(descriptor, b"text")
    os.close(descriptor)
    return written, stat.S_IMODE(path.stat().st_mode)


def flags_about_what_is_opened(top):
    write_file(top / "file", b"text")
    os.symlink("file", top / "link")
    os.mkfifo(top / "fifo")
    yield "O_DIRECTORY of a file", open_error(top / "file", os.O_RDONLY | os.O_DIRECTORY)
    yield "O_DIRECTORY of a directory", open_error(top, os.O_RDONLY | os.O_DIRECTORY)
    yield "a directory opened for writing", open_error(top, os.O_WRONLY)
    yield "O_NOFOLLOW of a link", open_error(top / "link", os.O_RDONLY | os.O_NOFOLLOW)
    yield "O_NOFOLLOW of a file", open_error(top / "file", os.O_RDONLY | os.O_NOFOLLOW)
    yield "a slash behind a file", open_error(f"{top}/file/", os.O_RDONLY)
    yield "a pipe without a reader", open_error(top / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    pipe = os.open(top / "fifo", os.O_RDWR)
    os.write(pipe, b"through")
    yield "bytes through a pipe", os.read(pipe, 100)
    yield "lseek in a pipe", error_of(os.lseek, pipe, 0, os.SEEK_SET)
    os.close(pipe)

    path = os.open(top / "link", os.O_PATH | os.O_NOFOLLOW)
    yield "O_PATH|O_NOFOLLOW refers to the link", stat.S_ISLNK(os.fstat(path).st_mode)
    yield "what the link says", os.readlink("", dir_fd=path)
    os.close(path)
    path = os.open(top / "file", os.O_PATH)
    yield "fstat of O_PATH", os.fstat(path).st_size
    for call, arguments in ((os.read, (1,)), (os.write, (b"x",)), (os.fchmod, (0o600,)), (os.ftruncate, (0,))):
        yield f"{call.__name__} of O_PATH", error_of(call, path, *arguments)
    os.close(path)
    directory = os.open(top, os.O_PATH)
    below = os.open("file", os.O_RDONLY, dir_fd=directory)
    yield "a file below an O_PATH directory", os.read(below, 100)
    os.close(below)
    os.close(directory)


def flags_about_bytes(top):
    file = top / "file"
    write_file(file, b"0123456789")
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, b"a")
    os.pwrite(descriptor, b"b", 0)
    yield "O_APPEND appends whatever the offset", file.read_bytes()
    yield "the offset after it", os.lseek(descriptor, 0, os.SEEK_CUR)
    yield "reading what was opened for writing", error_of(os.read, descriptor, 1)
    os.close(descriptor)
    descriptor = os.open(file, os.O_RDONLY | os.O_NOATIME)
    yield "writing what was opened for reading", error_of(os.write, descriptor, b"x")
    yield "ftruncate of what was opened for reading", error_of(os.ftruncate, descriptor, 0)
    yield "reading a directory", reading_a_directory(top)
    os.close(descriptor)
    for name in ("O_SYNC", "O_DSYNC"):
        descriptor = os.open(file, os.O_RDWR | getattr(os, name))
        os.pwrite(descriptor, name.encode(), 3)
        yield f"{name} shows in the flags", fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_SYNC
        yield f"bytes written with {name}", os.pread(descriptor, 100, 0)
        os.close(descriptor)
    pages = mmap.mmap(-1, 8192)
    pages[:] = bytes(range(256)) * 32
    descriptor = os.open(file, os.O_RDWR | os.O_DIRECT)
    yield "written with O_DIRECT", os.pwritev(descriptor, [pages], 4096)
    pages[:] = bytes(8192)
    yield "read with O_DIRECT", os.preadv(descriptor, [pages], 4096)
    yield "the bytes", pages[:] == bytes(range(256)) * 32
    yield "O_DIRECT beyond the end", os.preadv(descriptor, [pages], 1 << 20)
    os.close(descriptor)


def reading_a_directory(top):
    descriptor = os.open(top, os.O_RDONLY)
    try:
        return error_of(os.read, descriptor, 10)
    finally:
        os.close(descriptor)


# --- errors -----------------------------------------------------------------------------


def errors_are_those_of_a_local_disk(space):
    compare(space, errors_of_names, errors_of_directories, errors_of_links, errors_of_files,
            errors_of_running_programs, errors_of_ranges)


def errors_of_names(top):
    write_file(top / "file", b"text")
    (top / LONGEST).mkdir()
    long = top / (LONGEST + "n")
    yield "a name of 255 bytes", (top / LONGEST).is_dir()
    for call, arguments in ((os.stat, ()), (os.mkdir, ()), (os.mkfifo, ()), (os.unlink, ()), (os.rmdir, ())):
        yield f"{call.__name__} with a name of 256", error_of(call, long, *arguments)
    yield "a file with a name of 256", open_error(long, os.O_CREAT | os.O_WRONLY)
    yield "a link with a name of 256", error_of(os.link, top / "file", long)
    yield "a symlink with a name of 256", error_of(os.symlink, "file", long)
    yield "rename to a name of 256", error_of(os.rename, top / "file", long)
    yield "a path of 4,096 bytes", error_of(os.stat, "/" + "a/" * 2047 + "b")
    yield "an empty path", error_of(os.stat, "")
    yield "below a file", error_of(os.stat, top / "file/below")
    yield "below what is not there", error_of(os.mkdir, top / "absent/below")
    yield "a name of a slash and a dot", error_of(os.stat, f"{top}/file/.")
    yield "the target of a symlink of 4,095 bytes", error_of(os.symlink, "t" * 4095, top / "long-target")
    yield "and of 4,096", error_of(os.symlink, "t" * 4096, top / "longer-target")


def errors_of_directories(top):
    (top / "full/inner").mkdir(parents=True)
    (top / "empty").mkdir()
    write_file(top / "file", b"text")
    yield "rmdir of a full one", error_of(os.rmdir, top / "full")
    yield "rmdir of a file", error_of(os.rmdir, top / "file")
    yield "rmdir of dot", error_of(os.rmdir, f"{top}/empty/.")
    yield "rmdir of dot dot", error_of(os.rmdir, f"{top}/full/inner/..")
    yield "unlink of a directory", error_of(os.unlink, top / "empty") in ("EISDIR", "EPERM")
    yield "mkdir of what is there", error_of(os.mkdir, top / "file")
    yield "rename over a full one", error_of(os.rename, top / "empty", top / "full")
    yield "rename of a file over a directory", error_of(os.rename, top / "file", top / "empty")
    yield "rename of a directory over a file", error_of(os.rename, top / "empty", top / "file")
    yield "rename into itself", error_of(os.rename, top / "full", top / "full/inner/below")
    yield "rename over its own parent", error_of(os.rename, top / "full/inner", top / "full")
    yield "rename of dot", error_of(os.rename, f"{top}/empty/.", top / "other")
    yield "rename over dot dot", error_of(os.rename, top / "empty", f"{top}/full/..")
    yield "rename of a directory to itself", error_of(os.rename, top / "empty", top / "empty")
    yield "truncate of a directory", error_of(os.truncate, top / "empty", 0)
    yield "a hard link to one", error_of(os.link, top / "empty", top / "linked")
    for flags, sentence in ((NOREPLACE, "NOREPLACE"), (EXCHANGE, "EXCHANGE"), (NOREPLACE | EXCHANGE, "both")):
        yield f"renameat2 {sentence}, with a directory", error_of(rename2, top / "file", top / "full", flags)
        yield f"renameat2 {sentence}, to nothing", error_of(rename2, top / "empty", top / f"new-{flags}", flags)
        yield "the names after it", sorted(os.listdir(top))
    yield "links of the parent", top.stat().st_nlink


def errors_of_links(top):
    os.symlink("b", top / "a")
    os.symlink("a", top / "b")
    yield "a circle of links", error_of(os.stat, top / "a")
    yield "open of a circle", open_error(top / "a", os.O_RDONLY)
    write_file(top / "0", b"end")
    for number in range(41):
        os.symlink(str(number), top / str(number + 1))
    yield "forty links", error_of(os.stat, top / "40")
    yield "one more", error_of(os.stat, top / "41")
    yield "readlink of a file", error_of(os.readlink, top / "0")
    yield "an empty target", error_of(os.symlink, "", top / "empty")
    yield "a symlink over what is there", error_of(os.symlink, "x", top / "a")
    yield "a hard link over what is there", error_of(os.link, top / "0", top / "a")
    os.link(top / "a", top / "linked", follow_symlinks=False)
    yield "links of a symlink", os.lstat(top / "a").st_nlink
    yield "the length of a symlink", os.lstat(top / "41").st_size


def errors_of_files(top):
    file = top / "file"
    write_file(file, b"text")
    yield "a negative size", error_of(os.truncate, file, -1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield "truncate past RLIMIT_FSIZE", error_of(os.truncate, file, 1001)
        with open(file, "r+b", buffering=0) as written:
            written.seek(990)
            yield "a write that reaches it", written.write(bytes(20))
            yield "a write past it", error_of(written.write, b"x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with open(file, "r+b") as held:
        yield "an ioctl that no file knows", error_of(fcntl.ioctl, held, 0x5309)
        yield "a lease", error_of(fcntl.fcntl, held, fcntl.F_SETLEASE, 99)
        yield "a seek before the start", error_of(os.lseek, held.fileno(), -1, os.SEEK_SET)
        yield "SEEK_DATA past the end", error_of(os.lseek, held.fileno(), 5000, os.SEEK_DATA)
    os.chmod(file, 0o600)
    for call, arguments in ((os.truncate, (0,)), (os.chmod, (0o777,)), (os.chown, (ALICE, ALICE)), (os.utime, ())):
        yield f"{call.__name__} by somebody else", outcome_for(ALICE, call, file, *arguments)
    yield "open by somebody else", outcome_for(ALICE, os.open, file, os.O_RDONLY)
    os.chmod(top, 0o755)
    for call, arguments in ((os.unlink, (file,)), (os.mkdir, (top / "new",)), (os.rename, (file, top / "to")),
                            (os.mknod, (top / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3)))):
        yield f"{call.__name__} in somebody else's directory", outcome_for(ALICE, call, *arguments)
    os.chmod(top, 0o777)
    yield "a device made by an ordinary user", outcome_for(
        ALICE, os.mknod, top / "null", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(top / "zero", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    yield "a device's numbers", os.stat(top / "zero").st_rdev
    yield "another file system", error_of(os.rename, file, "/dev/shm/file")
    yield "a hard link to it", error_of(os.link, file, "/dev/shm/file")


def errors_of_running_programs(top):
    program = top / "program"
    shutil.copy("/bin/sleep", program)
    running = subprocess.Popen([program, "600"])
    try:
        yield "writing a program that runs", open_error(program, os.O_WRONLY)
        yield "truncating it", error_of(os.truncate, program, 0)
        os.unlink(program)
        yield "it runs on without its name", running.poll()
    finally:
        running.kill()
        running.wait()
    shutil.copy("/bin/true", program)
    with open(program, "r+b"):
        yield "running a program that is written", error_of(subprocess.run, [program])
    os.chmod(program, 0o644)
    yield "running what is no program", error_of(subprocess.run, [program])
    os.chmod(program, 0o755)
    yield "running it", subprocess.run([program], check=False).returncode


def errors_of_ranges(top):
    write_file(top / "file", bytes(100_000))
    with open(top / "file", "r+b") as one, open(top / "file", "rb") as two:
        yield "a copy of overlapping ranges", error_of(
            os.copy_file_range, one.fileno(), one.fileno(), 100, 0, 50)
        yield "a copy to what is open for reading", error_of(
            os.copy_file_range, one.fileno(), two.fileno(), 100, 0, 50_000)
        yield "a copy from past the end", os.copy_file_range(one.fileno(), one.fileno(), 100, 200_000, 0)
        yield "posix_fallocate of nothing", error_of(os.posix_fallocate, one.fileno(), 0, 0)
        yield "posix_fallocate where there is something", error_of(os.posix_fallocate, one.fileno(), 0, 10)
        yield "posix_fallocate to what is open for reading", error_of(os.posix_fallocate, two.fileno(), 0, 10)
        yield "a write of nothing", os.pwrite(one.fileno(), b"", 500_000)
    yield "the size after all that", (top / "file").stat().st_size


# --- what only FUSE refuses -------------------------------------------------------------------


def what_fuse_cannot_do_is_refused_in_its_words(space):
    with cluster_for_everybody(space, servers=1, replicas=1) as cluster:
        top = cluster.mount
        write_file(top / "file", b"text")
        write_file(top / "copy", b"")
        check_equal(error_of(rename2, top / "file", top / "gone", WHITEOUT), "EINVAL", "RENAME_WHITEOUT")
        check_equal((top / "file").read_bytes(), b"text", "the file after it")
        with open(top / "file", "rb") as source, open(top / "copy", "r+b") as target:
            check_equal(error_of(fcntl.ioctl, target, FICLONE, source.fileno()), "EOPNOTSUPP", "FICLONE")
        local = space.path("local")
        write_file(local, b"text")
        for source, target in ((top / "file", local), (local, top / "file")):
            check_equal(error_of(os.rename, source, target), "EXDEV", f"rename of {source} to {target}")
            check_equal(error_of(os.link, source, target.with_name("new")), "EXDEV", f"link of {source}")


# --- times and attributes --------------------------------------------------------------------


def times_change_when_they_do_locally(space):
    compare(space, times_of_changes, times_that_are_set)


def times_of(path):
    facts = os.lstat(path)
    return facts.st_mtime_ns, facts.st_ctime_ns


def times_of_changes(top):
    """Which of mtime and ctime move, of the file and of its directory."""
    directory = top / "directory"
    directory.mkdir()
    file = directory / "file"
    write_file(file, b"text")
    os.link(file, top / "second")
    os.symlink("file", directory / "link")
    (top / "target").mkdir()
    descriptor = os.open(file, os.O_RDWR)

    def remap():
        with mmap.mmap(descriptor, 4) as view:
            view[0:1] = b"x"
            view.flush()

    changes = [
        ("nothing", lambda: None),
        ("write", lambda: os.pwrite(descriptor, b"new", 0)),
        ("write of nothing", lambda: os.pwrite(descriptor, b"", 0)),
        ("a write through a mapping", remap),
        ("ftruncate", lambda: os.ftruncate(descriptor, 8)),
        ("ftruncate to the same size", lambda: os.ftruncate(descriptor, 8)),
        ("truncate to the same size", lambda: os.truncate(file, 8)),
        ("O_TRUNC", lambda: os.close(os.open(file, os.O_WRONLY | os.O_TRUNC))),
        ("O_TRUNC of an empty file", lambda: os.close(os.open(file, os.O_WRONLY | os.O_TRUNC))),
        ("posix_fallocate", lambda: os.posix_fallocate(descriptor, 0, 100)),
        ("open for writing", lambda: os.close(os.open(file, os.O_WRONLY))),
        ("chmod", lambda: os.chmod(file, 0o600)),
        ("chmod to the same mode", lambda: os.chmod(file, 0o600)),
        ("chown", lambda: os.chown(file, ALICE, TEAM)),
        ("chown to the same owner", lambda: os.chown(file, ALICE, TEAM)),
        ("an extended attribute", lambda: os.setxattr(file, "user.a", b"b")),
        ("its removal", lambda: os.removexattr(file, "user.a")),
        ("utimensat with UTIME_OMIT twice", lambda: set_times(file, OMIT, OMIT)),
        ("utimensat of the access time", lambda: set_times(file, NOW, OMIT)),
        ("a second link", lambda: os.link(file, directory / "third")),
        ("its removal", lambda: os.unlink(directory / "third")),
        ("a rename", lambda: os.rename(file, directory / "renamed")),
        ("and back", lambda: os.rename(directory / "renamed", file)),
        ("a rename to a link of it", lambda: os.rename(file, top / "second")),
        ("mkdir", lambda: os.mkdir(directory / "new")),
        ("rmdir", lambda: os.rmdir(directory / "new")),
        ("rmdir of a full one", lambda: error_of(os.rmdir, directory)),
        ("readlink", lambda: os.readlink(directory / "link")),
        ("a listing", lambda: os.listdir(directory)),
        ("a rename into another directory", lambda: os.rename(file, top / "target/file")),
        ("and back", lambda: os.rename(top / "target/file", file)),
        ("a rename over it", lambda: os.rename(directory / "link", file)),
    ]
    for name, change in changes:
        before = [os.fstat(descriptor), os.stat(directory), os.stat(top / "target")]
        time.sleep(0.02)  # longer than the tick of a local disk's clock
        change()
        after = [os.fstat(descriptor), os.stat(directory), os.stat(top / "target")]
        moved = [(b.st_mtime_ns < a.st_mtime_ns, b.st_ctime_ns < a.st_ctime_ns) for b, a in zip(before, after)]
        yield f"(mtime, ctime) moved of file, directory and target by {name}", moved
        yield f"links after {name}", [a.st_nlink for a in after]
    os.close(descriptor)


def set_times(path, access, modification):
    times = (ctypes.c_long * 4)(0, access, 0, modification)
    if LIBC.utimensat(AT_FDCWD, os.fsencode(path), times, 0) != 0:
        raise OSError(ctypes.get_errno(), "utimensat")


def times_that_are_set(top):
    file = top / "file"
    write_file(file, b"text")
    for nanoseconds in (0, 1, 123_456_789, 10**18 + 7, -1, -(10**18) - 3):
        os.utime(file, ns=(nanoseconds, nanoseconds + 1))
        facts = file.stat()
        yield f"times set to {nanoseconds}", (facts.st_atime_ns, facts.st_mtime_ns)
    set_times(file, OMIT, 5)
    yield "only the modification time", (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    os.symlink("file", top / "link")
    os.utime(top / "link", ns=(11, 12), follow_symlinks=False)
    yield "the times of a link", times_of(top / "link")[0]
    yield "and of its target", times_of(file)[0]
    os.utime(top, ns=(21, 22))
    yield "the times of a directory", times_of(top)[0]
    os.chmod(file, 0o666)
    yield "now, by who may write", outcome_for(ALICE, os.utime, file)
    yield "a given time, by who may write", outcome_for(ALICE, set_times, file, 1, 1)
    yield "a second of nanoseconds", error_of(set_times, file, 10**9, 0)
    with open(file, "r+b") as held:
        os.utime(held.fileno(), ns=(31, 32))
        yield "through a descriptor", times_of(file)[0]


def extended_attributes_have_the_limits_of_linux(space):
    compare(space, attributes_by_name, attributes_by_right)


def attributes_by_name(top):
    file = top / "file"
    write_file(file, b"text")
    os.symlink("file", top / "link")
    os.mkfifo(top / "fifo")
    name = "user." + "n" * 250
    yield "a name of 255 bytes", error_of(os.setxattr, file, name, b"value")
    yield "one of 256", error_of(os.setxattr, file, name + "n", b"value")
    yield "a name without a kind", error_of(os.setxattr, file, "plain", b"value")
    yield "a kind that nobody knows", error_of(os.setxattr, file, "other.name", b"value")
    yield "a kind without a name", error_of(os.setxattr, file, "user.", b"value")
    yield "an empty value", error_of(os.setxattr, file, "user.empty", b"")
    yield "what it is", os.getxattr(file, "user.empty")
    yield "more than 64 KiB", error_of(os.setxattr, file, "user.large", bytes(65_537))
    yield "XATTR_CREATE of one that is there", error_of(os.setxattr, file, name, b"x", os.XATTR_CREATE)
    yield "XATTR_REPLACE of one that is not", error_of(os.setxattr, file, "user.new", b"x", os.XATTR_REPLACE)
    yield "both", error_of(os.setxattr, file, "user.new", b"x", os.XATTR_CREATE | os.XATTR_REPLACE)
    yield "reading one that is not there", error_of(os.getxattr, file, "user.new")
    yield "removing one that is not there", error_of(os.removexattr, file, "user.new")
    buffer = ctypes.create_string_buffer(3)
    yield "a buffer that is too short", (LIBC.getxattr(os.fsencode(file), name.encode(), buffer, 3),
                                         error_name(ctypes.get_errno()))
    yield "a list in a buffer that is too short", (LIBC.listxattr(os.fsencode(file), buffer, 3),
                                                   error_name(ctypes.get_errno()))
    yield "the size of the list", LIBC.listxattr(os.fsencode(file), None, 0)
    yield "the names", sorted(os.listxattr(file))
    for kind in ("user", "trusted", "security"):
        for place in ("link", "fifo"):
            yield f"{kind}.* of a {place}", error_of(
                lambda: os.setxattr(top / place, f"{kind}.x", b"y", follow_symlinks=False))
        yield f"{kind}.* of a directory", error_of(os.setxattr, top, f"{kind}.x", b"y")
    yield "the names of the directory", sorted(os.listxattr(top))


def attributes_by_right(top):
    file = top / "file"
    write_file(file, b"text")
    os.chmod(file, 0o644)
    for kind in ("user", "trusted", "security"):
        os.setxattr(file, f"{kind}.here", b"value")
        yield f"{kind}.* read by somebody else", outcome_for(ALICE, os.getxattr, file, f"{kind}.here")
        yield f"{kind}.* set by somebody else", outcome_for(ALICE, os.setxattr, file, f"{kind}.new", b"x")
    os.chown(file, ALICE, ALICE)
    for kind in ("user", "trusted", "security"):
        yield f"{kind}.* set by the owner", outcome_for(ALICE, os.setxattr, file, f"{kind}.new", b"x")
        yield f"{kind}.* removed by the owner", outcome_for(ALICE, os.removexattr, file, f"{kind}.here")
    os.chmod(file, 0o600)
    yield "read without permission to read", outcome_for(BOB, os.getxattr, file, "user.new")
    shared = top / "sticky"
    shared.mkdir()
    os.chmod(shared, 0o1777)
    yield "user.* of somebody else's sticky directory", outcome_for(ALICE, os.setxattr, shared, "user.x", b"y")


# --- what stays -------------------------------------------------------------------------------


def facts_of_a_tree_stay_over_restarts_and_remounts(space):
    with cluster_for_everybody(space, servers=1, replicas=1) as cluster:
        top = cluster.mount
        (top / "directory").mkdir()
        write_file(top / "directory/file", bytes(70_000))
        os.truncate(top / "directory/file", 10_000_000)
        os.link(top / "directory/file", top / "hard")
        os.symlink("hard", top / "soft")
        os.mkfifo(top / "fifo", 0o640)
        os.mknod(top / "device", 0o620 | stat.S_IFBLK, os.makedev(259, 1_000_000))
        os.chmod(top / "hard", 0o6751)
        os.chown(top / "directory", ALICE, TEAM)
        os.utime(top / "hard", ns=(123_456_789_012_345_678, -987_654_321))
        for name in ("user.a", "trusted.b", "security.c"):
            os.setxattr(top / "hard", name, name.encode())

        def facts():
            paths = [top, *sorted(top.rglob("*"))]
            return [(str(path), [value for key, value in enumerate(os.lstat(path)) if key != 2],
                     os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns, os.lstat(path).st_blocks,
                     os.lstat(path).st_rdev, attributes_at(path)) for path in paths]

        before = facts()
        check_equal(before[-1][1][1], os.lstat(top / "soft").st_ino, "the last of the tree")
        cluster.restart_mounts_cold()
        check_equal(facts(), before, "the tree after a remount")
        cluster.kill("meta")
        cluster.start("meta")
        check_equal(facts(), before, "the tree after a restart of the metadata server")
        check((top / "directory/file").samefile(top / "hard"), "two names are one file")


def attributes_at(path):
    return [(name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))]
