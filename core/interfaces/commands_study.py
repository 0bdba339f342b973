"""``nova backtest``, ``nova replay``, ``nova exchange``: work on recorded data.

What a backtest assumes and what a replay compares belongs to the runtime; here data is named and
results are shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
VenuePort = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65_535, help="Where to listen, 0: any free; 3001 if unsaid."),
]
VenueHost = Annotated[
    str | None, typer.Option("--host", help="Address to listen on; 127.0.0.1 if unsaid.")
]
VenueSpeed = Annotated[
    float | None,
    typer.Option("--speed", help="Market seconds per second; 1 if unsaid, the clock of the world."),
]
VenueSeed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Depth, path within a bar, latency.")
]
VenueStart = Annotated[
    str | None,
    typer.Option("--start", metavar="MOMENT", help="First moment, UTC, as 2025-05-06T00:00."),
]
VenueFunds = Annotated[
    list[str] | None,
    typer.Option("--fund", metavar="0x…=USDC", help="Give an account play money; may be repeated."),
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


@command(
    PANEL_CARE,
    ("nova exchange --fund 0xADDRESS=10000", "on port 3001, with an account that has play money"),
    ("nova exchange --port 3001 --speed 60", "an hour of market each minute"),
    ("nova exchange --port 0 --start 2025-05-06T00:00", "a free port, from that moment on"),
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def exchange(
    ctx: typer.Context,
    port: VenuePort = None,
    host: VenueHost = None,
    speed: VenueSpeed = None,
    seed: VenueSeed = None,
    start: VenueStart = None,
    coins: SampleCoins = None,
    fund: VenueFunds = None,
) -> None:
    """Run the local exchange alone; it speaks Hyperliquid's protocol on loopback.

    Any client can talk to it, the official SDK included. It prints one JSON line when it serves
    and runs until Ctrl-C. docs/EXCHANGE.md tells what it serves and how to test a bot with it.
    """
    from core.simulation.server import main

    given = {
        "--port": port,
        "--host": host,
        "--speed": speed,
        "--seed": seed,
        "--start": start,
        "--coins": coins,
    }
    words = [word for name, v in given.items() if v is not None for word in (name, str(v))]
    words += [word for pair in fund or () for word in ("--fund", pair)]
    raise typer.Exit(int(main([*words, *ctx.args]) or 0))
