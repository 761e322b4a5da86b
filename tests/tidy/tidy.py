#!/usr/bin/env python3
"""Reads the sources of dfs and says which rules of the house they break.

    tidy.py ROOT

One line per violation, "file:line: what is wrong and what would be right";
exit code 1 if there is any. The rules are the tables below; each has a planted
violation in tidy_test.py.
"""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

# What stands at the top of the repository, besides dotfiles.
TOP_LEVEL = {"CMakeLists.txt", "README.md", "common", "fuse", "packaging", "proto", "server", "tests"}
ROOMS_OF_COMMON = {"base", "client", "kv", "rpc"}

# Where each outside library may be included: its headers, its homes.
LIBRARY_HOMES = [
    ("libfuse", r"^(fuse3/|fuse\.h$|fuse_)", [r"^fuse/(?!cli/)"]),
    ("RocksDB", r"^rocksdb/", [r"^common/kv/"]),
    ("toml++", r"^toml(\+\+/|\.hpp$)", [r"^common/base/config_file\.cc$"]),
    ("prometheus-cpp", r"^prometheus/", [r"^common/base/metrics\.cc$"]),
    ("spdlog", r"^spdlog/", [r"^common/base/log\.cc$"]),
    ("xxHash", r"^xxh", [r"^common/base/checksum\.cc$"]),
    ("the HTTP library", r"^httplib", [r"^server/gateway/http_server\.cc$"]),
    ("gRPC", r"^(grpc|grpcpp|grpc\+\+|grpc_[a-z]+)/|\.grpc\.pb\.h$",
     [r"^common/rpc/", r"_service\.(h|cc)$", r"^server/daemon/"]),
    ("protobuf", r"^google/protobuf/|\.pb\.h$",
     [r"^common/rpc/", r"_service\.(h|cc)$", r"^server/meta/store/"]),
]

# Rooms that must not see gRPC or protobuf through any header either. Doors, the
# wiring that makes them and what is stored as a record are the way between. On a
# storage server bytes stay in gRPC's slices up to the chunk store's edge.
SHIELDED = re.compile(r"^(common/client/|fuse/|server/meta/"
                      r"|server/storage/(chunk_|segment|disk|posix_disk|record|recovery|scrubber|syncer|uploads))")
NOT_SHIELDED = re.compile(r"(_service|_server|/main)\.(h|cc)$|^server/meta/store/|^server/meta/core/reply_codec\.cc$")

# Which rooms a room may include. The first row that matches a file is its row.
ARROWS = [
    (r"^common/base/", ["common/base/"]),
    (r"^common/kv/", ["common/kv/", "common/base/"]),
    (r"^common/rpc/", ["common/rpc/", "common/base/", "dfs/v1/"]),
    (r"^common/client/", ["common/client/", "common/rpc/", "common/base/"]),
    (r"^fuse/cli/", ["fuse/cli/", "fuse/mounts/", "common/client/", "common/rpc/", "common/base/"]),
    (r"^fuse/", ["fuse/", "common/client/", "common/rpc/", "common/base/"]),
    (r"^server/daemon/", ["server/daemon/", "common/rpc/", "common/base/"]),
    (r"^server/meta/store/", ["server/meta/store/", "common/kv/", "common/rpc/", "common/base/", "dfs/v1/"]),
    (r"^server/meta/ops/", ["server/meta/ops/", "server/meta/store/", "common/kv/", "common/rpc/", "common/base/"]),
    (r"^server/meta/", ["server/meta/", "server/daemon/", "common/kv/", "common/rpc/", "common/base/", "dfs/v1/"]),
    (r"^server/storage/", ["server/storage/", "server/daemon/", "common/kv/", "common/rpc/", "common/base/", "dfs/v1/"]),
    (r"^server/gateway/", ["server/gateway/", "server/daemon/", "common/client/", "common/rpc/", "common/base/"]),
]

