"""``nova flatten`` and ``nova watchdog``: close the account, by hand or when the bot falls silent.

Both talk to the venue themselves. A bot that still answers on this machine is halted first, so that
it does not trade against the closing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.interfaces import arguments
from core.interfaces.cli_app import (
    FLAG,
    PANEL_OUTPUT,
    PANEL_RISK,
    PANEL_TRADE,
    Account,
    BaseUrl,
    JsonFlag,
    StateDir,
    command,
)
from core.interfaces.output import note, print_json, stdout_console
from core.model.codes import Mode, OperatorAction
from core.model.errors import ConsentError, ExitCode, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from core.runtime.flatten import Picture
    from core.runtime.options import LiveOptions
    from core.runtime.rescue import RescueReport
    from core.runtime.watchdog_state import WatchdogState

STATE_DIR = Path("logs")
WATCHDOG_LOG = "watchdog.log"
CONSENT_WORD = "flatten"


@command(
    PANEL_TRADE,
    ("nova flatten --testnet", "shows what it would close, and asks"),
    ("nova flatten --live --yes", "closes at once: for the moment that matters"),
    ("nova flatten --live --orders-only", "cancels orders, leaves positions and their stops"),
)
def flatten(
    live: Annotated[
        bool, typer.Option("--live", metavar=FLAG, help="On mainnet.", rich_help_panel=PANEL_RISK)
    ] = False,
    testnet: Annotated[
        bool,
        typer.Option("--testnet", metavar=FLAG, help="On testnet.", rich_help_panel=PANEL_RISK),
    ] = False,
    orders_only: Annotated[
        bool,
        typer.Option(
            "--orders-only", metavar=FLAG, help="Cancel orders; positions keep their stops."
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", metavar=FLAG, help="Do not ask.", rich_help_panel=PANEL_OUTPUT),
    ] = False,
    account: Account = None,
    base_url: BaseUrl = None,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Cancel all orders and close all positions now, with the bot running or dead.

    Positions are closed with reduce-only orders that take what rests near the touch, further out
    each round, until the venue itself says that nothing is left. Stops stay until their position
    is gone. Starting it twice does nothing twice. Spot balances are not touched, only named. What
    was done is written to incident-*.json in the state directory. Ends with exit code 10 if
    something is left, which is then listed.
    """
    import asyncio

    mode = _mode(live, testnet, "nova flatten")
    report = asyncio.run(
        _flatten(
            mode,
            account=account,
            base_url=base_url,
            state_dir=state_dir,
            closes_positions=not orders_only,
            is_asked=not (yes or json_),
        )
    )
    if json_:
        import msgspec

        print_json({"ok": report.is_done, "report": msgspec.to_builtins(report)})
    else:
        _print_report(report)
    raise typer.Exit(int(ExitCode.OK if report.is_done else ExitCode.HALTED_BY_RISK))


def _mode(live: bool, testnet: bool, command_name: str) -> Mode:
    if live == testnet:
        raise typer.BadParameter("name one of --live and --testnet", param_hint=command_name)
    return Mode.LIVE if live else Mode.TESTNET


async def _flatten(
    mode: Mode,
    *,
    account: str | None,
    base_url: str | None,
    state_dir: Path,
    closes_positions: bool,
    is_asked: bool,
) -> RescueReport:
    from core.runtime.flatten import look
    from core.runtime.live import client_for
    from core.runtime.options import LiveOptions
    from core.runtime.rescue import Rescuer
    from core.utils.clock import SystemClock

    clock = SystemClock()
    options = LiveOptions(mode=mode, base_url=base_url, account=account, state_dir=state_dir)
    api = client_for(options, clock=clock)
    await api.connect()
    try:
        if is_asked:
            _ask(await look(api), mode, closes_positions=closes_positions)
        await _halt_bot(state_dir)
        return await Rescuer(api, clock, state_dir).close(
            "closed by hand with nova flatten",
            closes_positions=closes_positions,
            on_round=_tell_round,
        )
    finally:
        await api.close()


async def _halt_bot(state_dir: Path) -> None:
    """Halt a bot that still answers; a dead or deaf one is no hindrance."""
    from core.interfaces.remote import RequestRefusedError, ask

    try:
        await ask(
            state_dir,
            "operate",
            action=OperatorAction.HALT.value,
            who="nova flatten",
            reason="the account is closed by hand",
        )
    except NotRunningError:
        note("no bot answers here; closing directly at the venue")
    except RequestRefusedError as error:
        note(f"the running bot did not halt ({error}); closing directly at the venue")
    else:
        note("the running bot is halted")


def _ask(picture: Picture, mode: Mode, *, closes_positions: bool) -> None:
    """Say the consequence in words and numbers, and wait for the word."""
    import sys

    if picture.is_flat:
        return
    note(
        f"On {mode.value} this cancels {len(picture.orders)} orders"
        + (
            f" and closes {len(picture.positions)} positions at market:"
            if closes_positions
            else "."
        )
    )
    for line in _position_lines(picture):
        note(line)
    if not sys.stdin.isatty():
        raise ConsentError(
            "closing an account should be agreed to, nobody is there to ask; add --yes"
        )
    word = typer.prompt(f"Type {CONSENT_WORD} to go on", err=True)
    if word.strip().lower() != CONSENT_WORD:
        raise ConsentError(f"the answer should be {CONSENT_WORD}, was {word!r}; nothing was sent")


