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
                     ("--kv-bits", 8), ("--kv-bits", 4, "--kv-group", 32),
                     ("--temperature", 1, "--top-p", 0.9, "--seed", 3),
                     ("--precision", "f64")):
            with self.subTest(more=more):
                result = self.generate(*more)
                self.assertEqual(result.returncode, DONE, result.stderr)
        kept = re.search(r"cache: (.*) MB of the prompt's (.*) MB kept",
                         self.generate("--policy", WINDOW, "--budget", "0.25").stderr)
        self.assertLess(float(kept[1]), 0.3 * float(kept[2]))

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
                            (("--target", 10), ("--target", "--every")),
                            (("--temperature", "nan"), ("--temperature",)),
                            (("--top-p", 0), ("--top-p",)),
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
