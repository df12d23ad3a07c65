"""Longshadow against what people use instead: same document, same subjects, one run.

Contenders take turns, a process each, in interleaved rounds. Peers may be given fewer subjects,
since they are slow and their rates do not depend on how many; see --help. Writes bench.json and
bench.md into --output.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
from llama_cpp import Llama

import report
from contenders import Task, run_longshadow, run_peer

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"context": 512, "future": 128, "subjects": 8, "peer_subjects": 2, "rounds": 1}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--longshadow", type=Path, default=ROOT / "build/longshadow")
    parser.add_argument("--model", type=Path,
                        default=ROOT / "data/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--document", type=Path, required=True, help="of at least T + H tokens")
    parser.add_argument("--context", type=int, default=2048, help="T")
    parser.add_argument("--future", type=int, default=512, help="H")
    parser.add_argument("--subjects", type=int, default=32)
    parser.add_argument("--peer-subjects", type=int, default=4, help="of those subjects")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"),
                        help="of Longshadow and transformers; llama.cpp takes part on the cpu alone")
    parser.add_argument("--precision", default="f32", help="of Longshadow: f32, bf16 or f32,bf16")
    parser.add_argument("--output", type=Path, default=ROOT / "build/bench")
    options = parser.parse_args()
    if options.quick:
        vars(options).update(QUICK)
    return options


def tokenize(options):
    """The document's first T + H ids, by llama.cpp's own tokenizer; saved as .npy."""
    vocabulary = Llama(str(options.model), vocab_only=True, verbose=False)
    ids = vocabulary.tokenize(options.document.read_bytes(), add_bos=True, special=False)
    needed = options.context + options.future
    if len(ids) < needed:
        sys.exit(f"bench: {options.document}: expected at least {needed} tokens, found {len(ids)}")
    path = options.output / "tokens.npy"
    np.save(path, np.array(ids[:needed], np.int32))
    return path


def best_batch(task, subjects):
    """Evictions at a time at which the masked transformers peer is fastest here."""
    rates = {}
    for batch in (1, 2, 4):
        asked = (subjects * batch)[:max(batch, len(subjects))]  # at least one whole batch
        rates[batch] = run_peer(task, "transformers_batched", asked,
                                "--batch", batch).evictions_per_second
        print(f"transformers batched {batch}: {rates[batch]:.2f} evictions/s", flush=True)
    return max(rates, key=rates.get)


def main():
    options = arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"bench: load average {load:.1f}: other work slows the contenders unequally, those "
              "most whose waiting threads spin", file=sys.stderr)
    options.output.mkdir(parents=True, exist_ok=True)
    task = Task(options.model, options.document, tokenize(options), options.context,
                options.future, options.threads, options.device, options.output)
    # Evenly spread, with token 0. llama.cpp wants the context's last position kept.
    subjects = np.linspace(0, options.context - 2, options.subjects).astype(int).tolist()
    few = subjects[::max(1, len(subjects) // options.peer_subjects)][:options.peer_subjects]

    batch = best_batch(task, few)
    ours = [f"longshadow {precision}" for precision in options.precision.split(",")]
    contenders = {
        name: lambda name=name: run_longshadow(task, options.longshadow, subjects,
                                               "--precision", name.split()[1]) for name in ours}
    contenders |= {
        "transformers f32, one at a time": lambda: run_peer(task, "transformers_loop", few),
        f"transformers f32, {batch} at a time": lambda: run_peer(
            task, "transformers_batched", few, "--batch", batch),
    }
    if options.device == "cpu":
        contenders["llama.cpp, f32 cache"] = lambda: run_peer(task, "llama_cpp_loop", few)
    rounds = []
    for index in range(options.rounds):
        rounds.append({})
        for name, measure in contenders.items():
            rounds[-1][name] = measured = measure()
            print(f"round {index + 1}: {name}: {measured.evictions_per_second:.2f} evictions/s",
                  flush=True)
    truth = run_longshadow(task, options.longshadow, subjects, "--precision", "f64")

    setting = {key: getattr(options, key) for key in
               ("context", "future", "subjects", "peer_subjects", "rounds", "threads", "device")}
    setting |= {"document": options.document.name, "model": options.model.name,
                "load_average_at_start": load, "machine": report.machine()}
    summary = report.summarise(rounds, truth, ours)
    everything = [{name: {k: v for k, v in asdict(m).items() if k != "kl_nats"}
                   for name, m in r.items()} for r in rounds]
    (options.output / "bench.json").write_text(json.dumps(
        {"setting": setting, "summary": summary, "rounds": everything}, indent=1) + "\n")
    table = report.markdown(setting, summary, ours)
    (options.output / "bench.md").write_text(table)
    print("\n" + table)


if __name__ == "__main__":
    main()
