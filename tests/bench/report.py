"""Measurements to medians of ratios, errors, JSON and a Markdown table."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch


def machine():
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    fields = {key.strip(): value.strip()
              for key, colon, value in (line.partition(":") for line in lines) if colon}
    flags = fields.get("flags", fields.get("Features", "")).split()
    telling = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "bf16") if f in flags]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {**gpu, "cpu": fields.get("model name", platform.machine()), "cores": os.cpu_count(),
            "features": telling, "memory_gib": round(memory, 1), "system": platform.platform(),
            **{name: version(name) for name in ("torch", "transformers", "llama-cpp-python")}}


def rank_correlation(a, b):
    """Spearman's, for values that hardly ever tie."""
    ranks = [np.argsort(np.argsort(x, axis=None)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def errors(kl, truth):
    """Of KL [S, H] against float64's; relative where the truth is above float64's own rounding."""
    known = truth > 1e-12
    token, token_truth = kl.mean(axis=1), truth.mean(axis=1)
    return {
        "pair_relative_median": float(np.median((np.abs(kl - truth) / truth)[known])),
        "token_relative_median": float(np.median(np.abs(token - token_truth) / token_truth)),
        "pair_rank_correlation": rank_correlation(kl, truth),
        "negative": int((kl < 0).sum()),
    }


def summarise(rounds, truth, ours):
    """`rounds`: one {contender: Measurement} a round; `truth` f64's Measurement; `ours` the
    contenders that are Longshadow. Ratios are taken within a round, then their median."""
    summary = {}
    for name in rounds[0]:
        runs = [r[name] for r in rounds]
        row = {subject: i for i, subject in enumerate(truth.subjects)}
        reference = truth.kl_nats[[row[s] for s in runs[0].subjects]]
        summary[name] = {
            "subjects": len(runs[0].subjects),
            "evictions_per_second": median(r.evictions_per_second for r in runs),
            "prefill_tokens_per_second": median(r.prefill_tokens_per_second for r in runs),
            "share_of_peak": (median(r.share_of_peak for r in runs)
                              if runs[0].share_of_peak is not None else None),
            "peak_memory_bytes": max(r.peak_memory_bytes for r in runs),
            **errors(runs[0].kl_nats, reference),
            "times_faster": {
                mine: median(r[mine].evictions_per_second / r[name].evictions_per_second
                             for r in rounds) for mine in ours},
            "times_faster_prefill": {
                mine: median(r[mine].prefill_tokens_per_second / r[name].prefill_tokens_per_second
                             for r in rounds) for mine in ours},
        }
    return summary


def median(values):
    return float(np.median(list(values)))


def markdown(setting, summary, ours):
    m = setting["machine"]
    gpu = f"{m['gpu']} in " if setting["device"] == "cuda" else ""
    lines = [
        f"{gpu}{m['cpu']}, {setting['threads']} of {m['cores']} cores ({', '.join(m['features'])}), "
        f"{m['memory_gib']} GiB; torch {m['torch']}, transformers {m['transformers']}, "
        f"llama-cpp-python {m['llama-cpp-python']}. T {setting['context']}, "
        f"H {setting['future']}, {setting['subjects']} subjects, {setting['rounds']} interleaved "
        f"rounds, load average {setting['load_average_at_start']:.1f} at the start; rates are "
        "medians, ratios medians of each round's. Errors are relative to Longshadow in f64: "
        "medians over (i, j), over tokens, and the rank correlation over (i, j).",
        "",
        "| | evictions/s | " + " | ".join(f"{mine} is faster by" for mine in ours)
        + " | prefill tok/s | " + " | ".join(f"{mine} prefills faster by" for mine in ours)
        + " | of the product peak | peak memory | error (i, j) | error token | rank |",
        "|---|" + "---|" * (7 + 2 * len(ours)),
    ]
    for name, s in summary.items():
        ratios, prefill_ratios = (
            ["" if name in ours else f"{s[key][mine]:.2f}" for mine in ours]
            for key in ("times_faster", "times_faster_prefill"))
        share = "" if s["share_of_peak"] is None else f"{100 * s['share_of_peak']:.0f}%"
        lines.append(
            f"| {name} | {s['evictions_per_second']:.2f} | " + " | ".join(ratios)
            + f" | {s['prefill_tokens_per_second']:.0f} | " + " | ".join(prefill_ratios)
            + f" | {share} | {s['peak_memory_bytes'] / 2**30:.2f} GiB"
            f" | {s['pair_relative_median']:.1e} | {s['token_relative_median']:.1e}"
            f" | {s['pair_rank_correlation']:.4f} |")
    return "\n".join(lines) + "\n"
