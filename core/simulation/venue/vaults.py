"""Vaults: accounts that one leads and many own, in shares.

Money that goes in buys shares at the vault's equity, money that comes out sells them; what
rounding leaves stays in the vault, so nobody is ever paid more than his part. A vault's equity is
its perpetuals side at mark. Sources: reference sections 7.4, 9 and 10.3; venue documentation,
Vaults: the leader keeps at least 5 %, deposits are locked for a day, the leader takes 10 % of a
depositor's profit when he leaves, positions are closed in part where margin asks for it.
"""

from __future__ import annotations

import msgspec

from core.model.codes import Tif
from core.model.instrument import MICRO_PER_USDC
from core.model.time import NS_PER_DAY
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.controls import free_to_leave_micro
from core.simulation.venue.family import Family, derived_address
from core.simulation.venue.lifecycle import cancel_all
from core.simulation.venue.margin import cross_margin, isolated_margin_micro
from core.simulation.venue.matching import execute
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import VaultMove, VenueStatus
from core.simulation.venue.records import VaultFollower, VaultView, VenueRefusal
from core.simulation.venue.state import VenueState
from core.simulation.venue.transfers import move_cash

NAME_LENGTHS = range(3, 51)
DESCRIPTION_LENGTHS = range(10, 251)
"""Lengths that the TypeScript client ``@nktkas/hyperliquid`` allows."""
INITIAL_MICRO_MIN = 100 * MICRO_PER_USDC
LOCK_NS = NS_PER_DAY
LEADER_PERCENT_MIN = 5
COMMISSION_PERCENT = 10


class _Stake(msgspec.Struct, eq=False):
    """One depositor: his shares, what they cost him, and since when.

    The cost falls by what is distributed to him, also below 0.
    """

    shares: int = 0
    cost_micro: int = 0
    entered_ns: int = 0
    locked_until_ns: int = 0


class _Vault(msgspec.Struct, eq=False):
    """A vault's constitution and register of shares; its money is its account's."""

    address: str
    name: str
    description: str
    leader: str
    created_ns: int
    stakes: dict[str, _Stake]
    is_closed: bool = False
    allows_deposits: bool = True
    closes_on_withdraw: bool = False

    @property
    def shares(self) -> int:
        """All shares."""
        return sum(stake.shares for stake in self.stakes.values())


