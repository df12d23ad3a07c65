"""The page of `longshadow inspect`, in Chromium without a window: what a reader sees and does."""

import json
import os
import re
import subprocess
import unittest

import h5py
import numpy as np
from page_support import FOUR_DIGITS, THREE_DIGITS, WithPage, inspect, number
from support import AT_END, ROOT, WithRuns

import hostile_run


class AHostileRun(WithPage):
    def setUp(self):
        super().setUp()
        run = self.make_run(documents=2, lag=AT_END, sets=2, sketch=True)
        hostile_run.make_hostile(run)
        self.open(run)

    def test_its_text_is_text(self):
        context = self.document().attrs["context_tokens"]
        texts = self.document()["tokens/text"].asstr()[:]
        shown = self.browser.run("document.querySelector('.context-end').remove();"
                                 "return document.getElementById('text').textContent")
        self.assertEqual(shown, "".join(texts))
        self.assertEqual(len(self.tokens_with("t")), len(texts))
        self.assertLess(context, len(texts))

    def test_nothing_of_it_runs(self):
        for selector in ("#t0", "#t3", "#t10"):
            self.browser.click(selector)
        self.browser.choose("#signal", "tag")
        self.browser.choose("#document", 1)
        self.assertIsNone(self.browser.run("return window.harmed ?? null"))
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main script').length"), 0)
        self.assertIn("script-src 'sha256-", self.page.read_text())

    def test_its_names_are_shown(self):
        self.assertEqual(self.browser.run("return document.querySelector('#document option').textContent"),
                         hostile_run.NAME)
        self.assertEqual(self.browser.run("return document.title"), f"{hostile_run.NAME} · Longshadow")
        self.assertIn(hostile_run.MARKUP, self.browser.text("#conditions"))
        self.assertIn(hostile_run.MARKUP, self.browser.text(".sets"))

    def test_a_script_put_into_the_page_is_refused(self):
        self.browser.run("const script = document.createElement('script');"
                         "script.textContent = 'window.harmed = 5'; document.body.append(script);")
        self.assertIsNone(self.browser.run("return window.harmed ?? null"))
        self.assertTrue(any("Content Security Policy" in line for line in self.browser.console()))

    def test_halves_of_characters_and_directions_are_marked(self):
        texts = list(self.document()["tokens/text"].asstr()[:])
        self.assertEqual(self.tokens_with("part"), [i for i, text in enumerate(texts) if "\ufffd" in text])
        self.assertEqual(self.tokens_with("isolated"), [i for i, text in enumerate(texts) if text == "\u202e"])
        marks = self.browser.run("return [...document.querySelectorAll('#t17 .mark, #t18 .mark')]"
                                 ".map((mark) => mark.dataset.mark)")
        self.assertEqual(marks, ["↵", "⇥"])

    def test_the_search_goes_over_tokens(self):
        texts = list(self.document()["tokens/text"].asstr()[:])
        self.browser.press("/", *"needle")
        hits = [i for i, text in enumerate(texts) if "needle" in text.lower()]
        self.assertEqual(self.tokens_with("hit"), hits)
        self.assertEqual(self.browser.text("#hits"), f"1 of {len(hits)}")
        self.browser.press("Enter")
        self.assertEqual(self.tokens_with("hit-now"), [hits[1]])
        self.browser.press("Escape")
        self.assertEqual(self.tokens_with("hit"), [])
        self.browser.press("/", *"needle needle")  # from one token into the next
        self.assertEqual(self.tokens_with("hit")[:2], [hits[0], hits[1]])
        self.browser.press("Escape", "/", *"#123")
        self.assertEqual(self.tokens_with("hit-now"), [123])
        self.browser.press("Escape", "/", *"nowhere")
        self.assertEqual(self.browser.text("#hits"), "none")


