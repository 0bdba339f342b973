"""Running a session in front of somebody: signals, views and their failures."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.interfaces import session_view
from core.interfaces.session_view import (
    LiveViewer,
    OnReady,
    PlainViewer,
    StoppedAtOnceError,
    run_session,
    status_line,
)
from core.model.codes import TradingState
from core.model.errors import VenueError
from core.runtime.options import Outcome
from tests.interfaces import pictures
from tests.interfaces.fakes import FakeSession, outcome


class RecordingViewer:
    """Remembers what it was asked to show, and calls back after each picture."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.notices: list[str] = []
        self.is_closed = False
        self.on_show: Any = lambda count: None

    def open(self, title: str) -> None:
        self.titles.append(title)

    def show(self, session: session_view.Watched, notice: str) -> None:
        self.notices.append(notice)
        self.on_show(len(self.notices))

    def close(self) -> None:
        self.is_closed = True


class Runtime:
    """A session that runs until it is asked to stop."""

    def __init__(self, directory: Path, *, is_stubborn: bool = False) -> None:
        self.session = FakeSession()
        self.directory = directory
        self.is_stubborn = is_stubborn
        self.was_cancelled = False

    async def start(self, on_ready: OnReady) -> Outcome:
        stopped = asyncio.Event()
        self.session.on_stop = stopped.set
        on_ready(self.session)
        try:
            if self.is_stubborn:
                await asyncio.Event().wait()
            await stopped.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return outcome(self.directory, reason=self.session.stop_reason)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_view, "REFRESH_SECONDS", 0.0)


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_the_session_in_order(tmp_path: Path, number: signal.Signals) -> None:
    runtime, viewer = Runtime(tmp_path), RecordingViewer()
    viewer.on_show = lambda count: send(number) if count == 2 else None
    ended = run_session(runtime.start, viewer, title="nova demo")
    assert ended is not None
    assert ended.reason == "interrupted"
    assert not runtime.was_cancelled
    assert viewer.is_closed
    assert viewer.notices[0] == ""


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    runtime, viewer = Runtime(tmp_path, is_stubborn=True), RecordingViewer()
    viewer.on_show = lambda count: send(signal.SIGINT) if count in (1, 5) else None
    with pytest.raises(StoppedAtOnceError, match="orders may still work"):
        run_session(runtime.start, viewer, title="nova run")
    assert runtime.was_cancelled
    assert runtime.session.stop_reason == "interrupted"
    assert session_view.STOPPING in viewer.notices
    assert viewer.is_closed


def test_a_signal_before_the_session_is_up_ends_quietly(tmp_path: Path) -> None:
    cleaned: list[str] = []

    async def start(on_ready: OnReady) -> Outcome:
        send(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append("exchange stopped")
        raise AssertionError("never up")

    viewer = RecordingViewer()
    assert run_session(start, viewer, title="nova demo") is None
    assert cleaned == ["exchange stopped"]
    assert viewer.is_closed


def test_a_session_that_cannot_start_gives_the_screen_back() -> None:
    async def start(on_ready: OnReady) -> Outcome:
        raise VenueError("no answer")

    viewer = RecordingViewer()
    with pytest.raises(VenueError):
        run_session(start, viewer, title="nova paper")
    assert viewer.is_closed


def test_a_view_that_fails_does_not_end_the_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime, viewer = Runtime(tmp_path), RecordingViewer()

    def fail(count: int) -> None:
        asyncio.get_running_loop().call_soon(runtime.session.request_stop, "time is over")
        raise RuntimeError("no screen")

    viewer.on_show = fail
    ended = run_session(runtime.start, viewer, title="nova demo")
    assert ended is not None
    assert ended.reason == "time is over"
    assert "no screen" in capsys.readouterr().err


def test_a_page_accompanies_the_session_and_is_announced(tmp_path: Path) -> None:
    runtime, viewer = Runtime(tmp_path), RecordingViewer()
    events: list[str] = []

    class FakePage:
        async def start(self) -> str:
            events.append("start")
            return "http://127.0.0.1:1/?t=x"

        async def stop(self) -> None:
            events.append("stop")

    def look(count: int) -> None:
        if viewer.notices[-1]:
            runtime.session.request_stop("seen")

    viewer.on_show = look
    ended = run_session(runtime.start, viewer, title="t", page=lambda session: FakePage())
    assert ended is not None
    assert viewer.notices[-1] == "page http://127.0.0.1:1/?t=x"
    assert events == ["start", "stop"]


def test_plain_lines_come_when_due_and_count_fills(capsys: pytest.CaptureFixture[str]) -> None:
    viewer = PlainViewer(line_every=1)
    viewer.open("nova demo")
    viewer.show(FakeSession(), "")
    more = pictures.status(fills=tuple(pictures.attributed(i) for i in range(4, 9)))
    viewer.show(FakeSession(more), "stopping")
    viewer.close()
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == "nova demo: starting …"
    assert "fills 6" in lines[1]
    assert lines[2] == "stopping"
    assert "fills 9" in lines[3]


def test_plain_lines_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    viewer = PlainViewer()
    for _ in range(session_view.LINE_EVERY + 1):
        viewer.show(FakeSession(), "")
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_plain_line_says_what_matters() -> None:
    line = status_line(pictures.status(), 12)
    for needed in ("2025-05-05 09:00:00 UTC", "DEMO", "ACTIVE", "equity 10,023.41", "day +23.41"):
        assert needed in line
    assert "positions 2  orders 3  fills 12" in line
    halted = pictures.status(trading_state=TradingState.HALTED, state_reason="drawdown\x1b[2J")
    assert status_line(halted, 0).endswith("(drawdown [2J)")


def test_the_live_view_takes_the_screen_and_gives_it_back() -> None:
    target = io.StringIO()
    console = Console(file=target, width=100, height=30, force_terminal=True)
    viewer = LiveViewer(console)
    viewer.open("nova demo")
    viewer.show(FakeSession(), "stopping")
    viewer.close()
    viewer.close()
    written = target.getvalue()
    assert written.index("\x1b[?1049h") < written.index("starting …")
    assert "10,023.41" in written
    assert "stopping" in written
    assert written.rindex("\x1b[?1049l") > written.rindex("10,023.41")
