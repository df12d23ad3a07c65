"""The rules of the house, each a function from a checkout's root to the list of its violations."""

import re
from pathlib import Path
from typing import Iterator

# Each room and the rooms whose headers it may include besides its own: one way only. The order is
# that of the dependencies, so a room lists what stands above it and nothing below.
ENGINE = ("engine/core", "engine/io", "engine/chat", "engine/backend", "engine/ops", "engine/kv",
          "engine/model", "engine/policy")
ROOMS = {room: ENGINE[:i] for i, room in enumerate(ENGINE)} | {
    "data/format": (),
    "analysis/inspect": ("data/format", "analysis"),
    "analysis": ("data/format", "engine/core/sha256.h"),
    "probes/part_of_speech": ("engine/core", "engine/io"),
    "probes": ENGINE + ("data/format", "analysis/command.h", "analysis/run_reader.h",
                        "analysis/run_directory.h", "analysis/merge.h",
                        "analysis/inspect/command.h", "probes/part_of_speech"),
    "tests": ENGINE + ("data/format", "analysis", "probes/part_of_speech", "probes"),
}

# A foreign library is wrapped once: only the rooms named include its headers.
FOREIGN = {
    r"hdf5.*\.h|H5\w+\.h": ("data/format",),
    r"dnnl.*|oneapi/dnnl/.*|omp\.h|Eigen/.*": ("engine/backend",),
    r"tbb/.*|oneapi/tbb.*": ("engine/backend",),
    r"cuda.*\.h|cublas.*\.h|boost/context/.*|sanitizer/.*": ("engine/backend",),
    r"openssl/.*": ("engine/core",),
    r"nlohmann/.*": ("engine/io", "engine/chat", "analysis/inspect", "analysis", "probes"),
    r"pcre2\.h|utf8proc\.h": ("engine/io",),
    r"boost/crc\.hpp": ("data/format",),
    r"boost/program_options.*": ("probes", "analysis/inspect", "analysis"),
}

FOLDERS = {"analysis", "data", "engine", "notebooks", "probes", "tests"}
FILES = {"CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "LICENSE", "README.md"}

# Paths of one machine; written in pieces so that this file obeys its own rule.
FOREIGN_PATHS = re.compile("|".join(["/wo" + "rk/", r"\.lib" + "rary", "/ro" + "ot/", "/ho" + "me/"]))

LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)


def is_ours(path: Path, root: Path) -> bool:
    """Neither a build folder, nor fetched, nor a tool's cache."""
    parts = path.relative_to(root).parts
    return not (parts[0].startswith("build") or parts[0] == ".git" or parts[0] == ".cache"
                or parts[:2] == ("data", "models") or "__pycache__" in parts)


def cpp_files(root: Path) -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((root / room).rglob("*")):
            if path.suffix in {".h", ".cc", ".cu"}:
                yield path


def room_of(name: str) -> str | None:
    """The room that the file `name` (a path from the root) lies in."""
    return next((room for room in ROOMS if name.startswith(room + "/")), None)


def may_include(room: str, header: str) -> bool:
    return any(header == seen or header.startswith(seen + "/") for seen in (room, *ROOMS[room]))


def includes_against_the_order(root: Path) -> list[str]:
    violations = []
    for path in cpp_files(root):
        name = path.relative_to(root).as_posix()
        room = room_of(name)
        for quote, header in INCLUDE.findall(path.read_text()):
            if quote == '"' and not (root / header).is_file():
                violations.append(f'{name}: "{header}" is no path from the root')
            elif quote == '"' and not may_include(room, header):
                violations.append(f'{name}: {room} must not see "{header}"')
            elif quote == "<":
                violations += [f"{name}: <{header}> belongs to {' and '.join(owners)} alone"
                               for pattern, owners in FOREIGN.items()
                               if re.fullmatch(pattern, header)
                               and room not in (*owners, "tests")]
    return violations


def unexpected_entries(root: Path) -> list[str]:
    """Entries of the root besides the six rooms, the five documents, dotfiles and build folders."""
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


def broken_links(root: Path) -> list[str]:
    """Links of Markdown pages to files that are not there."""
    return [f"{page.relative_to(root)}: {target}"
            for page in sorted(root.rglob("*.md")) if is_ours(page, root)
            for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
