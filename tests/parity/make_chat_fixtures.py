"""Writes data/fixtures/chat/expected.json: what transformers makes of the templates there.

    python3 tests/parity/make_chat_fixtures.py    # with the packages of requirements.txt

The templates (*.jinja, in the style of several models' own) and conversations.json are written by
hand. expected.json: {template: {conversation: {"answer" or "closed": text, with or without the
generation prompt; or {"error": what the template itself raises}}}}.
"""

import json
from pathlib import Path

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

FIXTURES = Path(__file__).resolve().parents[2] / "data/fixtures/chat"
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def render(template, messages, add_generation_prompt):
    try:
        texts, _ = render_jinja_template([messages], chat_template=template,
                                         add_generation_prompt=add_generation_prompt, **TOKENS)
        return texts[0]
    except jinja2.exceptions.TemplateError as error:
        return {"error": str(error)}


def main():
    conversations = json.loads((FIXTURES / "conversations.json").read_text())
    expected = {
        path.stem: {name: {"answer": render(path.read_text(), messages, True),
                           "closed": render(path.read_text(), messages, False)}
                    for name, messages in conversations.items()}
        for path in sorted(FIXTURES.glob("*.jinja"))}
    (FIXTURES / "expected.json").write_text(
        json.dumps(expected, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
