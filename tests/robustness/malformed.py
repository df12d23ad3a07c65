"""One malformed file, and what its refusal must say.

Each table `CASES` beside this module is a list of these.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "data/fixtures/models"
DOCUMENT = "document.txt"  # beside a model, what `probe` reads

INFO_AND_PROBE = ("info", "probe")
PROBE = ("probe",)  # of what shows only once a text is read


@dataclass(frozen=True)
class Case:
    number: int  # 1 to 106, the same as in the parsers' unit tests
    what: str  # is wrong
    words: str  # that the refusal holds
    spoil: Callable  # makes the malformed file; each table says of what
    commands: tuple = INFO_AND_PROBE  # that refuse it
