"""What run.sh measured with one model, and what is asked of it again and again."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import run_file
import run_statistics
from figures.chunks import CHUNK
from paired import ratio

ANALYZED = ("lag", "end", "kept", "chunks")
KINDS = (*ANALYZED, "chunks_f32", "matched")


def stretch_means(documents, group, stretch):
    """What the set does in each document over a stretch of chunks, nats."""
    begin, end = stretch
    return np.array([run_statistics.chunk_means(document, group, CHUNK)[begin:end].mean()
                     for document in documents])


@dataclass
class Study:
    """The runs of one model by kind, and what `longshadow analyze` says of them."""
    model: str
    folder: Path
    runs: dict  # kind -> list of run_file.Document
    reports: dict  # kind -> analyze's JSON

    def has(self, *kinds):
        """Whether these kinds were measured: a large model's study may be the protocol alone."""
        return all(self.runs[kind] for kind in kinds)

    @property
    def left_out(self):
        """Lines that name the documents which were too short for the protocol."""
        path = self.folder / "left_out.txt"
        return path.read_text().splitlines() if path.exists() else []

    def set_means(self, group, stretch):
        """What the set does in each document over a stretch of chunks, nats."""
        return stretch_means(self.runs["chunks"], group, stretch)

    def in_protocol(self, runs):
        """The protocol's run of each document that these are of."""
        by_name = {document.name: document for document in self.runs["chunks"]}
        return [by_name[document.name] for document in runs]

    def set_ratio(self, one, other, stretch):
        """How many times as much the set `one` does as the set `other`."""
        return ratio(self.set_means(one, stretch), self.set_means(other, stretch))

    def fall(self, one, other, near, far):
        """How many times as large that ratio is near as far."""
        return ratio(self.set_means(one, near) / self.set_means(other, near),
                     self.set_means(one, far) / self.set_means(other, far))

    def has_sets(self, *groups):
        return all(group in document.sets for group in groups for document in self.runs["chunks"])

    @property
    def stretches(self):
        """Of the protocol's chunks, the first and ever longer ones."""
        horizon = self.runs["chunks"][0].noise_floor.size
        return run_statistics.stretches(-(-horizon // CHUNK))

    def divergence(self, policy, budget, window=slice(None)):
        """Each document's mean KL of what the policy kept, over a window of the future's positions."""
        return [one.kl[window].mean() for document in self.runs["kept"]
                for one in document.retention if (one.policy, one.budget) == (policy, budget)]

    @property
    def budgets(self):
        """Those of the policies, the largest first."""
        return sorted({one.budget for one in self.runs["kept"][0].retention}, key=float, reverse=True)


def read(model, folder):
    runs = {kind: [document for path in sorted((folder / kind).glob("*.h5"))
                   for document in run_file.documents(path)] for kind in KINDS}
    reports = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    if not any(runs.values()):
        raise SystemExit(f"{folder}: expected a folder that run.sh wrote, found no run")
    for kind in ANALYZED:
        if runs[kind] and kind not in reports:
            raise SystemExit(f"{folder}: expected {kind}.json beside its runs, found none")
    return Study(model, folder, runs, reports)
