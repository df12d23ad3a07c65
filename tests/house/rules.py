"""The rules of the house, each a function from a checkout's root to the list of its violations."""

import re
from pathlib import Path
from typing import Iterator

# Each room and what it may include besides its own headers, rooms and single headers of others: the
# column "sees" of CONTRIBUTING.md's table. A folder that is no room itself, as `engine`, stands for
# all of the rooms in it. A room that lies in the folder of another one stands before it.
ROOMS = {
    "engine/core": (),
    "engine/text": ("engine/core",),
    "engine/io": ("engine/core", "engine/text"),
    "engine/quantization": ("engine/core", "engine/text", "engine/io"),
    "engine/tokenizer/definition": ("engine/core", "engine/text", "engine/io"),
    "engine/tokenizer/encoding": ("engine/core", "engine/text", "engine/tokenizer/definition"),
    "engine/tokenizer": ("engine/core", "engine/text", "engine/io", "engine/tokenizer/definition",
                         "engine/tokenizer/encoding"),
    "engine/jinja/syntax": ("engine/core", "engine/text"),
    "engine/jinja/values": ("engine/core", "engine/text"),
    "engine/jinja/operators": ("engine/core", "engine/text", "engine/jinja/values"),
    "engine/jinja/filters": ("engine/core", "engine/text", "engine/jinja/values", "engine/jinja/operators"),
    "engine/jinja": ("engine/core", "engine/text", "engine/jinja/syntax", "engine/jinja/values",
                     "engine/jinja/operators", "engine/jinja/filters"),
    "engine/chat": ("engine/core", "engine/text", "engine/io", "engine/jinja/syntax", "engine/jinja/values",
                    "engine/jinja"),
    "engine/backend": ("engine/core",),
    "engine/cuda": ("engine/core", "engine/backend"),
    "engine/ops/common": ("engine/core", "engine/backend"),
    "engine/ops/projection": ("engine/core", "engine/backend", "engine/ops/common"),
    "engine/ops/norm": ("engine/core", "engine/backend", "engine/ops/common"),
    "engine/ops/feed_forward": ("engine/core", "engine/backend", "engine/ops/common",
                                "engine/ops/projection"),
    "engine/ops/experts": ("engine/core", "engine/backend", "engine/ops/common"),
    "engine/ops/attention": ("engine/core", "engine/backend", "engine/ops/common", "engine/ops/projection"),
    "engine/ops/attention_statistics": ("engine/core", "engine/backend", "engine/ops/common",
                                        "engine/ops/projection", "engine/ops/attention"),
    "engine/ops/vocabulary": ("engine/core", "engine/backend", "engine/ops/common"),
    "engine/ops/divergence": ("engine/core", "engine/backend", "engine/ops/common"),
    "engine/ops/cache": ("engine/core", "engine/backend"),
    "engine/kv": ("engine/core", "engine/backend", "engine/ops"),
    "engine/config": ("engine/core", "engine/text", "engine/io", "engine/quantization"),
    "engine/parts": ("engine/core", "engine/backend", "engine/ops", "engine/config"),
    "engine/model": ("engine/core", "engine/backend", "engine/ops", "engine/kv", "engine/config",
                     "engine/parts"),
    "engine/checkpoint": ("engine/core", "engine/text", "engine/io", "engine/quantization",
                          "engine/tokenizer/definition", "engine/tokenizer", "engine/backend",
                          "engine/config", "engine/parts", "engine/model"),
    "engine/policy": ("engine/core", "engine/text", "engine/ops/projection", "engine/ops/attention",
                      "engine/kv"),
    "engine/policies/learned": ("engine/core", "engine/io", "engine/backend", "engine/ops", "engine/policy"),
    "engine/policies": ("engine/core", "engine/text", "engine/ops/attention_statistics", "engine/policy",
                        "engine/policies/learned"),
    "engine/part_of_speech/words": ("engine/core", "engine/text"),
    "engine/part_of_speech/treebank": ("engine/core", "engine/text", "engine/tokenizer",
                                       "engine/part_of_speech"),
    "engine/part_of_speech": ("engine/core", "engine/text", "engine/io", "engine/tokenizer",
                              "engine/part_of_speech/words"),
    "data/format": ("engine/text/utf8.h",),
    "analysis/runs": ("data/format", "engine/core/sha256.h"),
    "analysis/statistics": ("data/format",),
    "analysis/results": ("data/format", "analysis/statistics"),
    "analysis/report": ("data/format", "analysis/statistics", "analysis/results"),
    "analysis/inspect": ("data/format", "analysis/runs", "analysis/statistics", "analysis/results",
                         "analysis/report"),
    "analysis": ("data/format", "analysis/runs", "analysis/results", "analysis/report", "engine/text/utf8.h"),
    "probes/models": ("engine/core", "engine/text", "engine/checkpoint"),
    "probes/documents": ("engine/core", "engine/text", "engine/io", "engine/tokenizer",
                         "engine/part_of_speech/words", "engine/part_of_speech",
                         "engine/part_of_speech/treebank", "data/format", "probes/models"),
    "probes/runs": ("engine/core", "engine/io", "data/format", "analysis/runs", "probes/documents"),
    "probes/cost": ("engine/core", "engine/backend", "engine/config", "engine/parts", "engine/model"),
    "probes/gather": ("engine/core", "engine/backend", "engine/ops", "engine/config", "engine/model",
                      "engine/policy"),
    "probes/measure": ("engine/core", "engine/backend", "engine/ops", "engine/kv", "engine/model",
                       "probes/cost"),
    "probes/influence": ("engine", "data/format", "probes/documents", "probes/runs", "probes/measure"),
    "probes/compression": ("engine", "probes/runs", "probes/gather", "probes/influence"),
    "probes/subjects": ("engine", "data/format", "probes/documents", "probes/runs", "probes/measure",
                        "probes/compression"),
    "probes/learning": ("engine", "data/format", "analysis/runs", "probes/gather", "probes/influence",
                        "probes/compression"),
    "probes/experiments": ("engine", "data/format", "probes/documents", "probes/runs", "probes/cost",
                           "probes/gather", "probes/measure", "probes/influence", "probes/compression",
                           "probes/subjects"),
    "probes/options": ("engine", "data/format", "analysis/runs", "probes/models", "probes/documents",
                       "probes/runs", "probes/cost", "probes/measure", "probes/influence",
                       "probes/compression", "probes/subjects", "probes/learning", "probes/experiments"),
    "probes/commands": ("engine", "data/format", "analysis/runs", "analysis/command.h",
                        "analysis/inspect/command.h", "probes/models", "probes/documents", "probes/runs",
                        "probes/cost", "probes/compression", "probes/subjects", "probes/learning",
                        "probes/experiments", "probes/options"),
}


