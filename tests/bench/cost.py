"""What a counterfactual costs as the context, the horizon and the subjects grow: one table.

    python3 tests/bench/cost.py                 # T 512 to 7168, some five minutes on 2 cores
    python3 tests/bench/cost.py --precision bf16
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# (T, H, subjects): each of the three grows while the others stay.
GRID = [(512, 512, 8), (1024, 512, 8), (2048, 512, 8), (4096, 512, 8), (7168, 512, 8),
        (2048, 128, 8), (2048, 256, 8), (2048, 512, 16)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--longshadow", type=Path, default=ROOT / "build/longshadow")
    parser.add_argument("--precision", default="f32")
    options = parser.parse_args()
    print("| T | H | subjects | full pass, tokens/s | counterfactuals/s | s for each position of "
          "the horizon, 1000 subjects | of the product peak |\n|---|---|---|---|---|---|---|")
    for context, future, subjects in GRID:
        with tempfile.TemporaryDirectory() as folder:
            result = Path(folder) / "bench.json"
            subprocess.run(
                [options.longshadow, "bench", "--context", str(context), "--future", str(future),
                 "--subjects", str(subjects), "--precision", options.precision, "--json", result],
                check=True, stdout=subprocess.DEVNULL)
            phases = json.loads(result.read_text())
        rate = phases["counterfactuals"]["per_s"]
        print(f"| {context} | {future} | {subjects} | {phases['full_pass']['per_s']:.0f} | "
              f"{rate:.2f} | {1000 / rate / future:.2f} | "
              f"{100 * phases['counterfactuals']['share_of_peak']:.0f}% |", flush=True)


if __name__ == "__main__":
    main()
