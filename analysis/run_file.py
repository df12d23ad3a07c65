"""A run file in numpy: reads what data/FORMAT.md describes.

    from run_file import documents
    for document in documents("run.h5"):
        print(document.name, document.kl.shape)

Letters: n tokens, S subjects that are spans, L layers, K key-value heads, T context tokens, H horizon.
Influence is in nats. run_statistics.py computes with what is read here.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

import run_directory

SINKS = 4  # first tokens that are kept apart
FEWEST = 5  # subjects that an interval needs

DRAWN = ("all", "sample", "word", "control")  # groups that are chosen without a look at signals

SIGNALS = {
    "entropy-before": "entropy before the token (nats)",
    "entropy-at": "entropy at the token (nats)",
    "surprisal": "surprisal (nats)",
    "drift": "drift (1 - cosine)",
    "attention-window": "attention, last queries",
    "attention-cumulative": "attention, cumulative",
}


@dataclass
class Sketch:
    """An estimate of every context token's influence where tokens leave at the context's end."""
    bins: np.ndarray  # [B, 2] begin, end of offsets from the context's end
    fi: np.ndarray  # [B, T] nats, mean over the bin's positions
    standard_error: np.ndarray  # [B, T] nats
    text: np.ndarray  # [T] the tokens
    fi_layer: "np.ndarray | None"  # [B, L, T] nats, of a token that leaves one layer alone
    conditions: str


@dataclass
class Retention:
    """What one eviction policy keeps of the context's cache at a budget, and what it costs the future."""
    policy: str
    budget: str  # as it was spelled
    kept: np.ndarray  # [L, K, T] bool, of the layers without a window, in which policies choose
    kl: np.ndarray  # [H] nats, KL(full || compressed) at position T + h
    top1: np.ndarray  # [H] bool, whether both have the same likeliest next token
    surprisal: np.ndarray  # [H] nats, of token T + h + 1; NaN where the text has ended
    full_surprisal: np.ndarray  # [H] nats, of the same tokens with the full cache
    bytes_kept: int
    bytes_full: int
    kv_bits: int

    @property
    def name(self):
        return f"{self.policy}@{self.budget}"


@dataclass
class Sentences:
    """The sentences that were removed, and their influence on every sentence of the text."""
    number: np.ndarray  # [R] which of the text each is, from 0
    text: np.ndarray  # [R]
    total: np.ndarray  # [R] nats, sum over the horizon's positions; NaN where not measured
    kl: np.ndarray  # [R, N] nats, mean over the sentence's positions; NaN where not all are measured


@dataclass
class Tokens:
    """The context's tokens and their signals."""
    upos: np.ndarray  # [T] tag of the word, "NONE" in none
    entropy_before: np.ndarray  # [T] nats
    entropy_at: np.ndarray  # [T] nats
    by_layer: dict  # signal -> [L, T], attention as the mean over heads
    document: np.ndarray  # [T] from 0; of one document all 0


@dataclass
class Document:
    name: str
    model: str
    conditions: str
    evict_at: str
    evicted: str  # the same with its lag, layers and heads, as the captions say it
    subject: np.ndarray  # [S, 2] begin, end of the removed tokens
    label: np.ndarray  # [S] the removed text
    group: np.ndarray  # [S] which part of the selection chose the subject
    distance: np.ndarray  # [S, H]
    kl: np.ndarray  # [S, H]; NaN where not measured
    noise_floor: np.ndarray  # [H]
    sets: dict  # group -> [number of its sets, H], kl of tokens with gaps that were removed at once
    set_tokens: dict = field(default_factory=dict)  # group -> its sets' tokens; of one document
    signals: dict = field(default_factory=dict)  # name -> [S], mean over the subject's tokens
    sketch: "Sketch | None" = None
    retention: list = field(default_factory=list)  # of Retention
    sentences: "Sentences | None" = None
    tokens: "Tokens | None" = None
    text: "np.ndarray | None" = None  # [S] which document, from 0, where several are pooled

    def clusters(self, members):
        """What a bootstrap over the members draws together: documents, where there are enough."""
        if self.text is None or len(set(self.text)) < FEWEST:
            return None
        return self.text[members]

    @property
    def is_sink(self):
        return self.subject[:, 0] < SINKS

    @property
    def population(self):
        """[S]: whether the subject stands for the document: not a sink, and chosen without a look at a
        signal, unless none was."""
        drawn = np.array([name in DRAWN or name.startswith("each:random:") for name in self.group],
                         dtype=bool)
        return ~self.is_sink & (drawn if drawn.any() else True)

    @property
    def attention(self):
        """The signal that stands for attention: what the cache's owner can know at eviction."""
        return "attention-window" if self.evict_at == "end" else "attention-cumulative"

    @property
    def below_floor(self):
        """[S, H]: values that are not measurements."""
        return self.kl <= self.noise_floor


