"""What threads do on a mount while its processes are killed and stopped: each works in a place of its own, and
knows what must be there."""

import collections
import fcntl
import os
import pickle
import random
import signal
import threading
import time
import traceback

from harness import KIB, check, check_equal, error_of


class Loads:
    """Threads that work, each in a directory of its own, and remember what was acknowledged."""

    def __init__(self, mounts, generator):
        self.mounts = mounts
        self.mount = mounts[0]
        self.final = {}  # what files have when all is over: path below the mount -> bytes
        self.longest = 0.0
        self.calls = 0
        self.latest = {}
        self.problems = []
        self._over = threading.Event()
        self._seeds = generator
        self._threads = []

    def start(self, work, *arguments):
        seed = self._seeds.randrange(1 << 32)

        def run():
            try:
                work(self, random.Random(seed), *arguments)
            except BaseException as problem:  # pylint: disable=broad-except
                where = traceback.extract_tb(problem.__traceback__)
                lines = [step.line for step in where if step.filename == __file__]
                self.problems.append(f"{work.__name__}: {problem!r} in {lines[-2:]} after "
                                     f"{list(self.latest[threading.get_ident()])}")
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def go_on(self):
        return not self._over.is_set() and not self.problems

    def call(self, function, *arguments):
        """A call into the mount, whose time is told, not judged."""
        began = time.monotonic()
        mine = self.latest.setdefault(threading.get_ident(), collections.deque(maxlen=4))
        mine.append((function.__name__, *(os.fspath(name)[-12:] for name in arguments if isinstance(name, os.PathLike))))
        result = function(*arguments)
        self.longest = max(self.longest, time.monotonic() - began)
        self.calls += 1
        return result

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join()


class LoadProcess:
    """Loads in a process of their own. What another one starts would close their files as well, and that waits for
    servers that it is about to start."""

    def __init__(self, mounts, generator, works, result):
        self._result = result
        self._child = os.fork()
        if self._child == 0:
            self._work(Loads(mounts, generator), works)

    def _work(self, loads, works):
        """Until SIGTERM; never returns."""
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            for work in works:
                loads.start(*work)
            while loads.go_on() and signal.sigtimedwait({signal.SIGTERM}, 0.1) is None:
                pass
            loads.end()
            self._result.write_bytes(pickle.dumps((loads.problems, loads.calls, loads.longest, loads.final)))
        finally:
            os._exit(0)

    def end(self):
        """What came of it: problems, number of calls, the longest in seconds, what files have."""
        os.kill(self._child, signal.SIGTERM)
        os.waitpid(self._child, 0)
        return pickle.loads(self._result.read_bytes())


def check_names(top, there):
    found = set(os.listdir(top))
    check(found == there, f"names are missing: {sorted(there - found)}; names too many: {sorted(found - there)}")


