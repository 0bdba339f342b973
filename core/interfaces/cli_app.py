"""The bones of the command line: the app, what every command shares, how errors end.

Commands hang themselves on `app` in the ``commands_*`` modules. An error a person can act on is
one message on stderr and its own exit code, never a traceback; with ``--json`` it is one JSON
document on stdout as well. This module knows no command and imports nothing heavy, so that
``nova --help`` answers at once.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from core.interfaces import arguments
from core.interfaces.output import print_error, print_json
from core.model.errors import ExitCode, NovaError

PANEL_TRADE = "Trade"
PANEL_ASK = "Ask a running bot"
PANEL_STUDY = "Study"
PANEL_CARE = "Look after"
PANEL_FILES = "Files"
PANEL_OUTPUT = "Output"
PANEL_RISK = "Real orders"

EXIT_CODE_MEANINGS = {
    ExitCode.OK: "all went well; a session that Ctrl-C ended too",
    ExitCode.INTERNAL: "a fault of this program or of the machine",
    ExitCode.USAGE: "the command line is not understood",
    ExitCode.CONFIG: "a configuration file is not usable",
    ExitCode.CREDENTIAL: "the key is missing, malformed or not the account's",
    ExitCode.CONSENT_MISSING: "real orders were not agreed to",
    ExitCode.VENUE_UNAVAILABLE: "the exchange cannot be reached",
    ExitCode.DATA_FILE: "a market data file is missing or malformed",
    ExitCode.JOURNAL: "the journal cannot be read or written",
    ExitCode.REPLAY_DIFFERS: "a replay differs from what was recorded",
    ExitCode.HALTED_BY_RISK: "a risk limit ended the session",
    ExitCode.PORT_IN_USE: "a port or a state directory is taken",
    ExitCode.CLOCK_SKEW: "this machine's clock is off",
    ExitCode.NOT_RUNNING: "no bot runs in that state directory",
}

HELP = """Hyperliquid Nova trades perpetuals on Hyperliquid, and brings its own exchange.

Start with [bold cyan]nova demo[/]: recorded market on your own machine, no key, no network.
Then [bold cyan]nova backtest[/] on your own candles, [bold cyan]nova paper[/] on the live market
with play money, and only then [bold cyan]nova run[/]."""


COMMAND_ORDER = (
    *("demo", "paper", "run", "flatten", "watchdog"),
    *("backtest", "replay"),
    *("status", "positions", "orders", "pnl", "config", "shell"),
    *("doctor", "drill", "exchange"),
)
FLAG = ""
"""Shown after an option that takes no value."""

Function = TypeVar("Function", bound=Callable[..., None])


def command(panel: str, *pairs: tuple[str, str], **settings: Any) -> Callable[[Function], Function]:
    """Hang a function on the app as a command.

    Its docstring becomes the help, each paragraph flowing to the width of the terminal, and
    ``pairs`` of an example and its meaning are shown below the options.
    """

    def hang(function: Function) -> Function:
        paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        hung = app.command(rich_help_panel=panel, help=text, epilog=_examples(pairs), **settings)
        return hung(function)

    return hang


def _examples(pairs: Sequence[tuple[str, str]]) -> str:
    width = max(len(command) for command, _ in pairs)
    lines = [f"  [cyan]{command:<{width}}[/]  [dim]{meaning}[/]" for command, meaning in pairs]
    return "\n".join(["[bold]Examples[/]", *lines])


def _exit_codes() -> str:
    lines = [f"  [cyan]{code.value:>2}[/]  {text}" for code, text in EXIT_CODE_MEANINGS.items()]
    return "\n".join(
        ["[bold]Exit codes[/]", *lines, "", "[dim]nova COMMAND --help teaches more.[/]"]
    )


class NovaGroup(TyperGroup):
    """A command group that turns the error tree into messages and exit codes."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the commands in the order in which a newcomer needs them."""
        return sorted(super().list_commands(ctx), key=COMMAND_ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what a person can act on ends in a message and an exit code."""
        try:
            return super().invoke(ctx)
        except NovaError as error:
            code, message = error.exit_code, str(error)
        except json.JSONDecodeError as error:
            code = ExitCode.CONFIG
            message = f"configuration should be JSON, was not: {error}; mend that line"
        except OSError as error:
            code = ExitCode.CONFIG if isinstance(error, FileNotFoundError) else ExitCode.INTERNAL
            message = f"the operating system refused: {error}"
        except KeyboardInterrupt:
            code, message = ExitCode.INTERNAL, "stopped by Ctrl-C before there was a result"
        print_error(message)
        if ctx.meta.get("json"):
            print_json({"ok": False, "error": message, "exit_code": int(code)})
        raise typer.Exit(int(code))


def _remember_json(ctx: typer.Context, value: bool) -> bool:
    ctx.meta["json"] = value
    return value


def _check_equity(value: float) -> float:
    return arguments.positive(value, "--equity")


JsonFlag = Annotated[
    bool,
    typer.Option(
        "--json",
        metavar=FLAG,
        callback=_remember_json,
        help="Print one JSON document on stdout; progress goes to stderr.",
        rich_help_panel=PANEL_OUTPUT,
    ),
]
StateDir = Annotated[
    Path,
    typer.Option(
        "--state-dir",
        file_okay=False,
        metavar="DIR",
        help="Where sessions keep journals, logs and pictures, and where a running bot listens.",
        rich_help_panel=PANEL_FILES,
    ),
]
TradingFile = Annotated[
    Path | None,
    typer.Option(
        "--trading",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="What may be risked; otherwise configs/trading_params.json where it exists.",
        rich_help_panel=PANEL_FILES,
    ),
]
StrategiesFile = Annotated[
    Path | None,
    typer.Option(
        "--strategies",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="How strategies decide; otherwise configs/strategies_config.json where it exists.",
        rich_help_panel=PANEL_FILES,
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(
        "--duration",
        parser=arguments.duration_seconds,
        metavar="90s|5m|2h",
        help="Stop in order after this much time on your clock.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same market.")]
Equity = Annotated[
    float,
    typer.Option("--equity", callback=_check_equity, help="Play money to start with, in USDC."),
]
Headless = Annotated[
    bool,
    typer.Option(
        "--headless",
        metavar=FLAG,
        help="One plain line every few seconds instead of the live view.",
        rich_help_panel=PANEL_OUTPUT,
    ),
]
Gui = Annotated[
    bool,
    typer.Option(
        "--gui",
        metavar=FLAG,
        help="Serve a page on loopback too; its address is printed and known only to you.",
        rich_help_panel=PANEL_OUTPUT,
    ),
]
Account = Annotated[
    str | None,
    typer.Option("--account", metavar="0x…", help="Master address; otherwise HYPERLIQUID_ACCOUNT."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        parser=arguments.web_address,
        metavar="URL",
        help="Another exchange that speaks the protocol.",
    ),
]

app = typer.Typer(
    name="nova",
    cls=NovaGroup,
    help=HELP,
    epilog=_exit_codes(),
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        import core

        typer.echo(f"nova {core.__version__}")
        raise typer.Exit


@app.callback()
def _nova(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            metavar=FLAG,
            callback=_print_version,
            is_eager=True,
            help="Say which nova.",
        ),
    ] = False,
) -> None:
    """Exist so that options of ``nova`` itself can be given before a command."""
