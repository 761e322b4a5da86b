#!/usr/bin/env python3
"""compare.py: put two or more fsbench reports side by side, as ratios.

    compare.py --base NAME=REPORT.json ... --ours NAME=REPORT.json [--targets TARGETS.json]

Each report is what fsbench.py printed for one file system in the same run on
the same machine. Several reports of one NAME are several runs: the median is
taken. The output is a Markdown table: the figure of every NAME, and ours
divided by the first base. With --targets a file {"default": 1.0, "FIGURE":
ratio, ...} marks what misses its target. Judges nothing: the exit status is 0
unless a report cannot be read.
"""

import argparse
import fnmatch
import json
import statistics
import sys


def load(pairs):
    columns = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if not path:
            sys.exit(f"compare.py: {pair!r} is not NAME=REPORT.json")
        try:
            with open(path) as f:
                report = json.load(f)
        except (OSError, ValueError) as e:
            sys.exit(f"compare.py: {path}: {e}")
        columns.setdefault(name, []).append(report)
    return columns


def median(reports, figure):
    values = [r["figures"][figure]["value"] for r in reports if figure in r["figures"]]
    return statistics.median(values) if values else None


def failed(reports, figure):
    return any(e["figure"] == figure for r in reports for e in r["errors"])


def number(value):
    if value is None:
        return "-"
    if value >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def target_of(targets, figure):
    best = targets.get("default")
    for pattern, ratio in targets.items():
        if pattern != "default" and fnmatch.fnmatchcase(figure, pattern):
            best = ratio
    return best


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--base", action="append", default=[], metavar="NAME=REPORT.json")
    ap.add_argument("--ours", action="append", default=[], metavar="NAME=REPORT.json")
    ap.add_argument("--targets", metavar="FILE")
    args = ap.parse_args()
    bases, ours = load(args.base), load(args.ours)
    if len(ours) != 1:
        sys.exit("compare.py: exactly one NAME in --ours, please")
    targets = {}
    if args.targets:
        with open(args.targets) as f:
            targets = json.load(f)
    (our_name, our_reports), = ours.items()
    figures, units = [], {}
    for report in our_reports + [r for reports in bases.values() for r in reports]:
        for name, figure in report["figures"].items():
            if name not in units:
                figures.append(name)
                units[name] = figure["unit"]
    first = next(iter(bases), None)
    print(f"| figure | unit | {our_name} | " + " | ".join(bases) +
          (f" | {our_name} / {first} | at least |" if first else " |"))
    print("|---|---|---:|" + "---:|" * len(bases) + ("---:|---:|" if first else ""))
    missed = 0
    for figure in figures:
        mine = median(our_reports, figure)
        row = [figure, units[figure],
               number(mine) + ("!" if failed(our_reports, figure) else "")]
        row += [number(median(reports, figure)) for reports in bases.values()]
        if first:
            other = median(bases[first], figure)
            ratio = mine / other if mine is not None and other else None
            target = target_of(targets, figure)
            mark = ""
            if ratio is not None and target is not None and ratio < target:
                mark, missed = " **misses**", missed + 1
            row += [f"{ratio:.2f}{mark}" if ratio is not None else "-",
                    f"{target}" if target is not None else ""]
        print("| " + " | ".join(row) + " |")
    if first and targets:
        print(f"\n{missed} of {len(figures)} figures miss their target.")


if __name__ == "__main__":
    main()
