#!/usr/bin/env python3
"""Plants one violation of each rule in a small clean tree and expects it to be found."""

import tempfile
import unittest
from pathlib import Path

import tidy

CLEAN = {
    "CMakeLists.txt": "project(dfs)\n",
    "README.md": "dfs\n",
    ".gitignore": "/build*/\n",
    "build/generated.cc": "// TO" "DO not ours\n",
    "common/base/README.md": "base\n",
    "common/base/result.h": "#pragma once\n#include <string>\n",
    "common/base/log.cc": '#include "common/base/result.h"\n#include <spdlog/logger.h>\n',
    "common/rpc/README.md": "rpc\n",
    "common/rpc/types.h": '#pragma once\n#include "common/base/result.h"\n',
    "common/rpc/convert.h": '#pragma once\n#include "common/rpc/types.h"\n#include "dfs/v1/meta.pb.h"\n',
    "common/client/README.md": "client\n",
    "common/client/file_system.h": '#pragma once\n#include "common/rpc/types.h"\n',
    "common/client/CMakeLists.txt": "target_link_libraries(dfs_client PUBLIC dfs::base dfs::rpc)\n",
    "server/meta/README.md": "meta\n",
    "server/meta/meta_service.cc": '#include "common/rpc/convert.h"\n#include <grpcpp/server.h>\n',
    "server/meta/CMakeLists.txt": "target_link_libraries(dfs_meta PUBLIC dfs::base\n  PRIVATE dfs::rpc)\n",
    "tests/README.md": "tests\n",
    "tests/unit/server/meta/x_test.cc": '#include "server/meta/meta_service.h"\n#include <rocksdb/db.h>\n',
}


class Tidy(unittest.TestCase):
    def found(self, planted):
        with tempfile.TemporaryDirectory() as root:
            for path, text in {**CLEAN, **planted}.items():
                if text is not None:
                    file = Path(root, path)
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
            return [str(violation) for violation in tidy.violations(root)]

    def expect(self, planted, *parts):
        found = self.found(planted)
        self.assertEqual(len(found), 1, found)
        for part in parts:
            self.assertIn(part, found[0])

    def test_a_clean_tree_has_no_violation(self):
        self.assertEqual(self.found({}), [])

    def test_a_stranger_at_the_top_level(self):
        self.expect({"scripts/x.py": ""}, "scripts: the top level")

    def test_a_fifth_room_in_common(self):
        found = self.found({"common/util/x.h": "#pragma once\n"})
        self.assertTrue(any("common/util: common/ has exactly" in text for text in found), found)

    def test_a_library_away_from_home(self):
        for path, header in [("common/client/a.cc", "rocksdb/db.h"), ("server/meta/a.cc", "fuse3/fuse_lowlevel.h"),
                             ("common/base/a.cc", "toml++/toml.h"), ("common/base/a.cc", "spdlog/spdlog.h"),
                             ("server/meta/a.cc", "prometheus/counter.h"), ("server/meta/core.cc", "grpcpp/server.h"),
                             ("common/client/a.cc", "google/protobuf/message.h")]:
            with self.subTest(header=header):
                self.expect({path: f"\n#include <{header}>\n"}, f"{path}:2: includes {header}", "not at home here")

    def test_an_arrow_the_wrong_way(self):
        for path, header in [("common/base/a.cc", "common/rpc/types.h"), ("common/rpc/a.cc", "common/client/file_system.h"),
                             ("server/meta/a.cc", "common/client/file_system.h"), ("server/meta/a.cc", "server/storage/disk.h"),
                             ("common/client/a.cc", "server/meta/core.h"), ("server/meta/ops/a.cc", "server/meta/core/core.h")]:
            with self.subTest(path=path, header=header):
                self.expect({path: f'#include "{header}"\n'}, f"{path}:1: includes {header}, but may include only")

    def test_the_product_knowing_its_tests(self):
        self.expect({"common/base/a.cc": '#include "tests/support/fake_clock.h"\n'}, "does not know its tests")

    def test_a_path_that_does_not_start_at_the_top(self):
        self.expect({"common/base/a.cc": '#include "result.h"\n'}, "path from the top")

    def test_protobuf_seen_through_a_header(self):
        self.expect({"common/client/a.cc": '#include "common/rpc/convert.h"\n'},
                    "common/client/a.cc:1: sees gRPC or protobuf", "common/rpc/convert.h -> dfs/v1/meta.pb.h")
        self.expect({"common/rpc/b.h": '#pragma once\n#include "common/rpc/convert.h"\n',
                     "server/meta/core/a.cc": '#include "common/rpc/b.h"\n'},
                    "common/rpc/b.h -> common/rpc/convert.h -> dfs/v1/meta.pb.h")

    def test_a_link_the_wrong_way(self):
        self.expect({"server/meta/CMakeLists.txt": "target_link_libraries(dfs_meta PUBLIC dfs::base\n  PRIVATE dfs::client)\n"},
                    "server/meta/CMakeLists.txt:2: links dfs::client")
        self.expect({"common/client/CMakeLists.txt": "target_link_libraries(x PRIVATE PkgConfig::ROCKSDB)\n"},
                    "links PkgConfig::ROCKSDB")

    def test_a_file_that_is_too_long(self):
        self.expect({"common/base/a.cc": "\n" * 601}, "has 601 lines")
        self.assertEqual(self.found({"common/base/a.cc": "\n" * 600}), [])

    def test_a_room_without_a_readme(self):
        self.expect({"common/base/README.md": None}, "common/base: is a room without a README.md")

    def test_unfinished_work(self):
        self.expect({"common/base/a.cc": "\n// TO" "DO: later\n"}, "common/base/a.cc:2: says TO" "DO")
        self.expect({"packaging/README.md": "", "packaging/tool": "#!/bin/sh\n# FIX" "ME\n"}, "packaging/tool:2")

    def test_a_path_of_one_machine(self):
        self.expect({"README.md": "see /wo" "rk/main\n"}, "names a path of one machine")

    def test_a_unit_test_that_sleeps(self):
        self.expect({"tests/unit/a_test.cc": "std::this_thread::sleep_for(1s);\n"}, "never sleeps")

    def test_a_try_inside_an_expression(self):
        for line in ["f(TRY(g()));", "x{.a = TRY(g())};", "return {TRY(g())};", "a + TRY(g());"]:
            with self.subTest(line=line):
                self.expect({"common/base/a.cc": line + "\n"}, "TRY stands alone")
        for line in ["const auto a = TRY(g());", "TRY(g());", "if (b) TRY(g());", "  total += 1; x = TRY(g());",
                     "a.b = TRY(g());", "a[1].b = TRY(g());", "[&]() -> Result<void> { TRY(g()); }"]:
            with self.subTest(line=line):
                self.assertEqual(self.found({"common/base/a.cc": line + "\n"}), [])

    def test_a_header_that_may_be_included_twice(self):
        self.expect({"common/base/a.h": "int x();\n"}, "#pragma once")


if __name__ == "__main__":
    unittest.main()
