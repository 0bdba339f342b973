"""Real processes: an exchange, a bot that is stopped and killed, and what closes its account."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.interfaces.cli_interface import app
from core.model.errors import ExitCode
from core.runtime.control import control_request
from core.runtime.watchdog_state import WatchdogPhase, read_state
from tests.runtime.local_venue import MASTER
from tests.runtime.today_venue import TodayVenue, today_venue

pytestmark = pytest.mark.contract
PATIENCE_SECONDS = 30.0
NOVA = "from core.interfaces.cli_interface import main; main()"


async def test_nova_flatten_closes_an_account_whose_bot_is_dead(tmp_path: Path) -> None:
    async with today_venue("BTC") as venue:
        await venue.trade()
        where = ["--testnet", "--base-url", venue.base_url, "--state-dir", str(tmp_path)]

        async def nova(*words: str) -> tuple[int, str, str]:
            runner = CliRunner(env={**venue.env, "COLUMNS": "100", "TERM": "dumb"})
            result = await asyncio.to_thread(runner.invoke, app, ["flatten", *where, *words])
            return result.exit_code, result.stdout, result.stderr

        code, _, error = await nova()
        assert code == ExitCode.CONSENT_MISSING and "closes 1 positions at market" in error
        assert not await venue.is_flat(), "nothing was done without a yes"

        code, text, _ = await nova("--orders-only", "--yes")
        assert code == ExitCode.OK and "positions stand, with their stops" in text
        assert await venue.api.get_open_orders() == () and await venue.api.get_positions()

        code, text, error = await nova("--yes")
        assert code == ExitCode.OK, text + error
        assert "flat: the venue holds no order" in text and "spot balance" in text
        assert "no bot answers here" in error
        assert await venue.is_flat()

        code, text, _ = await nova("--json")
        report = json.loads(text)["report"]
        assert code == ExitCode.OK and report["flatten"]["closing_orders_count"] == 0
    incidents = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("incident-*.json"))]
    assert len(incidents) == 3
    assert all(incident["context"]["account"] == MASTER.address for incident in incidents)
    assert all(incident["actions"][0]["is_done"] for incident in incidents)


@asynccontextmanager
async def nova_process(venue: TodayVenue, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a command in a process of its own, which does not outlive the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", NOVA, *words),
        *("--testnet", "--base-url", venue.base_url),
        env={**os.environ, **venue.env},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        await process.wait()


async def watchdog_is(state_dir: Path, phase: WatchdogPhase, session: str = "") -> None:
    """Wait until the watchdog says so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            state = read_state(state_dir)
            if state is not None and state.phase is phase and session in state.session:
                return
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_the_watchdog_closes_what_a_stopped_and_a_killed_bot_leave(tmp_path: Path) -> None:
    state_dir, trading = tmp_path / "state", tmp_path / "trading.json"
    trading.write_text(json.dumps({"coins": ["ETH"]}))
    here = ("--state-dir", str(state_dir))
    run = ("run", *here, "--trading", str(trading), "--i-understand-the-risk", "--headless")
    async with (
        today_venue("BTC", "ETH") as venue,
        nova_process(venue, "watchdog", *here, "--silence", "2s") as dog,
        nova_process(venue, *run) as bot,
    ):
        await watchdog_is(state_dir, WatchdogPhase.ARMED)
        await venue.trade()

        bot.send_signal(signal.SIGSTOP)
        await watchdog_is(state_dir, WatchdogPhase.DONE)
        assert await venue.is_flat()

        bot.send_signal(signal.SIGCONT)
        await watchdog_is(state_dir, WatchdogPhase.ARMED)
        status = await control_request(state_dir, "status")
        assert status["trading_state"] == "halted", "it found the word to halt when it woke"

        await venue.trade()
        bot.kill()
        await watchdog_is(state_dir, WatchdogPhase.DONE)
        assert await venue.is_flat()

        dog.terminate()
        assert await dog.wait() == ExitCode.OK
    incidents = [json.loads(p.read_text()) for p in state_dir.glob("incident-*.json")]
    assert len(incidents) == 2
    assert all("silent for" in i["reason"] for i in incidents)
    assert all("SessionStarted" in i["context"]["last_events"] for i in incidents)
