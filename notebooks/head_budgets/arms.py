"""What run.sh measured with one model: every policy's divergence by text, budget and stretch of the future."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

import texts
from paired import Effect
from run_file import SINKS
from run_statistics import bootstrap

REFERENCES = ("full", "oracle", "budgets")  # what is no real policy, or is what is tried
RIVAL = " budgets/"  # head scores of others, as spoken() says it
UNPUBLISHED = " budgets/h2o"  # of these, under another ranking than their own
STRETCHES = {"near": slice(0, 1), "far": slice(3, 4), "all": slice(0, 4)}  # in quarters of the future


@dataclass
class Arms:
    """Of some texts, what each policy's cache costs at each budget."""
    texts: list  # names
    quarters: dict  # (text, policy, budget) -> [4] mean KL of each quarter of the future, nats
    slots: dict  # the same -> [L, K] slots that stay

    @property
    def policies(self):
        return list(dict.fromkeys(policy for _, policy, _ in self.quarters))

    @property
    def real(self):
        """Policies that look at nothing but the text."""
        return [policy for policy in self.policies if not policy.startswith(REFERENCES) and RIVAL not in policy]

    @property
    def published(self):
        """These, and head scores that others computed of the model, each under the ranking of its paper."""
        return self.real + [policy for policy in self.policies
                            if RIVAL in policy and not policy.endswith(UNPUBLISHED)]

    @property
    def budgets(self):
        return sorted({budget for _, _, budget in self.quarters}, key=float, reverse=True)

    @property
    def sources(self):
        table = {row["name"]: row["source"] for row in texts.rows()}
        return np.array([table[text] for text in self.texts])

    @property
    def groups(self):
        table = {row["name"]: row["group"] for row in texts.rows()}
        return np.array([table[text] for text in self.texts])

    def cost(self, policy, budget, stretch="all"):
        """[texts] mean KL, nats; NaN where not measured."""
        nothing = np.full(4, np.nan)
        return np.array([self.quarters.get((text, policy, budget), nothing)[STRETCHES[stretch]].mean()
                         for text in self.texts])

    def best_real(self, budget, stretch="all"):
        """[texts] KL of the real policy that is best for the text: another one for each text."""
        return np.nanmin([self.cost(policy, budget, stretch) for policy in self.real], axis=0)

    def best_published(self, budget, stretch="all"):
        return np.nanmin([self.cost(policy, budget, stretch) for policy in self.published], axis=0)

    def of_group(self, groups):
        return Arms([text for text, group in zip(self.texts, self.groups) if group in groups],
                    self.quarters, self.slots)


def spoken(policy):
    """A policy's name without the folder and the suffix of the file that it reads."""
    outer, slash, wrapped = policy.rpartition("/") if policy.startswith("budgets:") else (policy, "", "")
    return f"{Path(outer.removeprefix('budgets:')).stem} budgets/{wrapped}" if slash else outer


def read(folder):
    """The arms of every run in `folder`, in the order of the table of texts; None where there is none. A policy
    that is not measured on all texts is left out: means over different texts are not to be compared."""
    quarters, slots = {}, {}
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path) as file:
            document, = file["documents"].values()
            for name, arm in document["retention"].items():
                if "@" not in name:
                    continue
                key = path.stem, spoken(arm.attrs["policy"]), arm.attrs["budget"]
                quarters[key] = np.array([part.mean() for part in np.array_split(arm["kl"][:], 4)])
                slots[key] = arm["kept"][:].sum(axis=-1, dtype=int)
    measured = {text for text, _, _ in quarters}
    names = [row["name"] for row in texts.rows() if row["name"] in measured]
    counts = Counter(key[1:] for key in quarters)
    everywhere = {arm for arm, count in counts.items() if count == len(names)}
    return Arms(names, *({key: value for key, value in arms.items() if key[1:] in everywhere}
                         for arms in (quarters, slots))) if names else None


def only_document(path):
    """Of the one document of a sketch, [L, K] each, outside the sinks, which every policy keeps: influence by
    head in nats, summed over the future, and the last queries' attention."""
    with h5py.File(path) as file:
        document, = file["documents"].values()
        context = document.attrs["context_tokens"]
        window = document["signals/attention_window"][..., SINKS:context].sum(axis=-1, dtype=float)
        sizes = np.diff(document["sketch/bins"][:], axis=1)[:, 0]
        by_head = document["sketch/fi_head"][..., SINKS:].sum(axis=-1, dtype=float)
        return {"influence": np.tensordot(sizes, by_head, 1), "attention": window}


@dataclass(frozen=True)
class Comparison:
    """How many times as much one thing costs as another, text by text."""
    effect: Effect  # geometric mean, 95% over sources
    wins: int  # texts on which it costs less
    texts: int
    worst: float  # the largest ratio
    worst_text: str


def compare(arms, values, others):
    """`values` over `others`, [texts] each, where both were measured; None where nothing was."""
    measured = np.isfinite(values) & np.isfinite(others)
    if not measured.any():
        return None
    logarithms = np.log(values[measured] / others[measured])
    low, high = bootstrap(logarithms, np.mean, arms.sources[measured])
    worst = logarithms.argmax()
    return Comparison(Effect(np.exp(logarithms.mean()), np.exp(low), np.exp(high), np.nan),
                      int((logarithms < 0).sum()), len(logarithms), np.exp(logarithms[worst]),
                      np.array(arms.texts)[measured][worst])


def learnt_shares(folder, ranking, budget):
    """[L, K] shares at the budget nearest to `budget` of what was learnt into `folder`; None where nothing was."""
    found = sorted(folder.glob(f"longshadow/*/budgets-{ranking}.json"))
    if not found:
        return None
    table = json.loads(found[0].read_text())
    nearest = np.argmin(np.abs(np.array(table["budgets"]) - budget))
    return np.array(table["shares"][nearest])
