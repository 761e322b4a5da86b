#!/usr/bin/env python3
"""Runs seeds twice, in processes that share nothing, and expects the same to happen.

    replay_test.py DFS_SIM FIRST COUNT

Once each seed by itself and once all of them in a row, and once without a word: neither
what was run before, nor where things lie in memory, nor whether it is told may matter.
"""

import subprocess
import sys

LONGEST_S = 300


def told(program, seed, count, *how):
    line = [program, "--seed", str(seed), "--seeds", str(count), "--keep-going", *how]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LONGEST_S, check=False)
    return done.stdout.decode().splitlines()


def main():
    program, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    *in_a_row, counted = told(program, first, count, "--verbose")
    one_by_one = [line for seed in range(first, first + count) for line in told(program, seed, 1, "--verbose")[:-1]]
    *_, counted_silently = told(program, first, count)
    if counted != counted_silently:
        print(f"with a word\n  {counted}\nand without\n  {counted_silently}")
        return 1
    for number, (one, other) in enumerate(zip(in_a_row, one_by_one)):
        if one != other:
            print(f"line {number + 1} once is\n  {one}\nand once\n  {other}")
            return 1
    if len(in_a_row) != len(one_by_one):
        print(f"once {len(in_a_row)} lines are told and once {len(one_by_one)}")
        return 1
    if len(in_a_row) < 50 * count:
        print(f"only {len(in_a_row)} lines are told")
        return 1
    print(f"{len(in_a_row)} lines of {count} seeds are the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
