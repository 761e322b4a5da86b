"""Locks of programs on two mounts."""

import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading

from harness import Failed, check, check_equal, run, wait_until, write_file

AGENT = pathlib.Path(__file__).parent / "lock_agent.py"
FAMILIES = ("posix", "ofd", "flock")
SYS_FCNTL, SYS_FLOCK = b"72", b"73"
LIMIT = 60


class Agent:
    """A program with the file open, see lock_agent.py."""

    def __init__(self, path):
        self.process = subprocess.Popen([sys.executable, "-B", AGENT, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, bufsize=0)
        check_equal(self.answer(), "ok", "opening the file")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()

    def tell(self, command):
        self.process.stdin.write(f"{command}\n".encode())

    def has_answered(self, seconds=0.0):
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def answer(self, seconds=LIMIT):
        check(self.has_answered(seconds), f"no answer after {seconds:.0f} s")
        return self.process.stdout.readline().decode().rstrip("\n")

    def ask(self, command):
        self.tell(command)
        return self.answer()

    def tell_to_wait(self, command):
        """Returns when the program waits in the kernel for the lock."""
        self.tell(command)
        place = pathlib.Path(f"/proc/{self.process.pid}/syscall")
        wait_until(lambda: place.read_bytes().split()[0] in (SYS_FCNTL, SYS_FLOCK), f"{command} waits")
        check(not self.has_answered(0.3), f"{command} was answered at once")

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(LIMIT)


@contextlib.contextmanager
def two_mounts(space, **options):
    """A cluster with a file, a program that has it open on each mount."""
    with space.cluster(servers=1, replicas=1, mounts=2, **options) as cluster:
        write_file(cluster.mounts[0] / "file", b"0" * 20)
        with Agent(cluster.mounts[0] / "file") as here, Agent(cluster.mounts[1] / "file") as there:
            yield cluster, here, there


def locks_of_two_mounts_exclude_each_other(space):
    with two_mounts(space) as (_, here, there):
        for family in FAMILIES:
            check_equal(here.ask(f"{family} ex 0 10 try"), "ok", f"{family}: the first lock")
            check_equal(there.ask(f"{family} sh 9 1 try"), "EAGAIN", f"{family}: a lock in its way")
            if family != "flock":
                check_equal(there.ask(f"getlk {family} 5 100"), "ex 0 10", f"{family}: what is in the way")
                check_equal(there.ask(f"{family} ex 10 0 try"), "ok", f"{family}: another range")
                check_equal(here.ask(f"getlk {family} 0 0"), "ex 10 0", f"{family}: to the end of the file")
            check_equal(here.ask(f"{family} sh 0 10 try"), "ok", f"{family}: a weaker lock")
            check_equal(there.ask(f"{family} sh 0 10 try"), "ok", f"{family}: two that share")
            check_equal(here.ask(f"{family} ex 0 10 try"), "EAGAIN", f"{family}: a stronger lock")
            for agent in (here, there):
                check_equal(agent.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
            check_equal(there.ask(f"{family} ex 0 0 try"), "ok", f"{family}: when all is unlocked")
            check_equal(there.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
        check_equal(here.ask("posix ex 0 0 try"), "ok", "a lock of the process")
        check_equal(here.ask("flock ex 0 0 try"), "ok", "a lock of the file")
        check_equal(here.ask("reopen"), "ok", "closing another descriptor")
        check_equal(there.ask("posix ex 0 0 try"), "ok", "what the process had ended with that")
        check_equal(there.ask("flock ex 0 0 try"), "EAGAIN", "what the file had did not")


def a_lock_is_waited_for_and_passed_on_between_mounts(space):
    with two_mounts(space) as (cluster, here, there):
        for family in FAMILIES:
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", f"{family}: the first lock")
            there.tell_to_wait(f"{family} ex 0 0 wait")
            write_file(cluster.mounts[1] / f"meanwhile-{family}", b"served", sync=True)
            check_equal(here.ask(f"write 0 {family}"), "ok", "writing")
            check_equal(here.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
            check_equal(there.answer(), "ok", f"{family}: the wait")
            check_equal(there.ask(f"read 0 {len(family)}"), family, f"{family}: what was written before")
            here.tell_to_wait(f"{family} sh 0 0 wait")
            check_equal(there.ask(f"{family} sh 0 0 try"), "ok", f"{family}: a weaker lock")
            check_equal(here.answer(), "ok", f"{family}: a reader beside a reader")
            for agent in (here, there):
                check_equal(agent.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")


def a_signal_ends_the_wait_for_a_lock_of_another_mount(space):
    with two_mounts(space) as (cluster, here, there):
        for family in FAMILIES:
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", f"{family}: the first lock")
            there.tell_to_wait(f"{family} ex 0 0 wait")
            there.process.send_signal(signal.SIGUSR1)
            check_equal(there.answer(), "EINTR", f"{family}: the wait")
            check_equal(here.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", f"{family}: nobody got it in between")
            there.tell_to_wait(f"{family} ex 0 0 wait")
            cluster.kill("meta")
            there.process.send_signal(signal.SIGUSR1)
            check_equal(there.answer(), "EINTR", f"{family}: the wait while the server is away")
            cluster.start("meta")
            check_equal(here.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
        check_equal(here.ask("posix ex 0 0 try"), "ok", "a lock")
        there.tell_to_wait("posix ex 0 0 wait")
        there.kill()


def a_deadlock_between_mounts_is_edeadlk(space):
    with two_mounts(space) as (_, here, there):
        check_equal(here.ask("posix ex 0 1 try"), "ok", "the first lock")
        check_equal(there.ask("posix ex 1 1 try"), "ok", "the second lock")
        here.tell_to_wait("posix ex 1 1 wait")
        check_equal(there.ask("posix ex 0 1 wait"), "EDEADLK", "who would close the circle")
        check_equal(there.ask("posix un 0 0 try"), "ok", "giving way")
        check_equal(here.answer(), "ok", "the other")


def a_killed_program_leaves_its_bytes_and_no_lock(space):
    with two_mounts(space) as (cluster, _, there):
        for family in FAMILIES:
            with Agent(cluster.mounts[0] / "file") as holder:
                check_equal(holder.ask(f"{family} ex 0 0 try"), "ok", f"{family}: the first lock")
                there.tell_to_wait(f"{family} ex 0 0 wait")
                check_equal(holder.ask(f"write 0 {family}"), "ok", "writing")
                holder.kill()
                check_equal(there.answer(), "ok", f"{family}: the wait")
                check_equal(there.ask(f"read 0 {len(family)}"), family, f"{family}: the last words")
                check_equal(there.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")


def locks_outlive_a_kill_of_the_metadata_server(space):
    with two_mounts(space) as (cluster, here, there), Agent(cluster.mounts[1] / "file") as third:
        for family in FAMILIES:
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", f"{family}: the first lock")
            there.tell_to_wait(f"{family} ex 0 0 wait")
            cluster.kill("meta")
            cluster.start("meta")
            check_equal(third.ask(f"{family} sh 0 0 try"), "EAGAIN", f"{family}: a lock in its way")
            check(not there.has_answered(), f"{family}: the wait goes on")
            check_equal(here.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")
            check_equal(there.answer(), "ok", f"{family}: the wait")
            check_equal(there.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")


def a_killed_mount_loses_its_locks_after_a_while(space):
    os.environ["DFS_META_SESSION_TIMEOUT_MS"] = "5000"
    with two_mounts(space) as (cluster, here, there):
        for family in ("posix", "flock"):  # a process is in the way of its own OFD lock
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", f"{family}: the first lock")
        there.tell_to_wait("posix ex 0 0 wait")
        cluster.kill("mount1")
        check_equal(there.answer(), "ok", "the wait")
        check_equal(there.ask("flock ex 0 0 wait"), "ok", "the other locks")
        here.kill()
        cluster.start("mount1")


def no_addition_under_a_lock_is_lost(space):
    turns = 100
    with two_mounts(space) as (cluster, here, there), \
            Agent(cluster.mounts[0] / "file") as another_here, \
            Agent(cluster.mounts[1] / "file") as another_there:
        agents = (here, there, another_here, another_there)
        for family in FAMILIES:
            check_equal(here.ask("write 0 00000000000000000000"), "ok", "beginning at 0")
            check_equal(here.ask(f"{family} ex 0 0 try"), "ok", "the first lock")
            check_equal(here.ask(f"{family} un 0 0 try"), "ok", "unlocking")
            for agent in agents:
                agent.tell(f"add {turns} {family}")
            for agent in agents:
                check_equal(agent.answer(150), "ok", f"{family}: adding")
            check_equal(there.ask(f"{family} sh 0 0 wait"), "ok", f"{family}: looking")
            check_equal(int(there.ask("read 0 20")), turns * len(agents), f"{family}: the sum")
            check_equal(there.ask(f"{family} un 0 0 try"), "ok", f"{family}: unlocking")


# --- a program that lives by its locks -----------------------------------------------------


def sqlite(database, script, timeout=120):
    text = f".timeout 60000\n{script}"
    return run("sqlite3", "-batch", "-bail", database, stdin=text.encode(), timeout=timeout).stdout.decode()


def sqlite_on_two_mounts_loses_no_transaction(space):
    turns = 25
    with space.cluster(servers=2, replicas=2, mounts=2) as cluster:
        databases = [mount / "shared.db" for mount in cluster.mounts]
        check_equal(sqlite(databases[0], "pragma journal_mode=delete;\n").strip(), "delete", "the journal mode")
        sqlite(databases[0], "create table rows (mount int, turn int); create table sum (total int);"
                             "insert into sum values (0);")
        for turn in range(turns):
            number = turn % 2
            sqlite(databases[number], f"insert into rows values ({number}, {turn});")
            check_equal(sqlite(databases[1 - number], "select count(*) from rows;"), f"{turn + 1}\n",
                        "rows that the other mount sees")

        problems = []

        def work(number):
            try:
                for turn in range(turns):
                    sqlite(databases[number], "begin immediate; update sum set total = total + 1;"
                                              f"insert into rows values ({number + 2}, {turn}); commit;")
            except (Failed, subprocess.SubprocessError) as problem:
                problems.append(problem)

        workers = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        check(not problems, f"transactions failed: {problems}")
        for database in databases:
            check_equal(sqlite(database, "pragma integrity_check; select count(*) from rows; select total from sum;"),
                        f"ok\n{3 * turns}\n{2 * turns}\n", "the database")
