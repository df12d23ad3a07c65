"""Makes data/fixtures/models: small random models in both formats, and what they must compute.

    python3 tests/parity/make_tiny_models.py                    # with the packages of requirements.txt
    python3 tests/parity/make_tiny_models.py --models qwen3     # these alone

For each model NAME: the folder NAME (Hugging Face), NAME.gguf, and NAME.json with the expected
values. Logits come from transformers in float64 (with the four float32 steps it hides, the norms,
the softmax, the rotary angles and the router, taken in float64 too); influence and signals come from the plain
float64 code in reference.py. Each is checked against the other before anything is written.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

import reference as ref
import tiny_files
import tiny_tokenizers
from load_gguf import load_gguf

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/models"
VOCABULARY = 320  # tokens of each tokenizer
CONTEXT, FUTURE, LAG = 64, 32, 16
TOKENS = CONTEXT + LAG + 1 + FUTURE
SUBJECTS = [0, 1, 7, 20, 33, 48, 62, 63]
SPAN = (5, 9)
SET = [2, 5, 6, 30, 31, 32, 50]
PARTS = [([0], [0]), ([1], [0])]  # layers and KV heads that the set leaves
# reference.py's names of biases -> Hugging Face's.
BIASES = {"query": "self_attn.q", "key": "self_attn.k", "value": "self_attn.v",
          "output": "self_attn.o", "gate": "mlp.gate", "up": "mlp.up", "down": "mlp.down"}
LOGITS_POSITIONS = [0, 1, 31, 63, 95, TOKENS - 1]


@dataclass
class Spec:
    name: str
    family: str  # as config.json's model_type names it
    hidden_size: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    feed_forward_size: int
    tied: bool
    rope: ref.Rope
    rope_spelling: str
    pre: str
    dtype: str
    shards: int = 1
    seed: int = 0
    embedding_rows: int = VOCABULARY
    head_dim: int = 16
    all_biases: bool = False  # of every product but the output's
    unrotated: tuple = ()  # layers without rotary positions
    window: int = 0  # of layers that have one
    full_interval: int = 0  # every so many layers one has none
    window_rope: ref.Rope | None = None  # of layers that have one, where it differs
    score_scalar: int = 0  # scores are q.k / sqrt(it), where it is not the head size
    score_cap: float = 0.0
    logit_cap: float = 0.0
    max_context: int = 256
    norm_epsilon: float = 1e-5
    # Experts, in which layers (numbered from 1, every sparse_step-th, less dense_layers, from 0), and their router.
    n_experts: int = 0
    n_chosen: int = 0
    expert_size: int = 0
    renormalised: bool = True
    sparse_step: int = 1
    dense_layers: tuple = ()

    def sparse_layers(self):
        return [layer for layer in range(self.n_layers) if self.n_experts
                and (layer + 1) % self.sparse_step == 0 and layer not in self.dense_layers]

    def has_gguf(self):
        """GGUF knows of no layers without experts among others, nor of weights that do not add up to 1."""
        return not self.n_experts or (self.renormalised and len(self.sparse_layers()) == self.n_layers)

    def window_of(self, layer):
        return self.window if self.full_interval and (layer + 1) % self.full_interval else 0

    def control_id(self, token):
        control = tiny_tokenizers.CONTROL_TOKENS[self.pre]
        first = 0 if self.pre in ("gpt-2", "smollm") else VOCABULARY - len(control)
        return first + control.index(token)


SPECS = [
    # Heads of 16 that do not add up to the hidden size, so that no reader may divide.
    Spec("llama_plain", "llama", 48, 2, 4, 2, 96, False, ref.Rope(), "rope_scaling", "gpt-2",
         "float16", seed=1),
    Spec("llama_linear", "llama", 48, 2, 3, 3, 80, True,
         ref.Rope(scaling="linear", factor=4.0), "type", "smollm", "float32", seed=2),
    # An original context of 64 puts the eight frequencies on both sides of the blended band.
    Spec("llama_llama3", "llama", 64, 3, 4, 2, 96, False,
         ref.Rope(theta=500.0, scaling="llama3", factor=8.0, original_context=64),
         "rope_scaling", "llama-bpe", "bfloat16", shards=2, seed=3),
    # Qwen2 pads its embedding beyond the tokenizer's vocabulary.
    Spec("qwen2", "qwen2", 48, 2, 3, 1, 96, True, ref.Rope(theta=1e6), "rope_parameters", "qwen2",
         "float16", seed=4, embedding_rows=VOCABULARY + 8, norm_epsilon=1e-6),
    # An original context of 48 ends within the text, and puts heads of 8 on both sides of the band.
    Spec("llama_yarn", "llama", 32, 2, 4, 2, 48, True,
         ref.Rope(theta=100.0, scaling="yarn", factor=4.0, original_context=48), "rope_scaling",
         "gpt-2", "float16", seed=5, head_dim=8, all_biases=True),
    # Heads of 16 in a hidden size of 48, as Qwen3 0.6B's of 128 in 1,024.
    Spec("qwen3", "qwen3", 48, 2, 4, 2, 96, True, ref.Rope(theta=1e6), "rope_scaling", "qwen2",
         "bfloat16", seed=6, embedding_rows=VOCABULARY + 8, norm_epsilon=1e-6),
    Spec("qwen3_yarn", "qwen3", 32, 2, 6, 3, 48, False,
         ref.Rope(theta=100.0, scaling="yarn", factor=4.0, original_context=48), "rope_scaling",
         "qwen2", "float16", seed=7, head_dim=8, norm_epsilon=1e-6),
    Spec("olmo2", "olmo2", 64, 2, 4, 2, 80, False, ref.Rope(theta=5e5), "rope_scaling", "gpt-2",
         "float16", seed=8, norm_epsilon=1e-6),
    # The fourth layer has no rotary positions; yarn makes the others' queries and keys longer.
    Spec("smollm3", "smollm3", 32, 4, 4, 2, 48, True,
         ref.Rope(theta=100.0, scaling="yarn", factor=4.0, original_context=48), "rope_scaling",
         "llama-bpe", "float16", seed=9, head_dim=8, norm_epsilon=1e-6, unrotated=(3,)),
    # llama.cpp looks for Phi-3's own tokens where a file's name has "phi3" in it.
    Spec("phi_plain", "phi3", 48, 2, 3, 1, 64, False, ref.Rope(), "rope_scaling", "smollm", "float16",
         seed=12),
    # As Phi-4-mini: three quarters of a head are rotated. GGUF keeps longrope's numbers in float32,
    # which has these exactly. The seed leaves no column 0.9 of a row's attention in the sketch's
    # tests: its f32 cancels by the share that is left.
    Spec("phi_longrope", "phi3", 64, 2, 4, 2, 80, True,
         ref.Rope(scaling="longrope", original_context=48, partial=0.75,
                  short_factor=(1.0, 1.0, 1.125, 1.25, 1.5, 2.0),
                  long_factor=(1.0, 1.25, 1.75, 2.5, 4.0, 5.5), longrope_attention_factor=1.125),
         "type", "gpt-2", "float16", seed=15),
    # As Mistral Nemo: heads of 16 in a hidden size of 48.
    Spec("mistral", "mistral", 48, 2, 4, 2, 64, False, ref.Rope(theta=1e6), "rope_scaling", "gpt-2",
         "bfloat16", seed=14),
    # One layer with a window, whose positions nothing stretches, and one without.
    Spec("olmo3", "olmo3", 64, 2, 4, 2, 80, False,
         ref.Rope(theta=5e5, scaling="yarn", factor=4.0, original_context=48), "rope_scaling", "gpt-2",
         "float16", seed=16, norm_epsilon=1e-6, window=20, full_interval=2,
         window_rope=ref.Rope(theta=5e5)),
    # A window that ends within the context; caps that scores and logits come near.
    Spec("gemma2", "gemma2", 48, 2, 4, 2, 80, True, ref.Rope(), "rope_scaling", "gpt-2",
         "bfloat16", seed=10, norm_epsilon=1e-6, window=20, full_interval=2, score_scalar=16,
         score_cap=4.0, logit_cap=6.0),
    # Two layers with a window to one without, whose positions have another base and are stretched.
    Spec("gemma3", "gemma3_text", 32, 3, 4, 2, 48, True,
         ref.Rope(theta=1e6, scaling="linear", factor=8.0), "rope_scaling", "gpt-2", "float16",
         seed=11, head_dim=8, norm_epsilon=1e-6, window=18, full_interval=3,
         window_rope=ref.Rope(theta=10000.0), score_scalar=8),
    Spec("mixtral", "mixtral", 48, 2, 4, 2, 40, False, ref.Rope(theta=1e6), "rope_parameters",
         "gpt-2", "float16", seed=10, n_experts=4, n_chosen=2, expert_size=40),
    Spec("qwen3_moe", "qwen3_moe", 32, 3, 4, 2, 48, False, ref.Rope(theta=1e6), "rope_scaling",
         "qwen2", "bfloat16", seed=11, head_dim=8, norm_epsilon=1e-6, n_experts=8, n_chosen=3,
         expert_size=24),
    # Weights of the chosen that do not add up to 1, between layers without experts.
    Spec("qwen3_moe_mixed", "qwen3_moe", 32, 4, 4, 2, 48, True, ref.Rope(theta=1e6), "rope_scaling",
         "qwen2", "float16", seed=12, head_dim=8, norm_epsilon=1e-6, n_experts=6, n_chosen=2,
         expert_size=24, renormalised=False, sparse_step=2, dense_layers=(3,)),
]


def representable(weight):
    """Rounded so that float32, float16 and bfloat16 all store the same numbers."""
    rounded = torch.from_numpy(weight).to(torch.bfloat16).float().numpy()
    return np.where(np.abs(rounded) < 2.0**-14, np.float32(0), rounded)


def random_experts(spec, matrix):
    """A layer's router and experts. The router's logits are of standard deviation 1: close enough
    that an eviction moves some rows to other experts."""
    router, of_expert, matrices = tiny_files.EXPERTS[spec.family]
    wide, inner = spec.hidden_size, spec.expert_size
    weights = {f"{router}.weight": matrix(spec.n_experts, wide, 1.0)}
    shapes = {"gate": (inner, wide, 1.5), "up": (inner, wide, 1.0), "down": (wide, inner, 1.5)}
    for expert in range(spec.n_experts):
        for stored, what in matrices.items():
            weights[f"{of_expert.format(expert)}{stored}.weight"] = matrix(*shapes[what])
    return weights


def random_weights(spec):
    """Seeded weights under Hugging Face's names, float32.

    The scales make logits of standard deviation 3 and attention scores of about 2: far from
    uniform, so that a mistake in either shows.
    """
    rng = np.random.default_rng(spec.seed)
    wide = spec.hidden_size

    def matrix(rows, cols, gain):
        return representable(rng.standard_normal((rows, cols), np.float32) * gain / cols**0.5)

    def vector(size, mean, deviation):
        return representable(mean + deviation * rng.standard_normal(size, np.float32))

    queries, kv = spec.n_heads * spec.head_dim, spec.n_kv_heads * spec.head_dim
    weights = {"model.embed_tokens.weight": matrix(spec.embedding_rows, wide, 3.0)}
    for layer in range(spec.n_layers):
        prefix = f"model.layers.{layer}."
        weights |= {prefix + name: value for name, value in {
            "input_layernorm.weight": vector(wide, 1.0, 0.2),
            "self_attn.q_proj.weight": matrix(queries, wide, 1.4),
            "self_attn.k_proj.weight": matrix(kv, wide, 1.4),
            "self_attn.v_proj.weight": matrix(kv, wide, 1.0),
            "self_attn.o_proj.weight": matrix(wide, queries, 1.0),
            "post_attention_layernorm.weight": vector(wide, 1.0, 0.2),
            "mlp.gate_proj.weight": matrix(spec.feed_forward_size, wide, 1.5),
            "mlp.up_proj.weight": matrix(spec.feed_forward_size, wide, 1.0),
            "mlp.down_proj.weight": matrix(wide, spec.feed_forward_size, 1.0),
        }.items()}
        if layer in spec.sparse_layers():
            for name in ("gate", "up", "down"):
                del weights[f"{prefix}mlp.{name}_proj.weight"]
            weights |= {prefix + name: value for name, value in random_experts(spec, matrix).items()}
        if spec.family in ("qwen3", "qwen3_moe"):
            for name in ("q", "k"):
                # A head's rotated vector has this size whatever its projection's gain, so scores
                # get theirs from here.
                weights[f"{prefix}self_attn.{name}_norm.weight"] = vector(spec.head_dim, 1.4, 0.4)
        if tiny_files.is_olmo(spec.family):
            del weights[f"{prefix}input_layernorm.weight"]
            weights[f"{prefix}post_feedforward_layernorm.weight"] = vector(wide, 1.0, 0.2)
            for name, size in (("q", queries), ("k", kv)):
                weights[f"{prefix}self_attn.{name}_norm.weight"] = vector(size, 1.4, 0.4)
        if tiny_files.is_gemma(spec.family):
            # Norms multiply with 1 and the weight.
            for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
                weights[f"{prefix}{name}_layernorm.weight"] = vector(wide, 0.0, 0.2)
        if spec.family == "gemma3_text":
            for name in ("q", "k"):
                weights[f"{prefix}self_attn.{name}_norm.weight"] = vector(spec.head_dim, 0.4, 0.4)
        if spec.family == "qwen2" or spec.all_biases:
            for name, size in (("q", queries), ("k", kv), ("v", kv)):
                weights[f"{prefix}self_attn.{name}_proj.bias"] = vector(size, 0.0, 0.5)
        if spec.all_biases:
            for name, size in (("self_attn.o", wide), ("mlp.gate", spec.feed_forward_size),
                               ("mlp.up", spec.feed_forward_size), ("mlp.down", wide)):
                weights[f"{prefix}{name}_proj.bias"] = vector(size, 0.0, 0.5)
    weights["model.norm.weight"] = vector(wide, 0.0 if tiny_files.is_gemma(spec.family) else 1.0, 0.2)
    if not spec.tied:
        weights["lm_head.weight"] = matrix(spec.embedding_rows, wide, 3.0)
    return weights


def reference_model(spec, weights):
    gemma = tiny_files.is_gemma(spec.family)
    w = {name: value.astype(np.float64) + (1.0 if gemma and value.ndim == 1 else 0.0)
         for name, value in weights.items()}
    layers = []
    for index in range(spec.n_layers):
        def part(name):
            return w[f"model.layers.{index}.{name}"]

        bias = {f"{name}_bias": part(f"{stored}_proj.bias")
                for name, stored in BIASES.items()
                if f"model.layers.{index}.{stored}_proj.bias" in w}
        parts = {field: part(f"{name}.weight")
                 for name, (_, field) in tiny_files.layer_parts(spec.family).items()
                 if f"model.layers.{index}.{name}.weight" in w}
        if index in spec.sparse_layers():
            router, of_expert, matrices = tiny_files.EXPERTS[spec.family]
            parts["experts"] = ref.Experts(
                part(f"{router}.weight"), chosen=spec.n_chosen, renormalised=spec.renormalised,
                **{what: [part(f"{of_expert.format(e)}{stored}.weight") for e in range(spec.n_experts)]
                   for stored, what in matrices.items()})
        layers.append(ref.Layer(**parts, **bias, rotary=index not in spec.unrotated,
                                rope=spec.window_rope if spec.window_of(index) else None,
                                window=spec.window_of(index)))
    embedding = w["model.embed_tokens.weight"]
    return ref.Model(spec.n_heads, spec.n_kv_heads, spec.head_dim, spec.norm_epsilon, spec.rope,
                     embedding, w["model.norm.weight"], w.get("lm_head.weight", embedding), layers,
                     activation="gelu_tanh" if gemma else "silu",
                     embedding_scale=spec.hidden_size**0.5 if gemma else 1.0,
                     score_scale=spec.score_scalar**-0.5 if spec.score_scalar else None,
                     score_cap=spec.score_cap, logit_cap=spec.logit_cap)


def load_in_float64(folder, spec):
    """The folder's model in transformers, float64 throughout."""
    gemma = tiny_files.is_gemma(spec.family)
    # Only the plain code caps scores, and it takes their softmax in float32 unless told otherwise.
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager" if spec.score_cap else "sdpa",
        experts_implementation="eager")
    if spec.score_cap:
        torch.nn.functional.softmax = lambda x, dim, dtype=None: x.softmax(dim)

    def norm_forward(self, x):
        epsilon = self.eps if gemma else self.variance_epsilon
        weight = 1.0 + self.weight if gemma else self.weight
        return weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)

    def router_forward(self, x):
        logits = torch.nn.functional.linear(x.reshape(-1, self.hidden_dim), self.weight)
        weights, experts = torch.topk(logits.softmax(dim=-1), self.top_k, dim=-1)
        if spec.renormalised:
            weights = weights / weights.sum(dim=-1, keepdim=True)
        return logits, weights, experts

    type(model.model.norm).forward = norm_forward
    for layer in spec.sparse_layers():
        type(model.model.layers[layer].mlp.gate).forward = router_forward
    patch_rotary(model.model.rotary_emb, spec)
    if gemma:
        assert model.model.embed_tokens.embed_scale.item() == spec.hidden_size**0.5
    return model


