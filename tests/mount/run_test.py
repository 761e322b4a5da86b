#!/usr/bin/env python3
"""Runs one test: run_test.py MODULE FUNCTION SECONDS

The build directory comes from DFS_BUILD; DFS_TEST_TMP says where the test's
directory is made (/var/tmp: it should be a real disk).
"""

import importlib
import os
import pathlib
import signal
import sys
import tempfile
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import harness  # noqa: E402


def in_child(module, function, directory):
    """Never returns: the exit code says how the test went."""
    os.setsid()
    code = 1
    try:
        test = getattr(importlib.import_module(module), function)
        test(harness.Workspace(directory))
        code = 0
    except harness.Failed as failure:
        traceback.print_exc(limit=-3)
        print(f"FAILED: {failure}", flush=True)
    except BaseException:  # whatever it is, the parent must hear of it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_for(pid, seconds):
    """The child's exit code, or None if it is still there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    return None


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    module, function, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    parent = os.environ.get("DFS_TEST_TMP", "/var/tmp")
    directory = tempfile.mkdtemp(prefix="dfs-mount-test-", dir=parent)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        in_child(module, function, directory)

    code = wait_for(child, seconds)
    if code is None:
        print(f"FAILED: not over after {seconds:.0f} s", flush=True)
    if code != 0:
        harness.print_logs(directory)
    kill_group(child)
    left = harness.clean_up(directory)
    if code is None:
        wait_for(child, 20)  # it may have hung in a mount that is gone now
    if code == 0 and left:
        print(f"FAILED: the test left behind {left}", flush=True)
        code = 1
    print(f"{module}.{function}: {'passed' if code == 0 else 'failed'} "
          f"in {time.monotonic() - started:.1f} s", flush=True)
    sys.exit(0 if code == 0 else 1)


if __name__ == "__main__":
    main()
