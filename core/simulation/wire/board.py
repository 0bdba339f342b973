"""What the venue shows of its markets: books, mids, contexts, candles, prints, funding history.

Fed by the same ticks as the matching engine, after it. It holds the memory that matching does not
need, all of it bounded, and turns it into the venue's rows. It knows no connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from core.model.instrument import Instrument, decimal_text
from core.model.market import Candle, Level
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candles import INTERVALS_NS, MINUTES_KEPT, CandleHistory
from core.simulation.market.source import MarketSource
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OUTSIDE, TradeOutput
from core.simulation.wire.rows import Row, candle_row, level_row, trade_row
from core.simulation.wire.text import (
    ZERO_HASH,
    lots_text,
    ms,
    px_text,
    rate_text,
    usd_text,
    with_point,
)

BOOK_LEVELS = 20
BOOK_LEVELS_FAST = 5
TRADES_KEPT = 100
HOURS_KEPT = 24 * 31
CANDLES_MAX = 5_000
IMPACT_NOTIONAL_MICRO = {"BTC": 20_000_000_000, "ETH": 20_000_000_000}
IMPACT_NOTIONAL_OTHER_MICRO = 6_000_000_000
"""Notional behind impact prices (venue documentation, Funding)."""
FIGURES_MIN, FIGURES_MAX = 2, 5
MANTISSAS = (2, 5)

Book = tuple[Sequence[Level], Sequence[Level]]


class _Minute:
    """Sums of one minute of one coin's day."""

    __slots__ = ("close_px", "lots", "notional_micro", "open_ns")

    def __init__(self, open_ns: int, lots: int, notional_micro: int, close_px: int) -> None:
        self.open_ns, self.lots = open_ns, lots
        self.notional_micro, self.close_px = notional_micro, close_px


class _CoinBoard:
    """One coin's memory."""

    def __init__(self, instrument: Instrument, before: Sequence[Candle]) -> None:
        self.instrument = instrument
        self.history = CandleHistory(before)
        self.last_tick: MarketTick | None = None
        self.trades: deque[Row] = deque(maxlen=TRADES_KEPT)
        self.funding: deque[tuple[int, float, float]] = deque(maxlen=HOURS_KEPT)
        self.day_lots = self.day_notional_micro = 0
        self._minutes: deque[_Minute] = deque()
        for candle in before:
            notional = candle.close_px * candle.volume_lots
            self._append(_Minute(candle.open_ns, candle.volume_lots, notional, candle.close_px))

    @property
    def day_ago_px(self) -> int:
        """Price a day ago, or the oldest known."""
        return self._minutes[0].close_px if self._minutes else 0

    def add(self, tick: MarketTick) -> None:
        """Take one tick into candles and the day's sums."""
        self.last_tick = tick
        self.history.add(tick)
        open_ns = tick.ts_ns - tick.ts_ns % NS_PER_MIN
        if not self._minutes or self._minutes[-1].open_ns != open_ns:
            self._append(_Minute(open_ns, 0, 0, tick.mark_px))
        minute = self._minutes[-1]
        for px, lots, _ in tick.trades:
            minute.lots += lots
            minute.notional_micro += px * lots
            minute.close_px = px
            self.day_lots += lots
            self.day_notional_micro += px * lots

    def _append(self, minute: _Minute) -> None:
        minutes = self._minutes
        while minutes and minutes[0].open_ns <= minute.open_ns - NS_PER_DAY:
            gone = minutes.popleft()
            self.day_lots -= gone.lots
            self.day_notional_micro -= gone.notional_micro
        minutes.append(minute)
        self.day_lots += minute.lots
        self.day_notional_micro += minute.notional_micro