def patch_rotary(rotary, spec):
    """Has cosines and sines computed in float64, after comparing the frequencies with ours."""
    ropes = {"": spec.rope}  # by what the attributes' names begin with
    if spec.window_rope:
        ropes = {"full_attention": spec.rope, "sliding_attention": spec.window_rope}
    for kind, rope in ropes.items():
        prefix = f"{kind}_" if kind else ""
        theirs = getattr(rotary, prefix + "inv_freq")
        if rope.scaling == "longrope":  # which begins with the frequencies of short texts
            theirs, _ = ROPE_INIT_FUNCTIONS["longrope"](rotary.config, seq_len=TOKENS)
        torch.testing.assert_close(theirs.double(), torch.from_numpy(rope.frequencies(spec.head_dim)),
                                   rtol=1e-6, atol=0)
        assert abs(getattr(rotary, prefix + "attention_scaling") - rope.attention_factor) < 1e-12

    def forward(x, position_ids, layer_type=""):
        frequencies = torch.from_numpy(ropes[layer_type].frequencies(spec.head_dim))
        angle = torch.cat([position_ids[..., None].double() * frequencies] * 2, dim=-1)
        factor = ropes[layer_type].attention_factor
        return angle.cos() * factor, angle.sin() * factor

    rotary.forward = forward