def expanded(item: str) -> tuple[str, ...]:
    """A room or a header as it is; a folder that is no room itself, all of the rooms in it."""
    inside = tuple(room for room in ROOMS if room.startswith(item + "/"))
    return inside if inside and item not in ROOMS else (item,)


ROOMS = {room: tuple(part for item in seen for part in expanded(item)) for room, seen in ROOMS.items()}
ENGINE = expanded("engine")
ROOMS["tests"] = tuple(room for room in ROOMS if room != "tests")

# The headers of the CUDA device are included by kernels, which lie beside their operations, and by
# the one file that makes a program with kernels.
CUDA_ROOM = "engine/cuda"
SEES_CUDA = re.compile(r"engine/cuda/.*|engine/ops/.*_cuda\.(?:cu|h)|probes/commands/main\.cc|tests/.*")

# Templates over element types and devices end at these rooms: explicit instantiations in others, or
# more than so many in all, are a design to think about again.
INSTANTIATING = ("engine/io", "engine/ops", "engine/cuda", "data/format", "tests")
MOST_INSTANTIATIONS = 80
INSTANTIATION = re.compile(r"^\s*template (?!<)", re.MULTILINE)
MACRO = re.compile(r"#define (\w+)\([^)]*\)((?:[^\n]*\\\n)*[^\n]*)")

# A foreign library's headers are included by the rooms named, and by tests.
FOREIGN = {
    r"hdf5.*\.h|H5\w+\.h": ("data/format",),
    r"dnnl.*|oneapi/dnnl/.*|omp\.h": ("engine/backend",),
    r"Eigen/.*": ("engine/backend", "probes/learning"),
    r"tbb/.*|oneapi/tbb.*": ("engine/backend",),
    r"cuda.*\.h|cublas.*\.h|boost/context/.*": ("engine/cuda",),
    r"sanitizer/.*": ("engine/backend", "engine/cuda"),
    r"openssl/.*": ("engine/core",),
    r"nlohmann/.*": ("engine/io", "engine/chat", "engine/policies/learned", "analysis/report",
                     "analysis/inspect", "probes/runs", "probes/experiments", "probes/options",
                     "probes/commands"),
    r"pcre2\.h|utf8proc\.h": ("engine/text", "engine/tokenizer"),
    r"boost/crc\.hpp": ("data/format",),
    r"boost/program_options.*": ("analysis/inspect", "analysis", "probes/options", "probes/commands"),
    r"catch2/.*": (),
}
# The language's own and the operating system's, which every room may include.
SYSTEM = re.compile(r"\w+|sys/\w+\.h|(dlfcn|fcntl|malloc|signal|stdio|time|unistd)\.h")

