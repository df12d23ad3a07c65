"""How the page spells numbers and tables."""

import math


def number(value):
    """Two significant digits, without an exponent where people write none."""
    return f"{value:.0f}" if 10 <= abs(value) < 1e5 else f"{value:#.2g}"


def p_text(p):
    return "-" if p is None else f"{p:.3f}"


def effect_text(effect, spelled=number):
    if math.isnan(effect.low):
        return spelled(effect.value)
    return f"{spelled(effect.value)} [{spelled(effect.low)}, {spelled(effect.high)}]"


def with_interval(estimate, spelling):
    """An estimate of analyze's JSON."""
    if estimate["value"] is None:
        return "cannot be said"
    if estimate["low"] is None:
        return spelling.format(estimate["value"])
    return (spelling + " [" + spelling + ", " + spelling + "]").format(
        estimate["value"], estimate["low"], estimate["high"])


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
