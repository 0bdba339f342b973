"""The gate: what may be sent, what the account may lose, and when everything is closed.

Every limit is counted against the worst case: positions plus all orders that may still fill. The
gate says no with a code and the numbers behind it; watching the account it says how much trading
is still allowed. It judges and proposes; it never sends anything itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from core.model.account import OrderRow
from core.model.codes import OrderStatus, Purpose, RefusalCode, Tif, TradingState
from core.model.commands import CancelOrder, PlaceOrder
from core.model.ids import order_cloid
from core.model.instrument import MICRO_PER_USDC, Instrument
from core.model.settings import TradingParams
from core.model.time import ns_from_seconds, utc_day

OPEN_ORDERS_MAX = 900
"""Under the venue's 1000, from which on it refuses triggers and reduce-only orders."""
OPEN_ORDERS_PER_COIN_MAX = 120
BUDGET_USE_MAX = 0.95
"""Share of the address's request budget that entries may use; the rest is for getting out."""
_STANDALONE = "risk"


class RiskState(msgspec.Struct):
    """Anchors and latches. Money in micro-USDC; deposits move the anchors, they are no profit."""

    day: int = -1
    day_anchor_micro: int = 0
    peak_micro: int = 0
    is_day_stopped: bool = False
    emergency: str = ""
    emergency_code: RefusalCode | None = None


class RiskJudgement(msgspec.Struct, frozen=True):
    """How much trading is allowed, why, and what to do about it.

    ``must_flatten`` asks to cancel all and close all; ``code`` is ``None`` while all is well.
    """

    state: TradingState
    code: RefusalCode | None
    detail: str
    must_flatten: bool
    day_pnl_micro: int
    drawdown: float


class CoinExposure(msgspec.Struct, frozen=True, kw_only=True):
    """One coin's stake: position and the orders that may still add to it, in lots.

    ``buy_lots`` and ``sell_lots`` are open orders that are not reduce-only, ours and foreign,
    working and in flight.
    """

    coin: str
    value_px: int
    position_lots: int
    buy_lots: int
    sell_lots: int
    leverage: int

    def worst_lots(self, *, more_buy: int = 0, more_sell: int = 0) -> int:
        """Return the largest position that could come out, whichever side fills."""
        long_case = self.position_lots + self.buy_lots + more_buy
        short_case = self.position_lots - self.sell_lots - more_sell
        return max(abs(self.position_lots), abs(long_case), abs(short_case))

    def worst_micro(self, *, more_buy: int = 0, more_sell: int = 0) -> int:
        """Return the notional of `worst_lots`."""
        return self.worst_lots(more_buy=more_buy, more_sell=more_sell) * self.value_px


class GateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate looks at when an order wants to open exposure in one coin.

    ``others`` are the stakes in all other coins. ``leverage_set`` is 0 until the venue confirmed
    one. ``open_in_flight`` counts unanswered orders of this coin that open exposure.
    """

    now_ns: int
    trading_state: TradingState
    equity_micro: int
    instrument: Instrument | None
    own: CoinExposure
    others: tuple[CoinExposure, ...]
    touch_ns: int
    spread_bps: float
    mark_px: int
    has_gap: bool
    is_warm: bool
    leverage_set: int
    venue_until_ns: int
    requests_used: int
    requests_cap: int
    open_orders: int
    open_orders_of_coin: int
    open_in_flight: int


class OrderProposal(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it would be sent; ``needs_stop`` asks that ``stop_px`` is known.

    ``replaced_lots`` are lots of the same side that this order takes the place of.
    """

    purpose: Purpose
    is_buy: bool
    px: int
    lots: int
    reduce_only: bool
    needs_stop: bool = False
    stop_px: int = 0
    replaced_lots: int = 0


Verdict = tuple[RefusalCode, str] | None


