"""The try at breaking head budgets: what run.sh measures, how texts are parted, and the numbers of its tables."""

import json
import os
import subprocess
import sys
import unittest

import h5py
import numpy as np
from support import ROOT, WithRuns

HERE = ROOT / "notebooks" / "head_budgets"
sys.path[:0] = [str(HERE), str(ROOT / "notebooks" / "common")]
import arms
import marks
import needles
import summarise
import tables
import texts

# Stands for the program: notes its arguments, and writes what they say is to be written.
PROGRAM = """#!/bin/bash
echo "$XDG_CACHE_HOME $*" >> "$CALLS"
[[ "$*" == *--help* ]] && { echo "  full, random, h2o, snapkv, oracle, budgets, adakv, learned"; exit 0; }
[[ "$*" == *cities.txt*"--context 4096"* ]] && { echo "longshadow: but the document has 9 tokens" >&2; exit 2; }
for ((i = 1; i <= $#; ++i)); do [[ ${!i} == -o ]] && n=$((i + 1)) && touch "${!n}"; done
exit 0
"""


class Texts(unittest.TestCase):
    def test_a_source_is_in_one_fold(self):
        folds = texts.folds()
        table = texts.rows()
        self.assertGreaterEqual(len(table), 24)
        of_source = {}
        for row in table:
            of_source.setdefault(row["source"], set()).add(folds[row["name"]])
        self.assertTrue(all(len(found) == 1 for found in of_source.values()))
        self.assertEqual(set(folds.values()), set(range(texts.FOLDS)))
        for fold in range(texts.FOLDS):
            outside = texts.others(fold)
            self.assertFalse([name for name in outside if folds[name] == fold])
            self.assertEqual(len(texts.others(fold, 10)), 10)

    def test_a_text_is_named_once_with_its_digest_and_licence(self):
        table = texts.rows()
        self.assertEqual(len({row["name"] for row in table}), len(table))
        self.assertTrue(all(len(row["sha256"]) == 64 and row["licence"] for row in table))

    def test_pages_lose_their_markup(self):
        page = "<head><title>x</title></head><body><nav>up</nav><p>a\n b</p><pre>c\n d</pre></body>"
        self.assertEqual(texts.page_text(page).split(), ["a", "b", "c", "d"])
        self.assertIn("c\nd", texts.page_text(page))
        self.assertEqual(texts.pod_text("=head1 Use\n\nC<a> of L<perlre>"), "Use\n\na of perlre")

    def test_speech_and_worked_solutions(self):
        self.assertEqual(texts.spoken('[message]\n speaker=Nym\n message= _ "Hey."\n[/message]'), "Nym: Hey.\n")
        source = "fewshot:\n  samples:\n  - input: 'What''s 1?\n\n      (A) 2'\n    target: It is\n      one.\nend: 1\n"
        self.assertEqual(texts.worked_solutions(source), "Q: What's 1?\n(A) 2\nA: It is one.\n\n")


class Measuring(WithRuns):
    def run_legs(self, *legs):
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        program = self.folder / "longshadow"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        (self.folder / "texts").mkdir(exist_ok=True)
        result = subprocess.run(
            ["bash", HERE / "run.sh", self.folder / "texts", self.folder / "out", *legs], text=True,
            capture_output=True, env={**os.environ, "LONGSHADOW": str(program), "CALLS": str(calls),
                                      "MODEL": str(program), "PYTHON": sys.executable})
        return result, calls.read_text().splitlines() if calls.exists() else []

    def test_no_text_is_learnt_from_by_its_own_fold(self):
        result, calls = self.run_legs("main", "lengths")
        self.assertEqual(result.returncode, 0, result.stderr)
        folds = texts.folds()
        out = self.folder / "out"
        self.assertEqual(len(list((out / "influence").iterdir())), len(folds))
        self.assertEqual(len(list((out / "kept").iterdir())), len(folds) - 3)  # that rules were compared on
        self.assertEqual(len(list((out / "kept_4096").iterdir())), len(folds) - 4)
        self.assertIn("the document has 9", (out / "left_out.txt").read_text())
        for call in calls:
            cache, command, *arguments = call.split()
            fold = cache.rpartition("fold_")[2]
            if command == "learn":
                learnt = {argument.rpartition("/")[2].removesuffix(".h5") for argument in arguments if argument.endswith(".h5")}
                self.assertEqual(learnt, set(texts.others(int(fold))))
            if command == "retain" and "--document" in arguments:
                name = arguments[arguments.index("--document") + 1].rpartition("/")[2].removesuffix(".txt")
                self.assertEqual(fold, str(folds[name]))
        kept = next(call for call in calls if "out/kept/" in call)
        for policy in ("random", "adakv:over=model/h2o", "budgets/h2o", "budgets/learned", "oracle:by=head"):
            self.assertIn(policy, kept)
        self.assertNotIn("cake", kept)  # this program does not know it
        self.assertIn("--budgets 0.5,0.4,0.2,0.1,0.05 ", kept)
        self.assertIn("--budgets 0.4,0.2,0.1 ", next(call for call in calls if "out/kept_2048/" in call))

    def test_what_is_there_is_not_measured_again(self):
        self.run_legs("main")
        lost = self.folder / "out" / "kept" / "alice.h5"
        lost.unlink()
        _, calls = self.run_legs("main")
        self.assertEqual([call.split()[1] for call in calls if "--help" not in call], ["retain"])
        self.assertTrue(lost.exists())

    def test_an_unknown_leg_is_refused(self):
        result, _ = self.run_legs("legs")
        self.assertEqual(result.returncode, 2)


