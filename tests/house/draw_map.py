"""Draws the rooms of tests/house/rules.py and the arrows between them, as docs/rooms.svg:

    python3 tests/house/draw_map.py

A room stands above every room that it sees. An arrow that follows from others is left out, and a
dashed one leads to single headers of a room, which alone may also stand above.
"""

from itertools import pairwise
from pathlib import Path

import rules

BOX_HEIGHT, LEVEL_HEIGHT, GAP, MARGIN = 36, 78, 14, 20
LETTER, SMALL_LETTER, PADDING = 7.9, 6, 8  # of the fonts below, and beside a name
CAPTION = 580  # the width of the line below the rooms
FILLS = ("#dbe9f6", "#dff0d8", "#fdebd0", "#eadcf4", "#f6dada", "#e6e6e6", "#d8f0ee", "#f3f3c8")
SWEEPS = 24


def room_seen(entry: str) -> str:
    """The room that an entry of ROOMS names, which may be one of its headers."""
    return entry if entry in rules.ROOMS else rules.room_of(entry)


def arrows_of(rooms: dict[str, tuple[str, ...]]) -> dict[tuple[str, str], bool]:
    """(room, room that it sees): whether it sees single headers only."""
    arrows = {}
    for room, seen in rooms.items():
        for entry in seen:
            arrow = (room, room_seen(entry))
            arrows[arrow] = arrows.get(arrow, True) and entry not in rules.ROOMS
    return arrows


def below_each(rooms, arrows) -> dict[str, set[str]]:
    """The rooms that each reaches by arrows."""
    below = {room: {low for high, low in arrows if high == room} for room in rooms}
    for middle in rooms:
        for room in rooms:
            if middle in below[room]:
                below[room] |= below[middle]
    return below


def sorted_arrows(rooms, arrows):
    """(down, up): the arrows that do not follow from others, and those to headers of a room above."""
    below = below_each(rooms, [arrow for arrow, dashed in arrows.items() if not dashed])
    up = [(room, seen) for (room, seen), dashed in arrows.items() if dashed and room in below[seen]]
    kept = [arrow for arrow in arrows if arrow not in up]
    below = below_each(rooms, kept)
    down = [(high, low) for high, low in kept
            if not any(low in below[other] for start, other in kept if start == high)]
    return down, up


def levels_of(rooms, down) -> dict[str, int]:
    """How many rooms lie one under the other below each."""
    def level(room: str) -> int:
        return max((level(low) + 1 for high, low in down if high == room), default=0)

    return {room: level(room) for room in rooms}


def chains_of(arrows, levels) -> dict[tuple[str, str], list]:
    """The points that each arrow (high, low) passes: a room, a place (arrow, level) on every level
    between, a room."""
    return {(high, low): [high, *(((high, low), level)
                                  for level in range(levels[high] - 1, levels[low], -1)), low]
            for high, low in arrows}


def crossings(rows, links) -> int:
    """How often the links between neighbouring levels cross."""
    place = {point: index for row in rows for index, point in enumerate(row)}
    level = {point: number for number, row in enumerate(rows) for point in row}
    return sum((place[a] - place[c]) * (place[b] - place[d]) < 0
               for index, (a, b) in enumerate(links) for c, d in links[:index] if level[a] == level[c])


def ordered(rows, links):
    """The rows with their points in an order of few crossings: each goes to the middle of its
    neighbours on the level below, then on the one above, again and again."""
    best, fewest = [list(row) for row in rows], crossings(rows, links)
    rows = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        down = sweep % 2 == 1
        for number in range(len(rows) - 2, -1, -1) if down else range(1, len(rows)):
            other = {point: index for index, point in enumerate(rows[number + (1 if down else -1)])}
            middle = {}
            for index, point in enumerate(rows[number]):
                near = [other[a if down else b] for a, b in links
                        if (b if down else a) == point and (a if down else b) in other]
                middle[point] = sum(near) / len(near) if near else index
            rows[number].sort(key=middle.__getitem__)
        if (count := crossings(rows, links)) < fewest:
            best, fewest = [list(row) for row in rows], count
    return best


