"""Random accounts, orders and markets: what must hold after every single action."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core.model.codes import Grouping, Tif, TriggerKind
from core.model.instrument import Instrument
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    OrderOutput,
    OrderRequest,
    TriggerRequest,
)
from core.simulation.venue.settings import VenueSettings

OWNERS = tuple(f"0x{n:040x}" for n in (1, 2, 3))
COINS = (
    Instrument("AAA", 0, 2, leverage_max=40),
    Instrument("BBB", 1, 3, leverage_max=10),
)
MID = 100_000
TICK = 10
"""At this price level the grid of both coins is 10 price units."""

STEP = st.integers(-12, 12)
SIZE = st.sampled_from([3, 40, 40, 300, 300, 1_500])
RARELY = st.sampled_from([False, False, False, True])
OWNER = st.sampled_from(OWNERS)
COIN = st.sampled_from(["AAA", "BBB"])
SETTINGS = VenueSettings(notional_min_micro=100_000, liquidation_partial_micro=50_000_000)


class Ledger:
    """The test's own books, kept from the venue's outputs alone."""

    def __init__(self) -> None:
        self.cash: Counter[str] = Counter()
        self.lots: Counter[tuple[str, str]] = Counter()
        self.filled: Counter[int] = Counter()
        self.tids: set[tuple[str, int]] = set()
        self.ended: set[int] = set()

    def read(self, outputs: list[object]) -> None:
        for output in outputs:
            if isinstance(output, FillOutput):
                self._read_fill(output)
            elif isinstance(output, FundingOutput):
                self.cash[output.owner] += output.funding_micro
            elif isinstance(output, LedgerOutput):
                self.cash[output.owner] += output.amount_micro
                if output.kind == "liquidation":
                    self.cash[LIQUIDATOR] -= output.amount_micro
            elif isinstance(output, OrderOutput):
                self._read_order(output)

    def _read_order(self, output: OrderOutput) -> None:
        """Check an order against its own fills: never more than it was, no fill after its end."""
        order = output.order
        assert order.oid not in self.ended
        filled = self.filled[order.oid]
        assert filled == order.lots_orig - order.lots_left
        assert 0 <= order.lots_left <= order.lots_orig
        if output.status.is_terminal:
            self.ended.add(order.oid)

    def _read_fill(self, output: FillOutput) -> None:
        fill, key = output.fill, (output.owner, output.fill.coin)
        assert fill.oid not in self.ended
        assert fill.start_position_lots == self.lots[key]
        assert (output.owner, fill.tid) not in self.tids
        self.tids.add((output.owner, fill.tid))
        self.lots[key] += fill.signed_lots
        self.filled[fill.oid] += fill.lots
        self.cash[output.owner] -= fill.signed_lots * fill.px + fill.fee_micro


class VenueMachine(RuleBasedStateMachine):
    """One venue, three accounts, two coins, prices that keep meeting each other."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.venue = SimulatedExchange(COINS, SETTINGS, 0)
        self.script: list[tuple[object, ...]] = []
        self.books = Ledger()
        self.mids = {"AAA": MID, "BBB": MID}
        self.now_ns = 0
        for owner in OWNERS:
            self.act("fund", owner, 20_000_000)
        self.move("AAA", 0, 0, 0, False, 0)
        self.move("BBB", 0, 0, 0, False, 0)

    def act(self, name: str, *arguments: object) -> object:
        """Call the venue and remember the call for the repeat."""
        self.script.append((name, *arguments))
        return getattr(self.venue, name)(*arguments)

    @rule(
        coin=COIN,
        step=STEP,
        traded=st.integers(0, 60),
        at=st.integers(-3, 3),
        is_buy=st.booleans(),
        seconds=st.sampled_from([0, 1, 20, 3_700]),
    )
    def move(self, coin, step, traded, at, is_buy, seconds):
        """Let the outside market move and trade near the local orders."""
        self.now_ns += seconds * NS_PER_S
        mid = max(MID // 2, self.mids[coin] + 3 * step * TICK)
        self.mids[coin] = mid
        trades = ((mid + at * TICK, traded, is_buy),) if traded else ()
        tick = MarketTick(
            self.now_ns,
            coin,
            tuple((mid - n * TICK, 40 + 400 * (n - 1)) for n in (1, 2, 4)),
            tuple((mid + n * TICK, 50 + 300 * (n - 1)) for n in (1, 2, 3)),
            trades,
            mid + at,
            mid,
            step / 1_000,
        )
        self.act("apply_market", tick)

    @rule(coin=COIN, percent=st.sampled_from([-9, -4, -2, 2, 4, 9]))
    def jump(self, coin, percent):
        """Let the market jump, through stops and margins."""
        self.mids[coin] = min(2 * MID, self.mids[coin] * (100 + percent) // 1_000 * 10)
        self.move(coin, 0, 500, percent, percent > 0, 5)

    @rule(
        target=orders,
        owner=OWNER,
        coin=COIN,
        is_buy=st.booleans(),
        step=STEP,
        size=SIZE,
        tif=st.sampled_from(Tif),
        reduce_only=RARELY,
    )
    def place(self, owner, coin, is_buy, step, size, tif, reduce_only):
        """Place a limit order near the mid."""
        request = OrderRequest(
            coin=coin,
            is_buy=is_buy,
            px=self.mids[coin] + step * TICK,
            lots=size,
            reduce_only=reduce_only,
            tif=tif,
        )
        answers = self.act("place", owner, (request,))
        return multiple(*((owner, coin, a.oid) for a in answers if a.oid))

    @rule(
        target=orders,
        owner=OWNER,
        coin=COIN,
        is_buy=st.booleans(),
        size=SIZE,
        step=STEP,
        grouping=st.sampled_from(Grouping),
        is_market=st.booleans(),
        reduce_only=st.booleans(),
    )
    def place_triggers(self, owner, coin, is_buy, size, step, grouping, is_market, reduce_only):
        """Place a stop and a target, alone or tied to an order or the position."""
        mid = self.mids[coin]
        requests = (
            []
            if grouping is not Grouping.NORMAL_TPSL
            else [
                OrderRequest(
                    coin=coin, is_buy=not is_buy, px=mid + step * TICK, lots=size, tif=Tif.GTC
                )
            ]
        )
        for kind, distance in ((TriggerKind.STOP_LOSS, 5), (TriggerKind.TAKE_PROFIT, -5)):
            trigger_px = mid + (distance if is_buy else -distance) * TICK
            requests.append(
                OrderRequest(
                    coin=coin,
                    is_buy=is_buy,
                    px=trigger_px + (40 if is_buy else -40) * TICK,
                    lots=size,
                    reduce_only=reduce_only or grouping is not Grouping.NONE,
                    trigger=TriggerRequest(is_market, trigger_px, kind),
                )
            )
        answers = self.act("place", owner, tuple(requests), grouping)
        return multiple(*((owner, coin, a.oid) for a in answers if a.oid))

    @rule(order=orders)
    def cancel(self, order):
        """Cancel an order, which may be dead."""
        owner, coin, oid = order
        self.act("cancel", owner, coin, oid)

    @rule(target=orders, order=orders, step=STEP, size=SIZE, always=st.booleans())
    def modify(self, order, step, size, always):
        """Replace an order, which may be dead or a trigger."""
        owner, coin, oid = order
        known = self.venue.order_status(owner, oid)
        is_buy = known.order.is_buy if known is not None else True
        request = OrderRequest(
            coin=coin, is_buy=is_buy, px=self.mids[coin] + step * TICK, lots=size, tif=Tif.GTC
        )
        answer = self.act("modify", owner, oid, request, always)
        return multiple(*([(owner, coin, answer.oid)] if answer.oid else []))

    @rule(owner=OWNER, coin=COIN, leverage=st.sampled_from([2, 10, 25, 40]), is_cross=st.booleans())
    def set_leverage(self, owner, coin, leverage, is_cross):
        """Change leverage and margin mode."""
        self.act("update_leverage", owner, coin, leverage, is_cross)

    @rule(owner=OWNER, coin=COIN, usdc=st.integers(-30, 30))
    def move_margin(self, owner, coin, usdc):
        """Move isolated margin."""
        self.act("update_isolated_margin", owner, coin, usdc * 1_000_000)

    @rule(owner=OWNER, other=OWNER, usdc=st.integers(1, 20))
    def move_money(self, owner, other, usdc):
        """Transfer, then withdraw."""
        self.act("transfer", owner, other, usdc * 1_000_000)
        self.act("withdraw", owner, usdc * 500_000)

    @invariant()
    def money_is_conserved(self):
        """Nothing appears and nothing is lost."""
        assert self.venue.conservation_error_micro() == 0
        assert self.venue.position_error_lots() == 0

    @invariant()
    def the_outputs_tell_the_whole_story(self):
        """Positions and cash follow from fills, funding and ledger rows alone."""
        outputs = self.venue.drain()
        self.books.read(outputs)
        for owner in OWNERS:
            summary = self.venue.account_summary(owner)
            assert summary.total.raw_usd_micro == self.books.cash[owner]
            held = {row.coin: row.position_lots for row in summary.positions}
            for instrument in COINS:
                lots = self.books.lots[(owner, instrument.coin)]
                assert held.get(instrument.coin, 0) == lots

    @invariant()
    def books_never_cross_and_orders_are_where_they_belong(self):
        """No local order rests at a price where it should have traded."""
        for instrument in COINS:
            bids, asks = self.venue.book(instrument.coin)
            assert not bids or not asks or bids[0][0] < asks[0][0]
        for owner in OWNERS:
            for order in self.venue.open_orders(owner):
                assert order.lots_left > 0 or order.is_position_tpsl

    def teardown(self):
        """Repeat every call on a fresh venue and compare the state."""
        repeat = SimulatedExchange(COINS, SETTINGS, 0)
        for name, *arguments in self.script:
            getattr(repeat, name)(*arguments)
        assert repeat.state_hash() == self.venue.state_hash()


def test_random_venues_keep_their_books():
    run_state_machine_as_test(
        VenueMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
    )


@given(
    prices=st.lists(st.integers(95, 105), min_size=2, max_size=60),
    size=st.integers(1, 60),
    side=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_quick_margin_check_liquidates_when_the_exact_one_would(prices, size, side):
    """The slack that spares full checks must never spare a due liquidation."""
    venue = SimulatedExchange(COINS, VenueSettings(liquidation_partial_micro=10**15), 0)
    venue.fund(OWNERS[0], 13_000_000)
    venue.update_leverage(OWNERS[0], "AAA", 40, True)
    for n, price in enumerate(prices):
        mid = price * 1_000
        bids, asks = ((mid - 10, 10_000),), ((mid + 10, 10_000),)
        tick = MarketTick(n * NS_PER_MIN, "AAA", bids, asks, (), mid, mid, None)
        venue.apply_market(tick)
        if n == 0:
            far = mid * 2 if side else mid // 2
            order = OrderRequest(
                coin="AAA", is_buy=side, px=far // 10 * 10, lots=size * 85, tif=Tif.IOC
            )
            venue.place(OWNERS[0], (order,))
            continue
        summary = venue.account_summary(OWNERS[0])
        assert summary.cross.account_value_micro >= summary.cross_maintenance_micro
