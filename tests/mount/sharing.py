"""One view from every mount: what has returned on one is seen by all.

Programs on several mounts share a few names and files and write down what
they are told; dfs-history-check says whether one order of events explains it.

Each test prints its DFS_TEST_SEED. DFS_SHARING_ROUNDS=100 does it so often, each
time with the next seed; DFS_SHARING_SECONDS is how long one round works;
DFS_SHARING_KEEP names a directory for the history of a failure.
"""

import ctypes
import functools
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time

from harness import Failed, check, check_equal, drop_caches, error_of, program, run, wait_until
from sharing_agents import AppendAgent, BlockAgent, LockFileAgent, NameAgent, ReplaceAgent
from stress import in_processes

SECONDS = float(os.environ.get("DFS_SHARING_SECONDS", 3))
LOOKS = ("lookup", "lookup", "list")


def rounds(name):
    """(number, dice) of each round; its seed alone repeats it."""
    first = int(os.environ.get("DFS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    for number in range(int(os.environ.get("DFS_SHARING_ROUNDS", 1))):
        print(f"{name}: DFS_TEST_SEED={first + number}", flush=True)
        yield number, random.Random(first + number)


def judge(history):
    """Linux shows what is written before the file system has heard of it: tests/history/early_reads.h."""
    done = run(program("dfs-history-check"), "--without-early-reads", history, ok=None)
    if done.returncode == 0:
        print(done.stdout.decode(), end="", flush=True)
        return
    if keep := os.environ.get("DFS_SHARING_KEEP"):
        shutil.copy(history, keep)
    raise Failed(f"no order of events explains what the programs were told:\n{(done.stdout + done.stderr).decode()}")


def share(space, name, mounts, makers):
    """Has agents work beside each other and judges what they were told; `makers`
    make an agent each, the first one on the first mount, and so on around."""
    with space.cluster(servers=1, replicas=1, mounts=mounts) as cluster:
        for number, dice in rounds(name):
            tops = [mount / f"round-{number}" for mount in cluster.mounts]
            tops[0].mkdir()
            getattr(makers[0], "func", makers[0]).prepare(tops[0])
            history = space.path(f"history-{number}.jsonl")
            agents = [maker(place % mounts, place + 1, tops[place % mounts], random.Random(dice.randrange(1 << 32)))
                      for place, maker in enumerate(makers)]
            start = time.monotonic() + 0.3
            in_processes([functools.partial(agent.work, start, SECONDS, history) for agent in agents])
            judge(history)
            yield tops


def finish(sharing):
    for _ in sharing:
        pass


# --- the contents of files -----------------------------------------------------------


def blocks(space, name, *ways, mounts=3):
    finish(share(space, name, mounts, [functools.partial(BlockAgent, ways=ways, mounts=mounts)] * (2 * mounts)))


def a_block_is_what_was_written_last_on_any_mount(space):
    blocks(space, "blocks", "kept")


def a_file_opened_anew_has_what_was_written_last_on_any_mount(space):
    blocks(space, "blocks of files opened anew", "anew")


def reads_past_the_cache_see_what_was_written_last_on_any_mount(space):
    blocks(space, "blocks read past the cache", "direct", "kept", mounts=2)


def mapped_pages_are_what_was_written_last_on_any_mount(space):
    blocks(space, "mapped blocks", "mapped", "kept", mounts=2)


def a_file_that_is_replaced_is_always_there_and_whole(space):
    finish(share(space, "replacing", 3, [ReplaceAgent] * 6))


def appends_of_several_mounts_are_all_there_once_and_whole(space):
    finish(share(space, "appends", 3, [functools.partial(AppendAgent, appends=True, follows=False)] * 4))


def who_follows_a_file_sees_what_has_been_appended(space):
    appending = functools.partial(AppendAgent, appends=True, follows=True)
    following = functools.partial(AppendAgent, appends=False, follows=True)
    finish(share(space, "following", 2, [appending, following, following, following]))


def an_open_file_that_another_mount_removes_goes_on(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        for number, dice in rounds("open files"):
            top = f"round-{number}"
            (cluster.mount / top).mkdir()
            for turn in range(30):
                here, there = (cluster.mounts[(turn + side) % 2] / top / f"file-{turn % 3}" for side in (0, 1))
                check(not there.exists(), "a file of before is gone")
                written = dice.randbytes(dice.randrange(1, 200_000))
                descriptor = os.open(here, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
                os.pwrite(descriptor, written, 0)
                if dice.random() < 0.5:
                    os.fsync(descriptor)
                if dice.random() < 0.5:
                    there.with_name("another").write_bytes(b"another")
                    os.rename(there.with_name("another"), there)
                os.unlink(there)
                check_equal(error_of(os.stat, here), "ENOENT", "the name that the other mount has removed")
                check_equal(os.fstat(descriptor).st_nlink, 0, "the links of what is open")
                os.pwrite(descriptor, b"more", len(written))
                if dice.random() < 0.3:
                    drop_caches()
                check(os.pread(descriptor, 1 << 20, 0) == written + b"more", "the bytes of what is open are wrong")
                os.close(descriptor)
        wait_until(lambda: cluster.status()["chunk_bytes"] == 0, "the space of all files is given back", limit=60)


# --- names ---------------------------------------------------------------------------------


def names(space, name, *changes):
    finish(share(space, name, 3, [functools.partial(NameAgent, kinds=changes + LOOKS)] * 6))


def names_made_and_removed_on_any_mount_are_seen_by_all(space):
    names(space, "names", "create", "create", "unlink")


def names_moved_on_any_mount_are_seen_by_all(space):
    names(space, "moving", "create", "create", "unlink", "rename", "rename")


def a_name_made_exclusively_is_a_lock_between_mounts(space):
    for tops in share(space, "lock files", 2, [LockFileAgent] * 4):
        check_equal(*[(top / "counter").read_bytes() for top in tops], "the counter on both mounts")


def what_is_absent_here_and_made_there_is_seen_at_once(space):
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        for number, dice in rounds("absent names"):
            tops = [mount / f"round-{number}" for mount in cluster.mounts]
            tops[0].mkdir()
            for _ in range(150):
                here, there = dice.sample(tops, 2)
                name = f"name-{dice.randrange(3)}"
                check_equal(error_of(os.stat, here / name), "ENOENT", "a name that is not there")
                check_equal(os.listdir(here), [], "the names of an empty directory")
                dice.choice((os.mkdir, os.mknod, functools.partial(os.symlink, "target")))(there / name)
                facts = os.lstat(here / name)
                check_equal(facts.st_ino, os.lstat(there / name).st_ino, "the inode on both mounts")
                check_equal(os.listdir(here), [name], "the names")
                (os.rmdir if stat.S_ISDIR(facts.st_mode) else os.unlink)(here / name)
                check_equal(error_of(os.lstat, there / name), "ENOENT", "a name that is gone")


def names_through(descriptor):
    """Of an open directory, and nothing else is asked that might tell the kernel of changes."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.lseek(descriptor, 0, os.SEEK_SET)
    names, buffer = [], ctypes.create_string_buffer(1 << 15)
    while (count := libc.getdents64(descriptor, buffer, len(buffer))) > 0:
        at = 0
        while at < count:
            length = int.from_bytes(buffer.raw[at + 16:at + 18], sys.byteorder)
            names.append(buffer.raw[at + 19:at + length].split(b"\0", 1)[0].decode())
            at += length
    check_equal(count, 0, "the end of a listing")
    return [name for name in names if name not in (".", "..")]


def a_listing_that_the_kernel_keeps_follows_other_mounts(space):
    """Through descriptors that stay open, and ones that are opened for it."""
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        for number, dice in rounds("kept listings"):
            tops = [mount / f"round-{number}" for mount in cluster.mounts]
            tops[0].mkdir()
            names = {f"name-{place:04}" for place in range(dice.randrange(400))}
            for name in names:
                (dice.choice(tops) / name).touch()
            opened = [os.open(top, os.O_RDONLY | os.O_DIRECTORY) for top in tops]
            ways = [functools.partial(os.listdir, top) for top in tops]
            ways += [functools.partial(names_through, descriptor) for descriptor in opened]
            for turn in range(100):
                for way in dice.choices(ways, k=3):
                    check_equal(sorted(way()), sorted(names), f"turn {turn}: the names")
                changed, name = dice.choice(tops), f"name-{dice.randrange(500):04}"
                (os.unlink if name in names else os.mknod)(changed / name)
                names ^= {name}
            for descriptor in opened:
                os.close(descriptor)


def what_is_changed_there_is_seen_here_at_once(space):
    """Attributes, sizes, links, extended attributes: each looked at, changed there, looked at again."""
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        for number, dice in rounds("changes"):
            paths = [mount / f"file-{number}" for mount in cluster.mounts]
            paths[0].write_bytes(b"")
            os.link(paths[0], paths[0].with_name(f"link-{number}"))
            other_names = [path.with_name(f"link-{number}") for path in paths]
            for turn in range(150):
                here = dice.randrange(2)
                path, there = paths[here], paths[1 - here]
                before = path.stat()
                size, mode, time_ns = dice.randrange(100_000), dice.randrange(0o1000) | 0o600, dice.randrange(1 << 60)
                what, change, look, expected = dice.choice((
                    ("mode", lambda: os.chmod(there, mode), lambda: stat.S_IMODE(path.stat().st_mode), mode),
                    ("owner", lambda: os.chown(there, turn, turn), lambda: path.stat().st_uid, turn),
                    ("mtime", lambda: os.utime(there, ns=(1, time_ns)), lambda: path.stat().st_mtime_ns, time_ns),
                    ("size", lambda: os.truncate(there, size), lambda: path.stat().st_size, size),
                    ("size through the other name", lambda: os.truncate(other_names[1 - here], size),
                     lambda: other_names[here].stat().st_size, size),
                    ("bytes", lambda: there.write_bytes(b"%d" % turn), path.read_bytes, b"%d" % turn),
                    ("extended attribute", lambda: os.setxattr(there, "user.turn", b"%d" % turn),
                     lambda: os.getxattr(path, "user.turn"), b"%d" % turn),
                    ("size of what is written", lambda: append_to(there, b"more"), lambda: path.stat().st_size,
                     before.st_size + 4)))
                change()
                check_equal(look(), expected, f"turn {turn}: the {what} that the other mount has set")


def append_to(path, data):
    with open(path, "ab") as file:
        file.write(data)


# --- programs that live by lock files ---------------------------------------------------


def git(top, *arguments, ok=(0,), index="index"):
    """In the repository `top`; what it prints."""
    settings = {"GIT_INDEX_FILE": str(top / ".git" / index)}
    done = run("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "gc.auto=0", "-C", top,
               *arguments, env={**os.environ, **settings}, ok=ok)
    return done.stdout.decode().strip() if ok else done


def beside_each_other(work, count):
    """Runs work(0), work(1), ... at the same time; fails if one does."""
    problems = []

    def guarded(number):
        try:
            work(number)
        except (Failed, OSError, sqlite3.Error, subprocess.SubprocessError) as problem:
            problems.append(f"{type(problem).__name__}: {problem}")

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not problems, "\n".join(problems))


def git_on_two_mounts_loses_no_commit(space):
    """Both add files to one branch, each with an index of its own: git's "add" and "commit" read the
    index before they lock it, so that two of them on one index lose files on any file system."""
    turns = 8
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        tops = [mount / "repository" for mount in cluster.mounts]
        tops[0].mkdir()
        git(tops[0], "init", "-q", "-b", "main")
        git(tops[0], "commit", "-q", "--allow-empty", "-m", "the first")

        def commit(top, name, index):
            """False if the other was quicker."""
            tip = git(top, "rev-parse", "main")
            git(top, "read-tree", tip, index=index)
            git(top, "add", name, index=index)
            tree = git(top, "write-tree", index=index)
            made = git(top, "commit-tree", "-p", tip, "-m", name, tree)
            done = git(top, "update-ref", "refs/heads/main", made, tip, ok=None)
            check(done.returncode == 0 or b"cannot lock ref" in done.stderr, f"git says: {done.stderr}")
            return done.returncode == 0

        def work(number):
            for turn in range(turns):
                name = f"file-{number}-{turn}"
                (tops[number] / name).write_text(f"{number} {turn}\n")
                wait_until(lambda: commit(tops[number], name, f"index-{number}"), "the commit", limit=60, pause=0.01)

        beside_each_other(work, 2)
        expected = sorted(f"file-{number}-{turn}" for number in (0, 1) for turn in range(turns))
        for top in tops:
            git(top, "fsck", "--strict", "--no-dangling")
            check_equal(git(top, "ls-tree", "--name-only", "main").split(), expected, "files in main")
            check_equal(sorted(git(top, "log", "--format=%s", "main").split("\n")), expected + ["the first"], "commits")


def sqlite_with_lock_files_on_two_mounts_loses_no_transaction(space):
    turns = 25
    with space.cluster(servers=1, replicas=1, mounts=2) as cluster:
        def database(number):
            path = cluster.mounts[number] / "shared.db"
            return sqlite3.connect(f"file:{path}?vfs=unix-dotfile", uri=True, timeout=60, isolation_level=None)

        def work(number):
            connection = database(number)
            for turn in range(turns):
                connection.execute("begin immediate")
                connection.execute("update sum set total = total + 1")
                connection.execute("insert into rows values (?, ?)", (number, turn))
                connection.execute("commit")
            connection.close()

        first = database(0)
        first.executescript("create table rows (mount int, turn int); create table sum (total int);"
                            "insert into sum values (0);")
        first.close()
        beside_each_other(work, 2)
        for number in (0, 1):
            connection = database(number)
            check_equal(connection.execute("pragma integrity_check").fetchall(), [("ok",)], "the database")
            check_equal(connection.execute("select total from sum").fetchall(), [(2 * turns,)], "the sum")
            check_equal(connection.execute("select count(*) from rows").fetchall(), [(2 * turns,)], "the rows")
            connection.close()