# Every warning that is switched off, and where; CONTRIBUTING.md says why each is.
WAIVED = {
    ("CMakeLists.txt", "-Wno-sign-conversion"),
    ("CMakeLists.txt", "-Wno-restrict"),
    ("CMakeLists.txt", "-Wno-uninitialized"),
    ("CMakeLists.txt", "-Wno-maybe-uninitialized"),
    ("engine/backend/CMakeLists.txt", "-Wno-maybe-uninitialized"),
    ("engine/ops/CMakeLists.txt", "-Wno-psabi"),
    ("tests/CMakeLists.txt", "-Wno-psabi"),
    ("engine/cuda/CMakeLists.txt", "-Wno-psabi"),
    ("engine/cuda/CMakeLists.txt", "-diag-suppress=554"),
    ("tests/device/compile_kernels.py", "-diag-suppress 554"),
    (".clang-tidy", "-Wno-unknown-warning-option"),
}
WAIVER = re.compile("|".join([
    r"-Wno-[a-z0-9+-]+", r"-diag-suppress\W+\d+", "NO" + r"LINT\w*",
    r"#\s*pragma\s+(?:GCC|clang|nv_)\s*\w+", r"_Pragma", r"SYSTEM_WARN\w*", r"(?<![\w-])-w(?![\w-])"]))

# Where a program may write to its standard output or end: the command line.
COMMAND_LINE = re.compile(r"probes/commands/(\w+_command|main)\.cc")
PRINTS = re.compile(r"std::(?:cout|cerr|clog|exit|abort|terminate|printf|fprintf|puts)\b"
                    r"|(?<![\w:])(?:printf|fprintf|puts|exit|abort)\(")
# What library code throws, and what only some of it does.
THROWS = re.compile(r"\bthrow\s+([A-Za-z_][\w:]*)")
EXCEPTIONS = {
    "Error": "", "UsageError": "", "std::bad_alloc": "", "ContractError": "engine/core/require.h",
    "FormatError": "data/format|analysis|probes/runs/run_store.cc|probes/options/run_output.cc",
    "std::invalid_argument": "analysis|engine/text/pattern",  # a request; an expression
    "Interrupted": "probes/runs/interrupt.cc", "Abandoned": "engine/cuda/host",
}
# Where bytes reach the disk: runs by the first two, the reports of two commands by themselves.
WRITERS = re.compile(r"data/format/(descriptor|publish)\.cc|probes/commands/(bench|pos)_command\.cc")
WRITES = re.compile(r"(?<![\w:])::(?:write|pwrite|fsync|fdatasync|rename|ftruncate|link)\("
                    r"|fs::(?:rename|resize_file|copy\w*)\(|std::(?:ofstream\b|fopen\b(?![^;]*\"rb\"))")

# The first lines of doc comments that CONTRIBUTING.md asks to be written otherwise, and the folders
# that have none any more. `python3 tests/house/rules.py` counts those of every folder.
OPAQUE = re.compile(r"///\s*(?:Of|The same|What)\b")
CLEAN = ("engine/backend", "engine/core", "engine/kv", "engine/model", "engine/ops/attention",
         "engine/ops/attention_statistics", "engine/ops/cache", "engine/ops/common", "engine/ops/divergence",
         "engine/ops/experts", "engine/ops/feed_forward", "engine/ops/norm", "engine/ops/projection", "engine/ops/vocabulary",
         "engine/parts", "probes/commands", "probes/compression", "probes/cost", "probes/experiments",
         "probes/gather", "probes/influence", "probes/measure", "probes/options", "probes/subjects",
         "tests/backend", "tests/config", "tests/core", "tests/cuda", "tests/format", "tests/house",
         "tests/io", "tests/kv", "tests/model")

MOST_LINES = 500
CODE = {".cc", ".cu", ".h", ".js", ".py", ".sh"}

