"""The whole path: a price change arrives as bytes, a signed order leaves as bytes.

A strategy that always quotes a fixed distance under the price makes every price change an order, so
that each event measured runs decoding, inbox, journal, decision, sizing, risk, the difference
to what works, canonical words and the signature.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.feed import INSTRUMENT, bbo_frame
from benchmarks.signing import NONCE, SIGNER
from benchmarks.timing import Timing
from core.api.codec import Codec
from core.api.command_actions import plan
from core.api.rest_client import signed_request
from core.engines.trading_engine import TradingEngine
from core.model.codes import Mode, OrderStatus, Regime
from core.model.commands import (
    Command,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
    SetLeverage,
)
from core.model.events import (
    AccountReported,
    CandlesLoaded,
    ContextChanged,
    Event,
    InstrumentsListed,
    LeverageChanged,
    LinkChanged,
    OpenOrdersReported,
    OrderUpdated,
    SessionStarted,
)
from core.model.intents import Intent, Quote, TargetQuotes
from core.model.market import Candle, MarketView
from core.model.settings import (
    EngineConfig,
    RegimeFit,
    SelectionParams,
    StrategiesConfig,
    TradingParams,
)
from core.model.time import NS_PER_MIN, NS_PER_S
from core.runtime.session import Session
from core.utils.journal import SqliteJournal

EVENTS = 1_500
ACCOUNT = "0x" + "a1" * 20
START_NS = 1_754_450_940 * NS_PER_S
CANDLES = 500
OFFSET = 0.002


class AlwaysQuote:
    """Wish for one bid a fixed distance under the price, at any time."""

    name = "scalping"
    warm_up_count = 1

    @property
    def regime_fit(self) -> RegimeFit:
        """Suit every regime fully."""
        return dict.fromkeys(Regime, 1.0)

    def run(
        self, data: MarketView | Mapping[str, Any], params: Mapping[str, Any] | None = None
    ) -> list[Intent]:
        """Return one quote that follows the price."""
        assert isinstance(data, MarketView), "invariant: the engine passes a view"
        quote = Quote(is_buy=True, price=data.price * (1 - OFFSET), coins=0.001)
        stop = data.price * (1 - 5 * OFFSET)
        wish = TargetQuotes(
            coin=data.coin, strategy=self.name, quotes=(quote,), stop_price=stop, reason="follow"
        )
        return [wish]


class Signing:
    """An outbox that signs at once, notes the time, and acknowledges."""

    def __init__(self) -> None:
        self.session: Session | None = None
        self.signed_at = 0.0
        self.count = 0
        self._answers: list[Event] = []
        self._oids = itertools.count(1)

    def send(self, commands: Sequence[Command]) -> None:
        """Plan and sign; the answers wait for `acknowledge`."""
        actions = [c for c in commands if not isinstance(c, LookUpOrder | ReportAccount)]
        for stage in plan(actions, {INSTRUMENT.coin: INSTRUMENT}):
            for group in stage:
                signed_request(group.action, SIGNER, NONCE, is_mainnet=False, expires_after=NONCE)
                self.count += 1
        self.signed_at = time.perf_counter()
        self._answers += [event for c in actions for event in self._answer(c)]

    def acknowledge(self) -> list[Event]:
        """Return the venue's answers since the last call."""
        answers, self._answers = self._answers, []
        return answers

    def _answer(self, command: Command) -> list[Event]:
        if isinstance(command, SetLeverage):
            return [LeverageChanged(coin=command.coin, leverage=command.leverage, is_cross=True)]
        order = command.order if isinstance(command, ModifyOrder) else command
        if not isinstance(order, PlaceOrder):
            return []
        working = OrderUpdated(
            coin=order.coin,
            oid=next(self._oids),
            cloid=order.cloid,
            status=OrderStatus.WORKING,
            lots_left=order.lots,
        )
        if not isinstance(command, ModifyOrder):
            return [working]
        ended = OrderUpdated(
            coin=order.coin,
            oid=command.oid,
            cloid=command.cloid,
            status=OrderStatus.CANCELLED,
            lots_orig=order.lots,
            lots_left=order.lots,
        )
        return [ended, working]


class Stepping:
    """A clock that moves a fixed step per look."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        """Return the time and move on."""
        self.ns += 200_000_000
        return self.ns

    async def sleep(self, seconds: float) -> None:
        """Move on by as much."""
        self.ns += int(seconds * NS_PER_S)


def run() -> list[Timing]:
    """Measure with a durable journal, as live runs, and with a buffered one."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            _measure("event to signed order, buffered journal", Path(folder) / "a", False),
            _measure("event to signed order, durable journal", Path(folder) / "b", True),
        ]


def _measure(name: str, path: Path, is_durable: bool) -> Timing:
    outbox = Signing()
    journal = SqliteJournal(path, session="bench", is_durable=is_durable)
    engine = TradingEngine(_config(), [AlwaysQuote()], account=ACCOUNT)
    session = Session(engine, journal, Stepping())
    session.attach(outbox)
    codec = Codec([INSTRUMENT])
    emit = _bring_up(session, outbox)
    times: list[float] = []
    frames = [bbo_frame(113_000 + 100 * (i % 7)) for i in range(EVENTS)]
    for frame in frames:
        before = outbox.count
        started = time.perf_counter()
        for event in codec.decode_frame(frame):
            session.emit(event)
        if outbox.count > before:
            times.append(outbox.signed_at - started)
        for answer in outbox.acknowledge():
            emit(answer)
    session.close("measured")
    assert len(times) > EVENTS // 2, f"invariant: most events lead to an order, were {len(times)}"
    return Timing(name, statistics.median(times), min(times), max(times), len(times))


def _config() -> EngineConfig:
    trading = TradingParams(
        coins=(INSTRUMENT.coin,), candle_interval="1m", requote_ratio=0.0, decision_seconds=0.001
    )
    selection = SelectionParams(fixed_strategy=AlwaysQuote.name)
    return EngineConfig(trading=trading, strategies=StrategiesConfig(selection=selection))


def _bring_up(session: Session, outbox: Signing) -> Callable[[Event], None]:
    """Give the engine all that it needs to be active."""

    def emit(event: Event) -> None:
        session.emit(event)
        for answer in outbox.acknowledge():
            session.emit(answer)

    candles = tuple(
        Candle(START_NS - (CANDLES - i) * NS_PER_MIN, px, px + 200, px - 200, px, 100_000)
        for i in range(CANDLES)
        for px in [1_130_000 + 50 * (i % 9)]
    )
    config_json = msgspec.json.encode(_config()).decode()
    for event in (
        SessionStarted(
            session="bench", mode=Mode.DEMO, account=ACCOUNT, version="0", config_json=config_json
        ),
        InstrumentsListed(instruments=(INSTRUMENT,)),
        CandlesLoaded(coin=INSTRUMENT.coin, interval_ns=NS_PER_MIN, candles=candles),
        LinkChanged(channel="rest", is_up=True),
        LinkChanged(channel="market", is_up=True),
        LinkChanged(channel="user", is_up=True),
        ContextChanged(
            coin=INSTRUMENT.coin, mark_px=1_130_000, oracle_px=1_130_000, funding_rate_1h=0.0
        ),
        AccountReported(
            account_value_micro=10_000_000_000,
            cash_micro=10_000_000_000,
            margin_used_micro=0,
            withdrawable_micro=10_000_000_000,
            positions=(),
        ),
        OpenOrdersReported(orders=()),
    ):
        emit(event)
    return emit
