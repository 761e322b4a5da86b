#!/usr/bin/env python3
"""Compares the tests that CMakeLists.txt registers with those there are, and
with those that the READMEs name: check_registered.py MODULE.FUNCTION...

A test is a public function whose only parameter is `space`. A README writes
`mount.module.function`, or the beginning of it and "..." or "*"; `.function`
after it in the same line is of the same module.
"""

import ast
import pathlib
import re
import sys

NAMED = re.compile(r"`(?:mount\.([a-z_]+))?\.([a-z_0-9]*?)(_?\.\.\.|_?\*|)`")


def tests_in(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and ast.unparse(node.args) == "space":
            yield f"{path.stem}.{node.name}"


def named_in(readme):
    """(line number, the beginning of the test's name, whether that is all of it)"""
    for number, line in enumerate(readme.read_text().splitlines(), 1):
        module = None
        for match in NAMED.finditer(line):
            module = match[1] or module
            if module:
                yield number, f"{module}.{match[2]}", not match[3]


def main():
    directory = pathlib.Path(__file__).parent
    top = directory.parent.parent
    there = {name for path in directory.glob("*.py") for name in tests_in(path)}
    registered = set(sys.argv[1:])
    wrong = [f"{name} is not registered in CMakeLists.txt" for name in sorted(there - registered)]
    wrong += [f"{name} is registered but does not exist" for name in sorted(registered - there)]
    rooms = ("common", "fuse", "packaging", "proto", "server", "tests")
    for readme in [top / "README.md", *(path for room in rooms for path in sorted((top / room).rglob("README.md")))]:
        for number, name, whole in named_in(readme):
            if not (name in there if whole else any(test.startswith(name) for test in there)):
                wrong.append(f"{readme.relative_to(top)}:{number} names mount.{name}, which is no test")
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
