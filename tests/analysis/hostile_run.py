"""A made-up run whose texts and names would harm a careless page: HTML, halves of characters, text from right
to left, line ends and control characters."""

import h5py
import numpy as np

TEXTS = ["<script>window.harmed = 1</script>", "</script>", "<!--", "<img src=x onerror='window.harmed=2'>",
         " <b>", "&amp;", '"', "'", "\u2028", "]]>", "${window.harmed}", "\U0001f642", " \u05e9\u05dc\u05d5\u05dd",
         " \u0645\u0631\u062d\u0628\u0627", "\ufffd", "\ufffd\ufffd", "e\u0301", "\n", "\t", " ", "\n\n  ", "\u202e",
         "\u2400", "\x1b[31m", " needle", " Needle", "javascript:", "-->", "\r\n"]
NAME = "<img src=x onerror=window.harmed=3> \u05e9\u05dc\u05d5\u05dd"
MARKUP = "</script><script>window.harmed=4</script>"


def make_hostile(path, groups=True):
    """Gives the run at `path` those texts in place of its own, but for its `groups` only where these may be lost;
    its first document is renamed to NAME."""
    with h5py.File(path, "r+") as file:
        file["model"].attrs["name"] = MARKUP
        documents = file["documents"]
        documents.move(next(iter(documents)), NAME)
        for document in documents.values():
            n = len(document["tokens/text"])
            _replace(document["tokens"], "text", [TEXTS[i % len(TEXTS)] for i in range(n)])
            if "influence" in document:
                subjects = len(document["influence/label"])
                _replace(document["influence"], "label", [MARKUP] * subjects)
                if groups:
                    _replace(document["influence"], "group", [MARKUP] * subjects)


def _replace(group, name, texts):
    """The same dataset with other texts, stored as the format asks."""
    coded = [text.encode() for text in texts]
    del group[name]
    kind = h5py.string_dtype("utf-8", max(map(len, coded)))
    group.create_dataset(name, data=np.array(coded, kind), chunks=(len(coded),), fletcher32=True)
