"""The simulated venue: one object, synchronous and deterministic, integers throughout.

Markets and time come in as ticks, requests as method calls; what happened is fetched with
`SimulatedExchange.drain`. It is the same venue in process (backtest, paper) and behind the wire
server, and knows neither JSON nor asyncio nor any strategy. Where the real venue is silent,
``settings`` says what is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from core.model.codes import Grouping
from core.model.events import AccountReported
from core.model.instrument import Instrument
from core.model.market import Level
from core.model.time import NS_PER_HOUR, utc_day
from core.simulation.market.ticks import MarketTick
from core.simulation.venue import (
    controls,
    liquidation,
    meeting,
    placement,
    reports,
    texts,
    triggers,
)
from core.simulation.venue.account import Account
from core.simulation.venue.agents import AgentBook
from core.simulation.venue.funding import RATE_E10, pay_funding, rate_e10_from
from core.simulation.venue.nonces import NonceBook
from core.simulation.venue.orders import Stage, snapshot
from core.simulation.venue.outputs import (
    AccountSummary,
    ActiveAsset,
    AgentRow,
    FeeRates,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    LeverageSetting,
    OrderAnswer,
    OrderRequest,
    OrderSnapshot,
    OrderState,
    RateBudget,
    UserRole,
    VenueOutput,
)
from core.simulation.venue.settings import VenueSettings
from core.simulation.venue.state import VenueState, digest

_DEFAULT_SETTINGS = VenueSettings()
_Row = TypeVar("_Row", FundingOutput, LedgerOutput)


class SimulatedExchange:
    """A perpetuals venue with accounts, books, margin, funding and liquidation.

    Parameters
    ----------
    instruments : sequence of Instrument
        Perpetuals, in the venue's asset order; spot is refused.
    settings : VenueSettings
        Rules and assumptions.
    start_ns : int
        First moment of venue time; funding is paid at every full UTC hour after it.

    Notes
    -----
    Methods that return ``str | None`` return the venue's error text, ``None`` for success.
    Addresses are lowercase. Queries of an address without an account answer as for an empty one.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: VenueSettings = _DEFAULT_SETTINGS,
        start_ns: int = 0,
    ) -> None:
        self._state = VenueState(instruments, settings, start_ns)
        self._agents = AgentBook(settings)
        self._nonces = NonceBook(settings)
        self._instruments = MappingProxyType({i.coin: i for i in instruments})

    @property
    def now_ns(self) -> int:
        """Venue time."""
        return self._state.now_ns

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Instruments by coin, in asset order."""
        return self._instruments

    @property
    def settings(self) -> VenueSettings:
        """Rules and assumptions in force."""
        return self._state.settings

    # --- market and time ------------------------------------------------------------------

    def apply_market(self, tick: MarketTick) -> None:
        """Move time and one coin's market on.

        In this order: what falls due before the tick (funding, dead-man switches), resting orders
        meet prints and quotes, mark and oracle change, triggers fire, margins are checked. A tick
        older than venue time is applied at venue time.
        """
        state = self._state
        if tick.ts_ns > state.now_ns:
            self.advance(tick.ts_ns)
        state.begin_action()
        book = state.books[tick.coin]
        meeting.meet(state, book, tick)
        mark_px_before = book.mark_px
        book.mark_px = tick.mark_px
        book.oracle_px = tick.oracle_px
        if tick.funding_rate_1h is not None:
            book.rate_e10 = rate_e10_from(tick.funding_rate_1h)
        if len(book.armed_below) or len(book.armed_above):
            triggers.fire_due(state, book)
        if book.holders:
            liquidation.check_holders(state, book, mark_px_before)

    def advance(self, now_ns: int) -> None:
        """Move time, doing what falls due: hourly funding, fee tiers, dead-man switches.

        Time never runs backwards; an earlier ``now_ns`` changes nothing.
        """
        state = self._state
        while True:
            cancel_ns = state.cancel_next_ns
            due_ns = state.hour_next_ns
            if cancel_ns is not None and cancel_ns < due_ns:
                due_ns = cancel_ns
            if due_ns > now_ns:
                break
            state.now_ns = max(state.now_ns, due_ns)
            if due_ns == cancel_ns:
                controls.fire_scheduled_cancels(state)
            if due_ns == state.hour_next_ns:
                self._turn_hour(now_ns)
        state.now_ns = max(state.now_ns, now_ns)

    def _turn_hour(self, until_ns: int) -> None:
        """Pay funding; at midnight UTC assess fee tiers. Hours without holders are skipped."""
        state = self._state
        state.begin_action()
        hour_ns = state.hour_next_ns
        state.hour_next_ns = hour_ns + NS_PER_HOUR
        if any(book.holders for book in state.books.values()):
            pay_funding(state)
        else:
            last_ns = until_ns if state.cancel_next_ns is None else state.cancel_next_ns
            skipped_ns = min(until_ns, last_ns) // NS_PER_HOUR * NS_PER_HOUR
            state.hour_next_ns = max(state.hour_next_ns, skipped_ns + NS_PER_HOUR)
        day = utc_day(state.hour_next_ns - NS_PER_HOUR)
        if day != utc_day(hour_ns - NS_PER_HOUR):
            for account in state.accounts.values():
                account.assess_fee_tier(day, state.settings)

    def drain(self) -> list[VenueOutput]:
        """Return what happened since the last call, in order, and forget it."""
        outputs, self._state.outputs = self._state.outputs, []
        return outputs

    # --- accounts, agents, nonces, request budget -----------------------------------------

    def fund(self, address: str, usd_micro: int) -> None:
        """Deposit from outside, opening the account if there is none."""
        controls.deposit(self._state, address, usd_micro)

    def withdraw(self, address: str, usd_micro: int) -> str | None:
        """Send money out; the fixed fee is part of the amount."""
        return controls.withdraw(self._state, address, usd_micro)

    def transfer(self, source: str, destination: str, usd_micro: int) -> str | None:
        """Move money between accounts."""
        return controls.transfer(self._state, source, destination, usd_micro)

    def has_account(self, address: str) -> bool:
        """Tell whether an address has ever deposited or received."""
        return address in self._state.accounts

    def set_fee_rates(self, owner: str, *, taker_rate_e8: int, maker_rate_e8: int) -> None:
        """Give an account its own rates until the next UTC day; a negative rate is a rebate."""
        account = self._state.accounts[owner]
        account.taker_rate_e8 = taker_rate_e8
        account.maker_rate_e8 = maker_rate_e8

    def approve_agent(
        self, master: str, agent: str, name: str = "", valid_until_ns: int | None = None
    ) -> str | None:
        """Approve a key that signs for ``master``; `AgentBook.approve` has the rules."""
        if not self.has_account(master):
            return texts.must_deposit(master)
        if self.has_account(agent):
            return texts.AGENT_USED
        return self._agents.approve(master, agent, name, valid_until_ns, self.now_ns)

    def resolve_signer(self, address: str) -> str | None:
        """Return whom a recovered signer acts for: itself, its master, or nobody."""
        if self.has_account(address):
            return address
        return self._agents.master_of(address, self.now_ns)

    def unknown_signer_text(self, address: str) -> str:
        """Return the venue's words for a signer that `resolve_signer` does not know."""
        return self._agents.unknown_text(address)

    def user_role(self, address: str) -> UserRole:
        """Tell what an address is."""
        if self.has_account(address):
            return UserRole(role="user")
        master = self._agents.master_of(address, self.now_ns)
        return UserRole(role="missing") if master is None else UserRole(role="agent", master=master)

    def agents(self, owner: str) -> tuple[AgentRow, ...]:
        """Return an account's named agents."""
        return self._agents.rows(owner)

    def use_nonce(self, signer: str, nonce: int) -> str | None:
        """Spend a signer's nonce (venue milliseconds)."""
        return self._nonces.use(signer, nonce, self.now_ns)

    def use_requests(self, owner: str, count: int, *, is_cancel: bool = False) -> str | None:
        """Charge the per-address request budget."""
        return controls.use_requests(self._state, owner, count, is_cancel=is_cancel)

    # --- trading --------------------------------------------------------------------------

    def place(
        self, owner: str, orders: Sequence[OrderRequest], grouping: Grouping = Grouping.NONE
    ) -> list[OrderAnswer]:
        """Place a batch: one answer per order, or a single error if the batch is malformed."""
        return placement.place(self._state, owner, orders, grouping)

    def cancel(self, owner: str, coin: str, oid: int) -> str | None:
        """Cancel an open order by the venue's id."""
        return placement.cancel(self._state, owner, coin, oid)

    def cancel_by_cloid(self, owner: str, coin: str, cloid: str) -> str | None:
        """Cancel the latest order with a client id."""
        return placement.cancel_by_cloid(self._state, owner, coin, cloid)

    def modify(
        self,
        owner: str,
        oid_or_cloid: int | str,
        request: OrderRequest,
        always_place: bool = False,
    ) -> OrderAnswer:
        """Cancel an order and place its replacement, which gets a new oid."""
        return placement.modify(
            self._state, owner, oid_or_cloid, request, always_place=always_place
        )

    def update_leverage(self, owner: str, coin: str, leverage: int, is_cross: bool) -> str | None:
        """Set a coin's leverage and margin mode."""
        return controls.update_leverage(self._state, owner, coin, leverage, is_cross=is_cross)

    def update_isolated_margin(self, owner: str, coin: str, usd_micro: int) -> str | None:
        """Move margin into (above 0) or out of an isolated position."""
        return controls.update_isolated_margin(self._state, owner, coin, usd_micro)

    def schedule_cancel(self, owner: str, time_ns: int | None) -> str | None:
        """Set (or clear, with None) when all the account's orders are cancelled."""
        return controls.schedule_cancel(self._state, owner, time_ns)

    # --- queries --------------------------------------------------------------------------

    def _account(self, owner: str) -> Account:
        """Return the account, or an empty one that is not kept."""
        state = self._state
        known = state.accounts.get(owner)
        return known or Account(owner, state.settings, state.leverage_defaults)

    def account_report(self, owner: str) -> AccountReported:
        """Return the account as the engine's event."""
        return reports.account_report(self._state, self._account(owner))

    def account_summary(self, owner: str) -> AccountSummary:
        """Return the account with every derived number of the venue's account state."""
        return reports.account_summary(self._state, self._account(owner))

    def active_asset(self, owner: str, coin: str) -> ActiveAsset:
        """Return a coin's leverage and what could be traded."""
        return reports.active_asset(self._state, self._account(owner), coin)

    def open_orders(self, owner: str) -> tuple[OrderSnapshot, ...]:
        """Return resting, armed and waiting orders, oldest first."""
        orders = self._account(owner).orders.values()
        return tuple(snapshot(order, self._instruments[order.coin]) for order in orders)

    def order_status(self, owner: str, oid_or_cloid: int | str) -> OrderState | None:
        """Return an order with its last status; None if it is unknown or forgotten."""
        if isinstance(oid_or_cloid, str):
            oid = self._account(owner).cloids.get(oid_or_cloid, 0)
        else:
            oid = oid_or_cloid
        order = self._state.orders.get(oid)
        if order is None or order.owner != owner:
            return None
        frozen = snapshot(order, self._instruments[order.coin])
        return OrderState(order=frozen, status=order.status, status_ns=order.status_ns)

    def historical_orders(self, owner: str) -> tuple[OrderState, ...]:
        """Return status changes, newest first; an order appears once per status it had."""
        return tuple(reversed(self._account(owner).history))

    def fills(
        self, owner: str, start_ns: int = 0, end_ns: int | None = None
    ) -> tuple[FillOutput, ...]:
        """Return fills from ``start_ns`` to ``end_ns`` (both included), oldest first."""
        last = self.now_ns if end_ns is None else end_ns
        rows = self._account(owner).fills
        return tuple(row for row in rows if start_ns <= row.fill.ts_exch_ns <= last)

    def funding_history(
        self, owner: str, start_ns: int = 0, end_ns: int | None = None
    ) -> tuple[FundingOutput, ...]:
        """Return funding payments in a time range, oldest first."""
        return self._between(self._account(owner).funding, start_ns, end_ns)

    def ledger(
        self, owner: str, start_ns: int = 0, end_ns: int | None = None
    ) -> tuple[LedgerOutput, ...]:
        """Return deposits, withdrawals, transfers and liquidations, oldest first."""
        return self._between(self._account(owner).ledger, start_ns, end_ns)

    def _between(self, rows: Iterable[_Row], start_ns: int, end_ns: int | None) -> tuple[_Row, ...]:
        """Return the rows of a time range, both ends included."""
        last = self.now_ns if end_ns is None else end_ns
        return tuple(row for row in rows if start_ns <= row.ts_ns <= last)

    def leverage(self, owner: str, coin: str) -> LeverageSetting:
        """Return a coin's leverage setting."""
        return self._account(owner).leverage[coin]

    def book(self, coin: str) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Return (bids, asks) as the public sees them, best first, local orders included."""
        return self._state.books[coin].merged()

    def mark_px(self, coin: str) -> int:
        """Return the mark price in price units, 0 before the first tick."""
        return self._state.books[coin].mark_px

    def oracle_px(self, coin: str) -> int:
        """Return the oracle price in price units, 0 before the first tick."""
        return self._state.books[coin].oracle_px

    def funding_rate_1h(self, coin: str) -> float:
        """Return the hourly funding rate in force, 0 before one is known."""
        return (self._state.books[coin].rate_e10 or 0) / RATE_E10

    def open_interest_lots(self, coin: str) -> int:
        """Return the long lots of all local accounts and the liquidator."""
        holders = self._state.books[coin].holders.values()
        return sum(max(0, account.lots(coin)) for account in holders)

    def lots_ahead(self, oid: int) -> int | None:
        """Return the outside lots before a resting order; None if unknown or not resting."""
        order = self._state.orders.get(oid)
        if order is None or order.stage is not Stage.RESTING or order.lots_ahead < 0:
            return None
        return order.lots_ahead

    def rate_budget(self, owner: str) -> RateBudget:
        """Return the address's request budget."""
        account = self._account(owner)
        return RateBudget(
            requests_used=account.requests_used,
            requests_cap=controls.requests_cap(self._state, account),
            volume_micro=account.volume_micro,
        )

    def fee_rates(self, owner: str) -> FeeRates:
        """Return an account's fee rates and daily volumes."""
        account = self._account(owner)
        daily = sorted(account.daily_volume.items())
        return FeeRates(
            taker_rate_e8=account.taker_rate_e8,
            maker_rate_e8=account.maker_rate_e8,
            daily_volume_micro=tuple((day, *volumes) for day, volumes in daily),
        )

    # --- checks ---------------------------------------------------------------------------

    def conservation_error_micro(self) -> int:
        """Return money created or lost since the start: always 0."""
        return self._state.conservation_error_micro()

    def position_error_lots(self) -> int:
        """Return the sum over coins of unbalanced positions: always 0."""
        return sum(abs(self._state.position_error_lots(coin)) for coin in self._state.books)

    def state_hash(self) -> str:
        """Return a digest of all that decides the venue's future and its accounts' money."""
        parts = [self._state.canonical(), self._agents.canonical(), self._nonces.canonical()]
        return digest(parts)

    def owners(self) -> tuple[str, ...]:
        """Return all addresses with an account, in order of opening."""
        return tuple(self._state.accounts)
