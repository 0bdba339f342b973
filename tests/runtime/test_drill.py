"""The fire drill: shocks bend the market as said, and a promise that is broken is found."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from core.interfaces.cli_interface import app
from core.model.errors import ConfigError, ExitCode
from core.model.time import NS_PER_MIN, NS_PER_S
from core.runtime import drill
from core.runtime.drill import DrillOptions, run_drill
from core.runtime.shocks import SHOCKS, Shock, ShockedSource
from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource

BY_NAME = {shock.name: shock for shock in SHOCKS}
UNTIL_NS = SAMPLE_START_NS + 20 * NS_PER_MIN


def ticks(shock: Shock, *, is_long: bool) -> list[tuple[Any, Any]]:
    """Pairs of the plain and the shocked tick, struck five minutes in."""
    plain = SampleSource(["BTC"], end_ns=UNTIL_NS)
    shocked = ShockedSource(SampleSource(["BTC"], end_ns=UNTIL_NS), shock)
    pairs = []
    strike_ns = SAMPLE_START_NS + 5 * NS_PER_MIN
    playing = shocked.ticks()
    for tick in plain.ticks():
        if tick.ts_ns >= strike_ns:
            shocked.strike(strike_ns, is_long=is_long)
        pairs.append((tick, next(playing)))
    return pairs


@pytest.mark.parametrize("is_long", [True, False])
@pytest.mark.parametrize("shock", SHOCKS, ids=list(BY_NAME))
def test_a_shock_begins_when_struck_and_goes_against_the_position(
    shock: Shock, is_long: bool
) -> None:
    instrument = {i.coin: i for i in SampleSource(["BTC"]).instruments}["BTC"]
    sign = 1 if is_long else -1
    seen_book = seen_change = False
    for plain, bent in ticks(shock, is_long=is_long):
        age_ns = plain.ts_ns - SAMPLE_START_NS - 5 * NS_PER_MIN
        if age_ns < 0:
            assert bent == plain
            continue
        bend = shock.bend(age_ns)
        factor = 1 + sign * bend.price_share
        assert bent.oracle_px == pytest.approx(
            plain.oracle_px * (factor + sign * bend.mark_share), rel=1e-6
        )
        seen_change = seen_change or bent != plain
        assert bool(bent.bids) is bend.has_book
        if bend.has_book:
            seen_book = True
            sides = (bent.bids, bent.asks)
            assert all(instrument.is_px_on_grid(px) for side in sides for px, _ in side)
            assert bent.bids[0][0] < bent.asks[0][0]
            assert bent.bids[0][0] == pytest.approx(plain.bids[0][0] * factor, rel=1e-3)
            lots = [sum(lots for _, lots in side) for side in (*sides, plain.bids, plain.asks)]
            assert lots[:2] == lots[2:], "no depth is lost where levels meet"
        if bend.funding_rate_1h is not None:
            assert bent.funding_rate_1h == sign * bend.funding_rate_1h
    assert seen_book and seen_change


def test_the_crash_takes_its_five_minutes_and_the_void_gives_the_book_back() -> None:
    crash, void = BY_NAME["crash"].bend, BY_NAME["void"].bend
    assert [crash(m * NS_PER_MIN).price_share for m in (0, 5, 6)] == [-0.0, -0.2, -0.2]
    assert not void(0).has_book and void(5 * NS_PER_MIN).has_book


@pytest.mark.slow
def test_every_promise_holds_with_the_shipped_settings_and_it_is_written_down(
    tmp_path: Path,
) -> None:
    result = CliRunner(env={"COLUMNS": "100", "TERM": "dumb"}).invoke(
        app, ["drill", "--shock", "void", "--state-dir", str(tmp_path)]
    )
    assert result.exit_code == ExitCode.OK, result.output
    assert result.stdout.count(": passed") == 1 and "every promise held" in result.stdout
    (directory,) = tmp_path.glob("drill-*")
    report = json.loads((directory / "drill.json").read_text())
    (void,) = report["results"]
    assert void["name"] == "void" and len(void["curve"]) > 100
    assert 300 < void["flat_after_s"] < 330, "no sooner than there is somebody to trade with"
    assert void["equity_worst_usdc"] < void["equity_before_usdc"]
    assert (directory / "drill.png").read_bytes().startswith(b"\x89PNG")
    assert (directory / "void" / "journal.sqlite").is_file()


def test_a_configuration_without_a_position_is_not_called_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "SEARCH_NS", 10 * NS_PER_MIN)
    trading = tmp_path / "t.json"
    trading.write_text(json.dumps({"coins": ["BTC"], "spread_bps_max": 1e-6}))
    result = CliRunner(env={"COLUMNS": "100"}).invoke(
        app,
        [
            "drill",
            "--shock",
            "gap",
            "--json",
            "--state-dir",
            str(tmp_path),
            "--trading",
            str(trading),
        ],
    )
    assert result.exit_code == ExitCode.HALTED_BY_RISK
    document = json.loads(result.stdout)
    assert not document["ok"] and not document["results"][0]["is_struck"]


def test_equity_under_the_floor_is_refused(tmp_path: Path) -> None:
    trading = tmp_path / "t.json"
    trading.write_text(json.dumps({"equity_floor_usdc": 500}))
    with pytest.raises(ConfigError, match="equity_floor_usdc"):
        run_drill(DrillOptions(equity_usdc=100.0, state_dir=tmp_path, trading_path=trading))


def test_an_unknown_shock_is_a_usage_error() -> None:
    result = CliRunner().invoke(app, ["drill", "--shock", "meteor"])
    assert result.exit_code == ExitCode.USAGE
    assert "crash, gap, funding, mark, void" in result.stderr


# --- the judge finds what is broken ---------------------------------------------------------------


class Account:
    """An account whose state a test sets."""

    def __init__(self) -> None:
        self.equity, self.lots, self.stop_lots = 10_000_000_000, 100, 100
        self.has_book = True
        self.liquidated = 0
        self.error = 0
        self.instruments = {i.coin: i for i in SampleSource(["BTC"]).instruments}

    def account_summary(self, owner: str) -> Any:
        row = SimpleNamespace(coin="BTC", position_lots=self.lots)
        total = SimpleNamespace(
            account_value_micro=self.equity, notional_micro=abs(self.lots) * 10**6
        )
        return SimpleNamespace(total=total, positions=(row,) if self.lots else ())

    def open_orders(self, owner: str) -> Any:
        stop = SimpleNamespace(
            coin="BTC",
            is_buy=self.lots < 0,
            lots_left=self.stop_lots,
            is_trigger=True,
            reduce_only=True,
            order_type="Stop Market",
        )
        return (stop,) if self.stop_lots else ()

    def book(self, coin: str) -> Any:
        side = ((1, 1),) if self.has_book else ()
        return side, side

    def mark_px(self, coin: str) -> int:
        return 10**6

    def liquidations(self, owner: str) -> Any:
        return (1,) * self.liquidated

    def conservation_error_micro(self) -> int:
        return self.error


def judged(changes: dict[int, Any]) -> dict[str, bool]:
    """Watch an account for a minute in which it changes at some seconds."""
    account = Account()
    engine = SimpleNamespace(is_emergency_latched=False)
    session: Any = SimpleNamespace(engine=engine, status=lambda: SimpleNamespace(orders=()))
    watch = drill._Watch(account, session)  # type: ignore[arg-type]
    assert watch.is_ready()
    watch.begin(NS_PER_S)
    for second in range(1, 61):
        if second in changes:
            changes[second](account, engine)
        watch.look((1 + second) * NS_PER_S)
    config = drill.compose.load_config(None, None)
    short = msgspec.structs.replace(BY_NAME["crash"], flat_within_ns=30 * NS_PER_S, jump_share=0.0)
    result = watch.result(short, config)
    return {promise.name: promise.is_kept for promise in result.promises}


def close(account: Account, engine: Any) -> None:
    account.lots = 0


def broken(change: Any) -> set[str]:
    def and_close(account: Account, engine: Any) -> None:
        close(account, engine)
        change(account, engine)

    return {name for name, is_kept in judged({10: and_close}).items() if not is_kept}


def test_nothing_is_broken_where_nothing_breaks() -> None:
    assert broken(lambda account, engine: None) == set()


def test_a_position_without_a_stop_is_found_but_not_where_no_book_is() -> None:
    def lose_stop(account: Account, engine: Any) -> None:
        account.lots, account.stop_lots = 100, 99

    def lose_both(account: Account, engine: Any) -> None:
        lose_stop(account, engine)
        account.has_book = False

    assert broken(lose_stop) == {"a stop stands at the venue", "the position is closed"}
    assert broken(lose_both) == {"the position is closed"}


def test_a_loss_a_liquidation_and_lost_money_are_found() -> None:
    def lose(account: Account, engine: Any) -> None:
        account.lots, account.equity = 100, 9_000_000_000

    def liquidate(account: Account, engine: Any) -> None:
        account.liquidated, account.error = 1, -1

    assert broken(lose) == {"the loss is bounded", "the position is closed"}
    assert broken(liquidate) == {"nothing is liquidated", "money is conserved"}


def test_exposure_after_an_emergency_is_found() -> None:
    def shut_down(account: Account, engine: Any) -> None:
        close(account, engine)
        engine.is_emergency_latched = True

    def reopen(account: Account, engine: Any) -> None:
        account.lots = 50

    assert all(judged({10: shut_down}).values())
    name = "no new exposure after an emergency"
    assert {n for n, is_kept in judged({10: shut_down, 20: reopen}).items() if not is_kept} == {
        name
    }
