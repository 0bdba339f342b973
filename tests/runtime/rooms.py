"""A session in a room of fakes: everything it does to the world is written into one diary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from core.engines.trading_engine import TradingEngine
from core.model.codes import Mode
from core.model.commands import Command
from core.model.errors import JournalError
from core.model.events import (
    BboChanged,
    CandlesLoaded,
    ContextChanged,
    Event,
    InstrumentsListed,
    LeverageChanged,
    LinkChanged,
    SessionStarted,
    TimerTicked,
)
from core.model.intents import Intent
from core.model.ports import JournalSink
from core.model.settings import EngineConfig
from core.model.step import Step
from core.model.time import NS_PER_MIN, NS_PER_S
from core.runtime.session import Session
from tests.engines.fakes import (
    ACCOUNT,
    BTC,
    CASH,
    PX,
    T0,
    FakeStrategy,
    TinyVenue,
    candles,
    config_of,
)

Diary = list[tuple[str, Any]]
DISK_FULL = "journal should take new rows, was refused: database or disk is full"


class HandClock:
    """Shows what the test last set, also if that is earlier than before."""

    def __init__(self, now_ns: int = T0) -> None:
        self.ns = now_ns

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing sleeps here, asked for {seconds} s")


class DiaryJournal:
    """A journal in memory that fails wherever the test says, as a broken disk does: for good."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.fails_at = ""
        self.events: list[Any] = []
        self.is_closed = False
        self._is_broken = False

    def _write(self, what: str, detail: Any) -> None:
        if self._is_broken or what == self.fails_at:
            self._is_broken = True
            raise JournalError(DISK_FULL)
        self.diary.append((what, detail))

    def append(self, event: Any) -> None:
        self._write("append", event.seq)
        self.events.append(event)

    def record(self, step: Step) -> None:
        self._write("record", step.seq)

    def checkpoint(self, seq: int, state_hash: str) -> None:
        self._write("checkpoint", seq)

    def commit(self) -> None:
        self._write("commit", None)

    def close(self) -> None:
        self.is_closed = True
        if not self._is_broken:
            self._write("close", None)


class DiaryEngine(TradingEngine):
    """The real engine; the diary shows when it was asked."""

    diary: Diary

    def process(self, event: Any) -> Step:
        self.diary.append(("process", event.seq))
        return super().process(event)


class DiaryOutbox:
    """Keeps what was sent until the room carries it to the venue."""

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.waiting: list[Command] = []
        self.while_sending: Callable[[], None] = lambda: None

    def send(self, commands: Sequence[Command]) -> None:
        self.diary.append(("send", tuple(commands)))
        self.waiting += commands
        self.while_sending()
        self.diary.append(("sent", None))


class Room:
    """Session, real engine, scripted strategy and tiny venue, on a clock moved by hand."""

    def __init__(
        self,
        wish: Intent | None = None,
        *,
        config: EngineConfig | None = None,
        journal: JournalSink | None = None,
    ) -> None:
        self.diary: Diary = []
        self.clock = HandClock()
        self.strategy = FakeStrategy(wish=wish)
        self.venue = TinyVenue(CASH)
        engine = DiaryEngine(config or config_of(), [self.strategy], account=ACCOUNT)
        engine.diary = self.diary
        self.journal = journal if journal is not None else DiaryJournal(self.diary)
        self.outbox = DiaryOutbox(self.diary)
        self.steps: list[Step] = []
        self.stops: list[str] = []
        self.session = Session(engine, self.journal, self.clock, on_step=self.steps.append)
        self.session.attach(self.outbox, on_stop=lambda: self.stops.append("asked"))

    def start(self, *, settles: bool = True) -> Room:
        """Come up: metadata, history, links, account truth, leverage, a first touch."""
        self.emit(
            SessionStarted(
                session="room",
                mode=Mode.BACKTEST,
                account=ACCOUNT,
                version="0",
                config_json=msgspec.json.encode(config_of()).decode(),
            ),
            InstrumentsListed(instruments=(BTC,)),
            CandlesLoaded(coin="BTC", interval_ns=NS_PER_MIN, candles=candles()),
            *(LinkChanged(channel=channel, is_up=True) for channel in ("rest", "market", "user")),
            *self.venue.report(),
            LeverageChanged(coin="BTC", leverage=10, is_cross=True),
            ContextChanged(coin="BTC", mark_px=PX, oracle_px=PX, funding_rate_1h=0.0000125),
        )
        self.quote()
        if settles:
            self.settle()
        return self

    def emit(self, *events: Event) -> None:
        for event in events:
            self.session.emit(event)

    def quote(self, bid: int = PX - 10, ask: int = PX + 10) -> None:
        self.venue.touch["BTC"] = (bid, ask)
        self.emit(BboChanged(coin="BTC", bid_px=bid, bid_lots=9, ask_px=ask, ask_lots=9))

    def tick(self, seconds: float = 1.0) -> None:
        self.clock.ns += round(seconds * NS_PER_S)
        self.venue.now_ns = self.clock.ns
        self.emit(TimerTicked())

    def settle(self, rounds_max: int = 20) -> None:
        """Carry commands to the venue and answers back until nothing is under way."""
        for _ in range(rounds_max):
            commands, self.outbox.waiting = self.outbox.waiting, []
            if not commands:
                return
            for command in commands:
                self.emit(*self.venue.take(command))
        raise AssertionError(f"never settles, still {self.outbox.waiting}")

    def sent(self) -> list[Command]:
        """Everything that left, in order."""
        return [c for what, batch in self.diary if what == "send" for c in batch]


async def until(
    holds: Callable[[], Any], what: str, *, polls_max: int = 1_500, poll_seconds: float = 0.02
) -> None:
    """Poll until something holds; the bound is generous because machines differ."""
    for _ in range(polls_max):
        if holds():
            return
        await asyncio.sleep(poll_seconds)
    raise AssertionError(f"never happened: {what}")
