"""What happened. Every change of state anywhere in the engine begins as one of these.

The inbox gives each event ``seq`` (its place in the journal) and ``ts_recv_ns`` (our stamp);
``ts_exch_ns`` is the venue's stamp, 0 where the venue gave none. Sizes are lots, prices price
units, money micro-USDC.
"""

from __future__ import annotations

import msgspec

from core.model.account import Fill, OrderReport, PositionReport
from core.model.codes import Mode, OperatorAction, OrderStatus, RejectionCode
from core.model.instrument import Instrument
from core.model.market import Candle, Level, PublicTrade


class Event(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag=True):
    """Base of all events; the tag on disk is the class name."""

    seq: int = 0
    ts_exch_ns: int = 0
    ts_recv_ns: int = 0


class SessionStarted(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """First event of a journal: what runs, for whom, with which effective configuration."""

    session: str
    mode: Mode
    account: str
    version: str
    config_json: str
    seed: int = 0


class SessionEnded(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Last event of a journal that ended in order."""

    reason: str


class StateCarried(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """What an earlier session of the same account left: a snapshot of its engine.

    Follows `SessionStarted` in the journal of a session that continues another one, so that a
    journal can be replayed without those before it.
    """

    session: str
    at_seq: int
    packed: bytes


class InstrumentsListed(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue's metadata, decoded; at start and whenever it changes."""

    instruments: tuple[Instrument, ...]


class BboChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Best bid and offer; an empty side has price and size 0."""

    coin: str
    bid_px: int
    bid_lots: int
    ask_px: int
    ask_lots: int


class BookChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Full snapshot of the displayed depth, best first."""

    coin: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


class TradesPrinted(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Public trades of one message, oldest first."""

    coin: str
    trades: tuple[PublicTrade, ...]


class CandleChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The newest candle so far; a later ``open_ns`` closes the one before."""

    coin: str
    interval_ns: int
    candle: Candle


class CandlesLoaded(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """History read over REST, at start or to close a gap; oldest first, the last may be open."""

    coin: str
    interval_ns: int
    candles: tuple[Candle, ...]


class ContextChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Mark and oracle price, current hourly funding estimate, open interest."""

    coin: str
    mark_px: int
    oracle_px: int
    funding_rate_1h: float
    open_interest_lots: int = 0


class OrderUpdated(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue's word on one order, from an answer, the user stream or a look-up.

    ``px`` and ``lots_orig`` are 0 where the message does not carry them. ``lots_left`` is -1
    where unknown. ``venue_status`` is the venue's own word, kept for people.
    """

    coin: str
    oid: int
    cloid: str | None
    status: OrderStatus
    is_buy: bool = False
    px: int = 0
    lots_orig: int = 0
    lots_left: int = -1
    venue_status: str = ""


class OrderRejected(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue's definite no to a place or modify."""

    coin: str
    cloid: str
    code: RejectionCode
    venue_text: str


class CancelRejected(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue's definite no to a cancel; usually the order is already gone."""

    coin: str
    cloid: str
    code: RejectionCode
    venue_text: str


class OrderFilled(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """One fill; may arrive twice (stream and query) and is applied once, by ``tid``."""

    fill: Fill


class OrderUnanswered(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """A request was sent and no answer came: the outcome is unknown, not a no."""

    coin: str
    cloid: str
    reason: str


class OrderMissing(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue answered a look-up: it does not know this cloid."""

    coin: str
    cloid: str


class LeverageChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue confirmed a coin's leverage."""

    coin: str
    leverage: int
    is_cross: bool


class LeverageRejected(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue refused a leverage setting; it may be asked again."""

    coin: str
    venue_text: str


class LeverageUnanswered(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """A leverage setting was sent and no answer came: it may be in force or not."""

    coin: str
    reason: str


class FundingPaid(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Hourly funding, from our wallet's view: above 0 we received."""

    coin: str
    funding_micro: int
    position_lots: int
    rate_1h: float


class LedgerMoved(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Deposit, withdrawal or transfer, signed from our wallet."""

    kind: str
    amount_micro: int
    hash: str = ""


class AccountReported(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue's account state; ``cash_micro`` is its raw USD (deposits plus all cash flows)."""

    account_value_micro: int
    cash_micro: int
    margin_used_micro: int
    withdrawable_micro: int
    positions: tuple[PositionReport, ...]


class OpenOrdersReported(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """All orders open at the venue, ours and foreign ones."""

    orders: tuple[OrderReport, ...]


class RateBudgetReported(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Requests used and allowed on this address, and IP weight used in the running minute."""

    requests_used: int
    requests_cap: int
    ip_weight_used: int = 0
    ip_weight_cap: int = 0


class LinkChanged(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """A channel (``market``, ``user`` or ``rest``) came up or went down."""

    channel: str
    is_up: bool
    detail: str = ""


class DataGap(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Market data of a coin is missing between two times; history may close it later."""

    coin: str
    from_ns: int
    to_ns: int


class VenueUnavailable(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """The venue refuses service (429, 5xx, maintenance); no new exposure until ``until_ns``."""

    reason: str
    until_ns: int


class DataQuarantined(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Something from the venue could not be understood and was set aside."""

    source: str
    detail: str


class TimerTicked(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """Time passed; limits, time-outs and equity samples are looked at."""


class OperatorCommanded(Event, frozen=True, kw_only=True, array_like=True, tag=True):
    """A person or a supervisor asked for something; ``who`` is kept for the audit."""

    action: OperatorAction
    who: str
    coin: str = ""
    strategy: str = ""
    key: str = ""
    value: str = ""
    reason: str = ""


MarketEvent = (
    BboChanged | BookChanged | TradesPrinted | CandleChanged | CandlesLoaded | ContextChanged
)
AnyEvent = (
    SessionStarted
    | StateCarried
    | SessionEnded
    | InstrumentsListed
    | BboChanged
    | BookChanged
    | TradesPrinted
    | CandleChanged
    | CandlesLoaded
    | ContextChanged
    | OrderUpdated
    | OrderRejected
    | CancelRejected
    | OrderFilled
    | OrderUnanswered
    | OrderMissing
    | LeverageChanged
    | LeverageRejected
    | LeverageUnanswered
    | FundingPaid
    | LedgerMoved
    | AccountReported
    | OpenOrdersReported
    | RateBudgetReported
    | LinkChanged
    | DataGap
    | VenueUnavailable
    | DataQuarantined
    | TimerTicked
    | OperatorCommanded
)
