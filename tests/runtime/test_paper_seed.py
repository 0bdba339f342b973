"""A paper account set up again is the account the last session knew, to the micro-USDC."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Purpose, Tif, TriggerKind
from core.model.commands import PlaceOrder, ReportAccount, Trigger
from core.model.events import InstrumentsListed, OrderFilled
from core.runtime.paper_link import PaperLink
from core.runtime.paper_seed import PaperSeed, paper_seed, plant
from core.simulation.adapter import execute_command
from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.latency import LatencyModel
from core.utils.clock import ManualClock
from core.utils.logger import configure
from tests.engines.fakes import ACCOUNT, BTC, CASH, ETH, PX, T0, long
from tests.runtime.crashes import CrashWorld


def stop(lots: int, trigger_px: int, cloid: str = "0x" + "5" * 32) -> PlaceOrder:
    is_buy = lots < 0
    return PlaceOrder(
        cloid=cloid,
        coin="BTC",
        asset=0,
        is_buy=is_buy,
        px=trigger_px * 11 // 10 // 10 * 10 if is_buy else trigger_px * 9 // 10 // 10 * 10,
        lots=abs(lots),
        tif=Tif.GTC,
        reduce_only=True,
        trigger=Trigger(TriggerKind.STOP_LOSS, trigger_px),
        purpose=Purpose.STOP,
        strategy="fake",
        arrival_mid_x2=0,
    )


def planted(seed: PaperSeed) -> SimulatedExchange:
    exchange = SimulatedExchange((BTC, ETH), start_ns=T0)
    plant(exchange, ACCOUNT, seed)
    return exchange


@given(
    lots=st.integers(-30_000, 30_000).filter(lambda lots: abs(lots) > 100),
    px=st.integers(PX - 200_000, PX + 200_000),
    equity=st.integers(CASH // 2, CASH),
)
def test_cash_and_positions_are_exact_whatever_was_paid(lots: int, px: int, equity: int) -> None:
    seed = PaperSeed(
        cash_micro=equity - lots * px,
        positions={"BTC": (lots, lots * px + 7)},
        orders=(stop(lots, px * (99 if lots > 0 else 101) // 1_000 * 10),),
        leverages={"BTC": 10},
        marks={"BTC": px},
    )
    exchange = planted(seed)
    report = exchange.account_report(ACCOUNT)
    assert report.cash_micro == seed.cash_micro
    assert [(p.coin, p.position_lots) for p in report.positions] == [("BTC", lots)]
    assert [o.cloid for o in exchange.open_orders(ACCOUNT)] == [seed.orders[0].cloid]
    assert exchange.conservation_error_micro() == 0


def test_a_stop_that_locks_a_profit_in_survives() -> None:
    seed = PaperSeed(
        cash_micro=CASH - 1_000 * PX,
        positions={"BTC": (1_000, 1_000 * PX)},
        orders=(stop(1_000, PX + 50_000),),
        leverages={"BTC": 10},
        marks={"BTC": PX + 80_000},
    )
    (order,) = planted(seed).open_orders(ACCOUNT)
    assert order.trigger_px == PX + 50_000


def test_fees_are_charged_again_afterwards() -> None:
    fresh = SimulatedExchange((BTC, ETH), start_ns=T0)
    fresh.fund(ACCOUNT, CASH)
    seed = PaperSeed(cash_micro=CASH, positions={}, orders=(), leverages={}, marks={})
    assert planted(seed).fee_rates(ACCOUNT) == fresh.fee_rates(ACCOUNT)


async def test_how_the_account_was_set_up_is_no_news() -> None:
    seed = PaperSeed(
        cash_micro=CASH - 1_000 * PX,
        positions={"BTC": (1_000, 1_000 * PX)},
        orders=(),
        leverages={},
        marks={"BTC": PX},
    )
    link = PaperLink(
        lambda event: None,
        account=ACCOUNT,
        equity_micro=1,
        clock=ManualClock(T0),
        latency=LatencyModel(1),
        seed=seed,
    )
    link.observe(InstrumentsListed(instruments=(BTC, ETH)))
    assert not [e for e in await link.report(0) if isinstance(e, OrderFilled)]
    venue = link._venue()
    raw = execute_command(venue, ACCOUNT, ReportAccount(0), T0)
    assert [e for e in raw if isinstance(e, OrderFilled)], "the venue itself knows them"


def test_a_seed_is_read_from_what_a_session_left(tmp_path: Path) -> None:
    configure(to_stderr=False)
    world = CrashWorld(tmp_path, lambda view: [long()])
    world.start()
    world.play(5)
    seed = paper_seed(world.engine.snapshot())
    exchange = planted(seed)
    assert exchange.account_report(ACCOUNT).cash_micro == (
        world.exchange.account_report(ACCOUNT).cash_micro
    )
    assert {o.cloid for o in exchange.open_orders(ACCOUNT)} == {
        o.cloid for o in world.open_orders()
    }
    assert seed.leverages == {"BTC": 10}


def test_a_snapshot_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="engine snapshot"):
        paper_seed(b"")