# `a = std::max(a, b)` keeps a where b is NaN.
BLIND_TO_NAN = re.compile(r"([\w.>\[\]-]+)\s*=\s*std::f?(?:max|min)(?:<\w+>)?\(\s*\{?\s*\1\s*,"
                          r"|([\w.>\[\]-]+)\s*=\s*std::f?(?:max|min)(?:<\w+>)?\([^;]*,\s*\2\s*\}?\)")
QUIET_SKIP = re.compile(r"WARN\([^;]*skip")

FOLDERS = {"analysis", "data", "docs", "engine", "notebooks", "probes", "tests"}
FILES = {"CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "LICENSE", "README.md"}

# Paths of one machine; written in pieces so that this file obeys its own rule.
FOREIGN_PATHS = re.compile("|".join(["/wo" + "rk/", r"\.lib" + "rary", "/ro" + "ot/", "/ho" + "me/"]))

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)|\bsrc=\"(?!https?:)([^\"]+)\"")
CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# A file that a page speaks of: not an example's (x.h), not one that a command is to write.
NAMED_FILE = re.compile(r"(?<![\w./])(?:analysis|data|docs|engine|notebooks|probes|tests)/[\w./-]+"
                        r"\.(?:cc|cu|h|js|json|md|py|sh|svg|tsv|txt)\b")
EXAMPLE = re.compile(r"(?:x|x_\w+|vnorm)\.\w+")
# What ctest is asked for by name: -R 'one|another', where a cell of a table escapes the bar.
ASKED_TESTS = re.compile(r"\s-R\s+('[^']+'|[\w^]+)")
MOST_WORDS = 900  # of README.md beside its tables and code: two pages
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def is_ours(path: Path, root: Path) -> bool:
    """Neither a build folder, nor fetched, nor a tool's cache."""
    parts = path.relative_to(root).parts
    return not (parts[0].startswith("build") or parts[0] == ".git" or parts[0] == ".cache"
                or parts[:2] == ("data", "models") or "__pycache__" in parts)


def cpp_files(root: Path) -> Iterator[Path]:
    for folder in sorted({room.split("/")[0] for room in ROOMS}):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cc", ".cu"} and is_ours(path, root):
                yield path


def room_of(name: str) -> str | None:
    """The room that the file `name` (a path from the root) lies in."""
    return next((room for room in ROOMS if name.startswith(room + "/")), None)


def may_include(room: str, header: str) -> bool:
    return bool({header, room_of(header)} & {room, *ROOMS[room]})


