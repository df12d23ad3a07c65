"""What the studies' scripts are called with."""

import re
from pathlib import Path


def read_studies(words, read):
    """read(model, folder) of every word MODEL=FOLDER; of these there is at least one."""
    studies = []
    for word in words:
        model, separator, folder = word.partition("=")
        if not separator or not re.fullmatch(r"[\w.-]+", model):
            raise SystemExit(f"summarise.py: expected MODEL=OUTPUT, found {word!r}")
        studies.append(read(model, Path(folder)))
    if not studies:
        raise SystemExit("summarise.py: expected MODEL=OUTPUT, found nothing")
    return studies
