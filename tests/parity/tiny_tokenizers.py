"""Small tokenizers: byte-level BPE, one of each pre-tokenizer that Longshadow reads, and those of SentencePiece."""

import io
import json

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer

# The published split patterns of Llama 3 and Qwen2: they differ in how digits are grouped.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}|"
         r" ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
SPACE = "\u2581"  # as SentencePiece spells it
CONTROL_TOKENS = {
    "gpt-2": ["<|endoftext|>"],
    "smollm": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "llama-bpe": ["<|begin_of_text|>", "<|end_of_text|>"],
    "qwen2": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
}
ADDS_BOS = {"llama-bpe"}


def _split(digits):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT.format(digits=digits)), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def train(pre, text, vocab_size):
    """A tokenizer of `vocab_size` tokens with the pre-tokenizer that GGUF calls `pre`."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=pre == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = {
        "gpt-2": lambda: byte_level,
        "smollm": lambda: pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), byte_level]),
        "llama-bpe": lambda: _split(r"\p{N}{1,3}"),
        "qwen2": lambda: _split(r"\p{N}"),
    }[pre]()
    if pre == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()

    # GPT-2's and SmolLM's control tokens come first and are in the vocabulary; Llama 3's and
    # Qwen2's come last and are added tokens only.
    control = CONTROL_TOKENS[pre]
    control_first = pre in ("gpt-2", "smollm")
    tokenizer.train_from_iterator([text], BpeTrainer(
        vocab_size=vocab_size if control_first else vocab_size - len(control),
        special_tokens=control if control_first else [],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if not control_first:
        tokenizer.add_special_tokens(control)

    byte_offsets = processors.ByteLevel(trim_offsets=False)
    tokenizer.post_processor = byte_offsets
    if pre in ADDS_BOS:
        bos = control[0]
        tokenizer.post_processor = processors.Sequence([byte_offsets, processors.TemplateProcessing(
            single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1",
            special_tokens=[(bos, tokenizer.token_to_id(bos))])])
    return tokenizer


def unsplit_json(text, vocab_size):
    """tokenizer.json's text of a tokenizer whose tokens cross every boundary that a pre-tokenizer could draw, so that ids
    tell where it did. Every fifth merge is missing: ids tell, too, whether a word that is a token needs merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([text], BpeTrainer(
        vocab_size=vocab_size, special_tokens=["<|endoftext|>"], max_token_length=8,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    definition = json.loads(tokenizer.to_str())
    merges = definition["model"]["merges"]
    definition["model"]["merges"] = [merge for k, merge in enumerate(merges) if k % 5 != 4]
    return json.dumps(definition, ensure_ascii=False, indent=1)


def sentencepiece_json(text, vocab_size):
    """tokenizer.json's text as transformers converts a SentencePiece model such as Llama 2's: characters, and bytes for
    those that are in no token."""
    special = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|endoftext|>"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.train_from_iterator([SPACE + text.replace(" ", SPACE)], BpeTrainer(
        vocab_size=vocab_size, special_tokens=special + byte_tokens, max_token_length=8, limit_alphabet=150,
        show_progress=False))
    definition = json.loads(tokenizer.to_str())
    return json.dumps(definition | as_llama_2(dict(enumerate(special))), ensure_ascii=False, indent=1)


def sentencepiece_model(text, **options):
    """The bytes of a tokenizer.model that SentencePiece trained."""
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(text.split("\n")), model_writer=trained, normalization_rule_name="identity",
        num_threads=1, minloglevel=2, **options)
    return trained.getvalue()


def unigram_json(text, vocab_size):
    """tokenizer.json's text of a unigram model that SentencePiece trained, with bytes for characters in no token."""
    special = ["<|im_start|>", "<|endoftext|>"]
    model = sentencepiece.SentencePieceProcessor(model_proto=sentencepiece_model(
        text, model_type="unigram", vocab_size=vocab_size, byte_fallback=True, remove_extra_whitespaces=False,
        user_defined_symbols=special))
    vocabulary = [[model.id_to_piece(id), round(model.get_score(id), 6)] for id in range(model.vocab_size())]
    definition = {"version": "1.0", "pre_tokenizer": None, "model": {
        "type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": vocabulary}}
    return json.dumps(definition | as_llama_2(dict(enumerate(["<unk>", "<s>", "</s>", *special]))),
                      ensure_ascii=False, indent=1)


def as_llama_2(special):
    """What transformers puts around a SentencePiece model whose special tokens are `special`, by id."""
    return {
        "added_tokens": [{"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for id, content in special.items()],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}}


def to_json(tokenizer, pre):
    """tokenizer.json's text; SmolLM's in the older spelling, where a merge is one string."""
    definition = json.loads(tokenizer.to_str())
    if pre == "smollm":
        merges = definition["model"]["merges"]
        definition["model"]["merges"] = [" ".join(pair) for pair in merges]
    return json.dumps(definition, ensure_ascii=False, indent=1)
