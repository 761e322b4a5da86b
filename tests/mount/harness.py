"""A real cluster with real mounts, for one test.

A test is a function that takes a Workspace. It runs in a process of its own,
because a call into a mount that hangs cannot be interrupted from inside: the
parent (run_test.py) ends it when its time is up, prints the logs, and then
takes away every process and mount that is left, whatever happened.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

Path = pathlib.Path

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


class Failed(AssertionError):
    """What a test found wrong, in a sentence."""


def check(holds, sentence):
    if not holds:
        raise Failed(sentence)


def check_equal(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: found {found!r}, expected {expected!r}")


def build_directory():
    directory = os.environ.get("DFS_BUILD")
    if not directory:
        raise Failed("DFS_BUILD names no build directory")
    return Path(directory)


def program(name):
    path = build_directory() / "bin" / name
    if not path.exists():
        raise Failed(f"{path} has not been built")
    return str(path)


def run(*argv, cwd=None, env=None, timeout=300, stdin=None, ok=(0,)):
    """Runs a command to its end; fails unless its exit code is one of `ok`."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, cwd=cwd, env=env, timeout=timeout, input=stdin,
                          capture_output=True, check=False)
    if ok is not None and done.returncode not in ok:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}\n"
                     f"{tail(done.stdout)}{tail(done.stderr)}")
    return done


def tail(output, lines=30):
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    return "".join(f"  {line}\n" for line in text.splitlines()[-lines:])


def wait_until(condition, what, limit=30.0, pause=0.05):
    """Polls `condition` until it holds; its value is returned."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failed(f"after {limit:.0f} s still not so: {what}")
        time.sleep(pause)


def drop_caches():
    os.sync()
    with contextlib.suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("3\n")


# --- processes and mounts ------------------------------------------------------


def start_ticks(pid):
    """The moment a process started, or None if it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def memory_bytes(pid, field="VmHWM"):
    """A line of /proc/PID/status; VmHWM is the most it ever used."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB$", text, re.MULTILINE)[1]) * KIB


def mounts_below(directory):
    """Mount points at or below a directory, the latest first."""
    prefix = str(directory)
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        if place == prefix or place.startswith(prefix + "/"):
            found.append(place)
    return found[::-1]


def processes_about(directory):
    """Programs of ours whose command line names something in `directory`: {pid: command line}."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        is_ours = Path(os.fsdecode(words[0])).name in ("dfs-meta", "dfs-storage", "dfs-mount", "dfs")
        if is_ours and any(os.fsencode(directory) in word for word in words):
            found[int(entry.name)] = b" ".join(words).decode(errors="replace")
    return found


def only_child(pid):
    """The process that another one has started; waits for it. One that is dead and not gone does not count."""
    def is_zombie(child):
        return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def child():
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        with contextlib.suppress(OSError):
            return [child for child in children if not is_zombie(child)]
        return []
    return int(wait_until(child, f"process {pid} has a child", limit=10, pause=0.002)[0])


# --- a cluster ---------------------------------------------------------------------


class Cluster:
    """`dfs local up`, used as a context manager.

    Left in order, it is taken down properly and must leave nothing behind;
    left by an exception, it stays as it is until the logs have been printed.
    """

    def __init__(self, directory, servers=3, replicas=3, mounts=1, chunk_size=None, extra=()):
        self.directory = Path(directory)
        self.mounts = [self.directory.parent / f"{self.directory.name}-mount{number + 1}"
                       for number in range(mounts)]
        self.up_options = ["--servers", servers, "--replicas", replicas]
        for mount in self.mounts:
            self.up_options += ["--mount", mount]
        if chunk_size:
            self.up_options += ["--chunk-size", chunk_size]
        for option in extra:
            self.up_options += ["--extra", option]

    @property
    def mount(self):
        return self.mounts[0]

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return
        self.local("down", "--wipe")
        left = processes_about(self.directory)
        check(not left, f"`dfs local down` left processes: {left}")
        for mount in self.mounts:
            check(not mounts_below(mount), f"`dfs local down` left {mount} mounted")
        check(not (self.directory / "cluster.json").exists(), "`dfs local down --wipe` left its state")

    def local(self, command, *arguments, timeout=150, ok=(0,)):
        return run(program("dfs"), "local", command, "--dir", self.directory, *arguments,
                   timeout=timeout, ok=ok)

    def up(self):
        return self.local("up", *self.up_options)

    def start(self, name):
        self.local("start", name)

    def stop(self, name):
        self.local("stop", name)

    def kill(self, name):
        self.local("kill", name)

    def restart_mounts_cold(self):
        """Everything read from now on comes from the storage servers' disks."""
        for number in range(len(self.mounts)):
            self.stop(f"mount{number + 1}")
        drop_caches()
        for number in range(len(self.mounts)):
            self.start(f"mount{number + 1}")

    def dfs(self, command, *arguments, ok=(0,), timeout=300, stdin=None):
        return run(program("dfs"), command, *arguments, "--dir", self.directory, ok=ok,
                   timeout=timeout, stdin=stdin)

    def status(self):
        return json.loads(self.dfs("status", "--json").stdout)

    def processes(self):
        """name -> what `dfs local status --json` says of it"""
        listed = json.loads(self.local("status", "--json").stdout)["processes"]
        return {process["name"]: process for process in listed}

    def pid(self, name):
        return self.processes()[name]["pid"]

    def worker(self, name="mount1"):
        """The process that serves a mount; pid() is that of its supervisor."""
        return only_child(self.pid(name))

    def log(self, name):
        parts = []
        for path in sorted((self.directory / "log").glob(f"{name}.*")):
            parts.append(path.read_text(errors="replace"))
        return "".join(parts)

    def check_all_alive(self):
        dead = [name for name, process in self.processes().items() if not process["alive"]]
        check(not dead, f"these processes ended by themselves: {dead}")


