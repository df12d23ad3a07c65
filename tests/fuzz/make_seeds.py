"""Writes the seeds that the fuzz targets begin with: small valid files that reach every part of
their parser. Standard library alone.

    python3 tests/fuzz/make_seeds.py            writes tests/fuzz/seeds/TARGET/NAME

A run file is made by libhdf5: build/tests/make_synthetic_run tests/fuzz/seeds/run_file/sketch.h5 1 1 0 1 sketch,
and beside it sentences.h5 1 1 0 1 sentences.
A plan is what `longshadow probe -o DIR/` publishes first: DIR/plan.h5.
"""
import json
import pathlib
import struct

SEEDS = pathlib.Path(__file__).parent / "seeds"

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    layout = {U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}
    return string(value) if kind == STRING else struct.pack(layout[kind], value)


def pair(key, kind, value):
    return string(key) + struct.pack("<I", kind) + scalar(kind, value)


def array(key, kind, values):
    elements = b"".join(scalar(kind, value) for value in values)
    return string(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + elements


def gguf(pairs, tensors, alignment=32):
    """tensors: (name, dimensions innermost first, ggml type, bytes)."""
    def padded(data):
        return data + bytes(-len(data) % alignment)

    header, data = b"", b""
    for name, dimensions, kind, content in tensors:
        header += string(name) + struct.pack("<I", len(dimensions))
        header += b"".join(struct.pack("<Q", size) for size in dimensions)
        header += struct.pack("<IQ", kind, len(data))
        data += padded(content)
    start = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs))
    return padded(start + b"".join(pairs) + header) + data


LETTERS = [chr(c) for c in range(ord("a"), ord("h"))]
TOKENS = ["<|end|>", "\u0120", ",", "'", "s", "A", "\u0120t", "3"] + LETTERS + ["ab"]

TOKENIZER_PAIRS = [
    pair("tokenizer.ggml.model", STRING, "gpt2"),
    pair("tokenizer.ggml.pre", STRING, "smollm"),
    array("tokenizer.ggml.tokens", STRING, TOKENS + ["t"]),
    array("tokenizer.ggml.token_type", I32, [3] + [1] * len(TOKENS)),
    array("tokenizer.ggml.merges", STRING, ["a b", "\u0120 t"]),
    pair("tokenizer.ggml.bos_token_id", U32, 0),
    pair("tokenizer.ggml.eos_token_id", U32, 0),
    pair("tokenizer.ggml.add_bos_token", BOOL, False),
]

SPACE = "\u2581"  # as SentencePiece spells it
TEXTS = ["<unk>", "<s>", "<|end|>", "<0x0A>", "<0xE2>", "<0x96>", "<0xFF>", SPACE, "a", "b", "t", "ab", SPACE + "t",
         SPACE + "ab", "x", "e\u0301"]

SENTENCEPIECE_PAIRS = [
    pair("tokenizer.ggml.model", STRING, "llama"),
    array("tokenizer.ggml.tokens", STRING, TEXTS),
    array("tokenizer.ggml.scores", F32, [-float(k) for k in range(len(TEXTS))]),
    array("tokenizer.ggml.token_type", I32, [2, 3, 3, 6, 6, 6, 6] + [1] * (len(TEXTS) - 7)),
    pair("tokenizer.ggml.add_space_prefix", BOOL, True),
]

# Bytes of a block of each quantised tensor type, and its elements, by ggml's number.
BLOCKS = {2: (18, 32), 3: (20, 32), 6: (22, 32), 7: (24, 32), 8: (34, 32), 10: (84, 256), 11: (110, 256), 12: (144, 256),
          13: (176, 256), 14: (210, 256), 16: (66, 256), 17: (74, 256), 18: (98, 256), 19: (50, 256), 20: (18, 32),
          21: (110, 256), 22: (82, 256), 23: (136, 256), 29: (56, 256), 34: (54, 256), 35: (66, 256), 39: (17, 32),
          40: (36, 64), 41: (18, 128), 42: (18, 64)}

