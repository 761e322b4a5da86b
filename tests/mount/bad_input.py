"""Wrong command lines and configurations: one clear line, an exit code that is
not 0, and nothing changed, running or mounted."""

import contextlib
import os
import re
import socket
import subprocess

from harness import (Failed, check, check_equal, mounts_below, processes_about, program, run, write_file)


# A log that goes to the terminal tells of each step too; that is no complaint.
LOG_OF_A_STEP = re.compile(r"^\d{4}-\d\d-\d\dT\S+ \S+ (debug|info) .*\n", re.MULTILINE)


def check_refused(argv, pattern, limit=30, prefix=()):
    """Ends by itself, not with 0, with exactly one line of complaint on stderr, which matches."""
    words = [*prefix, program(argv[0]), *[str(word) for word in argv[1:]]]
    shown = " ".join(word if len(word) < 80 else word[:77] + "..." for word in words)
    try:
        done = subprocess.run(words, capture_output=True, timeout=limit, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as late:
        raise Failed(f"{shown} was not refused: it still runs after {limit} s") from late
    said = LOG_OF_A_STEP.sub("", done.stderr.decode(errors="replace"))
    check(done.returncode > 0, f"{shown} ended with {done.returncode} and said {said!r}")
    check(said.count("\n") == 1 and said.endswith("\n"), f"{shown} did not say one line: {said!r}")
    check(re.search(pattern, said), f"{shown} said {said!r}, expected something like {pattern!r}")
    check_equal(done.stdout, b"", f"what {shown} printed on stdout")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wrong_command_lines_of_the_servers_get_one_line(space):
    def meta(*options):
        return ["dfs-meta", "--data", space.path("meta"), "--listen", "127.0.0.1:0", *options]

    def storage(*options):
        return ["dfs-storage", "--data", space.path("storage"), "--listen", "127.0.0.1:0",
                "--meta", "127.0.0.1:1", *options]

    config = space.path("config.toml")
    for make in (meta, storage):
        check_refused(make("--frobnicate"), r"frobnicate")
        check_refused(make("--log-level", "loud"), r"loud")
        check_refused(make("--config", space.path("none.toml")), r"none\.toml")
        check_refused(make("--metrics", "nowhere"), r"nowhere")
        check_refused(make("surplus"), r"surplus")
        config.write_text("colour = 'blue'\n")
        check_refused(make("--config", config), r"config\.toml.*colour|colour.*config\.toml")
        config.write_text("listen = \n")
        check_refused(make("--config", config), r"config\.toml.*1")
        config.write_text("[table]\nx = 1\n")
        check_refused(make("--config", config), r"table")

    for program_name in ("dfs-meta", "dfs-storage"):
        check_refused([program_name], r"--data|--meta|required")
        for address in ("nonsense", "127.0.0.1:99999", "127.0.0.1:-1", ":", "256.0.0.1:80"):
            extra = ["--meta", "127.0.0.1:1"] if program_name == "dfs-storage" else []
            check_refused([program_name, "--data", space.path(program_name), "--listen", address, *extra],
                          re.escape(address))

    for option, value in (("--replicas", "0"), ("--replicas", "1000"), ("--replicas", "many"),
                          ("--chunk-size", "banana"), ("--chunk-size", "1GiB"), ("--chunk-size", "1"),
                          ("--chunk-size", "-5")):
        check_refused(meta(option, value), option.strip("-").replace("-", ".") + "|" + re.escape(value))
    for value in ("banana", "-1"):
        check_refused(meta("--reserve", value), re.escape(value))
    check_refused(meta("--reserve", "0"), r"reserve.* 0\b")
    for option, value in (("--reserve", "banana"), ("--reserve", "-1"), ("--label", "no-equals-sign")):
        check_refused(storage(option, value), re.escape(value))
    check_refused(["dfs-storage", "--data", space.path("storage"), "--listen", "127.0.0.1:0", "--meta", "nonsense"],
                  r"nonsense")

    write_file(space.path("file"), b"not a directory")
    for program_name, extra in (("dfs-meta", []), ("dfs-storage", ["--meta", "127.0.0.1:1"])):
        check_refused([program_name, "--data", space.path("file"), "--listen", "127.0.0.1:0", *extra],
                      r"file.*([Nn]ot a directory|File exists)|([Nn]ot a directory).*file")
        check_refused([program_name, "--data", space.path("file") / "below", "--listen", "127.0.0.1:0", *extra],
                      r"[Nn]ot a directory")
        check_refused([program_name, "--data", "/proc/nowhere", "--listen", "127.0.0.1:0", *extra],
                      r"/proc/nowhere")
    check_equal(space.path("file").read_bytes(), b"not a directory", "the file that was named as a directory")
    check_equal(processes_about(space.directory), {}, "processes that are left")


def ports_and_directories_in_use_are_refused(space):
    with space.cluster(servers=2, replicas=1) as cluster, \
            space.cluster("other", servers=1, replicas=1, mounts=0) as other:
        processes = cluster.processes()
        meta, storage = processes["meta"]["address"], processes["storage1"]["address"]
        other_meta = other.processes()["meta"]["address"]
        before = {name: process["pid"] for name, process in processes.items()}

        for address in (meta, storage):
            check_refused(["dfs-meta", "--data", space.path("new-meta"), "--listen", address], re.escape(address))
            check_refused(["dfs-storage", "--data", space.path("new-storage"), "--listen", address, "--meta", meta],
                          re.escape(address))
        check_refused(["dfs-meta", "--data", space.path("new-meta"), "--listen", "127.0.0.1:0",
                       "--metrics", meta], re.escape(meta))

        own = cluster.directory
        check_refused(["dfs-meta", "--data", own / "meta", "--listen", "127.0.0.1:0"], r"/meta.*(use|process)")
        check_refused(["dfs-storage", "--data", own / "storage1", "--listen", "127.0.0.1:0", "--meta", meta],
                      r"/storage1.*(use|process)")

        # Data of one cluster, metadata server of another.
        other.stop("storage1")
        check_refused(["dfs-storage", "--data", other.directory / "storage1", "--listen", "127.0.0.1:0",
                       "--meta", meta], r"cluster")
        other.start("storage1")
        # A metadata server's directory is no storage server's, and the other way round.
        other.stop("meta")
        check_refused(["dfs-storage", "--data", other.directory / "meta", "--listen", "127.0.0.1:0",
                       "--meta", meta], r"meta")
        other.start("meta")
        other.stop("storage1")
        check_refused(["dfs-meta", "--data", other.directory / "storage1", "--listen", "127.0.0.1:0"], r"storage")
        other.start("storage1")

        after = {name: process["pid"] for name, process in cluster.processes().items()}
        check_equal(after, before, "the processes of the cluster")
        cluster.check_all_alive()
        write_file(cluster.mount / "works", b"still", sync=True)
        check(other_meta in other.dfs("status").stdout.decode(), "the other cluster answers")


def wrong_mounts_are_refused(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        meta = cluster.processes()["meta"]["address"]
        mounts_before = mounts_below(space.directory)
        place = space.path("place")
        place.mkdir()
        nobody = f"127.0.0.1:{free_port()}"
        write_file(space.path("file"), b"")

        check_refused(["dfs-mount", meta, space.path("missing")], r"missing")
        check_refused(["dfs-mount", meta, space.path("file")], r"file.*[Nn]ot a directory|[Nn]ot a directory.*file")
        check_refused(["dfs-mount", meta, cluster.mount], re.escape(str(cluster.mount)))
        check_refused(["dfs-mount", meta, "/" + "x" * 300], r"[Ff]ile name too long|too long")
        check_refused(["dfs-mount", meta, "/" + "x/" * 3000], r"too long|No such file")
        check_refused(["dfs-mount", nobody, place], re.escape(nobody))
        check_refused(["dfs-mount", cluster.processes()["storage1"]["address"], place], r"127\.0\.0\.1")
        check_refused(["dfs-mount", "nonsense", place], r"nonsense")
        check_refused(["dfs-mount", meta], r"MOUNTPOINT|required|mount")
        check_refused(["dfs-mount", meta, place, "-o", "frobnicate"], r"frobnicate")
        check_refused(["dfs-mount", meta, place, "--frobnicate"], r"frobnicate")
        check_refused(["dfs-mount", meta, place, "--config", space.path("none.toml")], r"none\.toml")
        config = space.path("config.toml")
        config.write_text("colour = 1\n")
        check_refused(["dfs-mount", meta, place, "--config", config], r"colour")

        # A directory that this user must not mount on.
        space.directory.chmod(0o755)
        check_refused(["dfs-mount", meta, place], r"place|permi", prefix=(
            "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))

        check_equal(mounts_below(space.directory), mounts_before, "the mounts")
        check_equal(sorted(os.listdir(place)), [], "the mount point")
        pids = {process["pid"] for process in cluster.processes().values()} | {cluster.worker()}
        check_equal(set(processes_about(space.directory)) - pids, set(), "processes that are left")


@contextlib.contextmanager
def other_version(*role):
    """A peer that speaks the next version of the protocol; where it listens."""
    with subprocess.Popen([program("dfs-other-version"), *role], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as peer:
        try:
            address = peer.stdout.readline().decode().strip()
            check(address, f"dfs-other-version {role} does not start")
            yield address
        finally:
            peer.stdin.close()


@contextlib.contextmanager
def meta_server(data):
    """A metadata server without storage servers; where it listens."""
    address = f"127.0.0.1:{free_port()}"
    reader, writer = os.pipe()
    with subprocess.Popen([program("dfs-meta"), "--data", data, "--listen", address, "--replicas", "1",
                           "--ready-fd", str(writer)], pass_fds=[writer], stderr=subprocess.DEVNULL) as server:
        os.close(writer)
        try:
            check_equal(os.read(reader, 100), b"ready\n", "what dfs-meta says when it is ready")
            yield address
        finally:
            os.close(reader)
            server.terminate()


def peers_of_another_version_are_refused(space):
    place = space.path("place")
    place.mkdir()
    both = r"version \d+.* version \d+"
    for manners in ("refusing", "welcoming"):
        with other_version(manners) as meta:
            named = rf"metadata server at {re.escape(meta)}\b.*{both}"
            check_refused(["dfs-mount", meta, place], named)
            check_refused(["dfs", "status", "--meta", meta], named)
            check_refused(["dfs-storage", "--data", space.path(f"{manners}-storage"), "--listen", "127.0.0.1:0",
                           "--meta", meta], named)
    check_equal(mounts_below(space.directory), [], "the mounts")

    write_file(space.path("file"), b"unheard of")
    with meta_server(space.path("meta")) as meta, other_version("storage", meta) as storage:
        put = subprocess.run([program("dfs"), "put", "--meta", meta, "--timeout", "3", space.path("file"), "/file"],
                             capture_output=True, text=True, timeout=30, check=False)
        check_equal(put.returncode, 1, "the exit code of dfs put")
        check(re.search(rf"file: .*storage server 1 at {re.escape(storage)}: .*{both}", put.stderr),
              f"dfs put said {put.stderr!r}")
    check_equal(processes_about(space.directory), {}, "processes that are left")


def wrong_command_lines_of_dfs_get_one_line(space):
    nobody = f"127.0.0.1:{free_port()}"
    environment_free = ("env", "-u", "DFS_META")
    directory = space.path("cluster")
    for argv, pattern in (
            (["frobnicate"], r"frobnicate|subcommand|required"),
            ([], r"subcommand|required"),
            (["status", "--frobnicate"], r"frobnicate"),
            (["status", "--meta", nobody], re.escape(nobody)),
            (["status", "--meta", "nonsense"], r"nonsense"),
            (["status", "--dir", space.path("none")], r"none"),
            (["ls", "/", "--meta", nobody], re.escape(nobody)),
            (["put", "only-one"], r"PATHS|required"),
            (["get", "a", "b", "--jobs", "0"], r"jobs"),
            (["policy"], r"subcommand|required"),
            (["policy", "set", "/", "--meta", nobody], r"--replicas or --chunk-size"),
            (["policy", "set", "/", "--replicas", "many"], r"replicas"),
            (["policy", "set", "/", "--chunk-size", "banana", "--meta", nobody], r"banana"),
            (["policy", "set", "/", "--chunk-size", "1GiB", "--meta", nobody], r"1GiB"),
            (["policy", "get", "/", "--meta", nobody], re.escape(nobody)),
            (["local"], r"subcommand|required"),
            (["local", "up", "--dir", directory, "--servers", "0"], r"servers"),
            (["local", "up", "--dir", directory, "--servers", "2", "--replicas", "3"], r"3 replicas"),
            (["local", "up", "--dir", directory, "--chunk-size", "banana"], r"banana"),
            (["local", "up", "--dir", directory, "--bind", "no.such.host.invalid"], r"no\.such\.host"),
            (["local", "up", "--dir", directory, "--extra", "nobody=--x"], r"nobody"),
            (["local", "up", "--dir", "/proc/nowhere"], r"/proc/nowhere"),
            (["local", "up", "--dir", "/usr"], r"/usr"),
            (["local", "down", "--dir", space.path("none")], r"none"),
            (["local", "down", "--dir", "/usr", "--wipe"], r"/usr"),
            (["local", "status", "--dir", space.path("none")], r"none"),
            (["local", "kill", "storage1", "--dir", space.path("none")], r"none"),
            (["local", "start"], r"NAME|required")):
        check_refused(["dfs", *argv], pattern, prefix=environment_free)
    check(not directory.exists(), "a refused `dfs local up` made its directory")

    for help_line in (["--help"], ["status", "--help"], ["local", "--help"], ["local", "up", "--help"],
                      ["policy", "--help"], ["policy", "get", "--help"], ["policy", "set", "--help"]):
        said = run(program("dfs"), *help_line).stdout
        check(b"Examples:" in said, f"dfs {help_line} shows no examples")
    check(run(program("dfs"), "--version").stdout.startswith(b"dfs "), "dfs --version")
    for name in ("dfs-meta", "dfs-storage", "dfs-mount"):
        check(b"--log-file" in run(program(name), "--help").stdout, f"{name} --help")
        check(run(program(name), "--version").stdout.strip() != b"", f"{name} --version")


def a_cluster_that_cannot_start_leaves_nothing_running(space):
    done = run(program("dfs"), "local", "up", "--dir", space.path("cluster"), "--servers", "1",
               "--mount", space.path("mount"), "--extra", "storage1=--frobnicate", ok=(1,))
    said = done.stderr.decode()
    check("storage1" in said and "frobnicate" in said, f"dfs local up said {said!r}")
    check_equal(processes_about(space.directory), {}, "processes that are left")
    check_equal(mounts_below(space.directory), [], "mounts that are left")
    run(program("dfs"), "local", "down", "--dir", space.path("cluster"), "--wipe")


def local_commands_may_be_repeated(space):
    with space.cluster(servers=1, replicas=1) as cluster:
        write_file(cluster.mount / "file", b"kept", sync=True)
        before = {name: process["pid"] for name, process in cluster.processes().items()}
        said = cluster.up().stdout.decode()
        check_equal(said.count("runs already"), 3, "processes that ran already")
        after = {name: process["pid"] for name, process in cluster.processes().items()}
        check_equal(after, before, "the processes after a second up")

        cluster.local("down")
        cluster.local("down")
        check_equal(processes_about(cluster.directory), {}, "processes after down")
        cluster.up()
        check_equal((cluster.mount / "file").read_bytes(), b"kept", "the file after down and up")
        cluster.local("up", "--servers", "2")
        check_equal(len(cluster.status()["servers"]), 2, "servers after one more was asked for")
        cluster.local("up", "--servers", "1", ok=(1,))
        cluster.local("stop", "storage9", ok=(1,))

        # What `dfs local status` says starts a process alone does so.
        cluster.stop("storage1")
        argv = cluster.processes()["storage1"]["argv"]
        reader, writer = os.pipe()
        with subprocess.Popen([*argv, "--ready-fd", str(writer)], pass_fds=[writer],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as alone:
            os.close(writer)
            check_equal(os.read(reader, 100), b"ready\n", "what a server says that was started alone")
            os.close(reader)
            check_equal((cluster.mount / "file").read_bytes(), b"kept", "the file served by a process started alone")
            alone.terminate()
            check_equal(alone.wait(60), 0, "the exit code after SIGTERM")
        cluster.start("storage1")
