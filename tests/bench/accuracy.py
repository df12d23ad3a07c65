r"""Errors of every precision and method against f64 on real documents: one table.

    python3 tests/bench/accuracy.py --document a.txt b.txt   # any Python with data/requirements.txt
    python3 tests/bench/accuracy.py --document a.txt --context 2048 --future 6144 --from 4096 \
      --evict-at end --subjects top:attention-window:20%+policy:infokv@0.2 --least 1e-9 \
      --variants "f32, differential" "bf16, differential"    # what sets do far away

The truth is Longshadow's own direct form in f64, which tests/probes/experiments/reference_test.cc holds to a
reference that shares no code with it.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = {"f64, differential": ("f64", "differential"), "f32, differential": ("f32", "differential"),
            "f32, direct": ("f32", "direct"), "bf16, differential": ("bf16", "differential")}


def influence(options, document, evict_at, precision, method, folder):
    """KL [S, H] in nats."""
    run = Path(folder) / f"{precision}-{method}.h5"
    run.unlink(missing_ok=True)
    subprocess.run(
        [options.longshadow, "probe", "--document", document, "--context", str(options.context),
         "--future", str(options.future), "--subjects", options.subjects,
         "--evict-at", evict_at, "--precision", precision, "--method", method, "--progress",
         "none", "-o", run], check=True)
    with h5py.File(run) as file:
        (group,) = file["documents"].values()
        return group["influence/kl"][:, options.first:]


def rank_correlation(a, b):
    ranks = [np.argsort(np.argsort(x, axis=None)) for x in (a, b)]
    return np.corrcoef(*ranks)[0, 1]


def row(name, kl, truth, least):
    known = truth > least
    value = (np.abs(kl - truth) / truth)[known]
    token = np.abs(kl.mean(axis=1) - truth.mean(axis=1)) / truth.mean(axis=1)
    return (f"| {name} | {np.median(value):.1e} | {np.quantile(value, .99):.1e} | {value.max():.1e}"
            f" | {np.median(token):.1e} | {token.max():.1e} | {rank_correlation(kl, truth):.6f}"
            f" | {(kl < 0).sum()} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--longshadow", type=Path, default=ROOT / "build/longshadow")
    parser.add_argument("--document", type=Path, nargs="+", required=True)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--future", type=int, default=128)
    parser.add_argument("--from", dest="first", metavar="POSITION", type=int, default=0,
                        help="of the future: the first that counts")
    parser.add_argument("--subjects", default="sample:32", help="as probe takes them")
    # Under 1e-12 nats an error in f64 itself, some 1e-15, would be counted as ours.
    parser.add_argument("--least", metavar="NATS", type=float, default=1e-12,
                        help="values of f64 that are no larger do not count by themselves")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--evict-at", nargs="+", default=["end", "lag:16"])
    options = parser.parse_args()
    print("| relative error | (i, j): median | 99% | largest | token: median | largest | rank (i, j)"
          " | negative |\n|---|---|---|---|---|---|---|---|")
    for document in options.document:
        for evict_at in options.evict_at:
            with tempfile.TemporaryDirectory() as folder:
                truth = influence(options, document, evict_at, "f64", "direct", folder)
                for name in options.variants:
                    kl = influence(options, document, evict_at, *VARIANTS[name], folder)
                    print(row(f"{document.stem}, {evict_at}: {name}", kl, truth, options.least),
                          flush=True)


if __name__ == "__main__":
    main()
