"""``nova demo``, ``nova paper``, ``nova run``: sessions with somebody watching.

What a session does belongs to the runtime; here its options are read, its consent is asked for
and its end is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.interfaces import arguments
from core.interfaces.cli_app import (
    FLAG,
    PANEL_RISK,
    PANEL_TRADE,
    Account,
    BaseUrl,
    Duration,
    Equity,
    Gui,
    Headless,
    JsonFlag,
    Seed,
    StateDir,
    StrategiesFile,
    TradingFile,
    command,
)
from core.interfaces.output import is_terminal, note, print_json, stdout_console
from core.model.codes import Mode
from core.model.errors import ConsentError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from core.interfaces.session_view import OnReady, Page, Start, Viewer, Watched
    from core.runtime.options import Outcome

STATE_DIR = Path("logs")
SPEED_DEMO = 1440.0
SPEED_MAX = 20_000.0
ACCOUNT_TAIL = 4
ENDED_EARLY = "stopped before the session was up; nothing was traded"


def _check_speed(value: float) -> float:
    arguments.positive(value, "--speed")
    if value > SPEED_MAX:
        raise typer.BadParameter(f"--speed should be at most {SPEED_MAX:g}, was {value:g}")
    return value


LiveFlag = Annotated[
    bool,
    typer.Option("--live", metavar=FLAG, help="Mainnet: real money.", rich_help_panel=PANEL_RISK),
]
TestnetFlag = Annotated[
    bool,
    typer.Option(
        "--testnet", metavar=FLAG, help="Testnet: test money.", rich_help_panel=PANEL_RISK
    ),
]
ConsentFlag = Annotated[
    bool,
    typer.Option(
        "--i-understand-the-risk",
        metavar=FLAG,
        help="Agree that this program places real orders and may lose all of the account.",
        rich_help_panel=PANEL_RISK,
    ),
]
YesLiveFlag = Annotated[
    bool,
    typer.Option(
        "--yes-live",
        metavar=FLAG,
        help="The second yes that --live needs, for machines; people are asked instead.",
        rich_help_panel=PANEL_RISK,
    ),
]
Speed = Annotated[
    float,
    typer.Option("--speed", callback=_check_speed, help="Market seconds per second of your clock."),
]
DemoCoins = Annotated[
    str, typer.Option("--coins", metavar="BTC,ETH", help="Coins of the sample to trade.")
]
Port = Annotated[
    int,
    typer.Option("--port", min=0, max=65_535, help="Port of the local exchange, 0: any free."),
]


@command(
    PANEL_TRADE,
    ("nova demo", "a day of market each minute, live view"),
    ("nova demo --speed 360 --coins BTC", "slower, one coin"),
    ("nova demo --duration 90s --headless", "for logs and machines"),
    ("nova demo --duration 90s --json", "one JSON document at the end"),
)
def demo(
    speed: Speed = SPEED_DEMO,
    duration: Duration = None,
    seed: Seed = 7,
    coins: DemoCoins = "BTC,ETH,SOL",
    equity: Equity = 10_000.0,
    port: Port = 0,
    headless: Headless = False,
    gui: Gui = False,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Watch the whole system trade recorded market data on your own machine.

    Starts the local exchange on loopback, funds an account with play money, and runs the bot
    against it as it would run against mainnet: same client, same signing, same engine. Needs no
    account, no key and no network. Ctrl-C ends it in order: orders are cancelled and the summary
    is printed.
    """
    from core.runtime.options import DemoOptions

    options = DemoOptions(
        speed=speed,
        duration_s=duration,
        seed=seed,
        coins=arguments.coin_names(coins),
        state_dir=state_dir,
        trading_path=trading,
        strategies_path=strategies,
        port=port,
        equity_usdc=equity,
    )

    def start(on_ready: OnReady) -> Awaitable[Outcome]:
        from core.runtime.demo import run_demo

        return run_demo(options, on_ready=on_ready)

    _watch_session(start, title="nova demo", headless=headless, gui=gui, as_json=json_)


