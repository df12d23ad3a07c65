"""Makes data/fixtures/part_of_speech/written_by/: what spaCy (through spacy_conll), Stanza and UDPipe
write as CoNLL-U for one text, which they tokenise or are given words of. No model is needed: tags come
from the list below, white space gets the tags that spaCy's pipelines give it.

    python -m pip install spacy==3.8.18 spacy-conll==4.0.1 stanza==1.6.1 ufal.udpipe==1.4.0.1
    python tests/parity/make_conllu_fixtures.py
"""

import re
from pathlib import Path

import spacy
import spacy_conll  # noqa: F401, registers its component
import ufal.udpipe as udpipe
from stanza.models.common.doc import Document
from stanza.utils.conll import CoNLL

FOLDER = Path(__file__).resolve().parents[2] / "data/fixtures/part_of_speech/written_by"

TEXT = "\n Tokens leave.\n\nThe cache\tforgets  them, and \u201cnobody\u201d minds.\r\nIt's fine;\nit doesn't last.  \n"

TAGS = {"Tokens": "NOUN", "leave": "VERB", "The": "DET", "cache": "NOUN", "forgets": "VERB", "them": "PRON",
        "and": "CCONJ", "nobody": "PRON", "minds": "VERB", "It": "PRON", "'s": "AUX", "fine": "ADJ",
        "it": "PRON", "does": "AUX", "n't": "PART", "last": "VERB", "'": "PUNCT", "s": "AUX", "doesn": "AUX",
        "t": "PART", "doesn't": "AUX"}


def tag_of(form):
    return TAGS.get(form, "PUNCT")


def by_spacy():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("conll_formatter", last=True, config={
        "ext_names": {}, "conversion_maps": {}, "field_names": {}, "include_headers": True})
    formatter = nlp.get_pipe("conll_formatter")
    with nlp.select_pipes(disable="conll_formatter"):
        doc = nlp(TEXT)
    for token in doc:
        token.pos_ = "SPACE" if token.is_space else tag_of(token.text)
        token.tag_ = "_SP" if token.is_space else "XX"
        token.lemma_ = token.text.lower()
    return formatter(doc)._.conll_str


def sentences():
    """Per sentence its tokens as (begin, end, words): words are those of a multiword token."""
    found = []
    for line in re.finditer(r"[^.]*[^\s.][^.]*\.", TEXT):
        tokens = []
        for match in re.finditer(r"\w+(?:'\w+)?|[^\w\s]", line.group()):
            form = match.group()
            words = {"It's": ["It", "'s"], "doesn't": ["does", "n't"]}.get(form, [form])
            tokens.append((line.start() + match.start(), line.start() + match.end(), words))
        found.append(tokens)
    return found


def by_stanza():
    document = []
    for tokens in sentences():
        sentence = []
        for begin, end, words in tokens:
            first = sum(isinstance(row["id"], int) for row in sentence) + 1
            place = f"start_char={begin}|end_char={end}"
            if len(words) > 1:
                sentence.append({"id": (first, first + len(words) - 1), "text": TEXT[begin:end], "misc": place})
            for k, word in enumerate(words):
                row = {"id": first + k, "text": word, "lemma": word.lower(), "upos": tag_of(word),
                       "head": 0 if first + k == 1 else 1, "deprel": "root" if first + k == 1 else "dep"}
                sentence.append(row | ({"misc": place} if len(words) == 1 else {}))
        document.append(sentence)
    written = FOLDER / "stanza.conllu"
    CoNLL.write_doc2conll(Document(document, text=TEXT), str(written))
    return written.read_text()


def by_udpipe():
    reader = udpipe.InputFormat.newGenericTokenizerInputFormat()
    reader.setText(TEXT)
    writer = udpipe.OutputFormat.newConlluOutputFormat()
    written, sentence = "", udpipe.Sentence()
    while reader.nextSentence(sentence):
        for k in range(1, len(sentence.words)):  # the first is the root
            sentence.words[k].upostag = tag_of(sentence.words[k].form)
        written += writer.writeSentence(sentence)
    return written + writer.finishDocument()


def main():
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "text.txt").write_bytes(TEXT.encode())
    for name, write in (("spacy_conll", by_spacy), ("stanza", by_stanza), ("udpipe", by_udpipe)):
        (FOLDER / f"{name}.conllu").write_bytes(write().encode())


if __name__ == "__main__":
    main()
