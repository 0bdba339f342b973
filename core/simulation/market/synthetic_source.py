"""A generated market: correlated coins, changing weather, jumps, and liquidity that reacts.

Nothing in it is recorded, so it shows whether a system works and never whether it earns. A coin's
oracle price follows a common factor and its own noise; the perpetual trades around it with a
mean-reverting premium; the weather (calm, trending, volatile) and the time of day scale
volatility, depth and flow. Mark price and funding are left to the venue's own rules. Blocks of
half an hour are drawn at once from the seed and the block's number; memory does not grow with the
length.

Source of the forms: common factor and heavy tails by mixing regimes (Cont 2001, Empirical
properties of asset returns). How local trades move it is the business of ``impact``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from core.model.errors import DataFileError
from core.model.instrument import Instrument
from core.model.market import Candle
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, NS_PER_S
from core.simulation.market.candles import merge_candles
from core.simulation.market.depth import Books, Float64Array, draw_books
from core.simulation.market.impact import LocalImpact
from core.simulation.market.price_grid import Int64Array, nearest_on_grid
from core.simulation.market.ticks import MarketTick, MarketTrade
from core.simulation.market.universe import instrument_of, recorded_instruments

START_NS = 1_767_225_600 * NS_PER_S
"""2026-01-01 00:00 UTC."""
TICK_NS = 2 * NS_PER_S
BLOCK_NS = 30 * NS_PER_MIN
STEPS = BLOCK_NS // TICK_NS
HISTORY_NS = 2 * NS_PER_DAY
DAYS_MAX = 3_650
VOLATILITY_MAX = 20.0

CORRELATION = 0.8
"""Of any two coins: the share of a coin's variance that comes from the common factor."""
JUMPS_PER_DAY = 2.0
JUMP_SIGMA = 0.01
PREMIUM_HALF_LIFE_S = 600.0
PREMIUM_SIGMA = 0.0003
FLOW_MEMORY = 0.9
FLOW_SIGMA = 0.35
BUSIEST_HOUR = 15.0
ACTIVITY_SWING = 0.4
"""How far flow and variance lie above their mean at the busiest hour (UTC), as a share."""
TOUCH_MINUTES = 0.05
"""Size at the touch in minutes of ordinary volume."""
PULL_HALF_LIFE_DAYS = 90.0
"""A price comes back to where it began with this half-life, so that a decade stays in sight."""
LOG_RANGE = 9.0
"""A price stays within a factor of e^9 of where it began, whatever the volatility."""


class CoinModel(msgspec.Struct, frozen=True):
    """One coin: first price in USDC, volatility per year, volume a day in USDC."""

    price: float
    volatility: float
    volume_usdc: float


MODELS = {
    "BTC": CoinModel(90_000.0, 0.45, 3e9),
    "ETH": CoinModel(3_000.0, 0.65, 1.5e9),
    "SOL": CoinModel(150.0, 0.85, 5e8),
    "HYPE": CoinModel(35.0, 0.95, 3e8),
    "DOGE": CoinModel(0.15, 0.9, 1e8),
}
DEFAULT_MODEL = CoinModel(10.0, 0.9, 5e7)


class Weather(msgspec.Struct, frozen=True):
    """What a regime does: factors on volatility, depth and flow, and drift in volatilities."""

    volatility: float
    depth: float
    flow: float
    drift: float


WEATHERS = (
    Weather(0.5, 1.3, 0.7, 0.0),
    Weather(0.9, 1.0, 1.1, 0.35),
    Weather(2.2, 0.35, 2.0, 0.0),
)
"""Calm, trending, volatile."""
NEXT_WEATHER = np.array([[0.90, 0.07, 0.03], [0.10, 0.85, 0.05], [0.10, 0.10, 0.80]])
"""Chances of the next half hour's weather, by the present one."""


class _Sky(msgspec.Struct, frozen=True):
    """One block of what all coins share: weather and the factor's returns."""

    start_ns: int
    number: int
    weather_i: int
    activity: float
    direction: float
    factor: Float64Array
    jump: Float64Array

    @property
    def weather(self) -> Weather:
        return WEATHERS[self.weather_i]


