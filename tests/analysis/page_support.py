"""What the tests of the page of `longshadow inspect` share: a browser with a page in it, and numbers out of its text."""

import os
import re
import subprocess
import sys

import h5py
from support import ROOT, WithRuns

sys.path.insert(0, str(ROOT / "tests" / "support"))
from browser import Browser  # noqa: E402

SUPERSCRIPT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
FOUR_DIGITS = 5e-4  # relative: half a unit of the fourth digit of 1.000
THREE_DIGITS = 5e-3
FLOAT32 = 2.0 ** -24  # relative error of a stored value


def number(shown):
    """The first number of a text of the page: "≈ 1.234×10⁻⁵ nats"."""
    mantissa, exponent = re.search(r"(\d[\d.]*)(?:×10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?", shown).groups()
    return float(mantissa) * 10.0 ** int((exponent or "0").translate(SUPERSCRIPT))


def inspect(run, page):
    return subprocess.run([os.environ["LONGSHADOW"], "inspect", run, "-o", page], capture_output=True, text=True)


class WithPage(WithRuns):
    """A browser for the class, a page for every test; none may say anything on the console, nor ask for
    anything but itself."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        super().setUp()
        self.browser.prefer("light")
        self.browser.console()
        self.browser.requests()

    def tearDown(self):
        self.assertEqual(self.browser.console(), [])
        self.assertEqual(self.browser.requests(), [self.page.resolve().as_uri()])

    def open(self, run):
        self.run_path = run
        self.page = self.folder / "page.html"
        result = inspect(run, self.page)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.browser.open(self.page)

    def document(self, index=0):
        file = h5py.File(self.run_path)
        self.addCleanup(file.close)
        return list(file["documents"].values())[index]

    def shown_values(self):
        """The panel's table: name of a signal -> its text."""
        return dict(self.browser.run("return [...document.querySelectorAll('.values tr')].map((row) =>"
                                     " [row.cells[0].textContent, row.cells[1].textContent])"))

    def tokens_with(self, name):
        return self.browser.run("return [...document.querySelectorAll('.t.' + arguments[0])].map((t) => t.token)",
                                name)

    def background(self, token):
        return self.browser.run("return getComputedStyle(document.getElementById('t' + arguments[0]))"
                                ".backgroundColor", token)