class VaultDesk:
    """Opens vaults and moves money in and out of them; methods return the venue's error text."""

    def __init__(self, state: VenueState, family: Family) -> None:
        self._state = state
        self._family = family
        self._vaults: dict[str, _Vault] = {}

    # --- what a client may ask ----------------------------------------------------------------

    def create(
        self, leader: str, name: str, description: str, usd_micro: int
    ) -> str | VenueRefusal:
        """Open a vault with the leader's first deposit; return its address."""
        state = self._state
        account = state.accounts.get(leader)
        if account is None:
            return VenueRefusal(texts.must_deposit(leader))
        fits = len(name) in NAME_LENGTHS and len(description) in DESCRIPTION_LENGTHS
        is_taken = any(vault.name == name for vault in self._vaults.values())
        if not fits or is_taken or leader in state.masters:
            return VenueRefusal(texts.VAULT_INVALID)
        if usd_micro < INITIAL_MICRO_MIN:
            return VenueRefusal(texts.VAULT_SMALL)
        if usd_micro > free_to_leave_micro(state, account):
            return VenueRefusal(texts.VAULT_CREATE_SHORT)
        state.begin_action()
        address = derived_address("vault", leader, str(len(self._vaults)))
        vault = _Vault(address, name, description, leader, state.now_ns, {})
        self._vaults[address] = vault
        self._family.lead(address, leader)
        state.open_account(address)
        self._put_in(vault, account, usd_micro, usd_micro, "vaultCreate")
        return address

    def deposit(self, user: str, address: str, usd_micro: int) -> str | None:
        """Buy shares of a vault at its equity."""
        vault, account = self._vaults.get(address), self._state.accounts.get(user)
        if vault is None or account is None:
            return texts.vault_unknown(address)
        if vault.is_closed or not (vault.allows_deposits or user == vault.leader):
            return texts.VAULT_CLOSED
        equity, shares = self._equity_micro(vault), vault.shares
        minted = usd_micro * shares // equity if equity > 0 else 0
        if minted <= 0:
            return texts.VAULT_INVALID
        if usd_micro > free_to_leave_micro(self._state, account):
            return texts.WITHDRAWAL_SHORT
        leader_shares = vault.stakes[vault.leader].shares + (minted if user == vault.leader else 0)
        if leader_shares * 100 < (shares + minted) * LEADER_PERCENT_MIN:
            return texts.VAULT_LEADER_SHARE
        self._state.begin_action()
        self._put_in(vault, account, usd_micro, minted, "vaultDeposit")
        return None

    def withdraw(self, user: str, address: str, usd_micro: int) -> str | None:
        """Sell shares of a vault at its equity; the leader's commission is taken from profit.

        Where too little margin is free, or the leader has asked for it, orders are cancelled and
        the leaving part of every position is closed at market; the leaver bears what that costs.
        If the market does not take enough of it, the answer is a refusal and what was closed
        stays closed.
        """
        state, vault = self._state, self._vaults.get(address)
        if vault is None:
            return texts.vault_unknown(address)
        equity = self._equity_micro(vault)
        burnt = -(-usd_micro * vault.shares // equity) if equity > 0 else 0
        text = self._withdrawal_refusal(vault, user, burnt)
        if text is not None:
            return text
        state.begin_action()
        closing_cost = self._make_room(vault, usd_micro, burnt)
        free = free_to_leave_micro(state, state.accounts[address])
        if not 0 < usd_micro - closing_cost <= free:
            return texts.WITHDRAWAL_SHORT
        self._take_out(vault, user, burnt, usd_micro, closing_cost, kind="vaultWithdraw")
        return None

    def _withdrawal_refusal(self, vault: _Vault, user: str, burnt: int) -> str | None:
        """Return why a user may not sell so many shares."""
        stake = vault.stakes.get(user)
        if stake is None:
            return texts.WITHDRAWAL_SHORT
        if self._state.now_ns < stake.locked_until_ns:
            return texts.VAULT_LOCKED
        if not 0 < burnt <= stake.shares:
            return texts.WITHDRAWAL_SHORT
        if user == vault.leader:
            left = (stake.shares - burnt) * 100
            if left < (vault.shares - burnt) * LEADER_PERCENT_MIN:
                return texts.VAULT_LEADER_SHARE
        return None

    def configure(
        self,
        leader: str,
        address: str,
        allows_deposits: bool | None,
        closes_on_withdraw: bool | None,
    ) -> str | None:
        """Change a vault's settings; None leaves one as it is."""
        vault = self._led(leader, address)
        if vault is None:
            return texts.vault_unknown(address)
        if allows_deposits is not None:
            vault.allows_deposits = allows_deposits
        if closes_on_withdraw is not None:
            vault.closes_on_withdraw = closes_on_withdraw
        return None

    def distribute(self, leader: str, address: str, usd_micro: int) -> str | None:
        """Pay all owners by their shares; 0 pays everything out and closes the vault."""
        state, vault = self._state, self._led(leader, address)
        if vault is None:
            return texts.vault_unknown(address)
        account = state.accounts[address]
        if usd_micro == 0:
            return self._close(vault, account)
        if vault.is_closed or not 0 < usd_micro <= free_to_leave_micro(state, account):
            return texts.WITHDRAWAL_SHORT
        state.begin_action()
        shares = vault.shares
        for user, stake in vault.stakes.items():
            part = usd_micro * stake.shares // shares
            stake.cost_micro -= part
            self._move(vault, user, part, "vaultDistribution", VaultMove(address, user))
        return None

    def _close(self, vault: _Vault, account: Account) -> str | None:
        """Pay every owner out, as if each left with all his shares, and end the vault."""
        if account.positions or account.orders:
            return texts.VAULT_NOT_FLAT
        self._state.begin_action()
        vault.is_closed = True
        cash_micro, shares = max(0, account.cash_micro), vault.shares
        for user, stake in tuple(vault.stakes.items()):
            part = cash_micro * stake.shares // shares
            self._take_out(vault, user, stake.shares, part, 0, kind="vaultDistribution")
        return None

    # --- what anybody may see -----------------------------------------------------------------

    def view(self, address: str) -> VaultView | None:
        """Return a vault, its leader first among the followers; None if there is none."""
        vault = self._vaults.get(address)
        if vault is None:
            return None
        equity, shares = self._equity_micro(vault), vault.shares
        return VaultView(
            address=address,
            name=vault.name,
            description=vault.description,
            leader=vault.leader,
            created_ns=vault.created_ns,
            is_closed=vault.is_closed,
            allows_deposits=vault.allows_deposits,
            closes_on_withdraw=vault.closes_on_withdraw,
            equity_micro=equity,
            followers=tuple(
                VaultFollower(
                    user=user,
                    equity_micro=equity * stake.shares // shares if shares else 0,
                    deposited_micro=stake.cost_micro,
                    entered_ns=stake.entered_ns,
                    locked_until_ns=stake.locked_until_ns,
                )
                for user, stake in vault.stakes.items()
            ),
        )

    def of_user(self, user: str) -> tuple[tuple[VaultView, VaultFollower], ...]:
        """Return the vaults a user owns a part of, with that part."""
        found = []
        for view in self.all():
            part = next((f for f in view.followers if f.user == user), None)
            if part is not None:
                found.append((view, part))
        return tuple(found)

    def led_by(self, user: str) -> tuple[VaultView, ...]:
        """Return the vaults a user leads."""
        return tuple(view for view in self.all() if view.leader == user)

    def all(self) -> tuple[VaultView, ...]:
        """Return every vault, oldest first."""
        views = (self.view(address) for address in self._vaults)
        return tuple(view for view in views if view is not None)

    def canonical(self) -> list[object]:
        """Return all registers as plain lists; shares as text, since they outgrow 64 bits.

        A vault that lost nearly everything sells what it is still worth in many small shares.
        """
        return [
            [
                *(v.address, v.leader, v.is_closed, v.allows_deposits, v.closes_on_withdraw),
                [
                    [user, str(s.shares), s.cost_micro, s.entered_ns, s.locked_until_ns]
                    for user, s in v.stakes.items()
                ],
            ]
            for v in self._vaults.values()
        ]

    # --- inside -------------------------------------------------------------------------------

    def _led(self, leader: str, address: str) -> _Vault | None:
        vault = self._vaults.get(address)
        return vault if vault is not None and vault.leader == leader else None

    def _equity_micro(self, vault: _Vault) -> int:
        """Return a vault's whole value at mark, isolated margin included."""
        account = self._state.accounts[vault.address]
        books = self._state.books
        isolated = sum(
            isolated_margin_micro(p, books[p.coin].mark_px)
            for p in account.positions.values()
            if not p.is_cross
        )
        return cross_margin(account, books).value_micro + isolated

    def _put_in(
        self, vault: _Vault, account: Account, usd_micro: int, shares: int, kind: str
    ) -> None:
        state = self._state
        move = VaultMove(vault.address, account.address)
        move_cash(state, account, kind, -usd_micro, vault=move)
        move_cash(state, state.accounts[vault.address], kind, usd_micro, vault=move)
        stake = vault.stakes.setdefault(account.address, _Stake(entered_ns=state.now_ns))
        stake.shares += shares
        stake.cost_micro += usd_micro
        stake.locked_until_ns = state.now_ns + LOCK_NS

    def _take_out(
        self,
        vault: _Vault,
        user: str,
        burnt: int,
        usd_micro: int,
        closing_cost: int,
        *,
        kind: str,
    ) -> None:
        """Burn shares and pay for them, the leader's commission apart."""
        stake = vault.stakes[user]
        cost = stake.cost_micro * burnt // stake.shares
        paid = usd_micro - closing_cost
        profit = max(0, paid - cost) if user != vault.leader else 0
        commission = profit * COMMISSION_PERCENT // 100
        stake.shares -= burnt
        stake.cost_micro -= cost
        if stake.shares == 0:
            del vault.stakes[user]
        move = VaultMove(
            vault.address,
            user,
            requested_micro=usd_micro,
            commission_micro=commission,
            closing_cost_micro=closing_cost,
            basis_micro=cost,
        )
        self._move(vault, user, paid - commission, kind, move)
        leader = VaultMove(vault.address, vault.leader)
        self._move(vault, vault.leader, commission, "vaultLeaderCommission", leader)

    def _move(self, vault: _Vault, user: str, usd_micro: int, kind: str, move: VaultMove) -> None:
        """Pay from a vault to a user."""
        if usd_micro == 0:
            return
        state = self._state
        move_cash(state, state.accounts[vault.address], kind, -usd_micro, vault=move)
        move_cash(state, state.accounts[user], kind, usd_micro, vault=move)

    def _make_room(self, vault: _Vault, usd_micro: int, burnt: int) -> int:
        """Free margin for a withdrawal if it needs any; return what closing cost at mark."""
        state, account = self._state, self._state.accounts[vault.address]
        if usd_micro > free_to_leave_micro(state, account):
            status = VenueStatus.VAULT_WITHDRAWAL_CANCELED
            cancel_all(state, vault.address, status, is_margined_only=True)
        if usd_micro > free_to_leave_micro(state, account) or vault.closes_on_withdraw:
            return self._close_part(vault, account, burnt)
        return 0

    def _close_part(self, vault: _Vault, account: Account, burnt: int) -> int:
        """Close the leaving part of every position at market; return what that cost at mark."""
        state, shares = self._state, vault.shares
        before = self._equity_micro(vault)
        for position in tuple(account.positions.values()):
            book = state.books[position.coin]
            if book.is_halted or state.is_post_only:
                continue
            lots = -(-abs(position.lots) * burnt // shares)
            order = Order(
                owner=account.address,
                coin=position.coin,
                oid=state.new_oid(),
                cloid=None,
                is_buy=position.lots < 0,
                px=book.mark_px * 2 if position.lots < 0 else 1,
                lots_orig=lots,
                lots_left=lots,
                reduce_only=True,
                tif=Tif.IOC,
                tif_text="FrontendMarket",
                trigger=None,
                is_position_tpsl=False,
                placed_ns=state.now_ns,
            )
            state.add_order(order)
            execute(state, book, order)
        return max(0, before - self._equity_micro(vault))