class TheValues(WithPage):
    def test_pointing_at_a_token_shows_its_values(self):
        self.open(self.make_run(lag=AT_END, sketch=True))
        document = self.document()
        i = 7
        self.browser.hover(f"#t{i}")
        self.assertIn(document["tokens/text"].asstr()[i].strip(), self.browser.text("#tooltip"))
        self.assertAlmostEqual(number(self.browser.text("#tooltip span")), document["sketch/fi"][0, i],
                               delta=FOUR_DIGITS * document["sketch/fi"][0, i])
        signals = document["signals"]
        expected = {
            "sketch, 0–15 on": document["sketch/fi"][0, i],
            "sketch, 16–63 on": document["sketch/fi"][1, i],
            "entropy before": signals["entropy"][i - 1],
            "entropy at": signals["entropy"][i],
            "entropy at, top 20": signals["entropy_topk"][i],
            "surprisal": signals["surprisal"][i],
            "drift": signals["drift"][:, i].mean(dtype=float),
            "attention, last queries": signals["attention_window"][:, :, i].mean(dtype=float),
            "attention, later queries": signals["attention_cumulative"][:, :, i].mean(dtype=float),
        }
        shown = self.browser.run("return new Promise((done) => requestAnimationFrame(() => done()))")
        shown = self.shown_values()
        for name, value in expected.items():
            self.assertAlmostEqual(number(shown[name]), value, delta=FOUR_DIGITS * value, msg=name)

    def test_near_and_far_are_those_of_analyze(self):
        self.open(self.make_run(subjects=60))
        report = self.folder / "report.json"
        subprocess.run([os.environ["LONGSHADOW"], "analyze", self.run_path, "--json", report], check=True,
                       capture_output=True)
        sample, = json.loads(report.read_text())["documents"]
        names = self.browser.run("return [...document.querySelectorAll('#signal option')].map((o) => o.textContent)")
        for which in ("near", "far"):
            begin, end = sample[which]
            self.assertIn(f"{which}, distance {begin}–{end - 1}", names)

        influence = self.document()["influence"]
        s = 20
        begin, end = sample["far"]
        subject = influence["subject"][s]
        distance = influence["start"][s] - subject[0] + np.arange(influence["kl"].shape[1])
        inside = (distance >= begin) & (distance < end)
        floored = np.maximum(influence["kl"][s], influence["noise_floor"][:])[inside].mean()
        self.browser.run("document.getElementById('t' + arguments[0]).scrollIntoView({block: 'center'})",
                         int(subject[0]))
        self.browser.click(f"#t{subject[0]}")
        shown = self.shown_values()[f"far, distance {begin}–{end - 1}"]
        self.assertAlmostEqual(number(shown), floored, delta=FOUR_DIGITS * floored)

    def test_a_layer_and_a_head(self):
        self.open(self.make_run())
        self.browser.choose("#signal", "attention-window")
        whole = [self.background(i) for i in range(1, 40)]
        self.browser.choose("#layer", 2)
        self.browser.choose("#head", 1)
        self.assertNotEqual(whole, [self.background(i) for i in range(1, 40)])
        weights = self.document()["signals/attention_window"][2, 1]
        self.browser.hover("#t9")
        # 16 bits over the 6 decades that are kept apart: steps of ln(10^6) / 65533
        rounding = np.log(1e6) / 65533 / 2
        self.assertAlmostEqual(number(self.browser.text("#tooltip span")), weights[9],
                               delta=(THREE_DIGITS + rounding) * weights[9])
        self.browser.press("[")
        self.assertEqual(self.browser.text("#layer-shown"), "1")

    def test_values_under_the_floor_are_marked_and_not_drawn(self):
        run = self.make_run(subjects=30)
        with h5py.File(run, "r+") as file:
            influence = next(iter(file["documents"].values()))["influence"]
            kl = influence["kl"][:]
            kl[4, :10] = influence["noise_floor"][0] / 3
            kl[4, 20] = np.nan
            influence["kl"][...] = kl
            under = int((kl[4] <= influence["noise_floor"][:]).sum())
            token = int(influence["subject"][4, 0])
        self.open(run)
        self.browser.run("document.getElementById('t' + arguments[0]).scrollIntoView({block: 'center'})", token)
        self.browser.click(f"#t{token}")
        marks, drawn = self.browser.run("return ['under', 'values'].map((name) =>"
                                        " document.querySelector(`path.${name}`).getAttribute('d'))")
        self.assertEqual(marks.count("M"), under)
        self.assertEqual(drawn.count("M") + drawn.count("L"), kl.shape[1] - under - 1)
        self.assertIn(f"{under} of {kl.shape[1]} values lie at or under it", self.browser.text("figcaption"))

    def test_parts_of_speech_have_colours_and_lines(self):
        self.open(self.make_run())
        self.browser.choose("#signal", "tag")
        nouns = [i for i, tag in enumerate(self.document()["tokens/upos"][:]) if tag in (7, 11)]
        self.assertEqual(self.tokens_with("tag-0"), nouns)
        lines = self.browser.run("return [0, 1, 2, 3, 4].map((k) => getComputedStyle("
                                 "document.querySelector('.t.tag-' + k)).textDecorationStyle)")
        self.assertEqual(len(set(lines)), 5)
        self.browser.choose("#signal", "surprisal")
        self.assertEqual(self.tokens_with("tag-0"), [])


