"""The paper's claims, each as one number that is above its neutral value where the claim holds.

The sets are the fifth of the context that ranks highest by a signal, a choice made before measuring: the
paper does not say its share. Near is the first chunk, far the last stretch of chunks.
"""

from dataclasses import dataclass

from paired import Effect, holm, ratio
from wording import effect_text, p_text, table

SHARE = "20%"
CONTENT_WORDS = "content words: higher entropy-before than function words"


@dataclass(frozen=True)
class Claim:
    text: str
    unit: str  # of the effect
    effect: Effect
    neutral: float  # of no effect

    def verdict(self, p_corrected):
        if p_corrected >= 0.05:
            return "open"
        return "holds" if self.effect.value > self.neutral else "the contrary holds"


def content_words(study):
    claim = next(one for one in study.reports["lag"]["pooled"]["claims"]["claims"]
                 if one["claim"] == CONTENT_WORDS)
    r = claim["rank_correlation"]
    unknown = float("nan")
    effect = Effect(r["value"], unknown if r["low"] is None else r["low"],
                    unknown if r["high"] is None else r["high"], claim["p"])
    return Claim("content words are the uncertain ones", "rank correlation", effect, 0)


def of_sets(study):
    attention, entropy, random = (f"top:{signal}:{SHARE}" for signal in
                                  ("attention-window", "entropy-before", "random"))
    near, far = study.stretches[0], study.stretches[-1]
    times = [("attention's set matters near", "attention over random, near",
              study.set_ratio(attention, random, near)),
             ("entropy's set still matters far away", "entropy over random, far",
              study.set_ratio(entropy, random, far)),
             ("attention's set fades faster", "attention over entropy, near over far",
              study.fall(attention, entropy, near, far)),
             ("far away entropy's set matters more", "entropy over attention, far",
              study.set_ratio(entropy, attention, far))]
    return [Claim(text, f"times: {unit}", effect, 1) for text, unit, effect in times]


def of_policies(study):
    claims = []
    for budget in study.budgets if study.has("kept") else []:
        if budget not in ("0.4", "0.2"):  # the paper's
            continue
        own = study.divergence("infokv", budget)
        for policy, name in (("snapkv", "SnapKV"), ("expected-attention", "Expected Attention")):
            claims.append(Claim(f"InfoKV loses less than {name}, keeping {float(budget):.0%}",
                                f"times: {name}'s KL over InfoKV's",
                                ratio(study.divergence(policy, budget), own), 1))
    infokv, snapkv = "policy:infokv@0.2", "policy:snapkv@0.2"
    if study.has("chunks") and study.has_sets(infokv, snapkv):
        claims.append(Claim("InfoKV loses less than SnapKV far away, keeping 20%",
                            "times: what SnapKV evicts over what InfoKV evicts, far",
                            study.set_ratio(snapkv, infokv, study.stretches[-1]), 1))
    return claims


def claims_of(study):
    """Those that what was measured can speak of."""
    claims = [content_words(study)] if study.has("lag") else []
    claims += of_sets(study) if study.has("chunks") else []
    return claims + of_policies(study)


def claims_table(studies):
    """A row a claim; for each model its effect, p, Holm's p over that model's claims, and the verdict."""
    rows = {}
    for study in studies:
        claims = claims_of(study)
        corrected = holm([claim.effect.p for claim in claims])
        for claim, p in zip(claims, corrected):
            cells = rows.setdefault((claim.text, claim.unit), {})
            cells[study.model] = [effect_text(claim.effect), p_text(claim.effect.p), p_text(p),
                                  claim.verdict(p)]
    header = ["the paper's claim", "effect"]
    for study in studies:
        header += [study.model, "p", "Holm's", ""]
    return table(header, [[text, unit, *(cell for study in studies
                                         for cell in cells.get(study.model, ["-"] * 4))]
                          for (text, unit), cells in rows.items()])
