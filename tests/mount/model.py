"""The random operations of tests/model, on a mount and on a local directory."""

import os

from harness import KIB, Failed, program, run

STEPS = 26_000  # of each seed; four of them make more than 100,000 operations


def run_seed(space, seed):
    with space.cluster(servers=2, replicas=1, chunk_size="64KiB") as cluster:
        space.path("local").mkdir()
        done = run(program("dfs-model"), "--seed", seed, "--steps", os.environ.get("DFS_MODEL_STEPS", STEPS),
                   "--chunk", 64 * KIB, space.path("local"), cluster.mount, timeout=None, ok=None)
        print(done.stdout.decode(errors="replace"), end="", flush=True)
        if done.returncode != 0:
            raise Failed(f"the mount is not like a local directory {done.stderr.decode(errors='replace')}")


def seed_one_is_as_on_a_local_disk(space):
    run_seed(space, 1)


def seed_two_is_as_on_a_local_disk(space):
    run_seed(space, 2)


def seed_three_is_as_on_a_local_disk(space):
    run_seed(space, 3)


def seed_four_is_as_on_a_local_disk(space):
    run_seed(space, 4)
