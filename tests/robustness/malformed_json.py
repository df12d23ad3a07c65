"""Malformed tokenizer.json and config.json, 76 to 97: a tiny llama's folder with one thing wrong.

A case's `spoil` changes the folder, a copy of MODEL. The tokenizer cases that a GGUF file can show too are
in GGUF_CASES, whose `spoil` is that of malformed_gguf.py.
"""

import json

from gguf_layout import ARRAY, STRING, array, text
from malformed import DOCUMENT, MODELS, PROBE, Case
from malformed_gguf import llama, tokenizer as gguf_tokenizer

MODEL = MODELS / "llama_plain"
SENTENCEPIECE = MODELS.parent / "tokenizer/byte_pairs.model"

TOKENIZER, CONFIG = "tokenizer.json", "config.json"
LARGEST_JSON = 128 * 2**20


def sentencepiece(change):
    """A tokenizer.model, changed, in the place of tokenizer.json."""
    def spoil(folder):
        (folder / TOKENIZER).unlink()
        (folder / "tokenizer.model").write_bytes(change(SENTENCEPIECE.read_bytes()))
    return spoil


def replaced(file, old, new):
    def spoil(folder):
        before = (folder / file).read_bytes()
        after = before.replace(old, new, 1)
        assert after != before, old
        (folder / file).write_bytes(after)
    return spoil


def changed(file, change):
    def spoil(folder):
        content = json.loads((folder / file).read_text())
        change(content)
        (folder / file).write_text(json.dumps(content))
    return spoil


def tokenizer(**members):
    return changed(TOKENIZER, lambda content: content.update(members))


def model(**members):
    """Of the tokenizer."""
    return changed(TOKENIZER, lambda content: content["model"].update(members))


def vocabulary(**ids):
    return changed(TOKENIZER, lambda content: content["model"]["vocab"].update(ids))


def merges(*more):
    return changed(TOKENIZER, lambda content: content["model"]["merges"].extend(more))


def added_token(**members):
    """One more, like the first but for these."""
    return changed(TOKENIZER, lambda content: content["added_tokens"].append(content["added_tokens"][0] | members))


def pattern(expression, document=None):
    """Texts, or such a document, are split by that."""
    split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    bytes_of_words = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    split_texts = tokenizer(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, bytes_of_words]})

    def spoil(folder):
        split_texts(folder)
        if document is not None:
            (folder / DOCUMENT).write_text(document)
    return spoil


def config(**members):
    return changed(CONFIG, lambda content: content.update(members))


def sized(file, n):
    """A file of n bytes, nearly all of them a hole."""
    def spoil(folder):
        with open(folder / file, "wb") as stream:
            stream.truncate(n)
    return spoil


NESTED = 65 * b"[" + 65 * b"]"