LLAMA_PAIRS = [
    pair("general.architecture", STRING, "llama"),
    pair("llama.block_count", U32, 1),
    pair("llama.embedding_length", U32, 8),
    pair("llama.attention.head_count", U32, 2),
    pair("llama.attention.head_count_kv", U32, 1),
    pair("llama.feed_forward_length", U32, 16),
    pair("llama.context_length", U32, 64),
    pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
    pair("llama.rope.freq_base", F32, 10000.0),
]


QWEN3_PAIRS = [
    pair("general.architecture", STRING, "qwen3"),
    pair("qwen3.block_count", U32, 1),
    pair("qwen3.embedding_length", U32, 8),
    pair("qwen3.attention.head_count", U32, 2),
    pair("qwen3.attention.key_length", U32, 8),
    pair("qwen3.attention.value_length", U32, 8),
    pair("qwen3.feed_forward_length", U32, 16),
    pair("qwen3.context_length", U32, 64),
    pair("qwen3.attention.layer_norm_rms_epsilon", F32, 1e-6),
    pair("qwen3.rope.scaling.type", STRING, "yarn"),
    pair("qwen3.rope.scaling.factor", F32, 4.0),
    pair("qwen3.rope.scaling.original_context_length", U32, 16),
]


OLMO2_PAIRS = [
    pair("general.architecture", STRING, "olmo2"),
    pair("olmo2.block_count", U32, 1),
    pair("olmo2.embedding_length", U32, 8),
    pair("olmo2.attention.head_count", U32, 2),
    pair("olmo2.feed_forward_length", U32, 16),
    pair("olmo2.context_length", U32, 64),
    pair("olmo2.attention.layer_norm_rms_epsilon", F32, 1e-6),
    pair("olmo2.rope.freq_base", F32, 5e5),
]


PHI3_PAIRS = [
    pair("general.architecture", STRING, "phi3"),
    pair("phi3.block_count", U32, 1),
    pair("phi3.embedding_length", U32, 16),
    pair("phi3.attention.head_count", U32, 2),
    pair("phi3.attention.sliding_window", U32, 32),
    pair("phi3.feed_forward_length", U32, 16),
    pair("phi3.context_length", U32, 64),
    pair("phi3.attention.layer_norm_rms_epsilon", F32, 1e-5),
    pair("phi3.rope.dimension_count", U32, 4),
    pair("phi3.rope.scaling.original_context_length", U32, 16),
    pair("phi3.rope.scaling.attn_factor", F32, 1.25),
]

GEMMA3_PAIRS = [
    pair("general.architecture", STRING, "gemma3"),
    pair("gemma3.block_count", U32, 2),
    pair("gemma3.embedding_length", U32, 8),
    pair("gemma3.attention.head_count", U32, 2),
    pair("gemma3.feed_forward_length", U32, 16),
    pair("gemma3.context_length", U32, 64),
    pair("gemma3.attention.layer_norm_rms_epsilon", F32, 1e-6),
    pair("gemma3.rope.freq_base", F32, 1e6),
    pair("gemma3.attention.sliding_window", U32, 4),
    pair("gemma3.final_logit_softcapping", F32, 30.0),
]

QWEN3MOE_PAIRS = [
    pair("general.architecture", STRING, "qwen3moe"),
    pair("qwen3moe.block_count", U32, 1),
    pair("qwen3moe.embedding_length", U32, 8),
    pair("qwen3moe.attention.head_count", U32, 2),
    pair("qwen3moe.feed_forward_length", U32, 16),
    pair("qwen3moe.expert_feed_forward_length", U32, 8),
    pair("qwen3moe.expert_count", U32, 2),
    pair("qwen3moe.expert_used_count", U32, 1),
    pair("qwen3moe.context_length", U32, 64),
    pair("qwen3moe.attention.layer_norm_rms_epsilon", F32, 1e-6),
]


