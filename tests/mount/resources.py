"""Servers and mounts run out of what the machine gives them: descriptors, memory."""

import contextlib
import os
import resource
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from harness import MIB, Path, check, check_equal, memory_bytes, seeded, wait_until, write_file


@contextlib.contextmanager
def descriptors_left(pid, free):
    """Lets a process have so many more descriptors than it has now."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    lowest = next(number for number in range(1 << 20) if not os.path.lexists(f"/proc/{pid}/fd/{number}"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest + free, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def callers(address, count):
    """Connections of clients that say nothing."""
    host, port = address.rsplit(":", 1)
    with contextlib.ExitStack() as open_ones:
        for _ in range(count):
            with contextlib.suppress(OSError):  # refused: as good as waiting
                open_ones.enter_context(socket.create_connection((host, int(port)), timeout=1))
        yield


def servers_out_of_descriptors_serve_on_and_accept_again(space):
    generator = seeded("descriptors")
    body = generator.randbytes(3 * MIB)
    with space.cluster(servers=1, replicas=1) as cluster:
        mount, before = cluster.mount, cluster.processes()
        write_file(mount / "before", body, sync=True)
        for name in ("meta", "storage1"):
            pid, address = before[name]["pid"], before[name]["address"]
            # A few are left: they are for files, not for more clients. Then none is.
            for free in (20, 0):
                with descriptors_left(pid, free), callers(address, 60):
                    used = cpu_seconds(pid)
                    time.sleep(0.5)
                    check(cpu_seconds(pid) - used < 0.25, f"{name} is busy with connections that it cannot take")
                    write_file(mount / f"{name}-{free}", body, sync=True)
                    os.rename(mount / f"{name}-{free}", mount / f"{name}-{free}-moved")
                    check((mount / "before").read_bytes() == body, "a file holds wrong bytes")
            wait_until(lambda: b"alive" in cluster.dfs("status", ok=None).stdout, "dfs status is answered again")
            check("raise this program's limit" in cluster.log(name), f"the log of {name} does not say what to do")
        cluster.check_all_alive()
        for name in ("meta", "storage1"):
            check_equal(cluster.pid(name), before[name]["pid"], f"the process of {name}")
        cluster.restart_mounts_cold()
        for name in ("before", "meta-20-moved", "meta-0-moved", "storage1-20-moved", "storage1-0-moved"):
            check((mount / name).read_bytes() == body, f"{name} holds wrong bytes later")


def a_mount_out_of_descriptors_serves_on(space):
    generator = seeded("descriptors of a mount")
    body = generator.randbytes(3 * MIB)
    with space.cluster(servers=2, replicas=2) as cluster:
        mount = cluster.mount
        for number in range(4):
            write_file(mount / f"file-{number}", body, sync=True)
        cluster.restart_mounts_cold()
        supervisor, worker = cluster.pid("mount1"), cluster.worker()
        # It is connected to no storage server yet, so who reads has to wait.
        with descriptors_left(supervisor, 0), descriptors_left(worker, 0):
            with subprocess.Popen(["cat", mount / "file-0"], stdout=subprocess.PIPE) as reader:
                os.set_blocking(reader.stdout.fileno(), False)
                time.sleep(1)
                check(reader.poll() is None and not reader.stdout.read(), "a read without a descriptor does not wait")
                os.set_blocking(reader.stdout.fileno(), True)
                for pid in (supervisor, worker):
                    resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(0, resource.RLIMIT_NOFILE))
                check(reader.stdout.read() == body, "who waited for a descriptor was given wrong bytes")

        # It is connected: files of the mount take no descriptors, and nothing waits.
        with descriptors_left(supervisor, 0), descriptors_left(worker, 0), contextlib.ExitStack() as many:
            for number in range(4):
                file = many.enter_context(open(mount / f"file-{number}", "rb"))
                check(file.read() == body, f"file-{number} holds wrong bytes")
            for number in range(200):
                many.enter_context(open(mount / f"new-{number}", "wb")).write(b"x")
            write_file(mount / "meanwhile", body, sync=True)
        check_equal((cluster.pid("mount1"), cluster.worker()), (supervisor, worker), "the processes of the mount")
        cluster.restart_mounts_cold()
        check((mount / "meanwhile").read_bytes() == body, "a file holds wrong bytes later")
        check_equal(sum(path.stat().st_size for path in mount.glob("new-*")), 200, "the bytes of 200 files")


@contextlib.contextmanager
def memory_limited(pids, limit):
    """Gives each process so much memory and no more, what the kernel caches for it included; the kernel kills who
    needs more. False where no control group can be made."""
    tops = [(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")]
    made = []
    try:
        for pid in pids:
            home = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
            top, file = next((top, file) for top, file in tops if (top / "cgroup.procs").exists())
            group = top / f"dfs-test-{pid}"
            group.mkdir()
            made.append((group, pid, top / own_group(home)))
            (group / file).write_text(str(limit))
            (group / "cgroup.procs").write_text(str(pid))
        limited = True
    except (OSError, StopIteration) as problem:
        print(f"no control group can be made here: {problem}", flush=True)
        limited = False
    try:
        yield limited
    finally:
        for group, pid, home in made:
            with contextlib.suppress(OSError):
                (home / "cgroup.procs").write_text(str(pid))
            wait_until(lambda group=group: removed(group), f"{group} is empty", limit=10)


def own_group(text):
    """Of /proc/PID/cgroup: the path of the memory group, without its first slash."""
    rows = [line.split(":", 2) for line in text.splitlines()]
    return next(row[2] for row in rows if row[1] in ("memory", "")).lstrip("/")


def removed(group):
    try:
        group.rmdir()
    except OSError:
        return not group.exists()
    return True


def servers_under_a_memory_limit_take_more_than_fits_into_it(space):
    generator = seeded("memory")
    body = generator.randbytes(16 * MIB)
    limit = 128 * MIB
    with space.cluster(servers=1, replicas=1) as cluster:
        mount, pids = cluster.mount, {name: cluster.pid(name) for name in ("meta", "storage1")}
        with memory_limited(pids.values(), limit), ThreadPoolExecutor(8) as writers:
            list(writers.map(lambda number: write_file(mount / f"large-{number}", body, sync=True), range(40)))
            (mount / "small").mkdir()
            list(writers.map(lambda number: write_file(mount / f"small/{number}", body[:number]), range(3000)))
            cluster.restart_mounts_cold()
            same = writers.map(lambda number: (mount / f"large-{number}").read_bytes() == body, range(40))
            check(all(same), "a large file holds wrong bytes")
            same = writers.map(lambda number: (mount / f"small/{number}").read_bytes() == body[:number], range(3000))
            check(all(same), "a small file holds wrong bytes")
            cluster.check_all_alive()
        for name, pid in pids.items():
            check_equal(cluster.pid(name), pid, f"the process of {name}")
            used = memory_bytes(pid)
            print(f"{name}: at most {used // MIB} MiB", flush=True)
            check(used < limit, f"{name} used {used // MIB} MiB")
