"""From news to frames: who subscribed to what, what changed, and what one message then says.

The pump hands over ticks and outputs when they happen and asks for the rows that subscribers want;
it hands the rows back when they have travelled. Rows that wait together are coalesced: states
(books, mids, contexts) keep the newest, lists (prints, fills, order updates) are joined, candles
keep one row per bar. Order within a channel is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candles import INTERVALS_NS, CandleBuilder
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    LiquidationOutput,
    OrderOutput,
    TradeOutput,
    VenueOutput,
)
from core.simulation.wire.board import BOOK_LEVELS, BOOK_LEVELS_FAST, MarketBoard
from core.simulation.wire.connections import Connection
from core.simulation.wire.rows import (
    Row,
    account_row,
    fill_row,
    frontend_row,
    funding_stream_row,
    ledger_row,
    liquidation_event,
    liquidation_ledger_row,
    order_row,
)
from core.simulation.wire.subscriptions import Key, Subscription
from core.simulation.wire.text import ms

BOOK_EVERY_NS = 5 * NS_PER_S
BOOK_FAST_EVERY_NS = 500 * NS_PER_MS
MIDS_EVERY_NS = 2 * NS_PER_S
"""Cadences observed in 2026 (reference section 11.4)."""
SNAPSHOT_ROWS_MAX = 2_000
NEWEST_WINS = frozenset(
    {"bbo", "l2Book", "activeAssetCtx", "allMids", "openOrders", "clearinghouseState"}
)
ROWS_KEY = {
    "userFills": "fills",
    "userFundings": "fundings",
    "userNonFundingLedgerUpdates": "nonFundingLedgerUpdates",
}

KeyedRow = tuple[Key, Any]
_encode = msgspec.json.Encoder().encode


class Hub:
    """Subscribers by key, and the rows and frames they get.

    Parameters
    ----------
    board : MarketBoard
        Market rows.
    exchange : SimulatedExchange
        Account rows.
    """

    def __init__(self, board: MarketBoard, exchange: SimulatedExchange) -> None:
        self._board = board
        self._exchange = exchange
        self._subscribers: dict[Key, dict[Connection, None]] = {}
        self._by_coin: dict[str, list[Key]] = {}
        self._builders: dict[Key, CandleBuilder] = {}
        self._due_ns: dict[Key, int] = {}
        self._last_bbo: dict[str, Any] = {}
        self._liquidation_count = 0
        self.frame_count = 0

    # --- who -----------------------------------------------------------------------------------

    def add(self, connection: Connection, subscription: Subscription) -> None:
        """Let a connection hear a key from now on."""
        key = subscription.key
        if key not in self._subscribers:
            self._subscribers[key] = {}
            if len(key) > 1 and subscription.user is None:
                self._by_coin.setdefault(key[1], []).append(key)
            if key[0] == "candle" and self._board.has_market(key[1]):
                history = self._board.history(key[1])
                self._builders[key] = history.builder(INTERVALS_NS[key[2]])
        self._subscribers[key][connection] = None
        connection.keys[key] = None

    def remove(self, connection: Connection, key: Key) -> None:
        """Stop telling a connection about a key."""
        connection.keys.pop(key, None)
        listeners = self._subscribers.get(key)
        if listeners is None:
            return
        listeners.pop(connection, None)
        if listeners:
            return
        del self._subscribers[key]
        self._builders.pop(key, None)
        self._due_ns.pop(key, None)
        keys = self._by_coin.get(key[1], []) if len(key) > 1 else []
        if key in keys:
            keys.remove(key)

    def leave(self, connection: Connection) -> None:
        """Forget a connection."""
        for key in list(connection.keys):
            self.remove(connection, key)

    # --- what changed --------------------------------------------------------------------------

    def tick_rows(self, tick: MarketTick, prints: Sequence[Row]) -> Iterator[KeyedRow]:
        """Yield the rows that subscribers of a coin want to hear of one tick."""
        if self._is_due(("allMids",), tick.ts_ns, MIDS_EVERY_NS):
            yield ("allMids",), {"mids": self._board.mids_row()}
        for key in self._by_coin.get(tick.coin, ()):
            channel = key[0]
            if channel == "trades":
                if prints:
                    yield key, list(prints)
            elif channel == "candle":
                yield key, self._candle_row(key, tick)
            elif channel == "activeAssetCtx":
                yield key, {"coin": tick.coin, "ctx": self._board.context_row(tick.coin)}
        yield from self.book_rows(tick.coin, tick.ts_ns)

    def book_rows(self, coin: str, ts_ns: int) -> Iterator[KeyedRow]:
        """Yield the books of a coin that changed or are due."""
        for key in self._by_coin.get(coin, ()):
            if key[0] == "bbo":
                row = self._board.bbo_row(coin, ts_ns)
                if row["bbo"] != self._last_bbo.get(coin):
                    self._last_bbo[coin] = row["bbo"]
                    yield key, row
            elif key[0] == "l2Book":
                every_ns = BOOK_FAST_EVERY_NS if key[4] else BOOK_EVERY_NS
                if self._is_due(key, ts_ns, every_ns):
                    yield key, self._book_row(key, ts_ns)

    def output_rows(self, outputs: Iterable[VenueOutput], ts_ns: int) -> Iterator[KeyedRow]:
        """Yield the rows that users and the public hear of the venue's outputs."""
        touched: dict[str, None] = {}
        coins: dict[str, None] = {}
        for output in outputs:
            if isinstance(output, TradeOutput):
                coins[output.coin] = None
                yield ("trades", output.coin), [self._board.add_trade(output)]
                continue
            touched[output.owner] = None
            if isinstance(output, OrderOutput):
                coins[output.order.coin] = None
            for key, row in self._user_rows(output):
                if key in self._subscribers:
                    yield key, row
        for coin in coins:
            yield from self.book_rows(coin, ts_ns)
        for owner in touched:
            for kind in ("openOrders", "clearinghouseState"):
                if (kind, owner) in self._subscribers:
                    yield (kind, owner), self._state_row(kind, owner)

    def snapshot(self, subscription: Subscription, now_ns: int) -> list[bytes]:
        """Return the frames that follow an acknowledgement: the state as it stands."""
        key, channel = subscription.key, subscription.channel
        if channel == "allMids":
            return self._frames(key, [{"mids": self._board.mids_row()}])
        if subscription.user is not None:
            return self._user_snapshot(key, channel, subscription.user)
        coin = key[1]
        if not self._board.has_market(coin):
            return []
        if channel == "trades":
            rows = self._board.recent_trades(coin)
            return self._frames(key, list(reversed(rows))) if rows else []
        if channel == "bbo":
            return self._frames(key, [self._board.bbo_row(coin, now_ns)])
        if channel == "l2Book":
            return self._frames(key, [self._book_row(key, now_ns)])
        if channel == "activeAssetCtx":
            return self._frames(key, [{"coin": coin, "ctx": self._board.context_row(coin)}])
        rows = self._board.candle_rows(coin, key[2], now_ns, now_ns)
        return self._frames(key, rows)

    # --- frames --------------------------------------------------------------------------------

    def publish(self, news: Iterable[KeyedRow]) -> None:
        """Coalesce rows that arrived together and send them to their subscribers."""
        merged: dict[Key, list[Any]] = {}
        for key, row in news:
            if key not in self._subscribers:
                continue
            channel = key[0]
            rows = merged.pop(key, [])
            if channel in NEWEST_WINS:
                rows = [row]
            elif channel == "candle":
                if rows and rows[-1]["t"] == row["t"]:
                    rows[-1] = row
                else:
                    rows.append(row)
            elif isinstance(row, list):
                rows.extend(row)
            else:
                rows.append(row)
            merged[key] = rows
        for key, rows in merged.items():
            frames = self._frames(key, rows)
            self.frame_count += len(frames)
            for connection in list(self._subscribers[key]):
                for frame in frames:
                    connection.push(frame)

    def _frames(self, key: Key, rows: list[Any]) -> list[bytes]:
        channel = key[0]
        if channel in ("trades", "orderUpdates"):
            return [frame(channel, rows)]
        if channel == "userEvents":
            return [frame("user", row) for row in _joined_events(rows)]
        rows_key = ROWS_KEY.get(channel)
        if rows_key is not None:
            return [frame(channel, {"user": key[1], rows_key: rows})]
        return [frame(channel, row) for row in rows]

    # --- rows ----------------------------------------------------------------------------------

    def _is_due(self, key: Key, ts_ns: int, every_ns: int) -> bool:
        if key not in self._subscribers or ts_ns < self._due_ns.get(key, 0):
            return False
        self._due_ns[key] = ts_ns + every_ns
        return True

    def _candle_row(self, key: Key, tick: MarketTick) -> Row:
        builder = self._builders.get(key)
        if builder is None:
            # The first tick of a coin came after the subscription.
            builder = self._board.history(tick.coin).builder(INTERVALS_NS[key[2]])
            self._builders[key] = builder
            candle = builder.candle or builder.add(tick)
        else:
            candle = builder.add(tick)
        return self._board.candle_row(tick.coin, key[2], candle, builder.trade_count)

    def _book_row(self, key: Key, ts_ns: int) -> Row:
        _, coin, figures, mantissa, is_fast = key
        levels = BOOK_LEVELS_FAST if is_fast else BOOK_LEVELS
        return self._board.book_row(
            coin, ts_ns=ts_ns, levels=levels, figures=figures, mantissa=mantissa
        )

    def _state_row(self, kind: str, owner: str) -> Row:
        instruments = self._board.instruments
        if kind == "openOrders":
            orders = self._exchange.open_orders(owner)
            rows = [frontend_row(order, instruments[order.coin]) for order in orders]
            return {"dex": "", "user": owner, "orders": rows}
        summary = self._exchange.account_summary(owner)
        state = account_row(summary, instruments, self._exchange.now_ns)
        return {"dex": "", "user": owner, "clearinghouseState": state}

    def _user_rows(self, output: VenueOutput) -> Iterator[KeyedRow]:
        instruments = self._board.instruments
        if isinstance(output, OrderOutput):
            row = {
                "order": order_row(output.order, instruments[output.order.coin]),
                "status": output.status.value,
                "statusTimestamp": ms(output.status_ns),
            }
            yield ("orderUpdates", output.owner), row
        elif isinstance(output, FillOutput):
            row = fill_row(output, instruments[output.fill.coin])
            yield ("userFills", output.owner), row
            yield ("userEvents", output.owner), {"fills": [row]}
        elif isinstance(output, FundingOutput):
            row = funding_stream_row(output, instruments[output.coin])
            yield ("userFundings", output.owner), row
            yield ("userEvents", output.owner), {"funding": row}
        elif isinstance(output, LedgerOutput):
            yield ("userNonFundingLedgerUpdates", output.owner), ledger_row(output)
        elif isinstance(output, LiquidationOutput):
            self._liquidation_count += 1
            event = liquidation_event(output, LIQUIDATOR, self._liquidation_count)
            yield ("userEvents", output.owner), event
            key = ("userNonFundingLedgerUpdates", output.owner)
            yield key, liquidation_ledger_row(output, instruments)

    def _user_snapshot(self, key: Key, channel: str, user: str) -> list[bytes]:
        exchange, instruments = self._exchange, self._board.instruments
        if channel in ("openOrders", "clearinghouseState"):
            return self._frames(key, [self._state_row(channel, user)])
        if channel == "userFills":
            rows = [fill_row(o, instruments[o.fill.coin]) for o in exchange.fills(user)]
        elif channel == "userFundings":
            payments = exchange.funding_history(user)
            rows = [funding_stream_row(o, instruments[o.coin]) for o in payments]
        elif channel == "userNonFundingLedgerUpdates":
            rows = [ledger_row(output) for output in exchange.ledger(user)]
        else:
            return []
        rows_key = ROWS_KEY[channel]
        data = {"isSnapshot": True, "user": user, rows_key: rows[-SNAPSHOT_ROWS_MAX:]}
        return [frame(channel, data)]


def frame(channel: str, data: Any) -> bytes:
    """Encode one message as the venue frames it."""
    return _encode({"channel": channel, "data": data})


def _joined_events(rows: Iterable[Row]) -> list[Row]:
    """Join consecutive fills into one event; each event has exactly one key."""
    joined: list[Row] = []
    for row in rows:
        if "fills" in row and joined and "fills" in joined[-1]:
            joined[-1] = {"fills": joined[-1]["fills"] + row["fills"]}
        else:
            joined.append(row)
    return joined