def names_come_and_go(loads, generator, name):
    """Creates, renames, links and removes: each must succeed exactly once."""
    top = loads.mount / name
    loads.call(os.mkdir, top)
    there, made = set(), 0
    while loads.go_on():
        choice = generator.random()
        if choice < 0.45 or len(there) < 5:
            new = f"n{made}"
            made += 1
            if choice < 0.1:
                loads.call(os.mkdir, top / new)
                loads.call(os.rmdir, top / new)
                continue
            file = loads.call(os.open, top / new, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            loads.call(os.close, file)
            there.add(new)
        elif choice < 0.75:
            old, new = generator.choice(sorted(there)), f"r{made}"
            made += 1
            try:
                loads.call(os.rename, top / old, top / new)
            except OSError:
                check_names(top, there)
                raise
            there.remove(old)
            there.add(new)
        elif choice < 0.85:
            old, new = generator.choice(sorted(there)), f"l{made}"
            made += 1
            loads.call(os.link, top / old, top / new)
            there.add(new)
        else:
            old = generator.choice(sorted(there))
            loads.call(os.unlink, top / old)
            there.remove(old)
    check_names(top, there)


def files_grow(loads, generator, name, flags):
    """Writes at the end and in the middle through one descriptor; what a call has returned is read back."""
    path = loads.mount / name
    file = loads.call(os.open, path, os.O_RDWR | os.O_CREAT | flags)
    model = bytearray()
    while loads.go_on():
        data = generator.randbytes(generator.randrange(1, 40 * KIB))
        at = len(model) if flags & os.O_APPEND else generator.randrange(len(model) + 1)
        if flags & os.O_APPEND:
            check_equal(loads.call(os.write, file, data), len(data), "what was appended")
        else:
            check_equal(loads.call(os.pwrite, file, data, at), len(data), "what was written")
        model[at:at + len(data)] = data
        if generator.random() < 0.2:
            loads.call(os.fsync, file)
        if generator.random() < 0.05:
            cut = generator.randrange(len(model) + 1)
            loads.call(os.ftruncate, file, cut)
            del model[cut:]
        start = generator.randrange(len(model) + 1)
        found = loads.call(os.pread, file, 20 * KIB, start)
        check(found == bytes(model[start:start + 20 * KIB]), f"{name} at {start} is not what was written")
        if len(model) > 4000 * KIB:
            loads.call(os.ftruncate, file, 0)
            model.clear()
    os.close(file)
    check(path.read_bytes() == bytes(model), f"{name} is not what was written")
    loads.final[name] = bytes(model)


def small_files_are_closed(loads, generator, name):
    """Written, closed, read by whoever opens them next."""
    top = loads.mount / name
    loads.call(os.mkdir, top)
    model = {}
    while loads.go_on():
        key = f"f{generator.randrange(40)}"
        data = generator.randbytes(generator.randrange(1, 8 * KIB))
        file = loads.call(os.open, top / key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        loads.call(os.write, file, data)
        loads.call(os.close, file)
        model[key] = data
        key = generator.choice(sorted(model))
        check((top / key).read_bytes() == model[key], f"{name}/{key} is not what was written")
    for key, data in model.items():
        check((top / key).read_bytes() == data, f"{name}/{key} is not what was written")
        loads.final[f"{name}/{key}"] = data


def locks_are_taken(loads, generator, name):
    """Two descriptions of one file never have its lock at once."""
    path = loads.mount / name
    files = [loads.call(os.open, path, os.O_RDWR | os.O_CREAT) for _ in range(2)]
    while loads.go_on():
        first, second = generator.sample(files, 2)
        loads.call(fcntl.flock, first, fcntl.LOCK_EX)
        check_equal(error_of(loads.call, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB), "EAGAIN",
                    "who wants what is locked")
        loads.call(fcntl.flock, first, fcntl.LOCK_UN)
    for file in files:
        os.close(file)


def files_are_shared(loads, generator, name):
    """What one mount has written, made or removed is seen by another as soon as the call has returned."""
    loads.call(os.mkdir, loads.mount / name)
    model = {}
    while loads.go_on():
        writer, reader = generator.sample(loads.mounts, 2)
        key = f"s{generator.randrange(12)}"
        if key in model and generator.random() < 0.2:
            loads.call(os.unlink, writer / name / key)
            del model[key]
            check_equal(error_of(loads.call, os.stat, reader / name / key), "ENOENT", f"{key}, which another mount removed")
            continue
        data = generator.randbytes(generator.randrange(1, 60 * KIB))
        file = loads.call(os.open, writer / name / key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        check_equal(loads.call(os.write, file, data), len(data), "what was written")
        seen = loads.call((reader / name / key).read_bytes)
        loads.call(os.close, file)
        was = "what was there before" if seen == model.get(key, b"") else "empty" if not seen else "something else"
        check(seen == data, f"{name}/{key} is {was} ({len(seen)} bytes), and not the {len(data)} bytes that another mount "
                            f"has written, {time.time()}")
        model[key] = data
    for reader in loads.mounts:
        check_names(reader / name, set(model))
    for key, data in model.items():
        loads.final[f"{name}/{key}"] = data
