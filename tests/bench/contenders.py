"""Runs one contender as a process of its own and reads what it measured."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

PEERS = Path(__file__).resolve().parent / "peers"


@dataclass
class Task:
    """The same for every contender; `tokens` holds at least context + future ids."""

    model: Path
    document: Path
    tokens: Path
    context: int
    future: int
    threads: int
    device: str  # cpu or cuda
    folder: Path  # for results and logs


@dataclass
class Measurement:
    subjects: list[int]
    evictions_per_second: float
    prefill_tokens_per_second: float
    peak_memory_bytes: int
    kl_nats: np.ndarray  # [S, H]
    share_of_peak: float | None = None  # of the counterfactuals, where the contender says so


def run_process(command, log):
    """Runs to the end and returns the peak resident bytes. Raises with the log's end on failure."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen([str(c) for c in command], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)  # negative: the signal that ended it
    if code != 0:
        tail = Path(log).read_text(encoding="utf-8", errors="replace")[-1000:]
        raise RuntimeError(f"{command[0]} exited with {code} ({log}):\n{tail}")
    return usage.ru_maxrss * 1024


def run_peer(task, script, subjects, *options):
    output = task.folder / script
    peak = run_process(
        [sys.executable, PEERS / f"{script}.py", "--model", task.model, "--tokens", task.tokens,
         "--context", task.context, "--future", task.future, "--threads", task.threads,
         "--device", task.device, "--subjects", ",".join(map(str, subjects)), "--output", output, *options],
        output.with_suffix(".log"))
    measured = json.loads(output.with_suffix(".json").read_text())
    return Measurement(subjects, measured["evictions_per_second"],
                       measured["prefill_tokens_per_second"], peak,
                       np.load(output.with_suffix(".npy")))


def run_longshadow(task, program, subjects, *options):
    """`options` as of `longshadow probe`, such as --precision."""
    run_file = task.folder / "run.h5"
    run_file.unlink(missing_ok=True)
    log = task.folder / "longshadow.log"
    peak = run_process(
        [program, "probe", "--model", task.model, "--document", task.document,
         "--context", task.context, "--future", task.future, "--threads", task.threads,
         "--device", task.device, "--subjects", "list:" + ",".join(map(str, subjects)), "--evict-at", "end",
         "--progress", "plain", "-o", run_file, *options], log)
    rate = counterfactual_rate(log.read_text(encoding="utf-8"))
    kl = read_influence(run_file, subjects, np.load(task.tokens))
    phases = bench_phases(task, program, *options)
    return Measurement(subjects, rate, phases["prefill"]["per_s"], peak, kl,
                       phases["counterfactuals"]["share_of_peak"])


def counterfactual_rate(log):
    """From the phase's last line: "counterfactuals  32/32 subjects  100%  1.7/s  in 19 s"."""
    last = re.search(r"^counterfactuals .* 100%\s+([\d.]+)/s", log, re.MULTILINE)
    if not last:
        raise RuntimeError("longshadow probe's progress: expected 'counterfactuals ... 100% ... /s'")
    return float(last[1])


def bench_phases(task, program, *options):
    """What `longshadow bench` says of prefill alone, which a probe never does by itself."""
    result = task.folder / "longshadow_bench.json"
    run_process([program, "bench", "--model", task.model, "--context", task.context, "--future",
                 task.future, "--threads", task.threads, "--device", task.device, "--subjects", 8,
                 "--json", result, *options], task.folder / "longshadow_bench.log")
    return json.loads(result.read_text())


def read_influence(run_file, subjects, ids):
    """KL [S, H] of a run file with one document, after checking that it measured this task."""
    with h5py.File(run_file) as file:
        (document,) = file["documents"].values()
        spans = document["influence/subject"][:]
        read = document["tokens/id"][:]
        if spans[:, 0].tolist() != list(subjects):
            raise RuntimeError(f"{run_file}: expected subjects {subjects}, found {spans[:, 0]}")
        if not np.array_equal(read[:len(ids)], ids[:len(read)]):
            raise RuntimeError(f"{run_file}: its tokens are not llama.cpp's")
        return document["influence/kl"][:]
