"""Liquidation: when margin falls under maintenance, the venue closes for its owner.

Source: venue documentation, Liquidations. Under maintenance the position goes to the book as a
market order (a fifth first, above 100k USDC); under two thirds of it the backstop liquidator takes
positions and margin over at mark; below nothing, opposite positions are closed at the previous
mark (``deleveraging``). Assumptions: the liquidator holds what it took, is never liquidated and
pays no funding; it carries the loss where nobody stands opposite or deleveraging is switched off.
While a coin is halted its positions cannot be sold out and wait.
"""

from __future__ import annotations

from core.model.codes import Tif
from core.simulation.venue.account import Account, Position
from core.simulation.venue.book import CoinBook
from core.simulation.venue.deleveraging import deleverage
from core.simulation.venue.handover import pass_on
from core.simulation.venue.lifecycle import cancel_all, prune_reduce_only
from core.simulation.venue.margin import cross_margin, isolated_margin_micro
from core.simulation.venue.matching import execute
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import (
    LedgerOutput,
    LiquidationMark,
    LiquidationOutput,
    VenueStatus,
)
from core.simulation.venue.state import VenueState


def check_holders(state: VenueState, book: CoinBook, mark_px_before: int) -> None:
    """Look for accounts that a move of this coin's mark may have put under maintenance.

    Each account carries a slack: what its surplus over maintenance can lose at least before a
    full check is due. A move of the mark changes value by at most |lots * move| and maintenance
    by at most half of that, so taking twice the product (and 2 for rounding) off the slack is
    safe, and most ticks cost one subtraction per holder.
    """
    move = abs(book.mark_px - mark_px_before)
    coin = book.instrument.coin
    for account in tuple(book.holders.values()):
        if account is state.liquidator:
            continue
        position = account.positions.get(coin)
        if position is None:
            continue
        worst = 2 * abs(position.lots) * move + 2
        if position.is_cross:
            account.slack_micro -= worst
            if account.slack_micro <= 0:
                _examine_cross(state, account, {coin: mark_px_before})
        else:
            position.slack_micro -= worst
            if position.slack_micro <= 0:
                _examine_isolated(state, book, account, position, mark_px_before)


def examine(state: VenueState, account: Account) -> None:
    """Check an account's cross margin now, whatever its slack; marks have not moved."""
    _examine_cross(state, account, {})


def _examine_cross(state: VenueState, account: Account, marks_before: dict[str, int]) -> None:
    """Check an account's cross margin exactly and liquidate if it is short.

    ``marks_before`` are the former marks of the coins that just moved.
    """
    cross = cross_margin(account, state.books)
    if cross.value_micro >= cross.maintenance_micro:
        account.slack_micro = cross.value_micro - cross.maintenance_micro
        account.is_in_liquidation = False
        return
    positions = [p for p in account.positions.values() if p.is_cross]
    method = _method(cross.value_micro, cross.maintenance_micro)
    if not account.is_in_liquidation or method == "backstop":
        _announce(state, account, positions, method, cross.value_micro, is_cross=True)
        account.is_in_liquidation = True
    status = VenueStatus.LIQUIDATED_CANCELED
    cancel_all(state, account.address, status, is_margined_only=True)
    positions.sort(key=lambda p: (-abs(p.lots) * state.books[p.coin].mark_px, p.coin))
    if method == "backstop":
        account.is_in_liquidation = False
        _end_cross(state, account, positions, cross.value_micro, marks_before)
        return
    for position in positions:
        _sell_out(state, state.books[position.coin], account, position)
        cross = cross_margin(account, state.books)
        if cross.value_micro >= cross.maintenance_micro:
            return


def _end_cross(
    state: VenueState,
    account: Account,
    positions: list[Position],
    value_micro: int,
    marks_before: dict[str, int],
) -> None:
    """Deleverage a bankrupt account; the backstop takes one that is not, or still is.

    An account that closing at the former marks made solvent keeps what it has and is looked at
    again with the next move.
    """
    if value_micro < 0 and state.settings.adl:
        for position in positions:
            book = state.books[position.coin]
            deleverage(state, book, account, marks_before.get(position.coin, book.mark_px))
        prune_reduce_only(state)
        if cross_margin(account, state.books).value_micro >= 0:
            return
        positions = [position for position in positions if position.lots]
    for position in positions:
        _take_over(state, account, position)
    seize_cash(state, account, account.cash_micro)


