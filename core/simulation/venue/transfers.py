"""Every movement of money that is no trade: in, out, between accounts, between perps and spot.

It asks margin and open spot orders what may leave, and writes the ledger rows of both ends. It
knows no amounts as text and no signatures. Sources: reference sections 7.4 to 7.7 and 15.1,
recorded ledger rows.
"""

from __future__ import annotations

from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.controls import free_to_leave_micro
from core.simulation.venue.outputs import AssetMove, LedgerOutput, VaultMove
from core.simulation.venue.records import USDC, USDC_WEI_PER_MICRO, Token
from core.simulation.venue.spot import SPOT_DEX, SpotDesk
from core.simulation.venue.state import VenueState

PERP_DEX = ""
"""The first perpetuals exchange, as ``sendAsset`` names it."""


class Transfers:
    """Moves money by the venue's rules; each method returns its error text, or None when done.

    A transfer that opens an account costs its sender the activation fee on top, in USDC of the
    side it leaves from (recorded: 10.5 sent, 11.5 gone).
    """

    def __init__(self, state: VenueState, spot: SpotDesk) -> None:
        self._state = state
        self._spot = spot

    # --- from and to the outside --------------------------------------------------------------

    def deposit(self, owner: str, usd_micro: int) -> None:
        """Credit an account's perpetuals side from outside, opening it if there is none."""
        assert usd_micro > 0, f"invariant: a deposit should be above 0, was {usd_micro}"
        state = self._state
        state.begin_action()
        state.deposits_micro += usd_micro
        move_cash(state, state.open_account(owner), "deposit", usd_micro)

    def withdraw(self, owner: str, usd_micro: int) -> str | None:
        """Send money out (``withdraw3``); the venue's fee is part of the amount."""
        state = self._state
        account = state.accounts.get(owner)
        fee = state.settings.withdraw_fee_micro
        if account is None:
            return texts.must_deposit(owner)
        if not fee < usd_micro <= free_to_leave_micro(state, account):
            return texts.WITHDRAWAL_SHORT
        state.begin_action()
        state.withdrawals_micro += usd_micro - fee
        state.fees_micro += fee
        move_cash(state, account, "withdraw", -usd_micro, fee_micro=fee)
        return None

    # --- perpetuals side ----------------------------------------------------------------------

    def usd_send(self, owner: str, destination: str, usd_micro: int) -> str | None:
        """Send USDC from perpetuals side to perpetuals side (``usdSend``)."""
        state = self._state
        account = state.accounts.get(owner)
        if account is None:
            return texts.must_deposit(owner)
        fee = self._activation_fee_micro(destination)
        short = usd_micro <= 0 or usd_micro + fee > free_to_leave_micro(state, account)
        if short or owner == destination:
            return texts.WITHDRAWAL_SHORT
        state.begin_action()
        state.fees_micro += fee
        receiver = state.open_account(destination)
        self._move_between(account, receiver, "internalTransfer", usd_micro, fee)
        return None

    def sub_transfer(self, master: str, sub: str, usd_micro: int, is_deposit: bool) -> str | None:
        """Move USDC between the perpetuals sides of a master and its sub-account."""
        state = self._state
        source, destination = (master, sub) if is_deposit else (sub, master)
        if state.masters.get(sub) != master:
            return texts.sub_transfer_invalid(source, destination)
        account = state.accounts[source]
        if not 0 < usd_micro <= free_to_leave_micro(state, account):
            return texts.WITHDRAWAL_SHORT
        state.begin_action()
        receiver = state.accounts[destination]
        self._move_between(account, receiver, "subAccountTransfer", usd_micro)
        return None

    def _move_between(
        self, account: Account, receiver: Account, kind: str, usd_micro: int, fee_micro: int = 0
    ) -> None:
        """Book both ends of a transfer between perpetuals sides."""
        state = self._state
        move_cash(
            state,
            account,
            kind,
            -usd_micro - fee_micro,
            fee_micro=fee_micro,
            counterparty=receiver.address,
        )
        move_cash(
            state,
            receiver,
            kind,
            usd_micro,
            fee_micro=fee_micro,
            counterparty=account.address,
        )

    # --- between the sides --------------------------------------------------------------------

    def class_transfer(
        self, owner: str, usd_micro: int, to_perp: bool, sub_account: str = ""
    ) -> str | None:
        """Move USDC between an account's perpetuals and spot sides (``usdClassTransfer``).

        Parameters
        ----------
        sub_account : str
            The sub-account whose money moves, where the amount reads ``1.5 subaccount:0x..``.
        """
        state = self._state
        account, text = self._source_account(owner, sub_account)
        if account is None:
            return text
        wei = usd_micro * USDC_WEI_PER_MICRO
        if to_perp:
            is_short = wei > self._spot.free_wei(account.address, USDC)
        else:
            is_short = usd_micro > free_to_leave_micro(state, account)
        if usd_micro <= 0 or is_short:
            return texts.WITHDRAWAL_SHORT
        state.begin_action()
        if to_perp:
            account.take_token(USDC, wei)
        else:
            account.add_token(USDC, wei)
        kind = "accountClassTransfer"
        move_cash(state, account, kind, usd_micro if to_perp else -usd_micro)
        return None

    # --- tokens -------------------------------------------------------------------------------

    def spot_send(self, owner: str, destination: str, token: Token, amount_wei: int) -> str | None:
        """Send a token from spot balance to spot balance (``spotSend``)."""
        account = self._state.accounts.get(owner)
        if account is None:
            return texts.must_deposit(owner)
        return self._send(account, destination, SPOT_DEX, SPOT_DEX, token, amount_wei)

    def sub_spot_transfer(
        self, master: str, sub: str, token: Token, amount_wei: int, is_deposit: bool
    ) -> str | None:
        """Move a token between the spot balances of a master and its sub-account."""
        state = self._state
        source, destination = (master, sub) if is_deposit else (sub, master)
        if state.masters.get(sub) != master:
            return texts.sub_transfer_invalid(source, destination)
        account = state.accounts[source]
        return self._send(account, destination, SPOT_DEX, SPOT_DEX, token, amount_wei)

    def send_asset(
        self,
        owner: str,
        destination: str,
        source_dex: str,
        destination_dex: str,
        token: Token,
        amount_wei: int,
        from_sub_account: str = "",
    ) -> str | None:
        """Send a token between any two sides of any two accounts (``sendAsset``).

        Parameters
        ----------
        source_dex, destination_dex : str
            Empty for the perpetuals side, ``spot`` for spot; other exchanges are refused, as is
            anything but USDC on the perpetuals side, which counts six decimals.
        from_sub_account : str
            The sub-account whose money moves; empty for the owner's own.
        """
        account, text = self._source_account(owner, from_sub_account)
        if account is None:
            return text
        dexes = {source_dex, destination_dex}
        fits = dexes <= {PERP_DEX, SPOT_DEX}
        if PERP_DEX in dexes:
            fits = fits and token.index == USDC and amount_wei % USDC_WEI_PER_MICRO == 0
        if not fits:
            return texts.SEND_INVALID
        return self._send(
            account, destination, source_dex, destination_dex, token, amount_wei, kind="send"
        )

    def agent_send_asset(
        self,
        owner: str,
        destination: str,
        source_dex: str,
        destination_dex: str,
        token: Token,
        amount_wei: int,
        from_sub_account: str = "",
    ) -> str | None:
        """Do what `send_asset` does, but only to the owner and its sub-accounts.

        An agent may sign this one (``agentSendAsset``).
        """
        if destination != owner and self._state.masters.get(destination) != owner:
            return texts.AGENT_SEND_FOREIGN
        return self.send_asset(
            owner, destination, source_dex, destination_dex, token, amount_wei, from_sub_account
        )

    def _send(
        self,
        account: Account,
        destination: str,
        source_dex: str,
        destination_dex: str,
        token: Token,
        amount_wei: int,
        kind: str = "spotTransfer",
    ) -> str | None:
        """Check and book a token transfer whose shape is valid."""
        is_nowhere = account.address == destination and source_dex == destination_dex
        if amount_wei <= 0 or is_nowhere:
            return texts.SEND_INVALID
        fee_wei = self._activation_fee_micro(destination) * USDC_WEI_PER_MICRO
        text = self._send_shortage(account, source_dex, token, amount_wei, fee_wei)
        if text is not None:
            return text
        state = self._state
        state.begin_action()
        receiver = state.open_account(destination)
        move = AssetMove(
            user=account.address,
            destination=destination,
            source_dex=source_dex,
            destination_dex=destination_dex,
            token=token,
            amount_wei=amount_wei,
            usdc_value_wei=self._spot.value_wei(token.index, amount_wei),
            fee_wei=fee_wei,
        )
        if source_dex == PERP_DEX:
            state.fees_micro += fee_wei // USDC_WEI_PER_MICRO
            sent_micro = (amount_wei + fee_wei) // USDC_WEI_PER_MICRO
        else:
            sent_micro = 0
            account.take_token(USDC, fee_wei)
            cost_wei = account.take_token(token.index, amount_wei)
            if token.index != USDC:
                # What leaves counts as sold at mark (venue documentation, Entry price and pnl).
                account.spot_gain_wei += move.usdc_value_wei - cost_wei
            state.pools[USDC].fees_wei += fee_wei
        received_micro = 0
        if destination_dex == PERP_DEX:
            received_micro = amount_wei // USDC_WEI_PER_MICRO
        else:
            entry_wei = self._spot.entry_wei(token.index, amount_wei)
            receiver.add_token(token.index, amount_wei, entry_wei)
        if receiver is account:
            move_cash(state, account, kind, received_micro - sent_micro, move=move)
            return None
        move_cash(state, account, kind, -sent_micro, move=move)
        move_cash(state, receiver, kind, received_micro, move=move)
        return None

    def _send_shortage(
        self, account: Account, source_dex: str, token: Token, amount_wei: int, fee_wei: int
    ) -> str | None:
        """Return which balance does not cover a transfer and its activation fee."""
        if source_dex == PERP_DEX:
            free = free_to_leave_micro(self._state, account) * USDC_WEI_PER_MICRO
            return texts.WITHDRAWAL_SHORT if amount_wei + fee_wei > free else None
        if amount_wei > self._spot.free_wei(account.address, token.index):
            return texts.TOKENS_SHORT
        needed = fee_wei + (amount_wei if token.index == USDC else 0)
        if fee_wei and needed > self._spot.free_wei(account.address, USDC):
            return texts.ACTIVATION_SHORT
        return None

    # --- who and what -------------------------------------------------------------------------

    def _activation_fee_micro(self, destination: str) -> int:
        """Return what a transfer to an address costs on top: nothing, once it is an account."""
        is_known = destination in self._state.accounts
        return 0 if is_known else self._state.settings.activation_fee_micro

    def _source_account(self, owner: str, sub_account: str) -> tuple[Account | None, str]:
        """Return whose money moves, or None and the text that refuses it."""
        accounts = self._state.accounts
        if owner not in accounts:
            return None, texts.must_deposit(owner)
        if not sub_account:
            return accounts[owner], ""
        if self._state.masters.get(sub_account) != owner:
            return None, texts.sub_account_foreign(sub_account, owner)
        return accounts[sub_account], ""


def move_cash(
    state: VenueState,
    account: Account,
    kind: str,
    amount_micro: int,
    *,
    fee_micro: int = 0,
    counterparty: str = "",
    move: AssetMove | None = None,
    vault: VaultMove | None = None,
) -> None:
    """Change an account's perpetuals cash and write its ledger row."""
    account.cash_micro += amount_micro
    account.moved_micro += amount_micro
    account.slack_micro = 0
    output = LedgerOutput(
        owner=account.address,
        kind=kind,
        amount_micro=amount_micro,
        ts_ns=state.now_ns,
        hash=state.action_hash,
        fee_micro=fee_micro,
        counterparty=counterparty,
        move=move,
        vault=vault,
    )
    account.ledger.append(output)
    state.outputs.append(output)