class ThePolicies(WithPage):
    def setUp(self):
        super().setUp()
        self.open(self.make_run(retention=True))
        self.browser.choose("#signal", "kept")

    def kept(self, policy):
        return self.document()["retention"][policy]["kept"][:]

    def test_what_a_policy_keeps_in_a_layer(self):
        self.browser.choose("#layer", 2)
        self.browser.choose("#head", 0)
        name = self.browser.run("return document.querySelector('#policy').selectedOptions[0].textContent")
        kept = self.kept(name.replace("/", "+"))[2, 0]
        self.assertEqual(self.tokens_with("faint"), list(np.flatnonzero(kept == 0)))
        self.browser.choose("#layer", -1)
        self.browser.choose("#head", -1)
        self.browser.hover("#t5")
        share = self.kept(name.replace("/", "+"))[:, :, 5].mean()
        self.assertAlmostEqual(number(self.browser.text("#tooltip span")), 100 * share, delta=0.51)

    def test_two_side_by_side(self):
        names = self.browser.run("return [...document.querySelectorAll('#policy option')].map((o) => o.textContent)")
        mine, theirs = names.index("oracle@0.4"), names.index("snapkv@0.4")
        self.browser.choose("#layer", 1)
        self.browser.choose("#head", 1)
        self.browser.choose("#policy", mine)
        self.browser.choose("#against", theirs)
        a, b = self.kept("oracle@0.4")[1, 1], self.kept("snapkv@0.4")[1, 1]
        only = self.browser.run("return ['.line:not(.beside)', '.beside'].map((pane) =>"
                                " [...document.querySelectorAll(pane + ' .only')].map((t) => t.token))")
        self.assertEqual(only, [list(np.flatnonzero(a > b)), list(np.flatnonzero(b > a))])
        self.assertIn(f"only oracle@0.4: {int((a > b).sum())}", self.browser.text("#legend"))
        headings = self.browser.run("return [...document.querySelectorAll('.compared-name')].map((h) => h.textContent)")
        self.assertEqual(headings, ["oracle@0.4", "snapkv@0.4"])
        self.browser.choose("#against", -1)
        self.assertEqual(self.browser.run("return document.querySelectorAll('.beside, .only').length"), 0)

    def test_what_it_costs(self):
        self.browser.click("#t3")
        rows = self.browser.run("return [...document.querySelectorAll('.policies tbody tr')].map((row) =>"
                                " [...row.cells].map((cell) => cell.textContent))")
        retention = self.document()["retention"]
        names = [name for name in retention if "@" in name]
        self.assertEqual([row[0].replace("/", "+") for row in rows], names)
        for row, name in zip(rows, names):
            mean = retention[name]["kl"][:].mean()
            self.assertAlmostEqual(number(row[3]), mean, delta=THREE_DIGITS * mean)


