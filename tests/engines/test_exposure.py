"""The worst case counts everything that may still fill, and nothing that may only shrink."""

from __future__ import annotations

from core.engines.exposure import exposure_of, exposures
from core.model.codes import OperatorAction
from tests.engines.fakes import PX, Floor, config_of, long


def test_working_and_in_flight_orders_count_with_what_is_left_of_them():
    floor = Floor(long(entry_price=99_900.0)).start(settles=False)
    context = floor.engine._context
    (entry,) = floor.places()
    assert exposure_of(context, "BTC").buy_lots == entry.lots, "in flight"
    floor.settle()
    assert exposure_of(context, "BTC").buy_lots == entry.lots, "working"
    floor.send(*floor.venue.fill(entry.cloid, 1_000, 999_000))
    floor.settle()
    stake = exposure_of(context, "BTC")
    assert (stake.position_lots, stake.buy_lots) == (1_000, entry.lots - 1_000)
    assert stake.sell_lots == 0, "stop and target only shrink"
    assert stake.worst_lots() == entry.lots
    assert stake.worst_micro() == entry.lots * PX
    assert [e.coin for e in exposures(context)] == ["BTC"]


def test_two_coins_share_the_limit_over_all_by_their_resting_orders():
    config = config_of(coins=("BTC", "ETH"), max_exposure_ratio=1.0)
    floor = Floor(config=config)
    floor.strategy.decide = lambda view: [
        long(
            coin=view.coin,
            entry_price=view.price * 0.999,
            stop_price=view.price * 0.995,
            target_price=None,
        )
    ]
    floor.start()
    orders = floor.working("entry")
    assert {o.coin for o in orders} == {"BTC", "ETH"}
    notional = sum(o.px * o.lots for o in orders)
    assert notional <= floor.engine.status().equity_micro
    for order in orders:
        floor.send(*floor.venue.fill(order.cloid, order.lots, order.px))
    floor.settle()
    assert floor.engine.status().exposure_gross_micro <= floor.engine.status().equity_micro
    floor.operate(OperatorAction.FLATTEN)
    assert floor.engine.is_flat
