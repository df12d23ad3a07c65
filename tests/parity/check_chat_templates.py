"""Holds `longshadow generate --show-prompt` to transformers on public chat templates.

    python3 tests/parity/check_chat_templates.py build/longshadow [FOLDER]

with transformers 5 and jinja2. FOLDER has templates as *.jinja; without one, the 70 that llama.cpp
tests with are taken from the source package llama-cpp-python 0.3.36, which pip fetches into
build/peers. Each is rendered for one and for three turns, with and without a system message and a
generation prompt (without one, the assistant speaks last and its words are continued), and with a
tool. Prints the templates that differ and the number of those that are equal in every case; a
template that transformers itself refuses must be refused.
"""

import json
import subprocess
import sys
import tarfile
import tempfile
from datetime import date
from pathlib import Path

import tokenizers
import transformers

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "data/fixtures/models/llama_plain"
SOURCE = "llama-cpp-python==0.3.36"
TOKENS = {"bos_token": "<BOS>", "eos_token": "<EOS>"}

SYSTEM = [{"role": "system", "content": " Be terse.\n"}]
ONE_TURN = [{"role": "user", "content": "What is a cache?  Say <b>why</b>. "}]
THREE_TURNS = [*ONE_TURN, {"role": "assistant", "content": "A store.\n"},
               {"role": "user", "content": "More? 'q' \"d\" é😀"},
               {"role": "assistant", "content": "It is <fast>."},
               {"role": "user", "content": " Thanks\n"}]
ANSWER = [{"role": "assistant", "content": "So "}]
TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Says the <weather>.", "parameters": {
        "type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "where", "enum": ["a", "b"]},
            "days": {"type": ["integer", "null"]}}}}}]

CONVERSATIONS = {
    f"{turns}{', system' if system else ''}{', continued' if ends else ''}{', tool' if tools else ''}":
        {"messages": [*system, *messages, *ends], "tools": tools}
    for turns, messages in (("one turn", ONE_TURN), ("three turns", THREE_TURNS))
    for system in ([], SYSTEM) for ends in ([], ANSWER) for tools in (None, TOOLS)}


def fetch_templates():
    packages = ROOT / "build/peers"
    packages.mkdir(parents=True, exist_ok=True)
    if not any(packages.glob("llama_cpp_python-*.tar.gz")):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--no-binary", ":all:", SOURCE], cwd=packages, check=True)
    folder = packages / "chat_templates"
    folder.mkdir(exist_ok=True)
    with tarfile.open(next(packages.glob("llama_cpp_python-*.tar.gz"))) as package:
        for member in package:
            if "/llama.cpp/models/templates/" in member.name and member.name.endswith(".jinja"):
                (folder / Path(member.name).name).write_bytes(package.extractfile(member).read())
    return folder


def model_with(template, folder):
    """A tiny model with that template."""
    for file in MODEL.iterdir():
        if file.name != "tokenizer_config.json":
            (folder / file.name).symlink_to(file)
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENS))
    (folder / "chat_template.jinja").write_bytes(template.encode())


def ours(program, model, conversation, folder):
    path = folder / "conversation.json"
    path.write_text(json.dumps(conversation))
    result = subprocess.run([program, "generate", "--model", model, "--messages", path,
                             "--date", date.today().isoformat(), "--show-prompt"],
                            capture_output=True, check=False)
    if result.returncode == 0:
        return result.stdout.decode(), ""
    return None, result.stderr.decode().strip()


def theirs(tokenizer, template, conversation):
    continued = conversation["messages"][-1]["role"] == "assistant"
    try:
        return tokenizer.apply_chat_template(
            conversation["messages"], tools=conversation["tools"], chat_template=template,
            tokenize=False, continue_final_message=continued, add_generation_prompt=not continued), ""
    except Exception as error:  # of the template, or of Python in it
        return None, f"{type(error).__name__}: {error}"[:200]


def differences(program, tokenizer, path):
    """(conversation, our text or error, theirs) where they differ; the number refused by both."""
    template = path.read_text(encoding="utf-8")
    found, refused = [], 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        model_with(template, folder / "model")
        for label, conversation in CONVERSATIONS.items():
            text, error = ours(program, folder / "model", conversation, folder)
            expected, reason = theirs(tokenizer, template, conversation)
            refused += text is None and expected is None
            if text != expected:
                found.append((label, error or text[-80:], reason or expected[-80:]))
    return found, refused


def main():
    program = Path(sys.argv[1]).resolve()
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else fetch_templates()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), **TOKENS)
    paths = sorted(folder.glob("*.jinja"))
    results = [differences(program, tokenizer, path) for path in paths]
    for path, (found, _) in zip(paths, results):
        for label, text, expected in found[:1]:
            print(f"{path.stem}: {len(found)} differ, such as {label}:\n"
                  f"  longshadow   {text!r}\n  transformers {expected!r}")
    equal = sum(not found for found, _ in results)
    print(f"{equal} of {len(paths)} templates are equal in all of {len(CONVERSATIONS)} conversations "
          f"each; in {sum(refused for _, refused in results)} of "
          f"{len(paths) * len(CONVERSATIONS)} cases both refuse")
    return 0 if equal == len(paths) else 1


if __name__ == "__main__":
    sys.exit(main())
