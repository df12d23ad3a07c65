"""Lists the tests that a run of ctest skipped, each with its reasons.

    python3 tests/support/list_skips.py ctest.xml    # as `ctest --output-junit ctest.xml` wrote it
"""

import sys
import xml.etree.ElementTree as xml

MARK = "skipped: "  # what tests/support/skip.h, suite.py and scripts print before the reason


def skips_of(report):
    """{test: its reasons}, of every test that did not run."""
    skips = {}
    for case in xml.parse(report).iter("testcase"):
        told = case.find("skipped")
        if told is None:
            continue
        lines = case.findtext("system-out", "").splitlines()
        reasons = [line[len(MARK):] for line in lines if line.startswith(MARK)]
        skips[case.get("name")] = list(dict.fromkeys(reasons)) or [told.get("message", "no reason given")]
    return skips


def main(report):
    skips = skips_of(report)
    print(f"{len(skips) or 'No'} test{'' if len(skips) == 1 else 's'} skipped" + (":" if skips else ""))
    for test, reasons in skips.items():
        print(f"  {test}: {'; '.join(reasons)}")


if __name__ == "__main__":
    main(sys.argv[1])
