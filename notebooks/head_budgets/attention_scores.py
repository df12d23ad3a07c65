"""Head scores that the literature reads off attention: RazorAttention's, HeadKV's, and plain mass."""

import numpy as np
import torch

from inspected_model import plain_attention, softmax_rows
from passkeys import NEEDLES, needle_in_haystack

REPEATS = 4  # of a random stretch, as in Huawei's code of RazorAttention
REPEATED = 256  # tokens of the stretch; there 2,500
RANDOM_IDS = range(10000, 12500)
NEEDLE_TOKENS = 1000
DEPTHS = np.linspace(0, 1, 10)


def _looking(look, rows):
    """Plain attention that shows the softmax of some queries to `look(layer, [H, rows, n])`."""

    def attend(layer, query, key, value, scaling):
        look(layer, softmax_rows(query, key, scaling, rows))
        return plain_attention(layer, query, key, value, scaling)

    return attend


def induction_and_echo(model, random):
    """RazorAttention's two scores (Tang et al. 2024, arXiv 2407.15891), each [L, K].

    On a random stretch told four times: what a token, from the second time on, gives to the tokens behind
    its earlier copies (induction) and to those copies (echo), mean over tokens, maximum over query heads.
    """
    stretch = random.sample(RANDOM_IDS, REPEATED)
    ids = torch.tensor([model.ids("\n")[:1] + stretch * REPEATS])
    rows = torch.arange(1 + REPEATED, ids.shape[1])
    scores = np.zeros((2, model.n_layers, model.n_heads))

    def look(layer, given):
        for back in range(1, REPEATS):
            copies = rows - back * REPEATED
            has_copy = copies >= 1
            for score, keys in zip(scores, (copies + 1, copies)):
                to_copies = given[:, has_copy, keys[has_copy]]
                score[layer] += to_copies.sum(1).numpy() / len(rows)

    with torch.no_grad():
        model.hidden(ids, _looking(look, rows))
    return tuple(model.over_kv_heads(score) for score in scores)


def needle_attention(model, haystack, random, log):
    """HeadKV's score for retrieval and reasoning (Fu et al. 2024, arXiv 2410.19258), [L, K].

    Where the answer is written, the attention that a head gives those of the needle's tokens that are among
    the highest of all, as many as the needle has; over the needle's length, summed over the answer, mean over
    texts, maximum over query heads. The answer is given, not generated: small models find few.
    """
    scores = np.zeros((model.n_layers, model.n_heads))
    texts = [(needle, depth) for needle in NEEDLES for depth in DEPTHS]
    for i, (needle, depth) in enumerate(texts):
        text = needle_in_haystack(model, haystack, needle, depth, NEEDLE_TOKENS, random)
        asked, found = text.asked, text.needle

        def look(layer, given):
            highest = given.topk(len(found), dim=-1)
            hits = (highest.indices >= found.start) & (highest.indices < found.stop)
            scores[layer] += (highest.values * hits).sum((1, 2)).numpy() / len(found) / len(texts)

        with torch.no_grad():
            model.hidden(torch.tensor([text.ids]), _looking(look, torch.tensor(asked)))
        log(f"needle {i + 1} of {len(texts)}")
    return model.over_kv_heads(scores)


def attention_curves(model, texts):
    """H2O's scores of a text's tokens, highest first, mean over texts: [L, K, n].

    A token's score is the mean attention from the queries that see it and from the KV head's query heads.
    """
    n = len(texts[0])
    curves = np.zeros((model.n_layers, model.n_kv_heads, n))
    rows = torch.arange(n)
    seen_by = torch.arange(n, 0, -1)

    def look(layer, given):
        received = (given.sum(1) / seen_by).view(model.n_kv_heads, -1, n).mean(1)
        curves[layer] += received.sort(descending=True).values.numpy() / len(texts)

    for ids in texts:
        with torch.no_grad():
            model.hidden(torch.tensor([ids]), _looking(look, rows))
    return curves