class APartOfARun(WithPage):
    def test_of_policies_alone_opens(self):
        self.open(self.make_run(subjects=0, retention=True))
        self.assertTrue(self.browser.run("return document.getElementById('strip').hidden"))
        self.browser.press("ArrowRight", "Enter")
        self.assertEqual(len(self.tokens_with("pinned")), 1)

    def test_without_parts_of_speech_opens(self):
        run = self.make_run()
        with h5py.File(run, "r+") as file:
            for document in file["documents"].values():
                del document["tokens/upos"], document["tokens/word"]
        self.open(run)
        self.browser.press("ArrowRight", "Enter")
        self.assertNotIn("tag", self.browser.run("return [...document.querySelectorAll('#signal option')]"
                                                 ".map((option) => option.value)"))

    def test_wholly_under_the_floor_has_no_shades(self):
        run = self.make_run()
        with h5py.File(run, "r+") as file:
            influence = next(iter(file["documents"].values()))["influence"]
            influence["kl"][...] = np.zeros(influence["kl"].shape)
        self.open(run)
        self.assertIn("no values", self.browser.text("#legend"))
        self.browser.press("m", "Enter")
        self.assertIn("the noise floor", self.shown_values()[
            self.browser.run("return document.getElementById('signal').selectedOptions[0].textContent")])
        self.assertEqual(self.browser.run("return document.querySelectorAll('path.values').length"), 0)


class TheReader(WithPage):
    def test_pins_and_lets_go(self):
        self.open(self.make_run(subjects=60))
        self.browser.click("#t4")
        self.browser.hover("#t9")
        self.assertEqual(self.tokens_with("pinned"), [4])
        self.assertIn("token 4 of", self.browser.text("#panel"))
        self.assertIn("Pinned. Token 4", self.browser.text("#live"))
        self.browser.press("Escape")
        self.assertEqual(self.tokens_with("pinned"), [])
        self.browser.press("m", "Enter")
        token, = self.tokens_with("pinned")
        self.assertIn(token, self.tokens_with("measured"))
        self.assertEqual(self.browser.run("return document.querySelectorAll('#panel .curve svg').length"), 1)

    def test_moves_by_keyboard(self):
        self.open(self.make_run())
        self.browser.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
        self.assertEqual(self.tokens_with("cursor"), [1])
        self.assertEqual(self.browser.run("return document.activeElement.getAttribute('aria-activedescendant')"), "t1")
        self.assertIn("Token 1, ", self.browser.text("#live"))
        self.browser.press("ArrowDown")
        below, = self.tokens_with("cursor")
        tops = self.browser.run("return arguments.length && [...arguments].map((i) =>"
                                " document.getElementById('t' + i).getBoundingClientRect().top)", 1, below)
        self.assertLess(tops[0], tops[1])
        self.browser.press("ArrowUp")
        self.assertEqual(self.tokens_with("cursor"), [1])
        signal = self.browser.run("return document.getElementById('signal').value")
        self.browser.press(".")
        self.assertNotEqual(self.browser.run("return document.getElementById('signal').value"), signal)
        self.browser.press(",")
        self.assertEqual(self.browser.run("return document.getElementById('signal').value"), signal)
        self.browser.press("?")
        self.assertTrue(self.browser.run("return document.getElementById('help').open"))
        self.browser.press("Escape")
        self.assertFalse(self.browser.run("return document.getElementById('help').open"))

    def test_chooses_documents_and_sets(self):
        self.open(self.make_run(documents=2, sets=2))
        self.browser.choose("#document", 1)
        self.assertEqual(self.browser.run("return document.title"), "document_2 · Longshadow")
        self.browser.click(".sets button")
        removed = self.document(1)["influence/removed"][:]
        offsets = self.document(1)["influence/removed_offset"][:]
        subject = next(s for s in range(len(offsets) - 1) if offsets[s + 1] - offsets[s] > 1)
        self.assertEqual(self.tokens_with("member"), list(removed[offsets[subject]:offsets[subject + 1]]))
        self.assertEqual(self.browser.run("return document.querySelectorAll('#panel .curve svg').length"), 1)

    def test_jumps_along_the_strip(self):
        self.open(self.make_run(lag=AT_END, sketch=True))
        self.assertIn("far 16–63", self.browser.text("#strip"))
        middle = self.browser.run("return document.querySelector('#strip canvas').getContext('2d')"
                                  ".getImageData(100, 3, 1, 1).data[3]")
        self.assertEqual(middle, 255)  # something is drawn
        before = self.browser.run("return scrollY")
        self.browser.click("#strip .map")
        self.assertGreater(self.browser.run("return scrollY"), before)

    def test_reads_in_light_and_dark(self):
        self.browser.prefer("dark")
        self.open(self.make_run(lag=AT_END, sketch=True))
        theme = "return document.documentElement.dataset.theme"
        self.assertEqual(self.browser.run(theme), "dark")
        for expected in ("dark", "light"):
            self.assertEqual(self.browser.run(theme), expected)
            self.assertGreaterEqual(min(self.contrasts()), 4.5)  # WCAG 2, level AA
            self.browser.press("t")

    def contrasts(self):
        """Of every token's ink on its shade."""
        pairs = self.browser.run(
            "const paper = getComputedStyle(document.body).backgroundColor;"
            "return [...document.querySelectorAll('.t')].map((t) => { const style = getComputedStyle(t);"
            " return [style.color, style.backgroundColor === 'rgba(0, 0, 0, 0)' ? paper : style.backgroundColor]; })")

        def luminance(colour):
            c = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
            return np.dot(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), [0.2126, 0.7152, 0.0722])

        values = [sorted(map(luminance, pair)) for pair in set(map(tuple, pairs))]
        return [(light + 0.05) / (dark + 0.05) for dark, light in values]

    def test_hears_names_of_all_that_acts(self):
        self.open(self.make_run(retention=True, sketch=True, lag=AT_END))
        self.browser.choose("#signal", "kept")
        unnamed = [selector for selector in ("#document", "#search", "#theme", "#help-button", "#signal", "#layer",
                                             "#head", "#policy", "#against", "#text", "#legend", "#strip .map")
                   if not self.browser.label(selector)]
        self.assertEqual(unnamed, [])