@command(
    PANEL_TRADE,
    ("nova paper", "mainnet's market, play money"),
    ("nova paper --equity 500 --duration 8h", "your size, one working day"),
    ("nova paper --base-url http://127.0.0.1:3001", "a local exchange's market"),
)
def paper(
    duration: Duration = None,
    equity: Equity = 10_000.0,
    seed: Seed = 7,
    base_url: BaseUrl = None,
    headless: Headless = False,
    gui: Gui = False,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Trade the live market with play money; no key, no order ever leaves.

    Orders fill in a local account by stated rules against the market as it happens, after the
    latency a real order would have.
    """
    from core.runtime.options import PaperOptions

    options = PaperOptions(
        base_url=base_url,
        equity_usdc=equity,
        seed=seed,
        state_dir=state_dir,
        trading_path=trading,
        strategies_path=strategies,
        duration_s=duration,
    )

    def start(on_ready: OnReady) -> Awaitable[Outcome]:
        from core.runtime.paper import run_paper

        return run_paper(options, on_ready=on_ready)

    _watch_session(start, title="nova paper", headless=headless, gui=gui, as_json=json_)


@command(
    PANEL_TRADE,
    ("nova doctor", "look first: key, account, clock, budget"),
    ("nova run --testnet --i-understand-the-risk", "real protocol, test money"),
    ("nova run --live --i-understand-the-risk", "real money; asks for the account again"),
)
def run(
    live: LiveFlag = False,
    testnet: TestnetFlag = False,
    consent: ConsentFlag = False,
    yes_live: YesLiveFlag = False,
    account: Account = None,
    base_url: BaseUrl = None,
    duration: Duration = None,
    headless: Headless = False,
    gui: Gui = False,
    json_: JsonFlag = False,
    state_dir: StateDir = STATE_DIR,
    trading: TradingFile = None,
    strategies: StrategiesFile = None,
) -> None:
    """Trade with a real key, on mainnet or testnet.

    The key is an agent's (an API wallet that may trade but not withdraw), read from
    HYPERLIQUID_AGENT_KEY in the environment, secrets.env or .env, and is checked with the venue
    before anything is signed. Positions stay open when the session ends, with their stops at the
    venue; nova shell has flatten.
    """
    from core.runtime.options import LiveOptions

    if live == testnet:
        raise typer.BadParameter("name one of --live and --testnet", param_hint="nova run")
    mode = Mode.LIVE if live else Mode.TESTNET
    _ask_consent(mode, consent=consent, yes_live=yes_live, account=account)
    options = LiveOptions(
        mode=mode,
        base_url=base_url,
        account=account,
        consent=True,
        state_dir=state_dir,
        trading_path=trading,
        strategies_path=strategies,
        duration_s=duration,
    )

    def start(on_ready: OnReady) -> Awaitable[Outcome]:
        from core.runtime.live import run_live

        return run_live(options, on_ready=on_ready)

    title = f"nova run --{mode.value}"
    _watch_session(start, title=title, headless=headless, gui=gui, as_json=json_)


def _ask_consent(mode: Mode, *, consent: bool, yes_live: bool, account: str | None) -> None:
    """Refuse real orders that were not agreed to; real money is asked for twice."""
    if not consent:
        raise ConsentError(
            f"trading on {mode.value} should be agreed to, was not: this program places real "
            "orders and may lose all of the account; add --i-understand-the-risk"
        )
    if mode is not Mode.LIVE or yes_live:
        return
    if not _is_interactive():
        raise ConsentError(
            "live trading should be asked for twice, was asked for once and nobody is there to "
            "ask; add --yes-live"
        )
    address = account or _configured_account()
    note(f"Live trading with real money for account {address}.")
    typed = typer.prompt(f"Type the last {ACCOUNT_TAIL} characters of the account", err=True)
    if typed.strip().lower() != address[-ACCOUNT_TAIL:].lower():
        raise ConsentError(
            f"the second yes should be the last {ACCOUNT_TAIL} characters of {address}, "
            "was something else; nothing was started"
        )


def _is_interactive() -> bool:
    import sys

    return sys.stdin.isatty()


def _configured_account() -> str:
    from core.utils.credential_manager import CredentialManager

    return CredentialManager().get_credential("HYPERLIQUID_ACCOUNT").reveal()


def _watch_session(start: Start, *, title: str, headless: bool, gui: bool, as_json: bool) -> None:
    """Run a session in front of whoever is there, tell its end, and exit with its code."""
    from core.interfaces.session_view import LiveViewer, PlainViewer, run_session

    is_plain = headless or as_json or not is_terminal()
    viewer: Viewer = PlainViewer() if is_plain else LiveViewer(stdout_console())
    outcome = run_session(start, viewer, title=title, page=_page_of if gui else None)
    if outcome is None:
        note(ENDED_EARLY)
        if as_json:
            print_json({"ok": True, "reason": ENDED_EARLY, "exit_code": int(ExitCode.OK)})
        return
    from core.interfaces.summary_view import tell_outcome

    tell_outcome(outcome, as_json=as_json)
    raise typer.Exit(int(outcome.exit_code))


def _page_of(session: Watched) -> Page:
    from core.interfaces.gui_interface import GUIInterface

    return GUIInterface(session.status, session.recent_equity)
