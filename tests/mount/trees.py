"""Whole trees through a mount: copied, packed, listed, removed."""

import hashlib
import json
import os

from harness import (GIB, KIB, MIB, check, check_equal, check_same_trees, error_of, make_tree, program,
                     run, seeded, wait_until, write_file)


def rsync_copies_six_thousand_files_and_then_has_nothing_to_do(space):
    source = make_tree(space.path("source"), 6000, seeded("rsync"))
    with space.cluster() as cluster:
        target = cluster.mount / "copy"
        command = ["rsync", "-aH", "--itemize-changes", f"{source}/", f"{target}/"]
        first = run(*command, timeout=240).stdout.splitlines()
        check(len(first) > 6000, f"rsync reported {len(first)} changes for 6,000 files")

        second = run(*command).stdout
        check_equal(second, b"", "what rsync still has to do")

        cluster.restart_mounts_cold()
        third = run(*command, "--checksum").stdout
        check_equal(third, b"", "what rsync --checksum still has to do after a restart")


def tar_packs_and_unpacks_a_tree_without_a_difference(space):
    source = make_tree(space.path("source"), 2000, seeded("tar"))
    with space.cluster() as cluster:
        archive = cluster.mount / "tree.tar"
        unpacked = cluster.mount / "unpacked"
        unpacked.mkdir()
        run("tar", "-C", source, "-cf", archive, ".")
        run("tar", "-C", unpacked, "-xpf", archive)
        check_same_trees(source, unpacked)

        cluster.restart_mounts_cold()
        check_same_trees(source, unpacked)
        run("tar", "-C", unpacked, "-cf", space.path("again.tar"), ".")
        run("tar", "-C", source, "--compare", "-f", space.path("again.tar"))
        run("rm", "-r", unpacked)
        check_equal(os.listdir(cluster.mount), ["tree.tar"], "what is left after rm -r")


def a_sparse_file_keeps_its_holes(space):
    generator = seeded("sparse")
    source = space.path("sparse")
    with open(source, "wb") as file:
        for offset in (0, 5 * MIB + 12345, 100 * MIB, 1 * GIB):
            file.seek(offset)
            file.write(generator.randbytes(200 * KIB))
        file.truncate(2 * GIB + 17)
    with space.cluster(servers=1, replicas=1) as cluster:
        target = cluster.mount / "sparse"
        run("cp", "--sparse=always", source, target)
        cluster.restart_mounts_cold()
        run("cmp", source, target)
        facts = target.stat()
        check_equal(facts.st_size, 2 * GIB + 17, "the size of the copy")
        check(facts.st_blocks * 512 < 20 * MIB,
              f"2 GiB with 800 KiB of data occupy {facts.st_blocks * 512} bytes")
        with open(target, "rb") as file:
            data = os.lseek(file.fileno(), 200 * MIB, os.SEEK_DATA)
            check(1 * GIB - 8 * MIB <= data <= 1 * GIB, f"data after 200 MiB starts at {data}")
            hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
            check(200 * KIB <= hole < 5 * MIB, f"the first hole is at {hole}")
        back = space.path("back")
        run("cp", "--sparse=auto", target, back)
        run("cmp", source, back)