class RiskManagement:
    """Judge orders and the account.

    Parameters
    ----------
    params : TradingParams, optional
        The limits; the defaults are safe.

    Examples
    --------
    >>> RiskManagement().monitor_risk({"equity_micro": 1_000_000, "now_ns": 0}).state
    <TradingState.ACTIVE: 'active'>
    """

    def __init__(self, params: TradingParams | None = None) -> None:
        self.params = params or TradingParams()
        self.state = RiskState()

    # --- the account ------------------------------------------------------------------------

    def monitor_risk(self, account: Mapping[str, Any]) -> RiskJudgement:
        """Judge the account as it stands.

        Parameters
        ----------
        account : Mapping
            ``equity_micro`` (micro-USDC, positions at mark) and ``now_ns``.

        Returns
        -------
        RiskJudgement
            ACTIVE; REDUCING once the day's loss passes ``max_daily_loss``, until UTC midnight;
            HALTED with ``must_flatten`` once ``daily_pnl < -max_daily_drawdown * equity``, the
            fall from the peak reaches ``max_drawdown`` or equity is under ``equity_floor_usdc``.
            The latter stays until `resume`.
        """
        return self.judge(int(account["equity_micro"]), int(account["now_ns"]))

    def judge(self, equity_micro: int, now_ns: int) -> RiskJudgement:
        """Judge one moment; see `monitor_risk`. Cheap enough for every price change."""
        state, p = self.state, self.params
        day = utc_day(now_ns)
        if day != state.day:
            state.day, state.day_anchor_micro, state.is_day_stopped = day, equity_micro, False
        if equity_micro > state.peak_micro:
            state.peak_micro = equity_micro
        day_pnl = equity_micro - state.day_anchor_micro
        drawdown = 1.0 - equity_micro / state.peak_micro if state.peak_micro > 0 else 0.0
        if not state.emergency:
            self._look_for_emergency(equity_micro, day_pnl, drawdown)
        if state.emergency:
            return RiskJudgement(
                TradingState.HALTED,
                state.emergency_code,
                state.emergency,
                True,
                day_pnl,
                drawdown,
            )
        if day_pnl < -p.max_daily_loss * state.day_anchor_micro:
            state.is_day_stopped = True
        if state.is_day_stopped:
            limit = p.max_daily_loss * state.day_anchor_micro / MICRO_PER_USDC
            detail = f"day's result was {day_pnl / MICRO_PER_USDC:.2f} USDC, limit -{limit:.2f}"
            code = RefusalCode.DAILY_LOSS_REACHED
            return RiskJudgement(TradingState.REDUCING, code, detail, False, day_pnl, drawdown)
        return RiskJudgement(TradingState.ACTIVE, None, "", False, day_pnl, drawdown)

    def _look_for_emergency(self, equity_micro: int, day_pnl: int, drawdown: float) -> None:
        p = self.params
        day_limit = -p.max_daily_drawdown * equity_micro
        floor_micro = round(p.equity_floor_usdc * MICRO_PER_USDC)
        if equity_micro < floor_micro or (equity_micro <= 0 < self.state.peak_micro):
            self._latch(
                RefusalCode.EQUITY_FLOOR_REACHED,
                f"equity was {equity_micro / MICRO_PER_USDC:.2f} USDC, "
                f"floor {p.equity_floor_usdc:.2f}",
            )
        elif day_pnl < day_limit:
            self._latch(
                RefusalCode.DAILY_LOSS_REACHED,
                f"day's result was {day_pnl / MICRO_PER_USDC:.2f} USDC, "
                f"shutdown at {day_limit / MICRO_PER_USDC:.2f}",
            )
        elif drawdown >= p.max_drawdown:
            self._latch(
                RefusalCode.DRAWDOWN_REACHED,
                f"drawdown was {100 * drawdown:.2f} %, limit {100 * p.max_drawdown:.2f} %",
            )

    def _latch(self, code: RefusalCode, detail: str) -> None:
        self.state.emergency, self.state.emergency_code = detail, code

    def emergency_handler(self, reason: str) -> RiskJudgement:
        """Latch the emergency: close everything, open nothing, until `resume`.

        Returns
        -------
        RiskJudgement
            HALTED with ``must_flatten``; the first reason is kept when called again.
        """
        if not self.state.emergency:
            self._latch(RefusalCode.TRADING_HALTED, reason)
        return RiskJudgement(
            TradingState.HALTED,
            self.state.emergency_code,
            self.state.emergency,
            True,
            0,
            0.0,
        )

    def resume(self, equity_micro: int, now_ns: int) -> None:
        """Lift the latch; day and peak are counted afresh from here, or it would close again."""
        self.state = RiskState(
            day=utc_day(now_ns), day_anchor_micro=equity_micro, peak_micro=equity_micro
        )

    def money_moved(self, amount_micro: int, equity_micro: int) -> None:
        """Move the anchors with a deposit or withdrawal: it is neither profit nor loss.

        The day's result keeps its amount. The drawdown keeps its share, so the peak moves in
        proportion: by the amount alone, taking half of the money out would double the drawdown
        and shut trading down.

        Parameters
        ----------
        equity_micro : int
            Equity with the movement in it.
        """
        state, before = self.state, equity_micro - amount_micro
        state.day_anchor_micro += amount_micro
        if before > 0 and equity_micro > 0:
            state.peak_micro = state.peak_micro * equity_micro // before
        else:
            state.peak_micro = max(0, state.peak_micro + amount_micro)

    def cancel_all_orders(
        self, orders: Iterable[OrderRow] = (), assets: Mapping[str, int] | None = None
    ) -> tuple[CancelOrder, ...]:
        """Return the cancels for all given orders that are still open; protective ones stay.

        Parameters
        ----------
        assets : Mapping, optional
            The venue's asset numbers by coin; a coin not named gets 0, which the edge refuses.
        """
        known = assets or {}
        return tuple(
            CancelOrder(row.cloid, row.oid, row.coin, known.get(row.coin, 0))
            for row in orders
            if row.status in (OrderStatus.WORKING, OrderStatus.IN_FLIGHT)
            and row.purpose not in (Purpose.STOP, Purpose.TARGET)
        )

    def close_all_positions(
        self,
        positions: Mapping[str, int] | None = None,
        touches: Mapping[str, tuple[int, int]] | None = None,
        instruments: Mapping[str, Instrument] | None = None,
        *,
        account: str = "",
        intent_seq: int = 0,
        slippage: float | None = None,
    ) -> tuple[PlaceOrder, ...]:
        """Return reduce-only orders that take what is there and close all given positions.

        Parameters
        ----------
        positions : Mapping
            Signed lots by coin.
        touches : Mapping
            Best bid and best ask by coin, in price units; a coin without one is left out, as a
            price would have to be invented.
        """
        orders: list[PlaceOrder] = []
        for leg, (coin, lots) in enumerate(sorted((positions or {}).items())):
            touch = (touches or {}).get(coin)
            instrument = (instruments or {}).get(coin)
            if lots == 0 or touch is None or instrument is None:
                continue
            is_buy = lots < 0
            tolerance = self.params.slippage_tolerance if slippage is None else slippage
            orders.append(
                PlaceOrder(
                    cloid=order_cloid(account, _STANDALONE, intent_seq, leg),
                    coin=coin,
                    asset=instrument.asset,
                    is_buy=is_buy,
                    px=taking_px(instrument, touch, is_buy=is_buy, slippage=tolerance),
                    lots=abs(lots),
                    tif=Tif.IOC,
                    reduce_only=True,
                    trigger=None,
                    purpose=Purpose.FLATTEN,
                    strategy=_STANDALONE,
                    arrival_mid_x2=touch[0] + touch[1],
                )
            )
        return tuple(orders)

    # --- one order --------------------------------------------------------------------------

    def check_order(self, order: OrderProposal, facts: GateFacts) -> Verdict:
        """Say whether an order may be sent: ``None``, or the code and the numbers of the no.

        Reduce-only orders pass unless the instrument is unknown: getting out is never refused for
        reasons of getting in.
        """
        if facts.instrument is None:
            return RefusalCode.INSTRUMENT_UNKNOWN, f"{facts.own.coin} is not listed"
        if order.reduce_only:
            return None
        return (
            self._check_permission(facts)
            or self._check_data(facts)
            or self._check_price(order, facts)
            or self._check_flow(facts)
            or self._check_limits(order, facts)
        )

    def _check_permission(self, facts: GateFacts) -> Verdict:
        if facts.trading_state is TradingState.HALTED:
            return RefusalCode.TRADING_HALTED, "trading state was halted"
        if facts.trading_state is TradingState.REDUCING:
            if self.state.is_day_stopped:
                return RefusalCode.DAILY_LOSS_REACHED, "no new entries until UTC midnight"
            return RefusalCode.TRADING_REDUCING, "trading state was reducing"
        if facts.now_ns < facts.venue_until_ns:
            wait = (facts.venue_until_ns - facts.now_ns) / 1e9
            return RefusalCode.VENUE_UNAVAILABLE, f"venue asks to wait {wait:.0f} s"
        assert facts.instrument is not None, "invariant: checked before"
        if facts.instrument.is_delisted:
            return RefusalCode.INSTRUMENT_DELISTED, f"{facts.own.coin} is delisted"
        return None

    def _check_data(self, facts: GateFacts) -> Verdict:
        p = self.params
        age_ns = facts.now_ns - facts.touch_ns
        if not facts.touch_ns or facts.spread_bps != facts.spread_bps or not facts.mark_px:
            return RefusalCode.DATA_STALE, "touch or mark is unknown"
        if age_ns > ns_from_seconds(p.data_age_seconds_max):
            limit = p.data_age_seconds_max
            return RefusalCode.DATA_STALE, f"touch was {age_ns / 1e9:.0f} s old, limit {limit:.0f}"
        if facts.has_gap:
            return RefusalCode.DATA_GAP, "candles are missing and not yet repaired"
        if not facts.is_warm:
            return RefusalCode.DATA_WARMING_UP, "too few closed candles"
        if facts.spread_bps > p.spread_bps_max:
            return (
                RefusalCode.SPREAD_TOO_WIDE,
                f"was {facts.spread_bps:.1f} bps, limit {p.spread_bps_max:.1f}",
            )
        return None

    def _check_price(self, order: OrderProposal, facts: GateFacts) -> Verdict:
        distance = abs(order.px - facts.mark_px) / facts.mark_px
        if distance > self.params.price_band:
            limit = self.params.price_band
            return (
                RefusalCode.PRICE_OUT_OF_BAND,
                f"was {100 * distance:.2f} % from mark, limit {100 * limit:.2f} %",
            )
        if order.needs_stop and order.stop_px <= 0:
            return RefusalCode.STOP_MISSING, "a wish that opens exposure carries a stop"
        return None

    def _check_flow(self, facts: GateFacts) -> Verdict:
        if facts.open_in_flight:
            return RefusalCode.ORDER_IN_FLIGHT, f"{facts.open_in_flight} orders are unanswered"
        if facts.open_orders >= OPEN_ORDERS_MAX:
            return (
                RefusalCode.ORDERS_TOO_MANY,
                f"was {facts.open_orders}, limit {OPEN_ORDERS_MAX}",
            )
        if facts.open_orders_of_coin >= OPEN_ORDERS_PER_COIN_MAX:
            return (
                RefusalCode.ORDERS_TOO_MANY,
                f"was {facts.open_orders_of_coin} in a coin, limit {OPEN_ORDERS_PER_COIN_MAX}",
            )
        cap = facts.requests_cap
        if cap and facts.requests_used >= BUDGET_USE_MAX * cap:
            return RefusalCode.RATE_BUDGET_SPENT, f"was {facts.requests_used} of {cap} requests"
        if not facts.leverage_set:
            return RefusalCode.LEVERAGE_UNKNOWN, "the venue has not confirmed a leverage"
        return None

    def _check_limits(self, order: OrderProposal, facts: GateFacts) -> Verdict:
        p, equity, own = self.params, facts.equity_micro, facts.own
        if equity <= 0:
            return RefusalCode.EQUITY_FLOOR_REACHED, f"equity was {equity} micro-USDC"
        added = max(0, order.lots - order.replaced_lots)
        more_buy, more_sell = (added, 0) if order.is_buy else (0, added)
        worst = own.worst_micro(more_buy=more_buy, more_sell=more_sell)
        if worst > p.max_position_ratio * equity:
            return (
                RefusalCode.POSITION_TOO_LARGE,
                f"was {worst / equity:.3f} equities, limit {p.max_position_ratio:.3f}",
            )
        held = [e for e in facts.others if e.worst_lots()]
        exposure = worst + sum(e.worst_micro() for e in held)
        if exposure > p.max_exposure_ratio * equity:
            return (
                RefusalCode.EXPOSURE_TOO_LARGE,
                f"was {exposure / equity:.3f} equities, limit {p.max_exposure_ratio:.3f}",
            )
        if len(held) + 1 > p.max_open_positions:
            return (
                RefusalCode.POSITIONS_TOO_MANY,
                f"was {len(held) + 1} coins, limit {p.max_open_positions}",
            )
        margin = worst / facts.leverage_set
        margin += sum(e.worst_micro() / max(1, e.leverage) for e in held)
        if margin > p.max_margin_use * equity:
            return (
                RefusalCode.MARGIN_INSUFFICIENT,
                f"was {margin / equity:.3f} of equity, limit {p.max_margin_use:.3f}",
            )
        return None


def taking_px(
    instrument: Instrument, touch: tuple[int, int], *, is_buy: bool, slippage: float
) -> int:
    """Return the limit of an order that takes now: ``slippage`` past the touch, on the grid.

    Rounded so that it never pays more or accepts less than asked, but always reaches the touch.
    """
    bid_px, ask_px = touch
    if is_buy:
        return max(
            ask_px,
            instrument.px_units_on_grid(instrument.px_float(ask_px) * (1 + slippage), is_buy=True),
        )
    return min(
        bid_px,
        instrument.px_units_on_grid(instrument.px_float(bid_px) * (1 - slippage), is_buy=False),
    )
