"""What an account may set besides orders: leverage, isolated margin, dead-man switch.

Every function returns the venue's error text, or ``None`` when it was done. Source: reference
sections 7.7, 8.9, 8.10 and 15.1.
"""

from __future__ import annotations

from core.model.errors import GridError
from core.model.instrument import decimal_units
from core.model.time import utc_day
from core.simulation.venue import texts
from core.simulation.venue.account import Account, Position
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import cancel_all
from core.simulation.venue.margin import (
    cross_margin,
    isolated_margin_micro,
    order_margin_micro,
    withdrawable_micro,
)
from core.simulation.venue.outputs import LeverageSetting, VenueStatus
from core.simulation.venue.state import VenueState

LEVERAGE_DECIMALS = 6
"""Decimals of a target leverage that still count."""


def update_leverage(
    state: VenueState, owner: str, coin: str, leverage: int, *, is_cross: bool
) -> str | None:
    """Set a coin's leverage and margin mode, with or without a position."""
    account, book = state.accounts.get(owner), state.books.get(coin)
    if account is None:
        return texts.must_deposit(owner)
    if book is None or coin not in account.leverage:
        return texts.ASSET_UNKNOWN
    if not 1 <= leverage <= book.instrument.leverage_max:
        return texts.LEVERAGE_INVALID
    if is_cross and book.instrument.is_isolated_only:
        return texts.CROSS_NOT_ALLOWED
    position = account.positions.get(coin)
    former = account.leverage[coin]
    if position is not None and position.is_cross is not is_cross:
        return texts.LEVERAGE_SWITCH
    account.set_leverage(coin, LeverageSetting(leverage, is_cross))
    if position is not None:
        position.leverage = leverage
    if leverage < former.leverage:
        text = _short_text(state, account, book, position)
        if text is not None:
            account.set_leverage(coin, former)
            if position is not None:
                position.leverage = former.leverage
            return text
    state.begin_action()
    return None


def _short_text(
    state: VenueState, account: Account, book: CoinBook, position: Position | None
) -> str | None:
    """Return why a lowered leverage cannot stand, judged with the new one already set."""
    if position is not None and not position.is_cross:
        margin = isolated_margin_micro(position, book.mark_px)
        needed = abs(position.lots) * book.mark_px // position.leverage
        return texts.ISOLATED_SHORT if margin < needed else None
    cross = cross_margin(account, state.books)
    free = cross.value_micro - cross.initial_micro - order_margin_micro(account)
    has_stake = position is not None or any(
        order.coin == book.instrument.coin for order in account.orders.values()
    )
    return texts.CROSS_SHORT if has_stake and free < 0 else None


