"""What the engine may do at all: links, agreement with the venue, the operator, the limits.

Keeps the trading state up to date and says why it is what it is; asks the venue for reports until
its account and ours agree. Decides nothing about single coins.
"""

from __future__ import annotations

from core.engines.account_state import Agreement
from core.engines.context import Context
from core.engines.strangers import Strangers
from core.model.codes import TradingState
from core.model.commands import ReportAccount
from core.model.events import AccountReported, LinkChanged, OpenOrdersReported
from core.model.time import NS_PER_MIN, NS_PER_S, ns_from_seconds

REPORT_GAP_NS = 15 * NS_PER_S
"""Least time between two questions for the account; a report may take some seconds."""
FILLS_BACK_NS = 10 * NS_PER_MIN
"""How far before the last known fill the venue is asked for fills: they may arrive late."""
PRICES_WAIT_NS = 60 * NS_PER_S
"""How long after the start the account is not judged while a position has no price."""
LINKS_NEEDED = ("market", "user")


class Supervisor:
    """Keep the trading state."""

    def __init__(self, context: Context, strangers: Strangers) -> None:
        self._context = context
        self._strangers = strangers

    # --- agreement with the venue -----------------------------------------------------------

    def on_link(self, event: LinkChanged) -> None:
        """Follow a channel; after a break the account has to agree anew."""
        facts = self._context.facts
        was_up = facts.links.get(event.channel)
        facts.links[event.channel] = event.is_up
        if was_up is not None and was_up is not event.is_up:
            word = "up" if event.is_up else "down"
            level = "info" if event.is_up else "warning"
            self._context.alert(level, f"link_{word}", f"{event.channel} {event.detail}".strip())
        if event.channel == "user" and event.is_up and not was_up:
            facts.account_agreed = facts.orders_agreed = False
            facts.report_asked_ns = facts.now_ns
        self.refresh()

    def on_account(self, report: AccountReported) -> None:
        """Compare the account, adopt what has to be, and ask again while they differ."""
        context = self._context
        was_adopted = context.account.facts.is_adopted
        was_agreed = context.facts.account_agreed
        lots_before = {coin: context.account.lots(coin) for coin in context.desks}
        agreement, detail = context.account.reconcile(
            report, context.tokens.instruments, context.facts.now_ns
        )
        for coin, lots in lots_before.items():
            if lots and lots * context.account.lots(coin) <= 0:
                context.desks[coin].forget_position()
        if agreement in (Agreement.ADOPTED_FIRST, Agreement.EQUAL):
            context.facts.account_agreed = True
        elif agreement is Agreement.OUTDATED:
            if not context.facts.account_agreed:
                self.ask_report()
        elif agreement is Agreement.DIFFERS:
            # Fills may be on their way: one look is no reason to stop what was in agreement.
            self.ask_report()
            context.alert("info" if was_agreed else "warning", "account_differs", detail)
        else:
            context.facts.account_agreed = False
            self.ask_report()
            context.alert("error", "account_adopted", detail)
        for row in report.positions:
            desk = context.desks.get(row.coin)
            if desk is not None and desk.is_traded:
                desk.leverage_set = row.leverage
        self._strangers.note_positions()
        self._note_agreement()
        if not was_adopted:
            context.sample_equity()
        if not (was_agreed and agreement is Agreement.EQUAL):
            context.touch_all()
            self.watch()

    def on_open_orders(self, report: OpenOrdersReported) -> None:
        """Compare open orders; those that do not agree are looked up one by one."""
        orders, was_agreed = self._context.orders, self._context.facts.orders_agreed
        known = set(orders.facts.foreign)
        marked = orders.on_report(report, self._context.facts.now_ns)
        self._strangers.claim(marked, known)
        new = [
            row
            for key, row in orders.facts.foreign.items()
            if key not in known and row not in marked
        ]
        self._strangers.note_orders(new)
        self._context.facts.orders_agreed = True
        if was_agreed and not (marked or new):
            return
        self._note_agreement()
        self._context.touch_all()
        self.refresh()

    def _note_agreement(self) -> None:
        facts = self._context.facts
        facts.is_reconciled |= facts.account_agreed and facts.orders_agreed

    def doubt(self) -> None:
        """Ask for a report because something did not fit; entries stop until it agrees."""
        self._context.facts.account_agreed = False
        self.ask_report()
        self.refresh()

    def ask_report(self) -> None:
        """Ask for account, open orders and recent fills."""
        context, facts = self._context, self._context.facts
        facts.report_asked_ns = facts.now_ns
        since_ns = max(0, (context.account.facts.fill_ns or facts.now_ns) - FILLS_BACK_NS)
        context.command(ReportAccount(since_ns))

    def ask_again(self) -> None:
        """Compare again while links are up: often until all agrees, from time to time then."""
        facts = self._context.facts
        has_agreed = facts.account_agreed and facts.orders_agreed
        every_ns = ns_from_seconds(self._context.trading.reconcile_seconds)
        wait_ns = every_ns if has_agreed else REPORT_GAP_NS
        is_waiting = facts.now_ns - facts.report_asked_ns < wait_ns
        if self._links_down() or is_waiting or not facts.is_started or facts.is_ended:
            return
        self.ask_report()

    # --- the trading state ------------------------------------------------------------------

    def watch(self) -> None:
        """Judge the account at the prices of now, and follow with the trading state."""
        context = self._context
        if self._can_judge():
            had_emergency = bool(context.risk.state.emergency)
            equity_micro, facts = context.equity_micro(), context.facts
            if facts.moved_micro:
                context.risk.money_moved(facts.moved_micro, equity_micro)
                facts.moved_micro = 0
            context.risk.judge(equity_micro, facts.now_ns)
            if context.risk.state.emergency and not had_emergency:
                context.alert("error", "emergency_shutdown", context.risk.state.emergency)
        self.refresh()

    def _can_judge(self) -> bool:
        """Tell whether equity can be believed: known to the venue too, and at prices of now.

        Judged on what an earlier session knew, or on positions at their cost, a loss since then
        would raise the peak first and look like a sudden fall from it afterwards.
        """
        context, facts = self._context, self._context.facts
        if not context.account.facts.is_adopted or not facts.is_reconciled:
            return False
        if facts.now_ns - facts.started_ns > PRICES_WAIT_NS:
            return True
        held = context.account.positions
        return all(context.value_px(coin) for coin in held)

    def refresh(self) -> None:
        """Work out the trading state; on a change say so and look at every coin again."""
        context, facts = self._context, self._context.facts
        state, reason = self._state()
        is_emergency = bool(context.risk.state.emergency)
        if is_emergency and not facts.is_flattening:
            facts.is_flattening = True
            context.touch_all()
        if state is not facts.trading_state:
            level = "info" if state is TradingState.ACTIVE else "warning"
            context.alert(level, "trading_state", f"{facts.trading_state} to {state}: {reason}")
            context.touch_all()
        facts.trading_state, facts.state_reason = state, reason

    def _state(self) -> tuple[TradingState, str]:
        """Return the state and its reason; the gravest comes first."""
        context, facts = self._context, self._context.facts
        if facts.is_ended:
            return TradingState.HALTED, "the session has ended"
        if context.risk.state.emergency:
            return TradingState.HALTED, f"emergency: {context.risk.state.emergency}"
        if facts.hold is TradingState.HALTED:
            return TradingState.HALTED, facts.hold_reason
        missing = self._missing()
        if missing:
            return TradingState.HALTED, f"waiting for {missing}"
        if facts.hold is TradingState.REDUCING:
            return TradingState.REDUCING, facts.hold_reason
        if context.risk.state.is_day_stopped:
            return TradingState.REDUCING, "the day's loss reached its limit; until UTC midnight"
        return TradingState.ACTIVE, "all is well"

    def _missing(self) -> str:
        facts = self._context.facts
        if not self._context.tokens.instruments:
            return "instruments"
        down = self._links_down()
        if down:
            return f"the {down} link"
        if not self._context.account.facts.is_adopted or not facts.account_agreed:
            return "the venue's account report to agree"
        if not facts.orders_agreed:
            return "the venue's list of open orders"
        return ""

    def _links_down(self) -> str:
        links = self._context.facts.links
        return next((name for name in LINKS_NEEDED if not links.get(name, False)), "")
