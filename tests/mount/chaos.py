"""Every process of a cluster is killed and stopped at any moment, under a mixed load: programs see pauses, and
nothing else. DFS_CHAOS_SECONDS makes it longer."""

import collections
import os
import signal
import time

from harness import check, only_child, seeded, wait_until
from loads import (LoadProcess, files_are_shared, files_grow, locks_are_taken, names_come_and_go,
                   small_files_are_closed)

SERVERS = ("meta", "storage1", "storage2", "storage3")
MOUNTS = ("mount1", "mount2")


class Faults:
    """Servers are down or frozen for a while, several at once perhaps; the workers of mounts too."""

    def __init__(self, cluster, generator):
        self.counts = collections.Counter()
        self._cluster = cluster
        self._generator = generator
        self._pids = {name: process["pid"] for name, process in cluster.processes().items()}
        self._ends = []  # (when, name, what ends it)
        self._busy = set()

    def one(self):
        free = [name for name in SERVERS + MOUNTS if name not in self._busy]
        if not free:
            return
        name = self._generator.choice(free)
        pid = only_child(self._pids[name]) if name in MOUNTS else self._pids[name]
        lasts = self._generator.choice((0.0, 0.05, 0.5, 2.0)) * (0.5 + self._generator.random())
        if self._generator.random() < 0.6:
            os.kill(pid, signal.SIGKILL)
            self.counts[f"{name} killed"] += 1
            if name in MOUNTS:  # its supervisor sees to it
                wait_until(lambda: only_child(self._pids[name]) != pid, "another worker goes on", pause=0.002)
                return
            self._until(lasts, name, lambda: self._start(name))
        else:
            os.kill(pid, signal.SIGSTOP)
            self.counts[f"{name} stopped"] += 1
            self._until(lasts, name, lambda: os.kill(pid, signal.SIGCONT))

    def end_those_due(self, all_of_them=False):
        due = [end for end in self._ends if all_of_them or end[0] <= time.monotonic()]
        # Who starts waits for the metadata server.
        meta = [end for end in self._ends if due and end[1] == "meta"]
        for end in meta + [end for end in due if end not in meta]:
            self._ends.remove(end)
            end[2]()
            self._busy.remove(end[1])

    def _until(self, lasts, name, what):
        self._busy.add(name)
        self._ends.append((time.monotonic() + lasts, name, what))

    def _start(self, name):
        self._cluster.start(name)
        self._pids[name] = self._cluster.pid(name)


def nothing_is_lost_whatever_is_killed_or_stopped(space):
    generator = seeded("chaos")
    seconds = float(os.environ.get("DFS_CHAOS_SECONDS", "15"))
    with space.cluster(servers=3, replicas=2, mounts=2) as cluster:
        loads = LoadProcess(cluster.mounts, generator, [
            (names_come_and_go, "names"), (files_grow, "scattered", 0), (files_grow, "appended", os.O_APPEND),
            (small_files_are_closed, "small"), (locks_are_taken, "locked"), (files_are_shared, "shared")],
            space.path("loads"))
        faults = Faults(cluster, generator)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not space.path("loads").exists():
            time.sleep(generator.choice((0.02, 0.2, 1.0)) * (0.5 + generator.random()))
            faults.end_those_due()
            faults.one()
        faults.end_those_due(all_of_them=True)
        problems, calls, longest, final = loads.end()
        print(f"{dict(sorted(faults.counts.items()))}; {calls} calls, the longest took {longest:.2f} s", flush=True)
        check(not problems, f"after {sum(faults.counts.values())} faults: {problems}")
        cluster.check_all_alive()

        wait_until(lambda: cluster.status()["repair_queue"] == 0, "all copies are made", limit=120, pause=0.5)
        check(not cluster.status()["repair"]["lost"], "chunks are lost")
        cluster.restart_mounts_cold()
        for name, data in final.items():
            check((cluster.mounts[1] / name).read_bytes() == data, f"{name} is not what was written")
