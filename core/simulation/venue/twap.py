"""TWAP orders: a large order in slices, sent by the venue itself as time passes.

Source: reference sections 7.7 and 8.8: 5 minutes to 7 days, a slice every 30 s or less often where
slices would fall under the least notional, each at most 3 % away from the mark, catching up at
most three times the normal slice, none in a post-only window. Assumptions: the first slice goes at
once and the last at the end of the duration; sizes vary by up to 20 % by a hash of the TWAP's id
where the client asks for it; the venue's limit on running TWAPs is a setting.
"""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import msgspec

from core.model.codes import Tif
from core.model.instrument import Instrument
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.judgement import judge
from core.simulation.venue.matching import execute
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import VenueStatus
from core.simulation.venue.records import (
    TwapOutput,
    TwapRequest,
    TwapState,
    TwapStatus,
    VenueRefusal,
)
from core.simulation.venue.state import VenueState

SLICE_EVERY_NS = 30 * NS_PER_S
CATCH_UP_MAX = 3
SPREAD_PERCENT = 20
TWAP_ID_START = 1_000_000
_PERCENT = 100
_FATAL = frozenset(
    {
        VenueStatus.PERP_MARGIN_REJECTED,
        VenueStatus.PERP_MAX_POSITION_REJECTED,
        VenueStatus.INSUFFICIENT_SPOT_BALANCE_REJECTED,
        VenueStatus.REDUCE_ONLY_REJECTED,
    }
)
"""Refusals that waiting for the next slice does not cure."""


