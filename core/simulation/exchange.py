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
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_spot_bases
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
from core.simulation.venue.agenda import Agenda, ScheduledCancels
from core.simulation.venue.agents import AgentBook
from core.simulation.venue.builders import BuilderBook
from core.simulation.venue.equity import EquityHistory
from core.simulation.venue.family import Family
from core.simulation.venue.funding import HourTurn, PremiumSamples
from core.simulation.venue.market_states import MarketStates
from core.simulation.venue.marks import MarkDesk
from core.simulation.venue.multi_sig import MultiSigBook
from core.simulation.venue.nonces import NonceBook
from core.simulation.venue.open_interest import open_interest_lots
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
    LiquidationOutput,
    OrderAnswer,
    OrderRequest,
    OrderSnapshot,
    OrderState,
    RateBudget,
    UserRole,
    VenueOutput,
)
from core.simulation.venue.perp import PERP
from core.simulation.venue.premium import RATE_E10
from core.simulation.venue.records import USDC_WEI_PER_MICRO, Token
from core.simulation.venue.referrals import ReferralBook
from core.simulation.venue.settings import VenueSettings
from core.simulation.venue.settlement import Settlement
from core.simulation.venue.spot import SpotDesk, SpotSettlement
from core.simulation.venue.state import VenueState, digest
from core.simulation.venue.transfers import Transfers
from core.simulation.venue.twap import TwapDesk
from core.simulation.venue.vaults import VaultDesk

_DEFAULT_SETTINGS = VenueSettings()
_Row = TypeVar("_Row", FundingOutput, LedgerOutput, LiquidationOutput)


