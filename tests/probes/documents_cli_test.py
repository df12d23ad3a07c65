"""Documents as people have them: encodings, formats, pipes, names, and files larger than the memory.

    python3 tests/probes/documents_cli_test.py build/longshadow
"""

import bz2
import codecs
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import sys
import threading
import unittest
import zipfile

import cli_test
import h5py
from cli_test import ARTICLE, BAD_USAGE, DOCUMENT, DONE, FAILED, MODEL, MODELS, CommandLine, longshadow

TEXT = "It is a caf\u00e9 that no one minds; \u201cso it goes\u201d, he says.\n" * 40


def zipped(*names):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, TEXT)
    return archive.getvalue()


# Bytes of a file -> what the refusal must say.
FOREIGN = {
    "UTF-16 with a mark": (TEXT.encode("utf-16"), "UTF-16 (little-endian)", "byte 0", "iconv -f UTF-16 "),
    "UTF-16 big-endian with a mark": (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), "UTF-16 (big-endian)"),
    "UTF-16": (TEXT.encode("utf-16-le"), "UTF-16 (little-endian)", "byte 1 is 0x00", "iconv -f UTF-16LE"),
    "UTF-16 big-endian": (TEXT.encode("utf-16-be"), "byte 0 is 0x00", "iconv -f UTF-16BE"),
    "UTF-16 of Chinese": (("\u7f13\u5b58\u5fd8\u8bb0\u4e86\u5b83\uff0c" * 60).encode("utf-16-le"), "UTF-16LE"),
    "UTF-32 with a mark": (TEXT.encode("utf-32"), "UTF-32 (little-endian)", "iconv -f UTF-32 "),
    "UTF-32": (TEXT.encode("utf-32-be"), "UTF-32 (big-endian)", "iconv -f UTF-32BE"),
    "Latin-1": (TEXT.replace("\u201c", "'").replace("\u201d", "'").encode("latin-1"), "Latin-1", "byte 11 is 0xe9",
                "iconv -f LATIN1"),
    "Windows-1252": (TEXT.encode("cp1252"), "Windows-1252", "iconv -f WINDOWS-1252"),
    "Latin-1 at the end": (b"plain " * 200 + b"caf\xe9", "Latin-1", "byte 1203"),
    "Russian in KOI8-R": (("\u043a\u044d\u0448 \u0437\u0430\u0431\u044b\u043b " * 60).encode("koi8-r"), "older encoding",
                          "file -i"),
    "Japanese in Shift-JIS": (("\u304b\u306a\u3068\u6f22\u5b57\u3002" * 60).encode("shift-jis"), "older encoding"),
    "stray bytes": (TEXT.encode() + b"\xff" + TEXT.encode(), "UTF-8 text with other bytes",
                    f"byte {len(TEXT.encode())} is 0xff", "iconv -c"),
    "NUL bytes": (TEXT.encode() + b"\0" + TEXT.encode(), "NUL bytes", "tr -d"),
    "binary": (bytes(range(256)) * 40, "binary data"),
    "gzip": (gzip.compress(TEXT.encode()), "a gzip file", "gunzip -c"),
    "bzip2": (bz2.compress(TEXT.encode()), "a bzip2 file", "bunzip2 -c"),
    "xz": (lzma.compress(TEXT.encode()), "an xz file", "xz -dc"),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x00\x01\x00\x00\x99\xe9\xd8\x51", "a zstd file", "zstd -dc"),
    "zip": (zipped("a.txt"), "a zip archive", "unzip"),
    "docx": (zipped("[Content_Types].xml", "word/document.xml"), "Word", "pandoc"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + b"1 0 obj\n" * 99, "a PDF file", "pdftotext"),
    "PDF in ASCII": (b"%PDF-1.4\n" + b"1 0 obj\n" * 99, "a PDF file", "pdftotext"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file"),
    "GGUF": (MODEL.read_bytes(), "a GGUF model", "--model"),
}


class Documents(CommandLine):
    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def tokens(self, run=None):
        """Name of each document -> text and bytes of its tokens."""
        with h5py.File(run or self.output) as file:
            return {name: [(text, tuple(span)) for text, span in
                           zip(one["tokens/text"].asstr()[:], one["tokens/bytes"][:].tolist())]
                    for name, one in file["documents"].items()}


