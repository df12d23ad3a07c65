"""Models as they lie on people's disks, named on the command line.

    python3 tests/probes/model_cli_test.py build/longshadow
"""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data/fixtures/models"
DOCUMENT = MODELS / "document.txt"

DONE, FAILED, BAD_USAGE = 0, 1, 2

CACHE_VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


def longshadow(*arguments, **environment):
    """With these variables for the cache and no other."""
    variables = {name: value for name, value in os.environ.items() if name not in CACHE_VARIABLES}
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True,
                          errors="replace", timeout=300, check=False,
                          env=variables | {name: str(value) for name, value in environment.items()})


class ModelTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()

    def copy_of(self, name, **config):
        """A model's folder, with these members of config.json changed."""
        model = self.folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(MODELS / name, model)
        path = model / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return model

    def probe(self, model, *more, document=DOCUMENT, context=48, **environment):
        output = self.folder / "run.h5"
        output.unlink(missing_ok=True)
        return longshadow("probe", "--model", model, "--document", document, "-o", output,
                          "--context", context, "--future", 16, "--subjects", "list:3",
                          "--progress", "none", "--pos", "none", *more, **environment)

    def assert_done(self, result):
        self.assertEqual((result.returncode, result.stderr), (DONE, ""))

    def assert_warns(self, result, *words):
        """Is done, with one line on standard error."""
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertTrue(result.stderr.startswith("longshadow: warning: "), result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in words:
            self.assertIn(str(word), result.stderr)

    def assert_refused(self, result, status, *words):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for word in words:
            self.assertIn(str(word), result.stderr)


class HubCache(ModelTest):
    """The layout that huggingface_hub writes: every file of a snapshot is a link to a blob."""

    def setUp(self):
        super().setUp()
        self.hub = self.folder / "hub"

    def snapshot(self, commit, name="org--name", source="llama_llama3", ref=None):
        repository = self.hub / f"models--{name}"
        snapshot, blobs = repository / "snapshots" / commit, repository / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir(exist_ok=True)
        for file in (MODELS / source).iterdir():
            blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
            shutil.copy(file, blob)
            (snapshot / file.name).symlink_to(f"../../blobs/{blob.name}")
        if ref:
            (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
            (repository / "refs" / ref).write_text(commit)
        return snapshot

    def info(self, model):
        result = longshadow("info", model, HF_HUB_CACHE=self.hub)
        self.assert_done(result)
        return result.stdout

    def test_a_snapshot_loads_and_is_called_after_its_model(self):
        snapshot = self.snapshot("a1b2c3", ref="main")
        plain = longshadow("info", MODELS / "llama_llama3").stdout.splitlines()
        for model in (snapshot, f"{snapshot}/", "hub:org/name"):
            found = self.info(model).splitlines()
            self.assertEqual(found[0].split(), ["name", "org/name"])
            self.assertEqual(found[1:], plain[1:])  # the weights' digest among them

    def test_a_run_of_it_has_the_models_name(self):
        self.snapshot("a1b2c3", ref="main")
        report = self.folder / "report.json"
        self.assert_done(self.probe("hub:org/name", HF_HUB_CACHE=self.hub))
        self.assert_done(longshadow("analyze", self.folder / "run.h5", "--json", report))
        self.assertEqual(json.loads(report.read_text())["model"], "org/name")

    def test_every_command_finds_it(self):
        self.snapshot("a1b2c3", ref="main")
        reading = ("--document", DOCUMENT, "--context", 48, "--future", 16, "--progress", "none", "-o",
                   self.folder / "kept.h5")
        for command in (("plan", "-T", 48, "-H", 16),
                        ("generate", "--prompt", "A", "-n", 2),
                        ("retain", "--policies", "streaming-llm", "--budgets", "0.5", *reading),
                        ("bench", "-T", 32, "-H", 8, "-s", 2)):
            result = longshadow(*command, "--model", "hub:org/name", HF_HUB_CACHE=self.hub)
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertNotIn("warning", result.stderr)

    def test_the_cache_lies_where_huggingface_hub_has_it(self):
        self.snapshot("a1b2c3", ref="main")
        home = self.folder / "home"
        (home / ".cache/huggingface").mkdir(parents=True)
        (home / ".cache/huggingface/hub").symlink_to(self.hub)
        nowhere = self.folder / "nowhere"
        for variables in ({"HF_HUB_CACHE": self.hub, "HUGGINGFACE_HUB_CACHE": nowhere, "HF_HOME": nowhere},
                          {"HUGGINGFACE_HUB_CACHE": self.hub, "HF_HOME": nowhere},
                          {"HF_HOME": self.folder, "XDG_CACHE_HOME": nowhere},
                          {"HF_HUB_CACHE": "", "XDG_CACHE_HOME": home / ".cache", "HOME": nowhere},
                          {"HOME": home},
                          {"HF_HOME": "~/.cache/huggingface", "HOME": home}):
            self.assert_done(longshadow("info", "hub:org/name", **variables))

    def test_a_revision_is_a_branch_a_pull_request_or_a_commit(self):
        self.snapshot("aaaa", ref="main")
        self.snapshot("bbbb", source="qwen2", ref="refs/pr/1")
        self.assertIn("llama", self.info("hub:org/name@main"))
        self.assertIn("qwen2", self.info("hub:org/name@refs/pr/1"))
        self.assertIn("qwen2", self.info("hub:org/name@bbbb"))

    def test_the_only_snapshot_needs_no_main(self):
        self.snapshot("aaaa", ref="v1.0")
        self.assertIn("org/name", self.info("hub:org/name"))

    def refused(self, model, status, *words):
        self.assert_refused(longshadow("info", model, HF_HUB_CACHE=self.hub), status, *words)

    def test_what_is_not_there_is_refused_with_where_it_looked(self):
        self.refused("hub:org/name", FAILED, self.hub / "models--org--name", "hf download org/name")
        self.refused("org/name", FAILED, "org/name: no such file or folder", "hub:org/name")
        self.snapshot("aaaa")
        self.refused("hub:org/name@main", FAILED, "no snapshot main", "--revision main", "aaaa")
        self.snapshot("bbbb")
        self.refused("hub:org/name", FAILED, "several snapshots", "hub:org/name@aaaa", "aaaa, bbbb")
        (self.hub / "models--org--name/refs").mkdir()
        (self.hub / "models--org--name/refs/main").write_text("cccc")
        self.refused("hub:org/name", FAILED, "no snapshot cccc", "hf download org/name")
        (self.hub / "models--org--name/refs/main").write_text("../../../elsewhere")
        self.refused("hub:org/name", FAILED, "several snapshots")

    def test_an_incomplete_snapshot_is_refused(self):
        snapshot = self.snapshot("aaaa", ref="main")
        (self.hub / "models--org--name/blobs" / (snapshot / "model-00002-of-00002.safetensors").readlink().name
         ).unlink()
        self.refused("hub:org/name", FAILED, "model-00002-of-00002.safetensors: this shard is missing")
        for file in snapshot.glob("model*"):
            file.unlink()
        self.refused("hub:org/name", FAILED, "found no weights; fetch all of the model")
        self.refused(self.hub / "models--org--name", FAILED, "hub:ORG/NAME")

    def test_names_that_leave_the_cache_are_no_names(self):
        for model in ("hub:", "hub:..", "hub:../x", "hub:a/..", "hub:a/b/c", "hub:/etc", "hub:a--b/c",
                      "hub:a b", "hub:a/b@", "hub:a/b@../x", "hub:a/b@x//y"):
            self.refused(model, BAD_USAGE, "expected hub:ORG/NAME or hub:ORG/NAME@REVISION")


def read_weights(path):
    """(name, dtype, shape) -> bytes, in the file's order."""
    file = path.read_bytes()
    length, = struct.unpack("<Q", file[:8])
    header = json.loads(file[8:8 + length])
    header.pop("__metadata__", None)
    return {(name, entry["dtype"], tuple(entry["shape"])):
            file[8 + length + entry["data_offsets"][0]:8 + length + entry["data_offsets"][1]]
            for name, entry in header.items()}


def write_weights(path, weights):
    header, data = {}, b""
    for (name, dtype, shape), content in weights.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class Contradictions(ModelTest):
    """What is told in one line and keeps nobody from measuring."""

    def test_a_head_that_differs_from_tied_embeddings(self):
        model = self.copy_of("llama_linear")
        weights = read_weights(model / "model.safetensors")
        embedding = "model.embed_tokens.weight", "F32", (320, 48)
        untied = weights | {("lm_head.weight", *embedding[1:]): weights[embedding][::-1]}
        write_weights(model / "model.safetensors", weights | {("lm_head.weight", *embedding[1:]): weights[embedding]})
        self.assert_done(longshadow("info", model))
        reversed_values = struct.pack(f"<{320 * 48}f", *struct.unpack(f"<{320 * 48}f", weights[embedding])[::-1])
        untied["lm_head.weight", "F32", (320, 48)] = reversed_values
        write_weights(model / "model.safetensors", untied)
        for result in (longshadow("info", model), self.probe(model)):
            self.assert_warns(result, model, "tie_word_embeddings", "the stored one is used")
        self.assertIn("untied", longshadow("info", model).stdout)

    def test_end_tokens_that_are_no_tokens(self):
        model = self.copy_of("llama_linear", eos_token_id=128001)
        self.assert_warns(self.probe(model), "config.json: eos_token_id: 128001")
        result = longshadow("generate", "--model", model, "--prompt", "A", "-n", 2)
        self.assertEqual(result.returncode, DONE, result.stderr)

    def test_a_token_without_a_row_is_missed_by_texts_that_have_it(self):
        model = self.copy_of("llama_linear", vocab_size=319)
        weights = read_weights(model / "model.safetensors")
        rows = weights.pop(("model.embed_tokens.weight", "F32", (320, 48)))
        write_weights(model / "model.safetensors",
                      weights | {("model.embed_tokens.weight", "F32", (319, 48)): rows[:319 * 48 * 4]})
        vocabulary = json.loads((model / "tokenizer.json").read_text())["model"]["vocab"]
        last = next(token for token, number in vocabulary.items() if number == 319).replace("\u0120", " ")
        usual = "a b c d e f g h " * 20
        text = self.folder / "text.txt"
        text.write_text(usual)
        self.assert_warns(self.probe(model, document=text), "has 320 tokens, the model embeds 319")
        text.write_text(last + usual)
        result = self.probe(model, document=text)
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("text.txt: token 0 has the id 319, and the model embeds the ids below 319",
                      result.stderr)
        result = longshadow("generate", "--model", model, "--prompt", last, "-n", 2)
        self.assertEqual(result.returncode, FAILED)
        self.assertIn("the prompt: token 0 has the id 319", result.stderr)


class Architectures(ModelTest):
    def test_mistral_may_have_a_window_in_every_layer(self):
        model = self.copy_of("llama_linear", model_type="mistral", sliding_window=None)
        self.assertIn("mistral", longshadow("info", model).stdout)
        same = longshadow("info", MODELS / "llama_linear").stdout.splitlines()[3:]
        self.assertEqual(longshadow("info", model).stdout.splitlines()[3:], same)
        model = self.copy_of("llama_linear", model_type="mistral", sliding_window=24)
        self.assert_done(self.probe(model, "--evict-at", "end"))
        with h5py.File(self.folder / "run.h5") as file:
            self.assertEqual(set(file["model/windows"][:]), {24})
            # The third token lies beyond the window of every position that is measured.
            self.assertEqual(np.abs(next(iter(file["documents"].values()))["influence/kl"][:]).max(), 0)
        self.assertEqual(longshadow("generate", "--model", model, "--prompt", "A", "-n", 64).returncode, DONE)

    def retain(self, model, context, future, *more):
        output = self.folder / "retained.h5"
        output.unlink(missing_ok=True)
        return longshadow("retain", "--model", model, "--document", DOCUMENT, "-o", output, "--context", context,
                          "--future", future, "--policies", "knorm", "--budgets", "0.5",
                          "--progress", "none", "--pos", "none", *more)

    def test_policies_compress_the_layers_without_a_window(self):
        model = self.copy_of("llama_linear", model_type="mistral", sliding_window=24)
        self.assert_refused(self.retain(model, 20, 8), BAD_USAGE, "a text of 28 tokens", "back over 24 tokens at most",
                            "nothing for a policy to evict")
        self.assert_done(self.retain(model, 16, 8))
        self.assert_done(self.retain(MODELS / "olmo3", 48, 16))  # a window of 20 in the first of two layers
        with h5py.File(self.folder / "retained.h5") as file:
            arm = next(iter(file["documents"].values()))["retention/knorm@0.5"]
            kept = arm["kept"][:].astype(bool)
            self.assertTrue((kept[0].sum(axis=1) == 19).all() and kept[0][:, -19:].all())
            self.assertTrue((kept[1].sum(axis=1) == 24).all())
            slot = 2 * 16 * 4  # bytes of a key and a value of 16 elements in f32
            self.assertEqual(arm.attrs["bytes_full"], 2 * (19 + 48) * slot)
            self.assertEqual(arm.attrs["bytes_kept"], 2 * (19 + 24) * slot)
            self.assertGreater(arm["kl"][:].max(), 0)
        # As subjects, the same slots leave the second layer alone.
        probed = self.folder / "probed.h5"
        self.assert_done(longshadow("probe", "--model", MODELS / "olmo3", "--document", DOCUMENT, "-o", probed,
                                    "--context", 48, "--future", 16, "--subjects", "policy:knorm@0.5",
                                    "--evict-at", "end", "--progress", "none", "--pos", "none"))
        with h5py.File(probed) as file:
            evicted = next(iter(file["documents"].values()))["influence/evicted"][0]
        self.assertEqual([layer.sum() for layer in evicted], [0, 2 * 24])

    def test_windows_caps_and_both_rotary_bases_are_told(self):
        told = longshadow("info", MODELS / "gemma2").stdout
        for line in ("attention windows  20 tokens in 1 of 2 layers", "score cap          4", "logit cap          6"):
            self.assertIn(line + "\n", told)
        self.assertNotIn("window rotary base", told)
        told = longshadow("info", MODELS / "gemma3").stdout
        for line in ("attention windows  18 tokens in 2 of 3 layers", "window rotary base 10000",
                     "rotary base        1000000", "cache per token    96 numbers, 384 bytes in f32",
                     "beyond windows     32 numbers, 128 bytes in f32"):
            self.assertIn(line + "\n", told)
        self.assertNotIn("cap ", told)

    def test_of_a_gemma_that_sees_images_the_text_model_is_read(self):
        plain = longshadow("info", MODELS / "gemma3").stdout.splitlines()
        model = self.copy_of("gemma3")
        text_config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({"model_type": "gemma3", "text_config": text_config}))
        weights = read_weights(model / "model.safetensors")
        # As transformers 5 names them, and as versions before it do.
        for prefix, others in (("model.language_model.", "model.vision_tower."),
                               ("language_model.model.", "vision_tower.")):
            whole = {(prefix + name.removeprefix("model."), *rest): data for (name, *rest), data in weights.items()}
            whole[others + "patch.weight", "F16", (1,)] = bytes(2)
            write_weights(model / "model.safetensors", whole)
            result = longshadow("info", model)
            self.assert_warns(result, model, "the part that sees images", "1 of them")
            self.assertEqual(result.stdout.splitlines()[1:-1], plain[1:-1])  # but for the name and the digest

    def test_what_is_not_computed_is_refused_by_name(self):
        for members, words in (({"model_type": "gpt_oss"}, ("'gpt_oss'", "llama, mistral, mixtral, qwen2, qwen3, qwen3_moe, olmo2, olmo3, smollm3, phi3, gemma2, gemma3")),
                               ({"hidden_act": "gelu"}, ("'hidden_act'",)),
                               ({"rope_scaling": {"rope_type": "proportional"}}, ("'proportional'", "longrope")),
                               ({"quantization_config": {"bits": 4}}, ("'quantization_config'", "GGUF"))):
            model = self.copy_of("llama_linear", **members)
            for command in (("info", model), ("plan", "-m", model), ("plan", "-m", model / "config.json")):
                self.assert_refused(longshadow(*command), FAILED, model / "config.json", *words)


class SentencePieceModel(ModelTest):
    def test_a_folder_may_have_tokenizer_model_alone(self):
        model = self.copy_of("llama_plain")
        (model / "tokenizer.json").unlink()
        shutil.copy(ROOT / "data/fixtures/tokenizer/characters.model", model / "tokenizer.model")
        self.assert_done(longshadow("info", model))
        text = self.folder / "text.txt"
        text.write_text("A cache is a notebook. " * 20)
        self.assert_done(self.probe(model, document=text))


class Info(ModelTest):
    def lines(self, command, model):
        """By name, of what the command prints of the model."""
        result = longshadow(*command, model)
        self.assert_done(result)
        pairs = (re.split(r"\s{2,}", line, maxsplit=1) for line in result.stdout.splitlines() if line)
        return {pair[0]: pair[-1] for pair in pairs}

    def test_what_a_family_has_of_its_own_is_told(self):
        plain = "before attention and feed-forward"
        for name, expected in {
            "llama_plain": {"architecture": "llama", "norms": plain, "rotary scaling": "none", "rotary base": "10000",
                            "cache per token": "128 numbers, 512 bytes in f32"},
            "llama_linear": {"rotary scaling": "linear, 4 times"},
            "llama_llama3": {"rotary scaling": "llama3, 8 times 64 tokens", "rotary base": "500"},
            "llama_llama3.gguf": {"rotary scaling": "llama3, by the file's divisors"},
            "llama_yarn": {"biases": "query, key, value, attention's output, gate, up, down"},
            "qwen2": {"biases": "query, key, value", "rotary base": "1000000"},
            "qwen3": {"norms": plain + "; of each head's queries and keys"},
            "olmo2": {"norms": "behind attention and feed-forward; of all heads' queries and keys together"},
            "smollm3": {"rotary scaling": "yarn, 4 times 48 tokens; queries and keys times 1.1386294",
                        "unrotated layers": "3", "cache per token": "128 numbers, 512 bytes in f32"},
            "phi_longrope": {
                "architecture": "phi3", "rotated elements": "12 of a head's 16",
                "rotary scaling": "longrope, other divisors in a text of more than 48 tokens; queries and keys times 1.125"},
        }.items():
            with self.subTest(name):
                found = self.lines(["info"], MODELS / name)
                self.assertEqual({what: found.get(what) for what in expected}, expected)
                for line, families in {"biases": ("llama_yarn", "qwen2"), "unrotated layers": ("smollm3",),
                                       "rotated elements": ("phi_longrope",)}.items():
                    self.assertEqual(line in found, name in families, line)
        dynamic = self.copy_of("llama_plain", rope_scaling={"type": "dynamic", "factor": 2})
        self.assertEqual(self.lines(["info"], dynamic)["rotary scaling"],
                         "dynamic, 2 times, by the length of a text of more than 256 tokens")

    def test_a_plan_begins_with_the_models_size(self):
        found = self.lines(["plan", "-T", 48, "-H", 16, "-m"], MODELS / "phi_longrope")
        self.assertEqual(found["parameters"], self.lines(["info"], MODELS / "phi_longrope")["parameters"])
        self.assertEqual(found["cache per token"], "512 bytes in f32")


class Plan(ModelTest):
    def plan(self, model):
        return longshadow("plan", "--model", model, "-T", 48, "-H", 16)

    def test_a_config_alone_is_enough(self):
        model = self.copy_of("llama_yarn")
        for file in model.iterdir():
            if file.name != "config.json":
                file.unlink()
        self.assert_done(self.plan(model / "config.json"))

    def test_what_cannot_be_loaded_is_refused(self):
        model = self.copy_of("llama_yarn")
        self.assert_done(self.plan(model))
        content = json.loads((model / "tokenizer.json").read_text())
        content["model"]["type"] = "WordPiece"
        (model / "tokenizer.json").write_text(json.dumps(content))
        for named in (model, model / "config.json"):
            self.assert_refused(self.plan(named), FAILED, "tokenizer.json", "WordPiece")
        (model / "tokenizer.json").rename(model / "tokenizer.model")
        self.assert_refused(self.plan(model), FAILED, "tokenizer.model: this is no SentencePiece model")
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        self.assert_refused(self.plan(model), FAILED, "PyTorch's weights")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