# What a target defined in a folder must not link: the same arrows, for CMake.
FORBIDDEN_LINKS = [
    (r"^common/base/", r"dfs::(?!base\b)"),
    (r"^common/kv/", r"dfs::(?!(base|kv)\b)"),
    (r"^common/rpc/", r"dfs::(?!(base|proto|rpc|operations)\b)"),
    (r"^common/client/", r"dfs::(?!(base|rpc|client|operations)\b)"),
    (r"^fuse/", r"dfs::(kv|proto|daemon|meta|storage|chunk_store|gateway)\w*"),
    (r"^server/meta/", r"dfs::(client|storage|chunk_store|gateway|fuse)\w*"),
    (r"^server/storage/", r"dfs::(client|meta|gateway|fuse)\w*"),
    (r"^server/gateway/", r"dfs::(kv|proto|meta|storage|chunk_store|fuse)\w*"),
    (r"^(?!common/kv/)", r"PkgConfig::ROCKSDB"),
    (r"^(?!fuse/)", r"PkgConfig::FUSE3"),
    (r"^(?!common/base/)", r"PkgConfig::(TOMLPP|XXHASH|SPDLOG)|prometheus-cpp::\w+"),
    (r"^(?!(common/rpc|proto|server/daemon)/)", r"PkgConfig::GRPC"),
]

LINES_MAX = 600

# Folders that need a README.md if they hold sources.
ROOMS = re.compile(r"^(common/[^/]+|server/[^/]+|fuse|fuse/cli|proto|packaging|tests|tests/(bench|mount|tidy))$")