def a_directory_of_100_000_entries_is_listed_and_removed(space):
    count = 100_000
    with space.cluster(servers=1, replicas=1) as cluster:
        directory = cluster.mount / "many"
        directory.mkdir()
        for number in range(count):
            os.close(os.open(directory / f"entry-{number:06d}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        expected = {f"entry-{number:06d}" for number in range(count)}
        check(set(os.listdir(directory)) == expected, "not every entry was listed")

        cluster.restart_mounts_cold()
        listed = os.listdir(directory)
        check_equal(len(listed), count, "entries listed after a restart")
        check(set(listed) == expected, "not every entry was listed after a restart")
        check_equal(error_of(os.rmdir, directory), "ENOTEMPTY", "rmdir of a full directory")
        run("rm", "-r", directory, timeout=400)
        check_equal(os.listdir(cluster.mount), [], "what is left after rm -r")


def odd_names_work_and_too_long_ones_are_refused(space):
    umlauts = "\u00e4" * 127 + "x"  # 255 bytes of UTF-8
    names = ["with space", " leading and trailing ", "line\nfeed", "tab\tand\\backslash", "-rf",
             "'quotes\"", "*?[a-z]", "\U0001f600", umlauts, "a" * 255, "...", "#$%&;|<>"]
    raw_names = [os.fsencode(name) for name in names] + [b"not utf-8 \xff\xfe", b"\x01\x02\x7f"]
    with space.cluster(servers=1, replicas=1) as cluster:
        top = os.fsencode(cluster.mount)
        for name in raw_names:
            path = os.path.join(top, name)
            write_file(path, name)
            os.mkdir(os.path.join(top, b"dir")) if not os.path.isdir(os.path.join(top, b"dir")) else None
            os.symlink(name, os.path.join(top, b"dir", name))
        cluster.restart_mounts_cold()
        check_equal(sorted(os.listdir(top)), sorted(raw_names + [b"dir"]), "the names listed")
        for name in raw_names:
            with open(os.path.join(top, name), "rb") as file:
                check_equal(file.read(), name, "what a file holds")
            check_equal(os.readlink(os.path.join(top, b"dir", name)), name, "where a link leads")
            moved = os.path.join(top, b"dir", name[:-1] + b"~")
            os.rename(os.path.join(top, name), moved)
            os.unlink(moved)

        check_equal(error_of(os.mkdir, os.path.join(top, b"a" * 256)), "ENAMETOOLONG", "a name of 256 bytes")
        check_equal(error_of(os.stat, os.path.join(top, b"a" * 256)), "ENAMETOOLONG", "a name of 256 bytes")
        deep = os.path.join(top, *[b"d" * 200] * 25)
        check_equal(error_of(os.stat, deep), "ENAMETOOLONG", "a path of 5,000 bytes")
        refused = cluster.dfs("stat", "/" + "d/" * 3000, ok=(1,)).stderr
        check(b"name_too_long" in refused and refused.count(b"\n") == 1, f"dfs stat said {refused!r}")
        check_equal(error_of(os.symlink, b"x" * 4096, os.path.join(top, b"link")), "ENAMETOOLONG",
                    "a link to 4,096 bytes")


def a_path_deeper_than_path_max_is_walked_step_by_step(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        name = "d" * 200
        descriptor = os.open(cluster.mount, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(30):  # 6,000 bytes of path
            os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        file = os.open("bottom", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=descriptor)
        os.write(file, b"deep")
        os.close(file)
        check_equal(os.listdir(descriptor), ["bottom"], "the deepest directory")
        os.close(descriptor)
        run("rm", "-r", cluster.mount / name)


def the_command_line_copies_trees_without_a_mount(space):
    source = make_tree(space.path("source"), 500, seeded("put"))
    big = os.urandom(20 * MIB + 5)
    (source / "big").write_bytes(big)
    with space.cluster() as cluster:
        cluster.dfs("mkdir", "-p", "/from/cli")
        cluster.dfs("put", "-rp", source, "/from/cli")
        check_same_trees(source, cluster.mount / "from/cli/source")
        cluster.dfs("get", "-rp", "/from/cli/source", space.path("back"))
        check_same_trees(source, space.path("back"))

        cluster.dfs("put", "-", "/from/stdin", stdin=big)
        check_equal(hashlib.sha256(cluster.dfs("get", "/from/stdin", "-").stdout).digest(),
                    hashlib.sha256(big).digest(), "what came back through stdout")
        names = cluster.dfs("ls", "/from").stdout.split()
        check_equal(names, [b"cli", b"stdin"], "dfs ls")
        check(str(len(big)).encode() in cluster.dfs("size", "/from/stdin").stdout, "dfs size")
        located = cluster.dfs("locate", "/from/stdin").stdout.decode()
        check(located.count("127.0.0.1:") >= 9, f"3 chunks on 3 servers each:\n{located}")

        cluster.dfs("rm", "-r", "/from")
        check_equal(cluster.dfs("ls", "/").stdout, b"", "dfs ls of an empty root")
        cluster.dfs("rm", "/from", ok=(1,))
        cluster.dfs("rm", "-f", "/from")
        for wrong in (["get", "/nothing", "-"], ["ls", "/nothing"], ["put", "/no/such/file", "/x"],
                      ["mkdir", "/a/b"], ["stat", "/nothing"], ["locate", "/"]):
            complaint = cluster.dfs(*wrong, ok=(1,)).stderr
            check(complaint.startswith(b"dfs: ") and complaint.count(b"\n") == 1,
                  f"dfs {wrong} said {complaint!r}")


def a_policy_holds_for_what_is_made_below_its_directory(space):
    def copies_and_lengths(path):
        extents = json.loads(cluster.dfs("locate", "--json", path).stdout)["extents"]
        return {len(extent["servers"]) for extent in extents}, {extent["length"] for extent in extents}

    def policy(*arguments):
        return json.loads(cluster.dfs("policy", *arguments, "--json").stdout)

    with space.cluster(servers=2, replicas=2, chunk_size="2MiB") as cluster:
        inherited = {"path": "/dir", "replicas": 2, "chunk_size": 2 * MIB, "own_replicas": None, "own_chunk_size": None}
        (cluster.mount / "dir").mkdir()
        write_file(cluster.mount / "dir/before", os.urandom(4 * MIB), sync=True)
        check_equal(policy("get", "/dir"), inherited, "the policy of a new directory")

        said = {**inherited, "replicas": 1, "own_replicas": 1}
        check_equal(policy("set", "/dir", "--replicas", "1"), said, "the policy that was set")
        said = {**said, "chunk_size": MIB, "own_chunk_size": MIB}
        check_equal(policy("set", "/dir", "--chunk-size", "1MiB"), said, "the policy after its other half was set")
        (cluster.mount / "dir/below").mkdir()
        for name in ("dir/new", "dir/below/new"):
            write_file(cluster.mount / name, os.urandom(4 * MIB), sync=True)
            check_equal(copies_and_lengths(f"/{name}"), ({1}, {MIB}), f"copies and chunks of {name}")
        wait_until(lambda: copies_and_lengths("/dir/before") == ({1}, {2 * MIB}),
                   "an older file has as many copies, and its chunks are as long as they were")
        lines = cluster.dfs("policy", "get", "/dir/below").stdout.decode()
        check("1 (inherited)" in lines and "1 MiB (inherited)" in lines, f"dfs policy get printed {lines}")

        check_equal(policy("set", "/dir", "--replicas", "0", "--chunk-size", "0"), inherited, "the policy taken back")
        for wrong in (["/dir"], ["/dir", "--replicas", "3"], ["/dir", "--chunk-size", "100000"],
                      ["/nothing", "--replicas", "1"]):
            complaint = cluster.dfs("policy", "set", *wrong, ok=(1,)).stderr
            check(complaint.startswith(b"dfs: ") and complaint.count(b"\n") == 1,
                  f"dfs policy set {wrong} said {complaint!r}")
        run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("dfs"), "policy", "set", "/dir",
            "--replicas", "1", "--meta", cluster.processes()["meta"]["address"], ok=(1,))
        check_equal(policy("get", "/dir"), inherited, "the policy after what was refused")
