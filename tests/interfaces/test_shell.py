"""The interactive shell's object, line by line, against a bot's control socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.interfaces.cli_interface import CLIInterface
from core.model.errors import ExitCode
from tests.interfaces import pictures
from tests.interfaces.fakes import ControlServer


@pytest.fixture
def shell(bot: ControlServer) -> CLIInterface:
    return CLIInterface(bot.state_dir)


def test_help_teaches_every_command(shell: CLIInterface) -> None:
    text = shell.process_command("help")
    for command in (
        *("help", "status", "positions", "orders", "pnl", "config", "exit"),
        *("start_strategy", "stop_strategy", "set_parameter"),
        *("pause", "reduce", "resume", "halt", "cancel_all", "flatten", "stop"),
    ):
        assert f"  {command}" in text
    assert shell.process_command("help flatten").count("\n") == 0


def test_status_is_the_live_picture(shell: CLIInterface) -> None:
    text = shell.process_command("status")
    assert "DEMO" in text
    assert text.count("not trading:") == 2
    assert "\x1b" not in text


def test_positions_and_orders_are_listed(shell: CLIInterface) -> None:
    positions = shell.process_command("positions")
    assert "+0.04120" in positions
    assert "−1.2500" in positions
    assert "SOL" not in positions
    orders = shell.process_command("orders")
    assert "96,210" in orders
    assert "in flight" in orders


def test_pnl_shows_the_report_so_far(shell: CLIInterface, bot: ControlServer) -> None:
    from core.analytics.performance_tracker import PerformanceTracker

    bot.answers["pnl"] = PerformanceTracker().track_metrics(pictures.record())
    assert "Net PnL" in shell.process_command("pnl")


def test_config_can_be_narrowed(shell: CLIInterface) -> None:
    everything = shell.process_command("config")
    assert "trading.default_leverage = 10" in everything
    narrow = shell.process_command("config strategies.scalping")
    assert all(line.startswith("strategies.scalping") for line in narrow.splitlines())
    assert "nothing in the configuration" in shell.process_command("config nonsense")


@pytest.mark.parametrize(
    ("line", "request_fields"),
    [
        ("start_strategy scalping", {"action": "start_strategy", "strategy": "scalping"}),
        ("stop_strategy rl_ai", {"action": "stop_strategy", "strategy": "rl_ai"}),
        ("pause", {"action": "pause"}),
        ("reduce", {"action": "reduce"}),
        ("resume", {"action": "resume"}),
        ("HALT", {"action": "halt"}),
        ("flatten", {"action": "flatten"}),
        ("flatten BTC", {"action": "flatten", "coin": "BTC"}),
        ("cancel_all", {"action": "cancel_all"}),
        (
            "set_parameter scalping entry_deviation 0.003",
            {
                "action": "set_parameter",
                "strategy": "scalping",
                "key": "entry_deviation",
                "value": "0.003",
            },
        ),
        (
            "set_parameter trading max_open_positions 2",
            {"action": "set_parameter", "key": "max_open_positions", "value": "2"},
        ),
    ],
)
def test_wishes_become_requests(
    shell: CLIInterface, bot: ControlServer, line: str, request_fields: dict[str, str]
) -> None:
    assert "asked" in shell.process_command(line)
    assert shell.exit_code == ExitCode.OK
    assert bot.operated() == [request_fields]
    assert bot.requests[-1]["who"] == "shell"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("statsu", "did you mean status?"),
        ("fly", "Type help"),
        ("start_strategy", "usage: start_strategy NAME"),
        ("start_strategy moon", "strategy should be one of"),
        ("flatten DOGE", "coin should be one of BTC, ETH, SOL"),
        ("pause now", "usage: pause"),
        ("set_parameter scalping x", "usage: set_parameter"),
        ("set_parameter moon x 1", "section should be one of trading, scalping"),
        ("cancel_all BTC", "usage: cancel_all"),
        ('help "', "quotes should be closed"),
    ],
)
def test_mistakes_are_answered_and_change_nothing(
    shell: CLIInterface, bot: ControlServer, line: str, said: str
) -> None:
    assert said in shell.process_command(line)
    assert shell.exit_code == ExitCode.USAGE
    assert bot.operated() == []


def test_a_refusal_is_told_in_the_bots_words(shell: CLIInterface, bot: ControlServer) -> None:
    bot.refusal = "halted by risk: resume first\x1b[2J"
    assert shell.process_command("pause") == "halted by risk: resume first [2J"


def test_stop_ends_the_session_and_exit_only_the_shell(
    shell: CLIInterface, bot: ControlServer
) -> None:
    assert "ends in order" in shell.process_command("stop")
    assert bot.requests[-1]["command"] == "stop"
    assert not shell.is_done
    assert "bot goes on" in shell.process_command("exit")
    assert shell.is_done
    assert bot.requests[-1]["command"] == "stop"


def test_an_empty_line_is_no_mistake(shell: CLIInterface) -> None:
    assert shell.process_command("  ") == ""
    assert shell.exit_code == ExitCode.OK


def test_completion_knows_the_bots_strategies(shell: CLIInterface) -> None:
    tree = shell.completions()
    assert tree["stop_strategy"] == {"trend_following": None, "scalping": None, "rl_ai": None}
    assert {"trading": None, "regime": None}.items() <= (tree["set_parameter"] or {}).items()
    assert tree["exit"] is None


def test_without_a_bot_the_shell_still_answers(tmp_path: Path) -> None:
    shell = CLIInterface(tmp_path)
    assert "nova demo" in shell.process_command("status")
    assert shell.exit_code == ExitCode.NOT_RUNNING
    assert shell.completions()["stop_strategy"] == {}


def test_the_shell_needs_no_arguments() -> None:
    assert "help" in CLIInterface().process_command("help")


def test_a_typed_session_ends_with_exit_and_is_remembered(
    shell: CLIInterface, bot: ControlServer, capsys: pytest.CaptureFixture[str]
) -> None:
    from prompt_toolkit.application import create_app_session
    from prompt_toolkit.input import create_pipe_input
    from prompt_toolkit.output import DummyOutput

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        keys.send_text("pause\nexit\n")
        shell.start()
    assert shell.is_done
    assert bot.operated() == [{"action": "pause"}]
    assert "+pause" in (bot.state_dir / "shell_history").read_text()
