"""What the market shows, per coin: touch, depth, index prices and a ring of closed candles.

Updates are cheap because most events only land here; floats for strategies are made only when
somebody decides. Knows nothing of our orders, positions or wishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from core.model.events import BboChanged, BookChanged, CandleChanged, CandlesLoaded, ContextChanged
from core.model.instrument import Instrument
from core.model.market import Candle, FloatArray, Level

RING_COUNT_MIN = 512
QUIET_CANDLES_MAX = 10
"""Candles without a trade that a live stream may skip; a longer hole counts as a gap."""
GAP_HEALED_COUNT = 100
"""Closed candles in a row after which an unrepaired gap no longer matters to anyone."""
DEPTH_LEVELS = 5
_FIELDS = 6


class CandleRing:
    """The last closed candles without a hole, in arrays allocated once.

    Rows live in a buffer of twice the capacity and move to its front when the end is reached, so
    every view is contiguous and an append costs O(1) on average. Column 0 is ``open_ns`` (exact
    below 2^53 only in its own integer array), the others price units and lots.
    """

    __slots__ = ("_end", "_open_ns", "_values", "capacity", "count")

    def __init__(self, capacity: int) -> None:
        assert capacity > 0, f"invariant: a ring holds at least one candle, was {capacity}"
        self.capacity = capacity
        self.count = 0
        self._end = 0
        self._open_ns = np.zeros(2 * capacity, dtype=np.int64)
        self._values = np.zeros((_FIELDS - 1, 2 * capacity), dtype=np.int64)

    @property
    def last_open_ns(self) -> int:
        """Opening time of the newest closed candle, 0 when empty."""
        return int(self._open_ns[self._end - 1]) if self.count else 0

    def append(self, candle: Candle) -> None:
        """Add the next closed candle; the oldest leaves when the ring is full."""
        if self._end == 2 * self.capacity:
            keep = slice(self._end - self.capacity + 1, self._end)
            kept = self.capacity - 1
            self._open_ns[:kept] = self._open_ns[keep].copy()
            self._values[:, :kept] = self._values[:, keep].copy()
            self._end = kept
        at = self._end
        self._open_ns[at] = candle.open_ns
        self._values[:, at] = (
            candle.open_px,
            candle.high_px,
            candle.low_px,
            candle.close_px,
            candle.volume_lots,
        )
        self._end += 1
        self.count = min(self.count + 1, self.capacity)

    def clear(self) -> None:
        """Forget everything."""
        self.count = 0
        self._end = 0

    def candles(self) -> list[Candle]:
        """Return the candles, oldest first."""
        window = slice(self._end - self.count, self._end)
        rows = zip(self._open_ns[window].tolist(), *self._values[:, window].tolist(), strict=True)
        return [Candle(*row) for row in rows]

    def column(self, index: int) -> FloatArray:
        """Return one value column (0 open, 1 high, 2 low, 3 close, 4 volume) as new floats."""
        return self._values[index, self._end - self.count : self._end].astype(np.float64)

    def pack(self) -> bytes:
        """Return the contents as bytes that depend on nothing but the candles held."""
        window = slice(self._end - self.count, self._end)
        return self._open_ns[window].tobytes() + self._values[:, window].tobytes()

    def unpack(self, packed: bytes) -> None:
        """Replace the contents by what `pack` gave."""
        rows = np.frombuffer(packed, dtype=np.int64).reshape(_FIELDS, -1)
        assert rows.shape[1] <= self.capacity, "invariant: packed candles fit the ring"
        self.count = self._end = rows.shape[1]
        self._open_ns[: self.count] = rows[0]
        self._values[:, : self.count] = rows[1:]


class CandleColumns(msgspec.Struct, frozen=True):
    """Closed candles as read-only float arrays in USDC and coins, oldest first, of one length."""

    closes: FloatArray
    highs: FloatArray
    lows: FloatArray
    volumes: FloatArray


class CoinFacts(msgspec.Struct, kw_only=True):
    """The numbers of one coin that a snapshot holds as they are; 0 and ``nan`` mean unknown."""

    coin: str
    bid_px: int = 0
    bid_lots: int = 0
    ask_px: int = 0
    ask_lots: int = 0
    touch_ns: int = 0
    imbalance_5: float = 0.0
    mark_px: int = 0
    oracle_px: int = 0
    funding_rate_1h: float = float("nan")
    open_interest_lots: int = 0
    running: Candle | None = None
    has_gap: bool = False


class CoinMarket(CoinFacts, kw_only=True):
    """One coin's market and its candles."""

    ring: CandleRing
    columns_cache: CandleColumns | None = None

    @property
    def mid_x2(self) -> int:
        """Bid plus ask in price units, exact; 0 while one of them is unknown."""
        return self.bid_px + self.ask_px if self.bid_px and self.ask_px else 0

    @property
    def value_px(self) -> int:
        """Price that positions are valued at: the mark, without one the mid, else 0."""
        return self.mark_px or self.mid_x2 // 2

    @property
    def spread_bps(self) -> float:
        """Spread in basis points of the mid; ``nan`` while the touch is unknown."""
        mid_x2 = self.mid_x2
        return 20_000.0 * (self.ask_px - self.bid_px) / mid_x2 if mid_x2 else float("nan")

    def columns(self, instrument: Instrument) -> CandleColumns:
        """Return the closed candles as floats; computed once per closed candle."""
        if self.columns_cache is None:
            ring = self.ring
            prices = [ring.column(i) / instrument.px_scale for i in (3, 1, 2)]
            arrays = [*prices, ring.column(4) / instrument.lots_scale]
            for array in arrays:
                array.flags.writeable = False
            self.columns_cache = CandleColumns(*arrays)
        return self.columns_cache


