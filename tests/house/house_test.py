"""Holds the checkout to tests/house/rules.py, and each rule to a checkout that breaks it.

    python3 tests/house/house_test.py
"""

import tempfile
import unittest
from pathlib import Path

import rules

ROOT = Path(__file__).resolve().parents[2]


class TheHouse(unittest.TestCase):
    def test_includes_go_one_way(self):
        self.assertEqual(rules.includes_against_the_order(ROOT), [])

    def test_the_root_holds_nothing_else(self):
        self.assertEqual(rules.unexpected_entries(ROOT), [])

    def test_no_file_names_a_path_of_one_machine(self):
        self.assertEqual(rules.paths_of_one_machine(ROOT), [])

    def test_every_header_is_included_once(self):
        self.assertEqual(rules.headers_without_pragma_once(ROOT), [])

    def test_links_between_pages_resolve(self):
        self.assertEqual(rules.broken_links(ROOT), [])

    def test_the_rules_see_the_rooms(self):
        seen = {rules.room_of(path.relative_to(ROOT).as_posix()) for path in rules.cpp_files(ROOT)}
        self.assertLessEqual({"engine/core", "engine/model", "analysis", "tests"}, seen)


class ABrokenHouse(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name: str, content: str):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def test_an_upward_include_is_found(self):
        self.write("engine/model/config.h", "#pragma once\n")
        self.write("engine/io/gguf.cc", '#include "engine/model/config.h"\n')
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ['engine/io/gguf.cc: engine/io must not see "engine/model/config.h"'])

    def test_analysis_must_not_see_the_engine(self):
        self.write("engine/core/error.h", "#pragma once\n")
        self.write("analysis/statistics.cc", '#include "engine/core/error.h"\n')
        self.assertEqual(len(rules.includes_against_the_order(self.root)), 1)

    def test_a_downward_include_is_allowed(self):
        self.write("engine/core/error.h", "#pragma once\n")
        self.write("engine/io/gguf.cc", '#include "engine/core/error.h"\n#include <vector>\n')
        self.assertEqual(rules.includes_against_the_order(self.root), [])

    def test_a_relative_include_is_found(self):
        self.write("engine/io/gguf.h", "#pragma once\n")
        self.write("engine/io/gguf.cc", '#include "gguf.h"\n')
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ['engine/io/gguf.cc: "gguf.h" is no path from the root'])

    def test_a_foreign_header_outside_its_room_is_found(self):
        self.write("probes/run.cc", "#include <hdf5.h>\n")
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ["probes/run.cc: <hdf5.h> belongs to data/format alone"])

    def test_another_entry_in_the_root_is_found(self):
        self.write("scripts/run.sh", "")
        self.write("engine/README.md", "")
        self.write("notes.txt", "")
        self.write("build-debug/x", "")
        self.assertEqual(rules.unexpected_entries(self.root), ["notes.txt", "scripts"])

    def test_a_path_of_one_machine_is_found(self):
        self.write("README.md", "see\n/ho" + "me/me/model.gguf\n")
        self.write("build/CMakeCache.txt", "/ho" + "me/me")
        self.assertEqual(rules.paths_of_one_machine(self.root), ["README.md:2: /ho" + "me/"])

    def test_a_header_without_pragma_once_is_found(self):
        self.write("analysis/table.h", "struct Table {};\n")
        self.assertEqual(rules.headers_without_pragma_once(self.root), ["analysis/table.h"])

    def test_a_broken_link_is_found(self):
        self.write("README.md", "[a](https://a.example/b) [b](data) [c](data/FORMAT.md#x)")
        self.write("data/README.md", "[up](../README.md)")
        self.assertEqual(rules.broken_links(self.root), ["README.md: data/FORMAT.md"])


if __name__ == "__main__":
    unittest.main()