def hidden_columns_mask(removed_by_head, start, window):
    """Additive mask [1, H, n, n]: causal, within a window unless that is 0, and rows from `start` on do not see what each
    head lost."""
    mask = torch.full((TOKENS, TOKENS), -torch.inf, dtype=torch.float64)
    mask = mask.triu(1) + (mask.tril(-window) if window else 0.0)
    mask = mask.repeat(len(removed_by_head), 1, 1)
    for head, removed in enumerate(removed_by_head):
        mask[head, start:, list(removed)] = -torch.inf
    return mask[None]


def evicted_logits(model, input_ids, removed, start, window_of):
    """transformers' logits [n, V] where rows from `start` on do not see `removed`: positions, or a
    function of (layer, KV head)."""
    config = model.config
    group = config.num_attention_heads // config.num_key_value_heads

    def mask_of(layer):
        return hidden_columns_mask(
            [removed(layer, head // group) if callable(removed) else removed
             for head in range(config.num_attention_heads)], start, window_of(layer))

    def use(mask):
        return lambda module, arguments, options: (arguments, options | {"attention_mask": mask})

    hooks = [layer.self_attn.register_forward_pre_hook(use(mask_of(index)), with_kwargs=True)
             for index, layer in enumerate(model.model.layers)]
    logits = model(input_ids).logits[0].numpy()
    for hook in hooks:
        hook.remove()
    return logits


def check_against_transformers(model, ids, full, influences, window_of):
    """Returns transformers' logits [n, V] after comparing them and every influence with ours."""
    input_ids = torch.from_numpy(ids)[None]
    with torch.no_grad():
        logits = model(input_ids).logits[0].numpy()
        np.testing.assert_allclose(full.logits, logits, rtol=0, atol=1e-11)
        for removed, start, kl in influences:
            rows = slice(start, start + FUTURE)
            evicted = evicted_logits(model, input_ids, removed, start, window_of)
            theirs = ref.kl(logits[rows], evicted[rows])
            np.testing.assert_allclose(kl, theirs, rtol=1e-8, atol=1e-14)
    return logits


def set_from(layers, heads):
    """SET, from these layers and KV heads alone."""
    return lambda layer, head: SET if layer in layers and head in heads else []


def expected_values(spec, model, hugging_face, ids):
    full = ref.full_pass(model, ids)

    def influence(removed, start):
        kl = ref.forward_influence(model, full, removed, start, FUTURE)
        influences.append((removed, start, kl))
        return kl

    influences = []
    kl_end = [influence([i], CONTEXT) for i in SUBJECTS]
    kl_lag = [influence([i], i + LAG + 1) for i in SUBJECTS]
    kl_span = influence(list(range(*SPAN)), CONTEXT)
    kl_set = influence(SET, CONTEXT)
    kl_parts = [influence(set_from(*part), CONTEXT) for part in PARTS]
    table = [[[i for i in range(CONTEXT) if (i + 3 * layer + 5 * head) % 7 == 0]
              for head in range(spec.n_kv_heads)] for layer in range(spec.n_layers)]
    kl_table = influence(lambda layer, head: table[layer][head], CONTEXT)
    logits = check_against_transformers(hugging_face, ids, full, influences, spec.window_of)
    routes = {} if not spec.n_experts else {
        "rerouted": [ref.rerouted(model, full, [i], CONTEXT, FUTURE) for i in SUBJECTS]}

    def attention(signal):
        return [signal(a, spec.n_kv_heads, CONTEXT) for a in full.attention]

    return {
        "model": spec.name,
        "document": "document.txt",
        "made_with": f"transformers {transformers.__version__}, float64",
        "context": CONTEXT, "future": FUTURE, "lag": LAG,
        "token_ids": ids,
        "subjects": SUBJECTS, "kl_end": kl_end, **routes,
        "lag_subjects": SUBJECTS, "kl_lag": kl_lag,
        "span": SPAN, "kl_span": kl_span,
        "set": SET, "kl_set": kl_set,
        "parts": PARTS, "kl_parts": kl_parts,
        "table": table, "kl_table": kl_table,
        "entropy": ref.entropy(logits),
        "entropy_top20": ref.top_k_entropy(logits, 20),
        "surprisal": ref.surprisal(logits, ids),
        "drift_layers": range(spec.n_layers), "drift": ref.drift(full.residuals),
        "attention_layers": range(spec.n_layers),
        "attention_window64": attention(ref.attention_window),
        "attention_cumulative": attention(ref.attention_cumulative),
        "logits_argmax": logits.argmax(axis=-1),
        "logits_positions": LOGITS_POSITIONS, "logits": logits[LOGITS_POSITIONS],
    }


def to_json(values):
    """One key a line; reals to 10 digits, NaN as null."""
    def plain(value):
        if isinstance(value, (list, tuple, range, np.ndarray)):
            return [plain(v) for v in value]
        if isinstance(value, float):
            return None if np.isnan(value) else float(f"{value:.10g}")
        return int(value) if isinstance(value, np.integer) else value

    lines = (f"{json.dumps(key)}: {json.dumps(plain(value))}" for key, value in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_and_check_gguf(spec, weights, tokenizer, model, ids, path):
    tiny_files.write_gguf(spec, weights, tokenizer, path)
    # GGUF keeps epsilon and rope_freqs.weight in float32: its logits differ in the last digits.
    np.testing.assert_allclose(
        ref.full_pass(load_gguf(path), ids).logits, ref.full_pass(model, ids).logits, rtol=0,
        atol=2e-5 if spec.rope.scaling == "llama3" else 1e-9)


def make(spec, text, folder):
    tokenizer = tiny_tokenizers.train(spec.pre, text, VOCABULARY)
    assert tokenizer.get_vocab_size() == VOCABULARY
    ids = np.array(tokenizer.encode(text).ids[:TOKENS])
    weights = random_weights(spec)
    tiny_files.write_hugging_face(spec, weights, tokenizer, folder / spec.name)
    model = reference_model(spec, weights)
    if spec.has_gguf():
        write_and_check_gguf(spec, weights, tokenizer, model, ids, folder / f"{spec.name}.gguf")
    expected = expected_values(spec, model, load_in_float64(folder / spec.name, spec), ids)
    (folder / f"{spec.name}.json").write_text(to_json(expected))
    print(f"{spec.name:14} logits std {expected['logits'].std():.2f}, "
          f"median influence {np.median(expected['kl_end']):.1e}, "
          f"strongest attention {np.max(expected['attention_cumulative']):.2f}"
          + (f", rerouted up to {np.max(expected['rerouted']):.2f}" if spec.n_experts else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FIXTURES)
    parser.add_argument("--models", nargs="+", choices=[spec.name for spec in SPECS],
                        help="without it, all")
    options = parser.parse_args()
    text = (FIXTURES / "document.txt").read_text(encoding="utf-8")
    options.output.mkdir(parents=True, exist_ok=True)
    for spec in SPECS:
        if options.models is None or spec.name in options.models:
            make(spec, text, options.output)


if __name__ == "__main__":
    main()