class Workspace:
    """A directory on a real disk for one test, away when it is over."""

    def __init__(self, directory):
        self.directory = Path(directory)

    def cluster(self, name="cluster", **options):
        return Cluster(self.directory / name, **options)

    def path(self, name):
        return self.directory / name


# --- data --------------------------------------------------------------------------------


def random_bytes(generator, count):
    return generator.randbytes(count)


def seeded(name):
    """A generator for a test; the seed is printed and may be given as DFS_TEST_SEED."""
    seed = int(os.environ.get("DFS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"{name}: DFS_TEST_SEED={seed}", flush=True)
    return random.Random(seed)


def make_tree(top, files, generator, bytes_max=48 * KIB):
    """A tree as projects have it: most files small, a few empty or bigger, some
    executable, links of both kinds, directories some levels deep."""
    top.mkdir(parents=True)
    directories = [top]
    for number in range(max(1, files // 25)):
        directory = generator.choice(directories) / f"dir-{number:04d}"
        directory.mkdir()
        directories.append(directory)
    block = generator.randbytes(1 * MIB)
    made = []
    for number in range(files):
        path = generator.choice(directories) / f"file-{number:05d}.txt"
        size = 0 if number % 40 == 0 else int(bytes_max * generator.random() ** 4)
        start = generator.randrange(len(block) - size) if size < len(block) else 0
        path.write_bytes(block[start:start + size])
        if number % 17 == 0:
            path.chmod(0o755)
        made.append(path)
    for number in range(files // 100):
        target = generator.choice(made)
        (generator.choice(directories) / f"symlink-{number:04d}").symlink_to(
            os.path.relpath(target, top))
        os.link(target, generator.choice(directories) / f"hardlink-{number:04d}")
    return top


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_same_trees(one, other):
    """Names, types, modes, link targets and every byte."""
    run("diff", "-r", "--no-dereference", one, other)
    for directory in (one, other):
        check(directory.is_dir(), f"{directory} is a directory")
    listings = []
    for directory in (one, other):
        listing = run("find", ".", "-mindepth", "1", "-printf", r"%y %m %p %l\0", cwd=directory).stdout
        listings.append(sorted(listing.split(b"\0")))
    check_equal(listings[0], listings[1], "types, modes and names of both trees")


def write_file(path, data, sync=False):
    """open, write, (fsync,) close; every error is the caller's."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view):]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def error_name(number):
    """Of several names of one number, which Python versions choose differently, the one of the manuals."""
    for name in ("EAGAIN", "EDEADLK", "EOPNOTSUPP"):
        if number == getattr(errno, name):
            return name
    return errno.errorcode.get(number, str(number))


def error_of(call, *arguments):
    """The errno's name that a call fails with; "" if it succeeds."""
    try:
        call(*arguments)
    except OSError as problem:
        return error_name(problem.errno)
    return ""


# --- what the parent does afterwards -------------------------------------------------------


def clusters_in(directory):
    """Cluster directories, looked for without a look at mounts: they may be dead."""
    mounts = mounts_below(directory)
    places = [entry.path for entry in os.scandir(directory) if entry.path not in mounts]
    return [Path(place) for place in sorted(places) if os.path.exists(f"{place}/cluster.json")]


def print_logs(directory):
    for log in [log for cluster in clusters_in(directory) for log in sorted(cluster.glob("log/*"))]:
        text = log.read_text(errors="replace")
        if text:
            print(f"--- the end of {log.relative_to(directory)}\n{tail(text, 60)}", flush=True)


def cut_off(place):
    """A killed process of a mount may have a thread that waits in the kernel for a request which nobody answers any
    more. It keeps the connection open, and with it everybody who calls sync(2)."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        words = line.split()
        if words[4] == place and words[2].startswith("0:"):
            with contextlib.suppress(OSError):
                Path(f"/sys/fs/fuse/connections/{words[2][2:]}/abort").write_text("1")


def clean_up(directory):
    """Ends every process and mount that has to do with `directory`; returns what there was."""
    left = []
    # Where the clusters' processes are known exactly.
    for cluster in clusters_in(directory):
        with contextlib.suppress(OSError, ValueError, KeyError):
            for process in json.loads((cluster / "cluster.json").read_text())["processes"]:
                if start_ticks(process["pid"]) == process["start_ticks"]:
                    left.append(f"process {process['name']}")
                    os.kill(process["pid"], signal.SIGKILL)
    for pid, command in processes_about(directory).items():
        with contextlib.suppress(ProcessLookupError):
            left.append(f"process {pid}: {command}")
            os.kill(pid, signal.SIGKILL)
    for place in mounts_below(directory):
        left.append(f"mount {place}")
        cut_off(place)
        subprocess.run(["umount", "-l", place], check=False, capture_output=True, timeout=60)
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            break
        time.sleep(0.1)
    return left