def made_up_arms(names=None):
    """budgets/h2o costs a quarter of h2o near and half of it elsewhere; snapkv three times as much as h2o on
    every second text and 0.8 times on the others."""
    random = np.random.default_rng(2)
    quarters, slots = {}, {}
    names = names or [row["name"] for row in texts.rows()]
    for n, name in enumerate(names):
        for budget in ("0.4", "0.2"):
            h2o = random.lognormal(size=4)
            costs = {"h2o": h2o, "snapkv": h2o * (0.8 if n % 2 else 3), "random": 5 * h2o,
                     "oracle:by=head": 0.1 * h2o, "budgets/h2o": h2o * np.array([0.25, 0.5, 0.5, 0.5])}
            for policy, cost in costs.items():
                quarters[name, policy, budget] = cost
                slots[name, policy, budget] = np.full((2, 3), 7)
    return arms.Arms(names, quarters, slots)


class Tables(WithRuns):
    def study(self, **fields):
        return summarise.Study(**{**dict(model="made up", folder=self.folder, main=made_up_arms(), lengths={},
                                         crossing={}, few={}), **fields})

    def test_the_best_is_another_policy_for_each_text(self):
        measured = made_up_arms()
        best = measured.best_real("0.2", "near")
        np.testing.assert_allclose(best[::2], measured.cost("h2o", "0.2", "near")[::2])
        np.testing.assert_allclose(best[1::2], measured.cost("snapkv", "0.2", "near")[1::2])

    def test_comparisons_are_geometric_over_sources(self):
        measured = made_up_arms()
        found = arms.compare(measured, measured.cost("budgets/h2o", "0.2", "near"), measured.best_real("0.2", "near"))
        n = len(measured.texts)
        expected = np.array([0.25 if i % 2 == 0 else 0.25 / 0.8 for i in range(n)])
        self.assertAlmostEqual(found.effect.value, np.exp(np.log(expected).mean()))
        self.assertAlmostEqual(found.worst, 0.3125)
        self.assertEqual((found.wins, found.texts), (n, n))
        self.assertTrue(0.25 <= found.effect.low < found.effect.value < found.effect.high <= 0.3125)

    def test_rows_of_the_claim(self):
        rows = tables.claim(self.study()).splitlines()
        self.assertEqual(len(rows), 2 + 2)  # one policy with budgets, two budgets
        self.assertIn("| budgets/h2o | 0.4 |", rows[2])
        self.assertIn(f"{len(texts.rows())} of {len(texts.rows())}", rows[2])

    def test_losses_are_named(self):
        study = self.study()
        study.main.quarters["alice", "budgets/h2o", "0.2"] = 2 * study.main.quarters["alice", "h2o", "0.2"]
        self.assertIn("| budgets/h2o | 0.2 | near | alice 2.0 |", tables.worst(study))

    def test_other_learning_is_held_to_mains(self):
        code = made_up_arms(["brotli_c", "eigen_cpp"])
        study = self.study(crossing={"prose": code})
        for name in code.texts:
            for budget in ("0.4", "0.2"):
                code.quarters[name, "budgets/h2o", budget] = 1.5 * study.main.quarters[name, "budgets/h2o", budget]
        row = tables.crossing(study).splitlines()[2]
        self.assertTrue(row.endswith("| 1.5; 0 of 2; 1.5 |"), row)
        self.assertIsNone(tables.few(study))

    def test_runs_are_read_as_they_were_written(self):
        folder = self.folder / "kept"
        folder.mkdir()
        with h5py.File(folder / "alice.h5", "w") as file:
            document = file.create_group("documents/alice.txt")
            kl = np.repeat([1.0, 2.0, 3.0, 6.0], 64)
            for policy in ("h2o", "budgets:a/b.json/h2o"):
                arm = document.create_group(f"retention/{policy.replace('/', '+')}@0.2")
                arm.attrs["policy"], arm.attrs["budget"] = policy, "0.2"
                arm["kl"], arm["kept"] = kl, np.ones((2, 3, 5), dtype="u1")
        measured = arms.read(folder)
        self.assertEqual(set(measured.policies), {"h2o", "b budgets/h2o"})
        self.assertEqual([measured.cost("h2o", "0.2", where)[0] for where in ("near", "far", "all")], [1, 6, 3])
        np.testing.assert_array_equal(measured.slots["alice", "h2o", "0.2"], np.full((2, 3), 5))
        self.assertIsNone(arms.read(self.folder / "nowhere"))

    def test_stability_is_of_every_pair(self):
        for name, shares in (("a", [0.1, 0.2, 0.3, 0.4]), ("b", [0.2, 0.3, 0.5, 0.9]), ("c", [0.4, 0.3, 0.2, 0.1])):
            folder = self.folder / "learned" / "alone" / name / "longshadow" / "digest"
            folder.mkdir(parents=True)
            (folder / "budgets-h2o.json").write_text(json.dumps({"budgets": [0.2], "shares": [[shares]]}))
        row = tables.stability(self.study()).splitlines()[2]
        self.assertEqual(row, "| h2o | 0.4 | 3 | -1.0 | -1.0 |")

    def test_needles_count_what_the_full_cache_tells(self):
        (self.folder / "needles").mkdir()
        arm = {"policy": "h2o", "budget": "0.2", "log_probability": -3.0, "likeliest": False}
        facts = [{"distance": 1000, "known": known, "log_probability": -0.5, "arms": [arm]} for known in (True, True, False)]
        (self.folder / "needles" / "facts.json").write_text(json.dumps({"facts": facts}))
        text = tables.needles(self.study())
        self.assertIn("2 of 3 facts are told by the full cache", text)
        self.assertTrue(text.endswith("| 1000 | h2o | 0.2 | 0 of 2 | -2.50 |"))

    def test_the_page_has_every_mark(self):
        page = (HERE / "results.md").read_text()
        for name in (*summarise.TABLES, *(f"picture: {one}" for one in summarise.CAPTIONS)):
            page = marks.fill(page, name, "")
        self.assertTrue(all(hasattr(tables, name) for name in summarise.TABLES))


