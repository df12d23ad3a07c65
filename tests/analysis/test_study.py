"""The study's scripts: what run.sh measures and resumes, and the numbers that summarise.py writes."""

import itertools
import os
import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np
from support import ROOT, WithRuns

STUDY = ROOT / "notebooks" / "study"
sys.path[:0] = [str(STUDY), str(ROOT / "notebooks" / "common")]
import claims
import marks
import matched
import paired
import summarise
import tables
from measured import Study
from run_file import Document, Retention

# Stands for the program: writes its arguments and an empty file, and finds one document too short.
PROGRAM = """#!/bin/bash
echo "$*" >> "$CALLS"
[[ "$*" == *"--dry-run"* && "$*" == *proteomics* ]] && {
  echo "longshadow: p.txt: context 2048 and future 6144 need 8192 tokens, but the document has 9" >&2
  exit 2
}
[[ "$*" == *"--dry-run"* ]] && exit 0
for ((i = 1; i <= $#; ++i)); do [[ ${!i} == -o || ${!i} == --json ]] && n=$((i + 1)) && touch "${!n}"; done
exit 0
"""


class Measuring(WithRuns):
    def run_study(self, *options, text=PROGRAM, **environment):
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        program = self.folder / "longshadow"
        program.write_text(text)
        program.chmod(0o755)
        python = self.folder / "python"  # stands for matched.py
        python.write_text("#!/bin/bash\necho set:5,9\n")
        python.chmod(0o755)
        result = subprocess.run(
            ["bash", STUDY / "run.sh", "texts", self.folder / "out", *options], text=True,
            capture_output=True,
            env={**os.environ, "LONGSHADOW": str(program), "CALLS": str(calls),
                 "PYTHON": str(python), **environment})
        return result, calls.read_text().splitlines()

    def test_ten_documents_are_measured_and_the_short_one_named(self):
        result, calls = self.run_study(MODEL="m.gguf", DEVICE="cuda", SHARES="5 40")
        self.assertEqual(result.returncode, 0, result.stderr)
        out = self.folder / "out"
        counts = {kind: len(list((out / kind).iterdir()))
                  for kind in ("lag", "end", "influence", "kept", "chunks", "chunks_f32", "matched")}
        self.assertEqual(counts, {"lag": 10, "end": 10, "influence": 10, "kept": 10, "chunks": 9,
                                  "chunks_f32": 2, "matched": 9})
        self.assertIn("the document has 9", (out / "left_out.txt").read_text())
        self.assertFalse((out / "chunks" / "proteomics_tutorial.h5").exists())
        measured = [call for call in calls if call.startswith(("probe", "retain"))]
        self.assertTrue(all("--model m.gguf --device cuda" in call for call in measured))
        protocol = next(call for call in measured if "out/chunks/lomb" in call and "dry" not in call)
        self.assertIn("--context 2048 --future 6144 --evict-at end --precision bf16 --method auto", protocol)
        for group in ("top:attention-window:5%", "top:random:40%", "policy:infokv@0.2"):
            self.assertIn(group, protocol)
        self.assertEqual(sum(" --chunks 128" in call for call in calls), 1)

        control = next(call for call in measured if "out/matched/lomb" in call)
        self.assertIn("--subjects set:5,9", control)

    def test_what_is_there_is_not_measured_again(self):
        self.run_study("--quick")
        lost = self.folder / "out" / "kept" / "lomb_scargle.h5"
        lost.unlink()
        _, calls = self.run_study("--quick")
        measured = [call for call in calls if call.startswith(("probe", "retain")) and "dry" not in call]
        self.assertEqual([call.split()[0] for call in measured], ["retain"])
        self.assertTrue(lost.exists())

    def test_another_failure_ends_the_run(self):
        result, _ = self.run_study(
            "--quick", text=PROGRAM.replace("but the document has 9", "no such model"))
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("no such model", result.stderr)

    def test_in_f32_there_is_nothing_to_confirm(self):
        self.run_study(PRECISION="f32")
        self.assertEqual(list((self.folder / "out" / "chunks_f32").iterdir()), [])


class Matched(unittest.TestCase):
    def test_each_token_has_the_nearest_that_is_left(self):
        self.assertEqual(list(matched.matched(np.array([100]), 300)), [99])
        self.assertEqual(list(matched.matched(np.array([267, 266]), 300)), [264, 265])
        self.assertEqual(list(matched.matched(np.array([4]), 300)), [5])

    def test_controls_are_others_and_as_many(self):
        tokens = np.unique(np.random.default_rng(3).integers(4, 2016, 100))
        others = matched.matched(tokens, 2048)
        self.assertEqual(len(set(others)), len(tokens))
        self.assertFalse(set(others) & set(tokens))
        self.assertTrue(4 <= others.min() and others.max() < 2016)
        self.assertLess(abs(others.mean() - tokens.mean()), 2)


