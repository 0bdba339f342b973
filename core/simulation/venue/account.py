"""One account's money: cash, positions with exact cost basis, fees, volume and open orders.

It books fills and funding and nothing else; what is allowed is decided elsewhere. Source of the
isolated margin rule: recorded account states (margin in is notional / leverage, the fee comes out
of it).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import msgspec

from core.model.instrument import MICRO_PER_USDC
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import (
    FillOutput,
    FundingOutput,
    LedgerOutput,
    LeverageSetting,
    LiquidationOutput,
    OrderState,
)
from core.simulation.venue.resting import RestingOrders
from core.simulation.venue.settings import VenueSettings

VOLUME_DAYS = 14
REFERRAL_PERCENT = 4
REFERRED_VOLUME_MICRO = 25_000_000 * MICRO_PER_USDC
"""Discount of a referred account, and the volume up to which it has it."""


class Position(msgspec.Struct, eq=False):
    """An open position.

    Parameters
    ----------
    lots : int
        Signed size, never 0 while the account lists it.
    cost_micro : int
        What the open lots cost at entry, at least 0. A partial close takes its share rounded
        down, so the last close takes the rest and a round trip's closed PnL is exact.
    raw_usd_micro : int
        The isolated position's own margin account; 0 for cross.
    slack_micro : int
        Isolated only: mark movement that cannot yet reach maintenance; 0 asks for a check.
    """

    coin: str
    is_cross: bool
    leverage: int
    lots: int = 0
    cost_micro: int = 0
    raw_usd_micro: int = 0
    slack_micro: int = 0
    funding_since_open_micro: int = 0
    funding_since_change_micro: int = 0
    liquidated_ns: int | None = None

    def unrealized_micro(self, mark_px: int) -> int:
        """Return the open profit at ``mark_px``, exact."""
        value = self.lots * mark_px
        return value - self.cost_micro if self.lots > 0 else value + self.cost_micro


class Holding(msgspec.Struct, eq=False):
    """A spot token in an account, in its wei, and what it cost in USDC wei (0 for USDC)."""

    wei: int = 0
    entry_wei: int = 0


class Account:
    """State of one address. ``cash_micro`` is its cross raw USD, which may be below 0.

    ``moved_micro`` is what came to (or left) it without a trade. ``holdings`` are its spot tokens
    by token index; what open orders lock is still part of them. ``spot_gain_wei`` is what tokens
    that are gone brought over their cost, after fees, in USDC wei.
    """

    __slots__ = (
        "address",
        "cash_micro",
        "cloids",
        "daily_volume",
        "fills",
        "funding",
        "funding_all_time",
        "history",
        "holdings",
        "is_in_liquidation",
        "is_referred",
        "ledger",
        "leverage",
        "liquidations",
        "maker_rate_e8",
        "moved_micro",
        "orders",
        "positions",
        "requests_bought",
        "requests_trickle_ns",
        "requests_used",
        "resting",
        "scheduled_cancel_ns",
        "scheduled_cancels",
        "slack_micro",
        "spot_gain_wei",
        "spot_maker_rate_e8",
        "spot_taker_rate_e8",
        "taker_rate_e8",
        "volume_micro",
    )

    def __init__(
        self, address: str, settings: VenueSettings, leverage: Mapping[str, LeverageSetting]
    ) -> None:
        self.address = address
        self.cash_micro = 0
        self.moved_micro = 0
        self.spot_gain_wei = 0
        self.positions: dict[str, Position] = {}
        self.leverage = dict(leverage)
        self.orders: dict[int, Order] = {}
        self.resting = RestingOrders()
        self.cloids: dict[str, int] = {}
        self.holdings: dict[int, Holding] = {}
        self.taker_rate_e8 = settings.fee_tiers[0].taker_rate_e8
        self.maker_rate_e8 = settings.fee_tiers[0].maker_rate_e8
        self.spot_taker_rate_e8 = settings.fee_tiers[0].spot_taker_rate_e8
        self.spot_maker_rate_e8 = settings.fee_tiers[0].spot_maker_rate_e8
        self.volume_micro = 0
        self.daily_volume: dict[int, tuple[int, int]] = {}
        self.slack_micro = 0
        self.is_in_liquidation = False
        self.requests_used = 0
        self.requests_bought = 0
        self.requests_trickle_ns = 0
        self.is_referred = False
        self.scheduled_cancel_ns: int | None = None
        self.scheduled_cancels = (0, 0)
        self.funding_all_time: dict[str, int] = {}
        self.fills: deque[FillOutput] = deque(maxlen=settings.fills_count_max)
        self.funding: deque[FundingOutput] = deque(maxlen=settings.fills_count_max)
        self.ledger: deque[LedgerOutput] = deque(maxlen=settings.fills_count_max)
        self.liquidations: deque[LiquidationOutput] = deque(maxlen=settings.history_count_max)
        self.history: deque[OrderState] = deque(maxlen=settings.history_count_max)

    @property
    def raw_usd_micro(self) -> int:
        """All raw USD: the cross cash and every isolated margin account."""
        return self.cash_micro + sum(p.raw_usd_micro for p in self.positions.values())

    def count_resting(self, order: Order) -> None:
        """Keep what resting orders hold up to date with one that rests, whatever is left of it."""
        setting = self.leverage.get(order.coin)
        if setting is not None and not order.reduce_only:
            self.resting.put(order, setting.leverage)

    def set_leverage(self, coin: str, setting: LeverageSetting) -> None:
        """Set leverage and margin mode of a coin; its orders hold margin accordingly."""
        self.leverage[coin] = setting
        self.resting.reprice(coin, setting.leverage)

    def lots(self, coin: str) -> int:
        """Return the signed position in a coin."""
        position = self.positions.get(coin)
        return position.lots if position is not None else 0

    def reducible_lots(self, coin: str, *, is_buy: bool) -> int:
        """Return how many lots an order of this side could take off the position."""
        lots = self.lots(coin)
        return max(0, -lots if is_buy else lots)

    def apply_fill(self, coin: str, *, lots_signed: int, px: int, fee_micro: int) -> int:
        """Book one fill and return its gross closed PnL in micro-USDC.

        Parameters
        ----------
        lots_signed : int
            Change of the position, not 0.
        px : int
            Price units, above 0.
        fee_micro : int
            Cost of the fill, negative for a rebate.
        """
        position = self.positions.get(coin)
        if position is None:
            setting = self.leverage[coin]
            position = Position(coin, setting.is_cross, setting.leverage)
            self.positions[coin] = position
        start = position.lots
        closing = 0 if start * lots_signed >= 0 else min(abs(start), abs(lots_signed))
        closed_pnl_micro = self._close(position, closing, px) if closing else 0
        opening = abs(lots_signed) - closing
        if opening:
            self._open(position, opening if lots_signed > 0 else -opening, px)
        if position.is_cross or position.lots == 0:
            self.cash_micro -= fee_micro
        else:
            position.raw_usd_micro -= fee_micro
        self._mark_changed(position, start)
        return closed_pnl_micro

    def _close(self, position: Position, lots: int, px: int) -> int:
        """Take ``lots`` off the position; the freed isolated margin returns to cash."""
        start = position.lots
        side = 1 if start > 0 else -1
        cost = position.cost_micro * lots // abs(start)
        position.cost_micro -= cost
        position.lots = start - side * lots
        proceeds = side * lots * px
        if position.is_cross:
            self.cash_micro += proceeds
        else:
            position.raw_usd_micro += proceeds
            margin = position.raw_usd_micro + position.lots * px
            keeps_all = margin < 0 and position.lots != 0
            kept = margin if keeps_all else margin * abs(position.lots) // abs(start)
            position.raw_usd_micro -= margin - kept
            self.cash_micro += margin - kept
        return side * (lots * px - cost)

    def _open(self, position: Position, lots_signed: int, px: int) -> None:
        """Add lots to a flat or like-sided position; isolated margin moves in from cash."""
        notional = abs(lots_signed) * px
        position.lots += lots_signed
        position.cost_micro += notional
        if position.is_cross:
            self.cash_micro -= lots_signed * px
            return
        margin = notional // position.leverage
        position.raw_usd_micro += margin - lots_signed * px
        self.cash_micro -= margin

    def _mark_changed(self, position: Position, start: int) -> None:
        """Drop a flat position, restart its funding counters, ask for a margin check."""
        self.slack_micro = 0
        position.slack_micro = 0
        position.funding_since_change_micro = 0
        if start * position.lots <= 0:
            position.funding_since_open_micro = 0
        if position.lots == 0:
            assert position.cost_micro == 0, f"invariant: flat costs 0, was {position.cost_micro}"
            assert position.raw_usd_micro == 0, (
                f"invariant: flat holds 0, was {position.raw_usd_micro}"
            )
            del self.positions[position.coin]

    def apply_funding(self, coin: str, funding_micro: int) -> None:
        """Book hourly funding, above 0 received, on the position's own margin account."""
        position = self.positions[coin]
        if position.is_cross:
            self.cash_micro += funding_micro
        else:
            position.raw_usd_micro += funding_micro
        position.funding_since_open_micro -= funding_micro
        position.funding_since_change_micro -= funding_micro
        self.funding_all_time[coin] = self.funding_all_time.get(coin, 0) - funding_micro
        self.slack_micro = 0
        position.slack_micro = 0

    def token_wei(self, token: int) -> int:
        """Return what the account holds of a spot token, locked or free, in the token's wei."""
        holding = self.holdings.get(token)
        return holding.wei if holding is not None else 0

    def add_token(self, token: int, wei: int, entry_wei: int = 0) -> None:
        """Book received tokens and what they cost, in USDC wei."""
        assert wei >= 0, f"invariant: received tokens should be at least 0, was {wei}"
        if wei == 0 and entry_wei == 0:
            return
        holding = self.holdings.setdefault(token, Holding())
        holding.wei += wei
        holding.entry_wei += entry_wei

    def take_token(self, token: int, wei: int) -> int:
        """Take tokens away and return their share of the cost, in USDC wei, rounded down.

        Whoever takes the last wei takes the rest of the cost, so a round trip's PnL is exact.
        """
        if wei == 0:
            return 0
        held = self.token_wei(token)
        assert 0 < wei <= held, f"invariant: token {token} should hold {wei} wei, was {held}"
        holding = self.holdings[token]
        share = holding.entry_wei * wei // held
        holding.wei -= wei
        holding.entry_wei -= share
        if holding.wei == 0:
            del self.holdings[token]
        return share

    def add_volume(self, day: int, notional_micro: int, *, is_maker: bool, weight: int = 1) -> None:
        """Count traded volume, cumulative and, ``weight`` times, for the fee tier."""
        self.volume_micro += notional_micro
        counted = notional_micro * weight
        taker, maker = self.daily_volume.get(day, (0, 0))
        self.daily_volume[day] = (taker, maker + counted) if is_maker else (taker + counted, maker)

    def tier_volume_micro(self, day: int) -> int:
        """Return the weighted volume of the 14 days before ``day``; older days are forgotten."""
        kept = {d: v for d, v in self.daily_volume.items() if d >= day - VOLUME_DAYS}
        self.daily_volume = kept
        return sum(taker + maker for d, (taker, maker) in kept.items() if d < day)

    def discounted(self, rate_e8: int) -> int:
        """Return a fee rate after the referral discount, which no rebate has.

        Source: venue documentation, Fees: 4 % for the first 25M USDC of volume; recorded 0.000432
        where the tier's rate is 0.00045.
        """
        if not self.is_referred or rate_e8 <= 0 or self.volume_micro >= REFERRED_VOLUME_MICRO:
            return rate_e8
        return rate_e8 * (100 - REFERRAL_PERCENT) // 100

    def set_fee_tier(self, volume_micro: int, settings: VenueSettings) -> None:
        """Set the rates by a 14-day volume (venue: Fees)."""
        tier = next(t for t in reversed(settings.fee_tiers) if volume_micro >= t.volume_micro_min)
        self.taker_rate_e8 = tier.taker_rate_e8
        self.maker_rate_e8 = tier.maker_rate_e8
        self.spot_taker_rate_e8 = tier.spot_taker_rate_e8
        self.spot_maker_rate_e8 = tier.spot_maker_rate_e8
