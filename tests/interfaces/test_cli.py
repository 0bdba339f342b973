"""The command line: help that teaches, options that arrive, errors that end well."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from core.interfaces import commands_trade, summary_view
from core.interfaces.cli_app import COMMAND_ORDER, EXIT_CODE_MEANINGS
from core.interfaces.cli_interface import app
from core.model.codes import Mode
from core.model.errors import (
    ConfigError,
    CredentialError,
    DataFileError,
    ExitCode,
    JournalError,
    NovaError,
    PortInUseError,
    ReplayError,
    VenueError,
)
from core.model.settings import EngineConfig
from core.model.time import NS_PER_DAY
from core.runtime.options import BacktestOptions, DemoOptions, LiveOptions, Outcome, PaperOptions
from tests.interfaces import pictures
from tests.interfaces.fakes import ControlServer, FakeSession, outcome

FakeModule = Callable[..., None]
ACCOUNT = pictures.ACCOUNT
RUNTIMES = {"demo": "run_demo", "paper": "run_paper", "live": "run_live"}


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        summary_view, "draw_pictures", lambda record, directory: (directory / "equity.png",)
    )
    monkeypatch.chdir(tmp_path)


class Runtime:
    """Stands where the runtime's coroutines stand and remembers what it was asked."""

    def __init__(self, directory: Path, fake_module: FakeModule) -> None:
        self.asked: list[Any] = []
        self.error: BaseException | None = None
        self.changes: dict[str, Any] = {}
        self._directory = directory
        for name, function in RUNTIMES.items():
            fake_module(f"core.runtime.{name}", **{function: self.run})
        fake_module("core.runtime.backtest", run_backtest=self.run_backtest)

    async def run(self, options: Any, *, on_ready: Callable[[Any], None]) -> Outcome:
        self.asked.append(options)
        if self.error is not None:
            raise self.error
        on_ready(FakeSession())
        return outcome(self._directory, **self.changes)

    def run_backtest(self, options: Any, *, on_progress: Callable[[float], None]) -> Outcome:
        self.asked.append(options)
        if self.error is not None:
            raise self.error
        on_progress(0.5)
        return outcome(self._directory, **self.changes)


@pytest.fixture
def runtime(tmp_path: Path, fake_module: FakeModule) -> Runtime:
    return Runtime(tmp_path, fake_module)


# --- help --------------------------------------------------------------------------------------


def test_help_lists_commands_and_exit_codes(runner: CliRunner) -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    places = [result.stdout.index(f"│ {name} ") for name in COMMAND_ORDER]
    assert places == sorted(places)
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert f"{code.value:>2}  {meaning}" in result.stdout
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)


@pytest.mark.parametrize("command", COMMAND_ORDER)
def test_each_command_teaches_by_example(runner: CliRunner, command: str) -> None:
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Examples" in result.stdout
    assert f"nova {command}" in result.stdout.split("Examples")[1]
    assert ("--json" in result.stdout) == (command != "exchange")


def test_nova_alone_shows_help(runner: CliRunner) -> None:
    result = runner.invoke(app, [])
    assert "nova demo" in result.output


def test_version(runner: CliRunner) -> None:
    import core

    result = runner.invoke(app, ["--version"])
    assert result.stdout == f"nova {core.__version__}\n"


def test_help_starts_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from core.interfaces.cli_interface import app\n"
        "assert CliRunner().invoke(app, ['demo', '--help']).exit_code == 0\n"
        "heavy = {'numpy', 'numba', 'matplotlib', 'plotly', 'polars', 'aiohttp'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "[]\n"


# --- demo and paper ----------------------------------------------------------------------------


def test_demo_has_the_documented_defaults(runner: CliRunner, runtime: Runtime) -> None:
    result = runner.invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert runtime.asked == [DemoOptions()]
    assert "Net PnL" in result.stdout
    assert "equity.png" in result.stdout
    assert "journal.sqlite" in result.stdout
    assert "DEMO  ACTIVE  equity 10,023.41" in result.stderr