SOURCE = re.compile(r"\.(h|cc)$")
TEXT = re.compile(r"\.(h|cc|py|sh|txt|cmake|md|proto|toml|service|ya?ml)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
THIS_MACHINE = re.compile(r"(?<![\w.])/" + r"work/\w")
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(")
# TRY as a part of a larger expression: an early return would skip destructors.
NESTED_TRY = re.compile(r"([(,+*/!<>&|?:-]\s*|(?<![\w\])])\.\w+\s*=\s*|\{)TRY\(")


@dataclass(frozen=True)
class Violation:
    path: str
    line: int
    text: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(frozen=True)
class Include:
    line: int
    name: str
    is_quoted: bool


def repository_files(root):
    """Paths of all files, relative to `root`, without dotfiles and build trees."""
    found = []
    for folder, folders, files in os.walk(root):
        is_top = Path(folder) == Path(root)
        folders[:] = sorted(name for name in folders
                            if not name.startswith(".") and name != "__pycache__"
                            and not (is_top and name.startswith("build")))
        found += [str((Path(folder) / name).relative_to(root)) for name in sorted(files) if not name.startswith(".")]
    return found


class Tree:
    """The repository's files with their lines, read once."""

    def __init__(self, root):
        self.root = Path(root)
        self.paths = repository_files(root)
        self.lines = {path: self._read(path) for path in self.paths if self._is_text(path)}
        self.includes = {path: list(self._includes(path)) for path in self.paths if SOURCE.search(path)}

    def _is_text(self, path):
        if TEXT.search(path):
            return True
        is_small = (self.root / path).stat().st_size < 1 << 20
        return is_small and (self.root / path).read_bytes()[:2] == b"#!"

    def _read(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace").splitlines()

    def _includes(self, path):
        for number, line in enumerate(self.lines[path], 1):
            if match := INCLUDE.match(line):
                yield Include(number, match.group(2), match.group(1) == '"')


def check_top_level(tree):
    for name in sorted({path.split("/")[0] for path in tree.paths} - TOP_LEVEL):
        yield Violation(name, 0, f"the top level holds only {', '.join(sorted(TOP_LEVEL))}")
    rooms = {path.split("/")[1] for path in tree.paths if path.startswith("common/") and path.count("/") > 1}
    for name in sorted(rooms - ROOMS_OF_COMMON):
        yield Violation(f"common/{name}", 0, f"common/ has exactly the rooms {', '.join(sorted(ROOMS_OF_COMMON))}")


def check_library_homes(tree):
    for path, includes in tree.includes.items():
        if path.startswith("tests/"):
            continue
        for include in includes:
            for library, headers, homes in LIBRARY_HOMES:
                if re.search(headers, include.name) and not any(re.search(home, path) for home in homes):
                    yield Violation(path, include.line, f"includes {include.name}, but {library} is not at home here")


def check_arrows(tree):
    for path, includes in tree.includes.items():
        for include in includes:
            if not include.is_quoted:
                continue
            if include.name.startswith("tests/") and not path.startswith("tests/"):
                yield Violation(path, include.line, f"includes {include.name}: the product does not know its tests")
            elif not re.match(r"(common|server|fuse|tests|dfs/v1)/", include.name):
                yield Violation(path, include.line, f"includes {include.name}: write the path from the top of the tree")
            elif not path.startswith("tests/"):
                yield from check_arrow(path, include)


def check_arrow(path, include):
    for files, allowed in ARROWS:
        if not re.search(files, path):
            continue
        if not any(include.name.startswith(room) for room in allowed):
            yield Violation(path, include.line,
                            f"includes {include.name}, but may include only {', '.join(allowed)}")
        return
    yield Violation(path, include.line, "belongs to no room that tidy.py knows; add its arrows there")


def check_shields(tree):
    """No way through headers from a shielded file to gRPC or protobuf."""
    foreign = [headers for library, headers, _ in LIBRARY_HOMES if library in ("gRPC", "protobuf")]

    def way_out(header, visited):
        for include in tree.includes.get(header, []):
            if any(re.search(headers, include.name) for headers in foreign):
                return [header, include.name]
            if include.name not in visited:
                visited.add(include.name)
                if way := way_out(include.name, visited):
                    return [header] + way
        return None

    for path, includes in tree.includes.items():
        if not SHIELDED.search(path) or NOT_SHIELDED.search(path):
            continue
        for include in includes:
            if include.is_quoted and (way := way_out(include.name, {include.name})):
                yield Violation(path, include.line, f"sees gRPC or protobuf through {' -> '.join(way)}")


def check_links(tree):
    for path, lines in tree.lines.items():
        if not path.endswith("CMakeLists.txt") or "/" not in path or path.startswith("tests/"):
            continue
        for number, line in linked_lines(lines):
            for files, forbidden in FORBIDDEN_LINKS:
                if re.search(files, path) and (match := re.search(forbidden, line)):
                    yield Violation(path, number, f"links {match.group(0)}, which this room must not know")


def linked_lines(lines):
    """The lines inside target_link_libraries(...), numbered, without comments."""
    depth = 0
    for number, line in enumerate(lines, 1):
        line = line.split("#")[0]
        if depth == 0 and "target_link_libraries" not in line:
            continue
        yield number, line
        depth += line.count("(") - line.count(")")


def check_size(tree):
    for path in tree.includes:
        count = len(tree.lines[path])
        if count > LINES_MAX:
            yield Violation(path, count, f"has {count} lines, more than {LINES_MAX}; which noun wants a file of its own?")


def check_readmes(tree):
    folders = {str(parent) for path in tree.paths if not path.endswith("CMakeLists.txt")
               for parent in Path(path).parents}
    for folder in sorted(folders):
        if ROOMS.match(folder) and f"{folder}/README.md" not in tree.paths:
            yield Violation(folder, 0, "is a room without a README.md")


def check_words(tree):
    for path, lines in tree.lines.items():
        for number, line in enumerate(lines, 1):
            if match := UNFINISHED.search(line):
                yield Violation(path, number, f"says {match.group(0)}: finish it, or open an issue")
            if match := THIS_MACHINE.search(line):
                yield Violation(path, number, f"names a path of one machine, {match.group(0)}...")


def check_sources(tree):
    for path in tree.includes:
        # Those of the simulation sleep in a time of its own.
        is_unit_test = path.startswith("tests/unit/") and not path.startswith("tests/unit/sim/")
        for number, line in enumerate(tree.lines[path], 1):
            code = line.split("//")[0]
            if is_unit_test and SLEEP.search(code):
                yield Violation(path, number, "a unit test never sleeps: hand the time in")
            if NESTED_TRY.search(code) and "#define" not in code:
                yield Violation(path, number, "TRY stands alone on a line, not inside an expression")
        if path.endswith(".h") and "#pragma once" not in tree.lines[path]:
            yield Violation(path, 1, "a header starts with #pragma once")


CHECKS = [check_top_level, check_library_homes, check_arrows, check_shields, check_links, check_size,
          check_readmes, check_words, check_sources]


def violations(root):
    tree = Tree(root)
    return [violation for check in CHECKS for violation in check(tree)]


def main(arguments):
    if len(arguments) != 2 or not Path(arguments[1], "CMakeLists.txt").is_file():
        print("usage: tidy.py ROOT   (the folder with the top CMakeLists.txt)", file=sys.stderr)
        return 2
    found = violations(arguments[1])
    for violation in found:
        print(violation)
    print(f"{len(found)} violations" if found else "the house rules hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
