"""Compares token ids with llama.cpp's, for vocabularies as GGUF files and for every pre-tokenizer name, with the
tokenizers package's, for tokenizer.json, and with SentencePiece's, for its own files.

    python3 tests/parity/compare_token_ids.py VOCABULARY.gguf|.json|.model... [--documents DIR] [--every-name]

Texts are the nasty ones of data/fixtures/tokenizer and, with --documents, a folder's .txt files. --every-name tries
each GGUF file under each name that `tokenizer.ggml.pre` may have, and under none: what a name means does not depend
on the vocabulary. llama.cpp's own vocabularies are in the source package of llama-cpp-python (pip download --no-deps
--no-binary :all: llama-cpp-python==0.3.36), in vendor/llama.cpp/models; convert_sentencepiece.py makes others. Needs
tests/parity/requirements.txt and a build of the target print_token_ids.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import gguf

ROOT = Path(__file__).resolve().parents[2]
NAMES_SOURCE = ROOT / "engine/tokenizer/definition/gguf_pretokenizers.cc"
MODES = ("as_text", "parse")
LLAMA_CPP = """
import sys
from llama_cpp import Llama
llama = Llama(sys.argv[1], vocab_only=True, verbose=False)
for path in sys.argv[3:]:
    print(*llama.tokenize(open(path, "rb").read(), add_bos=False, special=sys.argv[2] == "parse"))
"""
TOKENIZERS = """
import sys
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
tokenizer.encode_special_tokens = sys.argv[2] == "as_text"
for path in sys.argv[3:]:
    print(*tokenizer.encode(open(path, "rb").read().decode(), add_special_tokens=False).ids)
"""


SENTENCEPIECE = """
import sys
import sentencepiece
model = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
for path in sys.argv[3:]:
    print(*model.encode(open(path, "rb").read().decode()))
"""
REFERENCES = {".json": ("tokenizers", TOKENIZERS), ".model": ("SentencePiece", SENTENCEPIECE)}


def reference(vocabulary):
    """Whose ids count, and a program that prints them."""
    return REFERENCES.get(vocabulary.suffix, ("llama.cpp", LLAMA_CPP))


def known_names():
    """The names in the table of entries."""
    table = NAMES_SOURCE.read_text().split("entries() {")[1].split("return all;")[0]
    lists = re.findall(r"\{\{((?:\"[^\"]+\",?\s*)+)\}", table)
    return ["default"] + [name for names in lists for name in re.findall(r"\"([^\"]+)\"", names)]


def metadata_of(path):
    """A reader's fields of the tokenizer: (key, value, value types)."""
    for field in gguf.GGUFReader(path).fields.values():
        if field.name.startswith("tokenizer.") and field.name != "tokenizer.ggml.precompiled_charsmap":
            yield field.name, field.contents(), field.types


def write_under_name(source, name, path):
    """The vocabulary under another pre-tokenizer's name, or None for no name."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value, types in metadata_of(source):
        if key != "tokenizer.ggml.pre":
            writer.add_key_value(key, value, types[0], types[1] if len(types) > 1 else None)
    if name is not None:
        writer.add_string("tokenizer.ggml.pre", name)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def ids_by(command, vocabulary, mode, files):
    """One list a file, or what the program said where it gave up."""
    outcome = subprocess.run([*command, vocabulary, mode, *files], capture_output=True, text=True)
    if outcome.returncode != 0:
        lines = outcome.stderr.strip().splitlines()
        return lines[-1] if lines else f"ended with {outcome.returncode}"
    return [[int(number) for number in line.split()] for line in outcome.stdout.split("\n")[:len(files)]]


def first_difference(ours, theirs, files, whose):
    for path, a, b in zip(files, ours, theirs):
        if a != b:
            at = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            return f"{path.name}: token {at} of {len(b)}: {a[at:at + 4]}, {whose} {b[at:at + 4]}"
    return None


def compare(title, vocabulary, files, ours_command):
    """Prints a line; whether all ids are equal."""
    whose, program = reference(vocabulary)
    for mode in MODES if vocabulary.suffix != ".model" else ("as_text",):  # SentencePiece has no other
        theirs = ids_by([sys.executable, "-c", program], vocabulary, mode, files)
        ours = ids_by(ours_command, vocabulary, mode, files)
        if isinstance(theirs, str) or isinstance(ours, str):
            print(f"{title:40} {mode}: ours: {ours if isinstance(ours, str) else 'ids'}; {whose}: "
                  f"{theirs if isinstance(theirs, str) else 'ids'}")
            return False
        difference = first_difference(ours, theirs, files, whose)
        if difference:
            print(f"{title:40} {mode}: {difference}")
            return False
    print(f"{title:40} equal on {len(files)} texts, {sum(map(len, ours))} tokens")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vocabularies", type=Path, nargs="+", metavar="VOCABULARY")
    parser.add_argument("--documents", type=Path, help="a folder of .txt files")
    parser.add_argument("--every-name", action="store_true")
    parser.add_argument("--program", type=Path, default=ROOT / "build/tests/print_token_ids")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = []
        nasty = json.loads((ROOT / "data/fixtures/tokenizer/nasty_texts.json").read_text())
        for k, (title, text) in enumerate(nasty.items()):
            if isinstance(text, str):
                files.append(folder / f"nasty {k} {title.replace('/', ' ')}")
                files[-1].write_bytes(text.encode())
        files += sorted(options.documents.glob("*.txt")) if options.documents else []

        outcomes = []
        for vocabulary in options.vocabularies:
            if not options.every_name or vocabulary.suffix in REFERENCES:
                outcomes.append(compare(vocabulary.name, vocabulary, files, [options.program]))
                continue
            for pre in known_names() + [None]:
                renamed = folder / "renamed.gguf"
                write_under_name(vocabulary, pre, renamed)
                outcomes.append(compare(f"{vocabulary.stem} as {pre}", renamed, files, [options.program]))
        print(f"{sum(outcomes)} of {len(outcomes)} equal")
        sys.exit(0 if all(outcomes) else 1)


if __name__ == "__main__":
    main()
