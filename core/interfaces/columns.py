"""Fixed-width columns for screens that are redrawn several times a second.

A Rich ``Table`` measures every cell and cannot put a sentence under a row; here a column knows
its width, so lines never jump and a row can be followed by a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.text import Text


class Column(msgspec.Struct, frozen=True):
    """One column: heading, width in cells, alignment, and the screen width it needs to appear."""

    heading: str
    width: int
    is_right: bool = False
    screen_width_min: int = 0


class Cell(msgspec.Struct, frozen=True):
    """What stands in a column, and its style."""

    text: str
    style: str = ""


def fit(text: str, width: int, *, is_right: bool = False) -> str:
    """Return ``text`` in exactly ``width`` cells, cut with an ellipsis where it is longer."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    padding = " " * (width - cell_len(text))
    return padding + text if is_right else text + padding


def shown(columns: Sequence[Column], screen_width: int) -> list[int]:
    """Return the indices of the columns that a screen of this width has room for."""
    return [i for i, column in enumerate(columns) if column.screen_width_min <= screen_width]


def heading_line(columns: Sequence[Column], indices: Sequence[int]) -> Text:
    """Return the headings of the chosen columns as one line."""
    return row_line(columns, indices, [Cell(column.heading, "dim") for column in columns])


def row_line(columns: Sequence[Column], indices: Sequence[int], cells: Sequence[Cell]) -> Text:
    """Return one row; ``cells`` has one cell for every column, shown or not."""
    assert len(cells) == len(columns), f"invariant: {len(columns)} cells, was {len(cells)}"
    line = Text(no_wrap=True, overflow="ellipsis")
    for place, i in enumerate(indices):
        column = columns[i]
        gap = " " if place else ""
        text = fit(cells[i].text, column.width, is_right=column.is_right)
        line.append(gap).append(text, cells[i].style)
    return line


def sentence_line(label: str, text: str, width: int, *, style: str) -> Text:
    """Return a line that belongs to the row above it: a dim label and a sentence."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"   {label} ", "dim")
    line.append(fit(text, width - cell_len(line.plain)).rstrip(), style)
    return line