def _position_lines(picture: Picture) -> list[str]:
    return [
        f"  {p.coin} {'long' if p.position_lots > 0 else 'short'} {abs(p.position_lots)} lots, "
        f"entry {p.entry_price:g}"
        for p in picture.positions
    ]


def _tell_round(number: int, picture: Picture) -> None:
    note(
        f"round {number}: {len(picture.orders)} orders, {len(picture.positions)} positions "
        "at the venue"
    )


def _print_report(report: RescueReport) -> None:
    from core.runtime.rescue import spot_text

    console, done = stdout_console(), report.flatten
    if report.is_done and done.is_flat:
        console.print("flat: the venue holds no order and no position of this account")
    elif report.is_done:
        console.print("orders are cancelled; positions stand, with their stops:")
    else:
        console.print("NOT done; the venue still holds:")
    for line in _position_lines(done.after):
        console.print(line, markup=False)
    console.print(
        f"{done.cancelled_count} orders cancelled, {done.closing_orders_count} closing orders "
        f"sent in {done.rounds} rounds"
    )
    console.print(spot_text(report.spot), markup=False)
    for problem in done.problems:
        console.print(f"  {problem}", markup=False)
    if report.incident:
        console.print(f"written down in {report.incident}", markup=False, soft_wrap=True)


def _check_silence(value: float) -> float:
    from core.runtime.watchdog import SILENCE_SECONDS_MIN

    if value < SILENCE_SECONDS_MIN:
        raise typer.BadParameter(
            f"--silence should be at least {SILENCE_SECONDS_MIN:g}s, was {value:g}s"
        )
    return value


Silence = Annotated[
    float,
    typer.Option(
        "--silence",
        parser=arguments.duration_seconds,
        metavar="30s|2m",
        help="Silence of the bot after which the account is closed.",
    ),
]


@command(
    PANEL_TRADE,
    ("nova watchdog --testnet", "beside nova run --testnet, in another terminal"),
    ("nova watchdog --live --silence 1m", "a minute of patience"),
    ("nova watchdog --live --venue-switch", "the venue's scheduleCancel too, for maker books"),
)
def watchdog(
    live: Annotated[
        bool, typer.Option("--live", metavar=FLAG, help="On mainnet.", rich_help_panel=PANEL_RISK)
    ] = False,
    testnet: Annotated[
        bool,
        typer.Option("--testnet", metavar=FLAG, help="On testnet.", rich_help_panel=PANEL_RISK),
    ] = False,
    silence: Silence = "30s",  # type: ignore[assignment]  # read by the parser
    venue_switch: Annotated[
        bool,
        typer.Option(
            "--venue-switch",
            metavar=FLAG,
            help="Keep the venue's scheduleCancel set as well while no stop stands at the venue; "
            "needs 1,000,000 USDC of traded volume.",
            rich_help_panel=PANEL_RISK,
        ),
    ] = False,
    account: Account = None,
    base_url: BaseUrl = None,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Close the account if the bot falls silent; runs beside it, with a key of its own.

    Asks the bot in the state directory for signs of life. One that does not answer, or that
    answers and handles nothing any more, is silent. After the stated time it is told to halt, and
    all orders are cancelled and all positions closed, again and again until the venue says flat. A
    bot that ended in order is left alone, with its stops at the venue. The key is read from
    HYPERLIQUID_WATCHDOG_KEY: a second agent of the same account. Ctrl-C ends the watch.
    """
    import asyncio

    from core.runtime.options import LiveOptions

    _check_silence(silence)
    mode = _mode(live, testnet, "nova watchdog")
    options = LiveOptions(mode=mode, base_url=base_url, account=account, state_dir=state_dir)
    state = asyncio.run(_watch(options, silence=silence, venue_switch=venue_switch))
    if json_:
        import msgspec

        print_json({"ok": True, "watchdog": msgspec.to_builtins(state)})


async def _watch(options: LiveOptions, *, silence: float, venue_switch: bool) -> WatchdogState:
    """Watch until a signal; return the last state."""
    from core.runtime.rescue import Rescuer
    from core.runtime.watchdog import (
        SocketBot,
        Watchdog,
        poll_seconds_of,
        sole_watchdog,
        watchdog_client,
    )
    from core.utils.clock import SystemClock
    from core.utils.credential_manager import CredentialManager
    from core.utils.logger import configure

    clock, poll_seconds = SystemClock(), poll_seconds_of(silence)
    with sole_watchdog(options.state_dir):
        configure(file=options.state_dir / WATCHDOG_LOG)
        async with watchdog_client(options, CredentialManager(), clock) as (api, check_key):
            guard = Watchdog(
                api,
                SocketBot(options.state_dir, answer_seconds=poll_seconds),
                Rescuer(api, clock, options.state_dir),
                clock,
                options.state_dir,
                account=api.account or "",
                mode=options.mode.value,
                silence_seconds=silence,
                has_venue_switch=venue_switch,
                check_key=check_key,
            )
            note(f"watching {options.state_dir} for {api.account}; Ctrl-C ends the watch")
            await _until_signal(guard.run())
            return guard.state


async def _until_signal(work: Coroutine[None, None, None]) -> None:
    """Let work go on until Ctrl-C or SIGTERM, and let it clean up."""
    import asyncio
    import contextlib
    import signal

    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