def documents(path):
    """The documents of the run file at `path`, or of a run directory as far as it is measured."""
    with run_directory.opened(Path(path)) as file:
        if file.attrs.get("format") != "longshadow" or file.attrs.get("format_version") != 1:
            raise SystemExit(f"{path}: expected a longshadow run file of format version 1")
        model = file["model"].attrs["name"]
        windows = file["model/windows"][:] if "windows" in file["model"] else None
        return [_document(name, group, model, windows)
                for name, group in file["documents"].items()]


def _sketch(group):
    sketch = group["sketch"]
    attributes = sketch.attrs
    context = group.attrs["context_tokens"]
    return Sketch(
        bins=sketch["bins"][:], fi=sketch["fi"][:].astype(float),
        standard_error=sketch["standard_error"][:].astype(float),
        text=group["tokens/text"].asstr()[:context],
        fi_layer=sketch["fi_layer"][:].astype(float) if "fi_layer" in sketch else None,
        conditions=f"context {context}, future {group.attrs['future_tokens']}, "
                   f"{attributes['probes']} probes a bin ({attributes['probe_kind']})")


def _sentences(group):
    influence = group["influence"]
    is_sentence = influence["group"].asstr()[:] == "sentence"
    last = influence["subject"][:, 1] - 1
    return Sentences(number=group["tokens/sentence"][:][last[is_sentence]],
                     text=influence["label"].asstr()[:][is_sentence],
                     total=influence["kl"][:][is_sentence].sum(axis=1),
                     kl=influence["by_sentence"][:][is_sentence])


def _retention(group, windows):
    context, future = group.attrs["context_tokens"], group.attrs["future_tokens"]
    chosen = slice(None) if windows is None else (windows == 0) | (windows >= context + future)
    full = np.full(future, np.nan)
    ahead = group["signals/surprisal"][context + 1:context + future + 1]
    full[:len(ahead)] = ahead
    policies = [member for name, member in group["retention"].items() if "@" in name]
    return [Retention(policy=one.attrs["policy"], budget=one.attrs["budget"],
                      kept=one["kept"][:].astype(bool)[chosen], kl=one["kl"][:],
                      top1=one["top1"][:].astype(bool), surprisal=one["surprisal"][:].astype(float),
                      full_surprisal=full, bytes_kept=int(one.attrs["bytes_kept"]),
                      bytes_full=int(one.attrs["bytes_full"]), kv_bits=int(one.attrs["kv_bits"]))
            for one in policies]


def _tokens(group):
    context = group.attrs["context_tokens"]
    signals = group["signals"]
    entropy = signals["entropy"][:context].astype(float)
    upos = np.full(context, "NONE", dtype=object)
    if "upos" in group["tokens"]:
        codes = group["tokens/upos"]
        names = {code: name for name, code in h5py.check_enum_dtype(codes.dtype).items()}
        upos = np.array([names[code] for code in codes[:context]], dtype=object)
    by_layer = {name: signals[name.replace("-", "_")][..., :context].mean(axis=1, dtype=float)
                for name in ("attention-window", "attention-cumulative")}
    by_layer["drift"] = signals["drift"][:, :context].astype(float)
    return Tokens(upos=upos, entropy_before=np.concatenate([[np.nan], entropy[:-1]]),
                  entropy_at=entropy, by_layer=by_layer, document=np.zeros(context, dtype=int))


def pool(documents):
    """The documents as one, whose intervals are over documents where there are enough. Of runs under
    the same conditions: else distances and bins would not be the same."""
    conditions = {f"{one.model}, {one.conditions.split(', subjects')[0]}, evicted at {one.evicted}"
                  for one in documents}
    if len(conditions) > 1:
        raise SystemExit("expected documents measured under the same conditions, found "
                         + " and ".join(sorted(conditions)))

    def joined(values):
        return np.concatenate(list(values))

    first = documents[0]
    tokens = Tokens(
        upos=joined(one.tokens.upos for one in documents),
        entropy_before=joined(one.tokens.entropy_before for one in documents),
        entropy_at=joined(one.tokens.entropy_at for one in documents), by_layer={},
        document=joined(np.full(len(one.tokens.upos), d) for d, one in enumerate(documents)))
    sets = sorted(set().union(*(one.sets for one in documents)))
    return replace(
        first, name=f"{len(documents)} documents",
        subject=joined(one.subject for one in documents),
        label=joined(one.label for one in documents), group=joined(one.group for one in documents),
        distance=joined(one.distance for one in documents), kl=joined(one.kl for one in documents),
        noise_floor=np.max([one.noise_floor for one in documents], axis=0),
        sets={name: joined(one.sets[name] for one in documents if name in one.sets)
              for name in sets},
        set_tokens={},
        signals={name: joined(one.signals[name] for one in documents) for name in first.signals},
        sketch=None, retention=[], sentences=None, tokens=tokens,
        text=joined(np.full(len(one.kl), d) for d, one in enumerate(documents)))


