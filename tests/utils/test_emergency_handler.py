"""Emergencies: every action tried in order, failures survived, all of it written down once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.model.time import NS_PER_S
from core.utils.atomic import atomic_write
from core.utils.clock import ManualClock
from core.utils.emergency_handler import Action, EmergencyHandler, Incident

START_NS = 1_746_403_262 * NS_PER_S
CANARY = "0x" + "4a" * 32


class Venue:
    """Remembers what was asked; refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_broken = False

    def cancel_all(self) -> str:
        self.asked.append("cancel")
        if self.is_broken:
            raise ConnectionError(f"venue gone, key {CANARY}")
        return "3 cancelled"

    async def close_all(self) -> None:
        self.asked.append("close")
        await asyncio.sleep(0)

    @property
    def actions(self) -> tuple[Action, ...]:
        return (("cancel_all", self.cancel_all), ("close_all", self.close_all))


class Told:
    def __init__(self) -> None:
        self.details: list[str] = []

    def notify(self, level: str, name: str, detail: str) -> None:
        self.details.append(detail)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def handler(tmp_path: Path, venue: Venue, told: Told) -> EmergencyHandler:
    return EmergencyHandler(
        tmp_path, venue.actions, clock=ManualClock(START_NS), notifier=told, action_seconds_max=0.01
    )


def on_disk(incident: Incident) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(incident.path).read_text())
    return found


def test_on_its_own_it_writes_the_incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    incident = EmergencyHandler().handle_emergency("drawdown reached", equity_usdc=8_400.5)
    assert incident.is_handled
    (file,) = (tmp_path / "logs").glob("incident-*-drawdown-reached.json")
    assert json.loads(file.read_text())["context"] == {"equity_usdc": "8400.5"}


def test_actions_run_in_order_and_are_recorded(handler: EmergencyHandler, venue: Venue) -> None:
    incident = handler.handle_emergency("Daily loss: 5 %")
    assert venue.asked == ["cancel", "close"]
    assert incident.is_handled
    assert Path(incident.path).name == "incident-20250505T000102-daily-loss-5.json"
    assert on_disk(incident)["actions"] == [
        {"name": "cancel_all", "is_done": True, "detail": "3 cancelled"},
        {"name": "close_all", "is_done": True, "detail": ""},
    ]


def test_a_failing_action_does_not_stop_the_next_and_is_retried_alone(
    handler: EmergencyHandler, venue: Venue, told: Told
) -> None:
    venue.is_broken = True
    first = handler.handle_emergency("loss")
    assert venue.asked == ["cancel", "close"]
    assert not first.is_handled
    assert "ConnectionError: venue gone, key ********" in on_disk(first)["actions"][0]["detail"]
    assert CANARY[2:] not in Path(first.path).read_text()
    venue.is_broken = False
    second = handler.handle_emergency("loss")
    assert venue.asked == ["cancel", "close", "cancel"]
    assert second.is_handled
    assert second.path == first.path
    assert told.details == ["loss: 1 of 2 actions done", "loss: 2 of 2 actions done"]


def test_calling_again_does_nothing_twice(
    handler: EmergencyHandler, venue: Venue, told: Told, tmp_path: Path
) -> None:
    incidents = [handler.handle_emergency("loss") for _ in range(3)]
    assert venue.asked == ["cancel", "close"]
    assert incidents[-1].call_count == 3
    assert len(told.details) == 1
    assert len(list(tmp_path.iterdir())) == 1
    handler.reset("loss")
    again = handler.handle_emergency("loss")
    assert venue.asked == ["cancel", "close"] * 2
    assert again.path != incidents[0].path, "a new incident never overwrites an old one"
    assert handler.incidents == (again,)


async def test_inside_a_loop_calls_wait_for_one_another(
    handler: EmergencyHandler, venue: Venue
) -> None:
    both = await asyncio.gather(
        handler.handle_emergency_async("loss"), handler.handle_emergency_async("loss")
    )
    assert venue.asked == ["cancel", "close"]
    assert [incident.call_count for incident in both] == [1, 2]


async def test_the_plain_call_inside_a_loop_does_what_it_can_and_says_so(
    handler: EmergencyHandler, venue: Venue
) -> None:
    incident = handler.handle_emergency("loss")
    assert venue.asked == ["cancel"]
    assert incident.actions[0].is_done
    assert "use handle_emergency_async" in incident.actions[1].detail
    assert (await handler.handle_emergency_async("loss")).is_handled
    assert venue.asked == ["cancel", "close"]


async def test_an_action_that_hangs_is_given_up(handler: EmergencyHandler, venue: Venue) -> None:
    never: Callable[[], Any] = asyncio.Event().wait
    incident = await handler.handle_emergency_async("loss", [("hang", never), *venue.actions])
    assert incident.actions[0].detail == "not done within 0.01 s"
    assert venue.asked == ["cancel", "close"]


async def test_a_cancelled_emergency_is_written_down(tmp_path: Path, venue: Venue) -> None:
    handler = EmergencyHandler(tmp_path, clock=ManualClock(START_NS))
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(
        handler.handle_emergency_async("loss", [*venue.actions, ("hang", hang)])
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (incident,) = handler.incidents
    assert [(a.name, a.is_done) for a in incident.actions] == [
        ("cancel_all", True),
        ("close_all", True),
        ("hang", False),
    ]
    assert on_disk(incident)["actions"][2]["detail"] == "not reached"


def test_a_broken_disk_does_not_stop_the_actions(tmp_path: Path, venue: Venue) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    incident = EmergencyHandler(blocked / "logs", venue.actions).handle_emergency("loss")
    assert venue.asked == ["cancel", "close"]
    assert incident.is_handled
    assert incident.path == ""


def test_reason_and_context_are_scrubbed(handler: EmergencyHandler) -> None:
    incident = handler.handle_emergency(f"key {CANARY}", note=CANARY)
    assert CANARY[2:] not in Path(incident.path).read_text()
    assert CANARY[2:] not in incident.path


def test_atomic_write_replaces_whole_files_privately(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state.json"
    atomic_write(path, "old ä")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    atomic_write(path, "public", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.json"
    atomic_write(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.utils.atomic.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
