"""Draw the layers and packages of the program from its imports, into ``docs/images/layers.svg``: ``make layers``.

A box for each layer, with its packages; those that import it stand above, and an arrow goes to each layer that is
imported and not reached by way of another. What is drawn stands in the file once more, in words (``<desc>``), so that a
test sees whether the picture still tells the truth.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from pathlib import Path

import grimp

ROOT = "napari_tessera"
PICTURE = Path(__file__).parent / "images" / "layers.svg"

WIDTH, GAP, ROW_GAP, LINE, MARGIN = 960, 24, 44, 17, 12
LETTER = 6.6
"""Mean width of a letter in the names of packages, in pixels."""

FILLS = ("#f4ecd8", "#e3ecd9", "#d8e8ea", "#dfe0f0", "#f0dfe4")
"""Of the rows from the top; the letters stand on them, so that the picture can be read on any ground."""

Box = tuple[float, float, float, float]
"""Left edge, top edge, width and height, in pixels."""


@dataclass(frozen=True)
class Layers:
    """What is drawn.

    Attributes
    ----------
    packages
        The packages of each layer.
    arrows
        From layer to layer, where one imports the other and none that it imports does.
    """

    packages: Mapping[str, Sequence[str]]
    arrows: Sequence[tuple[str, str]]

    def words(self) -> str:
        """Return all of it as JSON, in one order."""
        return json.dumps({"packages": self.packages, "arrows": self.arrows}, sort_keys=True)


def read_layers() -> Layers:
    """Read the imports of the package, as it is installed."""
    graph = grimp.build_graph(ROOT)
    packages = {
        layer: sorted(inner for inner in graph.find_children(f"{ROOT}.{layer}") if graph.find_children(inner))
        for layer in sorted(child.rpartition(".")[2] for child in graph.find_children(ROOT))
        if graph.find_children(f"{ROOT}.{layer}")
    }
    direct = {
        (above, below)
        for above in packages
        for below in packages
        if above != below and graph.find_shortest_chains(f"{ROOT}.{above}", f"{ROOT}.{below}", as_packages=True)
    }
    arrows = [
        (above, below)
        for above, below in sorted(direct)
        if not any((above, way) in direct and (way, below) in direct for way in packages)
    ]
    return Layers({layer: [_last(name) for name in inner] for layer, inner in packages.items()}, arrows)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def rows_of(layers: Layers) -> list[list[str]]:
    """Return the layers in rows, the top one first: each stands above all that it imports."""
    height: dict[str, int] = {}
    while len(height) < len(layers.packages):
        for name in layers.packages:
            below = [b for a, b in layers.arrows if a == name]
            if name not in height and all(b in height for b in below):
                height[name] = 1 + max((height[b] for b in below), default=-1)
    return [sorted(name for name in height if height[name] == row) for row in range(max(height.values()), -1, -1)]


def draw(layers: Layers) -> str:
    """Return the picture as SVG."""
    boxes: dict[str, Box] = {}
    drawn: list[str] = []
    top: float = MARGIN
    for names, fill in zip(rows_of(layers), cycle(FILLS)):
        width = (WIDTH - 2 * MARGIN - GAP * (len(names) - 1)) / len(names)
        texts = [_wrapped(layers.packages[name], width - 2 * MARGIN) for name in names]
        height = 40 + LINE * max(map(len, texts)) + 6 * any(texts)
        for column, (name, lines) in enumerate(zip(names, texts, strict=True)):
            boxes[name] = (MARGIN + column * (width + GAP), top, width, height)
            drawn.append(_box(name, boxes[name], lines, fill))
        top += height + ROW_GAP
    arrows = [_arrow(layers, boxes, *pair) for pair in layers.arrows]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - ROW_GAP + MARGIN:.0f}" '
            'font-family="Helvetica, Arial, sans-serif">',
            "<title>Layers and packages of napari-tessera</title>",
            f"<desc>{escape(layers.words())}</desc>",
            '<defs><marker id="head" markerWidth="9" markerHeight="9" refX="7" refY="4.5" orient="auto">'
            '<path d="M0,0 L9,4.5 L0,9 z" fill="#888"/></marker></defs>',
            *arrows,
            *drawn,
            "</svg>\n",
        ]
    )


def _wrapped(names: Sequence[str], width: float) -> list[str]:
    lines: list[str] = []
    for name in names:
        joined = f"{lines[-1]}  ·  {name}" if lines else name
        if lines and len(joined) * LETTER <= width:
            lines[-1] = joined
        else:
            lines.append(name)
    return lines


def _box(name: str, box: Box, lines: Sequence[str], fill: str) -> str:
    x, y, width, height = box
    texts = [
        f'<text x="{x + MARGIN:.0f}" y="{y + 50 + LINE * index:.0f}" font-size="12" fill="#333">{escape(line)}</text>'
        for index, line in enumerate(lines)
    ]
    return "\n".join(
        [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="8" fill="{fill}" '
            'stroke="#888"/>',
            f'<text x="{x + MARGIN:.0f}" y="{y + 26:.0f}" font-size="16" font-weight="bold" fill="#111">{name}</text>',
            *texts,
        ]
    )


def _arrow(layers: Layers, boxes: Mapping[str, Box], above: str, below: str) -> str:
    """Return an arrow between two boxes; those that leave or reach one box share its edge."""
    leaving = sorted((b for a, b in layers.arrows if a == above), key=lambda name: boxes[name])
    coming = sorted((a for a, b in layers.arrows if b == below), key=lambda name: boxes[name])
    x, y, width, height = boxes[above]
    to_x, to_y, to_width, _ = boxes[below]
    start = x + width * (leaving.index(below) + 1) / (len(leaving) + 1)
    end = to_x + to_width * (coming.index(above) + 1) / (len(coming) + 1)
    return (
        f'<line x1="{start:.0f}" y1="{y + height:.0f}" x2="{end:.0f}" y2="{to_y - 2:.0f}" stroke="#888" '
        'stroke-width="1.5" marker-end="url(#head)"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(read_layers()), encoding="utf-8")
    sys.stdout.write(f"{PICTURE}\n")
