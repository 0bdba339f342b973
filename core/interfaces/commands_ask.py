"""Commands that ask a running bot, and those that look before there is one.

``status``, ``positions``, ``orders``, ``pnl``, ``config`` and ``shell`` talk to the bot's control
socket; ``config --check`` and ``doctor`` need no bot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.interfaces.cli_app import (
    FLAG,
    PANEL_ASK,
    PANEL_CARE,
    PANEL_RISK,
    Account,
    BaseUrl,
    JsonFlag,
    StateDir,
    StrategiesFile,
    TradingFile,
    command,
)
from core.interfaces.output import print_json, stdout_console
from core.interfaces.remote import ask_now, typed
from core.model.codes import Mode
from core.model.errors import ExitCode

if TYPE_CHECKING:
    from core.model.status import SystemStatus

STATE_DIR = Path("logs")


def _status(state_dir: Path) -> tuple[Any, SystemStatus]:
    """Return the running bot's status as it came and as a struct."""
    from core.model.status import SystemStatus

    data = ask_now(state_dir, "status")
    return data, typed(data, SystemStatus)


@command(
    PANEL_ASK,
    ("nova status", "everything on one screen"),
    ("nova status --json | jq .equity_micro", "for machines; money in millionths"),
)
def status(json_: JsonFlag = False, state_dir: StateDir = STATE_DIR) -> None:
    """Show the running bot: account, limits, coins and why each is not traded."""
    data, picture = _status(state_dir)
    if json_:
        print_json(data)
        return
    from core.interfaces.terminal_view import render
    from core.runtime.watchdog_state import describe, read_state
    from core.utils.clock import SystemClock

    console = stdout_console()
    console.print(render(picture))
    if picture.mode in (Mode.LIVE, Mode.TESTNET):
        switch = describe(read_state(state_dir), SystemClock().now_ns())
        console.print(f"dead man's switch: {switch}", markup=False, soft_wrap=True)


@command(
    PANEL_ASK,
    ("nova positions", "size, entry, stop, open PnL"),
)
def positions(json_: JsonFlag = False, state_dir: StateDir = STATE_DIR) -> None:
    """List the open positions of the running bot."""
    from core.interfaces import tables

    _, picture = _status(state_dir)
    if json_:
        print_json({"positions": tables.positions_rows(picture)})
        return
    stdout_console().print(tables.positions_table(picture))


@command(
    PANEL_ASK,
    ("nova orders", "what works at the venue now"),
)
def orders(json_: JsonFlag = False, state_dir: StateDir = STATE_DIR) -> None:
    """List the orders of the running bot that work or are in flight."""
    from core.interfaces import tables

    _, picture = _status(state_dir)
    if json_:
        print_json({"orders": tables.orders_rows(picture)})
        return
    stdout_console().print(tables.orders_table(picture))


@command(
    PANEL_ASK,
    ("nova pnl", "net of fees and funding, so far"),
)
def pnl(json_: JsonFlag = False, state_dir: StateDir = STATE_DIR) -> None:
    """Show what the running session has earned and lost so far, and where."""
    data = ask_now(state_dir, "pnl")
    if json_:
        print_json(data)
        return
    from core.interfaces.summary_view import report_tables

    stdout_console().print(report_tables(data))


@command(
    PANEL_ASK,
    ("nova config", "what the running bot was started with"),
    ("nova config --check", "validate the files in configs/ and show what they mean"),
    ("nova config --check --trading my.json", "validate another file"),
)
def config(
    check: Annotated[
        bool,
        typer.Option("--check", metavar=FLAG, help="Validate files instead; needs no running bot."),
    ] = False,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Show the effective configuration, every default included."""
    if check:
        import msgspec

        from core.runtime.compose import load_config

        data = msgspec.to_builtins(load_config(trading, strategies))
    else:
        data = ask_now(state_dir, "config")
    if json_:
        print_json(data)
        return
    console = stdout_console()
    if check:
        console.print("The configuration is valid.", style="green")
    for line in config_lines(data):
        console.print(line, markup=False, soft_wrap=True)


def config_lines(data: Any, prefix: str = "") -> list[str]:
    """Write nested configuration as ``path = value`` lines."""
    import msgspec

    if isinstance(data, dict) and data:
        lines = []
        for key, value in data.items():
            lines.extend(config_lines(value, f"{prefix}.{key}" if prefix else str(key)))
        return lines
    return [f"{prefix} = {msgspec.json.encode(data).decode()}"]


@command(
    PANEL_ASK,
    ("nova shell", "then: help, status, pause, flatten, exit"),
    ("nova shell -c 'stop_strategy scalping'", "one command, then out"),
    ("nova shell < commands.txt", "a file or a pipe, one command a line"),
)
def shell(
    command: Annotated[
        str | None, typer.Option("-c", "--command", help="Run one command and leave.")
    ] = None,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Talk to the running bot: pause, resume, halt, flatten, strategies and more.

    Leaving the shell leaves the bot running. Lines from a file or a pipe are carried out one
    after the other; the exit code is that of the first line that failed.
    """
    import sys

    from core.interfaces.cli_interface import CLIInterface

    interface = CLIInterface(state_dir)
    if command is None:
        if json_:
            raise typer.BadParameter("--json needs a command: nova shell --json -c status")
        if not sys.stdin.isatty():
            raise typer.Exit(int(interface.run_lines(sys.stdin)))
        interface.start()
        return
    answer = interface.process_command(command)
    code = interface.exit_code
    if json_:
        print_json({"ok": code == ExitCode.OK, "answer": answer, "exit_code": int(code)})
    else:
        typer.echo(answer, err=code != ExitCode.OK)
    raise typer.Exit(int(code))


@command(
    PANEL_CARE,
    ("nova doctor", "everything that nova run --testnet needs"),
    ("nova doctor --live", "everything that nova run --live needs"),
)
def doctor(
    live: Annotated[
        bool,
        typer.Option("--live", metavar=FLAG, help="Look at mainnet.", rich_help_panel=PANEL_RISK),
    ] = False,
    account: Account = None,
    base_url: BaseUrl = None,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Look before trading: machine, configuration, key, account, money, plan, budgets.

    Only reads; nothing is placed or changed. Each finding says why it matters and how to mend it.
    Ends with the exit code of the first finding that would keep nova run from trading: 3
    configuration or money, 4 key or account, 6 venue, 12 clock, 1 this machine; nova run asks the
    same and refuses in the same words.
    """
    import asyncio

    import msgspec

    from core.runtime.compose import URL_MAINNET, URL_TESTNET
    from core.runtime.doctor import examine
    from core.runtime.findings import exit_code_of
    from core.runtime.options import LiveOptions

    options = LiveOptions(
        mode=Mode.LIVE if live else Mode.TESTNET,
        base_url=base_url or (URL_MAINNET if live else URL_TESTNET),
        account=account,
        state_dir=state_dir,
        trading_path=trading,
        strategies_path=strategies,
    )
    diagnosis = asyncio.run(examine(options))
    code = exit_code_of(diagnosis.checks)
    if json_:
        print_json(
            {
                "ok": code == ExitCode.OK,
                "exit_code": int(code),
                "checks": msgspec.to_builtins(diagnosis.checks),
                "identity": msgspec.to_builtins(diagnosis.identity),
            }
        )
    else:
        from core.interfaces.tables import checks_table, identity_tree

        console = stdout_console()
        if diagnosis.identity is not None:
            console.print(identity_tree(diagnosis.identity))
        console.print(checks_table(diagnosis.checks))
    raise typer.Exit(int(code))
