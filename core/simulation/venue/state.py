"""The venue's whole state and its ids; every behaviour of the venue is a function over it.

All randomness-free: order ids count upwards, trade ids and hashes follow from counters, so the
same actions give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.model.instrument import Instrument
from core.model.time import NS_PER_HOUR
from core.simulation.venue.account import Account
from core.simulation.venue.book import PPM, CoinBook
from core.simulation.venue.orders import Order, Stage, snapshot
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    LeverageSetting,
    OrderOutput,
    OrderState,
    VenueOutput,
    VenueStatus,
)
from core.simulation.venue.records import USDC, USDC_WEI_PER_MICRO
from core.simulation.venue.settings import VenueSettings
from core.simulation.venue.settlement import Settlement

OID_START = 100_000_000_000
"""First order id; above 2^32, as on the venue, so that nobody stores 32 bits."""

ZERO_HASH = "0x" + "0" * 64
"""Hash of what the venue does by itself (recorded: TWAP slices)."""

_TID_BITS = 50
_TID_STEP = 0x2545F4914F6CD
"""Odd, so multiples of it modulo 2^50 repeat only after 2^50 trades and look like hashes."""


class TokenPool(msgspec.Struct, eq=False):
    """One spot token outside the accounts, in its wei.

    ``outside_wei`` is the outside market's side of every trade with it, ``fees_wei`` what the venue
    kept; with what the accounts hold they sum to ``deposited_wei``.
    """

    outside_wei: int = 0
    fees_wei: int = 0
    deposited_wei: int = 0


class VenueState:
    """Books, accounts, counters and the outputs nobody has fetched yet.

    ``outside_cash_micro`` is the outside market's side of every trade with it, ``fees_micro``
    what the venue kept, ``funding_pool_micro`` the counterpart of all funding. With the accounts
    and the liquidator they always sum to deposits minus withdrawals; USDC on the spot side, whose
    pool is `USDC`, is counted with them, since it moves between the two. ``pools`` are those of
    the spot tokens, by index.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        settings: VenueSettings,
        start_ns: int,
        settlements: Mapping[str, Settlement],
    ) -> None:
        self.settings = settings
        self.now_ns = start_ns
        self.books = {i.coin: CoinBook(i, settlements[i.coin]) for i in instruments}
        self.leverage_defaults = {
            i.coin: LeverageSetting(
                min(settings.leverage_default, i.leverage_max), not i.is_isolated_only
            )
            for i in instruments
            if not i.is_spot
        }
        self.accounts: dict[str, Account] = {}
        self.masters: dict[str, str] = {}
        """Sub-account to its master."""
        self.liquidator = Account(LIQUIDATOR, settings, self.leverage_defaults)
        self.orders: dict[int, Order] = {}
        self.outputs: list[VenueOutput] = []
        self.outside_cash_micro = 0
        self.fees_micro = 0
        self.funding_pool_micro = 0
        self.rewards_micro: dict[str, int] = {}
        """Builder fees that wait to be claimed, by builder."""
        self.pools: dict[int, TokenPool] = {USDC: TokenPool()}
        self.deposits_micro = 0
        self.withdrawals_micro = 0
        self.oid_next = OID_START
        self.queue_seq = 0
        self.trade_count = 0
        self.action_count = 0
        self.hour_next_ns = (start_ns // NS_PER_HOUR + 1) * NS_PER_HOUR
        self.cancel_next_ns: int | None = None
        self.post_only_until_ns = 0
        self.open_interest_starts: dict[str, tuple[int, int]] = {}
        """Coin to (minute, open lots when somebody first asked in it)."""
        self.unpruned: dict[tuple[str, str], None] = {}
        self.queue_share_ppm = round(settings.queue_share * PPM)
        self.band_floor_ppm = PPM - round(settings.price_band * PPM)
        self._hash_text = ""

    # --- ids ------------------------------------------------------------------------------

    def begin_action(self) -> None:
        """Start a new transaction: what follows shares one hash."""
        self.action_count += 1
        self._hash_text = ""

    def begin_system_action(self) -> None:
        """Start what no transaction asked for, such as a TWAP slice: its hash is all zeros."""
        self.action_count += 1
        self._hash_text = ZERO_HASH

    @property
    def is_post_only(self) -> bool:
        """Whether the time after a network upgrade still runs, in which only ALO is accepted."""
        return self.now_ns < self.post_only_until_ns

    @property
    def action_hash(self) -> str:
        """Hash of the running transaction, 0x and 64 hex digits."""
        if not self._hash_text:
            digest = hashlib.blake2b(
                self.action_count.to_bytes(8, "big"), digest_size=32, person=b"nova-action"
            )
            self._hash_text = "0x" + digest.hexdigest()
        return self._hash_text

    def new_oid(self) -> int:
        """Return the next order id."""
        oid = self.oid_next
        self.oid_next += 1
        return oid

    def new_tid(self) -> int:
        """Return the next trade id: 50 bits, unique, not in order."""
        self.trade_count += 1
        return self.trade_count * _TID_STEP % (1 << _TID_BITS)

    def new_queue_seq(self) -> int:
        """Return the next time priority."""
        self.queue_seq += 1
        return self.queue_seq

    # --- accounts and orders --------------------------------------------------------------

    def account(self, address: str) -> Account:
        """Return an account that exists, or the liquidator."""
        return self.liquidator if address == LIQUIDATOR else self.accounts[address]

    def open_account(self, address: str) -> Account:
        """Return the account of an address, opening it if there is none."""
        account = self.accounts.get(address)
        if account is None:
            account = Account(address, self.settings, self.leverage_defaults)
            self.accounts[address] = account
        return account

    def add_order(self, order: Order) -> None:
        """Make a new order known; a cloid names its latest order."""
        account = self.account(order.owner)
        self.orders[order.oid] = order
        account.orders[order.oid] = order
        if order.cloid is not None:
            account.cloids[order.cloid] = order.oid

    def show(self, order: Order, status: VenueStatus, text: str = "") -> None:
        """Set an order's status, tell its owner and remember it.

        An account remembers its last orders only: what falls out of its history is forgotten.
        """
        order.status = status
        order.status_ns = self.now_ns
        order.is_shown = True
        frozen = snapshot(order, self.books[order.coin].instrument)
        output = OrderOutput(
            owner=order.owner, order=frozen, status=status, status_ns=self.now_ns, text=text
        )
        self.outputs.append(output)
        account = self.account(order.owner)
        if len(account.history) == account.history.maxlen:
            self._forget(account, account.history[0].order.oid)
        account.history.append(OrderState(order=frozen, status=status, status_ns=self.now_ns))

    def _forget(self, account: Account, oid: int) -> None:
        """Drop a dead order's record."""
        order = self.orders.get(oid)
        if order is None or order.stage is not Stage.DEAD:
            return
        del self.orders[oid]
        if order.cloid is not None and account.cloids.get(order.cloid) == oid:
            del account.cloids[order.cloid]

    def earn(self, builder: str, fee_micro: int) -> None:
        """Put a builder's fee aside until he claims it."""
        self.rewards_micro[builder] = self.rewards_micro.get(builder, 0) + fee_micro

    # --- checks ---------------------------------------------------------------------------

    def usdc_error_wei(self) -> int:
        """Return the USDC that appeared (or vanished) since the start, in wei: always 0."""
        held = sum(account.raw_usd_micro for account in self.accounts.values())
        held += self.liquidator.raw_usd_micro
        held += self.outside_cash_micro + self.fees_micro + self.funding_pool_micro
        held += sum(self.rewards_micro.values())
        error = held - (self.deposits_micro - self.withdrawals_micro)
        return error * USDC_WEI_PER_MICRO + self._pool_error_wei(USDC)

    def token_error_wei(self, token: int) -> int:
        """Return how much of a token appeared (or vanished) since the start: always 0."""
        return self.usdc_error_wei() if token == USDC else self._pool_error_wei(token)

    def _pool_error_wei(self, token: int) -> int:
        """Return what accounts and pool hold of a token beyond what came from outside."""
        pool = self.pools.get(token) or TokenPool()
        held = sum(account.token_wei(token) for account in self.accounts.values())
        return held + pool.outside_wei + pool.fees_wei - pool.deposited_wei

    def position_error_lots(self, coin: str) -> int:
        """Return the sum of all positions in a coin, the outside's included: always 0."""
        lots = sum(account.lots(coin) for account in self.accounts.values())
        return lots + self.liquidator.lots(coin) + self.books[coin].outside_lots

    def canonical(self) -> list[Any]:
        """Return the state as plain lists, in an order that only the state decides."""
        accounts = [*self.accounts.values(), self.liquidator]
        return [
            [self.now_ns, self.oid_next, self.trade_count, self.action_count, self.queue_seq],
            [self.outside_cash_micro, self.fees_micro, self.funding_pool_micro],
            [self.deposits_micro, self.withdrawals_micro],
            [
                [token, pool.outside_wei, pool.fees_wei, pool.deposited_wei]
                for token, pool in sorted(self.pools.items())
            ],
            sorted(self.masters.items()),
            sorted(self.rewards_micro.items()),
            [self.post_only_until_ns, sorted(self.open_interest_starts.items())],
            [_canonical_book(coin, self.books[coin]) for coin in sorted(self.books)],
            [_canonical_account(a) for a in sorted(accounts, key=lambda a: a.address)],
        ]


def _canonical_book(coin: str, book: CoinBook) -> list[Any]:
    """Return one coin's market as plain lists."""
    places = [(o.oid, o.lots_ahead, o.level_lots, o.level_traded) for o in book.local_bids]
    places += [(o.oid, o.lots_ahead, o.level_lots, o.level_traded) for o in book.local_asks]
    prices = [book.mark_px, book.oracle_px, book.last_px, book.rate_e10, book.outside_lots]
    flags = [book.is_halted, book.instrument.is_delisted]
    armed = [o.oid for o in book.armed_below] + [o.oid for o in book.armed_above]
    return [coin, prices, flags, book.bids, book.asks, places, armed]


def _canonical_account(account: Account) -> list[Any]:
    """Return one account as plain lists; derived caches stay out."""
    positions = [
        [
            (p.coin, p.is_cross, p.leverage, p.lots, p.cost_micro, p.raw_usd_micro),
            (p.funding_since_open_micro, p.funding_since_change_micro, p.liquidated_ns),
        ]
        for p in sorted(account.positions.values(), key=lambda p: p.coin)
    ]
    orders = [
        [o.oid, o.cloid, o.coin, o.is_buy, o.px, o.lots_orig, o.lots_left, o.stage, o.status]
        for o in account.orders.values()
    ]
    settings = [[c, s.leverage, s.is_cross] for c, s in sorted(account.leverage.items())]
    counters = [account.volume_micro, account.requests_used, account.scheduled_cancel_ns]
    counters += [account.requests_bought, account.requests_trickle_ns, account.is_referred]
    rates = [account.taker_rate_e8, account.maker_rate_e8, sorted(account.daily_volume.items())]
    rates += [account.spot_taker_rate_e8, account.spot_maker_rate_e8]
    money = [
        account.cash_micro,
        [[token, h.wei, h.entry_wei] for token, h in sorted(account.holdings.items())],
    ]
    return [account.address, money, positions, orders, settings, counters, rates]


def digest(parts: list[Any]) -> str:
    """Return a digest of plain lists, equal for equal content."""
    body = msgspec.msgpack.encode(parts)
    return hashlib.blake2b(body, digest_size=32, person=b"nova-venue").hexdigest()