def rooms_of_contributing(root: Path) -> dict[str, tuple[str, ...]]:
    """CONTRIBUTING.md's table of rooms, in the form of ROOMS."""
    rooms = {}
    for line in (root / "CONTRIBUTING.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3 or not re.fullmatch(r"`[\w/]+`", cells[0]):
            continue
        name = cells[0].strip("`")
        seen = [room for room in ROOMS if room != name] if cells[2] == "everything" else [
            part for item in cells[2].split(", ") if item for part in expanded(item)]
        rooms[name] = tuple(seen)
    return rooms


def includes_against_the_order(root: Path) -> list[str]:
    violations = []
    for path in cpp_files(root):
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        if room is None:
            violations.append(f"{name}: lies in no room that ROOMS names")
            continue
        for quote, header in INCLUDE.findall(path.read_text()):
            if quote == '"' and not (root / header).is_file():
                violations.append(f'{name}: "{header}" is no path from the root')
            elif quote == '"' and not (SEES_CUDA.fullmatch(name) if room_of(header) == CUDA_ROOM
                                       else may_include(room, header)):
                violations.append(f'{name}: {room} must not see "{header}"')
            elif quote == "<" and not SYSTEM.fullmatch(header):
                owners = [owners for pattern, owners in FOREIGN.items()
                          if re.fullmatch(pattern, header)]
                if not owners:
                    violations.append(f"{name}: <{header}> is no library that FOREIGN names")
                elif room not in (*owners[0], "tests"):
                    violations.append(f"{name}: <{header}> belongs to {' and '.join(owners[0])} alone")
    return violations


def explicit_instantiations(root: Path) -> dict[str, int]:
    """How many explicit instantiations each file has; a macro's count as often as it is used."""
    found = {}
    for path in cpp_files(root):
        text = path.read_text()
        statements = len(INSTANTIATION.findall(MACRO.sub("", text)))
        for macro, body in MACRO.findall(text):
            uses = len(re.findall(rf"^\s*{macro}\(", text, re.MULTILINE))
            statements += uses * len(re.findall(r"\btemplate (?!<)", body))
        if statements:
            found[path.relative_to(root).as_posix()] = statements
    return found


def unexpected_entries(root: Path) -> list[str]:
    """Entries of the root besides the seven folders, the five documents, dotfiles and build folders."""
    return [entry.name for entry in sorted(root.iterdir())
            if not entry.name.startswith((".", "build"))
            and entry.name not in (FOLDERS if entry.is_dir() else FILES)]


def paths_of_one_machine(root: Path) -> list[str]:
    violations = []
    for path in sorted(root.rglob("*")):
        if not is_ours(path, root) or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if found := FOREIGN_PATHS.search(line):
                violations.append(f"{path.relative_to(root)}:{number}: {found.group()}")
    return violations


def headers_without_pragma_once(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in cpp_files(root)
            if path.suffix == ".h" and "#pragma once" not in path.read_text()]


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Our Markdown pages, with their text."""
    for page in sorted(root.rglob("*.md")):
        if is_ours(page, root):
            yield page, page.read_text()


def anchors(text: str) -> set[str]:
    """What a link can name behind a #: the headings, as GitHub spells them there."""
    headings = re.findall(r"^#+ (.*)", CODE_BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(root: Path) -> list[str]:
    """Links and pictures of Markdown pages that are not there, and links to headings that are not."""
    violations = []
    for page, text in pages(root):
        for target, anchor, picture in LINK.findall(text):
            file = page.parent / (target or picture) if target or picture else page
            if not file.exists():
                violations.append(f"{page.relative_to(root)}: {target or picture}")
            elif anchor and anchor not in anchors(file.read_text()):
                violations.append(f"{page.relative_to(root)}: {target}#{anchor}")
    return violations


def files_named_in_vain(root: Path) -> list[str]:
    """Files that Markdown pages speak of without a link, and that are not there."""
    return [f"{page.relative_to(root)}: {name}" for page, text in pages(root)
            for name in sorted(set(NAMED_FILE.findall(text)))
            if not EXAMPLE.fullmatch(name.split("/")[-1]) and not (root / name).exists()]


def unlinked_pages(root: Path) -> list[str]:
    """Pages of docs/ that README.md has no link to."""
    linked = {target for target, *_ in LINK.findall((root / "README.md").read_text())}
    return [page.name for page in sorted((root / "docs").glob("*.md"))
            if f"docs/{page.name}" not in linked]


def words_of_readme(root: Path) -> int:
    """The words of README.md beside its tables, code and pictures."""
    text = re.sub(r"^\|.*|<img[^>]*>", "", CODE_BLOCK.sub("", (root / "README.md").read_text()),
                  flags=re.MULTILINE)
    return len(text.split())


def names_of_tests(root: Path) -> set[str]:
    """What ctest calls the tests, nearly: their sources and CMakeLists.txt say it."""
    names = set()
    for name, content in text_files(root / "tests", {".cc", ".py", "CMakeLists.txt"}):
        room, _, file = name.rpartition("/")
        for case in re.findall(r'TEST_CASE(?:_METHOD)?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', content):
            names.add(f"{room}: " + "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', case)))
        if file == "CMakeLists.txt":
            names.update(re.findall(r'test\(\s*"([^"]+)"', content))
        elif file.endswith(".py"):
            names.add(f"{room}: {file}")
    return names


def tests_asked_in_vain(root: Path) -> list[str]:
    """Names by which README.md, CONTRIBUTING.md and docs/ ask for tests, and which no test has."""
    names = names_of_tests(root)
    return [f"{page.relative_to(root)}: {one}" for page, text in pages(root)
            if page.parent.name == "docs" or page.parent == root
            for asked in ASKED_TESTS.findall(text)
            for one in re.sub(r"\s+", " ", asked.strip("'")).replace("\\|", "|").split("|")
            if one != "NAME" and not any(re.search(one, name) for name in names)]


def opaque_comments(root: Path) -> dict[str, list[str]]:
    """By folder, the doc comments whose first line begins with a word that OPAQUE has."""
    found = {}
    for path in cpp_files(root):
        folder = path.parent.relative_to(root).as_posix()
        lines = [line.strip() for line in path.read_text().splitlines()]
        found.setdefault(folder, []).extend(
            f"{path.relative_to(root)}:{number}: {line}"
            for number, (before, line) in enumerate(zip(["", *lines], lines), 1)
            if OPAQUE.match(line) and not before.startswith("///"))
    return found


def text_files(root: Path, suffixes: set[str]) -> Iterator[tuple[str, str]]:
    """(name, content) of our files whose suffix or name is one of these."""
    for path in sorted(root.rglob("*")):
        if is_ours(path, root) and {path.suffix, path.name} & suffixes and path.is_file():
            yield path.relative_to(root).as_posix(), path.read_text()


def library_files(root: Path) -> Iterator[tuple[str, str]]:
    """(name, content) of the rooms but tests."""
    for path in cpp_files(root):
        name = path.relative_to(root).as_posix()
        if not name.startswith("tests/"):
            yield name, path.read_text()


def lines_with(name: str, content: str, pattern: re.Pattern) -> list[str]:
    """"FILE:LINE: what was found" of every match outside comments."""
    code = re.sub(r"//[^\n]*", "", content)
    return [f"{name}:{code.count(chr(10), 0, found.start()) + 1}: {' '.join(found.group().split())}"
            for found in pattern.finditer(code)]


def waived_warnings(root: Path) -> set[tuple[str, str]]:
    """(file, what switches a warning off), everywhere that a compiler or clang-tidy reads it."""
    read = {".cc", ".cu", ".h", ".cmake", "CMakeLists.txt", "CMakePresets.json", ".clang-tidy",
            "compile_kernels.py"}
    return {(name, re.sub(r'\W+(?=\d)', lambda gap: "=" if gap.group() == "=" else " ", found.group()))
            for name, content in text_files(root, read) for found in WAIVER.finditer(content)}


def long_files(root: Path) -> list[str]:
    return [f"{name}: {lines} lines" for name, content in text_files(root, CODE)
            if (lines := content.count("\n")) > MOST_LINES]


def prints_of_libraries(root: Path) -> list[str]:
    return [line for name, content in library_files(root) if not COMMAND_LINE.fullmatch(name)
            and "engine/cuda/host/" not in name for line in lines_with(name, content, PRINTS)]


def unknown_exceptions(root: Path) -> list[str]:
    """Exceptions besides those that CONTRIBUTING.md names, or outside the files that may throw them."""
    return [f"{name}: throws {thrown}" for name, content in library_files(root)
            for thrown in THROWS.findall(re.sub(r"//[^\n]*", "", content))
            if thrown not in EXCEPTIONS or not re.match(EXCEPTIONS[thrown], name)]


def writes_elsewhere(root: Path) -> list[str]:
    return [line for name, content in library_files(root) if not WRITERS.fullmatch(name)
            for line in lines_with(name, content, WRITES)]


def tests_blind_to_nan(root: Path) -> list[str]:
    """Largest and smallest values that pass over NaN, and comparisons that hold for it."""
    return [line for name, content in text_files(root / "tests", {".cc", ".h"})
            for line in lines_with("tests/" + name, content, BLIND_TO_NAN)]


def quiet_skips(root: Path) -> list[str]:
    """Skips that ctest would count as passed (tests/support/skip.h and suite.py make real ones)."""
    violations = []
    for name, content in text_files(root / "tests", {".cc", ".py", "CMakeLists.txt"}):
        if name.startswith("house/"):
            continue
        if QUIET_SKIP.search(content):
            violations.append(f"tests/{name}: a WARN is no skip")
        if re.search(r"unittest\.skip|\.skipTest\(|SkipTest", content) and "suite.main(" not in content:
            violations.append(f"tests/{name}: skips, and does not run by suite.main()")
        if re.search(r"\badd_test\(", content) and name != "CMakeLists.txt":
            violations.append(f"tests/{name}: add_test() where script_test() counts skips")
    return violations


def malformed_cases(root: Path) -> int:
    """The highest number of the tables of malformed input."""
    return max(int(number) for _, content in text_files(root / "tests/robustness", {".py"})
               for number in re.findall(r"\bCase\((\d+),", content))


def unnamed_page_scripts(root: Path) -> list[str]:
    """Scripts of the page that CONTRIBUTING.md says nothing of."""
    text = (root / "CONTRIBUTING.md").read_text()
    return [path.name for path in sorted((root / "analysis/inspect/page").glob("*.js"))
            if f"`{path.name}`" not in text]


if __name__ == "__main__":
    for folder, comments in sorted(opaque_comments(Path(__file__).resolve().parents[2]).items()):
        print(f"{len(comments):4} {folder}" + (" (CLEAN)" if folder in CLEAN else ""))