CASES = [
    Case(76, "tokenizer 65 deep", "nested deeper than 64", replaced(TOKENIZER, b'"truncation": null', b'"x":' + NESTED)),
    Case(76, "config 300,000 deep", "nested deeper than 64", replaced(CONFIG, b'"llama"', 300_000 * b"[")),
    Case(77, "repeated key", "'vocab' is repeated", replaced(TOKENIZER, b'"vocab"', b'"vocab": {}, "vocab"')),
    Case(77, "repeated token", "'a' is repeated", replaced(TOKENIZER, b'"a": 65', b'"a": 1, "a": 65')),
    Case(77, "repeated key in the config", "'hidden_size' is repeated",
         replaced(CONFIG, b'"hidden_size"', b'"hidden_size": 48, "hidden\\u005fsize"')),
    Case(78, "byte order mark", "byte order mark", replaced(TOKENIZER, b"{", b"\xef\xbb\xbf{")),
    Case(78, "byte order mark in the config", "byte order mark", replaced(CONFIG, b"{", b"\xef\xbb\xbf{")),
    Case(78, "token not UTF-8", "ill-formed UTF-8", replaced(TOKENIZER, b'"a": 65', b'"\xc0\x80": 65')),
    Case(79, "lone surrogate", "surrogate", replaced(TOKENIZER, b'"a": 65', b'"\\ud800": 65')),
    Case(80, "NaN", "not valid JSON", replaced(CONFIG, b"10000.0", b"NaN")),
    Case(80, "1e400", "number overflow parsing '1e400'", replaced(CONFIG, b"10000.0", b"1e400")),
    Case(81, "negative id", "vocab: 'a': expected an id from 0", vocabulary(a=-1)),
    Case(82, "id of a 4 GB vocabulary", "found 4294967295", vocabulary(a=2**32 - 1)),
    Case(82, "added id of a 2 GB vocabulary", "found 2000000000", added_token(content="<x>", id=2 * 10**9)),
    Case(83, "two tokens of one id", "have the same id 300", vocabulary(more=300)),
    Case(84, "merge of an unknown part", "'nowhere' is not in the vocabulary", merges(["a", "nowhere"])),
    Case(85, "merge result not in the vocabulary", "'qz' is not in the vocabulary", merges(["q", "z"])),
    Case(86, "regex that does not compile", "cannot be used: ", pattern("(?:a")),
    Case(86, "regex of 70,000 bytes", "expected at most 65536 bytes", pattern(70_000 * "a")),
    Case(87, "regex over its match limit", "match limit exceeded", pattern("^(a+)+$", 5_000 * "a" + "!"), PROBE),
    Case(87, "regex over its heap limit", "heap limit exceeded", pattern("(?:a|b|cd)*[ef]", 10**6 * "a"), PROBE),
    Case(88, "callout", "'(?C' is not supported", pattern("a(?C1)")),
    Case(88, "verb", "'(*L' is not supported", pattern("(*LIMIT_MATCH=4000000000)a")),
    Case(88, "recursion", "'(?R' is not supported", pattern("(?R)")),
    Case(89, "loop over empty matches", "match limit exceeded", pattern("(a*)*[bc]", 5_000 * "a"), PROBE),
    Case(90, "unknown model", "expected 'BPE' or 'Unigram', found 'WordPiece'", model(type="WordPiece")),
    Case(90, "score that is text", "vocab: entry 1: expected ['token', score], found",
         model(type="Unigram", vocab=[["a", 0], ["b", "0"]])),
    Case(90, "unknown token that is none", "unk_id: expected an id below the 1 tokens, found '7'",
         model(type="Unigram", vocab=[["a", 0]], unk_id=7)),
    Case(90, "merges and scores at once", "'vocab': expected an array, found object", model(type="Unigram")),
    Case(90, "unknown normaliser", "found 'Lowercase'", tokenizer(normalizer={"type": "Lowercase"})),
    Case(90, "unknown pre-tokenizer", "found 'Metaspace'", tokenizer(pre_tokenizer={"type": "Metaspace"})),
    Case(90, "bytes and texts at once", "expected Split, Digits, Metaspace or a Sequence of these",
         model(byte_fallback=True)),
    Case(90, "SentencePiece model that is Base64", "tokenizer.model: this is no SentencePiece model",
         sentencepiece(lambda model: b"IQ== 0\nIg== 1\n")),
    Case(90, "SentencePiece model that ends early", "found an end within a field before byte",
         sentencepiece(lambda model: model[:-1])),
    Case(90, "SentencePiece piece that is no UTF-8", "piece 2: expected UTF-8",
         sentencepiece(lambda model: model.replace(b"</s>", b"\xff/s>", 1))),
    Case(90, "SentencePiece unigram model", "model_type: expected 2 (byte-pair encoding), found 1",
         sentencepiece(lambda model: model + b"\x12\x02\x18\x01")),
    Case(90, "SentencePiece model over the size cap", "expected at most 8388608 bytes of a SentencePiece model",
         sentencepiece(lambda model: model + bytes(2**23))),
    Case(91, "added token of another's id", "has the id of", added_token(content="<x>", id=300)),
    Case(91, "added token twice", "of another added token", added_token()),
    Case(91, "added token of another's spelling", "is in the vocabulary as token", added_token(content="he", id=320)),
    Case(92, "hidden % heads", "5 heads divide, found 48", config(num_attention_heads=5, head_dim=None)),
    Case(92, "heads of another width % key-value heads", "2 key-value heads divide, found 5",
         config(num_attention_heads=5)),
    Case(93, "heads % key-value heads", "3 key-value heads divide, found 4", config(num_key_value_heads=3)),
    Case(94, "hidden size 48.0", "'hidden_size': expected a non-negative integer, found number 48.0",
         config(hidden_size=48.0)),
    Case(94, "hidden size -48", "found number -48", config(hidden_size=-48)),
    Case(94, "hidden size as text", "found string", config(hidden_size="48")),
    Case(94, "id 3.0", "vocab: 'a': expected an id", vocabulary(a=3.0)),
    Case(95, "layers over the cap", "expected 1 to 1024, found 1000000", config(num_hidden_layers=10**6)),
    Case(95, "no layers", "expected 1 to 1024, found 0", config(num_hidden_layers=0)),
    Case(96, "vocabulary not the embedding's rows", "expected the shape [321, 48], found [320, 48]",
         config(vocab_size=321)),
    Case(96, "norms over heads that are not stored", "'model.layers.0.self_attn.k_norm.weight' is missing",
         config(model_type="qwen3")),
    Case(96, "norms behind the parts that are not stored",
         "'model.layers.0.input_layernorm.weight' is not part of a olmo2 model", config(model_type="olmo2")),
    Case(96, "too few layers with or without rotary positions", "each of the 2 layers, found 1",
         config(model_type="smollm3", no_rope_layers=[1])),
    Case(96, "no layer between those without rotary positions", "'no_rope_layer_interval': expected 1 to 1024, found 0",
         config(model_type="smollm3", no_rope_layer_interval=0)),
    Case(96, "more divisors than rotated pairs", "each of the 6 rotated pairs of a head, found 8",
         config(model_type="phi3", partial_rotary_factor=0.75,
                rope_scaling={"type": "longrope", "short_factor": 8 * [1.0], "long_factor": 8 * [2.0]})),
    Case(96, "more rotated than a head has", "expected a share of a head above 0 and up to 1, found 2.0",
         config(model_type="phi3", partial_rotary_factor=2.0)),
    Case(96, "projections that are not fused", "'model.layers.0.mlp.gate_proj.weight' is not part of a phi3 model",
         config(model_type="phi3")),
    Case(96, "a cap of 0", "'final_logit_softcapping': expected a positive number",
         config(model_type="gemma2", final_logit_softcapping=0)),
    Case(96, "no layer between those without a window", "'sliding_window_pattern': expected 1 to 1024, found 0",
         config(model_type="gemma3_text", sliding_window_pattern=0)),
    Case(96, "no text model", "'text_config'", config(model_type="gemma3")),
    Case(96, "norms around the parts that are not stored",
         "'model.layers.0.post_feedforward_layernorm.weight' is missing",
         config(model_type="gemma2", head_dim=16, tie_word_embeddings=False)),
    Case(96, "experts in one layer that are not stored",
         "'model.layers.1.mlp.down_proj.weight' is not part of a qwen3_moe model",
         config(model_type="qwen3_moe", mlp_only_layers=[0])),
    Case(96, "more experts for a token than there are", "expected at most the 2 experts that there are for each token, "
         "found 3", config(model_type="mixtral", num_local_experts=2, num_experts_per_tok=3)),
    Case(95, "experts over the cap", "'num_experts': expected 1 to 4096, found 1000000",
         config(model_type="qwen3_moe", num_experts=10**6)),
    Case(95, "experts of all layers over the cap", "expected at most 65536 experts in all layers, found 409600",
         config(model_type="mixtral", num_local_experts=4096, num_hidden_layers=100)),
    Case(97, "tokenizer over the size cap", "expected at most 134217728 bytes of JSON, found 134217729",
         sized(TOKENIZER, LARGEST_JSON + 1)),
    Case(97, "config over the size cap", "expected at most 134217728 bytes", sized(CONFIG, 2**33)),
]

GGUF_CASES = [
    Case(83, "two tokens of one spelling", "token 300 'en' is spelled like token 263",
         lambda gguf: gguf.replace_element("tokenizer.ggml.tokens", 300, text("en"))),
    Case(84, "merge of an unknown part", "'nowhere' is not in the vocabulary",
         gguf_tokenizer("merges", ARRAY, array(STRING, 1, text("a nowhere")))),
    Case(90, "unknown pre-tokenizer", "the nearest: llama4", gguf_tokenizer("pre", STRING, text("llama-4"))),
    Case(90, "unknown model", "expected 'gpt2' (byte-level byte-pair encoding) or 'llama'",
         gguf_tokenizer("model", STRING, text("t5"))),
    Case(85, "merge result not in the vocabulary", "'qz' is not in the vocabulary",
         gguf_tokenizer("merges", ARRAY, array(STRING, 1, text("q z")))),
    Case(96, "more tokens than embedding rows", "expected the shape [319, 48], found [320, 48]",
         llama("vocab_size", 4, (319).to_bytes(4, "little"))),
]
