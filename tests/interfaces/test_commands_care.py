"""Commands that look after an account: the doctor, the watchdog's state, closing by hand."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from core.interfaces.cli_interface import app
from core.model.codes import Mode
from core.model.errors import ExitCode
from core.runtime.findings import Check
from core.runtime.identity import IdentityNode
from core.runtime.options import LiveOptions
from core.runtime.watchdog_state import WatchdogPhase, WatchdogState, write_state
from tests.interfaces import pictures
from tests.interfaces.fakes import ControlServer

FakeModule = Callable[..., None]
ACCOUNT = pictures.ACCOUNT


def test_status_of_real_orders_says_which_dead_mans_switch_is_active(
    runner: CliRunner, bot: ControlServer
) -> None:
    where = ["--state-dir", str(bot.state_dir)]
    assert "dead man's switch" not in runner.invoke(app, ["status", *where]).stdout
    bot.answers["status"] = pictures.status(mode=Mode.LIVE)
    none = "dead man's switch: no watchdog has run here; venue's scheduleCancel: off"
    assert none in runner.invoke(app, ["status", *where]).stdout
    state = WatchdogState(
        pid=os.getpid(),
        mode="live",
        account=ACCOUNT,
        phase=WatchdogPhase.ARMED,
        silence_seconds=30.0,
        updated_ns=time.time_ns(),
        venue_switch="refused: too little volume",
    )
    write_state(bot.state_dir, state)
    shown = runner.invoke(app, ["status", *where]).stdout
    assert "watchdog armed, acts after 30 s of silence" in shown
    assert "scheduleCancel: refused: too little volume" in shown


@pytest.mark.parametrize("command", ["flatten", "watchdog"])
def test_closing_an_account_names_the_venue(runner: CliRunner, command: str) -> None:
    for flags in ([], ["--live", "--testnet"]):
        result = runner.invoke(app, [command, *flags])
        assert result.exit_code == ExitCode.USAGE
        assert "name one of --live and --testnet" in result.stderr


def test_a_watchdog_is_not_told_to_be_hasty(runner: CliRunner) -> None:
    result = runner.invoke(app, ["watchdog", "--testnet", "--silence", "1s"])
    assert result.exit_code == ExitCode.USAGE
    assert "at least 2s, was 1s" in result.stderr


def check(name: str, level: str) -> Check:
    code = ExitCode.CREDENTIAL if level == "blocking" else ExitCode.OK
    return Check(name, level, "[red]found[/]", "mend it", "it matters", code)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("levels", "code"), [(("ok", "warning"), 0), (("ok", "blocking", "warning"), 4)]
)
def test_the_doctor_blocks_only_where_something_blocks(
    runner: CliRunner, fake_module: FakeModule, levels: tuple[str, ...], code: int
) -> None:
    asked: list[LiveOptions] = []
    account = IdentityNode("sub-account 'grid'", ACCOUNT, ("105.00 USDC",), (), True)
    key = IdentityNode("key: agent 'nova'", "0x" + "22" * 20, (), (account,))

    async def examine(options: LiveOptions) -> Any:
        asked.append(options)
        checks = tuple(check(f"n{i}", level) for i, level in enumerate(levels))
        return SimpleNamespace(checks=checks, identity=key)

    fake_module("core.runtime.doctor", examine=examine)
    fake_module("core.runtime.compose", URL_MAINNET="https://main", URL_TESTNET="https://test")
    result = runner.invoke(app, ["doctor", "--live"])
    assert result.exit_code == code
    assert asked[0].base_url == "https://main"
    assert result.stdout.count("[red]found[/]") == len(levels)
    assert result.stdout.count("→ mend it") == len(levels)
    assert result.stdout.count("it matters") == len(levels)
    assert f"sub-account 'grid' {ACCOUNT}, 105.00 USDC  ← traded" in result.stdout
    assert ("1 of 3 checks block trading" in result.stdout) == bool(code)
    document = json.loads(runner.invoke(app, ["doctor", "--json"]).stdout)
    assert (document["ok"], document["exit_code"]) == (not code, code)
    assert document["identity"]["children"][0]["is_traded"] is True
    assert asked[1].base_url == "https://test"
