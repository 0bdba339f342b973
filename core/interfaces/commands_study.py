"""``nova backtest``, ``nova replay``, ``nova exchange``: work on recorded data.

What a backtest assumes and what a replay compares belongs to the runtime; here data is named and
results are shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core.interfaces import arguments
from core.interfaces.cli_app import (
    FLAG,
    PANEL_CARE,
    PANEL_FILES,
    PANEL_STUDY,
    Equity,
    JsonFlag,
    Seed,
    StrategiesFile,
    TradingFile,
    command,
)
from core.interfaces.output import print_json, stdout_console
from core.model.time import utc_text
from core.simulation.wire.options import OPTIONS, OptionSpec

DataPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="COIN=FILE",
        help="Candles of one coin, Parquet or CSV; give it once per coin.",
    ),
]
SampleFlag = Annotated[
    bool,
    typer.Option(
        "--sample",
        metavar=FLAG,
        help="Use the market data that ships with nova; so it is without --data.",
    ),
]
SampleCoins = Annotated[
    str | None,
    typer.Option("--coins", metavar="BTC,ETH", help="Coins of the sample to trade."),
]
FromDate = Annotated[
    int | None,
    typer.Option("--from", parser=arguments.date_ns, metavar="DATE", help="First moment, UTC."),
]
ToDate = Annotated[
    int | None,
    typer.Option(
        "--to", parser=arguments.date_ns, metavar="DATE", help="Moment to stop before, UTC."
    ),
]
OutDir = Annotated[
    Path,
    typer.Option(
        "--out",
        "--state-dir",
        file_okay=False,
        metavar="DIR",
        help="Where the journal and the pictures go.",
        rich_help_panel=PANEL_FILES,
    ),
]


@command(
    PANEL_STUDY,
    ("nova backtest", "the shipped two weeks of BTC, ETH, SOL"),
    ("nova backtest --data BTC=btc.parquet --data ETH=eth.csv", "your own candles"),
    ("nova backtest --from 2025-05-06 --to 2025-05-08", "a part of them"),
    ("nova backtest --json", "one JSON document"),
)
def backtest(
    data: DataPairs = None,
    sample: SampleFlag = False,
    coins: SampleCoins = None,
    from_: FromDate = None,
    to: ToDate = None,
    equity: Equity = 10_000.0,
    seed: Seed = 7,
    out: OutDir = Path("logs"),
    json_: JsonFlag = False,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Run the one path over recorded candles, and show what came of it.

    The engine, the strategies and the risk limits are those of live trading; the exchange is the
    simulated one, in process and on virtual time. Without --data it runs over the sample that
    ships with nova. Candle files are Parquet or CSV with the columns ts_ms (UTC milliseconds),
    open, high, low, close, volume.
    """
    from core.interfaces.progress import progress_bar
    from core.interfaces.summary_view import tell_outcome
    from core.runtime.options import BacktestOptions

    if data and sample:
        raise typer.BadParameter("name one of --data COIN=FILE and --sample, not both")
    if data and coins:
        raise typer.BadParameter("--coins chooses from the sample; --data names its own coins")
    if from_ is not None and to is not None and from_ >= to:
        raise typer.BadParameter(
            f"--from should be before --to, was {utc_text(from_)} and {utc_text(to)}"
        )
    options = BacktestOptions(
        data=arguments.data_files(data) if data else None,
        start_ns=from_,
        end_ns=to,
        seed=seed,
        coins=arguments.coin_names(coins) if coins else None,
        equity_usdc=equity,
        state_dir=out,
        trading_path=trading,
        strategies_path=strategies,
    )
    from core.runtime.backtest import run_backtest

    with progress_bar("backtest") as report:
        outcome = run_backtest(options, on_progress=report)
    tell_outcome(outcome, as_json=json_)
    raise typer.Exit(int(outcome.exit_code))


@command(
    PANEL_STUDY,
    ("nova replay logs/demo-20250505T120000", "a session's folder"),
    ("nova replay journal.sqlite --json", "a journal, one JSON document"),
)
def replay(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", exists=True, help="A journal, or the folder of a session."),
    ],
    json_: JsonFlag = False,
) -> None:
    """Prove a session: its events must give the same decisions and the same state again.

    Every step and every checkpoint of the journal is compared. A difference ends with exit
    code 9 and names the first step that differs.
    """
    from core.interfaces.progress import progress_bar
    from core.runtime.replay import replay_journal

    journal = path / "journal.sqlite" if path.is_dir() else path
    with progress_bar("replay") as report:
        outcome = replay_journal(journal, on_progress=report)
    if json_:
        print_json({"ok": True, "journal": str(journal), **_as_dict(outcome)})
        return
    stdout_console().print(
        f"{outcome.session} replayed: {outcome.event_count:,} events gave the same "
        f"{outcome.step_count:,} steps and {outcome.checkpoint_count:,} checkpoints.\n"
        f"State hash {outcome.state_hash}",
        markup=False,
    )


def _as_dict(struct: object) -> dict[str, object]:
    import msgspec

    return dict(msgspec.to_builtins(struct))


def _with_venue_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the exchange, as texts for the exchange itself to read."""
    signature = inspect.signature(function)
    context = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    options = [
        inspect.Parameter(
            spec.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if spec.metavar else False,
            annotation=_venue_option(spec),
        )
        for spec in OPTIONS
    ]
    function.__signature__ = signature.replace(parameters=[*context, *options])  # type: ignore[attr-defined]
    return function


def _venue_option(spec: OptionSpec) -> Any:
    if not spec.metavar:
        return Annotated[bool, typer.Option(spec.flag, metavar=FLAG, help=spec.help)]
    kind: Any = list[str] if spec.is_repeated else str
    return Annotated[kind | None, typer.Option(spec.flag, metavar=spec.metavar, help=spec.help)]


@command(
    PANEL_CARE,
    ("nova exchange --fund 0xADDRESS=10000", "on port 3001, with an account that has play money"),
    ("nova exchange --port 3001 --speed 60", "an hour of market each minute"),
    ("nova exchange --market synthetic --faults faults.json", "a made market, and trouble"),
    ("nova exchange --port 0 --clock manual", "for tests: time moves when they say so"),
)
@_with_venue_options
def exchange(**given: Any) -> None:
    """Run the local exchange alone; it speaks Hyperliquid's protocol on loopback.

    Any client can talk to it, the official SDK included. It prints one JSON line when it serves
    and runs until Ctrl-C. docs/EXCHANGE.md tells what it serves and how to test a bot with it.
    """
    from core.simulation.server import main

    words: list[str] = []
    for spec in OPTIONS:
        value = given[spec.name]
        if not spec.metavar:
            words += [spec.flag] if value else []
        else:
            values = value or () if spec.is_repeated else () if value is None else (value,)
            words += [word for text in values for word in (spec.flag, text)]
    raise typer.Exit(int(main(words) or 0))