def spread(wanted: list[float], widths: list[float]) -> list[float]:
    """Centres near the wanted ones, in their order, that leave a gap between neighbours: least
    squares, where neighbours that would touch form a block."""
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + (GAP if left and right else GAP / 2))
    blocks = []  # [sum of wanted left ends, members]
    for want, offset in zip(wanted, offsets):
        blocks.append([want - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + members]
    starts = [total / members for total, members in blocks for _ in range(members)]
    return [start + offset for start, offset in zip(starts, offsets)]


def centres_of(rows, links, width) -> dict:
    """The x of every point: near the mean of its neighbours', within its row's order."""
    x = {}
    for row in rows:
        for point, at in zip(row, spread([0.0] * len(row), [width[point] for point in row])):
            x[point] = at
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = []
            for point in row:
                near = [x[b if a == point else a] for a, b in links if point in (a, b)]
                wanted.append(sum(near) / len(near) if near else x[point])
            x.update(zip(row, spread(wanted, [width[point] for point in row])))
    left = min(x[point] - width[point] / 2 for point in x)
    return {point: round(at - left + MARGIN) for point, at in x.items()}


def curve(points: list[tuple[int, int]]) -> str:
    path = f"M{points[0][0]} {points[0][1]}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (y0 + y1) // 2
        path += f" C{x0} {middle} {x1} {middle} {x1} {y1}"
    return path


def box(room: str, x: int, y: int, width: int, fill: str) -> str:
    folder, _, name = room.rpartition("/")
    above = f'<text x="{x}" y="{y + 13}" font-size="10" fill="#444">{folder}/</text>' if folder else ""
    return (f'<rect x="{x - width // 2}" y="{y}" width="{width}" height="{BOX_HEIGHT}" rx="5" fill="{fill}" '
            f'stroke="#555"/>{above}<text x="{x}" y="{y + (28 if folder else 23)}" fill="#111">{name}</text>')


def width_of(room: str) -> int:
    folder, _, name = room.rpartition("/")
    return round(max(LETTER * len(name), SMALL_LETTER * (len(folder) + 1))) + 2 * PADDING


def drawing(rooms: dict[str, tuple[str, ...]]) -> str:
    """The SVG of these rooms; `tests`, which sees all of them, is named below."""
    rooms = {room: seen for room, seen in rooms.items() if room != "tests"}
    arrows = arrows_of(rooms)
    down, up = sorted_arrows(rooms, arrows)
    levels = levels_of(rooms, down)
    chains = chains_of(down + [(high, low) for low, high in up], levels)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    points = [*rooms, *(point for chain in chains.values() for point in chain[1:-1])]
    rows = [[point for point in points if (levels[point] if point in rooms else point[1]) == level]
            for level in range(max(levels.values()) + 1)]
    width = {point: width_of(point) if point in rooms else 0 for point in points}
    rows = ordered(rows, links)
    x = centres_of(rows, links, width)
    top = {point: MARGIN + LEVEL_HEIGHT * (len(rows) - 1 - level)
           for level, row in enumerate(rows) for point in row}
    folders = list(dict.fromkeys(room.split("/")[0] for room in rooms))

    used = max(x[point] + width[point] // 2 for point in points) + MARGIN
    page_width = max(CAPTION, used)
    x = {point: at + (page_width - used) // 2 for point, at in x.items()}
    page_height = MARGIN + LEVEL_HEIGHT * (len(rows) - 1) + BOX_HEIGHT + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{page_width}" height="{page_height}" '
        f'viewBox="0 0 {page_width} {page_height}" font-family="Helvetica, Arial, sans-serif" '
        'font-size="13" text-anchor="middle">',
        "<title>The rooms of the code, and which rooms each sees</title>",
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
        f'<rect width="{page_width}" height="{page_height}" rx="8" fill="#fff"/>',
    ]
    for start, end in down + up:
        is_up = (start, end) in up
        chain = chains[(end, start) if is_up else (start, end)]
        route = [(x[point] + 7 * is_up, top[point] + BOX_HEIGHT // 2) for point in chain]
        route[0] = (route[0][0], top[chain[0]] + BOX_HEIGHT)
        route[-1] = (route[-1][0], top[chain[-1]])
        dash = ' stroke-dasharray="4 3"' if arrows[start, end] else ""
        lines.append(f'<path d="{curve(route[::-1] if is_up else route)}" fill="none" stroke="#555"{dash} '
                     'marker-end="url(#tip)"/>')
    lines.extend(box(room, x[room], top[room], width[room],
                     FILLS[folders.index(room.split("/")[0]) % len(FILLS)]) for room in rooms)
    lines.append(f'<text x="{page_width // 2}" y="{page_height - 16}" fill="#444" font-size="11">'
                 "An arrow: sees. Dashed: single headers. What follows from other arrows is left out. "
                 "tests sees all.</text>")
    return "\n".join(lines) + "\n</svg>\n"


def main():
    page = Path(__file__).resolve().parents[2] / "docs/rooms.svg"
    page.write_text(drawing(rules.ROOMS))
    print(page)


if __name__ == "__main__":
    main()
