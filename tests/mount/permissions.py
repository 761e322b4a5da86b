"""Who may do what: access control lists, groups, and rights that go with a change."""

import os

from harness import check, check_equal, error_of, run, wait_until, write_file

# Users and groups that no system has.
ALICE, BOB, CAROL = 61001, 61002, 61003
TEAM, OTHER_TEAM = 62001, 62002


def cluster_for_everybody(space, **options):
    os.chmod(space.directory, 0o755)
    return space.cluster(**options)


def outcome_for(user, call, *arguments, groups=()):
    """The errno's name that `call` fails with when `user` makes it; "" if it succeeds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups(list(groups))
            os.setgid(user)
            os.setuid(user)
            os.write(writing, (error_of(call, *arguments) or "fine").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    check(said, f"the process of user {user} ended without an answer")
    return "" if said == "fine" else said


def check_may(user, call, *arguments, groups=()):
    check_equal(outcome_for(user, call, *arguments, groups=groups), "",
                f"user {user}, {call.__name__} {arguments[0]}")


def check_may_not(user, call, *arguments, groups=(), error="EACCES"):
    check_equal(outcome_for(user, call, *arguments, groups=groups), error,
                f"user {user}, {call.__name__} {arguments[0]}")


def read(path):
    with open(path, "rb") as file:
        file.read()


def write(path):
    os.close(os.open(path, os.O_WRONLY))


def create(path, mode=0o666):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))


def list_of(path):
    """The entries as getfacl prints them."""
    text = run("getfacl", "-n", "-c", "-p", "-E", path).stdout.decode()
    return [line for line in text.splitlines() if line]


def mode_of(path):
    return oct(path.stat().st_mode & 0o7777)


def set_list(*arguments):
    run("setfacl", *arguments)


# --- access control lists ---------------------------------------------------------


def lists_let_in_whom_they_name(space):
    with cluster_for_everybody(space, servers=1, replicas=1) as cluster:
        top = cluster.mount
        os.chmod(top, 0o755)
        file = top / "file"
        write_file(file, b"text")
        os.chmod(file, 0o640)
        check_may_not(ALICE, read, file)

        set_list("-m", f"u:{ALICE}:rw,u:{BOB}:r,g:{TEAM}:r", file)
        check_equal(list_of(file), ["user::rw-", f"user:{ALICE}:rw-", f"user:{BOB}:r--", "group::r--",
                                    f"group:{TEAM}:r--", "mask::rw-", "other::---"], "the list that was set")
        check_equal(mode_of(file), "0o660", "the mode shows the mask")
        check_may(ALICE, write, file)
        check_may(BOB, read, file)
        check_may_not(BOB, write, file)
        check_may(CAROL, read, file, groups=[TEAM])
        check_may_not(CAROL, read, file, groups=[OTHER_TEAM])

        os.chmod(file, 0o640)
        check("mask::r--" in list_of(file), "chmod sets the mask")
        check_may(ALICE, read, file)
        check_may_not(ALICE, write, file)

        set_list("-x", f"u:{ALICE}", file)
        check_may_not(ALICE, read, file)
        set_list("-b", file)
        check_equal(list_of(file), ["user::rw-", "group::r--", "other::---"], "what is left of a removed list")
        check_equal(os.listxattr(file), [], "attributes of a file without a list")
        check_may_not(BOB, read, file)
        what_lists_refuse(top, file)
        lists_take_setgid_from_a_foreign_group(top)
        default_lists_are_inherited(top)


def what_lists_refuse(top, file):
    create(top / "listed")
    set_list("-m", f"u:{ALICE}:r", top / "listed")
    broken = b"\x02\0\0\0" + b"\x01\0\x07\0\xff\xff\xff\xff"
    check_equal(error_of(os.setxattr, file, "system.posix_acl_access", broken), "EINVAL", "half a list")
    many = ",".join(f"u:{70000 + number}:r" for number in range(600))
    check_equal(run("setfacl", "-m", many, file, ok=(1,)).returncode, 1, "a list that is too long")
    default = run("setfacl", "-d", "-m", f"u:{ALICE}:r", file, ok=None)
    check(default.returncode != 0, "a file takes no default list")
    check_equal(mode_of(file), "0o640", "the mode after lists that were refused")
    valid = os.getxattr(top / "listed", "system.posix_acl_access")
    check_may_not(ALICE, os.setxattr, file, "system.posix_acl_access", valid, error="EPERM")


def lists_take_setgid_from_a_foreign_group(top):
    file = top / "setgid"
    write_file(file, b"text")
    os.chown(file, ALICE, TEAM)
    os.chmod(file, 0o2755)
    check_may(ALICE, set_list, "-m", f"u:{BOB}:rx", file, groups=[TEAM])
    check_equal(mode_of(file), "0o2755", "setgid after a member of the group set a list")
    check_may(ALICE, set_list, "-m", f"u:{BOB}:r", file)
    check_equal(mode_of(file), "0o755", "setgid after somebody else set a list")


def default_lists_are_inherited(top):
    directory = top / "shared"
    directory.mkdir()
    os.chmod(directory, 0o755)
    set_list("-m", f"d:u:{ALICE}:rwx,d:g:{TEAM}:rx,d:o::-", directory)
    check_equal(mode_of(directory), "0o755", "a default list does not change the mode")
    os.umask(0o077)
    create(directory / "file")
    os.mkfifo(directory / "fifo", 0o640)
    (directory / "inner").mkdir()
    os.symlink("file", directory / "link")
    create(top / "plain")
    os.umask(0o022)
    check_equal(mode_of(top / "plain"), "0o600", "without a default list the umask decides")
    check_equal(mode_of(directory / "file"), "0o660", "with one it does not")
    check_equal(mode_of(directory / "fifo"), "0o640", "a fifo made with 0640")
    named = ["user::rwx", f"user:{ALICE}:rwx", "group::r-x", f"group:{TEAM}:r-x", "mask::rwx", "other::---"]
    check_equal(list_of(directory / "inner"), named + ["default:" + entry for entry in named],
                "what a directory inherits")
    create(directory / "inner/deep")
    check_equal(list_of(directory / "inner/deep"),
                ["user::rw-", f"user:{ALICE}:rwx", "group::r-x", f"group:{TEAM}:r-x", "mask::rw-", "other::---"],
                "what a file inherits")
    check_may(ALICE, create, directory / "inner/by-alice")
    check_may_not(BOB, os.listdir, directory / "inner")
    check_may(BOB, os.listdir, directory / "inner", groups=[TEAM])
    set_list("-k", directory)
    (directory / "after").mkdir()
    check_equal(mode_of(directory / "after"), "0o755", "once the default list is gone")


def tools_other_mounts_and_restarts_keep_lists(space):
    with cluster_for_everybody(space, servers=1, replicas=1, mounts=2) as cluster:
        here, there = cluster.mounts
        source = here / "source"
        source.mkdir()
        set_list("-m", f"u:{ALICE}:rwx,d:g:{TEAM}:rx", source)
        write_file(source / "file", b"text")
        set_list("-m", f"u:{BOB}:rw", source / "file")
        os.chown(source / "file", CAROL, CAROL)
        expected = lists_below(source)
        check(any(f"user:{BOB}:rw-" in entries for entries in expected), "the source has lists")

        run("cp", "-a", source, here / "copied")
        run("rsync", "-aAX", f"{source}/", here / "synced")
        run("tar", "--acls", "-cf", here / "tree.tar", "-C", source, ".")
        (here / "unpacked").mkdir()
        run("tar", "--acls", "-xpf", here / "tree.tar", "-C", here / "unpacked")
        for copy in ("copied", "synced", "unpacked"):
            check_equal(lists_below(here / copy), expected, f"the lists of the tree {copy}")
        again = run("rsync", "-aAX", "-n", "-i", f"{source}/", here / "copied").stdout
        check_equal(again, b"", "what rsync would still change in a copy")

        check_equal(lists_below(there / "source"), expected, "the lists on the other mount")
        check_may(BOB, write, there / "source/file", groups=[TEAM])
        set_list("-m", f"u:{BOB}:-", here / "source/file")
        wait_until(lambda: outcome_for(BOB, write, there / "source/file", groups=[TEAM]) == "EACCES",
                   "the other mount refuses what the list no longer grants", limit=10)
        expected = lists_below(source)
        cluster.kill("meta")
        cluster.start("meta")
        check_equal(lists_below(source), expected, "the lists after the metadata server was killed")
        check_may_not(BOB, write, here / "source/file", groups=[TEAM])
        wait_until(lambda: lists_below(there / "source") == expected, "the lists on the other mount", limit=10)


def lists_below(top):
    return [list_of(path) for path in (top, top / "file")]


# --- groups and rights ---------------------------------------------------------------


def groups_and_special_bits_hold(space):
    with cluster_for_everybody(space, servers=1, replicas=1) as cluster:
        top = cluster.mount
        os.chmod(top, 0o755)
        supplementary_groups_count(top)
        sticky_directories_protect_names(top)
        changes_take_rights(top)
        writes_take_capabilities(top)


def supplementary_groups_count(top):
    team = top / "team"
    team.mkdir()
    os.chown(team, 0, TEAM)
    os.chmod(team, 0o2770)
    check_may(ALICE, create, team / "file", groups=[OTHER_TEAM, TEAM])
    check_may(ALICE, os.mkdir, team / "inner", groups=[OTHER_TEAM, TEAM])
    check_may_not(BOB, os.listdir, team, groups=[OTHER_TEAM])
    check_equal((team / "file").stat().st_gid, TEAM, "the group in a setgid directory")
    inner = (team / "inner").stat()
    check_equal((inner.st_gid, inner.st_mode & 0o2000), (TEAM, 0o2000), "a directory in a setgid directory")


def sticky_directories_protect_names(top):
    shared = top / "sticky"
    shared.mkdir()
    os.chmod(shared, 0o1777)
    check_may(ALICE, create, shared / "hers")
    check_may_not(BOB, os.unlink, shared / "hers", error="EPERM")
    check_may_not(BOB, os.rename, shared / "hers", shared / "his", error="EPERM")
    check_may(ALICE, os.rename, shared / "hers", shared / "renamed")
    check_may(ALICE, os.unlink, shared / "renamed")


def changes_take_rights(top):
    changes = {
        "write": lambda path: append(path),
        "truncate": lambda path: os.truncate(path, 1),
        "open with O_TRUNC": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
    }
    for name, change in changes.items():
        path = top / "program"
        write_file(path, b"text")
        os.chmod(path, 0o6777)
        change(path)
        check_equal(mode_of(path), "0o6777", f"the mode after root's {name}")
        check_equal(outcome_for(ALICE, change, path), "", f"a user's {name}")
        check_equal(mode_of(path), "0o777", f"the mode after a user's {name}")
    os.chown(path, ALICE, ALICE)
    os.chmod(path, 0o6755)
    check_may(ALICE, os.chown, path, ALICE, TEAM, groups=[TEAM])
    check_equal(mode_of(path), "0o755", "the mode after a user's chown")


def append(path):
    with open(path, "ab") as file:
        file.write(b"more")


def writes_take_capabilities(top):
    path = top / "capable"
    write_file(path, b"text")
    for change in (append, lambda file: os.truncate(file, 1), lambda file: os.chown(file, BOB, BOB)):
        run("/usr/sbin/setcap", "cap_net_raw+ep", path)
        check_equal(os.listxattr(path), ["security.capability"], "attributes of a capable program")
        change(path)
        wait_until(lambda: os.listxattr(path) == [], "the capability is gone after a change", limit=10)