def write(target, name, content):
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_gguf():
    plain = ("token_embd.weight", [8, 2], 0, bytes(64))
    blocks = ("output_norm.weight", [32], 8, bytes(34))
    write("gguf", "tensors", gguf([pair("general.alignment", U32, 32)], [plain, blocks]))
    write("gguf", "model", gguf(LLAMA_PAIRS + TOKENIZER_PAIRS, [plain]))
    write("gguf", "qwen3", gguf(QWEN3_PAIRS + TOKENIZER_PAIRS,
                                [plain, ("blk.0.attn_q_norm.weight", [8], 0, bytes(32))]))
    divisors = [(f"rope_factors_{which}.weight", [2], 0, struct.pack("<2f", 1.0, 1.5))
                for which in ("long", "short")]
    write("gguf", "phi3", gguf(PHI3_PAIRS + TOKENIZER_PAIRS, divisors))
    write("gguf", "olmo2", gguf(OLMO2_PAIRS + TOKENIZER_PAIRS,
                                [plain, ("blk.0.post_ffw_norm.weight", [8], 0, bytes(32))]))
    write("gguf", "gemma3", gguf(GEMMA3_PAIRS + TOKENIZER_PAIRS, [plain]))
    write("gguf", "qwen3moe", gguf(QWEN3MOE_PAIRS + TOKENIZER_PAIRS,
                                   [plain, ("blk.0.ffn_gate_exps.weight", [8, 8, 2], 0, bytes(512))]))
    write("gguf", "tokenizer", gguf(TOKENIZER_PAIRS, []))
    write("gguf", "sentencepiece", gguf(SENTENCEPIECE_PAIRS, []))
    for name, kinds in (("blocks", list(BLOCKS)[:13]), ("more_blocks", list(BLOCKS)[13:])):
        write("gguf", name, gguf([], [(f"t{kind}", [BLOCKS[kind][1]], kind, bytes(range(1, 1 + BLOCKS[kind][0])))
                                      for kind in kinds]))


def write_safetensors():
    def file(header, data):
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    two = {"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
           "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
           "__metadata__": {"format": "pt"}}
    write("safetensors", "two", file(two, bytes(32)))
    write("safetensors", "empty", file({}, b""))
    others = {"mask": {"dtype": "BOOL", "shape": [1, 3], "data_offsets": [0, 3]},
              "four": {"dtype": "F4", "shape": [2], "data_offsets": [3, 4]},
              "ids": {"dtype": "I64", "shape": [1], "data_offsets": [4, 12]}}
    write("safetensors", "others", file(others, bytes(12)))