def update_isolated_margin(state: VenueState, owner: str, coin: str, usd_micro: int) -> str | None:
    """Move margin into (above 0) or out of (below 0) an isolated position."""
    account, book = state.accounts.get(owner), state.books.get(coin)
    if account is None:
        return texts.must_deposit(owner)
    position = account.positions.get(coin)
    if book is None or position is None or position.is_cross:
        return texts.NOT_ISOLATED
    if usd_micro > free_to_leave_micro(state, account):
        return texts.WITHDRAWAL_SHORT
    if usd_micro < 0 and book.instrument.is_margin_locked:
        return texts.MARGIN_LOCKED
    if usd_micro < 0:
        size = abs(position.lots) * book.mark_px
        margin = isolated_margin_micro(position, book.mark_px) + usd_micro
        if margin < max(size // position.leverage, size // 10):
            return texts.ISOLATED_SHORT
    state.begin_action()
    account.cash_micro -= usd_micro
    position.raw_usd_micro += usd_micro
    account.slack_micro = position.slack_micro = 0
    return None


def top_up_isolated(state: VenueState, owner: str, coin: str, leverage_text: str) -> str | None:
    """Add margin to an isolated position until its leverage falls to a target.

    Parameters
    ----------
    leverage_text : str
        Decimal such as ``"2.5"``: afterwards notional at mark over margin is at most this.

    Notes
    -----
    Source: reference section 7.4, ``topUpIsolatedOnlyMargin``. A target that needs no more margin
    than there is already is refused as an invalid leverage (assumption).
    """
    account, book = state.accounts.get(owner), state.books.get(coin)
    if account is None:
        return texts.must_deposit(owner)
    position = account.positions.get(coin)
    if book is None or position is None or position.is_cross:
        return texts.NOT_ISOLATED
    try:
        leverage = decimal_units(leverage_text, LEVERAGE_DECIMALS, "leverage")
    except GridError:
        return texts.LEVERAGE_INVALID
    if leverage <= 0:
        return texts.LEVERAGE_INVALID
    notional = abs(position.lots) * book.mark_px
    needed = -(-notional * 10**LEVERAGE_DECIMALS // leverage)
    missing = needed - isolated_margin_micro(position, book.mark_px)
    if missing <= 0:
        return texts.LEVERAGE_INVALID
    return update_isolated_margin(state, owner, coin, missing)


def free_to_leave_micro(state: VenueState, account: Account) -> int:
    """Return what may leave an account's cross margin."""
    return withdrawable_micro(cross_margin(account, state.books), order_margin_micro(account))


def schedule_cancel(state: VenueState, owner: str, time_ns: int | None) -> str | None:
    """Set, move or clear the account's dead-man switch."""
    account = state.accounts.get(owner)
    if account is None:
        return texts.must_deposit(owner)
    settings = state.settings
    if account.volume_micro < settings.schedule_cancel_volume_micro:
        required = settings.schedule_cancel_volume_micro
        return texts.schedule_volume(required, account.volume_micro)
    if time_ns is not None:
        if time_ns < state.now_ns + settings.schedule_cancel_lead_ns:
            return texts.SCHEDULE_EARLY
        day, count = account.scheduled_cancels
        if day == utc_day(state.now_ns) and count >= settings.schedule_cancels_per_day:
            return texts.schedule_count(settings.schedule_cancels_per_day)
    state.begin_action()
    account.scheduled_cancel_ns = time_ns
    _find_next_cancel(state)
    return None


def fire_scheduled_cancels(state: VenueState) -> None:
    """Cancel all orders of every account whose dead-man switch is due."""
    for account in state.accounts.values():
        due_ns = account.scheduled_cancel_ns
        if due_ns is None or due_ns > state.now_ns:
            continue
        state.begin_action()
        account.scheduled_cancel_ns = None
        today = utc_day(state.now_ns)
        day, count = account.scheduled_cancels
        account.scheduled_cancels = (today, count + 1 if day == today else 1)
        cancel_all(state, account.address, VenueStatus.SCHEDULED_CANCEL)
    _find_next_cancel(state)


def _find_next_cancel(state: VenueState) -> None:
    """Remember when the next dead-man switch is due."""
    times = [
        account.scheduled_cancel_ns
        for account in state.accounts.values()
        if account.scheduled_cancel_ns is not None
    ]
    state.cancel_next_ns = min(times, default=None)


def use_requests(state: VenueState, owner: str, count: int, *, is_cancel: bool) -> str | None:
    """Charge an account's request budget; return the venue's error text when it is spent.

    Cancels may go on to ``min(cap + 100000, 2 * cap)``; on a spent budget one request each 10 s
    still passes (venue documentation, Rate limits).
    """
    account = state.accounts.get(owner)
    if account is None:
        return texts.must_deposit(owner)
    cap = requests_cap(state, account)
    limit = min(cap + 100_000, 2 * cap) if is_cancel else cap
    used = account.requests_used + count
    if used > limit:
        if count > 1 or state.now_ns < account.requests_trickle_ns:
            return texts.requests_too_many(used, limit, account.volume_micro)
        account.requests_trickle_ns = state.now_ns + state.settings.request_trickle_ns
    account.requests_used = used
    return None


def reserve_requests(state: VenueState, owner: str, weight: int, destination: str) -> str | None:
    """Buy ``weight`` requests for an account at the venue's price (0.0005 USDC each)."""
    account, receiver = state.accounts.get(owner), state.accounts.get(destination)
    if account is None:
        return texts.must_deposit(owner)
    if receiver is None:
        return texts.must_deposit(destination)
    cost = weight * state.settings.request_price_micro
    if weight <= 0 or cost > free_to_leave_micro(state, account):
        return texts.WITHDRAWAL_SHORT
    state.begin_action()
    account.cash_micro -= cost
    account.slack_micro = 0
    state.fees_micro += cost
    receiver.requests_bought += weight
    return None


def requests_cap(state: VenueState, account: Account) -> int:
    """Return the requests an address may have sent: a base, one per USDC traded, and bought."""
    earned = state.settings.requests_base + account.volume_micro // 1_000_000
    return earned + account.requests_bought
