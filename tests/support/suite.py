"""Runs a file's unittest cases as `unittest.main()` does, and tells ctest of those that were skipped.

    suite.main()

Says why each was skipped in a line of its own. The process ends with 1 where a test failed, with SKIPPED where none did
and some were skipped, and with 0 where all of them passed.
"""

import sys
import unittest

SKIPPED = 77  # tests/support/skip.h has the same number


def main(**options):
    result = unittest.main(exit=False, **options).result
    for _, reason in result.skipped:
        print(f"skipped: {reason}", flush=True)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.skipped else 0)
