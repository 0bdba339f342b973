"""The end of a session, told: what it earned or lost, where, and where the files are.

Numbers come from `core.analytics`; here they get their order, their words and one honest
sentence. Nothing is computed but shares for display.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from core.analytics.report import PerformanceReport
from core.analytics.summary import (
    TABLE_HEAD,
    SummaryRow,
    TableRow,
    attribution_tables,
    summary_rows,
)
from core.interfaces import text as t
from core.interfaces.output import note, print_json, stdout_console
from core.interfaces.remote import typed
from core.interfaces.tables import simple_table
from core.interfaces.terminal_view import MODE_STYLES
from core.model.errors import ExitCode
from core.model.time import utc_text

if TYPE_CHECKING:
    from core.model.record import SessionRecord
    from core.runtime.options import Outcome

WIDTH_TWO_COLUMNS = 110
WIDTH_ALL_COLUMNS = 90
TABLES_SHOWN = ("Strategy", "Coin")
_SIGN_STYLES = {1: "green", 0: "", -1: "red"}
SURE_ERRORS = 2.0
"""Standard errors from zero under which a Sharpe ratio says nothing."""


def tell_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print the summary of a finished session, draw its pictures and name its files."""
    from core.analytics.performance_tracker import PerformanceTracker

    report = PerformanceTracker().track_metrics(outcome.record)
    pictures = draw_pictures(outcome.record, outcome.directory)
    if as_json:
        print_json(outcome_document(outcome, report, pictures))
        return
    console = stdout_console()
    console.print(report_view(report))
    console.print(_ending(outcome))
    for picture in pictures:
        console.print(Text(f"Picture  {picture}"), soft_wrap=True)
    console.print(Text(f"Journal  {outcome.journal_path}"), soft_wrap=True)


def draw_pictures(record: SessionRecord, directory: Path) -> tuple[Path, ...]:
    """Draw the equity and price pictures; what cannot be written is said and left out."""
    from core.analytics.backtest_visualizer import BacktestVisualizer

    try:
        paths = BacktestVisualizer().visualize_backtest(record, directory)
    except OSError as error:
        note(f"nova: the pictures should be written to {directory}, were not: {error}")
        return ()
    return paths.png, paths.html


def outcome_document(
    outcome: Outcome, report: PerformanceReport, pictures: Sequence[Path]
) -> dict[str, Any]:
    """Return the whole end of a session as one JSON-ready document."""
    import msgspec

    return {
        "ok": outcome.exit_code == ExitCode.OK,
        "session": outcome.record.session,
        "mode": outcome.record.mode.value,
        "reason": outcome.reason,
        "exit_code": int(outcome.exit_code),
        "verdict": " ".join(verdict(report)),
        "report": msgspec.to_builtins(report),
        "pictures": [str(path) for path in pictures],
        "directory": str(outcome.directory),
        "journal": str(outcome.journal_path),
    }


def report_tables(data: Any) -> RenderableType:
    """Draw a report that came as plain data from a running bot."""
    return report_view(typed(data, PerformanceReport))


def report_view(report: PerformanceReport) -> RenderableType:
    """Draw one report: the result and its parts, how it came about, and whom it came from."""
    return _ReportView(report)


class _ReportView:
    """A report that lays its groups out in one column or two, as the width allows."""

    def __init__(self, report: PerformanceReport) -> None:
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        report = self._report
        yield Text()
        yield _title(report)
        yield Text()
        yield _groups(summary_rows(report), is_wide=options.max_width >= WIDTH_TWO_COLUMNS)
        tables = attribution_tables(report)
        for title in TABLES_SHOWN:
            if len(tables[title]) > 1:
                is_narrow = options.max_width < WIDTH_ALL_COLUMNS
                yield _attribution(title, tables[title], is_narrow=is_narrow)
        yield Text()
        yield Text(" ".join(verdict(report)), "bold")
        for assumption in report.assumptions:
            yield Text(f"Assumed: {t.clean(assumption).rstrip('.')}.", "dim")
        yield Text()


