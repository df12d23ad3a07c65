"""How fast the page of `longshadow inspect` is in Chromium without a window: opening it, and shading by another
layer.

    build/longshadow probe --document my.txt --context 4096 --future 512 --method sketch --subjects all \\
        --evict-at end --bins 0:16,16:64,64:256,256:512 -o my.h5
    python3 tests/bench/page.py my.h5
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from browser import Browser  # noqa: E402

ROUNDS = 5

# From the choice of a layer to the frame after the one that shows it, so that its painting is counted.
REPAINT = """
const [layer, done] = arguments;
const slider = document.getElementById('layer');
const begin = performance.now();
slider.value = layer;
slider.dispatchEvent(new Event('input', {bubbles: true}));
const shaded = performance.now();
requestAnimationFrame(() => requestAnimationFrame(() => done([shaded - begin, performance.now() - begin])));
"""

# Done in the frame after the next: what was asked for before has been painted.
PAINTED = """
const [done] = arguments;
requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now())));
"""


def milliseconds(values):
    return f"{statistics.median(values):.0f} (largest {max(values):.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--longshadow", type=Path, default=ROOT / "build/longshadow")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        begin = time.perf_counter()
        subprocess.run([options.longshadow, "inspect", options.run, "-o", page], check=True,
                       stdout=subprocess.DEVNULL)
        print(f"written in {time.perf_counter() - begin:.2f} s, {page.stat().st_size / 1e6:.2f} MB")
        opened, shaded, shown = [], [], []
        for _ in range(ROUNDS):
            with Browser() as browser:
                browser.open(page)
                opened.append(browser.run_async(PAINTED))
                browser.press("ArrowRight", "Enter")  # a token's panel is drawn anew as well
                browser.choose("#signal", "attention-window")
                n_layers = int(browser.run("return document.getElementById('layer').max")) + 1
                for layer in range(1, n_layers, 4):
                    computed, seen = browser.run_async(REPAINT, layer)
                    shaded.append(computed)
                    shown.append(seen)
    print(f"opened, from the navigation's start to the painted text: {milliseconds(opened)} ms")
    print(f"another layer: {milliseconds(shown)} ms to the frame after, of which the script {milliseconds(shaded)} ms")


if __name__ == "__main__":
    main()
