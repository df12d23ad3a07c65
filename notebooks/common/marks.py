"""Pages whose tables a script fills in, between marks."""

import re


def fill(page, name, text):
    """Puts `text` between the marks of `name`."""
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile("{}.*?{}".format(*map(re.escape, marks)), re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"expected the marks {marks[0]} and {marks[1]} in the page, found none")
    return pattern.sub(lambda _: f"{marks[0]}\n{text}\n{marks[1]}", page)