class Paired(unittest.TestCase):
    def test_signs_are_flipped_in_every_pattern(self):
        values = np.array([0.5, 1.0, -0.2, 2.0, 0.1])
        seen = abs(values.sum())
        flips = [abs(sum(s * v for s, v in zip(signs, values)))
                 for signs in itertools.product((1, -1), repeat=5)]
        self.assertEqual(paired.flipped_p(values), np.mean([f >= seen - 1e-12 for f in flips]))

    def test_ratios_are_of_each_document_with_itself(self):
        others = np.array([1e-6, 1.0, 1e3, 5.0, 0.2, 7.0])
        effect = paired.ratio(3 * others, others)
        np.testing.assert_allclose([effect.value, effect.low, effect.high], 3)
        self.assertEqual(effect.p, 2 / 2 ** 6)
        self.assertTrue(np.isnan(paired.ratio([1.0, 2.0], [2.0, 1.0]).low))

    def test_holm_steps_down(self):
        # 4 * 0.01, 3 * 0.015 raised to no less, 2 * 0.03, 1 * 0.5 at its place
        np.testing.assert_allclose(paired.holm([0.03, 0.01, 0.5, 0.015]), [0.06, 0.04, 0.5, 0.045])
        np.testing.assert_allclose(paired.holm([0.9, 0.8]), [1, 1])


def document(**fields):
    empty = np.empty(0)
    return Document(**{**dict(
        model="", conditions="context 2048, direct f32", evict_at="end", evicted="end", subject=empty, label=empty,
        group=empty, distance=empty, kl=empty, retention=[]), **fields})


def made_up_study(model="made up", documents=6):
    """Attention's set does 12 times as much as a random one in the first chunk and 2 times after 16;
    entropy's 3 times everywhere. InfoKV's divergence is half of SnapKV's and all of the others'."""
    random = np.random.default_rng(1)
    near, far = np.arange(3072) < 128, np.arange(3072) >= 2048
    runs = {"chunks": [], "kept": [], "chunks_f32": [], "matched": []}
    for d in range(documents):
        noise = np.repeat(random.lognormal(size=24), 128)
        sets = {"top:random:20%": noise, "top:entropy-before:20%": 3 * noise,
                "top:attention-window:20%": np.where(near, 12, np.where(far, 2, 5)) * noise}
        common = dict(name=f"text_{d}.txt", noise_floor=np.zeros(3072))
        runs["chunks"].append(document(sets={name: kl[None] for name, kl in sets.items()},
                                       set_tokens={name: [np.array([d, 9])] for name in sets}, **common))
        runs["kept"].append(document(sets={}, **common, retention=[
            Retention(policy, budget, None, weight * noise[:256], None, None, None, 0, 0, 32)
            for budget in ("0.4", "0.2")
            for policy, weight in (("infokv", 1), ("snapkv", 2), ("expected-attention", 1))]))
    runs["lag"] = runs["end"] = runs["kept"]
    runs["chunks_f32"] = [document(
        name="text_0.txt", noise_floor=np.zeros(3072), set_tokens=runs["chunks"][0].set_tokens.copy(),
        sets={name: kl * 1.25 for name, kl in runs["chunks"][0].sets.items()})]
    correlation = {"claim": claims.CONTENT_WORDS, "p": 0.03125,
                   "rank_correlation": {"value": 0.3, "low": 0.2, "high": 0.4}}
    reports = {"lag": {"pooled": {"claims": {"claims": [correlation]}}}}
    return Study(model, Path("nowhere"), runs, reports)