def _title(report: PerformanceReport) -> Text:
    line = Text.assemble((f" {report.mode.value.upper()} ", MODE_STYLES[report.mode]))
    line.append(f"  {t.clean(report.session)}", "bold")
    line.append(f"  {utc_text(report.start_ns)} to {utc_text(report.end_ns)} UTC", "dim")
    return line


def verdict(report: PerformanceReport) -> Iterator[str]:
    """Say in plain words what the numbers mean, a loss first."""
    parts = report.attribution
    net = parts.net_pnl_micro
    if not report.execution.fill_count:
        yield "Nothing was traded, so there is nothing to judge."
        return
    if net < 0:
        yield f"The strategies lost {t.money_text(-net)} USDC after fees and funding."
        if parts.price_pnl_micro > 0:
            yield (
                f"Prices alone earned {t.money_text(parts.price_pnl_micro)}; costs made it a loss."
            )
    elif net > 0:
        yield f"The strategies earned {t.money_text(net)} USDC after fees and funding."
    else:
        yield "The strategies neither earned nor lost."
    sharpe = report.risk.sharpe
    if sharpe is None:
        yield "The session is too short to tell skill from luck."
    elif abs(sharpe.value) < SURE_ERRORS * sharpe.standard_error:
        yield (
            "Its Sharpe ratio is within two standard errors of zero: "
            "luck explains it as well as skill."
        )


def _groups(rows: Sequence[SummaryRow], *, is_wide: bool) -> RenderableType:
    """Draw the groups of headline numbers one below the other, or in two columns."""
    groups = [
        _group(name, list(members))
        for name, members in itertools.groupby(rows, key=lambda row: row.group)
    ]
    if not is_wide:
        return Group(*groups)
    half = math.ceil(len(groups) / 2)
    grid = Table.grid(padding=(0, 4))
    grid.add_row(Group(*groups[:half]), Group(*groups[half:]))
    return grid


def _group(name: str, rows: Sequence[SummaryRow]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(width=26, no_wrap=True)
    table.add_column(width=14, justify="right", no_wrap=True)
    table.add_column(style="dim")
    table.add_row(Text(name, "bold cyan"))
    for row in rows:
        is_part = row.label.startswith(" ")
        style = "" if is_part or not row.sign else "bold"
        colour = _SIGN_STYLES[row.sign]
        table.add_row(Text(row.label, style), Text(row.value, f"{style} {colour}"), row.unit)
    table.add_row()
    return table


def _attribution(title: str, rows: Sequence[TableRow], *, is_narrow: bool) -> RenderableType:
    """Draw one attribution table; the last row is the total."""
    table = simple_table(*_cells(TABLE_HEAD, title, is_narrow))
    for row in rows[:-1]:
        table.add_row(*_cells(row, t.clean(row.key) or t.NOTHING, is_narrow))
    table.add_section()
    table.add_row(*_cells(rows[-1], "all", is_narrow))
    return table


def _cells(row: TableRow, key: str, is_narrow: bool) -> tuple[Any, ...]:
    """Return one row's cells in the order in which they are read: parts, then the net."""
    net = row.net if row is TABLE_HEAD else Text(row.net, _SIGN_STYLES[row.sign])
    name = key if row is TABLE_HEAD else Text(key)
    traded = () if is_narrow else (row.traded,)
    return (name, row.trades, row.win_rate, *traded, row.price, row.fees, row.funding, net)


def _ending(outcome: Outcome) -> Text:
    is_fine = outcome.exit_code == ExitCode.OK
    text = f"Ended: {t.clean(outcome.reason) or 'in order'}"
    if not is_fine:
        text += f" (exit code {int(outcome.exit_code)}, {outcome.exit_code.name})"
    return Text(text, "" if is_fine else "bold red")
