"""Random spot orders, perps and transfers: nothing is made or lost, in any token, ever."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from core.model.codes import Tif, TriggerKind
from core.model.instrument import Instrument
from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    OrderRequest,
    TriggerRequest,
)
from core.simulation.venue.records import USDC, Token
from core.simulation.venue.settings import FeeTier, VenueSettings

OWNERS = tuple(f"0x{n:040x}" for n in (1, 2, 3))
STRANGER = f"0x{4:040x}"
SUB = OWNERS[1]
"""Sub-account of the first owner."""
INSTRUMENTS = (
    Instrument("AAA", 0, 2, leverage_max=40),
    Instrument("@1", 10_001, 2, is_spot=True),
    Instrument("@2", 10_002, 0, is_spot=True),
)
BASES = {"@1": Token(index=11, name="ONE", token_id="0x11", sz_decimals=2, wei_decimals=8)}
BASES["@2"] = Token(index=12, name="TWO", token_id="0x12", sz_decimals=0, wei_decimals=5)
LOT_WEI = {"@1": 10**6, "@2": 10**5}
MIDS = {"AAA": 100_000, "@1": 10_000_000, "@2": 100_000_000}
TICKS = {"AAA": 10, "@1": 1_000, "@2": 10_000}
SETTINGS = VenueSettings(
    fee_tiers=(FeeTier(0, 45_000, 15_000, 71_237, 39_999), FeeTier(10**8, 40_000, 0, 60_000, -7)),
    notional_min_micro=100_000,
)

COIN = st.sampled_from(["AAA", "@1", "@2", "@1", "@2"])
OWNER = st.sampled_from(OWNERS)
ANYONE = st.sampled_from([*OWNERS, STRANGER])
STEP = st.integers(-8, 8)
SIZE = st.sampled_from([1, 7, 40, 40, 300, 1_500])
TOKEN = st.sampled_from([USDC, 11, 12])
DEX = st.sampled_from(["", "spot"])
AMOUNT = st.sampled_from([1, 99, 100, 12_345_600, 12_345_678, 250_000_000, 10**10])


class Books:
    """The test's own accounts, kept from the venue's outputs alone."""

    def __init__(self) -> None:
        self.cash: Counter[str] = Counter()
        self.wei: Counter[tuple[str, int]] = Counter()

    def read(self, outputs: list[object]) -> None:
        for output in outputs:
            if isinstance(output, FillOutput):
                self._read_fill(output)
            elif isinstance(output, FundingOutput):
                self.cash[output.owner] += output.funding_micro
            elif isinstance(output, LedgerOutput):
                self._read_row(output)

    def _read_fill(self, output: FillOutput) -> None:
        fill, owner = output.fill, output.owner
        if output.fee_wei is None:
            self.cash[owner] -= fill.signed_lots * fill.px + fill.fee_micro
            return
        base = BASES[fill.coin]
        assert output.start_wei == self.wei[(owner, base.index)]
        self.wei[(owner, base.index)] += fill.signed_lots * LOT_WEI[fill.coin]
        self.wei[(owner, USDC)] -= fill.signed_lots * fill.px
        paid_in = base if fill.is_buy else None
        assert output.fee_token == ("USDC" if paid_in is None else paid_in.name)
        self.wei[(owner, USDC if paid_in is None else paid_in.index)] -= output.fee_wei

    def _read_row(self, output: LedgerOutput) -> None:
        self.cash[output.owner] += output.amount_micro
        if output.kind == "liquidation":
            self.cash[LIQUIDATOR] -= output.amount_micro
        if output.kind == "accountClassTransfer":
            self.wei[(output.owner, USDC)] -= output.amount_micro * 100
        move = output.move
        if move is None:
            return
        is_sender = output.owner == move.user and output.kind != "spotGenesis"
        if is_sender and move.source_dex == "spot":
            self.wei[(output.owner, move.token.index)] -= move.amount_wei
            self.wei[(output.owner, USDC)] -= move.fee_wei
        if output.owner == move.destination and move.destination_dex == "spot":
            self.wei[(output.owner, move.token.index)] += move.amount_wei


class SpotMachine(RuleBasedStateMachine):
    """One venue, three accounts and a stranger, one perpetual and two spot pairs."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.venue = self.new_venue()
        self.script: list[tuple[str, str, tuple[object, ...]]] = []
        self.books = Books()
        self.mids = dict(MIDS)
        self.now_ns = 0
        for owner in OWNERS:
            self.act("transfers.deposit", owner, 20_000_000)
            self.act("spot.fund", owner, USDC, 5_000_000_003)
            self.act("spot.fund", owner, 11, 300_000_007)
            self.act("spot.fund", owner, 12, 9_999_999)
        for coin in MIDS:
            self.move(coin, 0, 0, 0, False, 0)

    @staticmethod
    def new_venue() -> SimulatedExchange:
        venue = SimulatedExchange(INSTRUMENTS, SETTINGS, 0, BASES)
        venue._state.masters[SUB] = OWNERS[0]
        return venue

    def act(self, name: str, *arguments: object) -> object:
        """Call the venue or one of its desks and remember the call for the repeat."""
        desk, _, method = name.rpartition(".")
        self.script.append((desk, method, arguments))
        return self.call(self.venue, desk, method, arguments)

    @staticmethod
    def call(venue: SimulatedExchange, desk: str, method: str, arguments: tuple[object, ...]):
        return getattr(getattr(venue, desk) if desk else venue, method)(*arguments)

    @rule(
        coin=COIN,
        step=STEP,
        traded=st.integers(0, 60),
        at=st.integers(-3, 3),
        is_buy=st.booleans(),
        seconds=st.sampled_from([0, 1, 20, 3_700, 90_000]),
    )
    def move(self, coin, step, traded, at, is_buy, seconds):
        """Let the outside market move and trade near the local orders."""
        self.now_ns += seconds * NS_PER_S
        tick = TICKS[coin]
        mid = max(MIDS[coin] // 2, self.mids[coin] + 3 * step * tick)
        self.mids[coin] = mid
        self.act(
            "apply_market",
            MarketTick(
                self.now_ns,
                coin,
                tuple((mid - n * tick, 40 + 400 * (n - 1)) for n in (1, 2, 4)),
                tuple((mid + n * tick, 50 + 300 * (n - 1)) for n in (1, 2, 3)),
                ((mid + at * tick, traded, is_buy),) if traded else (),
                mid,
                mid,
                step / 1_000 if coin == "AAA" else None,
            ),
        )

    @rule(
        target=orders,
        owner=OWNER,
        coin=COIN,
        is_buy=st.booleans(),
        step=STEP,
        size=SIZE,
        tif=st.sampled_from(Tif),
    )
    def place(self, owner, coin, is_buy, step, size, tif):
        """Place a limit order near the mid."""
        px = self.mids[coin] + step * TICKS[coin]
        request = OrderRequest(coin=coin, is_buy=is_buy, px=px, lots=size, tif=tif)
        answers = self.act("place", owner, (request,))
        return multiple(*((owner, coin, a.oid) for a in answers if a.oid))

    @rule(owner=OWNER, other=OWNER, coin=COIN, is_buy=st.booleans(), size=SIZE, taken=SIZE)
    def meet(self, owner, other, coin, is_buy, size, taken):
        """Let one account rest at the mid and another take from it, then the outside."""
        px, far = self.mids[coin], 3 * TICKS[coin]
        resting = OrderRequest(coin=coin, is_buy=is_buy, px=px, lots=size, tif=Tif.GTC)
        taking = OrderRequest(
            coin=coin,
            is_buy=not is_buy,
            px=px - far if is_buy else px + far,
            lots=taken,
            tif=Tif.IOC,
        )
        self.act("place", owner, (resting,))
        self.act("place", other, (taking,))

    @rule(coin=COIN, percent=st.sampled_from([-4, -1, 1, 4]))
    def jump(self, coin, percent):
        """Let the market jump through resting orders and triggers."""
        tick = TICKS[coin]
        mid = self.mids[coin] * (100 + percent) // 100 // tick * tick
        self.mids[coin] = min(2 * MIDS[coin] - tick, mid)
        self.move(coin, 0, 500, percent, percent > 0, 5)

    @rule(
        target=orders,
        owner=OWNER,
        coin=st.sampled_from(["@1", "@2"]),
        is_buy=st.booleans(),
        size=SIZE,
        kind=st.sampled_from(TriggerKind),
        is_market=st.booleans(),
    )
    def place_trigger(self, owner, coin, is_buy, size, kind, is_market):
        """Place a stop or a target."""
        mid, tick = self.mids[coin], TICKS[coin]
        is_above = (kind is TriggerKind.STOP_LOSS) is is_buy
        trigger_px = mid + (5 if is_above else -5) * tick
        request = OrderRequest(
            coin=coin,
            is_buy=is_buy,
            px=trigger_px + (40 if is_buy else -40) * tick,
            lots=size,
            trigger=TriggerRequest(is_market, trigger_px, kind),
        )
        answers = self.act("place", owner, (request,))
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
        px = self.mids[coin] + step * TICKS[coin]
        request = OrderRequest(coin=coin, is_buy=is_buy, px=px, lots=size, tif=Tif.GTC)
        answer = self.act("modify", owner, oid, request, always)
        return multiple(*([(owner, coin, answer.oid)] if answer.oid else []))

    @rule(owner=ANYONE, other=ANYONE, micro=AMOUNT, to_perp=st.booleans())
    def move_usdc(self, owner, other, micro, to_perp):
        """Send, cross the sides, withdraw."""
        self.act("transfers.usd_send", owner, other, micro)
        self.act("transfers.class_transfer", owner, micro, to_perp)
        self.act("transfers.withdraw", owner, micro)

    @rule(owner=ANYONE, other=ANYONE, token=TOKEN, wei=AMOUNT, source=DEX, destination=DEX)
    def move_tokens(self, owner, other, token, wei, source, destination):
        """Send tokens in both ways."""
        known = next(t for t in self.venue.spot.tokens if t.index == token)
        self.act("transfers.spot_send", owner, other, known, wei)
        self.act("transfers.send_asset", owner, other, source, destination, known, wei)

    @rule(owner=OWNER, other=ANYONE, token=TOKEN)
    def send_everything(self, owner, other, token):
        """Try to move all that is there, locked or not."""
        known = next(t for t in self.venue.spot.tokens if t.index == token)
        held = {row.token: row.total_wei for row in self.venue.spot.balances(owner)}
        total = held.get(token, 0)
        self.act("transfers.class_transfer", owner, held.get(USDC, 0) // 100, True)
        self.act("transfers.spot_send", owner, other, known, total)
        free = self.venue.account_summary(owner).withdrawable_micro
        self.act("transfers.send_asset", owner, other, "", "spot", self.venue.spot.tokens[0], free)

    @rule(token=TOKEN, amount=AMOUNT, is_deposit=st.booleans())
    def move_in_the_family(self, token, amount, is_deposit):
        """Move money between a master and its sub-account."""
        known = next(t for t in self.venue.spot.tokens if t.index == token)
        self.act("transfers.sub_transfer", OWNERS[0], SUB, amount, is_deposit)
        self.act("transfers.sub_spot_transfer", OWNERS[0], SUB, known, amount, is_deposit)
        self.act("transfers.agent_send_asset", OWNERS[0], OWNERS[0], "spot", "", known, amount, SUB)

    @rule(owner=OWNER, token=TOKEN, wei=AMOUNT)
    def give(self, owner, token, wei):
        """Let tokens come from outside."""
        self.act("spot.fund", owner, token, wei)

    @invariant()
    def every_token_is_conserved(self):
        """Nothing appears and nothing is lost, to the last wei."""
        for token in self.venue.spot.tokens:
            assert self.venue.token_error_wei(token.index) == 0
        assert self.venue.conservation_error_micro() == 0
        assert self.venue.position_error_lots() == 0

    @invariant()
    def the_outputs_tell_the_whole_story(self):
        """Balances and cash follow from fills, funding and ledger rows alone."""
        self.books.read(self.venue.drain())
        for owner in self.venue.owners():
            summary = self.venue.account_summary(owner)
            assert summary.total.raw_usd_micro == self.books.cash[owner]
            held = {row.token: row.total_wei for row in self.venue.spot.balances(owner)}
            for token in self.venue.spot.tokens:
                assert held.get(token.index, 0) == self.books.wei[(owner, token.index)]

    @invariant()
    def locks_are_covered_and_costs_make_sense(self):
        """No order locks more than there is; what is held cost at least nothing."""
        for owner in self.venue.owners():
            for row in self.venue.spot.balances(owner):
                assert 0 <= row.hold_wei <= row.total_wei
                assert row.entry_micro == 0 if row.token == USDC else row.entry_micro >= 0

    def teardown(self):
        """Repeat every call on a fresh venue and compare the state."""
        repeat = self.new_venue()
        for desk, method, arguments in self.script:
            self.call(repeat, desk, method, arguments)
        assert repeat.state_hash() == self.venue.state_hash()


def test_random_spot_venues_keep_their_books():
    run_state_machine_as_test(
        SpotMachine, settings=settings(max_examples=100, stateful_step_count=40, deadline=None)
    )
