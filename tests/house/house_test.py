"""Holds the checkout to tests/house/rules.py, and each rule to a checkout that breaks it.

    python3 tests/house/house_test.py
"""

import tempfile
import unittest
import unittest.mock
from pathlib import Path

import draw_map
import rules

ROOT = Path(__file__).resolve().parents[2]


class TheHouse(unittest.TestCase):
    def test_includes_go_one_way(self):
        self.assertEqual(rules.includes_against_the_order(ROOT), [])

    def test_templates_end_at_the_operations(self):
        found = rules.explicit_instantiations(ROOT)
        self.assertEqual([name for name in found if not name.startswith(rules.INSTANTIATING)], [])
        self.assertLessEqual(sum(found.values()), rules.MOST_INSTANTIATIONS)

    def test_the_root_holds_nothing_else(self):
        self.assertEqual(rules.unexpected_entries(ROOT), [])

    def test_no_file_names_a_path_of_one_machine(self):
        self.assertEqual(rules.paths_of_one_machine(ROOT), [])

    def test_every_header_is_included_once(self):
        self.assertEqual(rules.headers_without_pragma_once(ROOT), [])

    def test_pages_speak_of_what_is_there(self):
        self.assertEqual(rules.broken_links(ROOT), [])
        self.assertEqual(rules.files_named_in_vain(ROOT), [])
        self.assertEqual(rules.tests_asked_in_vain(ROOT), [])

    def test_readme_is_two_pages_and_leads_to_the_others(self):
        self.assertLessEqual(rules.words_of_readme(ROOT), rules.MOST_WORDS)
        self.assertEqual(rules.unlinked_pages(ROOT), [])

    def test_the_map_shows_the_rooms(self):
        self.assertEqual((ROOT / "docs/rooms.svg").read_text(), draw_map.drawing(rules.ROOMS),
                         "python3 tests/house/draw_map.py draws the map anew")

    def test_doc_comments_say_first_what_a_thing_is(self):
        found = rules.opaque_comments(ROOT)
        self.assertLessEqual(set(rules.CLEAN), set(found))
        self.assertEqual([line for folder in rules.CLEAN for line in found[folder]], [])

    def test_contributing_has_the_table_of_rooms(self):
        self.assertEqual({room: set(seen) for room, seen in rules.rooms_of_contributing(ROOT).items()},
                         {room: set(seen) for room, seen in rules.ROOMS.items()})

    def test_contributing_names_every_waived_warning(self):
        self.assertEqual(rules.waived_warnings(ROOT), rules.WAIVED)
        page = (ROOT / "CONTRIBUTING.md").read_text()
        self.assertEqual([what for _, what in sorted(rules.WAIVED)
                          if f"`{what.replace('=', ' ')}`" not in page], [])

    def test_a_file_fits_in_the_head(self):
        self.assertEqual(rules.long_files(ROOT), [])

    def test_only_the_command_line_prints(self):
        self.assertEqual(rules.prints_of_libraries(ROOT), [])

    def test_libraries_throw_what_contributing_says(self):
        self.assertEqual(rules.unknown_exceptions(ROOT), [])

    def test_files_are_written_in_one_place(self):
        self.assertEqual(rules.writes_elsewhere(ROOT), [])

    def test_tests_see_what_is_no_number(self):
        self.assertEqual(rules.tests_blind_to_nan(ROOT), [])

    def test_skips_are_counted(self):
        self.assertEqual(rules.quiet_skips(ROOT), [])

    def test_pages_count_the_malformed_cases(self):
        most = rules.malformed_cases(ROOT)
        self.assertIn(f"numbered from 1 to {most},", (ROOT / "CONTRIBUTING.md").read_text())
        self.assertIn(f"| {most} ways to be malformed", (ROOT / "docs/numerics.md").read_text())

    def test_contributing_names_the_scripts_of_the_page(self):
        self.assertEqual(rules.unnamed_page_scripts(ROOT), [])

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
        self.write("engine/config/config.h", "#pragma once\n")
        self.write("engine/io/gguf.cc", '#include "engine/config/config.h"\n')
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ['engine/io/gguf.cc: engine/io must not see "engine/config/config.h"'])

    def test_kernels_alone_see_the_cuda_device(self):
        self.write("engine/cuda/cuda.h", "#pragma once\n")
        for name in ("engine/ops/norm/x_cuda.cu", "engine/ops/norm/x_cpu.cc", "probes/options/x.cc",
                     "probes/commands/main.cc", "probes/commands/x_command.cc"):
            self.write(name, '#include "engine/cuda/cuda.h"\n')
        found = rules.includes_against_the_order(self.root)
        self.assertEqual([line.split(":")[0] for line in found],
                         ["engine/ops/norm/x_cpu.cc", "probes/commands/x_command.cc",
                          "probes/options/x.cc"])

    def test_explicit_instantiations_are_counted(self):
        self.write("engine/io/x.cc", "#define MAKE(T) \\\n  template void f(T); \\\n  template class X<T>;\n"
                                     "MAKE(int)\nMAKE(long)\ntemplate int g();\ntemplate <>\nint h();\n")
        self.assertEqual(rules.explicit_instantiations(self.root), {"engine/io/x.cc": 5})

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
        self.write("probes/runs/run.cc", "#include <hdf5.h>\n")
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ["probes/runs/run.cc: <hdf5.h> belongs to data/format alone"])

    def test_a_file_outside_the_rooms_is_found(self):
        self.write("engine/new/x.cc", "")
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ["engine/new/x.cc: lies in no room that ROOMS names"])

    def test_an_unknown_library_is_found(self):
        self.write("engine/core/x.cc", "#include <fmt/core.h>\n#include <vector>\n")
        self.assertEqual(rules.includes_against_the_order(self.root),
                         ["engine/core/x.cc: <fmt/core.h> is no library that FOREIGN names"])

    def test_a_table_of_rooms_is_read(self):
        self.write("CONTRIBUTING.md", "| room | what | sees |\n|---|---|---|\n| `engine/core` | x | |\n"
                                      "| `analysis` | x | data/format, engine/core/sha256.h |\n"
                                      "| `probes` | x | engine, data/format |\n")
        self.assertEqual(rules.rooms_of_contributing(self.root),
                         {"engine/core": (), "analysis": ("data/format", "engine/core/sha256.h"),
                          "probes": (*rules.ENGINE, "data/format")})

    def test_a_warning_that_is_switched_off_is_found(self):
        self.write("engine/x.h", "#pragma GCC diagnostic ignored \"-Wshadow\"\nint a;  // NO" "LINT\n")
        self.write("engine/CMakeLists.txt", "target_compile_options(x PRIVATE -w -Wno-shadow)\n")
        self.write("engine/y.cu", "#pragma nv_diag_suppress 20\n")
        self.assertEqual({what for _, what in rules.waived_warnings(self.root)},
                         {"#pragma GCC diagnostic", "NO" "LINT", "-w", "-Wno-shadow",
                          "#pragma nv_diag_suppress"})

    def test_a_file_that_is_too_long_is_found(self):
        self.write("engine/x.cc", "\n" * 500)
        self.write("engine/y.cc", "\n" * 501)
        self.assertEqual(rules.long_files(self.root), ["engine/y.cc: 501 lines"])

    def test_a_library_that_prints_or_ends_the_process_is_found(self):
        self.write("engine/core/x.cc", "// std::cout\nstd::cerr << 1;\nstd::snprintf(a);\nexit(1);\n")
        self.write("probes/commands/plan_command.cc", 'std::printf("1");\n')
        self.assertEqual(rules.prints_of_libraries(self.root),
                         ["engine/core/x.cc:2: std::cerr", "engine/core/x.cc:4: exit("])

    def test_another_exception_is_found(self):
        self.write("engine/core/x.cc", "throw Error(1); throw FormatError(2); throw std::logic_error(3);")
        self.write("data/format/x.cc", "throw FormatError(2);")
        self.assertEqual(rules.unknown_exceptions(self.root),
                         ["engine/core/x.cc: throws FormatError", "engine/core/x.cc: throws std::logic_error"])

    def test_another_place_that_writes_is_found(self):
        for name in ("data/format/publish.cc", "probes/runs/run_store.cc"):
            self.write(name, "fs::rename(a, b);\nGroup::write(c);\nstd::ofstream d(e);\n")
        self.assertEqual(rules.writes_elsewhere(self.root),
                         ["probes/runs/run_store.cc:1: fs::rename(", "probes/runs/run_store.cc:3: std::ofstream"])

    def test_a_largest_value_that_passes_over_nan_is_found(self):
        self.write("tests/x.cc", "worst = std::max(worst, e);\nto.gap =\n    std::max({e, to.gap});\n"
                                 "n = std::max(a, b);\nleast = std::fmin(least, e);\nx = test::larger(x, e);")
        self.assertEqual([line.split(": ")[0] for line in rules.tests_blind_to_nan(self.root)],
                         ["tests/x.cc:1", "tests/x.cc:2", "tests/x.cc:5"])

    def test_a_skip_that_passes_is_found(self):
        self.write("tests/x.cc", 'WARN("no model: skipped");')
        self.write("tests/a.py", "self.skipTest()\nunittest.main()")
        self.write("tests/b.py", "self.skipTest()\nsuite.main()")
        self.write("tests/a/CMakeLists.txt", "add_test(NAME a COMMAND b)\nscript_test(b c)")
        self.assertEqual([line.split(":")[0] for line in rules.quiet_skips(self.root)],
                         ["tests/a/CMakeLists.txt", "tests/a.py", "tests/x.cc"])

    def test_malformed_cases_are_counted(self):
        self.write("tests/robustness/a.py", "[Case(3, x), Case(12, y)]")
        self.assertEqual(rules.malformed_cases(self.root), 12)

    def test_a_script_of_the_page_that_nobody_names_is_found(self):
        self.write("CONTRIBUTING.md", "`data.js`")
        for name in ("data.js", "text.js"):
            self.write(f"analysis/inspect/page/{name}", "")
        self.assertEqual(rules.unnamed_page_scripts(self.root), ["text.js"])

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
        self.write("README.md", "[a](https://a.example/b) [b](data) [c](data/FORMAT.md#x)\n"
                                '<img width="480" src="docs/a.svg">')
        self.write("data/README.md", "[up](../README.md)")
        self.assertEqual(rules.broken_links(self.root), ["README.md: data/FORMAT.md", "README.md: docs/a.svg"])

    def test_a_link_to_a_heading_that_is_not_there_is_found(self):
        self.write("README.md", "[a](docs/a.md#two-words-and-a-comma) [b](docs/a.md#b) [c](#d)")
        self.write("docs/a.md", "## Two words, and a `comma`\n```\n# b\n```\n")
        self.assertEqual(rules.broken_links(self.root), ["README.md: docs/a.md#b", "README.md: #d"])

    def test_a_file_that_a_page_names_in_vain_is_found(self):
        self.write("README.md", "`bash tests/run.sh` writes build/data/x/a.txt and engine/ops/x_cpu.cc")
        self.assertEqual(rules.files_named_in_vain(self.root), ["README.md: tests/run.sh"])

    def test_a_test_that_a_page_asks_for_in_vain_is_found(self):
        self.write("README.md", "`bash tests/run.sh -R '^io: a\nword\\|page.py|no such'`")
        self.write("tests/io/a_test.cc", 'TEST_CASE("a "\n          "word of it", "[io]") {}')
        self.write("tests/analysis/test_page.py", "")
        self.assertEqual(rules.tests_asked_in_vain(self.root), ["README.md: no such"])

    def test_a_long_readme_and_an_unlinked_page_are_found(self):
        self.write("README.md", "[a](docs/a.md) two\n\n```\nthree\n```\n| four |\n<img five>")
        self.write("docs/a.md", "")
        self.write("docs/b.md", "")
        self.assertEqual(rules.words_of_readme(self.root), 2)
        self.assertEqual(rules.unlinked_pages(self.root), ["b.md"])

    def test_a_doc_comment_that_begins_with_of_is_found(self):
        self.write("engine/core/x.h", "/// Length of it.\n/// Of others too.\nint a;\n"
                                      "/// Of a batch.\nint b;\nint c;  ///< What is left.\n"
                                      "  /// The same in f64.\nint d;\n/// Offset.\nint e;\n")
        self.assertEqual([line.split(" ")[0] for line in rules.opaque_comments(self.root)["engine/core"]],
                         ["engine/core/x.h:4:", "engine/core/x.h:7:"])

    def test_a_map_has_a_box_a_room_and_no_arrow_that_follows(self):
        rooms = {"core": (), "io": ("core",), "analysis": ("core/error.h", "data"), "data": ("analysis/x.h",),
                 "probes": ("core", "io", "analysis"), "tests": ("probes",)}
        with unittest.mock.patch.object(rules, "ROOMS", rooms):
            down, up = draw_map.sorted_arrows(rooms, draw_map.arrows_of(rooms))
            picture = draw_map.drawing(rooms)
        self.assertEqual(down, [("io", "core"), ("analysis", "core"), ("analysis", "data"), ("probes", "io"),
                                ("probes", "analysis"), ("tests", "probes")])
        self.assertEqual(up, [("data", "analysis")])
        for room in rooms:
            self.assertEqual(picture.count(f">{room}</text>"), room != "tests")
        self.assertEqual(picture.count("marker-end"), 6)
        self.assertEqual(picture.count("stroke-dasharray"), 2)


if __name__ == "__main__":
    unittest.main()
