"""Texts that DuoAttention's gates and HeadKV's scores are learnt on: passkeys and needles in a haystack."""

from dataclasses import dataclass

SPELLING = ("alpha bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar "
            "papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu").split()
ORDINALS = "first second third".split()  # the paper: ten
PASSKEY_WORDS = 8  # the paper: 32

# HeadKV's second form asks what needs a step of reasoning, and looks at the sentence that answers it.
NEEDLES = [
    ("Ruth keeps a red kayak behind the old boathouse. Paul keeps a green bicycle under the stairs. "
     "Ruth is a nurse. Paul is a baker.",
     "What does the nurse keep, and where?", "Ruth keeps a red kayak behind the old boathouse."),
    ("The lighthouse at Skerry Point was painted by Anna in the spring. The chapel at Long Field was painted "
     "by Tom in the autumn. Anna is older than Tom.",
     "What did the younger of Anna and Tom paint?",
     "The chapel at Long Field was painted by Tom in the autumn."),
    ("Parcel seven holds a brass telescope and two maps of Iceland. Parcel nine holds a jar of amber beads. "
     "Parcel seven goes to Oslo. Parcel nine goes to Lisbon.",
     "What does the parcel hold that goes to Lisbon?", "Parcel nine holds a jar of amber beads."),
    ("On Mondays the ferry leaves from the north pier at a quarter past six. On Fridays it leaves from the "
     "south pier at noon. Market day is Monday.",
     "When and where does the ferry leave on market day?",
     "On Mondays the ferry leaves from the north pier at a quarter past six."),
]


@dataclass
class Retrieval:
    """Token ids of a text whose end repeats something from its middle."""
    ids: list
    asked: range  # positions of the question and its answer, or of the answer alone
    needle: range  # positions that answer it


def passkeys(model, haystack, length, random):
    """DuoAttention's task in small: passkeys in a haystack of tokens, asked for one after the other.

    About `length` tokens. `asked` holds the questions and the passkeys, all that the loss looks at.
    """
    keys = [" ".join(random.choices(SPELLING, k=PASSKEY_WORDS)) for _ in ORDINALS]
    told = [model.ids(f"\n\nRemember: the {ordinal} passkey of the vault is: {key}\n\n")
            for ordinal, key in zip(ORDINALS, keys)]
    asked = model.ids("\n\nThat was the book.\n\n")
    start_of_questions = len(asked)
    for ordinal, key in zip(ORDINALS, keys):
        asked += model.ids(f"What is the {ordinal} passkey of the vault?\nPasskey: {key}\n\n")
    hay = max(0, length - len(asked) - sum(map(len, told)))
    hay = _stretch(haystack, hay, random)
    depths = sorted(random.uniform(0.05, 0.95) for _ in ORDINALS)
    ids, begin = [], 0
    for depth, needle in zip(depths, told):
        end = int(depth * len(hay))
        ids += hay[begin:end] + needle
        begin = end
    ids += hay[begin:]
    first = len(ids) + start_of_questions
    ids += asked
    return Retrieval(ids, range(first, len(ids)), range(0))


def needle_in_haystack(model, haystack, needle, depth, length, random):
    """HeadKV's task: facts at a depth (0 to 1), a question and its answer at the end of `length` tokens.

    `asked` holds the positions whose next token is the answer's.
    """
    told, question, answer = needle
    before, after = told.split(answer)
    before, answer_ids, after = (model.ids(part) for part in ("\n" + before, answer, after + "\n"))
    asked = model.ids(f"\n\nAnswer from the text above.\nQuestion: {question}\nAnswer:")
    written = model.ids(" " + answer)
    hay = length - len(before) - len(answer_ids) - len(after) - len(asked) - len(written)
    hay = _stretch(haystack, hay, random)
    end = int(depth * len(hay))
    ids = hay[:end] + before
    found = range(len(ids), len(ids) + len(answer_ids))
    ids += answer_ids + after + hay[end:] + asked
    return Retrieval(ids + written, range(len(ids) - 1, len(ids) + len(written) - 1), found)


def _stretch(tokens, length, random):
    begin = random.randrange(0, max(1, len(tokens) - length))
    return tokens[begin:begin + length]
