"""What run.sh found, as one JSON file: python3 collect.py FOLDER BENCH_JSON OUTPUT"""

import json
import sys
from pathlib import Path


def last_lines(log: Path, count: int = 5) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-count:]


def main(folder: str, bench: str, output: str) -> None:
    found = Path(folder)
    name, driver, memory = (found / "gpu.txt").read_text().splitlines()[0].split(", ")
    steps = {status.stem: {"status": int(status.read_text()),
                           "said": last_lines(status.with_suffix(".log"))}
             for status in sorted(found.glob("*.status"))}
    results = {"gpu": name, "driver": driver, "memory": memory, "steps": steps}
    if steps["bench"]["status"] == 0:
        results["bench"] = json.loads(Path(bench).read_text())
    Path(output).write_text(json.dumps(results, indent=1) + "\n")
    print(f"{output}: {name}, " + ", ".join(
        f"{step} {'passed' if one['status'] == 0 else 'FAILED'}" for step, one in steps.items()))


if __name__ == "__main__":
    main(*sys.argv[1:])
