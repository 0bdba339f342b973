"""Closing an account with no bot alive, against a venue that is scripted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.model.account import OrderReport, PositionReport
from core.model.codes import OrderStatus, Purpose, RejectionCode
from core.model.commands import CancelOrder, Command, PlaceOrder
from core.model.errors import VenueError
from core.model.events import (
    AccountReported,
    BookChanged,
    CancelRejected,
    Event,
    OpenOrdersReported,
    OrderUnanswered,
    OrderUpdated,
)
from core.model.instrument import Instrument
from core.runtime.flatten import SLIPPAGE_STEPS, flatten
from core.runtime.rescue import Rescuer, spot_text
from core.utils.clock import ManualClock

BTC = Instrument("BTC", 0, 5, leverage_max=40)
DEPTH_LOTS = 300


class ScriptedVenue:
    """A venue with one book: takers get what rests within their limit, silence on request."""

    account = "0x" + "1" * 40

    def __init__(self, lots: int = 0, orders: Sequence[OrderReport] = ()) -> None:
        self.lots = {"BTC": lots} if lots else {}
        self.orders = list(orders)
        self.sent: list[Command] = []
        self.silent_rounds = 0
        self.is_deaf = False
        self.touch_px = 1_000_000
        self.spot: list[dict[str, str]] | None = []

    async def fetch_instruments(self):
        return (BTC,), []

    async def fetch_account(self):
        positions = tuple(
            PositionReport(
                coin=coin,
                position_lots=lots,
                entry_price=100_000.0,
                leverage=10,
                is_cross=True,
                margin_used_micro=0,
            )
            for coin, lots in self.lots.items()
        )
        return AccountReported(
            ts_exch_ns=0,
            cash_micro=0,
            account_value_micro=10**9,
            margin_used_micro=0,
            withdrawable_micro=0,
            positions=positions,
        )

    async def ask(self, kind: str, **fields: str) -> bytes:
        assert kind == "spotClearinghouseState" and fields == {"user": self.account}
        if self.spot is None:
            raise VenueError("spot should be told, was not")
        return json.dumps({"balances": self.spot}).encode()

    async def fetch_open_orders(self):
        if self.is_deaf:
            raise VenueError("the venue should answer, was silent")
        return OpenOrdersReported(ts_exch_ns=0, orders=tuple(self.orders))

    async def fetch_book(self, coin: str):
        px = self.touch_px
        return BookChanged(
            ts_exch_ns=0, coin=coin, bids=((px, DEPTH_LOTS),), asks=((px + 10, DEPTH_LOTS),)
        )

    async def execute(self, commands: Sequence[Command], *, ttl_ns: int) -> list[Event]:
        self.sent += commands
        if self.silent_rounds:
            self.silent_rounds -= 1
            return [
                OrderUnanswered(ts_exch_ns=0, coin=c.coin, cloid=c.cloid, reason="timed out")
                for c in commands
                if isinstance(c, PlaceOrder)
            ]
        return [event for command in commands for event in self._do(command)]

    def _do(self, command: Command) -> list[Event]:
        if isinstance(command, CancelOrder):
            found = [o for o in self.orders if o.oid == command.oid]
            self.orders = [o for o in self.orders if o.oid != command.oid]
            if not found:
                code = RejectionCode.ORDER_NOT_FOUND
                return [
                    CancelRejected(ts_exch_ns=0, coin="BTC", cloid="", code=code, venue_text="")
                ]
            return [self._updated(OrderStatus.CANCELLED, "canceled")]
        assert isinstance(command, PlaceOrder) and command.reduce_only
        assert command.purpose is Purpose.FLATTEN
        held = self.lots.get("BTC", 0)
        assert command.is_buy is (held < 0)
        got = min(command.lots, abs(held), DEPTH_LOTS)
        held += got if command.is_buy else -got
        self.lots = {"BTC": held} if held else {}
        self.orders = [o for o in self.orders if held or not o.reduce_only]
        return [self._updated(OrderStatus.FILLED, "filled")]

    def _updated(self, status: OrderStatus, word: str) -> OrderUpdated:
        return OrderUpdated(
            ts_exch_ns=0, coin="BTC", oid=1, cloid="", status=status, venue_status=word
        )


def order(oid: int, *, reduce_only: bool) -> OrderReport:
    return OrderReport(
        coin="BTC",
        oid=oid,
        cloid=None,
        is_buy=False,
        px=990_000,
        lots_orig=10,
        lots_left=10,
        reduce_only=reduce_only,
        trigger_px=980_000 if reduce_only else 0,
        ts_exch_ns=0,
    )


async def close(venue: ScriptedVenue, **words: object):
    clock = ManualClock(0)
    clock.sleep = no_wait  # type: ignore[method-assign]
    return await flatten(venue, clock, **words)  # type: ignore[arg-type]


async def no_wait(seconds: float) -> None:
    return None


@pytest.mark.parametrize("lots", [1, -1, 250, -250])
async def test_a_position_and_its_orders_are_gone_after_one_round(lots: int) -> None:
    venue = ScriptedVenue(lots, [order(1, reduce_only=False), order(2, reduce_only=True)])
    report = await close(venue)
    assert report.is_flat and report.rounds == 1 and report.cancelled_count == 1
    assert not any(isinstance(c, CancelOrder) and c.oid == 2 for c in venue.sent)


async def test_what_the_book_cannot_take_is_closed_in_further_rounds_further_out() -> None:
    venue = ScriptedVenue(1_000)
    report = await close(venue)
    assert report.is_flat and report.rounds == 4
    limits = [c.px for c in venue.sent if isinstance(c, PlaceOrder)]
    wanted = [1_000_000 * (1 - slippage) for slippage in SLIPPAGE_STEPS[:4]]
    assert limits == pytest.approx(wanted, abs=10)
    assert [c.lots for c in venue.sent if isinstance(c, PlaceOrder)] == [1_000, 700, 400, 100]


async def test_silence_is_not_a_no_and_nothing_is_closed_twice() -> None:
    venue = ScriptedVenue(200)
    venue.silent_rounds = 2
    report = await close(venue)
    assert report.is_flat and report.rounds == 3
    assert sum("no answer" in problem for problem in report.problems) == 2


async def test_only_orders_are_cancelled_where_positions_may_stay() -> None:
    venue = ScriptedVenue(200, [order(1, reduce_only=False), order(2, reduce_only=True)])
    report = await close(venue, closes_positions=False)
    assert not report.is_flat and report.closing_orders_count == 0
    assert [o.oid for o in report.after.orders] == [2]


async def test_a_flat_account_sends_nothing() -> None:
    venue = ScriptedVenue()
    report = await close(venue)
    assert report.is_flat and report.rounds == 0 and venue.sent == []


async def test_a_venue_that_never_answers_is_an_error_and_one_that_stops_is_a_report() -> None:
    deaf = ScriptedVenue(200)
    deaf.is_deaf = True
    with pytest.raises(VenueError):
        await close(deaf)

    stubborn = ScriptedVenue(10**6)
    report = await close(stubborn, rounds_max=3)
    assert not report.is_flat and report.rounds == 3
    assert report.after.positions[0].position_lots == 10**6 - 3 * DEPTH_LOTS


async def test_an_unlisted_position_is_told_and_does_not_stop_the_others() -> None:
    venue = ScriptedVenue(100)
    venue.lots["xyz:GOLD"] = 5
    report = await close(venue, rounds_max=2)
    assert [p.coin for p in report.before.positions] == ["BTC", "xyz:GOLD"]
    assert any("xyz:GOLD is not listed" in problem for problem in report.problems)


# --- with what a person wants afterwards ----------------------------------------------------------


class Told:
    """Keeps what a person was told."""

    def __init__(self) -> None:
        self.details: list[str] = []

    def notify(self, level: str, name: str, detail: str) -> None:
        self.details.append(detail)


def rescuer(venue: ScriptedVenue, directory: Path) -> tuple[Rescuer, Told]:
    clock, told = ManualClock(0), Told()
    clock.sleep = no_wait  # type: ignore[method-assign]
    return Rescuer(venue, clock, directory, notifier=told), told  # type: ignore[arg-type]


def incidents_in(directory: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(directory.glob("incident-*.json"))]


async def test_what_was_done_is_written_down_and_told(tmp_path: Path) -> None:
    venue = ScriptedVenue(200, [order(1, reduce_only=False)])
    venue.spot = [{"coin": "HYPE", "total": "2.5", "hold": "0.0"}]
    helper, told = rescuer(venue, tmp_path)
    report = await helper.close("by hand")
    assert report.is_done and report.flatten.is_flat
    assert spot_text(report.spot) == "spot balances are not touched: 2.5 HYPE"
    (incident,) = incidents_in(tmp_path)
    assert report.incident.endswith(".json") and incident["path"] == report.incident
    assert (
        incident["actions"][0]["is_done"]
        and "1 orders cancelled" in (incident["actions"][0]["detail"])
    )
    assert incident["context"]["account"] == ScriptedVenue.account
    assert told.details == ["by hand: 1 of 1 actions done"]


async def test_what_is_left_is_not_called_done_and_a_second_try_goes_on_with_the_incident(
    tmp_path: Path,
) -> None:
    venue = ScriptedVenue(2 * DEPTH_LOTS)
    venue.spot = None
    helper, told = rescuer(venue, tmp_path)
    first = await helper.close("by hand", rounds_max=1)
    assert not first.is_done
    assert "not told" in spot_text(first.spot)
    (incident,) = incidents_in(tmp_path)
    assert not incident["actions"][0]["is_done"]
    assert "1 positions left" in incident["actions"][0]["detail"]
    second = await helper.close("by hand", rounds_max=1)
    assert second.is_done and second.incident == first.incident
    (incident,) = incidents_in(tmp_path)
    assert incident["actions"][0]["is_done"] and incident["call_count"] == 2
    assert told.details == ["by hand: 0 of 1 actions done", "by hand: 1 of 1 actions done"]


async def test_a_venue_that_never_answers_leaves_an_incident_too(tmp_path: Path) -> None:
    venue = ScriptedVenue(200)
    venue.is_deaf = True
    helper, _ = rescuer(venue, tmp_path)
    with pytest.raises(VenueError, match="was silent"):
        await helper.close("by hand")
    (incident,) = incidents_in(tmp_path)
    assert "was silent" in incident["actions"][0]["detail"]


async def test_orders_alone_are_done_when_only_stops_are_left(tmp_path: Path) -> None:
    venue = ScriptedVenue(200, [order(1, reduce_only=False), order(2, reduce_only=True)])
    helper, _ = rescuer(venue, tmp_path)
    report = await helper.close("by hand", closes_positions=False)
    assert report.is_done and not report.flatten.is_flat
