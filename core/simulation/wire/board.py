"""What the venue shows of its markets: books, mids, contexts, candles, prints, funding history.

Fed by the same ticks as the matching engine, after it. It holds the memory that matching does not
need, all of it bounded, and turns it into the venue's rows. It knows no connection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from core.model.instrument import PX_DECIMALS_SPOT, Instrument, decimal_text
from core.model.market import Candle, Level
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, utc_day
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candles import INTERVALS_NS, MINUTES_KEPT, Bar, CandleHistory
from core.simulation.market.source import MarketSource
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import SPOT_ASSET_BASE, recorded_spot_bases
from core.simulation.venue.outputs import OUTSIDE, TradeOutput
from core.simulation.venue.premium import RATE_E10, impact_pxs, premium_e10
from core.simulation.venue.records import USDC_WEI_PER_MICRO
from core.simulation.wire.rows import CountedLevel, Row, candle_row, level_row, trade_row
from core.simulation.wire.text import (
    ZERO_HASH,
    lots_text,
    ms,
    px_text,
    rate_e10_text,
    rate_text,
    usd_text,
    with_point,
)

BOOK_LEVELS = 20
BOOK_LEVELS_FAST = 5
TRADES_KEPT = 100
HOURS_KEPT = 24 * 31
DAYS_KEPT = 15
CANDLES_MAX = 5_000
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
        self.last_px: int | None = before[-1].close_px if before else None
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
        minute = self._minute(tick.ts_ns, tick.shown_px)
        for px, lots, _ in tick.trades:
            self._count(minute, px, lots)

    def add_print(self, ts_ns: int, px: int, lots: int) -> None:
        """Take a print that is in no tick into candles and the day's sums."""
        self.history.add_print(ts_ns, px, lots)
        self._count(self._minute(ts_ns, px), px, lots)

    def _minute(self, ts_ns: int, shown_px: int) -> _Minute:
        open_ns = ts_ns - ts_ns % NS_PER_MIN
        if not self._minutes or self._minutes[-1].open_ns != open_ns:
            self._append(_Minute(open_ns, 0, 0, shown_px))
        return self._minutes[-1]

    def _count(self, minute: _Minute, px: int, lots: int) -> None:
        self.last_px = minute.close_px = px
        minute.lots += lots
        minute.notional_micro += px * lots
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
        self._daily_volume: dict[int, int] = {}
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
            self._count_volume(output)
        board.trades.extend(rows)
        return rows

    def add_trade(self, output: TradeOutput) -> Row:
        """Take a print of a local account; return its row."""
        row = trade_row(output, self.instruments[output.coin])
        board = self._coins.get(output.coin)
        if board is not None:
            board.trades.append(row)
            board.add_print(output.ts_ns, output.px, output.lots)
        self._count_volume(output)
        return row

    def volume_micro(self, day: int) -> int:
        """Return what all traded on a UTC day since the start, in micro-USDC."""
        return self._daily_volume.get(day, 0)

    def _count_volume(self, output: TradeOutput) -> None:
        notional = output.px * output.lots
        if self.instruments[output.coin].is_spot:
            notional //= USDC_WEI_PER_MICRO
        day, volumes = utc_day(output.ts_ns), self._daily_volume
        volumes[day] = volumes.get(day, 0) + notional
        if len(volumes) > DAYS_KEPT:
            del volumes[min(volumes)]

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
        sides = []
        for is_up, side in enumerate(self._counted(coin)):
            if figures is not None:
                side = _rounded(side, figures, mantissa or 1, is_up=bool(is_up))
            sides.append([level_row(level, instrument) for level in side[:levels]])
        return {"coin": coin, "time": ms(ts_ns), "levels": sides}

    def _counted(self, coin: str) -> list[list[CountedLevel]]:
        """Return both sides with the number of orders at each price.

        What the outside shows at a price counts as one order: markets do not tell how many it is.
        """
        local = self._exchange.local_orders_at(coin)
        sides = []
        for side in self.book(coin):
            counted = []
            for px, lots in side:
                count, own = local.get(px, (0, 0))
                counted.append((px, lots, count + (lots > own)))
            sides.append(counted)
        return sides

    def spread_text(self, coin: str) -> str | None:
        """Return ask less bid, None unless both sides stand."""
        bids, asks = self.book(coin)
        if not bids or not asks:
            return None
        return px_text(self.instruments[coin], asks[0][0] - bids[0][0])

    def bbo_row(self, coin: str, ts_ns: int) -> Row:
        """Return ``bbo``; an empty side is null."""
        instrument = self.instruments[coin]
        touch = self._exchange.touch(coin)
        best = [None if level is None else level_row(level, instrument) for level in touch]
        return {"coin": coin, "time": ms(ts_ns), "bbo": best}

    def mids_row(self) -> dict[str, str]:
        """Return ``allMids``: of an empty book the last trade (venue documentation)."""
        rows = {}
        for coin, board in self._coins.items():
            if not self.has_market(coin):
                continue
            text = self.mid_text(coin)
            if text is None and board.last_px is not None:
                text = px_text(board.instrument, board.last_px)
            if text is not None:
                rows[coin] = text
        return rows

    def context_row(self, coin: str) -> Row:
        """Return the context of a coin (``activeAssetCtx``, ``metaAndAssetCtxs``)."""
        if not self.has_market(coin):
            return empty_context()
        board, instrument = self._coins[coin], self.instruments[coin]
        exchange = self._exchange
        oracle_px = exchange.oracle_px(coin)
        impact = self._impact(coin)
        return {
            "funding": rate_text(exchange.funding_rate_1h(coin)),
            "openInterest": lots_text(instrument, exchange.open_interest_lots(coin)),
            "prevDayPx": px_text(instrument, board.day_ago_px),
            "dayNtlVlm": usd_text(board.day_notional_micro),
            "premium": None if impact is None else rate_e10_text(premium_e10(impact, oracle_px)),
            "oraclePx": px_text(instrument, oracle_px),
            "markPx": px_text(instrument, exchange.mark_px(coin)),
            "midPx": self.mid_text(coin),
            "impactPxs": None if impact is None else [px_text(instrument, px) for px in impact],
            "dayBaseVlm": lots_text(instrument, board.day_lots),
        }

    def contexts(self) -> list[Row]:
        """Return the contexts of all perpetuals, in the order of the universe."""
        return [self.context_row(i.coin) for i in self.universe if not i.is_spot]

    def spot_context_row(self, coin: str) -> Row:
        """Return the context of a spot pair (``activeSpotAssetCtx``, ``spotMetaAndAssetCtxs``).

        Supply is what the venue's accounts hold: nobody else owns tokens here.
        """
        instrument, token = self.instruments[coin], recorded_spot_bases()[coin]
        has_market = self.has_market(coin)
        board = self._coins[coin] if has_market else _CoinBoard(instrument, ())
        supply = decimal_text(self._exchange.spot.circulating_wei(token.index), token.wei_decimals)
        return {
            "prevDayPx": px_text(instrument, board.day_ago_px),
            "dayNtlVlm": with_point(decimal_text(board.day_notional_micro, PX_DECIMALS_SPOT)),
            "markPx": px_text(instrument, self._exchange.mark_px(coin)),
            "midPx": self.mid_text(coin) if has_market else None,
            "circulatingSupply": with_point(supply),
            "coin": coin,
            "totalSupply": with_point(supply),
            "dayBaseVlm": lots_text(instrument, board.day_lots),
        }

    def spot_contexts(self) -> list[Row]:
        """Return the contexts of all spot pairs, dense by their index, dead ones included."""
        listed = {i.asset - SPOT_ASSET_BASE: i.coin for i in self.universe if i.is_spot}
        return [
            self.spot_context_row(listed[index])
            if index in listed
            else _empty_spot_context(f"@{index}")
            for index in range(max(listed, default=-1) + 1)
        ]

    def recent_trades(self, coin: str) -> list[Row]:
        """Return the latest prints, newest first."""
        board = self._coins.get(coin)
        return [] if board is None else list(reversed(board.trades))

    def running_bar(self, coin: str, interval: str) -> Bar | None:
        """Return a coin's bar that is not over with its prints, ``None`` before its first tick."""
        if not self.has_market(coin):
            return None
        return self._coins[coin].history.running_bar(INTERVALS_NS[interval])

    def candle_rows(self, coin: str, interval: str, start_ns: int, end_ns: int) -> list[Row]:
        """Return ``candleSnapshot``: at most the newest `CANDLES_MAX` bars, oldest first."""
        board = self._coins.get(coin)
        if board is None:
            return []
        length_ns = INTERVALS_NS[interval]
        candles = board.history.counted_candles(length_ns, start_ns, end_ns, CANDLES_MAX)
        return [self.candle_row(coin, interval, candle, count) for candle, count in candles]

    def candle_row(self, coin: str, interval: str, candle: Candle, count: int) -> Row:
        """Return one candle of a coin; ``count`` is how often it printed."""
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
        paid = self._exchange.premiums.paid(coin)
        if paid is not None and (not board.funding or board.funding[-1][0] != paid.hour_ns):
            premium = paid.premium_e10 / RATE_E10
            board.funding.append((paid.hour_ns, paid.rate_e10 / RATE_E10, premium))

    def mid_text(self, coin: str) -> str | None:
        """Return the mid of a coin that has a market; ``None`` where a side is empty."""
        bids, asks = self.book(coin)
        if not bids or not asks:
            return None
        instrument = self.instruments[coin]
        # Half a price unit is exact with one more decimal.
        halves = (bids[0][0] + asks[0][0]) * 5
        return with_point(decimal_text(halves, instrument.px_decimals + 1))

    def _impact(self, coin: str) -> tuple[int, int] | None:
        return impact_pxs(coin, *self.book(coin))


def _rounded(
    levels: Sequence[CountedLevel], figures: int, mantissa: int, *, is_up: bool
) -> list[CountedLevel]:
    merged: dict[int, tuple[int, int]] = {}
    for px, lots, count in levels:
        step = 10 ** max(0, len(str(px)) - figures) * mantissa
        rounded = -(-px // step) * step if is_up else px - px % step
        lots_before, count_before = merged.get(rounded, (0, 0))
        merged[rounded] = (lots_before + lots, count_before + count)
    return [(px, lots, count) for px, (lots, count) in merged.items()]


def empty_context() -> Row:
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


def _empty_spot_context(coin: str) -> Row:
    """Context of a pair that does not trade, as recorded of dead ones."""
    return {
        "prevDayPx": "0.0",
        "dayNtlVlm": "0.0",
        "markPx": "1.0",
        "midPx": None,
        "circulatingSupply": "0.0",
        "coin": coin,
        "totalSupply": "0.0",
        "dayBaseVlm": "0.0",
    }
