"""The venue's market and account messages, decoded into events.

`Codec` knows the instruments and the account; from bytes it makes events with integer prices and
sizes. It refuses to guess: what it does not understand is counted, reported once per kind as
`DataQuarantined` and set aside, and the rest of the message goes on. It does no I/O.

Answers of the info endpoint are read by `core.api.reports`, answers to actions by
`core.api.answers`; both build on the conversions here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from core.api.ledger import amount_micro, is_elsewhere
from core.api.number_text import UnitsMemo, float_number, units, units_rounded
from core.api.venue_words import order_status
from core.api.wire import (
    BboFrame,
    BookFrame,
    CandleFrame,
    ContextFrame,
    ErrorFrame,
    FillsFrame,
    Frame,
    FundingsFrame,
    KnownFrame,
    LedgerFrame,
    MidsFrame,
    OrderUpdatesFrame,
    PongFrame,
    SubscriptionFrame,
    TradesFrame,
    UserEventsFrame,
    WireCandle,
    WireFill,
    WireFunding,
    WireLedgerRow,
    WireLevel,
    WireOrderUpdate,
)
from core.model.account import Fill
from core.model.codes import OrderStatus
from core.model.errors import GridError
from core.model.events import (
    BboChanged,
    BookChanged,
    CandleChanged,
    ContextChanged,
    DataQuarantined,
    Event,
    FundingPaid,
    LedgerMoved,
    OrderFilled,
    OrderUpdated,
    TradesPrinted,
)
from core.model.instrument import Instrument
from core.model.market import Candle, PublicTrade
from core.model.time import NS_PER_MS, interval_ns

SIDE_BUY = "B"
SIDE_SELL = "A"
FEE_TOKEN = "USDC"
QUARANTINE_KINDS_MAX = 500
_DETAIL_LENGTH_MAX = 300
_USDC_DECIMALS = 6


class _Channel(msgspec.Struct):
    """Just enough of a frame to name what was not understood."""

    channel: str


_Row = TypeVar("_Row")
_frame_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(KnownFrame)
_channel_decoder = msgspec.json.Decoder(_Channel)


class Codec:
    """Turn frames and rows of the venue into events.

    Parameters
    ----------
    instruments : iterable of Instrument
        Markets whose grid is known; `learn` adds more.
    account : str or None
        Lowercase address whose account messages are read; tells own liquidations and the sign of
        transfers.
    """

    def __init__(
        self, instruments: Iterable[Instrument] = (), *, account: str | None = None
    ) -> None:
        self.account = account
        self.counts: Counter[str] = Counter()
        self._instruments: dict[str, Instrument] = {}
        self._grids: dict[str, tuple[int, int]] = {}
        self._memos: dict[str, tuple[UnitsMemo, UnitsMemo]] = {}
        self._makers: dict[type, Callable[[Any], list[Event]]] = {
            BookFrame: self._book,
            BboFrame: self._bbo,
            TradesFrame: self._trades,
            CandleFrame: self._candles,
            ContextFrame: self._context,
            OrderUpdatesFrame: self._order_updates,
            FillsFrame: lambda frame: self.fills(frame.data.fills),
            FundingsFrame: lambda frame: self.fundings(frame.data.fundings),
            LedgerFrame: lambda frame: self.ledger(frame.data.non_funding_ledger_updates),
            UserEventsFrame: self._user_events,
            ErrorFrame: lambda frame: self.quarantine("ws_error", "websocket", frame.data),
        }
        self.learn(instruments)

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments known, in the order learned."""
        return tuple(self._instruments.values())

    @property
    def instruments_by_coin(self) -> Mapping[str, Instrument]:
        """All instruments known, by coin; a live, read-only view."""
        return MappingProxyType(self._instruments)

    def learn(self, instruments: Iterable[Instrument]) -> None:
        """Know these instruments from now on; a known coin is replaced."""
        for instrument in instruments:
            self._instruments[instrument.coin] = instrument
            grid = (instrument.px_decimals, instrument.sz_decimals)
            self._grids[instrument.coin] = grid
            self._memos[instrument.coin] = (UnitsMemo(grid[0]), UnitsMemo(grid[1]))

    def instrument(self, coin: str) -> Instrument | None:
        """Return one instrument, ``None`` if its coin is not known."""
        return self._instruments.get(coin)

    # --- frames ---------------------------------------------------------------------------------

    def parse_frame(self, raw: bytes | str) -> Frame | DataQuarantined | None:
        """Read one websocket message.

        Returns
        -------
        Frame, DataQuarantined or None
            The typed frame; the report of something not understood; or nothing, for text that is
            no JSON and for what was reported before.
        """
        try:
            frame: Frame = _frame_decoder.decode(raw)
            return frame
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._not_understood(raw, str(error))

    def frame_events(self, frame: Frame) -> list[Event]:
        """Return the events of a typed frame; control frames have none."""
        maker = self._makers.get(type(frame))
        if maker is None:
            assert isinstance(frame, SubscriptionFrame | PongFrame | MidsFrame), (
                f"invariant: every frame has its reader, was {type(frame).__name__}"
            )
            return []
        try:
            return maker(frame)
        except GridError as error:
            source = type(frame).__name__
            return self.quarantine(f"bad_number:{source}", source, str(error))

    def decode_frame(self, raw: bytes | str) -> list[Event]:
        """Return the events of one websocket message."""
        frame = self.parse_frame(raw)
        if frame is None:
            return []
        return [frame] if isinstance(frame, DataQuarantined) else self.frame_events(frame)

    def quarantine(self, kind: str, source: str, detail: str) -> list[Event]:
        """Count something set aside; return its report if it is the first of its kind."""
        report = self._report(kind, source, detail)
        return [] if report is None else [report]

    def _report(self, kind: str, source: str, detail: str) -> DataQuarantined | None:
        if kind not in self.counts and len(self.counts) >= QUARANTINE_KINDS_MAX:
            kind = "other"
        self.counts[kind] += 1
        if self.counts[kind] > 1:
            return None
        return DataQuarantined(source=source, detail=f"{kind}: {detail[:_DETAIL_LENGTH_MAX]}")

    def _not_understood(self, raw: bytes | str, error: str) -> DataQuarantined | None:
        text = raw if isinstance(raw, str) else raw.decode(errors="replace")
        if not text.lstrip().startswith("{"):
            # Some servers greet with plain text; the official SDK skips it too.
            self.counts["text"] += 1
            return None
        try:
            channel = _channel_decoder.decode(raw).channel
        except (msgspec.DecodeError, UnicodeDecodeError):
            channel = ""
        kind = f"bad_frame:{channel}" if channel in _CHANNELS else f"unknown_channel:{channel}"
        return self._report(kind, "websocket", f"{error} in {text[:120]}")

    # --- market data ----------------------------------------------------------------------------

    def _book(self, frame: BookFrame) -> list[Event]:
        book = frame.data
        memos = self._memos.get(book.coin)
        if memos is None:
            return self._unknown_coin(book.coin, "l2Book")
        px_of, lots_of = memos
        bids, asks = book.levels
        return [
            BookChanged(
                ts_exch_ns=book.time * NS_PER_MS,
                coin=book.coin,
                bids=tuple([(px_of[level.px], lots_of[level.sz]) for level in bids]),
                asks=tuple([(px_of[level.px], lots_of[level.sz]) for level in asks]),
            )
        ]

    def _bbo(self, frame: BboFrame) -> list[Event]:
        data = frame.data
        memos = self._memos.get(data.coin)
        if memos is None:
            return self._unknown_coin(data.coin, "bbo")
        bid_px, bid_lots = _level(data.bbo[0], memos)
        ask_px, ask_lots = _level(data.bbo[1], memos)
        return [
            BboChanged(
                ts_exch_ns=data.time * NS_PER_MS,
                coin=data.coin,
                bid_px=bid_px,
                bid_lots=bid_lots,
                ask_px=ask_px,
                ask_lots=ask_lots,
            )
        ]

    def _trades(self, frame: TradesFrame) -> list[Event]:
        by_coin: dict[str, list[PublicTrade]] = {}
        events: list[Event] = []
        for trade in frame.data:
            grid = self._grids.get(trade.coin)
            if grid is None:
                events += self._unknown_coin(trade.coin, "trades")
                continue
            by_coin.setdefault(trade.coin, []).append(
                PublicTrade(
                    units(trade.px, grid[0]),
                    units(trade.sz, grid[1]),
                    is_buy_side(trade.side),
                    trade.time * NS_PER_MS,
                    trade.tid,
                )
            )
        for coin, trades in by_coin.items():
            trades.sort(key=lambda t: t.ts_exch_ns)
            events.append(
                TradesPrinted(ts_exch_ns=trades[-1].ts_exch_ns, coin=coin, trades=tuple(trades))
            )
        return events

    def _candles(self, frame: CandleFrame) -> list[Event]:
        rows = frame.data if isinstance(frame.data, list) else [frame.data]
        events: list[Event] = []
        for row in rows:
            candle = self.candle(row)
            if candle is None:
                events += self._unknown_coin(row.s, "candle")
                continue
            events.append(CandleChanged(coin=row.s, interval_ns=_interval_ns(row.i), candle=candle))
        return events

    def candle(self, row: WireCandle) -> Candle | None:
        """Convert one candle; ``None`` if its coin is not known; `GridError` if a price is off."""
        grid = self._grids.get(row.s)
        if grid is None:
            return None
        px_decimals, sz_decimals = grid
        return Candle(
            row.t * NS_PER_MS,
            units(row.o, px_decimals),
            units(row.h, px_decimals),
            units(row.l, px_decimals),
            units(row.c, px_decimals),
            # An aggregate: the venue prints it with float noise.
            units_rounded(row.v, sz_decimals),
        )

    def _context(self, frame: ContextFrame) -> list[Event]:
        coin, context = frame.data.coin, frame.data.ctx
        grid = self._grids.get(coin)
        if grid is None:
            return self._unknown_coin(coin, "activeAssetCtx")
        return [
            ContextChanged(
                coin=coin,
                mark_px=units_rounded(context.mark_px, grid[0]),
                oracle_px=units_rounded(context.oracle_px, grid[0]),
                funding_rate_1h=float_number(context.funding, f"funding of {coin}"),
                open_interest_lots=units_rounded(context.open_interest, grid[1]),
            )
        ]

    # --- account data ---------------------------------------------------------------------------

    def _order_updates(self, frame: OrderUpdatesFrame) -> list[Event]:
        return self._each("orderUpdates", frame.data, self.order_update)

    def order_update(self, row: WireOrderUpdate) -> list[Event]:
        """Convert an order with its status; `GridError` if a number does not fit."""
        order = row.order
        grid = self._grids.get(order.coin)
        if grid is None:
            return self._unknown_coin(order.coin, "orders")
        status = order_status(row.status)
        if status is None:
            return self.quarantine(f"unknown_status:{row.status}", "orders", f"oid {order.oid}")
        size = order.orig_sz if order.orig_sz is not None else order.sz
        return [
            OrderUpdated(
                ts_exch_ns=row.status_timestamp * NS_PER_MS,
                coin=order.coin,
                oid=order.oid,
                cloid=order.cloid,
                status=status,
                is_buy=is_buy_side(order.side),
                px=units(order.limit_px, grid[0]),
                lots_orig=units(size, grid[1]),
                lots_left=units(order.sz, grid[1]),
                venue_status=row.status,
            )
        ]

    def fills(self, rows: Iterable[WireFill]) -> list[Event]:
        """Convert fills; one that cannot be read is set aside, the others go on."""
        return self._each("fills", rows, self._fill)

    def _fill(self, row: WireFill) -> list[Event]:
        grid = self._grids.get(row.coin)
        if grid is None:
            return self._unknown_coin(row.coin, "fills")
        events: list[Event] = []
        if row.fee_token != FEE_TOKEN:
            events = self.quarantine(
                f"fee_token:{row.fee_token}", "fills", f"fee of {row.coin} is not in {FEE_TOKEN}"
            )
        liquidation = row.liquidation
        fill = Fill(
            coin=row.coin,
            oid=row.oid,
            cloid=row.cloid,
            tid=row.tid,
            is_buy=is_buy_side(row.side),
            px=units(row.px, grid[0]),
            lots=units(row.sz, grid[1]),
            fee_micro=units_rounded(row.fee, _USDC_DECIMALS),
            is_maker=not row.crossed,
            closed_pnl_micro=units_rounded(row.closed_pnl, _USDC_DECIMALS),
            start_position_lots=units(row.start_position, grid[1]),
            ts_exch_ns=row.time * NS_PER_MS,
            is_liquidation=liquidation is not None
            and liquidation.liquidated_user.lower() == self.account,
        )
        return [*events, OrderFilled(ts_exch_ns=fill.ts_exch_ns, fill=fill)]

    def fundings(self, rows: Iterable[WireFunding]) -> list[Event]:
        """Convert funding payments; one that cannot be read is set aside."""
        return self._each("fundings", rows, self._funding)

    def _funding(self, row: WireFunding) -> list[Event]:
        grid = self._grids.get(row.coin)
        if grid is None:
            return self._unknown_coin(row.coin, "fundings")
        return [
            FundingPaid(
                ts_exch_ns=row.time * NS_PER_MS,
                coin=row.coin,
                funding_micro=units_rounded(row.usdc, _USDC_DECIMALS),
                # Rows that sum several samples carry an average position.
                position_lots=units_rounded(row.szi, grid[1]),
                rate_1h=float_number(row.funding_rate, f"funding rate of {row.coin}"),
            )
        ]

    def ledger(self, rows: Iterable[WireLedgerRow]) -> list[Event]:
        """Convert ledger rows that move the perpetuals account's USDC."""
        return self._each("ledger", rows, self._ledger_row)

    def _ledger_row(self, row: WireLedgerRow) -> list[Event]:
        kind = str(row.delta.get("type", ""))
        if is_elsewhere(kind):
            self.counts[f"ledger_elsewhere:{kind}"] += 1
            return []
        moved_micro = amount_micro(row.delta, self.account)
        if moved_micro is None:
            return self.quarantine(f"unknown_ledger:{kind}", "ledger", str(row.delta))
        return [
            LedgerMoved(
                ts_exch_ns=row.time * NS_PER_MS,
                kind=kind,
                amount_micro=moved_micro,
                hash=row.hash,
            )
        ]

    def _user_events(self, frame: UserEventsFrame) -> list[Event]:
        data = frame.data
        events = self.fills(data.fills or ())
        if data.funding is not None:
            events += self.fundings((data.funding,))
        if data.liquidation is not None:
            events += self.quarantine("liquidation", "userEvents", str(data.liquidation))
        for row in data.non_user_cancel or ():
            events += self._non_user_cancel(row)
        return events

    def _non_user_cancel(self, row: dict[str, Any]) -> list[Event]:
        coin, oid = row.get("coin"), row.get("oid")
        if not (isinstance(coin, str) and isinstance(oid, int)):
            return self.quarantine("bad_row:nonUserCancel", "userEvents", str(row))
        return [
            OrderUpdated(
                coin=coin,
                oid=oid,
                cloid=None,
                status=OrderStatus.CANCELLED,
                venue_status="nonUserCancel",
            )
        ]

    def _each(
        self, source: str, rows: Iterable[_Row], read: Callable[[_Row], list[Event]]
    ) -> list[Event]:
        """Read row by row, so that a bad one spoils no other."""
        events: list[Event] = []
        for row in rows:
            try:
                events += read(row)
            except GridError as error:
                events += self.quarantine(f"bad_number:{source}", source, str(error))
        return events

    def _unknown_coin(self, coin: str, source: str) -> list[Event]:
        return self.quarantine(
            f"unknown_coin:{source}", source, f"{coin!r} is no perpetual this client knows"
        )


def _level(level: WireLevel | None, memos: tuple[UnitsMemo, UnitsMemo]) -> tuple[int, int]:
    if level is None:
        return 0, 0
    return memos[0][level.px], memos[1][level.sz]


def is_buy_side(side: str) -> bool:
    """Tell whether the venue's side word is a buy; `GridError` if it is neither word."""
    if side == SIDE_BUY:
        return True
    if side == SIDE_SELL:
        return False
    raise GridError(f"side should be {SIDE_BUY!r} or {SIDE_SELL!r}, was {side!r}")


def _interval_ns(text: str) -> int:
    try:
        return interval_ns(text)
    except ValueError as error:
        raise GridError(str(error)) from None


_CHANNELS = frozenset(
    {
        "l2Book",
        "bbo",
        "trades",
        "candle",
        "activeAssetCtx",
        "allMids",
        "orderUpdates",
        "userFills",
        "userFundings",
        "userNonFundingLedgerUpdates",
        "user",
        "subscriptionResponse",
        "error",
        "pong",
    }
)