def write_config():
    llama = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
             "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
             "intermediate_size": 16, "vocab_size": 17, "max_position_embeddings": 64,
             "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": True,
             "rope_theta": 10000.0,
             "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                              "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}
    qwen2 = {**llama, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
             "rope_scaling": None, "use_sliding_window": False}
    qwen3 = {**llama, "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 8,
             "attention_bias": False, "max_window_layers": 1, "sliding_window": None,
             "use_sliding_window": False,
             "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
                              "original_max_position_embeddings": 32}}
    olmo2 = {**llama, "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2",
             "rope_scaling": None, "attention_bias": False, "num_key_value_heads": None}
    smollm3 = {**llama, "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3",
               "num_hidden_layers": 2, "no_rope_layers": [1, 0], "no_rope_layer_interval": 2,
               "use_sliding_window": False, "sliding_window": None, "rope_scaling": None}
    phi3 = {**llama, "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "head_dim": 8,
            "partial_rotary_factor": 0.5, "sliding_window": 2047,
            "original_max_position_embeddings": 32,
            "rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.5],
                             "long_factor": [1.25, 4.0]}}
    gemma2 = {**llama, "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2", "head_dim": 4,
              "rope_scaling": None, "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 4,
              "num_hidden_layers": 2, "query_pre_attn_scalar": 4, "attn_logit_softcapping": 50.0,
              "final_logit_softcapping": 30.0}
    gemma3 = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": {
        "model_type": "gemma3_text", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2,
        "sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"], "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}}}
    newer = {**llama, "rope_scaling": None, "head_dim": 4,
             "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e6}}
    newer.pop("rope_theta")
    yarn = {**llama, "head_dim": 8, "attention_bias": True, "mlp_bias": True,
            "original_max_position_embeddings": 32,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "beta_fast": 32, "beta_slow": 1.0,
                             "mscale": 0.7, "mscale_all_dim": 1.0, "attention_factor": None,
                             "truncate": False, "original_max_position_embeddings": 16}}
    mistral = {**llama, "architectures": ["MistralForCausalLM"], "model_type": "mistral",
               "sliding_window": 48, "rope_scaling": {"type": "dynamic", "factor": 2.0},
               "layer_types": ["sliding_attention"]}
    mixtral = {**llama, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral",
               "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None, "rope_scaling": None}
    qwen3_moe = {**llama, "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "num_experts": 4,
                 "num_experts_per_tok": 2, "moe_intermediate_size": 8, "norm_topk_prob": True,
                 "decoder_sparse_step": 2, "mlp_only_layers": [1], "num_hidden_layers": 4, "rope_scaling": None}
    for name, config in (("llama", llama), ("qwen2", qwen2), ("qwen3", qwen3), ("olmo2", olmo2),
                         ("smollm3", smollm3), ("phi3", phi3), ("gemma2", gemma2), ("gemma3", gemma3),
                         ("mixtral", mixtral), ("qwen3_moe", qwen3_moe),
                         ("newer", newer), ("yarn", yarn), ("mistral", mistral)):
        write("config", name, json.dumps(config, indent=1))


def write_tokenizer():
    def file(pattern, normalizer=None):
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated",
                 "invert": False}
        level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                 "use_regex": False}
        vocabulary = {token: index for index, token in enumerate(TOKENS + ["t"])}
        return json.dumps({
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": "<|end|>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}],
            "normalizer": normalizer,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
            "post_processor": None, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "dropout": None, "unk_token": None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                      "vocab": vocabulary, "merges": ["a b", "\u0120 t"]}})

    text = "A text, it's <|end|> abab 33 e\u0301 \u05e9\n"
    write("tokenizer", "words", file(r"'s|\p{L}+| ?\p{N}{1,3}|\s+(?!\S)|\s+") + "\0" + text)
    write("tokenizer", "nfc", file(r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\s*[\r\n]+|.",
                                   {"type": "NFC"}) + "\0" + text)
    sentencepiece = {
        "added_tokens": [{"id": 2, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": True,
                          "normalized": False, "special": True}],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"Regex": " "}, "content": SPACE}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": True},
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True,
                  "vocab": {token: index for index, token in enumerate(TEXTS)},
                  "merges": ["a b", SPACE + " t", SPACE + " ab"]}}
    write("tokenizer", "sentencepiece", json.dumps(sentencepiece) + "\0" + text)
    unigram = sentencepiece | {
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFKC"}, {"type": "Strip", "strip_left": True, "strip_right": True}]},
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": True,
                  "vocab": [[token, -1.5 * index] for index, token in enumerate(TEXTS)]}}
    write("tokenizer", "unigram", json.dumps(unigram) + "\0" + " \ufb01" + text)


