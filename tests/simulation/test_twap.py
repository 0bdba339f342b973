"""TWAP orders: how they are cut, when they catch up, and how they end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.venue.outputs import FillOutput
from core.simulation.venue.records import TwapOutput, TwapRequest, TwapStatus, VenueRefusal
from core.simulation.venue.settings import VenueSettings
from core.simulation.venue.state import ZERO_HASH
from tests.simulation.spot_kit import HYPE_PAIR, PAIRS, SpotMarket
from tests.simulation.venue_kit import ALICE, BOB, START_NS, Market, limit, lots


def request(
    size: float = 1.1,
    *,
    coin: str = "BTC",
    is_buy: bool = True,
    minutes: int = 5,
    reduce_only: bool = False,
    is_randomized: bool = False,
) -> TwapRequest:
    return TwapRequest(
        coin=coin,
        is_buy=is_buy,
        lots=lots(coin, size),
        reduce_only=reduce_only,
        minutes=minutes,
        is_randomized=is_randomized,
    )


DEEP = {"bids": ((99_990, 900.0),), "asks": ((100_010, 900.0),), "mark": 100_000}
FAR = {"bids": ((90_000, 900.0),), "asks": ((110_000, 900.0),), "mark": 100_000}


def started(settings: VenueSettings | None = None) -> Market:
    market = Market(settings)
    market.fund(ALICE, usdc=100_000)
    market.tick(**DEEP)
    return market


def begin(market: Market, twap: TwapRequest, owner: str = ALICE) -> int:
    twap_id = market.venue.twaps.place(owner, twap)
    assert isinstance(twap_id, int), twap_id
    return twap_id


def slices(market: Market, twap_id: int) -> list[FillOutput]:
    return [row for row in market.venue.fills(ALICE) if row.twap_id == twap_id]


def ends(market: Market) -> list[TwapOutput]:
    return [row for row in market.venue.twaps.history(ALICE) if row.status != "activated"]


def test_a_slice_goes_at_once_and_every_half_minute_until_the_end():
    market = started()
    start_ns = market.now_ns
    twap_id = begin(market, request())
    for second in range(301):
        market.venue.advance(start_ns + second * NS_PER_S)
    rows = slices(market, twap_id)
    assert [row.fill.lots for row in rows] == [lots("BTC", 0.1)] * 11
    assert [(row.fill.ts_exch_ns - start_ns) // NS_PER_S for row in rows] == [*range(0, 301, 30)]
    assert all(row.hash == ZERO_HASH and not row.fill.is_maker for row in rows)
    (end,) = ends(market)
    assert end.status is TwapStatus.FINISHED
    assert end.state.executed_lots == lots("BTC", 1.1)
    assert end.state.executed_notional == sum(row.fill.px * row.fill.lots for row in rows)
    assert market.venue.twaps.running(ALICE) == ()
    assert [row.status.value for row in market.venue.twaps.history(ALICE)] == [
        "finished",
        "activated",
    ]
    order = market.venue.historical_orders(ALICE)[0]
    assert order.order.order_type == "Twap Slice"
    assert market.venue.conservation_error_micro() == 0


def test_what_is_not_a_slice_keeps_its_hash():
    market = started()
    begin(market, request())
    market.venue.advance(market.now_ns)
    market.venue.place(ALICE, [limit(True, 100_010, 0.01, Tif.IOC)])
    slice_fill, own = market.venue.fills(ALICE)
    assert slice_fill.hash == ZERO_HASH
    assert own.hash not in ("", ZERO_HASH)
    assert own.twap_id is None


@pytest.mark.parametrize(
    ("twap", "text"),
    [
        (request(minutes=4), "Invalid TWAP duration: 4 min(s)"),
        (request(minutes=10_081), "Invalid TWAP duration: 10081 min(s)"),
        (request(0.00099), "TWAP order value too small. Min is $100."),
        (request(0.0), "Order has zero size."),
        (request(reduce_only=True), "Reduce-only TWAP order would increase position."),
        (request(coin="CRCL"), "Trading is halted."),
    ],
)
def test_refusals_have_the_venues_words(twap, text):
    market = started()
    assert market.venue.twaps.place(ALICE, twap) == VenueRefusal(text)
    assert market.venue.twaps.history(ALICE) == ()


def test_it_needs_an_account_a_coin_and_a_free_place():
    market = started(VenueSettings(twap_count_max=1))
    place = market.venue.twaps.place
    refusal = place(BOB, request())
    assert isinstance(refusal, VenueRefusal)
    assert refusal.text.startswith("Must deposit")
    unknown = TwapRequest(
        coin="NONE", is_buy=True, lots=1, reduce_only=False, minutes=5, is_randomized=False
    )
    assert place(ALICE, unknown) == VenueRefusal("Unknown asset")
    begin(market, request())
    assert place(ALICE, request()) == VenueRefusal("Exceeded max number of active TWAP orders.")


def test_small_orders_take_fewer_and_later_slices():
    market = started()
    start_ns = market.now_ns
    twap_id = begin(market, request(0.0012, minutes=30))
    market.venue.advance(start_ns + 30 * NS_PER_MIN)
    rows = slices(market, twap_id)
    assert [row.fill.lots for row in rows] == [lots("BTC", 0.0001)] * 12
    assert rows[1].fill.ts_exch_ns - start_ns == 30 * NS_PER_MIN // 11
    assert rows[-1].fill.ts_exch_ns == start_ns + 30 * NS_PER_MIN


def test_beyond_three_percent_it_waits_and_then_catches_up_threefold():
    market = started()
    start_ns = market.now_ns
    twap_id = begin(market, request())
    market.venue.advance(start_ns)
    market.tick(**FAR)
    market.venue.advance(start_ns + 170 * NS_PER_S)
    assert len(slices(market, twap_id)) == 1
    market.now_ns = start_ns + 170 * NS_PER_S
    market.tick(**DEEP)
    market.venue.advance(start_ns + 300 * NS_PER_S)
    sizes = [row.fill.lots for row in slices(market, twap_id)]
    normal = lots("BTC", 0.1)
    assert sizes == [normal, 3 * normal, 3 * normal, 2 * normal, normal, normal]
    assert ends(market)[0].status is TwapStatus.FINISHED


def test_what_could_not_be_caught_up_stays_undone():
    market = started()
    start_ns = market.now_ns
    twap_id = begin(market, request())
    market.tick(**FAR)
    market.venue.advance(start_ns + 299 * NS_PER_S)
    market.now_ns = start_ns + 298 * NS_PER_S
    market.tick(**DEEP)
    market.venue.advance(start_ns + 300 * NS_PER_S)
    assert [row.fill.lots for row in slices(market, twap_id)] == [
        lots("BTC", 0.1),
        lots("BTC", 0.3),
    ]
    (end,) = ends(market)
    assert end.status is TwapStatus.FINISHED
    assert end.state.executed_lots < end.state.request.lots


def test_a_slice_pays_at_most_three_percent_from_the_mark():
    market = started()
    market.tick(
        bids=((99_990, 1.0),), asks=((102_999, 0.01), (103_000, 0.02), (103_001, 9.0)), mark=100_000
    )
    twap_id = begin(market, request())
    market.venue.advance(market.now_ns)
    assert [row.fill.px for row in slices(market, twap_id)] == [1_029_990, 1_030_000]


def test_it_stops_when_the_position_it_reduces_is_gone():
    market = started()
    market.venue.place(ALICE, [limit(True, 100_010, 1.0, Tif.IOC)])
    start_ns = market.now_ns
    twap_id = begin(market, request(is_buy=False, reduce_only=True))
    market.venue.advance(start_ns + 60 * NS_PER_S)
    assert len(slices(market, twap_id)) == 3
    market.venue.place(ALICE, [limit(False, 99_990, 0.65, Tif.IOC)])
    market.venue.advance(start_ns + 120 * NS_PER_S)
    assert slices(market, twap_id)[-1].fill.lots == lots("BTC", 0.05)
    (end,) = ends(market)
    assert (end.status, end.text) == (
        TwapStatus.ERROR,
        "Reduce-only TWAP order would increase position.",
    )
    assert market.venue.account_summary(ALICE).positions == ()


def test_it_ends_in_error_when_the_margin_is_short():
    market = Market()
    market.fund(ALICE, usdc=1_200)
    market.tick(**DEEP)
    twap_id = begin(market, request())
    market.venue.advance(market.now_ns + 5 * NS_PER_MIN)
    assert len(slices(market, twap_id)) == 2
    (end,) = ends(market)
    assert (end.status, end.text) == (
        TwapStatus.ERROR,
        "Insufficient margin to place order. asset=0",
    )


def test_cancelling_ends_it_once():
    market = started()
    twap_id = begin(market, request())
    cancel = market.venue.twaps.cancel
    unknown = "TWAP was never placed, already canceled, or filled."
    assert cancel(ALICE, "ETH", twap_id) == unknown
    assert cancel(BOB, "BTC", twap_id) == unknown
    assert cancel(ALICE, "BTC", twap_id) is None
    assert cancel(ALICE, "BTC", twap_id) == unknown
    assert ends(market)[0].status is TwapStatus.TERMINATED
    market.venue.advance(market.now_ns + 5 * NS_PER_MIN)
    assert market.venue.fills(ALICE) == ()


def test_after_an_upgrade_no_slice_goes_and_none_may_start():
    market = started()
    start_ns = market.now_ns
    twap_id = begin(market, request())
    market.venue.advance(start_ns + 30 * NS_PER_S)
    market.venue.market_states.begin_post_only(start_ns + 100 * NS_PER_S)
    refusal = market.venue.twaps.place(ALICE, request())
    assert refusal == VenueRefusal(
        "Only post-only orders allowed immediately after a network upgrade"
    )
    market.venue.advance(start_ns + 300 * NS_PER_S)
    times = [(r.fill.ts_exch_ns - start_ns) // NS_PER_S for r in slices(market, twap_id)]
    assert times == [0, 30, 120, 150, 180, 210, 240, 270, 300]
    assert ends(market)[0].state.executed_lots == lots("BTC", 1.1)


def spot_request(size: str, *, is_buy: bool) -> TwapRequest:
    return TwapRequest(
        coin=HYPE_PAIR,
        is_buy=is_buy,
        lots=PAIRS[HYPE_PAIR].lots_from_text(size),
        reduce_only=False,
        minutes=5,
        is_randomized=False,
    )


def test_on_spot_it_trades_balances_and_ends_when_they_do():
    market = SpotMarket()
    market.fund(ALICE, "1000")
    market.tick()
    twap_id = market.venue.twaps.place(ALICE, spot_request("11", is_buy=True))
    market.venue.advance(market.now_ns + 300 * NS_PER_S)
    rows = [row for row in market.venue.fills(ALICE) if row.twap_id == twap_id]
    assert [row.fill.lots for row in rows] == [100] * 11
    assert all(row.direction == "Buy" and row.fee_token == "HYPE" for row in rows)
    assert market.is_conserved()
    market.now_ns = market.venue.now_ns
    market.tick()
    place = market.venue.twaps.place
    assert place(ALICE, spot_request("2", is_buy=True)) == VenueRefusal(
        "TWAP order value too small. Min is $100."
    )
    assert isinstance(place(ALICE, spot_request("22", is_buy=False)), int)
    market.venue.advance(market.now_ns + 300 * NS_PER_S)
    end = market.venue.twaps.history(ALICE)[0]
    assert end.status is TwapStatus.ERROR
    assert end.text.startswith("Insufficient spot balance")
    assert 0 < end.state.executed_lots < 1_100
    assert market.is_conserved()


@given(
    size=st.integers(100, 300_000),
    minutes=st.integers(5, 90),
    is_randomized=st.booleans(),
    is_buy=st.booleans(),
    moves=st.lists(
        st.tuples(st.integers(1, 200), st.integers(-40, 40), st.integers(0, 4_000)), max_size=30
    ),
)
def test_it_never_trades_more_than_asked_nor_more_than_threefold_at_once(
    size, minutes, is_randomized, is_buy, moves
):
    market = started()
    market.fund(ALICE, usdc=5_000_000)
    start_ns = market.now_ns
    twap = TwapRequest(
        coin="BTC",
        is_buy=is_buy,
        lots=size,
        reduce_only=False,
        minutes=minutes,
        is_randomized=is_randomized,
    )
    twap_id = begin(market, twap)
    for seconds, percent_tenths, depth in moves:
        mid = 100_000 + 100 * percent_tenths
        side = depth / 100_000
        market.tick(
            bids=((mid - 10, side),) if depth else (),
            asks=((mid + 10, side),) if depth else (),
            mark=mid,
            seconds=seconds,
        )
    market.venue.advance(max(market.now_ns, start_ns + minutes * NS_PER_MIN))
    rows = slices(market, twap_id)
    done = sum(row.fill.lots for row in rows)
    assert done <= size
    count_least = min(minutes * 2 + 1, size // 10)
    normal_most = -(-size // max(1, count_least * 8 // 10 - 1)) + 1
    by_order: dict[int, int] = {}
    for row in rows:
        by_order[row.fill.oid] = by_order.get(row.fill.oid, 0) + row.fill.lots
    assert all(0 < filled <= 3 * normal_most for filled in by_order.values())
    (end,) = ends(market)
    assert (end.state.executed_lots, end.state.request.lots) == (done, size)
    assert end.state.executed_notional == sum(r.fill.px * r.fill.lots for r in rows)
    assert market.venue.conservation_error_micro() == 0
    assert market.venue.position_error_lots() == 0


def test_randomised_sizes_stay_within_a_fifth_and_repeat_with_the_id():
    def sizes() -> list[int]:
        market = started()
        twap_id = begin(market, request(is_randomized=True))
        market.venue.advance(START_NS + 6 * NS_PER_MIN)
        return [row.fill.lots for row in slices(market, twap_id)]

    first = sizes()
    normal = lots("BTC", 0.1)
    assert first == sizes()
    assert sum(first) == 11 * normal
    assert len(set(first)) > 5
    assert 0.8 * normal <= first[0] <= 1.2 * normal
    assert all(0 < size <= 2 * normal for size in first)
