"""Liquidation: when margin falls under maintenance, the venue closes for its owner.

Source: venue documentation, Liquidations. Under maintenance the position goes to the book as a
market order (a fifth first, above 100k USDC); under two thirds of it the backstop liquidator takes
positions and margin over at mark. Assumption: where the real venue would deleverage others, the
liquidator carries the loss.
"""

from __future__ import annotations

from core.model.codes import Tif
from core.simulation.venue.account import Account, Position
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import cancel_all, prune_reduce_only
from core.simulation.venue.margin import cross_margin, isolated_margin_micro
from core.simulation.venue.matching import book_position, execute
from core.simulation.venue.orders import Order, Stage
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
                _examine_cross(state, account)
        else:
            position.slack_micro -= worst
            if position.slack_micro <= 0:
                _examine_isolated(state, book, account, position)


def _examine_cross(state: VenueState, account: Account) -> None:
    """Check an account's cross margin exactly and liquidate if it is short."""
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
    cancel_all(state, account.address, VenueStatus.LIQUIDATED_CANCELED)
    if method == "backstop":
        for position in tuple(positions):
            _take_over(state, account, position)
        _seize_cash(state, account, account.cash_micro)
        account.is_in_liquidation = False
        return
    positions.sort(key=lambda p: (-abs(p.lots) * state.books[p.coin].mark_px, p.coin))
    for position in positions:
        _sell_out(state, state.books[position.coin], account, position)
        cross = cross_margin(account, state.books)
        if cross.value_micro >= cross.maintenance_micro:
            return


def _examine_isolated(
    state: VenueState, book: CoinBook, account: Account, position: Position
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
        _take_over(state, account, position)
        _seize_cash(state, account, margin)
    else:
        _sell_out(state, book, account, position)


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
    state.outputs.append(
        LiquidationOutput(
            owner=account.address,
            method=method,
            is_cross=is_cross,
            liquidated_notional_micro=notional,
            account_value_micro=value_micro,
            positions=tuple((p.coin, p.lots) for p in positions),
            ts_ns=state.now_ns,
            hash=state.action_hash,
        )
    )


def _sell_out(state: VenueState, book: CoinBook, account: Account, position: Position) -> None:
    """Send the position, or the first part of a large one, to the book as a market order.

    Within 30 s after a partial liquidation a further one is for the full size. What the displayed
    depth cannot take stays open until the next tick.
    """
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
    lots = position.lots
    tid = state.new_tid()
    mark = LiquidationMark(liquidated_user=account.address, mark_px=book.mark_px, method="backstop")
    for party, is_buy in ((account, lots < 0), (state.liquidator, lots > 0)):
        order = Order(
            owner=party.address,
            coin=position.coin,
            oid=state.new_oid(),
            cloid=None,
            is_buy=is_buy,
            px=book.mark_px,
            lots_orig=abs(lots),
            lots_left=0,
            reduce_only=party is account,
            tif=Tif.IOC,
            tif_text="LiquidationMarket",
            trigger=None,
            is_position_tpsl=False,
            placed_ns=state.now_ns,
            stage=Stage.DEAD,
        )
        book_position(
            state,
            book,
            party,
            order,
            px=book.mark_px,
            lots=abs(lots),
            fee=0,
            tid=tid,
            is_maker=party is state.liquidator,
            liquidation=mark,
        )
    prune_reduce_only(state)


def _seize_cash(state: VenueState, account: Account, amount_micro: int) -> None:
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
