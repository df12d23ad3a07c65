"""Shares by head from head scores: the allocations of the literature, and the files made of them."""

import sys
import unittest
from unittest import mock

import numpy as np
from support import ROOT

sys.path.insert(0, str(ROOT / "notebooks" / "head_budgets"))
import allocation
import rivals

RANDOM = np.random.default_rng(3)
SCORES = RANDOM.random((5, 3))


class Allocation(unittest.TestCase):
    def test_as_many_heads_stay_whole_as_the_budget_pays_for(self):
        order = allocation.by_score(SCORES)
        # 15 heads at 0.4 have 6 heads' slots; with a fifth of the tokens for the others, 3.75 whole.
        shares = allocation.whole_heads(order, 0.4, 0.5)
        np.testing.assert_array_equal(shares[order[:3]], 1)
        np.testing.assert_allclose(shares[order[3:]], (6 - 3) / 12)
        highest = np.sort(SCORES.ravel())[-3:]
        np.testing.assert_array_equal(np.sort(SCORES.ravel()[shares == 1]), highest)

    def test_a_budget_too_small_for_a_whole_head_is_shared_alike(self):
        np.testing.assert_allclose(
            allocation.whole_heads(allocation.by_score(SCORES), 0.02, 0.5), 0.02)

    def test_one_head_in_fifteen_is_taken_by_echo(self):
        induction, echo = np.arange(45.0), -np.arange(45.0)
        order = allocation.by_induction_and_echo(induction, echo)
        self.assertEqual(sorted(order), list(range(45)))
        # Echo likes the first heads best, induction the last.
        np.testing.assert_array_equal(np.flatnonzero(np.isin(order, [0, 1, 2])), [7, 22, 37])
        np.testing.assert_array_equal(order[:7], np.arange(44, 37, -1))

    def test_a_share_for_every_head_and_the_rest_by_score(self):
        scores = SCORES / SCORES.sum()
        shares = allocation.in_proportion(scores, 0.1, 2)
        np.testing.assert_allclose(shares, 0.05 + 0.05 * 15 * scores, rtol=1e-9)

    def test_what_a_full_head_leaves_over_goes_to_the_others(self):
        shares = allocation.in_proportion(np.array([[8.0, 1.0, 1.0, 0.0]]), 0.5, 1.0)
        np.testing.assert_allclose(shares, [[1, 0.5, 0.5, 0]], atol=1e-9)
        # All that have a score are full, and the last has the rest.
        shares = allocation.in_proportion(np.array([[8.0, 1.0, 1.0, 0.0]]), 0.8, 1.0)
        np.testing.assert_allclose(shares, [[1, 1, 1, 0.2]], atol=1e-9)

    def test_the_highest_pairs_of_head_and_rank(self):
        curves = -np.sort(-RANDOM.random((2, 3, 8)), axis=-1)
        shares = allocation.highest_pairs(curves, 0.25)  # 12 of 48
        least = np.sort(curves.ravel())[-12]
        np.testing.assert_array_equal(shares, (curves >= least).sum(-1) / 8)


class Files(unittest.TestCase):
    def test_every_rival_at_every_budget_keeps_the_budget(self):
        identity = {"model": {"name": "m", "weights_sha256": "0" * 64}, "layers": 5, "kv_heads": 3}
        curves = -np.sort(-RANDOM.random((5, 3, 40)), axis=-1)
        scores = {"gates": SCORES, "induction": SCORES, "echo": SCORES[::-1], "needle": SCORES ** 4,
                  "curves": curves}
        names = []
        for rival in rivals.RIVALS:
            for name, fields in rivals.budgets_of(rival, scores, identity, {"how": rival}):
                names.append(name)
                with self.subTest(name):
                    self.assertEqual(np.shape(fields["shares"]), (7, 5, 3))
                    shares = np.array(fields["shares"])
                    np.testing.assert_allclose(shares.mean((1, 2)), rivals.BUDGETS, atol=1e-9)
                    self.assertTrue(((0 <= shares) & (shares <= 1)).all())
                    np.testing.assert_allclose(shares[-1], 1)
        self.assertEqual(len(names), len(set(names)))

    def test_whose_weights_they_are_is_what_info_prints(self):
        printed = ("name               A 1B b\nlayers             30\nkey-value heads    3\n"
                   "head size          64\nweights sha256     ab12\n")
        with mock.patch("subprocess.run", return_value=mock.Mock(stdout=printed)):
            self.assertEqual(rivals.weights_identity("m.gguf", "longshadow"), {
                "model": {"name": "A 1B b", "weights_sha256": "ab12"}, "layers": 30, "kv_heads": 3})


if __name__ == "__main__":
    unittest.main()
