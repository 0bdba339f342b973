"""Real processes: a bot killed without warning against an exchange of its own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from core.api.hyperliquid_api import HyperliquidAPI
from core.model.errors import JournalError, NotRunningError
from core.model.instrument import usdc
from core.runtime.control import control_request
from core.runtime.recovery import recover
from core.runtime.replay import replay_journal
from tests.runtime.bot_process import venue_clock
from tests.runtime.local_venue import AGENT, AGENT_KEY, MASTER, config_files

pytestmark = pytest.mark.contract

SPEED = 150
KILLS = 2


class Bot:
    """A process of the bot and how to talk to it."""

    def __init__(self, mode: str, port: int, directory: Path) -> None:
        self._command = [sys.executable, "-m", "tests.runtime.bot_process", mode, str(port)]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        env = {
            **os.environ,
            "HYPERLIQUID_AGENT_KEY": AGENT_KEY,
            "HYPERLIQUID_ACCOUNT": MASTER.address,
        }
        with (self._directory / "stderr.txt").open("ab") as stderr:
            self._process = subprocess.Popen(
                [*self._command, str(self._directory)], env=env, stderr=stderr
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self) -> int:
        """Ask it to end and return its exit code."""
        assert self._process is not None
        await control_request(self._directory / "state", "stop", reason="the test is over")
        return await asyncio.to_thread(self._process.wait, 30)

    async def status(self) -> dict[str, Any]:
        """What it says of itself; nothing while it is not up."""
        with contextlib.suppress(NotRunningError):
            return dict(await control_request(self._directory / "state", "status"))
        return {}

    async def until(self, holds: Callable[[dict[str, Any]], Any], what: str) -> dict[str, Any]:
        for _ in range(600):
            assert self._process is not None
            text = (self._directory / "stderr.txt").read_text()[-2_000:]
            assert self._process.poll() is None, f"ended before {what}: {text}"
            status = await self.status()
            if status and holds(status):
                return status
            await asyncio.sleep(0.05)
        raise AssertionError(f"never happened: {what}; last {status.get('state_reason')}")

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()


@contextlib.asynccontextmanager
async def exchange() -> AsyncIterator[int]:
    """The local exchange as a process; yields its port."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "core.simulation.server", "--port", "0", "--coins", "BTC"),
            *("--speed", str(SPEED), "--fund", f"{MASTER.address}=10000"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = await asyncio.to_thread(process.stdout.readline)
        yield int(json.loads(line)["port"])
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
        process.stdout.close()


def is_trading(status: dict[str, Any]) -> bool:
    return status["trading_state"] == "active" and bool(status["orders"])


async def test_a_live_bot_killed_again_and_again_stays_the_venues_equal(tmp_path: Path) -> None:
    config_files(tmp_path)
    async with exchange() as port:
        clock, _ = venue_clock(f"http://127.0.0.1:{port}")
        api = HyperliquidAPI(f"http://127.0.0.1:{port}", account=MASTER.address, clock=clock)
        await api.connect()
        bot = Bot("testnet", port, tmp_path)
        try:
            await api.approve_agent(MASTER, AGENT.address, "tester")
            bot.start()
            for _ in range(KILLS):
                fills = len((await bot.status()).get("fills", ()))
                await bot.until(
                    lambda s, n=fills: is_trading(s) and len(s["fills"]) > n, "it trades"
                )
                bot.kill()
                bot.start()
            await bot.until(is_trading, "it trades again")
            await control_request(tmp_path / "state", "operate", action="flatten", who="tester")
            status = await bot.until(
                lambda s: not s["orders"] and not any(c["position_coins"] for c in s["coins"]),
                "all is closed",
            )
            report = await api.fetch_account()
            assert (await api.fetch_open_orders()).orders == ()
            assert report.positions == ()
            assert status["cash_micro"] == report.cash_micro
            fills_there = await api.fetch_fills(0)
            assert status["fees_micro"] == sum(row.fill.fee_micro for row in fills_there)
            cloids = [row.fill.cloid for row in fills_there]
            assert all(cloids), "nothing but our own orders traded"
            assert await bot.stop() == 0
        finally:
            bot.close()
            await api.close()
    journals = sorted((tmp_path / "state").glob("testnet-*/journal.sqlite"))
    assert len(journals) == KILLS + 1
    assert all(replay_journal(path).event_count for path in journals)
    assert recover(journals[-1].parent).is_ended


async def test_a_paper_account_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    config_files(tmp_path)
    async with exchange() as port:
        bot = Bot("paper", port, tmp_path)
        try:
            bot.start()
            before = await bot.until(
                lambda s: (
                    is_trading(s)
                    and s["fees_micro"] > 0
                    and any(c["position_coins"] for c in s["coins"])
                ),
                "it holds a position",
            )
            bot.kill()
            bot.start()
            after = await bot.until(is_trading, "it trades again")
            assert after["fees_micro"] >= before["fees_micro"], "it remembers what it paid"
            assert usdc(after["equity_micro"]) == pytest.approx(
                usdc(before["equity_micro"]), rel=0.02
            )
            assert await bot.stop() == 0
        finally:
            bot.close()
    last = max((tmp_path / "state").glob("paper-*"), key=lambda path: path.stat().st_mtime)
    assert recover(last).is_ended
    with pytest.raises(JournalError):
        recover(tmp_path)