def write_chat_template():
    write("chat_template", "roles",
          "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
          "{{ bos_token + 'Be kind.' }}{% endif %}"
          "{{'<|' + message['role'] + '|>\n' + message['content'] | trim + eos_token + '\n'}}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")
    write("chat_template", "turns",
          "{%- set ns = namespace(turn=0) -%}{%- for m in messages[1:] -%}"
          "{%- if (m.role == 'user') != (loop.index0 % 2 == 0) -%}"
          "{{- raise_exception('roles must alternate') -}}{%- elif m.role in ['user', 'tool'] -%}"
          "[{{ ns.turn }}] {{ m.content | tojson }}{%- set ns.turn = ns.turn + 1 -%}"
          "{%- else -%} {{ m['content'] }}{{ eos_token }}{%- endif -%}{%- endfor -%}")
    # The fixtures' constructs, several to a seed.
    fixtures = pathlib.Path(__file__).resolve().parents[2] / "data/fixtures/chat"
    constructs = (fixtures / "constructs.txt").read_text(encoding="utf-8").split("\n----\n")
    valid = [text for text, expected in
             zip(constructs, json.loads((fixtures / "constructs.json").read_text(encoding="utf-8")))
             if isinstance(expected, str)]
    for i in range(0, len(valid), 4):
        write("chat_template", f"constructs_{i // 4:02}", "\n".join(valid[i:i + 4]))
    write("chat_template", "tools",
          "{% for t in tools %}{{ t | tojson(indent=2) }}{% endfor %}{% for m in messages %}"
          "{{ m.reasoning_content }}{% for c in m.tool_calls or [] %}{{ c.function.name }}"
          "{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}{% endfor %}"
          "{{ m.content }}{% endfor %}\0" + json.dumps(
              {"tools": [{"name": "look", "parameters": {"a": [1, 2.5, None, True]}}],
               "messages": [{"role": "user", "content": "Hi"},
                            {"role": "assistant", "content": "so", "thinking": "since",
                             "tool_calls": [{"function": {"name": "look",
                                                          "arguments": {"a": 1}}}]}]}))


def write_conllu():
    tags = ("# text = don't stop.\n"
            "1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_\n"
            "1\tdo\tdo\tAUX\t_\t_\t0\troot\t_\t_\n"
            "2\tn't\tnot\tPART\t_\t_\t1\tadvmod\t_\t_\n"
            "3\tstop\tstop\tVERB\t_\t_\t1\txcomp\t_\tSpaceAfter=No\n"
            "3.1\telided\t_\tNOUN\t_\t_\t_\t_\t_\t_\n"
            "4\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_\n\n")
    write("conllu", "multiword", tags + "\0" + "don't stop.\n")
    write("conllu", "crlf", tags.replace("\n", "\r\n") + "\0" + " don't\u00a0stop.")
    spaces = ("# text = \n a\n\tb\n1\t\n \t\n \tSPACE\t_SP\t_\t1\t_\t_\tSpaceAfter=No\n"
              "2\ta\ta\tDET\tXX\t_\t2\t_\t_\t_\n3\t\t\t\t\tSPACE\t_SP\t_\t3\t_\t_\t_\n"
              "4\tb\tb\t_\tXX\t_\t4\t_\t_\t_\n\n")
    write("conllu", "spaces", spaces + "\0" + "\n a\n\tb")


def write_sentencepiece():
    fixtures = pathlib.Path(__file__).resolve().parents[2] / "data/fixtures/tokenizer"
    write("sentencepiece", "characters", (fixtures / "characters.model").read_bytes())

    def field(number, content):  # of fewer than 128 bytes, or a number
        if isinstance(content, int):
            return bytes([number << 3, content]) if number < 16 else bytes([number << 3 & 127 | 128, number >> 4, content])
        if isinstance(content, float):
            return bytes([number << 3 | 5]) + struct.pack("<f", content)
        return bytes([number << 3 | 2, len(content)]) + content

    pieces = [(b"<unk>", 0.0, 2), (b"<s>", 0.0, 3), (b"ab", -1.0, 1), (b"a", -2.0, 1), (b"b", -3.0, 1),
              ("\u2581".encode(), -4.0, 1), (b"<0xC3>", 0.0, 6), (b"\n", 0.0, 4), (b"c", 0.0, 5)]
    model = b"".join(field(1, field(1, text) + field(2, score) + field(3, kind)) for text, score, kind in pieces)
    write("sentencepiece", "bytes", model + field(2, field(3, 2) + field(35, 1) + field(41, 1)) + field(3, field(4, 0)))
    write("sentencepiece", "spaces", model + field(2, field(3, 2)) + field(3, field(1, b"identity") + field(3, 0)))


if __name__ == "__main__":
    write_sentencepiece()
    write_gguf()
    write_safetensors()
    write_config()
    write_tokenizer()
    write_chat_template()
    write_conllu()