def _examine_isolated(
    state: VenueState, book: CoinBook, account: Account, position: Position, mark_px_before: int
) -> None:
    """Check one isolated position's margin exactly and liquidate it if it is short."""
    margin = isolated_margin_micro(position, book.mark_px)
    maintenance = book.table.maintenance_micro(abs(position.lots) * book.mark_px)
    if margin >= maintenance:
        position.slack_micro = margin - maintenance
        return
    method = _method(margin, maintenance)
    _announce(state, account, [position], method, margin, is_cross=False)
    cancel_all(state, account.address, VenueStatus.LIQUIDATED_CANCELED, position.coin)
    if method == "backstop":
        _end_isolated(state, book, account, position, mark_px_before)
    else:
        _sell_out(state, book, account, position)


def _end_isolated(
    state: VenueState, book: CoinBook, account: Account, position: Position, mark_px_before: int
) -> None:
    """Deleverage a bankrupt position; the backstop takes one that is not, or still is."""
    if isolated_margin_micro(position, book.mark_px) < 0 and state.settings.adl:
        margin_before = isolated_margin_micro(position, mark_px_before)
        deleverage(state, book, account, mark_px_before)
        prune_reduce_only(state)
        if not position.lots:
            if margin_before < 0:
                seize_cash(state, account, margin_before)
            return
        if isolated_margin_micro(position, book.mark_px) >= 0:
            return
    margin = isolated_margin_micro(position, book.mark_px)
    _take_over(state, account, position)
    seize_cash(state, account, margin)


def _method(margin_micro: int, maintenance_micro: int) -> str:
    """Choose between the book and the backstop (under two thirds of maintenance)."""
    return "backstop" if 3 * margin_micro < 2 * maintenance_micro else "market"


def _announce(
    state: VenueState,
    account: Account,
    positions: list[Position],
    method: str,
    value_micro: int,
    *,
    is_cross: bool,
) -> None:
    """Say what is about to be liquidated."""
    state.begin_action()
    notional = sum(abs(p.lots) * state.books[p.coin].mark_px for p in positions)
    output = LiquidationOutput(
        owner=account.address,
        method=method,
        is_cross=is_cross,
        liquidated_notional_micro=notional,
        account_value_micro=value_micro,
        positions=tuple((p.coin, p.lots) for p in positions),
        ts_ns=state.now_ns,
        hash=state.action_hash,
    )
    account.liquidations.append(output)
    state.outputs.append(output)


def _sell_out(state: VenueState, book: CoinBook, account: Account, position: Position) -> None:
    """Send the position, or the first part of a large one, to the book as a market order.

    Within 30 s after a partial liquidation a further one is for the full size. What the displayed
    depth cannot take stays open until the next tick.
    """
    if book.is_halted:
        return
    settings = state.settings
    lots = abs(position.lots)
    since = position.liquidated_ns
    is_cooling = since is not None and state.now_ns - since < settings.liquidation_cool_down_ns
    if lots * book.mark_px > settings.liquidation_partial_micro and not is_cooling:
        lots = -(-lots * settings.liquidation_partial_percent // 100)
        position.liquidated_ns = state.now_ns
    order = Order(
        owner=account.address,
        coin=position.coin,
        oid=state.new_oid(),
        cloid=None,
        is_buy=position.lots < 0,
        px=book.mark_px,
        lots_orig=lots,
        lots_left=lots,
        reduce_only=True,
        tif=Tif.IOC,
        tif_text="LiquidationMarket",
        trigger=None,
        is_position_tpsl=False,
        placed_ns=state.now_ns,
    )
    state.add_order(order)
    mark = LiquidationMark(liquidated_user=account.address, mark_px=book.mark_px, method="market")
    execute(state, book, order, mark)


def _take_over(state: VenueState, account: Account, position: Position) -> None:
    """Move a position to the liquidator at mark, without fees or public prints."""
    book = state.books[position.coin]
    mark = LiquidationMark(liquidated_user=account.address, mark_px=book.mark_px, method="backstop")
    lots = abs(position.lots)
    pass_on(state, book, account, state.liquidator, lots=lots, px=book.mark_px, mark=mark)
    prune_reduce_only(state)


def seize_cash(state: VenueState, account: Account, amount_micro: int) -> None:
    """Move what is left of the liquidated margin (or what is missing) to the liquidator."""
    account.cash_micro -= amount_micro
    state.liquidator.cash_micro += amount_micro
    output = LedgerOutput(
        owner=account.address,
        kind="liquidation",
        amount_micro=-amount_micro,
        ts_ns=state.now_ns,
        hash=state.action_hash,
    )
    account.ledger.append(output)
    state.outputs.append(output)