class Tables(unittest.TestCase):
    def test_claims_are_the_made_up_effects(self):
        study = made_up_study()
        effects = {claim.text: claim.effect.value for claim in claims.claims_of(study)}
        self.assertAlmostEqual(effects["attention's set matters near"], 12)
        self.assertAlmostEqual(effects["entropy's set still matters far away"], 3)
        self.assertAlmostEqual(effects["attention's set fades faster"], (12 / 3) / (2 / 3))
        self.assertAlmostEqual(effects["far away entropy's set matters more"], 1.5)
        self.assertAlmostEqual(effects["InfoKV loses less than SnapKV, keeping 20%"], 2)
        self.assertEqual(len(effects), 9)
        ps = [claim.effect.p for claim in claims.claims_of(study)]
        table = claims.claims_table([study, made_up_study("other")]).splitlines()
        self.assertEqual(len(table), 2 + len(effects))
        self.assertIn("| other |", table[0])
        row = next(line for line in table if "SnapKV, keeping 20%" in line)
        self.assertEqual(row.count(f"{paired.holm(ps)[7]:.3f}"), 2)

    def test_a_study_may_be_the_protocol_alone(self):
        study = made_up_study()
        study.runs.update(lag=[], end=[], kept=[])
        self.assertEqual(len(claims.claims_of(study)), 4)
        self.assertEqual(summarise.by_model([study], "policies"), "Not measured.")
        self.assertIn("72 chunk means", summarise.by_model([study], "exactness"))
        self.assertIn("text_5", summarise.by_model([study], "documents"))

    def test_a_claim_holds_its_contrary_or_neither(self):
        effect = paired.Effect(0.5, 0.4, 0.6, 0.01)
        claim = claims.Claim("", "", effect, 1)
        self.assertEqual([claim.verdict(p) for p in (0.01, 0.05)], ["the contrary holds", "open"])
        self.assertEqual(claims.Claim("", "", effect, 0).verdict(0.01), "holds")

    def test_comparisons_have_a_column_a_stretch(self):
        header, _, *rows = tables.comparisons(made_up_study()).splitlines()
        self.assertIn("| 0-127 | 128-511 | 512-1023 | 1024-2047 | 2048-3071 | first over last |", header)
        attention = next(row for row in rows if row.startswith("| attention-window over random"))
        self.assertIn("| 12 [12, 12] (.031) |", attention)
        self.assertTrue(attention.endswith("| 6.0 [6.0, 6.0] (.031) |"))

    def test_attention_is_compared_with_its_control_by_position(self):
        study = made_up_study()
        study.runs["matched"] = []
        for one in study.runs["chunks"]:
            noise = one.sets["top:random:20%"]
            study.runs["matched"].append(
                document(name=one.name, noise_floor=one.noise_floor, sets={"set": 2 * noise}))
            one.sets.update({"top:attention-window:5%": one.sets["top:attention-window:20%"],
                             "top:random:5%": noise})
        study.runs["chunks"].reverse()  # documents go by their names
        _, _, attention, random = tables.matched(study).splitlines()
        self.assertIn("| 6.0 [6.0, 6.0] (.031) |", attention)
        self.assertTrue(attention.endswith("| 6.0 [6.0, 6.0] (.031) |"))
        self.assertIn("| 0.50 [0.50, 0.50] (.031) |", random)

    def test_means_are_the_papers_quantity(self):
        study = made_up_study()
        expected = np.mean([one.sets["top:random:20%"][0, :128].mean() for one in study.runs["chunks"]])
        row = next(line for line in tables.means(study).splitlines() if "`top:random:20%`" in line)
        self.assertIn(f"| {expected:#.2g} [", row)

    def test_how_exact_chunk_means_are(self):
        study = made_up_study()
        for one in study.runs["chunks"]:
            one.noise_floor = np.full(3072, 1e-9)
        self.assertIn("Direct method, f32: the noise floor is at most 1.0e-09 nats",
                      tables.exactness(study))

    def test_f32_is_held_against(self):
        self.assertIn("72 chunk means differ by 20.00% in the median, 20.0% at most",
                      tables.exactness(made_up_study()))

    def test_sets_of_other_tokens_are_not_held_against(self):
        study = made_up_study()
        study.runs["chunks_f32"][0].set_tokens["top:random:20%"] = [np.array([0, 8])]
        self.assertIn("48 chunk means differ", tables.exactness(study))

    def test_only_marked_places_of_the_page_are_filled(self):
        page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb"
        self.assertEqual(marks.fill(page, "x", "new"), page.replace("old", "new"))
        with self.assertRaises(SystemExit):
            marks.fill(page, "y", "new")

    def test_the_page_has_every_mark(self):
        page = (STUDY / "results.md").read_text()
        names = ["claims", "texts", *summarise.TABLES, *(f"picture: {one}" for one in summarise.CAPTIONS)]
        for name in names:
            page = marks.fill(page, name, "")
        self.assertEqual(page.count("<!--"), 2 * len(names))
        self.assertTrue(all(hasattr(tables, name) for name in summarise.TABLES))


if __name__ == "__main__":
    unittest.main()
