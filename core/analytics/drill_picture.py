"""Draw a fire drill as one PNG: equity through each shock, and whether the promises held.

Knows how things look; what is shown was measured elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

WIDTH_INCH = 11.0
PANEL_INCH = 1.9
DPI = 110
_GOOD, _BAD, _NONE = "#1B7F4B", "#B3261E", "#6B7680"
_LINE, _TEXT, _GRID = "#2457A6", "#1B2733", "#E6E9EC"


class DrillPanel(msgspec.Struct, frozen=True, kw_only=True):
    """One shock.

    Parameters
    ----------
    curve : sequence of (float, float)
        Seconds since the shock and equity in USDC.
    flat_after_s : float or None
        When the position was closed.
    verdict : {"passed", "failed", "not tested"}
    note : str
        One line under the title.
    """

    title: str
    curve: tuple[tuple[float, float], ...]
    flat_after_s: float | None
    verdict: str
    note: str


def draw_drill(panels: Sequence[DrillPanel], path: Path) -> None:
    """Write one panel for each shock, one above the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCH, 0.8 + PANEL_INCH * len(panels)), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        color = {"passed": _GOOD, "failed": _BAD}.get(panel.verdict, _NONE)
        axis.set_title(
            f"{panel.title}: {panel.verdict}", loc="left", fontsize=10, color=color, weight="bold"
        )
        axis.set_title(panel.note, loc="right", fontsize=8, color=_NONE)
        axis.grid(color=_GRID)
        axis.set_ylabel("equity, USDC", fontsize=8, color=_TEXT)
        axis.tick_params(labelsize=8, colors=_TEXT)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        if panel.curve:
            axis.plot([s / 60 for s, _ in panel.curve], [e for _, e in panel.curve], color=_LINE)
        if panel.flat_after_s is not None:
            axis.axvline(panel.flat_after_s / 60, color=_GOOD, linestyle=":", linewidth=1.2)
    axes[-1].set_xlabel("minutes since the shock; dotted: position closed", fontsize=8)
    figure.tight_layout()
    figure.savefig(path)
