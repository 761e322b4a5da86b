"""What reading does to access times: as relatime does on a local disk."""

import os
import re
import time

from harness import Path, check, check_equal, program, run, wait_until, write_file

DAY_NS = 24 * 3600 * 10**9


def read(path, flags=0):
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        while os.read(descriptor, 1 << 16):
            pass
    finally:
        os.close(descriptor)


def list_names(path, flags=0):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | flags)
    try:
        os.listdir(descriptor)
    finally:
        os.close(descriptor)


def atime(path):
    return os.lstat(path).st_atime_ns


def moves(path, access, *arguments):
    """Whether `access` moves the access time of `path`."""
    before = atime(path)
    access(path, *arguments)
    return atime(path) != before


def check_moves(path, access, why, *arguments):
    check(moves(path, access, *arguments), f"{why}: the access time moves")


def check_stays(path, access, why, *arguments):
    check(not moves(path, access, *arguments), f"{why}: the access time stays")


def set_times(path, atime_ns, mtime_ns):
    os.utime(path, ns=(atime_ns, mtime_ns), follow_symlinks=False)
    check_equal((atime(path), os.lstat(path).st_mtime_ns), (atime_ns, mtime_ns), "times that were set")


def await_earlier_accesses(mount, other):
    """What was noted on `mount` before has reached the servers when this has."""
    marker = f"marker-{time.monotonic_ns()}"
    write_file(mount / marker, b"text")
    read(mount / marker)
    expected = atime(mount / marker)
    wait_until(lambda: atime(other / marker) == expected, "another mount sees an access time")


def options_of(mount):
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1] == str(mount):
            return line.split()[3].split(",")
    return []


def reading_moves_access_times_as_on_a_local_disk(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        check("relatime" in options_of(cluster.mount), f"options shown: {options_of(cluster.mount)}")
        # Whatever the machine's own disk is mounted with, the mount does what relatime is.
        files_follow_the_rule(cluster.mount)
        directories_and_symlinks_follow_it_too(cluster.mount)


def files_follow_the_rule(top):
    # Of a whole page, and of less: only the former is kept by the kernel when it is written.
    for size in (4096, 10):
        file = top / f"file-{size}"
        write_file(file, b"x" * size)
        written = atime(file)
        read(file)
        wait_until(lambda: atime(file) > written, f"{size} bytes, read first: the access time moves")
        check(atime(file) > os.stat(file).st_mtime_ns, "it is later than the change")
        check_stays(file, read, "read again")
        check_stays(file, lambda path: write_file(path, b"y" * size), "written again")
        before = atime(file)
        read(file)
        wait_until(lambda: atime(file) > before, "read after that: the access time moves")
        os.chmod(file, 0o600)
        check_moves(file, read, "read after a chmod", os.O_DIRECT)
        check_stays(file, read, "read again", os.O_DIRECT)
        now = time.time_ns()
        set_times(file, now - 25 * DAY_NS // 24, now - 2 * DAY_NS)
        check_moves(file, read, "accessed more than a day ago", os.O_DIRECT)
        check(atime(file) >= now, "and to the present")


def directories_and_symlinks_follow_it_too(top):
    directory = top / "directory"
    directory.mkdir()
    write_file(directory / "one", b"")
    check_moves(directory, list_names, "listed first")
    check_stays(directory, list_names, "listed again")
    write_file(directory / "two", b"")
    check_moves(directory, list_names, "listed after a new name")
    symlink = top / "symlink"
    symlink.symlink_to("directory")
    check_moves(symlink, os.readlink, "read first")
    check_stays(symlink, os.readlink, "read again")


def access_times_reach_other_mounts_and_outlive_a_kill(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        one, two = cluster.mounts
        directory = one / "directory"
        directory.mkdir()
        write_file(directory / "file", b"text")
        (directory / "symlink").symlink_to("file")
        read(directory / "file")
        os.readlink(directory / "symlink")
        list_names(directory)
        names = ("directory", "directory/file", "directory/symlink")
        shown = {name: atime(one / name) for name in names}
        await_earlier_accesses(one, two)
        check_equal({name: atime(two / name) for name in names}, shown, "what another mount sees")

        what_is_set_stands(one, two)

        cluster.kill("meta")
        cluster.start("meta")
        for mount in (one, two):
            wait_until(lambda: {name: atime(mount / name) for name in names} == shown,
                       "access times after a kill of the metadata server")
        # What was noted and not sent when a mount ends goes with its end.
        write_file(one / "last", b"text")
        read(one / "last")
        expected = atime(one / "last")
        cluster.stop("mount1")
        check_equal(atime(two / "last"), expected, "the access time noted last by a mount that has ended")


def what_is_set_stands(one, two):
    """Though somebody had read before, and the servers have not heard of that yet."""
    for setter in (one, two):
        file = f"set-{setter.name}"
        write_file(one / file, b"text")
        atime(setter / file)
        read(one / file)
        set_times(setter / file, 12345, 67890)
        await_earlier_accesses(one, two)
        for mount in (one, two):
            check_equal(atime(mount / file), 12345, f"the access time that {setter.name} set")


def what_asks_for_no_access_times_gets_none(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        one, two = cluster.mounts
        write_file(one / "file", b"text")
        (one / "directory").mkdir()
        check_stays(one / "file", read, "opened with O_NOATIME", os.O_NOATIME)
        check_stays(one / "directory", list_names, "opened with O_NOATIME", os.O_NOATIME)

        meta = cluster.processes()["meta"]["address"]
        for option in ("noatime", "ro", "nodiratime"):
            place = space.path(option)
            place.mkdir()
            run(program("dfs-mount"), meta, place, "-o", f"{option},log_file={space.path(option + '.log')}")
            check(option in options_of(place), f"options shown: {options_of(place)}")
            check_stays(place / "directory", list_names, f"a mount with {option}")
            if option != "nodiratime":
                check_stays(place / "file", read, f"a mount with {option}")
            run("umount", place)
        await_earlier_accesses(one, two)
        check_equal(atime(two / "directory"), os.stat(two / "directory").st_mtime_ns, "what nobody listed")
        # Past the pages that the kernel may hold, which it reads without telling the mount.
        check_moves(one / "file", read, "without any of them", os.O_DIRECT)

        refused = run(program("dfs-mount"), meta, space.path("ro"), "-o", "strictatime", ok=(1,))
        check(re.search(r"^dfs-mount: .*strictatime.*relatime", refused.stderr.decode()),
              f"strictatime is refused with a reason: {refused.stderr!r}")