def test_demo_options_arrive(runner: CliRunner, runtime: Runtime, tmp_path: Path) -> None:
    trading = tmp_path / "t.json"
    trading.write_text("{}")
    words = (
        "demo --speed 360 --duration 1h30m --seed 3 --coins BTC,SOL --equity 500 --port 4001 "
        f"--headless --state-dir {tmp_path / 's'} --trading {trading}"
    )
    assert runner.invoke(app, words.split()).exit_code == 0
    assert runtime.asked == [
        DemoOptions(
            speed=360.0,
            duration_s=5_400.0,
            seed=3,
            coins=("BTC", "SOL"),
            equity_usdc=500.0,
            port=4_001,
            state_dir=tmp_path / "s",
            trading_path=trading,
        )
    ]


def test_json_is_one_document_on_stdout(runner: CliRunner, runtime: Runtime) -> None:
    result = runner.invoke(app, ["demo", "--json"])
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert document["mode"] == "demo"
    assert document["reason"] == "duration is over"
    assert "equity 10,023.41" in result.stderr


def test_the_exit_code_of_a_session_is_its_outcome(runner: CliRunner, runtime: Runtime) -> None:
    runtime.changes = {"exit_code": ExitCode.HALTED_BY_RISK, "reason": "drawdown"}
    result = runner.invoke(app, ["demo"])
    assert result.exit_code == 10
    assert "HALTED_BY_RISK" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("demo --duration 5", "did you mean 5s?"),
        ("demo --duration soon", "a duration should read like"),
        ("demo --speed 0", "--speed should be a finite number above 0"),
        ("demo --speed 1e9", "--speed should be at most 20000"),
        ("demo --equity nan", "--equity should be a finite number above 0"),
        ("demo --equity -5", "--equity should be a finite number above 0"),
        ("demo --coins BTC,BTC", "BTC was named twice"),
        ("demo --port 70000", "less than or equal to 65535"),
        ("demo --seed -1", "greater than or equal to 0"),
        ("demo --trading missing.json", "missing.json"),
        ("demo --sped 5", "--speed"),
        ("dmeo", "demo"),
        ("paper --equity 0", "--equity should be"),
        ("run --i-understand-the-risk", "name one of --live and --testnet"),
        ("run --live --testnet --i-understand-the-risk", "name one of"),
        ("backtest --sample --data BTC=a.csv", "name one of"),
        ("backtest --data BTC", "should read like BTC=candles.parquet"),
        ("backtest --data BTC=a.csv --coins BTC", "--coins chooses from the sample"),
        ("backtest --sample --from 2025-05-08 --to 2025-05-06", "--from should be before --to"),
        ("backtest --sample --from may", "a date should read like"),
        ("replay missing.sqlite", "missing.sqlite"),
        ("shell --json", "--json needs a command"),
    ],
)
def test_bad_input_is_a_usage_error_that_says_what_was_expected(
    runner: CliRunner, runtime: Runtime, words: str, said: str
) -> None:
    result = runner.invoke(app, words.split())
    assert result.exit_code == ExitCode.USAGE
    flat = " ".join(result.stderr.replace("│", " ").split())
    assert said in flat
    assert runtime.asked == []


def test_paper_options_arrive(runner: CliRunner, runtime: Runtime) -> None:
    words = "paper --base-url http://127.0.0.1:3001 --equity 250 --duration 8h --seed 1"
    assert runner.invoke(app, words.split()).exit_code == 0
    assert runtime.asked == [
        PaperOptions(
            base_url="http://127.0.0.1:3001", equity_usdc=250.0, duration_s=28_800.0, seed=1
        )
    ]


def test_a_stop_before_the_session_is_up_is_no_failure(
    runner: CliRunner, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.interfaces import session_view

    monkeypatch.setattr(session_view, "run_session", lambda *args, **kwargs: None)
    result = runner.invoke(app, ["demo", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["reason"] == commands_trade.ENDED_EARLY


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(["trading.coins: expected a list, was 5", "second"]), 3),
        (CredentialError("key is missing"), 4),
        (VenueError("exchange is gone"), 6),
        (DataFileError("btc.csv is truncated"), 7),
        (JournalError("newer version"), 8),
        (PortInUseError("port 3001 is taken"), 11),
        (NovaError("something"), 1),
        (json.JSONDecodeError("Expecting value", "{,}", 1), 3),
        (FileNotFoundError(2, "No such file", "configs/x.json"), 3),
        (PermissionError(13, "Permission denied", "/logs"), 1),
    ],
)
def test_errors_end_in_one_message_and_their_own_exit_code(
    runner: CliRunner, runtime: Runtime, error: Exception, code: int
) -> None:
    runtime.error = error
    result = runner.invoke(app, ["demo", "--json"])
    assert result.exit_code == code
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["exit_code"] == code
    assert "Traceback" not in result.stderr
    assert "nova: " in result.stderr
    assert document["error"].splitlines()[-1] in result.stderr