class _Plan(msgspec.Struct, eq=False):
    """A running TWAP order and its timetable: ``count`` slices over ``span_ns``."""

    state: TwapState
    count: int
    span_ns: int
    done: int = 0

    @property
    def due_ns(self) -> int:
        """When the next slice goes; the first goes at once, the last when the span is over."""
        return self.state.started_ns + self.span_ns * self.done // max(1, self.count - 1)

    @property
    def lots_left(self) -> int:
        """What is still to be traded."""
        return self.state.request.lots - self.state.executed_lots

    @property
    def lots_due(self) -> int:
        """What the next slice has to trade for the order to be on schedule, with its spread.

        The last slice takes all that is left, and none more than three times the normal size.
        """
        request = self.state.request
        normal = -(-request.lots // self.count)
        left = self.lots_left
        if self.done + 1 < self.count:
            target = request.lots * (self.done + 1) // self.count
            wanted = target - self.state.executed_lots
            if request.is_randomized:
                wanted = wanted * _factor_percent(self.state.twap_id, self.done) // _PERCENT
            left = min(left, wanted)
        return max(0, min(left, CATCH_UP_MAX * normal))


class TwapDesk:
    """Takes TWAP orders, runs their slices and remembers how they ended. It is a duty."""

    def __init__(self, state: VenueState) -> None:
        self._state = state
        self._plans: dict[int, _Plan] = {}
        self._history: dict[str, deque[TwapOutput]] = {}
        self._next_id = TWAP_ID_START
        self._due_ns: int | None = None

    # --- what a client may ask ------------------------------------------------------------

    def place(self, owner: str, request: TwapRequest) -> int | VenueRefusal:
        """Start a TWAP order; return its id.

        Parameters
        ----------
        request : TwapRequest
            ``lots`` of 0 or less and unknown coins are refused like an order's.
        """
        state = self._state
        account, book = state.accounts.get(owner), state.books.get(request.coin)
        if account is None:
            return VenueRefusal(texts.must_deposit(owner))
        if book is None:
            return VenueRefusal(texts.ASSET_UNKNOWN)
        text = self._refusal_text(account, book, request)
        if text is not None:
            return VenueRefusal(text)
        state.begin_action()
        twap = TwapState(
            twap_id=self._next_id,
            owner=owner,
            request=request,
            executed_lots=0,
            executed_notional=0,
            started_ns=state.now_ns,
        )
        self._next_id += 1
        span_ns = request.minutes * NS_PER_MIN
        self._plans[twap.twap_id] = _Plan(twap, self._slice_count(book, request, span_ns), span_ns)
        self._tell(twap, TwapStatus.ACTIVATED)
        self._find_due()
        return twap.twap_id

    def cancel(self, owner: str, coin: str, twap_id: int) -> str | None:
        """End a running TWAP order."""
        plan = self._plans.get(twap_id)
        if plan is None or plan.state.owner != owner or plan.state.request.coin != coin:
            return texts.TWAP_NOT_FOUND
        self._state.begin_action()
        self._end(plan, TwapStatus.TERMINATED)
        return None

    def running(self, owner: str) -> tuple[TwapState, ...]:
        """Return an account's running TWAP orders, oldest first."""
        return tuple(p.state for p in self._plans.values() if p.state.owner == owner)

    def history(self, owner: str) -> tuple[TwapOutput, ...]:
        """Return how an account's TWAP orders began and ended, newest first."""
        return tuple(reversed(self._history.get(owner, ())))

    def _refusal_text(self, account: Account, book: CoinBook, request: TwapRequest) -> str | None:
        """Return why a TWAP order may not start."""
        settings, instrument = self._state.settings, book.instrument
        if not settings.twap_minutes_min <= request.minutes <= settings.twap_minutes_max:
            return texts.twap_duration_invalid(request.minutes)
        if request.lots < 0:
            return texts.SIZE_INVALID
        if request.lots == 0:
            return texts.SIZE_ZERO
        if instrument.is_spot and request.reduce_only:
            return texts.SPOT_REDUCE_ONLY
        if instrument.is_delisted or book.is_halted or book.mark_px == 0:
            return texts.TRADING_HALTED
        if self._state.is_post_only:
            return texts.post_only_window(settings.post_only_spelling)
        value = request.lots * book.mark_px // book.settlement.units_per_micro
        if value < settings.twap_value_min_micro:
            return texts.twap_too_small(settings.twap_value_min_micro)
        reducible = account.reducible_lots(request.coin, is_buy=request.is_buy)
        if request.reduce_only and reducible == 0:
            return texts.TWAP_REDUCE_ONLY
        if len(self.running(account.address)) >= settings.twap_count_max:
            return texts.TWAPS_TOO_MANY
        return None

    def _slice_count(self, book: CoinBook, request: TwapRequest, span_ns: int) -> int:
        """Return how many slices there are: one per 30 s, fewer if they would be too small."""
        value = request.lots * book.mark_px // book.settlement.units_per_micro
        if request.is_randomized:
            value = value * (_PERCENT - SPREAD_PERCENT) // _PERCENT
        minimum = self._state.settings.notional_min_micro
        return max(1, min(span_ns // SLICE_EVERY_NS + 1, value // max(1, minimum), request.lots))

    # --- what time does -------------------------------------------------------------------

    @property
    def due_ns(self) -> int | None:
        """When the next slice of any TWAP order goes."""
        return self._due_ns

    def fire(self, quiet_ns: int) -> None:
        """Send every slice that is due, oldest TWAP first."""
        for plan in tuple(self._plans.values()):
            if plan.due_ns <= self._state.now_ns:
                self._run_slice(plan)
        self._find_due()

    def end_coin(self, coin: str) -> None:
        """End every TWAP order of a coin that is delisted."""
        for plan in tuple(self._plans.values()):
            if plan.state.request.coin == coin:
                self._end(plan, TwapStatus.ERROR, texts.TRADING_HALTED)

    def _run_slice(self, plan: _Plan) -> None:
        """Send one slice, or let it pass; end the TWAP when it is filled, over or hopeless."""
        state, request = self._state, plan.state.request
        account, book = state.accounts[plan.state.owner], state.books[request.coin]
        if request.reduce_only and not account.reducible_lots(request.coin, is_buy=request.is_buy):
            self._end(plan, TwapStatus.ERROR, texts.TWAP_REDUCE_ONLY)
            return
        order = self._slice(plan, book)
        plan.done += 1
        if order is not None:
            verdict = judge(state, account, book, order, is_post_only=False)
            if verdict is None:
                text = self._execute(plan, book, order)
                verdict = order.status, text
            if verdict[0] in _FATAL:
                self._end(plan, TwapStatus.ERROR, verdict[1])
                return
        if plan.lots_left == 0 or plan.done == plan.count:
            self._end(plan, TwapStatus.FINISHED)

    def _slice(self, plan: _Plan, book: CoinBook) -> Order | None:
        """Return the order of the next slice, ``None`` if there is nothing to catch up with."""
        state, twap = self._state, plan.state
        lots = plan.lots_due
        if lots == 0 or book.mark_px == 0:
            return None
        return Order(
            owner=twap.owner,
            coin=twap.request.coin,
            oid=0,
            cloid=None,
            is_buy=twap.request.is_buy,
            px=self._limit_px(book, is_buy=twap.request.is_buy),
            lots_orig=lots,
            lots_left=lots,
            reduce_only=twap.request.reduce_only,
            tif=Tif.IOC,
            tif_text=Tif.IOC.value,
            trigger=None,
            is_position_tpsl=False,
            placed_ns=state.now_ns,
            twap_id=twap.twap_id,
        )

    def _limit_px(self, book: CoinBook, *, is_buy: bool) -> int:
        """Return the worst price of a slice: the mark and its slippage, inwards on the grid."""
        slippage = self._state.settings.twap_slippage_percent
        if is_buy:
            px = book.mark_px * (_PERCENT + slippage) // _PERCENT
            return _on_grid(book.instrument, px, is_buy=True)
        px = -(-book.mark_px * (_PERCENT - slippage) // _PERCENT)
        return _on_grid(book.instrument, px, is_buy=False)

    def _execute(self, plan: _Plan, book: CoinBook, order: Order) -> str:
        """Send a slice that was allowed to the book, count what it traded, return its refusal."""
        state = self._state
        state.begin_system_action()
        order.oid = state.new_oid()
        state.add_order(order)
        execution = execute(state, book, order)
        plan.state = msgspec.structs.replace(
            plan.state,
            executed_lots=plan.state.executed_lots + execution.lots,
            executed_notional=plan.state.executed_notional + execution.notional,
        )
        return execution.text

    # --- ends -----------------------------------------------------------------------------

    def _end(self, plan: _Plan, status: TwapStatus, text: str = "") -> None:
        """Forget a running TWAP order and tell its owner."""
        del self._plans[plan.state.twap_id]
        self._tell(plan.state, status, text)
        self._find_due()

    def _tell(self, twap: TwapState, status: TwapStatus, text: str = "") -> None:
        """Put out and remember that a TWAP order began or ended."""
        state = self._state
        output = TwapOutput(
            owner=twap.owner, state=twap, status=status, ts_ns=state.now_ns, text=text
        )
        if twap.owner not in self._history:
            self._history[twap.owner] = deque(maxlen=state.settings.history_count_max)
        self._history[twap.owner].append(output)
        state.outputs.append(output)

    def _find_due(self) -> None:
        """Remember when the next slice goes."""
        self._due_ns = min((plan.due_ns for plan in self._plans.values()), default=None)

    def canonical(self) -> list[Any]:
        """Return all that decides future slices."""
        plans = [
            [msgspec.to_builtins(plan.state), plan.count, plan.span_ns, plan.done]
            for plan in self._plans.values()
        ]
        return [self._next_id, plans]


def _factor_percent(twap_id: int, slice_i: int) -> int:
    """Return the size of one slice in percent of the normal one, 80 to 120, the same each time."""
    seed = f"{twap_id}:{slice_i}".encode()
    drawn = hashlib.blake2b(seed, digest_size=4, person=b"nova-twap").digest()
    steps = 2 * SPREAD_PERCENT + 1
    return _PERCENT - SPREAD_PERCENT + int.from_bytes(drawn, "big") % steps


def _on_grid(instrument: Instrument, px: int, *, is_buy: bool) -> int:
    """Return the valid price at ``px`` or next to it on the cautious side."""
    step = instrument.tick_units_at(px)
    floor = px - px % step
    return floor if is_buy or floor == px else floor + step
