"""A decoder-only transformer and Longshadow's measurements in plain float64 numpy.

Made apart from the engine and from transformers: short enough to be checked by eye, it is what
both are compared with. Dimension letters: n tokens, L layers, D hidden size, H query heads,
K key-value heads, d head size, F feed-forward size, V vocabulary. Everything is float64.
"""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Rope:
    theta: float = 10000.0
    scaling: str = "default"  # default, linear, yarn, llama3 or longrope
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_context: int = 8192

    beta_fast: float = 32.0
    beta_slow: float = 1.0
    partial: float = 1.0  # share of a head's elements, the first ones, that are rotated
    # longrope's divisors, each [rotated pairs]; texts are longer than the original context here
    short_factor: tuple = ()
    long_factor: tuple = ()
    longrope_attention_factor: float = 1.0

    @property
    def attention_factor(self):
        """What yarn and longrope (arXiv 2402.13753) make rotated queries and keys longer by."""
        if self.scaling == "longrope":
            return self.longrope_attention_factor
        return 0.1 * np.log(self.factor) + 1.0 if self.scaling == "yarn" else 1.0

    def frequencies(self, head_dim):
        """Radians per position of each rotated pair, [d / 2] where all of a head is rotated."""
        head_dim = int(head_dim * self.partial)
        frequency = self.theta ** (-np.arange(0, head_dim, 2) / head_dim)
        if self.scaling == "longrope":
            return frequency / self.long_factor
        if self.scaling == "linear":
            return frequency / self.factor
        if self.scaling == "llama3":
            # Wavelengths far below the original context stay, those above are stretched, and the
            # band between is blended (Llama 3.1; the rule of Hugging Face's rope_type "llama3").
            turns = self.original_context * frequency / (2 * np.pi)
            blend = (turns - self.low_freq_factor) / (self.high_freq_factor - self.low_freq_factor)
            blend = np.clip(blend, 0.0, 1.0)
            return frequency * (blend + (1.0 - blend) / self.factor)
        if self.scaling == "yarn":
            # Pairs of many turns within the original context stay, those of few are stretched, and
            # between the two pairs the change is linear (YaRN, arXiv 2309.00071).
            def pair_of(turns):
                return (head_dim * np.log(self.original_context / (turns * 2 * np.pi))
                        / (2 * np.log(self.theta)))

            first = max(np.floor(pair_of(self.beta_fast)), 0)
            last = min(np.ceil(pair_of(self.beta_slow)), head_dim - 1)
            share = np.clip((np.arange(head_dim // 2) - first) / (last - first), 0.0, 1.0)
            return frequency * (1.0 - share + share / self.factor)
        return frequency


@dataclass
class Experts:
    """A mixture of experts: rows go through the `chosen` ones of the largest logits."""

    router: np.ndarray  # [E, D]
    gate: list[np.ndarray]  # E of [F, D]
    up: list[np.ndarray]  # E of [F, D]
    down: list[np.ndarray]  # E of [D, F]
    chosen: int
    renormalised: bool  # the softmax is over the chosen, else over all

    def __call__(self, h):
        """The sum [n, D] over the experts of each row of h [n, D], and which these are [n, k], sorted."""
        logits = h @ self.router.T
        experts = np.argsort(-logits, axis=-1, kind="stable")[:, :self.chosen]
        weights = np.take_along_axis(softmax(logits), experts, axis=-1)
        if self.renormalised:
            weights = weights / weights.sum(axis=-1, keepdims=True)
        summed = np.zeros_like(h)
        for row, (chosen, shares) in enumerate(zip(experts, weights)):
            for expert, share in zip(chosen, shares):
                gate, up = self.gate[expert] @ h[row], self.up[expert] @ h[row]
                summed[row] += share * (self.down[expert] @ (gate / (1.0 + np.exp(-gate)) * up))
        return summed, np.sort(experts, axis=-1)


@dataclass
class Layer:
    query: np.ndarray  # [H d, D]; rows in rotated-half order, as Hugging Face stores them
    key: np.ndarray  # [K d, D]
    value: np.ndarray  # [K d, D]
    attention_output: np.ndarray  # [D, H d]
    # [F, D], [F, D], [D, F]; none where the layer has experts
    gate: np.ndarray | None = None
    up: np.ndarray | None = None
    down: np.ndarray | None = None
    experts: "Experts | None" = None
    query_bias: np.ndarray | float = 0.0
    key_bias: np.ndarray | float = 0.0
    value_bias: np.ndarray | float = 0.0
    output_bias: np.ndarray | float = 0.0
    gate_bias: np.ndarray | float = 0.0
    up_bias: np.ndarray | float = 0.0
    down_bias: np.ndarray | float = 0.0
    # [D]; RMSNorm of what attention and feed-forward read of the residual stream
    attention_norm: np.ndarray | None = None
    feed_forward_norm: np.ndarray | None = None
    # RMSNorm before the rotation: [d] over each head, or [H d] and [K d] over the whole projection.
    query_norm: np.ndarray | None = None
    key_norm: np.ndarray | None = None
    # [D]; RMSNorm of what attention and feed-forward add to the residual stream
    attention_output_norm: np.ndarray | None = None
    feed_forward_output_norm: np.ndarray | None = None
    rotary: bool = True  # whether queries and keys are rotated by their positions
    rope: Rope | None = None  # where it is not the model's
    window: int = 0  # tokens that attention looks back over, the one that looks included; 0: all


@dataclass
class Model:
    n_heads: int
    n_kv_heads: int
    head_dim: int
    norm_epsilon: float
    rope: Rope
    embedding: np.ndarray  # [V, D]
    final_norm: np.ndarray  # [D]
    output: np.ndarray  # [V, D]
    layers: list[Layer] = field(default_factory=list)
    activation: str = "silu"  # of the feed-forward's gate: silu or gelu_tanh
    embedding_scale: float = 1.0  # what embeddings are multiplied with
    score_scale: float | None = None  # what q.k is multiplied with, where it is not 1 / sqrt(d)
    score_cap: float = 0.0  # scores s become cap tanh(s / cap); 0: they stay
    logit_cap: float = 0.0  # logits likewise


@dataclass
class FullPass:
    """The teacher-forced run over the whole document."""

    token_ids: np.ndarray  # [n]
    keys: list[np.ndarray]  # per layer [n, K, d], rotated
    values: list[np.ndarray]  # per layer [n, K, d]
    residuals: list[np.ndarray]  # L + 1 of [n, D]: each layer's input, then the last layer's output
    attention: list[np.ndarray]  # per layer [H, n, n]
    experts: list[np.ndarray | None]  # per layer [n, k], sorted; None where the layer has no experts
    logits: np.ndarray  # [n, V]


def rms_norm(x, weight, epsilon):
    """x itself where there is no such norm (weight None)."""
    if weight is None:
        return x
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def capped(x, cap):
    return cap * np.tanh(x / cap) if cap else x


def activate(x, activation):
    if activation == "gelu_tanh":
        return x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))) / 2.0
    return x / (1.0 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def rotate(x, positions, frequencies, factor):
    """x [n, heads, d]; of its first r = 2 len(frequencies) elements, i turns with i + r/2."""
    angle = (positions[:, None] * frequencies[None, :])[:, None, :]
    first, second, rest = np.split(x, [len(frequencies), 2 * len(frequencies)], axis=-1)
    return np.concatenate(
        [factor * (first * np.cos(angle) - second * np.sin(angle)),
         factor * (second * np.cos(angle) + first * np.sin(angle)), rest], axis=-1)


def run_rows(model, token_ids, start, prefix, removed=()):
    """The rows of tokens [start, start + len(token_ids)) over a prefix of positions [0, start).

    `prefix` is a FullPass, or None where start is 0; `removed` are its positions that no row sees, or
    a function of (layer, KV head) that returns those which no row sees there.
    Returns a FullPass of these rows alone (attention [H, rows, start + rows]).
    """
    rows = len(token_ids)
    positions = np.arange(start, start + rows)
    group = model.n_heads // model.n_kv_heads
    back = positions[:, None] - np.arange(start + rows)[None, :]
    score_scale = model.score_scale or 1.0 / np.sqrt(model.head_dim)

    def visible(layer, kv_head):
        window = model.layers[layer].window
        here = (back >= 0) & (back < window) if window else back >= 0
        here[:, list(removed(layer, kv_head) if callable(removed) else removed)] = False
        return here

    x = model.embedding[token_ids] * model.embedding_scale
    run = FullPass(np.asarray(token_ids), [], [], [x], [], [], None)
    for index, layer in enumerate(model.layers):
        h = rms_norm(x, layer.attention_norm, model.norm_epsilon)
        q = (h @ layer.query.T + layer.query_bias).reshape(rows, model.n_heads, model.head_dim)
        k = (h @ layer.key.T + layer.key_bias).reshape(rows, model.n_kv_heads, model.head_dim)
        v = (h @ layer.value.T + layer.value_bias).reshape(rows, model.n_kv_heads, model.head_dim)
        if layer.query_norm is not None:
            q, k = (rms_norm(x.reshape(rows, -1, len(weight)), weight,
                             model.norm_epsilon).reshape(x.shape)
                    for x, weight in ((q, layer.query_norm), (k, layer.key_norm)))
        if layer.rotary:
            rope = layer.rope or model.rope
            frequencies = rope.frequencies(model.head_dim)
            q, k = (rotate(x, positions, frequencies, rope.attention_factor) for x in (q, k))
        run.keys.append(k)
        run.values.append(v)
        if start:
            k = np.concatenate([prefix.keys[index][:start], k])
            v = np.concatenate([prefix.values[index][:start], v])

        attention = np.empty((model.n_heads, rows, start + rows))
        mixed = np.empty((rows, model.n_heads, model.head_dim))
        for head in range(model.n_heads):
            scores = capped(q[:, head] @ k[:, head // group].T * score_scale, model.score_cap)
            attention[head] = softmax(np.where(visible(index, head // group), scores, -np.inf))
            mixed[:, head] = attention[head] @ v[:, head // group]
        run.attention.append(attention)
        mixed = mixed.reshape(rows, -1) @ layer.attention_output.T + layer.output_bias
        x = x + rms_norm(mixed, layer.attention_output_norm, model.norm_epsilon)

        h = rms_norm(x, layer.feed_forward_norm, model.norm_epsilon)
        if layer.experts is not None:
            fed, experts = layer.experts(h)
        else:
            gate = h @ layer.gate.T + layer.gate_bias
            up = h @ layer.up.T + layer.up_bias
            fed, experts = (activate(gate, model.activation) * up) @ layer.down.T + layer.down_bias, None
        run.experts.append(experts)
        x = x + rms_norm(fed, layer.feed_forward_output_norm, model.norm_epsilon)
        run.residuals.append(x)
    logits = rms_norm(x, model.final_norm, model.norm_epsilon) @ model.output.T
    run.logits = capped(logits, model.logit_cap)
    return run


def full_pass(model, token_ids):
    return run_rows(model, token_ids, 0, None)


def kl(logits, other):
    """KL(softmax(logits) || softmax(other)) in nats over the last axis.

    sum p (log p - log q) cancels where the two are close. With d = other - logits less its mean
    under p, KL = log E_p[exp d] = log1p(E_p[expm1(d) - d]), a sum of terms that are never negative.
    """
    p = softmax(logits)
    d = other - logits
    d = d - np.sum(p * d, axis=-1, keepdims=True)
    return np.log1p(np.sum(p * (np.expm1(d) - d), axis=-1))


def forward_influence(model, full, removed, start, horizon):
    """KL(full || evicted) in nats of positions [start, start + horizon), [horizon].

    The positions `removed` vanish from every layer and head (a function of them: from where it says)
    for the rows from `start` on; the rows before stay as they were, and every row keeps its true
    position.
    """
    stop = start + horizon
    evicted = run_rows(model, full.token_ids[start:stop], start, full, removed)
    return kl(full.logits[start:stop], evicted.logits)


def rerouted(model, full, removed, start, horizon):
    """The share of these positions that go to other experts than in the full pass, [L]; 0 in a layer
    without experts."""
    stop = start + horizon
    evicted = run_rows(model, full.token_ids[start:stop], start, full, removed)
    return [0.0 if experts is None else float(np.mean((experts != before[start:stop]).any(axis=-1)))
            for experts, before in zip(evicted.experts, full.experts)]


def entropy(logits):
    """Nats, of the distribution that each position predicts."""
    log_p = log_softmax(logits)
    return -np.sum(np.exp(log_p) * log_p, axis=-1)


def top_k_entropy(logits, k):
    """Entropy of the k likeliest tokens, renormalised among themselves."""
    return entropy(np.sort(logits, axis=-1)[:, -k:])


def surprisal(logits, token_ids):
    """-log p(token i | tokens before it), nats; NaN for token 0, which nothing predicts."""
    log_p = log_softmax(logits[:-1])
    return np.concatenate([[np.nan], -log_p[np.arange(len(token_ids) - 1), token_ids[1:]]])


def drift(residuals):
    """1 - cos(each layer's input, the last residual before the final norm), [L, n]."""
    last = residuals[-1]

    def cosine(x):
        return np.sum(x * last, -1) / (np.linalg.norm(x, axis=-1) * np.linalg.norm(last, axis=-1))

    return np.stack([1.0 - cosine(x) for x in residuals[:-1]])


def _per_kv_head(attention, n_kv_heads):
    """Mean over the query heads of each KV head: [H, ...] to [K, ...]."""
    return attention.reshape(n_kv_heads, -1, *attention.shape[1:]).mean(axis=1)


def attention_window(attention, n_kv_heads, context, window=64):
    """Mean attention that the context's last `window` queries pay each token, [K, context]."""
    rows = attention[:, max(0, context - window):context, :context]
    return _per_kv_head(rows.mean(axis=1), n_kv_heads)


def attention_cumulative(attention, n_kv_heads, context):
    """Attention a token draws from the context's queries over how many may see it, [K, context]."""
    columns = attention[:, :context, :context].sum(axis=1) / (context - np.arange(context))
    return _per_kv_head(columns, n_kv_heads)
