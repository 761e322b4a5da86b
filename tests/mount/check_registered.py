#!/usr/bin/env python3
"""Compares the tests that CMakeLists.txt registers with those there are:
check_registered.py MODULE.FUNCTION...

A test is a public function whose only parameter is `space`.
"""

import ast
import pathlib
import sys


def tests_in(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and [argument.arg for argument in node.args.args] == ["space"]:
            yield f"{path.stem}.{node.name}"


def main():
    directory = pathlib.Path(__file__).parent
    there = {name for path in directory.glob("*.py") for name in tests_in(path)}
    registered = set(sys.argv[1:])
    for name in sorted(there - registered):
        print(f"{name} is not registered in CMakeLists.txt")
    for name in sorted(registered - there):
        print(f"{name} is registered but does not exist")
    sys.exit(0 if there == registered else 1)


if __name__ == "__main__":
    main()
