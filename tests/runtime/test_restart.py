"""A bot dies anywhere and starts again: its state is the venue's, and nothing is done twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model.codes import OperatorAction, Purpose, Tif, TradingState
from core.model.events import OrderFilled, OrderUpdated
from core.model.intents import Intent, Quote, TargetQuotes
from core.model.market import MarketView
from core.model.time import NS_PER_HOUR, NS_PER_S
from core.runtime import replay
from core.runtime import session as session_module
from core.utils.logger import configure
from tests.engines.fakes import ACCOUNT, PX, T0, config_of, flat, long, short
from tests.runtime.crashes import Crash, CrashWorld, Wish, assert_equal

QUIET_SECONDS = 60
CHUNKS = 4
SNAPSHOT_EVERY = 40
CONFIG = config_of(action_ttl_seconds=10.0, order_answer_seconds=2.0)


@pytest.fixture(autouse=True)
def hushed(quiet_log: None) -> Iterator[None]:
    configure(to_stderr=False)
    with mock.patch.object(session_module, "SNAPSHOT_EVERY", SNAPSHOT_EVERY):
        yield


def second_of(view: MarketView) -> int:
    return (view.now_ns - T0) // NS_PER_S


def trades(view: MarketView) -> list[Intent]:
    """Enter, tighten the stop, leave, turn round, be stopped out, and enter once more."""
    second = second_of(view)
    if second < 2:
        return []
    if second < 7:
        return [long(stop_price=99_000.0)]
    if second < 10:
        return [long(stop_price=99_500.0)]
    if second < 12:
        return [flat()]
    return [short()]


def after_a_jump(second: int) -> int:
    return PX if second < 18 else PX + 11_000


def quotes(view: MarketView) -> list[Intent]:
    """Quotes that follow the price, so that they are modified, filled and cancelled."""
    price, second = view.price, second_of(view)
    if second > 30:
        return [flat()]
    rows = (
        Quote(is_buy=True, price=price * 0.999),
        Quote(is_buy=True, price=price * 0.998),
        Quote(is_buy=False, price=price * 1.001),
    )
    wish = TargetQuotes(
        coin="BTC", strategy="fake", quotes=rows, reason="waves", stop_price=price * 0.97
    )
    return [wish]


def waves(second: int) -> int:
    return PX + (0, 600, 1_200, 300, -900, -1_500, -300)[second % 7] if second < 40 else PX


def limits(view: MarketView) -> list[Intent]:
    """A resting entry that is filled when the price comes to it."""
    return [long(entry_price=99_900.0)] if second_of(view) < 20 else [long(stop_price=99_300.0)]


SCRIPTS = {
    "trades": (trades, after_a_jump),
    "quotes": (quotes, waves),
    "limits": (limits, waves),
}


def lives(
    directory: Path, wish: Wish, path: object, *, dies_at: set[int], down_seconds: int = 3
) -> CrashWorld:
    """Play a script with deaths in it, to the end and until all is quiet."""
    world = CrashWorld(
        directory,
        wish,
        path=path,
        config=CONFIG,
        down_seconds=down_seconds,  # type: ignore[arg-type]
    )
    world.fuse.dies_at = dies_at
    world.start_again()
    world.play(25)
    world.fuse.dies_at = set()
    world.play(QUIET_SECONDS)
    return world


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> CrashWorld:
    """The same script without any death: what there is to reach, and how many ways to die."""
    configure(to_stderr=False)
    world = CrashWorld(
        tmp_path_factory.mktemp("undisturbed"), trades, path=after_a_jump, config=CONFIG
    )
    world.start()
    world.play(25)
    world.ways_to_die = world.fuse.count  # type: ignore[attr-defined]
    world.play(QUIET_SECONDS)
    return world


def test_the_script_reaches_what_it_should(undisturbed: CrashWorld) -> None:
    assert_equal(undisturbed)
    purposes = {row.purpose for row in undisturbed.engine._context.orders.facts.closed.values()} | {
        row.purpose for row in undisturbed.engine._context.orders.facts.open.values()
    }
    assert purposes >= {Purpose.ENTRY, Purpose.STOP, Purpose.TARGET, Purpose.EXIT}
    assert len(undisturbed.exchange.fills(ACCOUNT)) >= 4
    assert undisturbed.stops_max == 1
    assert undisturbed.ways_to_die > 150  # type: ignore[attr-defined]


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_it_may_die_after_anything_it_wrote_or_sent(
    undisturbed: CrashWorld, chunk: int, tmp_path: Path
) -> None:
    ways = undisturbed.ways_to_die  # type: ignore[attr-defined]
    for dies_at in range(1 + chunk, ways + 1, CHUNKS):
        world = lives(tmp_path / str(dies_at), trades, after_a_jump, dies_at={dies_at})
        assert world.recovered or dies_at < 6, f"died at {dies_at}, continued nothing"
        assert_equal(world)
        assert world.stops_max <= 1, f"died at {dies_at}, had two stops"
        assert world.lots_max <= undisturbed.lots_max * 1.05, f"died at {dies_at}, entered twice"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.sampled_from(sorted(SCRIPTS)),
    deaths=st.sets(st.integers(1, 400), min_size=1, max_size=4),
    down_seconds=st.sampled_from([1, 3, 20, 60]),
)
def test_it_may_die_several_times_and_stay_away_for_long(
    script: str, deaths: set[int], down_seconds: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    wish, path = SCRIPTS[script]
    directory = tmp_path_factory.mktemp("lives")
    world = lives(directory, wish, path, dies_at=deaths, down_seconds=down_seconds)
    assert_equal(world)
    assert world.stops_max <= 1


# --- what happens while nobody looks ----------------------------------------------------------


def holding(directory: Path, **changes: object) -> CrashWorld:
    """A long position with its stop and target at the venue."""
    fields = {"wish": lambda view: [long()], "config": CONFIG} | changes
    world = CrashWorld(directory, **fields)  # type: ignore[arg-type]
    world.start()
    world.play(5)
    assert world.position() > 0 and len(world.stops()) == 1
    return world


def test_a_stop_that_fires_while_nobody_looks_is_booked_once(tmp_path: Path) -> None:
    world = holding(tmp_path, path=lambda second: PX if second < 8 else PX - 11_000)
    world.kill()
    world._play_second()
    world.play(5)
    assert world.position() == 0
    world.start()
    world.play(10)
    assert_equal(world)


def test_a_loss_that_the_stop_prevented_is_not_judged(tmp_path: Path) -> None:
    """Before the venue has said that the position is gone, prices are not held against it."""
    world = holding(
        tmp_path,
        wish=lambda view: [long()] if second_of(view) < 7 else [],
        path=lambda second: PX if second < 8 else PX - 11_000 if second < 11 else PX * 6 // 10,
    )
    world.kill()
    for _ in range(8):
        world._play_second()
    assert world.position() == 0, "the stop fired long before the worst"
    world.start()
    world.play(10)
    assert_equal(world)
    assert not world.engine.is_emergency_latched


def test_a_protected_position_is_left_alone_by_a_restart(tmp_path: Path) -> None:
    world = holding(tmp_path)
    before = {order.oid for order in world.open_orders()}
    placed = sum(world.placed.values())
    world.kill()
    world.start()
    world.play(30)
    assert {order.oid for order in world.open_orders()} == before
    assert sum(world.placed.values()) == placed
    desk = world.engine._context.desks["BTC"]
    assert desk.stop_px == 990_000, "the stop of the wish, not one made up for a stranger"


def test_money_that_moves_while_nobody_looks_is_no_profit(tmp_path: Path) -> None:
    world = holding(tmp_path)
    risk = world.engine._context.risk.state
    share = risk.peak_micro / world.engine.status().equity_micro
    world.kill()
    world.exchange.fund(ACCOUNT, 5_000_000_000)
    assert world.exchange.withdraw(ACCOUNT, 9_000_000_000) is None
    world.play(3)
    world.start()
    world.play(10)
    assert_equal(world)
    status = world.engine.status()
    assert world.engine._context.risk.state.peak_micro / status.equity_micro == pytest.approx(
        share, rel=1e-6
    )
    assert not world.engine.is_emergency_latched, "nine tenths less is no loss"
    assert abs(status.day_pnl_micro) < 20_000_000


def test_funding_that_was_paid_while_nobody_looks_is_booked(tmp_path: Path) -> None:
    world = holding(tmp_path)
    world.kill()
    world.clock.ns += NS_PER_HOUR
    world.second += 3_600
    world.play(3)
    world.start()
    world.play(10)
    assert_equal(world)
    paid = sum(row.funding_micro for row in world.exchange.funding_history(ACCOUNT))
    assert world.engine.status().funding_micro == paid


def test_trades_by_hand_while_nobody_looks_are_taken_over(tmp_path: Path) -> None:
    world = holding(tmp_path)
    world.kill()
    world.by_hand("BTC", -world.position() * 3, PX - 10)
    world.play(3)
    world.start()
    world.play(40)
    assert_equal(world)
    assert any("others sold" in a for a in alerts(world, "fill_foreign"))


def alerts(world: CrashWorld, name: str) -> list[str]:
    """What the current process said, read back from its journal."""
    from core.utils.journal_reader import JournalReader

    assert world.session is not None
    world.session.make_durable()
    with JournalReader(world.session._journal.path) as reader:
        return [a.detail for step in reader.steps() for a in step.alerts if a.name == name]


def test_a_liquidation_while_nobody_looks_trips_the_emergency(tmp_path: Path) -> None:
    world = holding(
        tmp_path,
        wish=lambda view: [long(stop_price=20_000.0, target_price=None)],
        config=config_of(max_risk_per_trade=0.1, max_position_ratio=9.0, max_exposure_ratio=9.0),
        path=lambda second: PX if second < 7 else PX // 3,
    )
    world.by_hand("BTC", 80_000, PX + 10)
    for order in world.stops():
        world.exchange.cancel(ACCOUNT, "BTC", order.oid)
    world.kill()
    world.play(5)
    fills = [row.fill for row in world.exchange.fills(ACCOUNT)]
    assert any(fill.is_liquidation for fill in fills)
    world.start()
    world.play(30)
    assert_equal(world)
    assert world.engine.is_emergency_latched
    assert world.position() == 0


def late(view: MarketView) -> list[Intent]:
    """Enter once the leverage is set."""
    return [long()] if second_of(view) >= 3 else []


# --- answers that never come --------------------------------------------------------------------


@pytest.mark.parametrize("dies", [False, True])
def test_a_lost_answer_ends_as_exactly_one_of_filled_working_or_dead(
    tmp_path: Path, dies: bool
) -> None:
    world = CrashWorld(tmp_path, lambda view: [long()], config=CONFIG)
    world.is_hidden = lambda event: isinstance(event, OrderUpdated | OrderFilled)
    world.start()
    seconds = itertools.count(1)
    while not world.placed and next(seconds) < 10:
        world.play(1)
    if dies:
        world.kill()
        world.start()
    world.play(40)
    world.is_hidden = lambda event: False
    world.play(70)
    assert_equal(world)
    assert len(world.stops()) == 1


def test_an_order_that_never_arrived_is_dead_only_after_its_expiry(tmp_path: Path) -> None:
    world = CrashWorld(tmp_path, late, config=CONFIG)
    world.start()
    world.play(2)
    world.post = lambda command, life: None  # type: ignore[method-assign]
    world.play(3)
    (order,) = world.engine._context.orders.facts.open.values()
    world.kill()
    del world.post  # type: ignore[method-assign]
    world.start()
    world.play(8)
    assert world.engine._context.orders.find(order.cloid).is_open, "it might still arrive"
    world.play(20)
    assert not world.engine._context.orders.find(order.cloid).is_open
    assert world.position() > 0, "and only then the wish was sent again"
    assert order.cloid not in world.placed


# --- what must outlive a session ----------------------------------------------------------------


def test_an_emergency_outlives_the_session_until_a_person_resets_it(tmp_path: Path) -> None:
    config = config_of(max_drawdown=0.002, action_ttl_seconds=10.0, order_answer_seconds=2.0)
    world = holding(
        tmp_path, config=config, path=lambda second: PX - 7_000 if 6 <= second < 9 else PX
    )
    world.play(10)
    assert world.engine.is_emergency_latched and world.position() == 0
    peak = world.engine._context.risk.state.peak_micro
    world.kill()
    world.start()
    world.play(20)
    status = world.engine.status()
    assert world.engine.is_emergency_latched
    assert status.trading_state is TradingState.HALTED and "emergency" in status.state_reason
    assert world.position() == 0, "it would have entered again"
    assert world.engine._context.risk.state.peak_micro == peak
    world.stop()
    world.start()
    assert world.engine.is_emergency_latched, "an orderly end is no reset either"
    assert world.session is not None
    world.session.operate(OperatorAction.RESUME, "a person")
    world.play(310)
    assert not world.engine.is_emergency_latched
    assert world.position() > 0
    assert_equal(world)


def test_anchors_counters_and_the_operators_word_outlive_the_session(tmp_path: Path) -> None:
    world = holding(tmp_path)
    assert world.session is not None
    world.session.operate(OperatorAction.PAUSE, "a person")
    world.session.operate(
        OperatorAction.SET_PARAMETER, "a person", key="max_daily_loss", value="0.011"
    )
    world.play(2)
    before, risk = world.engine.status(), world.engine._context.risk.state
    for end in (world.kill, world.stop):
        end()
        world.start()
        world.play(3)
        after = world.engine.status()
        assert after.trading_state is TradingState.REDUCING
        assert after.state_reason == "pause by a person"
        assert world.engine._context.trading.max_daily_loss == 0.011
        assert world.engine._context.risk.state == risk
        assert (after.fees_micro, after.realized_pnl_micro) == (
            before.fees_micro,
            before.realized_pnl_micro,
        )


def test_what_the_end_of_a_session_forbids_does_not_outlive_it(tmp_path: Path) -> None:
    world = holding(tmp_path)
    assert world.session is not None
    world.session.operate(OperatorAction.HALT, "shutdown")
    world.stop()
    world.start()
    world.play(5)
    assert world.engine.status().trading_state is TradingState.ACTIVE


def test_changed_configuration_drops_the_operators_changes_and_says_so(tmp_path: Path) -> None:
    world = holding(tmp_path)
    assert world.session is not None
    world.session.operate(
        OperatorAction.SET_PARAMETER, "a person", key="max_daily_loss", value="0.011"
    )
    world.stop()
    world.config = config_of(max_open_positions=2)
    world.start()
    world.play(5)
    assert world.engine._context.trading.max_daily_loss == 0.02
    assert alerts(world, "parameters_dropped") == ["configuration changed: max_daily_loss"]
    assert_equal(world)


def test_a_continued_journal_replays_by_itself(tmp_path: Path) -> None:
    world = lives(tmp_path, trades, after_a_jump, dies_at={150})
    assert world.session is not None
    path = world.session._journal.path
    events = world.session.seq + 1
    world.stop()
    with world._patched(), mock.patch.object(replay, "build_engine", world.engine_maker):
        outcome = replay.replay_journal(path)
    assert (outcome.event_count, outcome.checkpoint_count) == (events, 1)


def test_a_clock_that_was_set_back_between_two_sessions_stalls_nothing(tmp_path: Path) -> None:
    world = CrashWorld(tmp_path, late, config=CONFIG)
    world.start()
    world.play(2)
    world.post = lambda command, life: None  # type: ignore[method-assign]
    world.play(3)
    world.kill()
    del world.post  # type: ignore[method-assign]
    world.clock.ns -= 2 * NS_PER_S
    world.start()
    world.play(40)
    assert_equal(world)
    assert len(world.placed) == len(set(world.placed)), "no id came twice"


def test_a_session_that_ends_in_order_leaves_nothing_to_replay(tmp_path: Path) -> None:
    world = holding(tmp_path)
    world.stop()
    world.start()
    (left,) = world.recovered
    assert (left.is_ended, left.replayed_count, left.notes) == (True, 0, ())


def test_a_crash_replays_only_what_follows_the_last_snapshot(tmp_path: Path) -> None:
    world = holding(tmp_path)
    world.play(32)
    assert world.session is not None
    world.session.make_durable()
    seq = world.session.seq
    world.kill()
    world.start()
    (left,) = world.recovered
    assert (left.at_seq, left.is_ended) == (seq, False)
    assert left.replayed_count == seq % SNAPSHOT_EVERY > 0


def test_orders_of_a_lost_journal_are_known_by_their_ids(tmp_path: Path) -> None:
    world = CrashWorld(tmp_path / "first", lambda view: [long(entry_price=99_000.0)], config=CONFIG)
    world.start()
    world.play(5)
    assert len(world.open_orders()) == 1
    world.kill()
    world.state_dir = tmp_path / "second"
    world.wish = lambda view: []
    world.start()
    assert alerts(world, "order_adopted")
    world.play(10)
    assert world.open_orders() == (), "nobody wishes for it any more"
    assert_equal(world)


def test_a_hand_order_is_not_taken_for_ours(tmp_path: Path) -> None:
    world = CrashWorld(tmp_path, lambda view: [], config=CONFIG)
    world.start()
    world.play(2)
    world.by_hand("BTC", 1_000, PX - 5_000, tif=Tif.GTC)
    world.play(90)
    assert len(world.open_orders()) == 1
    world.kill()
    world.start()
    world.play(10)
    assert len(world.open_orders()) == 1
    assert world.engine.status().trading_state is TradingState.ACTIVE


def test_it_may_die_while_it_comes_up(tmp_path: Path) -> None:
    world = holding(tmp_path)
    world.kill()
    before = world.fuse.count
    world.fuse.dies_at = {before + n for n in (1, 3, 6, 10, 15, 21)}
    world.start_again()
    world.play(10)
    assert_equal(world)
    assert len(world.stops()) == 1
    with pytest.raises(Crash):
        world.fuse.dies_at = {world.fuse.count + 1}
        world._play_second()
