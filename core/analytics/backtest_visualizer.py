"""The pictures of a session: one PNG to send, one HTML page to explore. Brings together only."""

from __future__ import annotations

from pathlib import Path

import msgspec

from core.analytics.performance_tracker import PerformanceTracker
from core.analytics.series import picture_of
from core.analytics.trades import round_trips
from core.model.record import SessionRecord

PNG_NAME = "session.png"
HTML_NAME = "session.html"
_PNG_POINTS_MAX = 3_000
_HTML_POINTS_MAX = 2_000


class PicturePaths(msgspec.Struct, frozen=True):
    """Where the pictures lie."""

    png: Path
    html: Path


class BacktestVisualizer:
    """Draws equity with its drawdown, each coin with entries and exits, and the attribution."""

    def visualize_backtest(self, record: SessionRecord, directory: Path | str) -> PicturePaths:
        """Write `PNG_NAME` and `HTML_NAME` into ``directory``, which is created if need be.

        Long series are thinned (ends and extremes stay), so that the page stays below 6 MB however
        long the session was. The page holds plotly.js and needs no network.

        Returns
        -------
        PicturePaths
            The two files.

        Raises
        ------
        OSError
            If the directory cannot be written.
        """
        from core.analytics.picture_html import draw_html
        from core.analytics.picture_png import draw_png

        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        paths = PicturePaths(folder / PNG_NAME, folder / HTML_NAME)
        report = PerformanceTracker().track_metrics(record)
        trips, _ = round_trips(record)
        draw_png(picture_of(record, report, points_max=_PNG_POINTS_MAX), paths.png)
        draw_html(
            picture_of(record, report, points_max=_HTML_POINTS_MAX), report, trips, paths.html
        )
        return paths