class CoinSnapshot(msgspec.Struct, frozen=True):
    """One coin's market in a snapshot."""

    facts: CoinFacts
    candles: bytes


class MarketState:
    """The market of all traded coins.

    Parameters
    ----------
    coins : sequence of str
        The only coins that are followed; events of others are passed over.
    candle_ns : int
        Length of the decision candle; candles of another length are passed over.
    candle_count : int
        Closed candles to keep per coin, at least `RING_COUNT_MIN`.
    """

    def __init__(self, coins: Sequence[str], *, candle_ns: int, candle_count: int = 0) -> None:
        self._candle_ns = candle_ns
        self._capacity = max(RING_COUNT_MIN, candle_count)
        self.coins: dict[str, CoinMarket] = {}
        for coin in coins:
            self.follow(coin)

    def follow(self, coin: str) -> None:
        """Follow a coin from now on; harmless if it is followed."""
        if coin not in self.coins:
            self.coins[coin] = CoinMarket(coin=coin, ring=CandleRing(self._capacity))

    def forget(self, coin: str) -> None:
        """Follow a coin no longer."""
        self.coins.pop(coin, None)

    def apply_bbo(self, event: BboChanged, now_ns: int) -> CoinMarket | None:
        """Take over the touch; a crossed or one-sided one counts as unknown."""
        market = self.coins.get(event.coin)
        if market is None:
            return None
        bid_px, ask_px = event.bid_px, event.ask_px
        if 0 < bid_px < ask_px:
            market.bid_px, market.bid_lots = bid_px, event.bid_lots
            market.ask_px, market.ask_lots = ask_px, event.ask_lots
            market.touch_ns = now_ns
        else:
            market.bid_px = market.ask_px = market.bid_lots = market.ask_lots = 0
        return market

    def apply_book(self, event: BookChanged, now_ns: int) -> CoinMarket | None:
        """Take over touch and imbalance from a full snapshot of the displayed depth."""
        market = self.coins.get(event.coin)
        if market is None:
            return None
        bid = event.bids[0] if event.bids else (0, 0)
        ask = event.asks[0] if event.asks else (0, 0)
        if 0 < bid[0] < ask[0]:
            market.bid_px, market.bid_lots = bid
            market.ask_px, market.ask_lots = ask
            market.touch_ns = now_ns
        else:
            market.bid_px = market.ask_px = market.bid_lots = market.ask_lots = 0
        market.imbalance_5 = imbalance(event.bids, event.asks)
        return market

    def apply_context(self, event: ContextChanged) -> CoinMarket | None:
        """Take over index prices and funding; a price of 0 leaves the known one."""
        market = self.coins.get(event.coin)
        if market is None:
            return None
        market.mark_px = event.mark_px or market.mark_px
        market.oracle_px = event.oracle_px or market.oracle_px
        market.funding_rate_1h = event.funding_rate_1h
        market.open_interest_lots = event.open_interest_lots
        return market

    def apply_candle(self, event: CandleChanged) -> CoinMarket | None:
        """Take over the running candle.

        Returns
        -------
        CoinMarket or None
            The coin if this event closed at least one candle.
        """
        market = self.coins.get(event.coin)
        if market is None or event.interval_ns != self._candle_ns:
            return None
        running, candle = market.running, event.candle
        if running is None or candle.open_ns == running.open_ns:
            market.running = candle
            return None
        if candle.open_ns < running.open_ns:
            return None
        skipped = (candle.open_ns - running.open_ns) // self._candle_ns - 1
        if skipped > QUIET_CANDLES_MAX:
            self._break(market)
        else:
            self._close(market, running)
            # Minutes without a trade print no candle; their price is the last one by definition.
            for quiet in self._quiet_candles(running, candle.open_ns):
                self._close(market, quiet)
        market.running = candle
        return market

    def apply_history(self, event: CandlesLoaded) -> CoinMarket | None:
        """Merge history with what the stream gave; the newest candle is taken as still open.

        History is the venue's full record, so minutes missing inside it had no trade. A hole
        between history and stream leaves only the newer side.
        """
        market = self.coins.get(event.coin)
        if market is None or event.interval_ns != self._candle_ns or not event.candles:
            return None
        merged = {c.open_ns: c for c in market.ring.candles()}
        merged.update((c.open_ns, c) for c in event.candles)
        running = market.running
        if running is not None and running.open_ns >= event.candles[-1].open_ns:
            merged[running.open_ns] = running
        ordered = [merged[open_ns] for open_ns in sorted(merged)]
        covered = event.candles[0].open_ns, event.candles[-1].open_ns
        market.ring.clear()
        for before, after in pairwise(ordered):
            self._close(market, before)
            if after.open_ns - before.open_ns == self._candle_ns:
                continue
            if covered[0] <= before.open_ns and after.open_ns <= covered[1]:
                for quiet in self._quiet_candles(before, after.open_ns):
                    self._close(market, quiet)
            else:
                market.ring.clear()
        market.running = ordered[-1]
        market.columns_cache = None
        market.has_gap = False
        return market

    def apply_gap(self, coin: str, from_ns: int, to_ns: int) -> None:
        """Note that data is missing; candles survive only if no candle boundary was crossed."""
        market = self.coins.get(coin)
        if market is not None and from_ns // self._candle_ns != to_ns // self._candle_ns:
            self._break(market)

    def snapshot(self) -> dict[str, CoinSnapshot]:
        """Return everything as plain structs and bytes."""
        names = CoinFacts.__struct_fields__
        return {
            coin: CoinSnapshot(
                CoinFacts(**{name: getattr(market, name) for name in names}), market.ring.pack()
            )
            for coin, market in self.coins.items()
        }

    def restore(self, snapshot: dict[str, CoinSnapshot]) -> None:
        """Replace everything by what `snapshot` gave."""
        for coin, saved in snapshot.items():
            self.follow(coin)
            market = self.coins[coin]
            for name in CoinFacts.__struct_fields__:
                setattr(market, name, getattr(saved.facts, name))
            market.ring.unpack(saved.candles)
            market.columns_cache = None

    def _close(self, market: CoinMarket, candle: Candle) -> None:
        market.ring.append(candle)
        market.columns_cache = None
        if market.has_gap and market.ring.count >= GAP_HEALED_COUNT:
            market.has_gap = False

    def _break(self, market: CoinMarket) -> None:
        """Forget candles from before a hole, so that no indicator ever spans one."""
        market.ring.clear()
        market.running = None
        market.columns_cache = None
        market.has_gap = True

    def _quiet_candles(self, before: Candle, until_ns: int) -> Iterable[Candle]:
        px = before.close_px
        for open_ns in range(before.open_ns + self._candle_ns, until_ns, self._candle_ns):
            yield Candle(open_ns, px, px, px, px, 0)


def imbalance(bids: Sequence[Level], asks: Sequence[Level]) -> float:
    """Return (bid - ask) / (bid + ask) of the sizes of the best five levels; 0 for no depth."""
    bid_lots = sum(lots for _, lots in bids[:DEPTH_LEVELS])
    ask_lots = sum(lots for _, lots in asks[:DEPTH_LEVELS])
    total = bid_lots + ask_lots
    return (bid_lots - ask_lots) / total if total else 0.0