class SimulatedExchange:
    """A venue of perpetuals and spot pairs with accounts, books, margin, funding and liquidation.

    Parameters
    ----------
    instruments : sequence of Instrument
        Perpetuals in the venue's asset order, then spot pairs, all quoted in USDC.
    settings : VenueSettings
        Rules and assumptions.
    start_ns : int
        First moment of venue time; funding is paid at every full UTC hour after it.
    spot_bases : mapping of str to Token or None
        Base token of each spot pair by coin; those of the recorded universe by default.

    Attributes
    ----------
    spot : SpotDesk
        Tokens, pairs and balances.
    transfers : Transfers
        Every movement of money that is no trade.
    family : Family
        Sub-accounts, and who may act for whom.
    vaults : VaultDesk
        Accounts led by one and owned by many.
    multi_sig : MultiSigBook
        Accounts for which several keys act.
    builders, referrals : BuilderBook, ReferralBook
        Who earns with an order, and who brought its owner.
    twaps : TwapDesk
        TWAP orders.
    market_states : MarketStates
        Post-only windows, halts, delistings, open-interest caps.
    equity : EquityHistory
        What accounts were worth over time.
    premiums : PremiumSamples
        Premiums and the funding rates they make.

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
        spot_bases: Mapping[str, Token] | None = None,
    ) -> None:
        bases = recorded_spot_bases() if spot_bases is None else spot_bases
        pairs = [i.coin for i in instruments if i.is_spot]
        unknown = [coin for coin in pairs if coin not in bases]
        assert not unknown, f"invariant: spot pairs have a base token, unknown {unknown}"
        spot = {coin: SpotSettlement(bases[coin]) for coin in pairs}
        settlements: dict[str, Settlement] = {i.coin: spot.get(i.coin, PERP) for i in instruments}
        self._state = VenueState(instruments, settings, start_ns, settlements)
        self.spot = SpotDesk(self._state, spot)
        self.transfers = Transfers(self._state, self.spot)
        self.family = Family(self._state)
        self.vaults = VaultDesk(self._state, self.family)
        self.builders = BuilderBook(self._state)
        self.referrals = ReferralBook(self._state)
        self.twaps = TwapDesk(self._state)
        self.market_states = MarketStates(self._state, self.twaps.end_coin)
        self.premiums = PremiumSamples(self._state)
        self.equity = EquityHistory(self._state, self.spot)
        self._marks = MarkDesk()
        self._agenda = Agenda(
            self._state,
            (
                ScheduledCancels(self._state),
                self.premiums,
                HourTurn(self._state, self.premiums, self.family),
                self.twaps,
                self.equity,
            ),
        )
        self._agents = AgentBook(settings)
        self._nonces = NonceBook(settings)
        self.multi_sig = MultiSigBook(self._state, self._agents)
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

        In this order: what falls due before the tick (`advance`), resting orders meet prints and
        quotes, mark and oracle change, triggers fire, margins are checked. A tick older than
        venue time is applied at venue time. A halted coin shows its tick and keeps its mark.
        """
        state = self._state
        if tick.ts_ns > state.now_ns:
            self.advance(tick.ts_ns)
        state.begin_action()
        book = state.books[tick.coin]
        book.oracle_px = tick.oracle_px
        self.market_states.note_oracle(book, tick.oracle_px)
        self.premiums.note(book, tick.funding_rate_1h)
        if book.is_halted:
            meeting.look_only(state, book, tick)
            return
        meeting.meet(state, book, tick)
        mark_px_before = book.mark_px
        if tick.mark_px is None:
            book.mark_px = self._marks.mark_px(book, tick, state.now_ns)
        else:
            book.mark_px = tick.mark_px
        if len(book.armed_below) or len(book.armed_above):
            triggers.fire_due(state, book)
        if book.holders:
            liquidation.check_holders(state, book, mark_px_before)

    def advance(self, now_ns: int) -> None:
        """Move time, doing what falls due: dead-man switches, premiums, funding, TWAP slices.

        Time never runs backwards; an earlier ``now_ns`` changes nothing.
        """
        self._agenda.advance(now_ns)

    def drain(self) -> list[VenueOutput]:
        """Return what happened since the last call, in order, and forget it."""
        outputs, self._state.outputs = self._state.outputs, []
        return outputs

    # --- accounts, agents, nonces, request budget -----------------------------------------

    def fund(self, address: str, usd_micro: int) -> None:
        """Deposit from outside, opening the account if there is none."""
        self.transfers.deposit(address, usd_micro)

    def withdraw(self, address: str, usd_micro: int) -> str | None:
        """Send money out; the fixed fee is part of the amount."""
        return self.transfers.withdraw(address, usd_micro)

    def transfer(self, source: str, destination: str, usd_micro: int) -> str | None:
        """Send USDC between the perpetuals sides of two accounts."""
        return self.transfers.usd_send(source, destination, usd_micro)

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
        count_max = self.settings.agents_named_max + 2 * len(self.family.members(master))
        return self._agents.approve(
            master, agent, name, valid_until_ns, self.now_ns, count_max=count_max
        )

    def resolve_signer(self, address: str) -> str | None:
        """Return whom a recovered signer acts for: itself, its master, or nobody.

        Sub-accounts and vaults have no key of their own.
        """
        if self.has_account(address):
            return address
        return self._agents.master_of(address, self.now_ns)

    def unknown_signer_text(self, address: str) -> str:
        """Return the venue's words for a signer that `resolve_signer` does not know."""
        return self._agents.unknown_text(address)

    def user_role(self, address: str) -> UserRole:
        """Tell what an address is."""
        if self.family.is_vault(address):
            return UserRole(role="vault")
        if address in self._state.masters:
            return UserRole(role="subAccount", master=self._state.masters[address])
        if self.has_account(address):
            return UserRole(role="user")
        master = self._agents.master_of(address, self.now_ns)
        return UserRole(role="missing") if master is None else UserRole(role="agent", master=master)

    def agents(self, owner: str) -> tuple[AgentRow, ...]:
        """Return an account's named agents."""
        return self._agents.rows(owner)

    def unnamed_agent(self, owner: str) -> AgentRow | None:
        """Return an account's agent without a name, which the venue's own page uses."""
        return self._agents.unnamed(owner)

    def use_nonce(self, signer: str, nonce: int) -> str | None:
        """Spend a signer's nonce (venue milliseconds)."""
        return self._nonces.use(signer, nonce, self.now_ns)

    def use_requests(self, owner: str, count: int, *, is_cancel: bool = False) -> str | None:
        """Charge the per-address request budget."""
        return controls.use_requests(self._state, owner, count, is_cancel=is_cancel)

    def reserve_requests(self, owner: str, weight: int, destination: str = "") -> str | None:
        """Buy requests from perpetuals cash, for the own budget or another account's."""
        return controls.reserve_requests(self._state, owner, weight, destination or owner)

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

    def top_up_isolated(self, owner: str, coin: str, leverage_text: str) -> str | None:
        """Add margin to an isolated position until its leverage falls to a target."""
        return controls.top_up_isolated(self._state, owner, coin, leverage_text)

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
        """Return deposits, withdrawals, transfers and seized margin, oldest first."""
        return self._between(self._account(owner).ledger, start_ns, end_ns)

    def liquidations(
        self, owner: str, start_ns: int = 0, end_ns: int | None = None
    ) -> tuple[LiquidationOutput, ...]:
        """Return the liquidations that began, oldest first."""
        return self._between(self._account(owner).liquidations, start_ns, end_ns)

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

    def touch(self, coin: str) -> tuple[tuple[int, int, int] | None, tuple[int, int, int] | None]:
        """Return best bid and ask as price, lots and number of orders; None for an empty side."""
        book = self._state.books[coin]
        return book.touch(is_buy=True), book.touch(is_buy=False)

    def local_orders_at(self, coin: str) -> dict[int, tuple[int, int]]:
        """Return how many local orders rest at each price, and their lots together."""
        return self._state.books[coin].local_at()

    def net_deposits_micro(self) -> int:
        """Return what came from outside and has not left again."""
        return self._state.deposits_micro - self._state.withdrawals_micro

    def mark_px(self, coin: str) -> int:
        """Return the mark price in price units, 0 before the first tick."""
        return self._state.books[coin].mark_px

    def oracle_px(self, coin: str) -> int:
        """Return the oracle price in price units, 0 before the first tick."""
        return self._state.books[coin].oracle_px

    def funding_rate_1h(self, coin: str) -> float:
        """Return the hourly funding rate in force or estimated, 0 before one is known."""
        return (self.premiums.rate_e10(coin) or 0) / RATE_E10

    def open_interest_lots(self, coin: str) -> int:
        """Return the sum of all long positions, what the outside holds against ours included."""
        return open_interest_lots(self._state.books[coin])

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
            requests_surplus=account.requests_bought,
            volume_micro=account.volume_micro,
        )

    def fee_rates(self, owner: str) -> FeeRates:
        """Return an account's fee rates and daily volumes."""
        account = self._account(owner)
        daily = sorted(account.daily_volume.items())
        return FeeRates(
            taker_rate_e8=account.taker_rate_e8,
            maker_rate_e8=account.maker_rate_e8,
            spot_taker_rate_e8=account.spot_taker_rate_e8,
            spot_maker_rate_e8=account.spot_maker_rate_e8,
            is_referred=account.is_referred,
            daily_volume_micro=tuple((day, *volumes) for day, volumes in daily),
        )

    # --- checks ---------------------------------------------------------------------------

    def conservation_error_micro(self) -> int:
        """Return USDC created or lost since the start, rounded away from 0: always 0."""
        error = self._state.usdc_error_wei()
        size = -(-abs(error) // USDC_WEI_PER_MICRO)
        return size if error >= 0 else -size

    def token_error_wei(self, token: int) -> int:
        """Return how much of a spot token was created or lost since the start: always 0."""
        return self._state.token_error_wei(token)

    def position_error_lots(self) -> int:
        """Return the sum over coins of unbalanced positions: always 0."""
        return sum(abs(self._state.position_error_lots(coin)) for coin in self._state.books)

    def state_hash(self) -> str:
        """Return a digest of all that decides the venue's future and its accounts' money."""
        parts = [self._state.canonical(), self._agents.canonical(), self._nonces.canonical()]
        parts += [self.premiums.canonical(), self._marks.canonical()]
        parts += [self.twaps.canonical(), self.market_states.canonical()]
        parts += [self.family.canonical(), self.vaults.canonical()]
        parts += [self.builders.canonical(), self.referrals.canonical()]
        parts.append(self.multi_sig.canonical())
        return digest(parts)

    def owners(self) -> tuple[str, ...]:
        """Return all addresses with an account, in order of opening."""
        return tuple(self._state.accounts)