class MarketBoard:
    """All coins that have a market, and the rows the venue shows of them.

    Parameters
    ----------
    source : MarketSource
        Gives coins and the history before the start.
    exchange : SimulatedExchange
        Asked for books that hold local orders, marks and open interest.
    """

    def __init__(self, source: MarketSource, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self.instruments = {instrument.coin: instrument for instrument in source.instruments}
        self.universe = tuple(source.instruments)
        self.start_ns = source.start_ns
        self._coins = {
            coin: _CoinBoard(
                self.instruments[coin],
                source.candles_before(coin, NS_PER_MIN, source.start_ns, MINUTES_KEPT),
            )
            for coin in source.coins
        }
        self._tid = 0

    @property
    def coins(self) -> tuple[str, ...]:
        """Coins that have a market."""
        return tuple(self._coins)

    def has_market(self, coin: str) -> bool:
        """Whether the coin is listed and has ever shown a tick."""
        board = self._coins.get(coin)
        return board is not None and board.last_tick is not None

    def add(self, tick: MarketTick) -> list[Row]:
        """Take one tick, after the exchange did; return its prints as rows."""
        board = self._coins[tick.coin]
        last = board.last_tick
        if last is None or last.ts_ns // NS_PER_HOUR != tick.ts_ns // NS_PER_HOUR:
            self._note_funding(board, tick.ts_ns)
        board.add(tick)
        rows = []
        for px, lots, is_buy in tick.trades:
            self._tid += 1
            # Prints of the outside market: nobody's hash, and ids apart from the matching engine's.
            output = TradeOutput(
                coin=tick.coin,
                px=px,
                lots=lots,
                is_buy=is_buy,
                ts_ns=tick.ts_ns,
                tid=(1 << 49) + self._tid,
                hash=ZERO_HASH,
                users=(OUTSIDE, OUTSIDE),
            )
            rows.append(trade_row(output, board.instrument))
        board.trades.extend(rows)
        return rows

    def add_trade(self, output: TradeOutput) -> Row:
        """Take a print of a local account; return its row."""
        row = trade_row(output, self.instruments[output.coin])
        if output.coin in self._coins:
            self._coins[output.coin].trades.append(row)
        return row

    def book(self, coin: str) -> Book:
        """Return the displayed depth with local orders, best first."""
        return self._exchange.book(coin)

    def book_row(
        self,
        coin: str,
        *,
        ts_ns: int,
        levels: int = BOOK_LEVELS,
        figures: int | None = None,
        mantissa: int | None = None,
    ) -> Row:
        """Return ``l2Book``, optionally with prices rounded away from the touch.

        Parameters
        ----------
        figures : int or None
            Significant figures of the prices, 2 to 5; ``None`` is full precision.
        mantissa : int or None
            With five figures, the last digit steps by 2 or 5.
        """
        instrument = self.instruments[coin]
        bids, asks = self.book(coin)
        if figures is not None:
            bids = _rounded(bids, figures, mantissa or 1, is_up=False)
            asks = _rounded(asks, figures, mantissa or 1, is_up=True)
        return {
            "coin": coin,
            "time": ms(ts_ns),
            "levels": [
                [level_row(level, instrument) for level in bids[:levels]],
                [level_row(level, instrument) for level in asks[:levels]],
            ],
        }

    def bbo_row(self, coin: str, ts_ns: int) -> Row:
        """Return ``bbo``; an empty side is null."""
        instrument = self.instruments[coin]
        bids, asks = self.book(coin)
        return {
            "coin": coin,
            "time": ms(ts_ns),
            "bbo": [level_row(side[0], instrument) if side else None for side in (bids, asks)],
        }

    def mids_row(self) -> dict[str, str]:
        """Return ``allMids`` of the coins that have a market."""
        return {
            coin: text
            for coin in self._coins
            if self.has_market(coin) and (text := self._mid_text(coin)) is not None
        }

    def context_row(self, coin: str) -> Row:
        """Return the context of a coin (``activeAssetCtx``, ``metaAndAssetCtxs``)."""
        if not self.has_market(coin):
            return _empty_context()
        board, instrument = self._coins[coin], self.instruments[coin]
        exchange = self._exchange
        oracle_px = exchange.oracle_px(coin)
        impact = self._impact(coin)
        return {
            "funding": rate_text(exchange.funding_rate_1h(coin)),
            "openInterest": lots_text(instrument, exchange.open_interest_lots(coin)),
            "prevDayPx": px_text(instrument, board.day_ago_px),
            "dayNtlVlm": usd_text(board.day_notional_micro),
            "premium": None if impact is None else rate_text(_premium(impact, oracle_px)),
            "oraclePx": px_text(instrument, oracle_px),
            "markPx": px_text(instrument, exchange.mark_px(coin)),
            "midPx": self._mid_text(coin),
            "impactPxs": None if impact is None else [px_text(instrument, px) for px in impact],
            "dayBaseVlm": lots_text(instrument, board.day_lots),
        }

    def contexts(self) -> list[Row]:
        """Return the contexts of the whole universe, in its order."""
        return [self.context_row(instrument.coin) for instrument in self.universe]

    def recent_trades(self, coin: str) -> list[Row]:
        """Return the latest prints, newest first."""
        board = self._coins.get(coin)
        return [] if board is None else list(reversed(board.trades))

    def history(self, coin: str) -> CandleHistory:
        """Return the candle memory of a coin that has a market."""
        return self._coins[coin].history

    def candle_rows(self, coin: str, interval: str, start_ns: int, end_ns: int) -> list[Row]:
        """Return ``candleSnapshot``: at most the newest `CANDLES_MAX` bars, oldest first."""
        board = self._coins.get(coin)
        if board is None:
            return []
        length_ns = INTERVALS_NS[interval]
        candles = board.history.candles(length_ns, start_ns, end_ns, CANDLES_MAX)
        return [self.candle_row(coin, interval, candle) for candle in candles]

    def candle_row(self, coin: str, interval: str, candle: Candle, count: int = 0) -> Row:
        """Return one candle of a coin."""
        return candle_row(
            candle,
            coin=coin,
            interval=interval,
            interval_ns=INTERVALS_NS[interval],
            instrument=self.instruments[coin],
            count=count,
        )

    def funding_rows(self, coin: str, start_ns: int, end_ns: int, limit: int) -> list[Row]:
        """Return ``fundingHistory``: the rates that were paid, oldest first."""
        board = self._coins.get(coin)
        rows = [] if board is None else [r for r in board.funding if start_ns <= r[0] <= end_ns]
        return [
            {
                "coin": coin,
                "fundingRate": rate_text(rate),
                "premium": rate_text(premium),
                "time": ms(ts_ns),
            }
            for ts_ns, rate, premium in rows[:limit]
        ]

    def _note_funding(self, board: _CoinBoard, ts_ns: int) -> None:
        """Remember the rate that the full hour before ``ts_ns`` was paid with."""
        if board.last_tick is None:
            return
        coin = board.instrument.coin
        impact = self._impact(coin)
        premium = 0.0 if impact is None else _premium(impact, self._exchange.oracle_px(coin))
        rate = board.last_tick.funding_rate_1h or 0.0
        board.funding.append((ts_ns - ts_ns % NS_PER_HOUR, rate, premium))

    def _mid_text(self, coin: str) -> str | None:
        bids, asks = self.book(coin)
        if not bids or not asks:
            tick = self._coins[coin].last_tick
            return None if tick is None else px_text(self.instruments[coin], tick.oracle_px)
        instrument = self.instruments[coin]
        # Half a price unit is exact with one more decimal.
        halves = (bids[0][0] + asks[0][0]) * 5
        return with_point(decimal_text(halves, instrument.px_decimals + 1))

    def _impact(self, coin: str) -> tuple[int, int] | None:
        bids, asks = self.book(coin)
        wanted = IMPACT_NOTIONAL_MICRO.get(coin, IMPACT_NOTIONAL_OTHER_MICRO)
        bid, ask = _impact_px(bids, wanted), _impact_px(asks, wanted)
        return None if bid is None or ask is None else (bid, ask)


def _impact_px(levels: Sequence[Level], notional_micro: int) -> int | None:
    """Average price of trading a notional, rounded to the price unit; None if depth is short."""
    left, lots_sum, paid = notional_micro, 0, 0
    for px, lots in levels:
        if px * lots >= left:
            last = max(1, left // px)
            return (paid + px * last) // (lots_sum + last)
        left -= px * lots
        lots_sum += lots
        paid += px * lots
    return None


def _premium(impact: tuple[int, int], oracle_px: int) -> float:
    """Premium over the oracle from impact prices (venue documentation, Funding)."""
    bid, ask = impact
    return (max(bid - oracle_px, 0) - max(oracle_px - ask, 0)) / oracle_px


def _rounded(levels: Sequence[Level], figures: int, mantissa: int, *, is_up: bool) -> list[Level]:
    merged: dict[int, int] = {}
    for px, lots in levels:
        step = 10 ** max(0, len(str(px)) - figures) * mantissa
        rounded = -(-px // step) * step if is_up else px - px % step
        merged[rounded] = merged.get(rounded, 0) + lots
    return list(merged.items())


def _empty_context() -> Row:
    """Context of a listed coin without a market, as the venue shows delisted ones."""
    return {
        "funding": "0.0",
        "openInterest": "0.0",
        "prevDayPx": "0.0",
        "dayNtlVlm": "0.0",
        "premium": None,
        "oraclePx": "0.0",
        "markPx": "0.0",
        "midPx": None,
        "impactPxs": None,
        "dayBaseVlm": "0.0",
    }
