"""The demo as a person starts it: two processes, real sockets, a day of market each minute."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import core
from core.model.codes import Mode, OrderStatus
from core.model.errors import ConfigError, DataFileError, ExitCode, PortInUseError, VenueError
from core.runtime import demo as demo_module
from core.runtime.control import control_request
from core.runtime.demo import run_demo
from core.runtime.options import DemoOptions, Outcome
from core.runtime.replay import replay_journal
from core.runtime.session import Session
from core.runtime.venue_process import VenueProcess
from core.utils.journal_reader import JournalReader

pytestmark = [pytest.mark.contract, pytest.mark.slow]

ROOT = Path(core.__file__).parents[1]
NOVA = (sys.executable, "-c", "from core.interfaces.cli_interface import main; main()")
DEMO_SECONDS = 8.0
OPEN = {OrderStatus.WORKING.value, OrderStatus.IN_FLIGHT.value}


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def venue_pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Process ids of the exchanges that demos of this test start."""
    pids: list[int] = []
    start = VenueProcess.start

    async def noted(options: DemoOptions) -> VenueProcess:
        venue = await start(options)
        pids.append(venue._process.pid)
        return venue

    monkeypatch.setattr(demo_module.VenueProcess, "start", noted)
    return pids


def refuse_to_be_up(session: Session) -> None:
    raise AssertionError("the demo should not have come up")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, compiled_kernels: None) -> Outcome:
    options = DemoOptions(duration_s=DEMO_SECONDS, state_dir=tmp_path_factory.mktemp("demo"))
    return asyncio.run(run_demo(options, on_ready=lambda session: None))


def test_a_demo_trades_and_ends_in_order(outcome: Outcome) -> None:
    assert outcome.exit_code is ExitCode.OK
    assert outcome.reason == "duration reached"
    assert outcome.record.mode is Mode.DEMO
    assert outcome.record.fills
    assert set(outcome.record.instruments) >= {"BTC", "ETH", "SOL"}
    assert outcome.record.assumptions


def test_a_demo_ends_flat_with_nothing_open(outcome: Outcome) -> None:
    held: dict[str, int] = {}
    for row in outcome.record.fills:
        held[row.fill.coin] = held.get(row.fill.coin, 0) + row.fill.signed_lots
    assert not any(held.values())
    assert not OPEN & set(outcome.record.order_counts)


def test_a_demo_replays_from_its_journal(outcome: Outcome) -> None:
    replayed = replay_journal(outcome.journal_path)
    with JournalReader(outcome.journal_path) as reader:
        assert replayed.event_count == reader.event_count
        assert replayed.state_hash == dict(reader.checkpoints())[reader.last_seq]


async def test_a_demo_can_be_interrupted_as_soon_as_it_is_up(
    tmp_path: Path, venue_pids: list[int]
) -> None:
    options = DemoOptions(state_dir=tmp_path, coins=("BTC",))
    result = await run_demo(options, on_ready=lambda session: session.request_stop("interrupted"))
    assert (result.exit_code, result.reason) == (ExitCode.OK, "interrupted")
    assert replay_journal(result.journal_path).event_count > 0
    assert len(venue_pids) == 1
    assert is_gone(venue_pids[0])


async def test_two_demos_never_share_a_state_directory(
    tmp_path: Path, venue_pids: list[int]
) -> None:
    refused: list[str] = []
    options = DemoOptions(state_dir=tmp_path, coins=("BTC",))

    async def start_another(session: Session) -> None:
        try:
            await run_demo(options, on_ready=refuse_to_be_up)
        except PortInUseError as error:
            refused.append(str(error))
        session.request_stop("interrupted")

    tasks: list[asyncio.Task[None]] = []
    result = await run_demo(
        options, on_ready=lambda session: tasks.append(asyncio.create_task(start_another(session)))
    )
    assert result.exit_code is ExitCode.OK
    assert "in use by a running session" in refused[0]
    assert len(venue_pids) == 1, "the second one starts no exchange"
    assert len(list(tmp_path.glob("demo-*"))) == 1, "and leaves nothing behind"
    assert all(is_gone(pid) for pid in venue_pids)


async def test_a_port_in_use_is_told_with_its_number(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {port} .*should be free"):
            await run_demo(DemoOptions(port=port, state_dir=tmp_path), on_ready=refuse_to_be_up)
    assert list(tmp_path.iterdir()) == []


async def test_a_coin_the_sample_lacks_is_told_before_anything_starts(
    tmp_path: Path, venue_pids: list[int]
) -> None:
    options = DemoOptions(coins=("BTC", "NOSUCHCOIN"), state_dir=tmp_path)
    with pytest.raises(DataFileError, match="holds BTC, ETH, SOL, was asked for NOSUCHCOIN"):
        await run_demo(options, on_ready=refuse_to_be_up)
    assert venue_pids == []


async def test_an_exchange_that_does_not_start_tells_why(tmp_path: Path) -> None:
    options = DemoOptions(speed=1e9, state_dir=tmp_path)
    with pytest.raises(VenueError, match="speed should be above 0 and at most 100000"):
        await run_demo(options, on_ready=refuse_to_be_up)


async def test_an_unusable_configuration_starts_no_exchange(
    tmp_path: Path, venue_pids: list[int]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"max_drawdown": 7}')
    with pytest.raises(ConfigError, match="max_drawdown"):
        await run_demo(DemoOptions(trading_path=path, state_dir=tmp_path), on_ready=refuse_to_be_up)
    assert venue_pids == []


async def test_an_exchange_that_dies_ends_the_demo_with_that_reason(
    tmp_path: Path, venue_pids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.runtime.wired.STOP_WALL_SECONDS_MAX", 0.5)
    options = DemoOptions(state_dir=tmp_path, coins=("BTC",))
    with pytest.raises(VenueError, match="should run until it is stopped, ended with -9"):
        await run_demo(options, on_ready=lambda session: os.kill(venue_pids[0], signal.SIGKILL))
    (journal,) = tmp_path.glob("*/journal.sqlite")
    with JournalReader(journal) as reader:
        assert "ended with -9" in reader.session_record().state_reason


# --- the command --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def command(*arguments: str, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run ``nova`` as a process of its own, which never outlives the test."""
    process = await asyncio.create_subprocess_exec(
        *NOVA,
        *arguments,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def status_of(state: Path) -> dict[str, Any]:
    with contextlib.suppress(Exception):
        return dict(await control_request(state, "status"))
    return {}


async def test_ctrl_c_ends_the_command_in_order_with_one_json_document(tmp_path: Path) -> None:
    state = tmp_path / "state"
    arguments = ("demo", "--headless", "--json", "--duration", "60s", "--coins", "BTC")
    async with command(*arguments, "--state-dir", str(state), directory=tmp_path) as process:
        for _ in range(1_500):
            if (await status_of(state)).get("trading_state") == "active":
                break
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    document = json.loads(stdout)
    assert document["ok"] is True
    assert document["reason"] == "interrupted"
    assert document["exit_code"] == 0
    assert document["mode"] == "demo"
    assert b"Traceback" not in stderr
    (journal,) = state.glob("*/journal.sqlite")
    assert replay_journal(journal).event_count > 0


async def test_a_command_on_a_port_in_use_ends_with_its_exit_code(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with command("demo", "--headless", "--port", port, directory=tmp_path) as process:
            stdout, stderr = await process.communicate()
    assert process.returncode == ExitCode.PORT_IN_USE
    assert stdout == b""
    assert f"port {port}" in stderr.decode()
    assert b"Traceback" not in stderr
