"""Our orders and what is known of each: in flight, working, settling, gone.

An order lives from the moment its command leaves until the venue's definite word *and* all fills
that word implies have arrived. Silence is never a no: it becomes a question by cloid. Knows
nothing of prices, wishes or risk.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from core.model.account import Fill, OrderReport, OrderRow
from core.model.codes import OrderStatus, Purpose, Regime, RejectionCode, Tif
from core.model.commands import CancelOrder, Command, LookUpOrder, ModifyOrder, PlaceOrder, Trigger
from core.model.events import (
    CancelRejected,
    OpenOrdersReported,
    OrderMissing,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
)
from core.model.ids import is_engine_cloid
from core.model.time import NS_PER_S

CLOSED_COUNT_MAX = 2_000
LOOK_UP_GAP_NS_MAX = 60 * NS_PER_S
SETTLE_ASKS_MAX = 3
TTL_MARGIN_NS = 5 * NS_PER_S
"""Time for an expired action to be provably dead: the venue's clock and ours may differ a bit."""
SETTLE_SHARE = 5
"""A fifth of the wait for an answer is given to the message that says how much was executed."""
UNKNOWN = -1


class Question(StrEnum):
    """What we asked of the venue about an order and have no answer to."""

    NONE = ""
    PLACE = "place"
    MODIFY = "modify"
    CANCEL = "cancel"
    LOOK_UP = "look_up"


class OwnOrder(msgspec.Struct, kw_only=True):
    """One order of ours.

    ``ending`` is the venue's final word while fills that it implies are still missing
    (``lots_executed`` above ``lots_filled``) or may be: the answers to a cancel and to a modify do
    not say how much was executed before (`UNKNOWN`). ``replaces`` and ``replaced_by`` tie the two
    orders of a modify together until its outcome is known.
    """

    cloid: str
    coin: str
    asset: int
    strategy: str
    purpose: Purpose
    is_buy: bool
    px: int
    lots: int
    tif: Tif
    reduce_only: bool
    trigger: Trigger | None
    regime: Regime
    arrival_mid_x2: int
    sent_ns: int
    changed_ns: int
    oid: int = 0
    status: OrderStatus = OrderStatus.IN_FLIGHT
    lots_filled: int = 0
    lots_executed: int = UNKNOWN
    ending: OrderStatus | None = None
    question: Question = Question.PLACE
    asked_ns: int = 0
    ask_count: int = 0
    replaces: str = ""
    replaced_by: str = ""
    is_cancel_asked: bool = False
    detail: str = ""

    @property
    def lots_left(self) -> int:
        """Lots that may still fill."""
        return max(0, self.lots - self.lots_filled)

    @property
    def is_open(self) -> bool:
        """Whether it can still change the position."""
        return self.status in (OrderStatus.IN_FLIGHT, OrderStatus.WORKING)

    @property
    def is_settled_working(self) -> bool:
        """Whether it rests at the venue and nothing is being asked about it."""
        is_resting = self.status is OrderStatus.WORKING and self.ending is None
        return is_resting and self.question is Question.NONE and not self.replaced_by

    @property
    def ended_badly(self) -> bool:
        """Whether it ended otherwise than filled, replaced, or cancelled by us."""
        if self.status in (OrderStatus.REJECTED, OrderStatus.EXPIRED):
            return True
        is_short = not self.is_open and self.lots_filled < self.lots
        return is_short and not self.is_cancel_asked and not self.replaced_by

    @property
    def is_protective(self) -> bool:
        """Whether it guards a position at the venue."""
        return self.purpose in (Purpose.STOP, Purpose.TARGET)

    def row(self) -> OrderRow:
        """Return the read-only picture of the order."""
        return OrderRow(
            cloid=self.cloid,
            oid=self.oid,
            coin=self.coin,
            strategy=self.strategy,
            purpose=self.purpose,
            is_buy=self.is_buy,
            px=self.px,
            lots=self.lots,
            lots_left=self.lots_left,
            reduce_only=self.reduce_only,
            trigger_px=self.trigger.trigger_px if self.trigger else 0,
            status=self.status,
            sent_ns=self.sent_ns,
            changed_ns=self.changed_ns,
            detail=self.detail,
        )


