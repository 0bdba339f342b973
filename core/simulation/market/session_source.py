"""The market of a recorded session, played again from its journal.

Books, best offers, prints, marks and funding come back as they were heard; nothing is drawn. What
the recording did not hold (depth beyond what was subscribed, sizes between two books) is not
invented. It knows no engine and no orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.model.errors import DataFileError, JournalError
from core.model.events import (
    BboChanged,
    BookChanged,
    CandlesLoaded,
    ContextChanged,
    TradesPrinted,
)
from core.model.instrument import Instrument
from core.model.market import Candle, Level
from core.simulation.market.candles import merge_candles
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.market.universe import recorded_instruments
from core.utils.journal_reader import JournalReader

JOURNAL_NAME = "journal.sqlite"


class SessionSource:
    """Play what a session heard.

    Parameters
    ----------
    path : Path
        A session's folder, or its journal.

    Raises
    ------
    DataFileError
        If there is no readable journal, or it holds no market.
    """

    def __init__(self, path: Path) -> None:
        self._path = path / JOURNAL_NAME if path.is_dir() else path
        self._candles: dict[tuple[str, int], tuple[Candle, ...]] = {}
        first = last = 0
        coins: dict[str, None] = {}
        for tick in self.ticks():
            first = first or tick.ts_ns
            last = tick.ts_ns
            coins[tick.coin] = None
        if not coins:
            raise DataFileError(
                f"{self._path} should hold books or prints of some coin, held none; "
                "record a session that follows a market first"
            )
        self._coins, self._start_ns, self._end_ns = tuple(coins), first, last + 1

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole recorded universe."""
        return recorded_instruments()

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins that were followed."""
        return self._coins

    @property
    def start_ns(self) -> int:
        """Moment of the first book."""
        return self._start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (
            f"the market is what the session in {self._path.parent.name} heard, at the moments "
            "its venue stamped; between two recorded books the displayed depth stands still",
        )

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return at most ``count`` of the candles that the session loaded, oldest first."""
        for (name, length_ns), rows in self._candles.items():
            if name == coin and interval_ns % length_ns == 0:
                edge_ns = end_ns - end_ns % interval_ns
                found = [c for c in rows if c.open_ns + length_ns <= edge_ns]
                return tuple(merge_candles(found, interval_ns)[-count:])
        return ()

    def ticks(self) -> Iterator[MarketTick]:
        """Play the recording, ordered by time."""
        coins: dict[str, _Coin] = {}
        now_ns = 0
        try:
            with JournalReader(self._path) as reader:
                for event in reader.events():
                    if isinstance(event, CandlesLoaded):
                        key = (event.coin, event.interval_ns)
                        self._candles.setdefault(key, tuple(event.candles))
                    elif isinstance(event, BboChanged | BookChanged | TradesPrinted):
                        coin = coins.setdefault(event.coin, _Coin(event.coin))
                        now_ns = max(now_ns, event.ts_exch_ns or event.ts_recv_ns)
                        tick = coin.hear(event, now_ns)
                        if tick is not None:
                            yield tick
                    elif isinstance(event, ContextChanged):
                        coins.setdefault(event.coin, _Coin(event.coin)).context = event
        except (JournalError, OSError) as error:
            raise DataFileError(f"{self._path} should be a session's journal: {error}") from None


class _Coin:
    """One coin's book as last heard, and the prints since its last tick."""

    def __init__(self, coin: str) -> None:
        self.coin = coin
        self.context: ContextChanged | None = None
        self._bids: tuple[Level, ...] = ()
        self._asks: tuple[Level, ...] = ()
        self._trades: list[MarketTrade] = []

    def hear(
        self, event: BboChanged | BookChanged | TradesPrinted, now_ns: int
    ) -> MarketTick | None:
        """Take one message; books make a tick once mark and oracle are known."""
        if isinstance(event, TradesPrinted):
            self._trades += [(t.px, t.lots, t.is_buy) for t in event.trades]
            return None
        if isinstance(event, BookChanged):
            self._bids, self._asks = event.bids, event.asks
        else:
            self._bids = _with_best(self._bids, event.bid_px, event.bid_lots, is_bid=True)
            self._asks = _with_best(self._asks, event.ask_px, event.ask_lots, is_bid=False)
        if self.context is None:
            return None
        trades, self._trades = tuple(self._trades), []
        return MarketTick(
            now_ns,
            self.coin,
            self._bids,
            self._asks,
            trades,
            self.context.mark_px,
            self.context.oracle_px,
            self.context.funding_rate_1h,
        )


def _with_best(levels: tuple[Level, ...], px: int, lots: int, *, is_bid: bool) -> tuple[Level, ...]:
    """Put a new best level before what still stands behind it."""
    if px == 0:
        return ()
    behind = tuple(level for level in levels if (level[0] < px if is_bid else level[0] > px))
    return ((px, lots), *behind)