class _Standing(msgspec.Struct, frozen=True):
    """Where one coin's random paths stand between two blocks."""

    log_price: float
    premium: float = 0.0
    flow: float = 0.0


class _Path(msgspec.Struct, frozen=True):
    """Half an hour of one coin before its books: prices in units, prints, and where it ends."""

    oracle: Float64Array
    oracle_px: Int64Array
    px: Int64Array
    lots: Int64Array
    end: _Standing


class SyntheticSource:
    """Play a generated market.

    Parameters
    ----------
    coins : sequence of str
        Names in the recorded universe, whose grids are used.
    seed : int
        Reproduces everything.
    days : float
        Length after the start.
    volatility : float
        Factor on every coin's volatility, above 0.
    start_ns : int
        First moment, rounded down to the minute.

    Raises
    ------
    DataFileError
        If a coin is unknown or a number is out of range.
    """

    def __init__(
        self,
        coins: Sequence[str] = ("BTC", "ETH", "SOL", "HYPE"),
        *,
        seed: int = 7,
        days: float = 7.0,
        volatility: float = 1.0,
        start_ns: int = START_NS,
    ) -> None:
        if not coins:
            raise DataFileError("a synthetic market should have at least one coin, named none")
        if not 0 < days <= DAYS_MAX:
            raise DataFileError(f"days should be above 0 and at most {DAYS_MAX}, was {days:g}")
        if not 0 < volatility <= VOLATILITY_MAX:
            raise DataFileError(
                f"volatility should be above 0 and at most {VOLATILITY_MAX:g}, was {volatility:g}"
            )
        self._seed = seed
        self._start_ns = start_ns - start_ns % NS_PER_MIN
        self._first_ns = start_ns - start_ns % BLOCK_NS - HISTORY_NS
        self._end_ns = self._start_ns + round(days * NS_PER_DAY)
        self._tracks = {
            coin: _Track(instrument_of(coin), seed=seed, volatility=volatility)
            for coin in dict.fromkeys(coins)
        }
        self._history: dict[str, list[Candle]] = {coin: [] for coin in self._tracks}
        self._weather_i, self._standings = self._play_history()

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The whole recorded universe."""
        return recorded_instruments()

    @property
    def coins(self) -> tuple[str, ...]:
        """The coins, in the order given."""
        return tuple(self._tracks)

    @property
    def start_ns(self) -> int:
        """First moment played; two days of history, or a little more, come before it."""
        return self._start_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick."""
        return self._end_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (
            "the market is generated from a seed: prices, books and prints are nobody's, and "
            "results on them say nothing about earnings",
            "mark price and funding follow the venue's documented rules from the generated book",
            "local takers move the price by a square-root law for some minutes and a little for "
            "good; resting fills move nothing",
        )

    def ticks(self) -> Iterator[MarketTick]:
        """Play the span, ordered by time; coins at the same moment keep the order of ``coins``.

        What local accounts traded in an earlier play is forgotten.
        """
        for track in self._tracks.values():
            track.impact.forget()
        return self._play()

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return at most ``count`` candles of the generated history, oldest first."""
        if interval_ns % NS_PER_MIN or count < 1:
            return ()
        last_ns = end_ns - end_ns % interval_ns
        first_ns = last_ns - count * interval_ns
        rows = [c for c in self._history[coin] if first_ns <= c.open_ns < last_ns]
        return tuple(merge_candles(rows, interval_ns))

    def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
        """Hear that local takers took lots from the outside: price and depth give way."""
        track = self._tracks.get(coin)
        if track is not None:
            track.impact.hear(lots_signed=lots_signed, px=px, ts_ns=ts_ns)

    def _play_history(self) -> tuple[int, dict[str, _Standing]]:
        """Draw the minutes before the start; return how things stand when it comes."""
        standings = {coin: track.beginning for coin, track in self._tracks.items()}
        weather_i = 0
        for sky in self._skies(0, weather_i):
            paths = {coin: t.path(sky, standings[coin]) for coin, t in self._tracks.items()}
            for coin, path in paths.items():
                minutes = _minutes(path, sky.start_ns)
                self._history[coin] += [c for c in minutes if c.open_ns < self._start_ns]
            if sky.number == HISTORY_NS // BLOCK_NS:
                break
            weather_i = sky.weather_i
            standings = {coin: path.end for coin, path in paths.items()}
        return weather_i, standings

    def _play(self) -> Iterator[MarketTick]:
        standings = dict(self._standings)
        for sky in self._skies(HISTORY_NS // BLOCK_NS, self._weather_i):
            blocks = []
            for coin, track in self._tracks.items():
                path = track.path(sky, standings[coin])
                standings[coin] = path.end
                blocks.append(track.ticks(sky, path))
            for row in zip(*blocks, strict=True):
                if row[0].ts_ns < self._start_ns:
                    continue
                if row[0].ts_ns >= self._end_ns:
                    return
                for track, tick in zip(self._tracks.values(), row, strict=True):
                    yield track.impact.moved(tick)

    def _skies(self, first: int, weather_i: int) -> Iterator[_Sky]:
        """Yield the blocks from number ``first`` on; weather passes from one to the next."""
        for number in range(first, -(-(self._end_ns - self._first_ns) // BLOCK_NS)):
            start_ns = self._first_ns + number * BLOCK_NS
            rng = np.random.default_rng([self._seed, 0, number])
            weather_i = int(rng.choice(len(WEATHERS), p=NEXT_WEATHER[weather_i]))
            jumps = rng.random(STEPS) < JUMPS_PER_DAY * TICK_NS / NS_PER_DAY
            yield _Sky(
                start_ns=start_ns,
                number=number,
                weather_i=weather_i,
                activity=_activity(start_ns),
                direction=float(rng.choice((-1.0, 1.0))),
                factor=rng.standard_normal(STEPS),
                jump=np.where(jumps, rng.normal(0.0, JUMP_SIGMA, STEPS), 0.0),
            )


class _Track:
    """One coin of a synthetic market."""

    def __init__(self, instrument: Instrument, *, seed: int, volatility: float) -> None:
        self._instrument, self._seed = instrument, seed
        self._model = MODELS.get(instrument.coin, DEFAULT_MODEL)
        self._sigma_day = self._model.volatility * volatility / math.sqrt(365.0)
        self.beginning = _Standing(math.log(self._model.price))
        self.impact = LocalImpact(
            instrument, sigma_day=self._sigma_day, volume_usdc=self._model.volume_usdc
        )

    def path(self, sky: _Sky, standing: _Standing) -> _Path:
        """Draw half an hour of prices and prints."""
        rng = self._rng(sky, 0)
        step = math.sqrt(TICK_NS / NS_PER_DAY * sky.activity)
        sigma = self._sigma_day * sky.weather.volatility * step
        own = rng.standard_normal(STEPS)
        noise = math.sqrt(CORRELATION) * sky.factor + math.sqrt(1.0 - CORRELATION) * own
        first = self.beginning.log_price
        back = 1.0 - 0.5 ** (BLOCK_NS / NS_PER_DAY / PULL_HALF_LIFE_DAYS)
        # Drift over the block, in the coin's volatility of that time.
        drift = sky.weather.drift * sky.direction * sigma / math.sqrt(STEPS)
        drift += (first - standing.log_price) * back / STEPS
        log_prices = standing.log_price + np.cumsum(sigma * noise + drift + sky.jump)
        log_prices = np.clip(log_prices, first - LOG_RANGE, first + LOG_RANGE)
        keep = 0.5 ** (TICK_NS / NS_PER_S / PREMIUM_HALF_LIFE_S)
        shocks = rng.normal(0.0, PREMIUM_SIGMA * math.sqrt(1.0 - keep**2), STEPS)
        premiums = _decaying(standing.premium, keep, shocks)
        flows = _decaying(standing.flow, FLOW_MEMORY, rng.normal(0.0, FLOW_SIGMA, STEPS))

        scale = self._instrument.px_scale
        oracle = np.exp(log_prices)
        # The log of the flow has this variance; taking half of it off keeps the mean volume.
        flow_mean = FLOW_SIGMA**2 / (1.0 - FLOW_MEMORY**2) / 2.0
        per_tick = self._model.volume_usdc * TICK_NS / NS_PER_DAY * sky.weather.flow * sky.activity
        usdc = per_tick * np.exp(flows - flow_mean) * rng.exponential(1.0, STEPS)
        return _Path(
            oracle=oracle,
            oracle_px=np.maximum(1, np.rint(oracle * scale).astype(np.int64)),
            px=nearest_on_grid(oracle * (1.0 + premiums), scale),
            lots=np.rint(usdc / oracle * self._instrument.lots_scale).astype(np.int64),
            end=_Standing(float(log_prices[-1]), float(premiums[-1]), float(flows[-1])),
        )

    def ticks(self, sky: _Sky, path: _Path) -> Iterator[MarketTick]:
        """Draw books around half an hour, and yield it as ticks that nobody has moved."""
        rng, instrument, model = self._rng(sky, 1), self._instrument, self._model
        steps = np.diff(path.px, prepend=path.px[0])
        is_buy = np.where(steps == 0, rng.random(STEPS) < 0.5, steps > 0)
        touch_usdc = model.volume_usdc * NS_PER_MIN / NS_PER_DAY * TOUCH_MINUTES
        touch = touch_usdc * sky.weather.depth / path.oracle * instrument.lots_scale
        minute = self._sigma_day * sky.weather.volatility * math.sqrt(NS_PER_MIN / NS_PER_DAY)
        books = draw_books(
            path.px,
            is_buy,
            np.maximum(1.0, touch),
            path.oracle * instrument.px_scale * minute,
            px_scale=instrument.px_scale,
            rng=rng,
        )
        columns = (path.px, path.lots, path.oracle_px, is_buy, *_columns(books))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        ts_ns, coin = sky.start_ns, instrument.coin
        for px, lots, oracle_px, buys, bid_px, bid_lots, ask_px, ask_lots in rows:
            trades: tuple[MarketTrade, ...] = ((px, lots, buys),) if lots else ()
            bids = tuple(zip(bid_px, bid_lots, strict=True))
            asks = tuple(zip(ask_px, ask_lots, strict=True))
            if bid_px[-1] == 0:
                bids = tuple(level for level in bids if level[0] > 0)
            yield MarketTick(ts_ns, coin, bids, asks, trades, None, oracle_px, None)
            ts_ns += TICK_NS

    def _rng(self, sky: _Sky, use: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, 1 + self._instrument.asset, sky.number, use])


def _columns(books: Books) -> tuple[Int64Array, Int64Array, Int64Array, Int64Array]:
    return books.bid_px, books.bid_lots, books.ask_px, books.ask_lots


def _activity(ts_ns: int) -> float:
    """Return how busy the time of day is, 1 on average."""
    hour = ts_ns % NS_PER_DAY / NS_PER_HOUR
    return 1.0 + ACTIVITY_SWING * math.cos(2.0 * math.pi * (hour - BUSIEST_HOUR) / 24.0)


def _minutes(path: _Path, start_ns: int) -> Iterator[Candle]:
    """Fold half an hour into minutes of what printed."""
    px = path.px.reshape(-1, NS_PER_MIN // TICK_NS)
    lots = path.lots.reshape(px.shape).sum(axis=1)
    columns = (px[:, 0], px.max(axis=1), px.min(axis=1), px[:, -1], lots)
    for i, row in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        yield Candle(start_ns + i * NS_PER_MIN, *row)


def _decaying(first: float, keep: float, shocks: Float64Array) -> Float64Array:
    """Return ``x[n] = keep * x[n-1] + shocks[n]``, which starts at ``first``."""
    values = np.empty_like(shocks)
    last = first
    for i, shock in enumerate(shocks.tolist()):
        last = keep * last + shock
        values[i] = last
    return values