def test_ctrl_c_in_a_backtest_ends_without_a_traceback(runner: CliRunner, runtime: Runtime) -> None:
    runtime.error = KeyboardInterrupt()
    result = runner.invoke(app, ["backtest", "--sample"])
    assert result.exit_code == ExitCode.INTERNAL
    assert "stopped by Ctrl-C" in result.stderr


def test_an_errors_text_cannot_move_the_cursor(runner: CliRunner, runtime: Runtime) -> None:
    runtime.error = VenueError(pictures.HOSTILE)
    result = runner.invoke(app, ["demo"])
    assert "\x1b[2J" not in result.stderr
    assert "[bold red]" in result.stderr


# --- run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["--live", "--testnet"])
def test_run_refuses_without_consent(runner: CliRunner, runtime: Runtime, where: str) -> None:
    result = runner.invoke(app, ["run", where])
    assert result.exit_code == ExitCode.CONSENT_MISSING
    assert "--i-understand-the-risk" in result.stderr
    assert runtime.asked == []


def test_testnet_needs_one_yes(runner: CliRunner, runtime: Runtime) -> None:
    words = f"run --testnet --i-understand-the-risk --account {ACCOUNT}"
    assert runner.invoke(app, words.split()).exit_code == 0
    assert runtime.asked == [LiveOptions(mode=Mode.TESTNET, account=ACCOUNT, consent=True)]


def test_live_needs_a_second_yes_where_nobody_can_be_asked(
    runner: CliRunner, runtime: Runtime
) -> None:
    result = runner.invoke(app, ["run", "--live", "--i-understand-the-risk"])
    assert result.exit_code == ExitCode.CONSENT_MISSING
    assert "--yes-live" in result.stderr
    assert runtime.asked == []


def test_machines_give_the_second_yes_as_an_option(runner: CliRunner, runtime: Runtime) -> None:
    words = "run --live --i-understand-the-risk --yes-live"
    assert runner.invoke(app, words.split()).exit_code == 0
    assert runtime.asked == [LiveOptions(mode=Mode.LIVE, consent=True)]


@pytest.mark.parametrize(("typed", "code"), [(ACCOUNT[-4:].upper(), 0), ("yes", 5), ("", 5)])
def test_people_type_the_end_of_their_account(
    runner: CliRunner,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    code: int,
) -> None:
    monkeypatch.setattr(commands_trade, "_is_interactive", lambda: True)
    words = f"run --live --i-understand-the-risk --account {ACCOUNT}"
    result = runner.invoke(app, words.split(), input=f"{typed}\nno\nno\n")
    assert result.exit_code == code
    assert len(runtime.asked) == (1 if code == 0 else 0)


def test_the_account_asked_for_may_come_from_the_environment(
    runner: CliRunner, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_trade, "_is_interactive", lambda: True)
    monkeypatch.setenv("HYPERLIQUID_ACCOUNT", ACCOUNT)
    words = ["run", "--live", "--i-understand-the-risk"]
    result = runner.invoke(app, words, input=f"{ACCOUNT[-4:]}\n")
    assert result.exit_code == 0, result.output
    assert runtime.asked == [LiveOptions(mode=Mode.LIVE, consent=True)]


# --- backtest, replay, exchange ----------------------------------------------------------------


def test_backtest_options_arrive(runner: CliRunner, runtime: Runtime, tmp_path: Path) -> None:
    words = (
        "backtest --data BTC=a.parquet --data ETH=b.csv --from 2025-05-06 --to 2025-05-07 "
        f"--out {tmp_path / 'o'} --equity 1000 --seed 2 --json"
    )
    result = runner.invoke(app, words.split())
    assert result.exit_code == 0, result.output
    (options,) = runtime.asked
    assert options.data == {"BTC": Path("a.parquet"), "ETH": Path("b.csv")}
    assert options.end_ns - options.start_ns == NS_PER_DAY
    assert options.state_dir == tmp_path / "o"
    assert json.loads(result.stdout)["ok"] is True
    assert "backtest: done" in result.stderr


def test_backtest_over_the_sample(runner: CliRunner, runtime: Runtime) -> None:
    result = runner.invoke(app, ["backtest", "--sample", "--coins", "ETH"])
    assert result.exit_code == 0
    assert runtime.asked == [BacktestOptions(coins=("ETH",))]
    assert "Net PnL" in result.stdout


