"""The programs of sharing.py: each is a process that works at random on one
mount, beside others on others, and writes down what it was told, as
tests/history/operation.h says.
"""

import errno
import json
import mmap
import os
import struct
import time

from harness import check, check_equal

BLOCK = 4096
NUMBER = struct.Struct("<II")  # who wrote it, and the how manieth of its writes it is
RECORD_START = b"<"
RECORD_END = b">\n"


def in_full(descriptor, data, offset=None):
    """write(2) or pwrite(2), which may not be cut short."""
    count = os.write(descriptor, data) if offset is None else os.pwrite(descriptor, data, offset)
    check_equal(count, len(data), "bytes written at once")


class Agent:
    """`mount` and `number` say who it is; `top` is the shared directory as its mount shows it."""

    def __init__(self, mount, number, top, dice):
        self.mount, self.number, self.top, self.dice = mount, number, top, dice
        self.lines = []

    def ask(self, kind, at, call, *arguments, **facts):
        """Does it and notes what came of it; the line may be completed afterwards."""
        line = {"client": f"mount{self.mount + 1}.{self.number}", "kind": kind, "object": at, **facts}
        result = None
        line["begun"] = time.monotonic_ns()
        try:
            result = call(*arguments)
        except FileExistsError:
            line["answer"] = "exists"
        except FileNotFoundError:
            line["answer"] = "not_found"
        line["ended"] = time.monotonic_ns()
        self.lines.append(line)
        return line, result

    def forget_last(self):
        """What was told last says nothing."""
        self.lines.pop()

    def step(self):
        raise NotImplementedError

    def finish(self):
        """After the last step of all agents, for what is to be seen then."""

    def work(self, start, seconds, history):
        """Steps in bursts and with pauses, from `start` (of time.monotonic()) on."""
        time.sleep(max(0.0, start - time.monotonic()))
        while time.monotonic() < start + seconds:
            self.step()
            if self.dice.random() < 0.3:
                time.sleep(self.dice.random() * 0.002)
        time.sleep(max(0.0, start + seconds + 0.3 - time.monotonic()))
        self.finish()
        with open(history, "a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in self.lines)
        return f"{len(self.lines)} operations"


# --- the contents of files -----------------------------------------------------------


class BlockAgent(Agent):
    """Writes and reads blocks of one file, in several ways.

    A block is one number many times over. Linux copies pages without a lock, so
    beside a write of its own mount a read may see a part of it: that read is
    left out. Beside writes of others it may not.
    """

    BLOCKS = 3

    def __init__(self, *who, ways, mounts):
        super().__init__(*who)
        self.ways, self.mounts = ways, mounts
        self.path = self.top / "blocks"
        self.written = 0
        self.kept = self.direct = self.view = None

    @classmethod
    def prepare(cls, top):
        descriptor = os.open(top / "blocks", os.O_CREAT | os.O_WRONLY, 0o644)
        in_full(descriptor, bytes(cls.BLOCKS * BLOCK))
        os.close(descriptor)

    def step(self):
        if self.kept is None:
            self.kept = os.open(self.path, os.O_RDWR)
            self.direct = os.open(self.path, os.O_RDWR | os.O_DIRECT)
            self.view = mmap.mmap(self.kept, self.BLOCKS * BLOCK, prot=mmap.PROT_READ)
        block = self.dice.randrange(self.BLOCKS)
        way = self.dice.choice(self.ways)
        if self.dice.random() < 0.4:
            self.write(block, way)
        else:
            self.read(block, way)

    def finish(self):
        for block in range(self.BLOCKS):
            for way in self.ways:
                self.read(block, way)

    def write(self, block, way):
        self.written += 1
        data = NUMBER.pack(self.number, self.written) * (BLOCK // NUMBER.size)

        def anew():
            descriptor = os.open(self.path, os.O_WRONLY)
            in_full(descriptor, data, block * BLOCK)
            os.close(descriptor)

        value = f"{self.number}.{self.written}"
        if way == "anew":
            self.ask("write", f"block {block}", anew, value=value)
        else:
            descriptor = self.direct if way == "direct" else self.kept
            self.ask("write", f"block {block}", in_full, descriptor, data, block * BLOCK, value=value)

    def read(self, block, way):
        def anew():
            descriptor = os.open(self.path, os.O_RDONLY)
            data = os.pread(descriptor, BLOCK, block * BLOCK)
            os.close(descriptor)
            return data

        def mapped():
            return self.view[block * BLOCK:block * BLOCK + NUMBER.size]

        if way in ("anew", "mapped"):
            line, data = self.ask("read", f"block {block}", anew if way == "anew" else mapped)
        else:
            descriptor = self.direct if way == "direct" else self.kept
            line, data = self.ask("read", f"block {block}", os.pread, descriptor, BLOCK, block * BLOCK)
        if way != "mapped":
            check_equal(len(data), BLOCK, "bytes of a block")
        numbers = {NUMBER.unpack(data)} if way == "mapped" else set(NUMBER.iter_unpack(data))
        line["value"] = " and ".join(f"{agent}.{count}" if agent else "" for agent, count in sorted(numbers))
        if len(numbers) > 1 and any((agent - 1) % self.mounts == self.mount for agent, _ in numbers):
            self.forget_last()


class ReplaceAgent(Agent):
    """Replaces a file by another, as editors do, and reads it."""

    def __init__(self, *who):
        super().__init__(*who)
        self.path, self.written, self.stale = self.top / "replaced", 0, 0

    @staticmethod
    def prepare(top):
        (top / "replaced").write_bytes(b"")

    def step(self):
        if self.dice.random() < 0.3:
            self.written += 1
            value = f"{self.number}.{self.written}"
            self.ask("write", "replaced", self.replace, value.encode() * self.dice.choice((1, 500, 3000)), value=value)
        else:
            self.look()

    def finish(self):
        self.look()

    def replace(self, data):
        new = self.top / f"new-{self.number}"
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        in_full(descriptor, data)
        os.close(descriptor)
        os.rename(new, self.path)

    def look(self):
        line, data = self.ask("read", "replaced", self.bytes_of_it)
        check(data is not None, "a name that is replaced was missing")
        words = data.decode()
        count = next((count for count in (3000, 500, 1)
                      if len(words) % count == 0 and words == words[:len(words) // count] * count), None)
        line["value"] = f"a part: {words[:60]!r}" if count is None else words[:len(words) // count]


    def bytes_of_it(self):
        """Linux tries a stale name once more; where it is replaced all the time that may not be enough."""
        while True:
            try:
                return self.path.read_bytes()
            except OSError as problem:
                if problem.errno != errno.ESTALE:
                    raise
                self.stale += 1

    def work(self, *when):
        told = super().work(*when)
        return f"{told}, {self.stale} times stale" if self.stale else told


class AppendAgent(Agent):
    """Appends records to a log, and reads it: all of it, or what has come since."""

    APPENDS_MAX = 250  # of each; every read tells all of them

    def __init__(self, *who, appends, follows):
        super().__init__(*who)
        self.appends, self.follows = appends, follows
        self.path = self.top / "log"
        self.descriptor = None
        self.appended = 0
        self.seen = b""

    @staticmethod
    def prepare(top):
        (top / "log").write_bytes(b"")

    def step(self):
        if self.descriptor is None:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
        if self.appends and self.appended < self.APPENDS_MAX and self.dice.random() < 0.9:
            self.append()
        else:
            self.read()
            time.sleep(self.dice.random() * 0.01)

    def finish(self):
        self.read()

    def append(self):
        self.appended += 1
        value = f"{self.number}.{self.appended}"
        data = RECORD_START + value.encode().ljust(self.dice.randrange(16, 300), b"-") + RECORD_END
        self.ask("append", "log", in_full, self.descriptor, data, value=value)

    def read(self):
        line, data = self.ask("read_log", "log", self.rest if self.follows else self.path.read_bytes)
        self.seen = self.seen + data if self.follows else data
        line["values"] = self.records(self.seen)

    def rest(self):
        parts = [self.seen[:0]]
        while part := os.pread(self.descriptor, 1 << 20, len(self.seen) + sum(map(len, parts))):
            parts.append(part)
        return b"".join(parts)

    @staticmethod
    def records(data):
        """The records' values; what is none is told as it is."""
        *whole, rest = data.split(RECORD_END)
        told = [part[1:].rstrip(b"-").decode() if part.startswith(RECORD_START) else f"not a record: {part[:60]!r}"
                for part in whole]
        return told + ([f"not all of a record: {rest[:60]!r}"] if rest else [])


# --- names ---------------------------------------------------------------------------------


class NameAgent(Agent):
    """Makes, removes, moves and looks for few names in two directories."""

    DIRECTORIES = ("d0", "d1")
    NAMES = ("a", "b", "c")

    def __init__(self, *who, kinds):
        super().__init__(*who)
        self.kinds = kinds

    @classmethod
    def prepare(cls, top):
        for directory in cls.DIRECTORIES:
            (top / directory).mkdir()

    def step(self):
        getattr(self, self.dice.choice(self.kinds))(self.dice.choice(self.DIRECTORIES), self.dice.choice(self.NAMES))

    def finish(self):
        for directory in self.DIRECTORIES:
            self.list(directory, None)
            for name in self.NAMES:
                self.lookup(directory, name)

    def create(self, directory, name):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        line, descriptor = self.ask("create", directory, os.open, self.top / directory / name, flags, 0o644, name=name)
        if descriptor is not None:
            line["value"] = str(os.fstat(descriptor).st_ino)
            os.close(descriptor)

    def unlink(self, directory, name):
        self.ask("unlink", directory, os.unlink, self.top / directory / name, name=name)

    def rename(self, directory, name):
        # Each has a name of its own that it moves others to. Linux does nothing when both names lead to one
        # file, and would find that after another's rename from the one to the other.
        places = [(each, one) for each in self.DIRECTORIES for one in self.NAMES]
        to_directory, to_name = places[self.number % len(places)]
        self.ask("rename", directory, os.rename, self.top / directory / name, self.top / to_directory / to_name,
                 name=name, to_object=to_directory, to_name=to_name)

    def lookup(self, directory, name):
        line, facts = self.ask("lookup", directory, os.stat, self.top / directory / name, name=name)
        if facts is not None:
            line["value"] = str(facts.st_ino)

    def list(self, directory, _):
        line, names = self.ask("list", directory, os.listdir, self.top / directory)
        line["values"] = names


class LockFileAgent(Agent):
    """Counts in a file, each time under a lock that is a name made with O_EXCL."""

    def __init__(self, *who):
        super().__init__(*who)
        self.lock, self.counter = self.top / "lock", self.top / "counter"

    @staticmethod
    def prepare(top):
        (top / "counter").write_bytes(b"")

    def step(self):
        line, descriptor = self.ask("create", "locks", os.open, self.lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY,
                                    name="lock")
        if descriptor is None:
            return
        line["value"] = str(os.fstat(descriptor).st_ino)
        os.close(descriptor)
        line, data = self.ask("read", "counter", self.counter.read_bytes)
        line["value"] = data.decode()
        number = str(int(data or b"0") + 1)
        self.ask("write", "counter", self.counter.write_bytes, number.encode(), value=number)
        line, _ = self.ask("unlink", "locks", os.unlink, self.lock, name="lock")
        check(line.get("answer", "ok") == "ok", "the lock was gone")