def _document(name, group, model, windows):
    sketch = _sketch(group) if "sketch" in group else None
    tokens = _tokens(group)
    retention = _retention(group, windows) if "retention" in group else []
    if "influence" not in group:
        return Document(name=name, model=model, conditions="", evict_at="end", evicted="",
                        subject=np.empty((0, 2), dtype=np.int32), label=np.empty(0, dtype=object),
                        group=np.empty(0, dtype=object),
                        distance=np.empty((0, 0), dtype=int), kl=np.empty((0, 0)),
                        noise_floor=np.empty(0), sets={}, sketch=sketch, tokens=tokens,
                        retention=retention)
    influence = group["influence"]
    subject = influence["subject"][:]
    kl = influence["kl"][:]
    attributes = influence.attrs
    first = influence["start"][:] - (subject[:, 1] - 1)
    measured = np.isfinite(kl).any(axis=1)
    is_set = np.zeros(len(subject), dtype=bool)
    removed = [np.arange(*span) for span in subject]
    if "removed" in influence:
        offset = influence["removed_offset"][:].astype(int)
        is_set = np.diff(offset) < subject[:, 1] - subject[:, 0]
        removed = np.split(influence["removed"][:], offset[1:-1])
    if "evicted_subject" in influence:  # what left differs between layers and heads
        is_set[influence["evicted_subject"][:]] = True
    part = influence["group"].asstr()[:]
    span = measured & ~is_set
    sets = {name: kl[measured & is_set & (part == name)] for name in sorted(set(part[is_set]))}
    selection = attributes["selection"]
    if len(selection) > 40:
        selection = selection[:37] + "..."
    evicted = attributes["evict_at"]
    if evicted == "lag":
        evicted = f"lag:{attributes['lag']}"
    layers, heads = attributes.get("layers", "all"), attributes.get("heads", "all")
    if (layers, heads) != ("all", "all"):
        evicted += f" from layers {layers}, KV heads {heads}"
    document = Document(
        name=name,
        model=model,
        conditions=f"context {group.attrs['context_tokens']}, horizon {kl.shape[1]}, subjects "
        f"{selection}, evicted at {evicted}, "
        f"{attributes['method']} {attributes['precision']}",
        evict_at=attributes["evict_at"],
        evicted=evicted,
        subject=subject[span],
        label=influence["label"].asstr()[:][span],
        group=part[span],
        distance=(first[:, None] + np.arange(kl.shape[1]))[span],
        kl=kl[span],
        noise_floor=influence["noise_floor"][:],
        sets={name: values for name, values in sets.items() if len(values)},
        set_tokens={name: [removed[s] for s in np.flatnonzero(measured & is_set & (part == name))]
                    for name, values in sets.items() if len(values)},
        sketch=sketch,
        retention=retention,
        sentences=_sentences(group) if "by_sentence" in influence else None,
        tokens=tokens,
    )
    document.signals = _subject_signals(group["signals"], document.subject)
    return document


def _subject_signals(signals, subject):
    entropy = signals["entropy"][:].astype(float)
    tokens = {
        "entropy-before": np.concatenate([[np.nan], entropy[:-1]]),
        "entropy-at": entropy,
        "surprisal": signals["surprisal"][:].astype(float),
        "drift": signals["drift"][:].mean(axis=0, dtype=float),
        "attention-window": signals["attention_window"][:].mean(axis=(0, 1), dtype=float),
        "attention-cumulative": signals["attention_cumulative"][:].mean(axis=(0, 1), dtype=float),
    }
    return {name: np.array([_mean_of_finite(values[b:e]) for b, e in subject])
            for name, values in tokens.items()}


def _mean_of_finite(values):
    finite = values[np.isfinite(values)]
    return finite.mean() if finite.size else np.nan


def sets_of(document, group):
    """The group's sets as a document whose distances count positions from the start on: the same text
    for all sets that leave together."""
    kl = document.sets[group]
    return replace(document, kl=kl, distance=np.broadcast_to(np.arange(kl.shape[1]), kl.shape),
                   text=None)


def chosen_by(group):
    """What the name of a group of sets says: its kind, what chose the tokens and how many:
    ("top", "drift", "20%") of top:drift:20%, ("policy", "snapkv", "0.2") of policy:snapkv@0.2, and
    ("", name, "") of any other."""
    kind, _, rest = group.partition(":")
    chooser, separator, amount = rest.rpartition({"top": ":", "policy": "@"}.get(kind, "\0"))
    return (kind, chooser, amount) if separator else ("", group, "")