class OrderFacts(msgspec.Struct):
    """All state of the order book of our own."""

    open: dict[str, OwnOrder] = {}
    closed: dict[str, OwnOrder] = {}
    foreign: dict[str, OrderReport] = {}


class OwnOrders:
    """The book of our orders.

    Parameters
    ----------
    answer_ns : int
        Wait for an answer before asking by cloid.
    ttl_ns : int
        ``expiresAfter`` of an action: an order unknown to the venue after it never lives.
    account : str
        Lowercase address; tells orders that an engine placed for it from those of others.
    """

    def __init__(self, *, answer_ns: int, ttl_ns: int, account: str = "") -> None:
        self.facts = OrderFacts()
        self.dead_ns = ttl_ns + TTL_MARGIN_NS
        """Time after which an action that was sent can no longer arrive."""
        self._account = account
        self._answer_ns = answer_ns
        self._changed: dict[str, OwnOrder] = {}
        self.version = 0
        """Grows with every change, so that others know whether to look again; no state."""
        self.open_by_coin: dict[str, dict[str, OwnOrder]] = {}

    def of(self, coin: str) -> Iterable[OwnOrder]:
        """Return a coin's open orders, oldest first."""
        return self.open_by_coin.get(coin, {}).values()

    def find(self, cloid: str | None) -> OwnOrder | None:
        """Return an order by our id, open or closed."""
        if cloid is None:
            return None
        return self.facts.open.get(cloid) or self.facts.closed.get(cloid)

    def _ours(self, cloid: str | None, oid: int) -> OwnOrder | None:
        """Return an order by our id or, where a message lacks it, by the venue's."""
        if cloid is not None or not oid:
            return self.find(cloid)
        known = (*self.facts.open.values(), *self.facts.closed.values())
        return next((order for order in known if order.oid == oid), None)

    @property
    def open_count(self) -> int:
        """Open orders, foreign ones included, as the venue's limit counts them."""
        return len(self.facts.open) + len(self.facts.foreign)

    @property
    def has_changed(self) -> bool:
        """Whether some order changed since the last `drain_changed`."""
        return bool(self._changed)

    def drain_changed(self) -> tuple[OrderRow, ...]:
        """Return the orders that changed since the last call, once each."""
        if not self._changed:
            return ()
        rows = tuple(order.row() for order in self._changed.values())
        self._changed.clear()
        return rows

    def restore(self, facts: OrderFacts) -> None:
        """Replace everything by a snapshot's facts."""
        self.version += 1
        self.facts = facts
        self._changed.clear()
        self.open_by_coin = {}
        for order in facts.open.values():
            self.open_by_coin.setdefault(order.coin, {})[order.cloid] = order

    # --- what we sent -----------------------------------------------------------------------

    def sent(self, command: Command, regime: Regime, now_ns: int) -> None:
        """Note that a command about an order leaves."""
        self.version += 1
        if isinstance(command, PlaceOrder):
            self._open(command, regime, now_ns, Question.PLACE)
        elif isinstance(command, ModifyOrder):
            old = self.facts.open[command.cloid]
            old.replaced_by = command.order.cloid
            self._ask(old, Question.MODIFY, now_ns)
            new = self._open(command.order, regime, now_ns, Question.PLACE)
            new.replaces = old.cloid
        elif isinstance(command, CancelOrder):
            order = self.facts.open[command.cloid]
            order.is_cancel_asked = True
            self._ask(order, Question.CANCEL, now_ns)

    def _open(
        self, command: PlaceOrder, regime: Regime, now_ns: int, question: Question
    ) -> OwnOrder:
        assert self.find(command.cloid) is None, f"invariant: cloid is new, was {command.cloid}"
        order = OwnOrder(
            cloid=command.cloid,
            coin=command.coin,
            asset=command.asset,
            strategy=command.strategy,
            purpose=command.purpose,
            is_buy=command.is_buy,
            px=command.px,
            lots=command.lots,
            tif=command.tif,
            reduce_only=command.reduce_only,
            trigger=command.trigger,
            regime=regime,
            arrival_mid_x2=command.arrival_mid_x2,
            sent_ns=now_ns,
            changed_ns=now_ns,
            question=question,
            asked_ns=now_ns,
        )
        self.facts.open[order.cloid] = order
        self.open_by_coin.setdefault(order.coin, {})[order.cloid] = order
        self._changed[order.cloid] = order
        return order

    def _ask(self, order: OwnOrder, question: Question, now_ns: int) -> None:
        self.version += 1
        order.question = question
        order.asked_ns = now_ns
        order.ask_count = order.ask_count + 1 if question is Question.LOOK_UP else 0

    def due_look_ups(self, now_ns: int) -> list[Command]:
        """Return the questions that are due about orders whose answer did not come."""
        due: list[Command] = []
        for order in self.facts.open.values():
            if order.question is Question.NONE and order.ending is None:
                continue
            gap = min(self._answer_ns << min(order.ask_count, 10), LOOK_UP_GAP_NS_MAX)
            if now_ns - order.asked_ns >= max(gap, self._answer_ns):
                self._ask(order, Question.LOOK_UP, now_ns)
                due.append(LookUpOrder(order.cloid, order.coin))
        return due

    def give_up_settling(self) -> list[OwnOrder]:
        """Close orders whose implied fills were asked for in vain; the report decides then."""
        given_up = [
            o
            for o in self.facts.open.values()
            if o.ending is not None and o.ask_count >= SETTLE_ASKS_MAX
        ]
        for order in given_up:
            self.version += 1
            assert order.ending is not None, "invariant: a settling order has its final word"
            self._close(order, order.ending, order.changed_ns, "fills never came")
        return given_up

    # --- what the venue said ----------------------------------------------------------------

    def on_updated(self, event: OrderUpdated, now_ns: int) -> OwnOrder | None:
        """Take the venue's word on one order; return it if it is ours and was open."""
        self.version += 1
        known = self._ours(event.cloid, event.oid)
        if known is None:
            self._on_foreign(event)
            return None
        order = self.facts.open.get(known.cloid)
        if order is None:
            return None
        if order.replaced_by and event.oid and order.oid and event.oid != order.oid:
            order = self.facts.open.get(order.replaced_by, order)
        if order.oid and event.oid and event.oid < order.oid:
            return None
        if order.replaces:
            self._on_replaced(order, now_ns)
        order.oid = event.oid or order.oid
        if event.status in (OrderStatus.WORKING, OrderStatus.IN_FLIGHT):
            self._on_working(order, event, now_ns)
            return order
        executed = self._executed_by(order, event)
        self._end(order, event.status, executed, now_ns, event.venue_status)
        return order

    def _end(
        self, order: OwnOrder, status: OrderStatus, executed: int, now_ns: int, detail: str
    ) -> None:
        """Close an order once all that it executed is here; until then it may change the position.

        ``executed`` of `UNKNOWN` is asked for if no message brings it soon.
        """
        if UNKNOWN < executed <= order.lots_filled or order.lots_filled >= order.lots:
            self._close(order, status, now_ns, detail)
            return
        if order.ending is None:
            wait_ns = 0
            if executed == UNKNOWN:
                wait_ns = self._answer_ns - self._answer_ns // SETTLE_SHARE
            order.question, order.asked_ns = Question.NONE, now_ns - wait_ns
            order.ask_count, order.lots_executed = 0, UNKNOWN
            self._touch(order, now_ns, detail)
        order.ending = status
        if executed != UNKNOWN:
            order.lots_executed = executed

    def _on_working(self, order: OwnOrder, event: OrderUpdated, now_ns: int) -> None:
        if order.ending is not None:
            return
        answers_us = order.question in (Question.PLACE, Question.LOOK_UP)
        if answers_us:
            order.question, order.ask_count = Question.NONE, 0
        if order.status is not OrderStatus.WORKING:
            order.status = OrderStatus.WORKING
            self._touch(order, now_ns, event.venue_status)

    def _on_replaced(self, new: OwnOrder, now_ns: int) -> None:
        """The replacement lives, so the order it replaced is gone."""
        old = self.facts.open.get(new.replaces)
        new.replaces = ""
        if old is not None and old.ending is None:
            self._end(old, OrderStatus.CANCELLED, UNKNOWN, now_ns, "replaced")

    def _executed_by(self, order: OwnOrder, event: OrderUpdated) -> int:
        """Return how many lots the final word says were executed, `UNKNOWN` if it does not."""
        if event.status is OrderStatus.REJECTED:
            return order.lots_filled
        if event.lots_left >= 0:
            return max(0, (event.lots_orig or order.lots) - event.lots_left)
        return order.lots if event.status is OrderStatus.FILLED else UNKNOWN

    def on_rejected(self, event: OrderRejected, now_ns: int) -> OwnOrder | None:
        """Close the order that the venue refused; ask what became of the one it was to replace."""
        self.version += 1
        order = self.facts.open.get(event.cloid)
        if order is not None and order.replaced_by:
            order = self.facts.open.get(order.replaced_by)
        if order is None:
            return None
        old = self.facts.open.get(order.replaces)
        if old is not None and old.ending is None:
            # A refused replacement can leave the old order gone as well (reference 8.5).
            old.replaced_by = ""
            self._ask(old, Question.MODIFY, now_ns - self._answer_ns)
        self._close(order, OrderStatus.REJECTED, now_ns, f"{event.code}: {event.venue_text}")
        return order

    def on_cancel_rejected(self, event: CancelRejected, now_ns: int) -> OwnOrder | None:
        """Ask what became of an order that could not be cancelled; usually it is gone."""
        self.version += 1
        order = self.facts.open.get(event.cloid)
        if order is None:
            return None
        if event.code is RejectionCode.ORDER_NOT_FOUND:
            self._ask(order, Question.CANCEL, now_ns - self._answer_ns)
        else:
            self._ask(order, Question.CANCEL, now_ns)
        return order

    def on_unanswered(self, event: OrderUnanswered, now_ns: int) -> OwnOrder | None:
        """Make the question due at once, for both orders of a modify."""
        self.version += 1
        order = self.facts.open.get(event.cloid)
        if order is None:
            return None
        for each in (order, self.facts.open.get(order.replaces or order.replaced_by)):
            if each is not None and each.question is not Question.NONE:
                each.asked_ns = now_ns - self._answer_ns
        order.detail = f"unanswered: {event.reason}"
        self._changed[order.cloid] = order
        return order

    def on_missing(self, event: OrderMissing, now_ns: int) -> OwnOrder | None:
        """Bury an order that the venue does not know, once its action cannot arrive any more."""
        self.version += 1
        order = self.facts.open.get(event.cloid)
        if order is None or order.ending is not None:
            return None
        if now_ns - order.sent_ns < self.dead_ns:
            # Ask again right after the action has expired; until then it may still arrive.
            order.asked_ns = order.sent_ns + self.dead_ns - self._answer_ns
            order.question, order.ask_count = Question.LOOK_UP, 0
            return None
        old = self.facts.open.get(order.replaces)
        if old is not None:
            old.replaced_by = ""
            self._ask(old, Question.MODIFY, now_ns - self._answer_ns)
        self._close(order, OrderStatus.EXPIRED, now_ns, "unknown to the venue")
        return order

    def on_fill(self, fill: Fill, now_ns: int) -> OwnOrder | None:
        """Count a fill towards its order; return the order if it is ours, open or closed."""
        self.version += 1
        order = self._ours(fill.cloid, fill.oid)
        if order is None:
            report = self.facts.foreign.get(str(fill.oid))
            if report is not None:
                self._shrink_foreign(report, fill.lots)
            return None
        order.lots_filled += fill.lots
        if order.cloid not in self.facts.open:
            self._changed[order.cloid] = order
            return order
        if order.replaces:
            self._on_replaced(order, now_ns)
        if order.lots_filled >= order.lots:
            self._close(order, OrderStatus.FILLED, now_ns, "")
        elif order.ending is not None and order.lots_filled >= order.lots_executed > UNKNOWN:
            self._close(order, order.ending, now_ns, order.detail)
        else:
            self._touch(order, now_ns, order.detail)
        return order

    def on_report(self, event: OpenOrdersReported, now_ns: int) -> list[OrderReport]:
        """Compare the venue's list of open orders with ours; question what does not agree.

        Returns
        -------
        list of OrderReport
            Orders that an engine placed for this account and that nobody here remembers. Whoever
            asked decides whether they are ours (`adopt`); until then they count as foreign.
        """
        self.version += 1
        report_ns = event.ts_exch_ns or now_ns
        listed = {row.cloid: row for row in event.orders if row.cloid}
        self.facts.foreign = {
            str(row.oid): row for row in event.orders if self.find(row.cloid) is None
        }
        for order in list(self.facts.open.values()):
            row = listed.get(order.cloid)
            if row is None:
                is_asked = order.question is Question.LOOK_UP or order.ending is not None
                if order.sent_ns <= report_ns and not is_asked:
                    self._ask(order, Question.MODIFY, now_ns - self._answer_ns)
            elif order.ending is None and not order.replaced_by:
                order.oid = row.oid
                if order.replaces:
                    self._on_replaced(order, now_ns)
                if order.question in (Question.PLACE, Question.LOOK_UP):
                    order.question, order.ask_count = Question.NONE, 0
                if order.status is OrderStatus.IN_FLIGHT:
                    order.status = OrderStatus.WORKING
                    self._touch(order, now_ns, "listed")
        for cloid, row in listed.items():
            self._revive(cloid, row, report_ns, now_ns)
        rows = self.facts.foreign.values()
        return [row for row in rows if is_engine_cloid(self._account, row.cloid)]

    def adopt(self, order: OwnOrder) -> None:
        """Take over an order that an earlier life of this account's engine left at the venue."""
        assert self.find(order.cloid) is None, f"invariant: not known yet, was {order.cloid}"
        self.version += 1
        self.facts.foreign.pop(str(order.oid), None)
        self.facts.open[order.cloid] = order
        self.open_by_coin.setdefault(order.coin, {})[order.cloid] = order
        self._touch(order, order.changed_ns, "left by an earlier session")

    def forget_times_after(self, now_ns: int) -> None:
        """Bring times that lie ahead back to now: the clock was set back between two sessions."""
        for order in self.facts.open.values():
            order.sent_ns = min(order.sent_ns, now_ns)
            order.asked_ns = min(order.asked_ns, now_ns)

    def _revive(self, cloid: str, row: OrderReport, report_ns: int, now_ns: int) -> None:
        """An order we believed gone is listed as open: believe the venue."""
        order = self.facts.closed.get(cloid)
        if order is None or order.changed_ns > report_ns or order.lots_filled >= order.lots:
            return
        del self.facts.closed[cloid]
        order.status, order.oid, order.ending = OrderStatus.WORKING, row.oid, None
        order.question, order.replaces, order.replaced_by = Question.NONE, "", ""
        self.facts.open[cloid] = order
        self.open_by_coin.setdefault(order.coin, {})[cloid] = order
        self._touch(order, now_ns, "still open at the venue")

    def _on_foreign(self, event: OrderUpdated) -> None:
        key = str(event.oid)
        if event.status is OrderStatus.WORKING and event.lots_orig:
            self.facts.foreign.setdefault(
                key,
                OrderReport(
                    coin=event.coin,
                    oid=event.oid,
                    cloid=event.cloid,
                    is_buy=event.is_buy,
                    px=event.px,
                    lots_orig=event.lots_orig,
                    lots_left=event.lots_left if event.lots_left >= 0 else event.lots_orig,
                    reduce_only=False,
                    trigger_px=0,
                    ts_exch_ns=event.ts_exch_ns,
                ),
            )
        elif event.status is not OrderStatus.WORKING:
            self.facts.foreign.pop(key, None)

    def _shrink_foreign(self, report: OrderReport, lots: int) -> None:
        key, left = str(report.oid), report.lots_left - lots
        if left > 0:
            self.facts.foreign[key] = msgspec.structs.replace(report, lots_left=left)
        else:
            del self.facts.foreign[key]

    def _touch(self, order: OwnOrder, now_ns: int, detail: str) -> None:
        order.changed_ns = now_ns
        order.detail = detail
        self._changed[order.cloid] = order

    def _close(self, order: OwnOrder, status: OrderStatus, now_ns: int, detail: str) -> None:
        order.status, order.question, order.ending = status, Question.NONE, None
        order.replaces = ""
        self._touch(order, now_ns, detail)
        del self.facts.open[order.cloid]
        del self.open_by_coin[order.coin][order.cloid]
        self.facts.closed[order.cloid] = order
        if len(self.facts.closed) > CLOSED_COUNT_MAX:
            del self.facts.closed[next(iter(self.facts.closed))]