class ARealRun(WithPage):
    def test_of_a_tiny_model_opens(self):
        fixtures = ROOT / "data" / "fixtures" / "models"
        run = self.folder / "tiny.h5"
        subprocess.run([os.environ["LONGSHADOW"], "probe", "--model", fixtures / "llama_plain.gguf", "--document",
                        fixtures / "document.txt", "--context", "32", "--future", "8", "--subjects", "sample:6",
                        "-o", run], check=True, capture_output=True)
        self.open(run)
        self.assertEqual(len(self.tokens_with("t")), len(self.document()["tokens/text"]))
        self.browser.press("m", "Enter")
        self.assertEqual(self.browser.run("return document.querySelectorAll('#panel .curve svg').length"), 1)


class TheCommand(WithRuns):
    def test_refuses_in_one_line(self):
        run = self.make_run()
        taken = self.folder / "taken.html"
        taken.write_text("")
        for arguments, status in (((), 2), ((run,), 2), ((run, "-o", taken), 1),
                                  ((self.folder / "none.h5", "-o", self.folder / "a.html"), 1)):
            result = subprocess.run([os.environ["LONGSHADOW"], "inspect", *arguments], capture_output=True, text=True)
            self.assertEqual((result.returncode, len(result.stderr.splitlines())), (status, 1))

    def test_gives_the_same_page_twice(self):
        run = self.make_run(sketch=True, lag=AT_END)
        for name in ("a.html", "b.html"):
            inspect(run, self.folder / name)
        self.assertEqual((self.folder / "a.html").read_bytes(), (self.folder / "b.html").read_bytes())


if __name__ == "__main__":
    unittest.main()
