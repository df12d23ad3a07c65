"""A small run and what comes of it undisturbed: what the tests of faults share."""

import tempfile
from pathlib import Path

from malformed import DOCUMENT, MODELS
from program import DONE, ProgramTest, run


def probe(output, *more, **variables):
    """48 subjects in batches of nine, so that there is a journal; `output` as --output takes it."""
    return run("probe", "--model", MODELS / "llama_plain.gguf", "--document", MODELS / DOCUMENT, "--context", 48,
               "--future", 16, "--subjects", "all", "--memory", "1M", "--threads", 1, "--progress", "none",
               "-o", output, *more, **variables)


def files_in(folder):
    """Their bytes by name, but for journals."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file() and path.parent.name != "journals"}


class FaultyRuns(ProgramTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        outcomes = [probe(f"{folder.name}/{output}") for output in ("run.h5", "parts/")]
        if any(outcome.status != DONE for outcome in outcomes):
            raise AssertionError(outcomes)
        cls.whole = {"run.h5": Path(folder.name, "run.h5").read_bytes()}
        cls.parts = files_in(Path(folder.name, "parts"))

    def setUp(self):
        super().setUp()
        self.output = self.folder / "run.h5"
        self.directory = self.folder / "run"

    def assert_whole_as_far_as_it_goes(self):
        """Every file of a run that did not come to its end is as it is in one that did; no other is left."""
        expected = self.whole | {f"run.h5.parts/{name}": content for name, content in self.parts.items()}
        for name, content in files_in(self.folder).items():
            self.assertEqual(content, expected.get(name), name)
