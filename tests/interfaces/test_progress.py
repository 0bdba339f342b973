"""Progress of long work stays on its own stream and never breaks on odd fractions."""

from __future__ import annotations

import io

from rich.console import Console

from core.interfaces.progress import progress_bar


def test_on_a_terminal_a_bar_is_drawn_and_removed() -> None:
    target = io.StringIO()
    console = Console(file=target, width=80, force_terminal=True)
    with progress_bar("backtest", console=console) as report:
        for fraction in (-1.0, 0.25, 2.0):
            report(fraction)
    assert "backtest" in target.getvalue()
    assert "100%" in target.getvalue()
    assert target.getvalue().endswith("\x1b[2K")


def test_without_a_terminal_there_are_two_plain_lines() -> None:
    target = io.StringIO()
    with progress_bar("replay", console=Console(file=target, width=80)) as report:
        report(0.5)
    assert target.getvalue() == "replay …\nreplay: done\n"