class Needles(WithRuns):
    def test_a_fact_is_stated_and_asked_for(self):
        text = "word " * 4000
        asked, told = needles.with_fact(text, 5.0, 1000, "depth of the well", "361 feet")
        self.assertTrue(told.startswith(asked))
        self.assertTrue(told.endswith("Answer: The depth of the well is 361 feet."))
        self.assertAlmostEqual(len(asked), 5 * 1100, delta=60)

    def test_an_answer_is_scored_by_its_own_tokens(self):
        run, text = self.folder / "run.h5", "The é is 48."
        with h5py.File(run, "w") as file:
            document = file.create_group("documents/x.txt")
            document.attrs["context_tokens"] = 2
            document["tokens/bytes"] = [[0, 3], [3, 6], [6, 9], [9, 11], [11, 12], [12, 13]]
            document["signals/surprisal"] = np.array([0, 9, 9, 0.5, 0.25, 9], dtype="f4")
            arm = document.create_group("retention/h2o@0.2")
            arm.attrs["policy"], arm.attrs["budget"] = "h2o", "0.2"
            arm["surprisal"] = np.array([2, 0.125, 9, np.nan], dtype="f4")  # of tokens 3, 4, 5 and none
        found = needles.read_answer(run, text, "48")
        self.assertEqual((found["log_probability"], found["known"]), (-0.75, True))
        self.assertEqual(found["arms"], [{"policy": "h2o", "budget": "0.2", "log_probability": -2.125, "likeliest": False}])

    def test_prefixes(self):
        self.assertEqual([needles.common_prefix("abc", other) for other in ("abd", "abc", "ab", "")], [2, 3, 2, 0])


if __name__ == "__main__":
    unittest.main()
