"""A skip ends with the code that ctest counts as one, and a failure never does.

    python3 tests/house/skips_test.py build/tests/house/skipping_cases
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SUPPORT = Path(__file__).resolve().parents[1] / "support"
sys.path.insert(0, str(SUPPORT))
import list_skips  # noqa: E402
import suite  # noqa: E402

CASES = """
import sys, unittest
sys.path.insert(0, sys.argv.pop(1))
import suite

class Passes(unittest.TestCase):
    def test(self): pass

class Skips(unittest.TestCase):
    def test(self): self.skipTest("no treebank here")

class Fails(unittest.TestCase):
    def test(self): self.fail()

suite.main()
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(skips NONE)
enable_testing()
add_test(NAME "passes & <is done>" COMMAND sh -c "echo skipped: nothing at all")
add_test(NAME skips COMMAND sh -c "echo skipped: no model; echo other; echo skipped: no model; exit 77")
add_test(NAME is-not-there COMMAND none)
set_tests_properties(skips PROPERTIES SKIP_RETURN_CODE 77)
"""


def run(*words, **options):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, **options)


class OfCatch2(unittest.TestCase):
    def test_codes(self):
        for case, is_skip, is_failure in (
                ("passes", False, False), ("skips", True, False), ("passes,skips", True, False),
                ("fails and skips", False, True), ("skips and throws", False, True),
                ("skips,fails and skips", False, True),
                ("fails as often as the code of a skip", False, True)):
            with self.subTest(case=case):
                result = run(PROGRAM, case)
                self.assertEqual(result.returncode == suite.SKIPPED, is_skip)
                self.assertEqual(result.returncode not in (0, suite.SKIPPED), is_failure)
                self.assertEqual("skipped: no model here" in result.stdout.splitlines(), "skips" in case)


class OfUnittest(unittest.TestCase):
    def test_codes(self):
        for cases, code in ((["Passes"], 0), (["Skips"], suite.SKIPPED), (["Passes", "Skips"], suite.SKIPPED),
                            (["Fails"], 1), (["Skips", "Fails"], 1)):
            with self.subTest(cases=cases):
                result = run(sys.executable, "-c", CASES, SUPPORT, *cases)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertEqual("skipped: no treebank here" in result.stdout.splitlines(), "Skips" in cases)


class Listed(unittest.TestCase):
    def test_each_skip_with_its_reasons(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "CMakeLists.txt").write_text(PROJECT)
            self.assertEqual(run("cmake", "-S", folder, "-B", folder / "build").returncode, 0)
            report = folder / "ctest.xml"
            run("ctest", "--output-junit", report, cwd=folder / "build")
            skips = list_skips.skips_of(report)
            self.assertEqual(skips.pop("skips"), ["no model"])
            self.assertLessEqual(set(skips), {"is-not-there"})


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    suite.main()
