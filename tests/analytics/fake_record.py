"""A seeded session that never happened, with books kept exactly: what analytics is tested on."""

from __future__ import annotations

import math
import random

from core.model.account import AttributedFill, EquityPoint, Fill
from core.model.codes import Mode, Purpose, Regime
from core.model.instrument import MICRO_PER_USDC, Instrument
from core.model.record import FundingRow, PricePoint, SessionRecord
from core.model.time import NS_PER_HOUR, NS_PER_MIN

START_NS = 1_746_403_200 * 1_000_000_000  # 2025-05-05 00:00:00 UTC
BTC = Instrument("BTC", 0, 5, leverage_max=40)
ETH = Instrument("ETH", 1, 4, leverage_max=25)
SOL = Instrument("SOL", 5, 2, leverage_max=20)
INSTRUMENTS = {i.coin: i for i in (BTC, ETH, SOL)}
FIRST_PRICES = {"BTC": 94_300.0, "ETH": 1_810.0, "SOL": 146.0}
STRATEGIES = ("scalping", "mean_reversion", "grid_trading", "trend_following")


class Books:
    """Cash, positions and rows of a session, exact to the micro-USDC."""

    def __init__(self, *, usd: int = 10_000, start_ns: int = START_NS) -> None:
        self.cash_micro = usd * MICRO_PER_USDC
        self.start_ns = self.now_ns = start_ns
        self.positions = dict.fromkeys(INSTRUMENTS, 0)
        self.px = {c: round(p * INSTRUMENTS[c].px_scale) for c, p in FIRST_PRICES.items()}
        self.fills: list[AttributedFill] = []
        self.funding: list[FundingRow] = []
        self.equity: list[EquityPoint] = []
        self.prices: dict[str, list[PricePoint]] = {coin: [] for coin in INSTRUMENTS}
        self._peak = 0

    def trade(
        self,
        coin: str,
        signed_lots: int,
        px: int,
        *,
        strategy: str = "scalping",
        purpose: Purpose | None = Purpose.ENTRY,
        regime: Regime = Regime.RANGING,
        is_maker: bool = False,
        fee_micro: int | None = None,
        arrival_mid_x2: int = 0,
    ) -> None:
        """Fill an order at ``px``; the fee follows the tier-0 rates unless given."""
        lots = abs(signed_lots)
        rate_e5 = 15 if is_maker else 45
        fee = px * lots * rate_e5 // 100_000 if fee_micro is None else fee_micro
        fill = Fill(
            coin=coin,
            oid=len(self.fills) + 1,
            cloid=None,
            tid=len(self.fills) + 1,
            is_buy=signed_lots > 0,
            px=px,
            lots=lots,
            fee_micro=fee,
            is_maker=is_maker,
            closed_pnl_micro=0,
            start_position_lots=self.positions[coin],
            ts_exch_ns=self.now_ns,
        )
        self.fills.append(
            AttributedFill(
                fill=fill,
                strategy=strategy,
                purpose=purpose,
                regime=regime,
                arrival_mid_x2=arrival_mid_x2,
            )
        )
        self.positions[coin] += signed_lots
        self.cash_micro -= signed_lots * px + fee

    def pay_funding(self, coin: str, funding_micro: int) -> None:
        """Receive (above 0) or pay funding."""
        self.funding.append(FundingRow(self.now_ns, coin, funding_micro))
        self.cash_micro += funding_micro

    def mark(self) -> None:
        """Note equity and prices as they are now."""
        value = sum(lots * self.px[coin] for coin, lots in self.positions.items())
        gross = sum(abs(lots) * self.px[coin] for coin, lots in self.positions.items())
        equity = self.cash_micro + value
        self._peak = max(self._peak, equity)
        drawdown = 1.0 - equity / self._peak if self._peak > 0 else 0.0
        self.equity.append(EquityPoint(self.now_ns, equity, self.cash_micro, gross, drawdown))
        for coin, points in self.prices.items():
            points.append(PricePoint(self.now_ns, self.px[coin] / INSTRUMENTS[coin].px_scale))

    def record(self, **fields: object) -> SessionRecord:
        """Close the books."""
        values: dict[str, object] = {
            "session": "backtest-20250505T000000",
            "mode": Mode.BACKTEST,
            "start_ns": self.start_ns,
            "end_ns": self.now_ns,
            "instruments": INSTRUMENTS,
            "equity": tuple(self.equity),
            "fills": tuple(self.fills),
            "funding": tuple(self.funding),
            "prices": {coin: tuple(points) for coin, points in self.prices.items()},
            "order_counts": {"filled": len(self.fills), "cancelled": 7, "rejected": 1},
            "refusal_counts": {"SPREAD_TOO_WIDE": 3},
            "assumptions": ("Resting orders fill when the market trades through them.",),
        }
        return SessionRecord(**{**values, **fields})  # type: ignore[arg-type]


def realistic_record(
    seed: int = 7, *, minutes: int = 36 * 60, trade_chance: float = 0.004, is_flat: bool = True
) -> SessionRecord:
    """Trade three random walks in and out, with fees, funding, partial fills and reversals."""
    rng, books = random.Random(seed), Books()
    books.mark()
    for minute in range(1, minutes + 1):
        books.now_ns = START_NS + minute * NS_PER_MIN
        for coin, instrument in INSTRUMENTS.items():
            calm = 1.0 + 0.8 * math.sin(minute / 300.0)
            drift = rng.gauss(0.0, 0.00045 * calm * (1.0 if coin == "BTC" else 1.5))
            books.px[coin] = max(1, round(books.px[coin] * math.exp(drift)))
            _trade_at_random(rng, books, instrument, trade_chance)
            if books.now_ns % NS_PER_HOUR == 0 and books.positions[coin]:
                notional = books.positions[coin] * books.px[coin]
                books.pay_funding(coin, -notional * rng.randint(-5, 30) // 1_000_000)
        if minute == minutes and is_flat:
            for coin, lots in books.positions.items():
                if lots:
                    books.trade(coin, -lots, books.px[coin], purpose=Purpose.FLATTEN)
        books.mark()
    return books.record()


def _trade_at_random(
    rng: random.Random, books: Books, instrument: Instrument, chance: float
) -> None:
    coin, held = instrument.coin, books.positions[instrument.coin]
    if rng.random() > chance * (4.0 if held else 1.0):
        return
    px, half_spread = books.px[coin], max(1, books.px[coin] // 20_000)
    is_maker = rng.random() < 0.35
    usd = rng.uniform(800, 3_000)
    size = instrument.lots_floor(usd / instrument.px_float(px))
    signed = rng.choice((-1, 1)) * size
    if held:
        share = rng.choice((1.0, 1.0, 1.0, 0.5, 1.6))
        signed = -round(held * share) or -held
    side = 1 if signed > 0 else -1
    books.trade(
        coin,
        signed,
        px - side * half_spread if is_maker else px + side * half_spread,
        strategy=rng.choice(STRATEGIES),
        purpose=rng.choice((Purpose.EXIT, Purpose.STOP, Purpose.TARGET)) if held else Purpose.ENTRY,
        regime=rng.choice((Regime.RANGING, Regime.CALM, Regime.TRENDING, Regime.VOLATILE)),
        is_maker=is_maker,
        arrival_mid_x2=2 * px,
    )
