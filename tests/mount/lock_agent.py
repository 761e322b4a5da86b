#!/usr/bin/env python3
"""A program that locks one file, as it is told: lock_agent.py FILE

Each line of stdin is a command, and each is answered by one line: "ok" (or
what was asked for), or the errno's name. SIGUSR1 ends a wait with EINTR.

  posix|ofd|flock  ex|sh|un  START LENGTH  wait|try      (flock: START LENGTH are not used)
  getlk posix|ofd START LENGTH  "free", or "KIND START LENGTH" of what is in the way
  read START LENGTH  |  write START TEXT  |  size
  add COUNT KIND                adds 1 to the number in the file so often, each time under a lock
  reopen                        closes a second descriptor of the file
"""

import errno
import fcntl
import os
import signal
import struct
import sys

from harness import error_name

FLOCK = struct.Struct("hhqqi4x")  # struct flock of x86-64
TYPES = {"ex": fcntl.F_WRLCK, "sh": fcntl.F_RDLCK, "un": fcntl.F_UNLCK}
WHOLE = {"ex": fcntl.LOCK_EX, "sh": fcntl.LOCK_SH, "un": fcntl.LOCK_UN}


def interrupted(number, frame):
    raise InterruptedError(errno.EINTR, "as it was told")


def lock(descriptor, family, kind, start, length, patience):
    waits = patience == "wait"
    if family == "flock":
        fcntl.flock(descriptor, WHOLE[kind] | (0 if waits else fcntl.LOCK_NB))
        return
    command = {("posix", True): fcntl.F_SETLKW, ("posix", False): fcntl.F_SETLK,
               ("ofd", True): fcntl.F_OFD_SETLKW, ("ofd", False): fcntl.F_OFD_SETLK}[family, waits]
    fcntl.fcntl(descriptor, command, FLOCK.pack(TYPES[kind], os.SEEK_SET, int(start), int(length), 0))


def in_the_way(descriptor, family, start, length):
    asked = FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, int(start), int(length), 0)
    command = {"posix": fcntl.F_GETLK, "ofd": fcntl.F_OFD_GETLK}[family]
    kind, _, start, length, _ = FLOCK.unpack(fcntl.fcntl(descriptor, command, asked))
    names = {number: name for name, number in TYPES.items()}
    return "free" if kind == fcntl.F_UNLCK else f"{names[kind]} {start} {length}"


def add(descriptor, count, family):
    for _ in range(int(count)):
        lock(descriptor, family, "ex", 0, 0, "wait")
        number = int(os.pread(descriptor, 20, 0) or b"0")
        os.pwrite(descriptor, b"%020d" % (number + 1), 0)
        lock(descriptor, family, "un", 0, 0, "try")


def obey(descriptor, path, words):
    if words[0] in ("posix", "ofd", "flock"):
        lock(descriptor, *words)
    elif words[0] == "getlk":
        return in_the_way(descriptor, *words[1:])
    elif words[0] == "read":
        return os.pread(descriptor, int(words[2]), int(words[1])).decode()
    elif words[0] == "write":
        os.pwrite(descriptor, words[2].encode(), int(words[1]))
    elif words[0] == "size":
        return str(os.fstat(descriptor).st_size)
    elif words[0] == "add":
        add(descriptor, *words[1:])
    elif words[0] == "reopen":
        os.close(os.open(path, os.O_RDONLY))
    else:
        raise ValueError(words)
    return "ok"


def main():
    path = sys.argv[1]
    descriptor = os.open(path, os.O_RDWR)
    signal.signal(signal.SIGUSR1, interrupted)
    print("ok", flush=True)
    for line in sys.stdin:
        try:
            answer = obey(descriptor, path, line.split())
        except OSError as problem:
            answer = error_name(problem.errno)
        print(answer, flush=True)


if __name__ == "__main__":
    main()