def test_backtest_alone_runs_over_the_sample(runner: CliRunner, runtime: Runtime) -> None:
    assert runner.invoke(app, ["backtest"]).exit_code == 0
    assert runtime.asked == [BacktestOptions()]


def replayed(path: Path, *, on_progress: Callable[[float], None]) -> SimpleNamespace:
    on_progress(1.0)
    return SimpleNamespace(
        session="demo-1", event_count=48_211, step_count=912, checkpoint_count=9, state_hash="ab12"
    )


def test_replay_says_what_was_compared(
    runner: CliRunner, fake_module: FakeModule, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def replay_journal(path: Path, *, on_progress: Callable[[float], None]) -> SimpleNamespace:
        asked.append(path)
        return replayed(path, on_progress=on_progress)

    fake_module("core.runtime.replay", replay_journal=replay_journal)
    result = runner.invoke(app, ["replay", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "48,211 events gave the same 912 steps and 9 checkpoints" in result.stdout
    assert asked == [tmp_path / "journal.sqlite"]


def test_a_replay_that_differs_has_its_own_exit_code(
    runner: CliRunner, fake_module: FakeModule, tmp_path: Path
) -> None:
    def replay_journal(path: Path, *, on_progress: Callable[[float], None]) -> None:
        raise ReplayError("step 7 should be a, was b")

    fake_module("core.runtime.replay", replay_journal=replay_journal)
    journal = tmp_path / "j.sqlite"
    journal.touch()
    result = runner.invoke(app, ["replay", str(journal), "--json"])
    assert result.exit_code == ExitCode.REPLAY_DIFFERS
    assert "step 7" in json.loads(result.stdout)["error"]


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (11, 11)])
def test_exchange_passes_its_options_on(
    runner: CliRunner, fake_module: FakeModule, returned: int | None, code: int
) -> None:
    asked: list[list[str]] = []

    def main(argv: list[str]) -> int | None:
        asked.append(argv)
        return returned

    fake_module("core.simulation.server", main=main)
    words = "exchange --speed 60 --port 0 --fund a=1 --fund b=2 --end-with-parent --coins BTC"
    result = runner.invoke(app, words.split())
    assert result.exit_code == code
    passed_on = "--port 0 --coins BTC --speed 60 --fund a=1 --fund b=2 --end-with-parent"
    assert asked == [passed_on.split()]


def test_exchange_shows_the_options_that_the_exchange_has(runner: CliRunner) -> None:
    from core.simulation.wire.options import parser

    own = {name for action in parser()._actions for name in action.option_strings}
    shown = runner.invoke(app, ["exchange", "--help"]).stdout
    for name in own - {"-h"}:
        assert f"{name} " in shown


# --- asking a running bot ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["status", "positions", "orders", "pnl", "config"])
def test_without_a_bot_there_is_a_message_and_an_exit_code(
    runner: CliRunner, tmp_path: Path, command: str
) -> None:
    result = runner.invoke(app, [command, "--state-dir", str(tmp_path), "--json"])
    assert result.exit_code == ExitCode.NOT_RUNNING
    assert "nova demo" in result.stderr
    assert json.loads(result.stdout)["exit_code"] == 13


def test_status_is_drawn_whole_and_machine_readable(runner: CliRunner, bot: ControlServer) -> None:
    where = ["--state-dir", str(bot.state_dir)]
    result = runner.invoke(app, ["status", *where])
    assert result.exit_code == 0
    assert result.stdout.count("not trading:") == 2
    document = json.loads(runner.invoke(app, ["status", *where, "--json"]).stdout)
    assert document["equity_micro"] == pictures.status().equity_micro


def test_positions_and_orders_keep_every_digit_in_json(
    runner: CliRunner, bot: ControlServer
) -> None:
    where = ["--state-dir", str(bot.state_dir), "--json"]
    positions = json.loads(runner.invoke(app, ["positions", *where]).stdout)["positions"]
    assert [row["coin"] for row in positions] == ["BTC", "ETH"]
    assert positions[0]["notional_usdc"] == "4001.4882"
    assert positions[1]["target_price"] is None
    orders = json.loads(runner.invoke(app, ["orders", *where]).stdout)["orders"]
    assert orders[0]["trigger_price"] == "96210"
    assert orders[0]["size_left"] == "0.0412"
    assert orders[2]["status"] == "in_flight"


def test_empty_lists_say_so(runner: CliRunner, bot: ControlServer) -> None:
    bot.answers["status"] = pictures.status(coins=(), orders=())
    where = ["--state-dir", str(bot.state_dir)]
    assert runner.invoke(app, ["positions", *where]).stdout == "no open position\n"
    assert runner.invoke(app, ["orders", *where]).stdout == "no order works\n"


def test_pnl_of_a_running_bot(runner: CliRunner, bot: ControlServer) -> None:
    from core.analytics.performance_tracker import PerformanceTracker

    bot.answers["pnl"] = PerformanceTracker().track_metrics(pictures.record())
    where = ["--state-dir", str(bot.state_dir)]
    assert "Net PnL" in runner.invoke(app, ["pnl", *where]).stdout
    document = json.loads(runner.invoke(app, ["pnl", *where, "--json"]).stdout)
    assert document["attribution"]["funding_micro"] == -310_000


def test_config_of_a_running_bot(runner: CliRunner, bot: ControlServer) -> None:
    where = ["--state-dir", str(bot.state_dir)]
    result = runner.invoke(app, ["config", *where])
    assert "trading.max_daily_loss = 0.02" in result.stdout.splitlines()


def test_config_can_be_checked_without_a_bot(runner: CliRunner, fake_module: FakeModule) -> None:
    asked: list[tuple[Path | None, Path | None]] = []

    def load_config(trading: Path | None, strategies: Path | None) -> EngineConfig:
        asked.append((trading, strategies))
        return EngineConfig()

    fake_module("core.runtime.compose", load_config=load_config)
    result = runner.invoke(app, ["config", "--check"])
    assert result.exit_code == 0
    assert "The configuration is valid." in result.stdout
    assert 'trading.coins = ["BTC","ETH","SOL"]' in result.stdout
    assert asked == [(None, None)]


def test_a_bad_config_lists_every_problem(runner: CliRunner, fake_module: FakeModule) -> None:
    def load_config(trading: Path | None, strategies: Path | None) -> EngineConfig:
        raise ConfigError(["trading.a: unknown", "trading.b: expected a number"])

    fake_module("core.runtime.compose", load_config=load_config)
    result = runner.invoke(app, ["config", "--check"])
    assert result.exit_code == ExitCode.CONFIG
    assert "trading.a: unknown" in result.stderr
    assert "trading.b: expected a number" in result.stderr


def test_one_shell_command_from_the_command_line(runner: CliRunner, bot: ControlServer) -> None:
    where = ["--state-dir", str(bot.state_dir)]
    result = runner.invoke(app, ["shell", *where, "-c", "stop_strategy scalping"])
    assert result.exit_code == 0
    assert bot.operated() == [{"action": "stop_strategy", "strategy": "scalping"}]
    wrong = runner.invoke(app, ["shell", *where, "--json", "-c", "fly"])
    assert wrong.exit_code == ExitCode.USAGE
    assert json.loads(wrong.stdout)["ok"] is False


def test_a_file_of_commands_is_read_plainly(runner: CliRunner, bot: ControlServer) -> None:
    lines = "# before the news\n\npause\nfly\nflatten DOGE\nhelp exit\nexit\nresume\n"
    result = runner.invoke(app, ["shell", "--state-dir", str(bot.state_dir)], input=lines)
    assert result.exit_code == ExitCode.USAGE
    assert [row["action"] for row in bot.operated()] == ["pause"]
    assert result.stdout.splitlines() == [
        "pause: asked; status shows what follows",
        "  exit  leave the shell; the bot goes on",
        "bye; the bot goes on",
    ]
    assert "unknown command 'fly'" in result.stderr
    assert "coin should be one of" in result.stderr


def test_a_file_of_commands_ends_with_the_first_failures_code(
    runner: CliRunner, bot: ControlServer, tmp_path: Path
) -> None:
    where = ["shell", "--state-dir", str(bot.state_dir)]
    assert runner.invoke(app, where, input="status\n").exit_code == 0
    assert runner.invoke(app, where, input="").exit_code == 0
    without = ["shell", "--state-dir", str(tmp_path / "none")]
    result = runner.invoke(app, without, input="status\nfly\nhelp\n")
    assert result.exit_code == ExitCode.NOT_RUNNING
