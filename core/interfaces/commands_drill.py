"""``nova drill``: the user's own configuration through shocks, and which promises held."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.interfaces.cli_app import (
    PANEL_CARE,
    Equity,
    JsonFlag,
    Seed,
    StateDir,
    StrategiesFile,
    TradingFile,
    command,
)
from core.interfaces.output import print_json, stdout_console
from core.model.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from core.runtime.drill import DrillReport, ShockResult

PICTURE_NAME = "drill.png"
REPORT_NAME = "drill.json"
NOT_TESTED = "not tested: the configuration held no position in two days of the sample"


@command(
    PANEL_CARE,
    ("nova drill", "your configuration through five shocks"),
    ("nova drill --shock gap --equity 500", "one of them, with your money"),
    ("nova drill --json", "for machines"),
)
def drill(
    shock: Annotated[
        list[str] | None,
        typer.Option(
            "--shock",
            metavar="NAME",
            help="crash, gap, funding, mark or void; may be repeated. All of them if unsaid.",
        ),
    ] = None,
    equity: Equity = 10_000.0,
    seed: Seed = 7,
    json_: JsonFlag = False,
    state_dir: StateDir = Path("logs"),
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Rehearse disaster on the simulated exchange: does every promise hold with your settings?

    Runs the configuration over the shipped market until it holds a position, then strikes against
    it: a crash, a gap through the stop, extreme funding, mark and oracle away from the book, a
    book that vanishes. Tells time to flat, worst equity, gaps of protection, and pass or fail for
    each promise, and draws it. Ends with exit code 10 if a promise broke or nothing was tested.
    """
    from core.interfaces.progress import progress_bar
    from core.runtime.drill import DrillOptions, run_drill
    from core.runtime.shocks import SHOCKS

    known = tuple(each.name for each in SHOCKS)
    for name in shock or ():
        if name not in known:
            raise typer.BadParameter(f"--shock should be one of {', '.join(known)}, was {name!r}")
    options = DrillOptions(
        shocks=tuple(shock) if shock else known,
        equity_usdc=equity,
        seed=seed,
        state_dir=state_dir,
        trading_path=trading,
        strategies_path=strategies,
    )
    with progress_bar("drill") as advance:
        report = run_drill(options, on_progress=advance)
    files = _write(report)
    if json_:
        print_json(_document(report, files))
    else:
        _print(report, files)
    raise typer.Exit(int(ExitCode.OK if report.is_passed else ExitCode.HALTED_BY_RISK))


def _document(report: DrillReport, files: tuple[Path, Path]) -> dict[str, object]:
    import msgspec

    results = []
    for result in report.results:
        row = msgspec.to_builtins(result)
        del row["curve"]
        results.append({**row, "is_passed": result.is_passed})
    return {"ok": report.is_passed, "results": results, "files": [str(path) for path in files]}


def _write(report: DrillReport) -> tuple[Path, Path]:
    """Write the report and its picture into the drill's folder."""
    import msgspec

    from core.analytics.drill_picture import DrillPanel, draw_drill
    from core.utils.atomic import atomic_write

    directory = Path(report.directory)
    picture, data = directory / PICTURE_NAME, directory / REPORT_NAME
    atomic_write(data, msgspec.json.format(msgspec.json.encode(report), indent=2))
    draw_drill(
        [
            DrillPanel(
                title=result.title,
                curve=result.curve,
                flat_after_s=result.flat_after_s,
                verdict=_verdict(result),
                note=_numbers(result),
            )
            for result in report.results
        ],
        picture,
    )
    return picture, data


def _verdict(result: ShockResult) -> str:
    if not result.is_struck:
        return "not tested"
    return "passed" if result.is_passed else "failed"


def _numbers(result: ShockResult) -> str:
    if not result.is_struck:
        return NOT_TESTED
    flat = (
        "not closed" if result.flat_after_s is None else f"flat after {result.flat_after_s:.0f} s"
    )
    lost = result.equity_before_usdc - result.equity_worst_usdc
    return f"{result.held}; {flat}; worst {result.equity_worst_usdc:,.2f} USDC (−{lost:,.2f})"


def _print(report: DrillReport, files: tuple[Path, Path]) -> None:
    console = stdout_console()
    for result in report.results:
        console.print(_lines(result))
    verdict = "every promise held" if report.is_passed else "NOT every promise held"
    console.print(verdict, style="bold green" if report.is_passed else "bold red")
    for path in files:
        console.print(str(path), markup=False, soft_wrap=True)


def _lines(result: ShockResult) -> RenderableType:
    from rich.text import Text

    styles = {"passed": "green", "failed": "bold red"}
    text = Text(f"{result.title}: ", "bold")
    text.append(_verdict(result), styles.get(_verdict(result), "yellow"))
    text.append(f"\n  {_numbers(result)}", "dim")
    for promise in result.promises:
        mark, style = ("✓", "green") if promise.is_kept else ("✗", "bold red")
        text.append(f"\n  {mark} {promise.name}: ", style)
        text.append(promise.detail)
    return text
