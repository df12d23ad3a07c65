"""Writes what transformers makes of the templates and conversations in data/fixtures/chat.

    python3 tests/parity/make_chat_fixtures.py    # with transformers 5, jinja2 and tokenizers

All that it reads is written by hand: templates in the style of several models' own (*.jinja) and
conversations.json for expected.json; constructs.txt, a template for each construct of Jinja and
Python, for constructs.json; whole.json, files of `generate --messages`, for whole_expected.json.
An expected text is a string, and what transformers refuses is {"error": what it says}.
"""

import json
from pathlib import Path

import tokenizers
import transformers
from transformers.utils.chat_template_utils import render_jinja_template

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/chat"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
SPOKEN = [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "Why?"},
          {"role": "assistant", "content": "Because <b>."}, {"role": "user", "content": "é?\n"}]


def text_or_error(render):
    try:
        return render()
    except Exception as error:  # of jinja2, of Python's operators, of transformers
        return {"error": str(error)}


def render(template, messages, add_generation_prompt):
    return text_or_error(lambda: render_jinja_template(
        [messages], chat_template=template, add_generation_prompt=add_generation_prompt,
        **TOKENS)[0][0])


def write(name, value):
    (FIXTURES / name).write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n",
                                 encoding="utf-8")


def main():
    conversations = json.loads((FIXTURES / "conversations.json").read_text())
    write("expected.json", {
        path.stem: {name: {"answer": render(path.read_text(), messages, True),
                           "closed": render(path.read_text(), messages, False)}
                    for name, messages in conversations.items()}
        for path in sorted(FIXTURES.glob("*.jinja"))})

    constructs = (FIXTURES / "constructs.txt").read_text(encoding="utf-8").split("\n----\n")
    write("constructs.json", [render(template, SPOKEN, True) for template in constructs])

    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.BPE()), **TOKENS)
    write("whole_expected.json", [
        text_or_error(lambda case=case: tokenizer.apply_chat_template(
            case["messages"], tools=case.get("tools"), chat_template=case["template"],
            tokenize=False, continue_final_message=case["messages"][-1]["role"] == "assistant",
            add_generation_prompt=case["messages"][-1]["role"] != "assistant"))
        for case in json.loads((FIXTURES / "whole.json").read_text())])


if __name__ == "__main__":
    main()
