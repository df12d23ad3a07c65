"""`longshadow generate` as a stranger meets it.

    python3 tests/probes/generate_cli_test.py build/longshadow
"""

import datetime
import json
import re
import sys
import unittest

import cli_test
from cli_test import BAD_USAGE, DONE, FAILED, DOCUMENT, MODEL, MODELS, CommandLine, longshadow

WINDOW = "infokv:window=8"


class Generate(CommandLine):
    def generate(self, *more, model=MODEL, prompt=("--document", DOCUMENT, "--context", 90), tokens=12):
        return longshadow("generate", "--model", model, *prompt, "--max-tokens", tokens, *more,
                          errors="replace")

    def test_text_on_stdout_and_figures_on_stderr(self):
        result = self.generate()
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertGreater(len(result.stdout), 12)
        for figure in (r"prompt: \d+ tokens in .* tokens/s", r"text: \d+ tokens in .*seed 0",
                       r"cache: .* MB of the prompt's .* MB kept"):
            self.assertRegex(result.stderr, figure)
        self.assertEqual(self.generate("--threads", 1).stdout, result.stdout)
        self.assertEqual(self.generate("--policy", "full", "--budget", 0.5).stdout, result.stdout)

    def test_policies_cuts_bits_and_sampling(self):
        for more in (("--policy", WINDOW, "--budget", "0.25"),
                     ("--policy", WINDOW, "--budget", "0.25", "--every", 8, "--target", 30),
                     ("--policy", "chunkkv/rpc:window=2", "--every", 8),
                     ("--kv-bits", 8), ("--kv-bits", 4, "--kv-group", 32),
                     ("--temperature", 1, "--top-p", 0.9, "--seed", 3),
                     ("--precision", "f64")):
            with self.subTest(more=more):
                result = self.generate(*more)
                self.assertEqual(result.returncode, DONE, result.stderr)
        kept = re.search(r"cache: (.*) MB of the prompt's (.*) MB kept",
                         self.generate("--policy", WINDOW, "--budget", "0.25").stderr)
        self.assertLess(float(kept[1]), 0.3 * float(kept[2]))

    def test_cuts_while_writing(self):
        """Of 29 tokens that are written and read behind a prompt of 90, and what is left of them."""
        for more, cuts in (
                ((), None),
                (("--policy", WINDOW, "--budget", 0.5), None),
                (("--policy", WINDOW, "--every", 8, "--target", 60),
                 "3, the last at 114 tokens from 68.0 to 60.0 slots"),
                (("--policy", WINDOW, "--every", 8, "--target-share", 0.5),
                 "3, the last at 114 tokens from 61.0 to 57.0 slots"),
                (("--policy", WINDOW, "--budget", 0.25, "--every", 8, "--target-share", 0.2),
                 "3, the last at 114 tokens from 29.0 to 22.0 slots"),
                # A head of fewer slots than the target keeps them.
                (("--policy", WINDOW, "--every", 8, "--target", 110),
                 "3, the last at 114 tokens from 114.0 to 110.0 slots"),
                # Cuts behind 2 + 8, 18 and 26: the prompt, the window and a quarter of 24.
                (("--policy", "rpc:window=2", "--every", 8),
                 "3, the last at 116 tokens from 104.0 to 98.0 slots"),
                (("--policy", "rpc:window=2,ratio=2", "--every", 8),
                 "3, the last at 116 tokens from 108.0 to 104.0 slots")):
            with self.subTest(more=more):
                result = self.generate(*more, tokens=30)
                self.assertEqual(result.returncode, DONE, result.stderr)
                if cuts is None:
                    self.assertNotIn("cuts:", result.stderr)
                else:
                    self.assertIn(f"cuts: {cuts} of a KV head\n", result.stderr)

    def test_a_text_that_ends_before_its_first_cut(self):
        model = self.linked("llama_plain", generation_config={"eos_token_id": list(range(320))})
        result = self.generate("--policy", WINDOW, "--every", 8, "--target", 60, model=model)
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertIn("cuts: none, as the text ended before the first\n", result.stderr)

    def test_a_cut_comes_every_1024_tokens_unless_asked_otherwise(self):
        """And none where the text ends before, which is refused rather than silently full."""
        for more, first in ((("--policy", WINDOW, "--target-share", 0.25), 1024),
                            (("--policy", WINDOW, "--target", 300), 1024),
                            (("--policy", "rpc"), 1056)):
            with self.subTest(more=more):
                self.assert_refused(self.generate(*more, tokens=20), BAD_USAGE, "--max-tokens 20",
                                    f"first cut when {first} tokens", str(first + 2), "--every")

    def chat_model(self, template, **more):
        """A tiny model with that chat template."""
        folder = self.folder / "model"
        if not folder.exists():
            folder.mkdir()
            for file in (MODELS / "llama_plain").iterdir():
                (folder / file.name).symlink_to(file)
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template, **more}))
        return folder

    def shown(self, model, *more):
        result = longshadow("generate", "--model", model, "--show-prompt", *more)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return result.stdout

    def test_a_chat_goes_through_the_model_s_template(self):
        folder = self.chat_model("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}")
        chat = self.generate("--chat", "--system", "Be kind.", model=folder,
                             prompt=("--prompt", "Hi"))
        self.assertEqual(chat.returncode, DONE, chat.stderr)
        plain = self.generate(model=folder, prompt=("--prompt", "system: Be kind.\nuser: Hi\n"))
        self.assertEqual(chat.stdout, plain.stdout)
        folder = self.chat_model("{{ messages | nothing }}")
        chat = self.generate("--chat", model=folder, prompt=("--prompt", "Hi"))
        self.assert_refused(chat, FAILED, "chat template", "line 1", "filter 'nothing'")

    def test_a_conversation_comes_from_a_file(self):
        folder = self.chat_model(
            "{{ bos_token }}{{ pad_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}"
            "</{{ m.role }}>{% endfor %}{% if tools %}{{ tools[0].name }}{% endif %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}", bos_token="<s>", pad_token="<p>")
        file = self.folder / "chat.json"
        asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"},
                 {"role": "user", "content": "Go on"}]
        text = "<s><p><user>Hi</user><assistant>Yes?</assistant><user>Go on</user>"
        file.write_text(json.dumps(asked))
        self.assertEqual(self.shown(folder, "--messages", file), text + "<assistant>")
        self.assertEqual(self.shown(folder, "--messages", file, "--system", "Be kind."),
                         "<s><p><system>Be kind.</system>" + text[6:] + "<assistant>")
        result = longshadow("generate", "--model", folder, "--messages", file, "--max-tokens", 2,
                            errors="replace")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertNotIn("date:", result.stderr)
        file.write_text(json.dumps({"messages": [*asked, {"role": "assistant", "content": "So "}],
                                    "tools": [{"name": "look"}]}))
        self.assertEqual(self.shown(folder, "--messages", file), text + "<assistant>So ")
        for content, words in (("[", ("not valid JSON",)), ("[]", ("found none",)),
                               ('[{"role": "user", "role": "a"}]', ("'role' is repeated",)),
                               ('[{"content": "x"}]', ("message 1", "'role'")),
                               ("[" * 100, ("64 levels",)), ("\xff", ("not valid JSON",))):
            with self.subTest(content=content):
                file.write_text(content, encoding="latin-1")
                self.assert_refused(longshadow("generate", "--model", folder, "--messages", file),
                                    FAILED, "chat.json", *words)
        file.write_text(json.dumps([{"role": "system", "content": "x"}]))
        self.assert_refused(longshadow("generate", "--model", folder, "--messages", file,
                                       "--system", "y"), BAD_USAGE, "--system", "--messages")

    def test_the_day_of_a_template_can_be_fixed(self):
        folder = self.chat_model("{{ strftime_now('%d %b %Y, %a') }}")
        asked = ("--chat", "--prompt", "Hi")
        self.assertEqual(self.shown(folder, *asked, "--date", "2024-02-29"), "29 Feb 2024, Thu")
        days = [datetime.date.today().strftime("%d %b %Y, %a") for _ in range(2)]
        self.assertIn(self.shown(folder, *asked), days)  # midnight may pass between
        result = longshadow("generate", "--model", folder, *asked, "--date", "2024-07-26",
                            "--max-tokens", 1, errors="replace")
        self.assertIn("date: 2024-07-26", result.stderr)
        for day in ("2023-02-29", "26 Jul 2024", "2024-7-26", "2024-07-26x", "2024-13-01", ""):
            with self.subTest(day=day):
                self.assert_refused(
                    longshadow("generate", "--model", folder, *asked, "--date", day), BAD_USAGE,
                    "--date", "YYYY-MM-DD")

    def linked(self, model, **files):
        """A folder like that model's, with other contents for some files."""
        folder = self.folder / f"{model}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        for file in (MODELS / model).iterdir():
            if file.stem not in files:
                (folder / file.name).symlink_to(file)
        for stem, content in files.items():
            (folder / f"{stem}.json").write_text(json.dumps(content))
        return folder

    def test_special_tokens_in_a_prompt(self):
        prompt = ("--prompt", "<|im_start|>user\nHi<|im_end|>\n")
        lengths = []
        for more in ((), ("--parse-special",)):
            result = self.generate(*more, model=MODELS / "qwen2", prompt=prompt, tokens=1)
            self.assertEqual(result.returncode, DONE, result.stderr)
            lengths.append(int(re.search(r"prompt: (\d+) tokens", result.stderr)[1]))
        self.assertLess(lengths[1], lengths[0] - 10)

    def test_two_beginnings(self):
        for text, is_told in (("<|begin_of_text|>Hi", True), ("Hi", False)):
            result = self.generate("--parse-special", model=MODELS / "llama_llama3", prompt=("--prompt", text), tokens=1)
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertEqual("two beginning-of-sequence tokens" in result.stderr, is_told, result.stderr)

    def test_settings_of_the_model(self):
        settings = {"repetition_penalty": 1.75, "do_sample": True, "temperature": 0.7, "top_k": 20,
                    "no_repeat_ngram_size": 2, "eos_token_id": [0, 5000]}
        model = self.linked("llama_plain", generation_config=settings)
        followed = self.generate(model=model, tokens=40)
        self.assertEqual(followed.returncode, DONE, followed.stderr)
        self.assertIn("repetition penalty 1.75", followed.stderr)
        self.assertRegex(followed.stderr, r"generation_config.json: not applied: sampling, "
                                          r"temperature 0.7, top_k 20, no_repeat_ngram_size 2;")
        self.assertIn("5000 is none of the 320 tokens", followed.stderr)
        plain = MODELS / "llama_plain"
        self.assertEqual(self.generate("--repetition-penalty", 1.75, model=plain, tokens=40).stdout, followed.stdout)
        without = self.generate("--repetition-penalty", 1, model=model, tokens=40)
        self.assertEqual(self.generate(model=plain, tokens=40).stdout, without.stdout)
        self.assertNotEqual(followed.stdout, without.stdout)
        self.assertNotIn("repetition penalty", without.stderr)
        asked = self.generate("--temperature", 0, model=model).stderr
        self.assertIn("not applied: no_repeat_ngram_size 2\n", asked)
        asked = self.generate("--temperature", 0.7, "--top-p", 0.9, model=model).stderr
        self.assertIn("not applied: top_k 20, no_repeat_ngram_size 2\n", asked)
        self.assertNotIn("not applied", self.generate(model=plain, tokens=40).stderr)

    def test_a_repetition_penalty_that_is_none(self):
        for penalty in (0, -1, "1.1", [1.1]):
            model = self.linked("llama_plain", generation_config={"repetition_penalty": penalty})
            with self.subTest(penalty=penalty):
                self.assert_refused(self.generate(model=model), FAILED, "generation_config.json",
                                    "repetition_penalty", "--repetition-penalty")
        self.assertEqual(self.generate("--repetition-penalty", 1.1, model=model).returncode, DONE)

    def test_rows_without_a_token_are_never_drawn(self):
        """Qwen2's embedding matrix is padded, here by 8 rows of 328."""
        for model in (MODELS / "qwen2", MODELS / "qwen2.gguf"):
            result = longshadow("generate", "--model", model, "--prompt", "Hi", "--max-tokens", 250,
                                "--temperature", 100, "--seed", 1, errors="strict")
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertIn("\ufffd", result.stdout)  # most tokens are single bytes
            self.assertNotIn("[PAD", result.stdout)

    def test_what_scoring_costs(self):
        result = self.generate("--compare-scoring", "--policy", WINDOW, "--budget", 0.9, tokens=2)
        self.assertEqual(result.returncode, DONE, result.stderr)
        for word in ("streaming-llm", "snapkv", WINDOW, "%"):
            self.assertIn(word, result.stdout)

    def test_bad_usage_is_one_line(self):
        for more, words in ((("--kv-bits", 3), ("8 or 4", "3")),
                            (("--kv-bits", 8, "--kv-group", 48), ("32 or 64", "48")),
                            (("--budget", 0), ("budget", "above 0")),
                            (("--budget", 1.5), ("budget",)),
                            (("--policy", "infokw", "--budget", 0.5), ("infokw", "infokv")),
                            (("--policy", "snapkv:window=500", "--budget", 0.5), ("500",)),
                            (("--policy", "oracle", "--budget", 0.5), ("oracle", "retain")),
                            (("--policy", "h2o", "--every", 16), ("--every", "all queries")),
                            (("--target", 10), ("--target", "--policy")),
                            (("--target-share", 0.25), ("--target-share", "--policy")),
                            (("--policy", WINDOW, "--every", 9), ("--target N", "--target-share")),
                            (("--policy", WINDOW, "--every", 9, "--target", 30, "--target-share", 0.5),
                             ("--target and --target-share", "one")),
                            (("--policy", WINDOW, "--every", 9, "--target-share", 0), ("above 0",)),
                            (("--policy", WINDOW, "--every", 9, "--target-share", 1), ("below 1",)),
                            (("--policy", WINDOW, "--every", 9, "--target-share", "nan"),
                             ("--target-share nan", "above 0")),
                            (("--policy", WINDOW, "--every", 9, "--target-share", 0.1),
                             ("--target-share 0.1", "more than 12 slots", "at 99 tokens", "leaves 9")),
                            (("--policy", WINDOW, "--every", 0, "--target", 30), ("--every", "0")),
                            (("--policy", "rpc", "--every", 2 ** 64 - 1), ("--every", str(2 ** 64 - 1))),
                            (("--policy", WINDOW, "--every", 2 ** 32 - 1, "--target", 30),
                             ("--max-tokens 12", str(2 ** 32 + 1))),
                            (("--policy", WINDOW, "--every", 7, "--target", 30),
                             ("--every 7", "8 queries", "smaller window")),
                            (("--policy", "rpc", "--every", 16), ("--every 16", "32 queries")),
                            (("--policy", "rpc:window=2,ratio=1", "--every", 8), ("nothing to cut",)),
                            (("--policy", "rpc:window=2", "--every", 8, "--target", 92),
                             ("--target 92", "first 90", "last 2")),
                            (("--policy", "rpc", "--budget", 0.5),
                             ("every token of a prompt", "without --budget")),
                            (("--policy", "rpc:window=2", "--every", 8, "--compare-scoring"),
                             ("--compare-scoring", "--target-share")),
                            (("--budget", 0.5), ("--budget", "--policy")),
                            (("--every", 16), ("--every", "--policy")),
                            (("--every", 16, "--budget", 0.5), ("--policy",)),
                            (("--budget", 0.5, "--compare-scoring"), ("--budget", "--policy")),
                            (("--temperature", "nan"), ("--temperature",)),
                            (("--top-p", 0), ("--top-p",)),
                            (("--top-p", 0.9), ("--top-p", "--temperature")),
                            (("--repetition-penalty", 0), ("--repetition-penalty", "above 0")),
                            (("--repetition-penalty", "inf"), ("--repetition-penalty",)),
                            (("--system", "Hi"), ("--system", "--chat")),
                            (("--date", "2024-07-26"), ("--date", "--chat")),
                            (("--show-prompt",), ("--show-prompt", "--chat")),
                            (("--messages", "chat.json"), ("--messages", "--document")),
                            (("--chat",), ("--chat", "no chat template")),
                            (("--prompt", "Hi"), ("--prompt", "--document")),
                            (("--precision", "bf16"), ("bf16", "f32")),
                            (("--compare-scoring",), ("--compare-scoring", "--budget")),
                            (("--max-tokens", 1000), ("--max-tokens",))):
            with self.subTest(more=more):
                self.assert_refused(self.generate(*more), BAD_USAGE, *words)
        self.assert_refused(self.generate("--context", 600, prompt=("--document", DOCUMENT)),
                            BAD_USAGE, "--context", "578")
        self.assert_refused(self.generate(prompt=()), BAD_USAGE, "--prompt")
        self.assert_refused(self.generate(prompt=("--prompt", "")), BAD_USAGE, "no token")


if __name__ == "__main__":
    cli_test.PROGRAM = sys.argv.pop(1)
    unittest.main()
