"""Feeds the program with malformed models, 1 to 97 of the tables malformed_*.py: each is refused.

    LONGSHADOW=build/longshadow python3 tests/robustness/malformed_models_test.py
"""

import shutil
import unittest

import malformed_gguf
import malformed_json
import malformed_safetensors
from gguf_layout import STRING, Gguf, text
from malformed import DOCUMENT, MODELS
from program import run
from refusals import Refusals


class MalformedModels(Refusals):
    def commands(self, model, document):
        return {"info": ("info", model),
                "probe": ("probe", "--model", model, "--document", document, "--context", 48, "--future", 16,
                          "--subjects", "list:3", "--progress", "none", "-o", self.folder / "run.h5")}

    def check_file(self, case):
        spoilt = case.spoil(Gguf.read(malformed_gguf.MODEL))
        files = spoilt if isinstance(spoilt, dict) else {"model.gguf": spoilt}
        paths = [self.folder / name for name in files]
        for path, content in zip(paths, files.values()):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.assert_refused(case, paths[-1], self.commands(paths[0], MODELS / DOCUMENT))
        for path in paths:
            path.unlink()

    def check_folder(self, case, source):
        model = self.folder / "model"
        shutil.copytree(source, model)
        shutil.copy(MODELS / DOCUMENT, model)
        case.spoil(model)
        self.assert_refused(case, model, self.commands(model, model / DOCUMENT))
        shutil.rmtree(model)

    def test_the_models_are_well_formed(self):
        self.assertEqual(Gguf.read(malformed_gguf.MODEL).encode(), malformed_gguf.MODEL.read_bytes())
        for model in (malformed_gguf.MODEL, malformed_json.MODEL, malformed_safetensors.SHARDED):
            for command in self.commands(model, MODELS / DOCUMENT).values():
                self.assert_done(run(*command))
            (self.folder / "run.h5").unlink()

    def test_gguf(self):
        for case in malformed_gguf.CASES + malformed_json.GGUF_CASES:
            self.check_file(case)

    def test_safetensors(self):
        for case in malformed_safetensors.CASES:
            self.check_folder(case, malformed_safetensors.source_of(case))

    def test_tokenizer_and_config(self):
        for case in malformed_json.CASES:
            self.check_folder(case, malformed_json.MODEL)

    def test_a_name_that_a_terminal_would_obey(self):
        model = self.folder / "model.gguf"
        gguf = Gguf.read(malformed_gguf.MODEL).replace_pair("general.name", STRING, text("\x1b[2J\n\u202e"))
        model.write_bytes(gguf.encode())
        outcome = run("info", model)
        self.assertEqual(outcome.status, 0)
        self.assertIn(r"\x1b[2J\x0a\xe2\x80\xae", outcome.output)

    def test_every_case_is_there(self):
        cases = malformed_gguf.CASES + malformed_safetensors.CASES + malformed_json.CASES
        self.assertEqual({case.number for case in cases}, set(range(1, 98)))


if __name__ == "__main__":
    unittest.main()