class Foreign(Documents):
    def test_every_command_says_what_a_file_is_and_what_to_do(self):
        for name, (content, *words) in FOREIGN.items():
            document = self.write("document", content)
            with self.subTest(name=name):
                self.assert_refused(self.probe(document=document), FAILED, "document: expected UTF-8 text",
                                    *words)
        for command in (("retain", "-d", document, "-o", self.output), ("generate", "-d", document)):
            self.assert_refused(longshadow(*command, "--model", MODEL), FAILED, *words)
        # It takes no model, and so does not name the option.
        self.assert_refused(longshadow("pos", "tag", document), FAILED, words[0], "a document is text")

    def test_the_first_bad_byte_is_found_wherever_it_is(self):
        size = 3 << 20
        for at in (0, 5, (256 << 10) - 1, 256 << 10, (1 << 20) + 3, size - 1):
            content = bytearray(b"so it goes. " * (size // 12))
            content[at:at + 1] = b"\xe9"
            result = self.probe(document=self.write("long.txt", content), context=16)
            self.assert_refused(result, FAILED, f"byte {at} is 0xe9")

    def test_characters_across_chunks_are_whole(self):
        content = ("x" + "\u20ac" * 300_000).encode()  # three bytes each: no chunk ends between two
        self.assertEqual(self.probe(document=self.write("euro.txt", content), context=16).returncode, DONE)
        self.output.unlink()
        cut = self.write("euro.txt", content[:400_001] + b"\n")
        self.assert_refused(self.probe(document=cut, context=16), FAILED, "byte 400000 is 0xe2")

    def test_a_last_character_that_is_cut_off_is_let_through(self):
        content = TEXT.encode()
        content += "\u00e9".encode()[:1]
        result = self.probe(document=self.write("cut.txt", content))
        self.assertEqual(result.returncode, DONE, result.stderr)

    def test_a_byte_order_mark_is_no_token(self):
        plain, marked = self.write("a/plain.txt", TEXT.encode()), self.write("marked.txt", b"\xef\xbb\xbf" + TEXT.encode())
        result = longshadow("probe", "--model", MODEL, "--document", plain, marked, "-o", self.output,
                            "--context", 48, "--future", 16, "--subjects", "word:3", "--progress", "none")
        self.assertEqual(result.returncode, DONE, result.stderr)
        tokens = self.tokens()
        self.assertEqual([text for text, _ in tokens["plain.txt"]], [text for text, _ in tokens["marked.txt"]])
        for (_, one), (_, other) in zip(tokens["plain.txt"], tokens["marked.txt"]):
            self.assertEqual(tuple(place + 3 for place in one), other)
        rows = [longshadow("pos", "tag", path).stdout.splitlines()[0] for path in (plain, marked)]
        self.assertTrue(rows[0].endswith("TokenRange=0:2") and rows[1].endswith("TokenRange=3:5"), rows)
        generated = [longshadow("generate", "--model", MODEL, "-d", path, "-T", 30, "-n", 4, errors="replace")
                     for path in (plain, marked)]
        self.assertEqual(generated[0].stdout, generated[1].stdout)


class Pipes(Documents):
    def run_shell(self, command):
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=300, check=False,
                              errors="replace", env={**os.environ, "P": cli_test.PROGRAM, "M": str(MODEL), "D": str(DOCUMENT),
                                   "O": str(self.output)})

    PROBE = "$P probe --model $M --context 48 --future 16 --subjects list:3 --progress none -o $O"

    def test_standard_input_and_process_substitution(self):
        self.assertEqual(self.probe(subjects="list:3").returncode, DONE)
        expected, = self.tokens().values()
        for source, name in (("--document - < $D", "stdin"), ("--document <(cat $D)", "fd63"),
                             ("--document /dev/stdin < $D", "stdin")):
            self.output.unlink()
            result = self.run_shell(f"{self.PROBE} {source}")
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertEqual(self.tokens(), {name: expected})
        self.output.unlink()
        result = self.run_shell(f"cat $D | {self.PROBE} --document - $D")
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(self.tokens(), {"stdin": expected, "document.txt": expected})
        tagged = [self.run_shell(f"$P pos tag {source}").stdout for source in ("$D", "- < $D", "<(cat $D)")]
        self.assertTrue(tagged[0])
        self.assertEqual(len(set(tagged)), 1)
        written = [self.run_shell(f"$P generate --model $M -T 30 -n 4 -d {source}").stdout for source in ("$D", "- < $D")]
        self.assertEqual(*written)

    def test_a_named_pipe(self):
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        writer = threading.Thread(target=lambda: pipe.write_bytes(DOCUMENT.read_bytes()))
        writer.start()
        result = self.probe(document=pipe)
        writer.join()
        self.assertEqual(result.returncode, DONE, result.stderr)
        self.assertEqual(list(self.tokens()), ["pipe"])

    def test_what_cannot_be_read_is_refused(self):
        self.assert_refused(self.run_shell(f"{self.PROBE} --document - - < $D"), BAD_USAGE, "- twice")
        self.assert_refused(self.run_shell(f"{self.PROBE} --document - <&-"), FAILED, "standard input")
        self.assert_refused(self.run_shell(f"{self.PROBE} --document - < /dev/null"), BAD_USAGE, "stdin",
                            "the document has 0")
        self.assert_refused(self.run_shell(f"head -c 9999 /dev/zero | {self.PROBE} --document -"), FAILED,
                            "byte 0 is 0x00")
        self.assert_refused(self.probe(document=self.folder), FAILED, "found a directory")
        self.assert_refused(self.probe(document=self.folder / "none.txt"), FAILED, "none.txt: cannot open")

    def test_a_run_goes_on_with_the_same_text_alone(self):
        command = f"{self.PROBE}/ --document -"
        first = self.run_shell(f"{command} --shard 1/2 < $D")
        self.assertEqual(first.returncode, DONE, first.stderr)
        other = self.run_shell(f"cat {ARTICLE} | {command} --shard 2/2")
        self.assertEqual(other.returncode, BAD_USAGE)
        self.assertIn('another text of "stdin"', other.stderr)
        second = self.run_shell(f"{command} --shard 2/2 < $D")
        self.assertEqual(second.returncode, DONE, second.stderr)


class Names(Documents):
    def measured(self, *documents, folder=None):
        self.output.unlink(missing_ok=True)
        return longshadow("probe", "--model", MODEL, "--document", *documents, "-o", self.output, "--context", 16,
                          "--future", 4, "--subjects", "list:3", "--pos", "none", "--progress", "none", cwd=folder)

    def names(self, *documents, **more):
        result = self.measured(*documents, **more)
        self.assertEqual(result.returncode, DONE, result.stderr)
        return sorted(self.tokens())

    def test_documents_of_one_name_are_told_apart_by_their_folders(self):
        paths = [self.write(f"{name}/text.txt", TEXT.encode() + name.encode())
                 for name in ("x/1859", "x/1872", "y/1859", "z")]
        self.assertEqual(self.names(*paths[:2]), ["1859+text.txt", "1872+text.txt"])
        self.assertEqual(self.names(*paths[:3]), ["x+1859+text.txt", "x+1872+text.txt", "y+1859+text.txt"])
        other = self.write("other.txt", TEXT.encode())
        self.assertEqual(self.names(*paths[:2], other), ["1859+text.txt", "1872+text.txt", "other.txt"])
        self.assertEqual(self.names("text.txt", "../../y/1859/text.txt", folder=paths[0].parent),
                         ["x+1859+text.txt", "y+1859+text.txt"])
        taken = self.write("1859+text.txt", TEXT.encode())
        self.assertEqual(self.names(*paths[:2], taken), ["1859+text.txt", "x+1859+text.txt", "x+1872+text.txt"])
        result = longshadow("analyze", self.output)
        self.assertEqual(result.returncode, DONE, result.stderr)

    def test_a_file_given_twice_is_refused(self):
        path = self.write("text.txt", TEXT.encode())
        link = self.folder / "link.txt"
        link.symlink_to(path)
        self.assert_refused(self.measured(path, path), BAD_USAGE, "text.txt twice")
        self.assert_refused(self.measured(path, link), BAD_USAGE, "link.txt", "one file")

    def test_odd_names_are_safe(self):
        odd = {b"caf\xe9.txt": "caf\\xe9.txt", b"two\nlines\x1b[2J.txt": "two\\x0alines\\x1b[2J.txt",
               "\u202egnp.txt".encode(): "\\xe2\\x80\\xaegnp.txt", "\u7f13\u5b58.txt".encode(): "\u7f13\u5b58.txt",
               b"with space + plus@.txt": "with space + plus@.txt", b"x" * 251 + b".txt": "x" * 251 + ".txt"}
        paths = [self.write(os.fsdecode(name), TEXT.encode()) for name in odd]
        self.assertEqual(self.names(*paths), sorted(odd.values()))
        for command in ("analyze",), ("inspect", "-o", self.folder / "page.html"):
            result = longshadow(*command, self.output, errors="replace")
            self.assertEqual(result.returncode, DONE, result.stderr)
            self.assertNotIn("\x1b", result.stdout)
        missing = self.measured(self.folder / "not\nthere")
        self.assert_refused(missing, FAILED, "not\\x0athere")


class Long(Documents):
    def probe_of(self, document, *more):
        """Seconds and megabytes that a probe of 64 tokens takes."""
        self.output.unlink(missing_ok=True)
        process = subprocess.Popen([cli_test.PROGRAM, "probe", "--model", MODEL, "--document", document, "-o", self.output,
                                    "--context", "64", "--future", "4", "--subjects", "word:3", "--threads", "1",
                                    "--progress", "none", *map(str, more)], stderr=subprocess.PIPE, text=True)
        with process.stderr:
            said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, DONE, said)
        return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def test_the_cost_is_that_of_what_is_measured(self):
        article = ARTICLE.read_bytes()
        short = self.write("short.txt", article)
        seconds, megabytes = self.probe_of(short)
        run = self.output.read_bytes()
        for name, unit in (("lines", article), ("line", article.replace(b"\n", b" ")), ("fence", b"```\n" + article)):
            long = self.folder / f"{name}.txt"
            with open(long, "wb") as file:
                for _ in range((64 << 20) // len(unit)):
                    file.write(unit)
            more_seconds, more_megabytes = self.probe_of(long)
            # 64 MB through SHA-256 and the check of UTF-8 take a fraction of a second; all of it tokenised and
            # tagged takes 4 GB and two minutes.
            self.assertLess(more_megabytes, megabytes + 60, name)
            self.assertLess(more_seconds, seconds + 10, name)
            long.unlink()
        self.assertTrue(run)

    def test_a_word_of_many_megabytes_is_refused(self):
        result = self.probe(document=self.write("word.txt", b"a" * (9 << 20)), context=16)
        self.assert_refused(result, FAILED, "word.txt", "8 MiB", "byte 0")

    def test_the_tokens_and_tags_are_those_of_the_whole_text(self):
        """Of a text that goes on for a megabyte, and of one that is in memory as a whole."""
        article = ARTICLE.read_bytes()
        runs = []
        for size in (100 << 10, 1 << 20):
            content = (article * (size // len(article) + 1))[:size]
            self.output.unlink(missing_ok=True)
            result = self.probe(document=self.write("text.txt", content.decode("utf-8", "ignore").encode()),
                                context=220)
            self.assertEqual(result.returncode, DONE, result.stderr)
            with h5py.File(self.output) as file:
                tokens = file["documents/text.txt/tokens"]
                runs.append([tokens[name][:].tolist() for name in ("id", "bytes", "upos", "word")])
        self.assertEqual(*runs)


class SentencePiece(Documents):
    """A vocabulary of characters, with bytes for the others and a mark for a space, also before the text."""

    MARK = "\u2581"
    SPECIAL = ["<unk>", "<s>", "</s>"]
    SPELLINGS = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), MARK, *"acfit.", MARK + "c", MARK + "ca"]

    def model(self):
        """The small model with these tokens."""
        folder = self.folder / "model"
        shutil.copytree(MODELS / "llama_plain", folder)
        fixture = json.loads((MODELS.parent / "tokenizer/sentencepiece.json").read_text(encoding="utf-8"))
        fixture["added_tokens"] = fixture["added_tokens"][:len(self.SPECIAL)]
        fixture["model"] |= {"vocab": {spelling: id for id, spelling in enumerate(self.SPELLINGS)},
                             "merges": [[self.MARK, "c"], [self.MARK + "c", "a"]]}
        (folder / "tokenizer.json").write_text(json.dumps(fixture), encoding="utf-8")
        return folder

    def test_tokens_have_the_bytes_that_they_stand_for(self):
        result = self.probe(model=self.model(), document=self.write("text.txt", "\u6f22 caf\u00e9 it. ".encode() * 40))
        self.assertEqual(result.returncode, DONE, result.stderr)
        byte = "\ufffd"
        self.assertEqual(self.tokens()["text.txt"][:15], [
            ("<s>", (0, 0)), (" ", (0, 0)), (byte, (0, 1)), (byte, (1, 2)), (byte, (2, 3)),
            (" ca", (3, 6)), ("f", (6, 7)), (byte, (7, 8)), (byte, (8, 9)),
            (" ", (9, 10)), ("i", (10, 11)), ("t", (11, 12)), (".", (12, 13)), (" ", (13, 14)), (byte, (14, 15))])
        with h5py.File(self.output) as file:
            words = file["documents/text.txt/tokens/word"][:15].tolist()
        self.assertEqual(words, [-1, -1, 0, 0, 0, 1, 1, 1, 1, -1, 2, 2, 3, -1, 4])

    def test_a_text_of_many_megabytes_is_no_single_word(self):
        result = self.probe(model=self.model(), document=self.write("long.txt", b"it. cat " * (9 << 17)))
        self.assertEqual(result.returncode, DONE, result.stderr)


if __name__ == "__main__":
    cli_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    unittest.main()
