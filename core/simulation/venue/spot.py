"""Spot: how its matches settle in tokens, and what accounts hold of them.

No leverage, margin, funding or liquidation: a buyer pays USDC and receives the base token, less
his fee in it; a seller the other way round, his fee in USDC. All amounts are the tokens' wei, and
``px * lots`` of a USDC pair is USDC wei exactly. Sources: venue documentation, Fees, Entry price
and pnl; reference sections 4.4, 7.7, 13; recorded fills and balances.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.model.account import Fill
from core.model.codes import Tif
from core.model.instrument import Instrument
from core.model.time import utc_day
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.orders import Order, Stage
from core.simulation.venue.outputs import (
    AssetMove,
    FillOutput,
    LedgerOutput,
    OrderRequest,
    VenueStatus,
)
from core.simulation.venue.records import USDC, USDC_WEI_PER_MICRO, SpotBalance, Token
from core.simulation.venue.settlement import Match, Verdict, fee_of
from core.simulation.venue.state import TokenPool, VenueState

TIER_VOLUME_WEIGHT = 2
"""A spot trade counts double in the volume that decides the fee tier."""
USDC_TOKEN = Token(
    index=USDC,
    name="USDC",
    token_id="0x6d1e7cde53ba9467b783cb7c530ce054",
    sz_decimals=8,
    wei_decimals=8,
)
SPOT_DEX = "spot"


def is_spot_coin(coin: str) -> bool:
    """Tell a spot pair's name (``PURR/USDC``, ``@107``) from a perpetual's."""
    return coin.startswith("@") or "/" in coin


def hold_wei(state: VenueState, account: Account, token: int) -> int:
    """Return how much of a token the account's resting orders lock."""
    return sum(
        state.books[order.coin].settlement.held_wei(order, token)
        for order in account.orders.values()
        if order.stage is Stage.RESTING
    )


def free_wei(state: VenueState, account: Account, token: int) -> int:
    """Return how much of a token the account may spend."""
    return account.token_wei(token) - hold_wei(state, account, token)


class SpotSettlement:
    """Settlement of one USDC-quoted pair.

    A lot of the base token is ``lot_wei`` of its wei. Orders lock what they would pay at their
    limit, without a fee: the fee comes out of what is received.
    """

    units_per_micro = USDC_WEI_PER_MICRO

    def __init__(self, base: Token) -> None:
        self.base = base
        self.lot_wei: int = 10 ** (base.wei_decimals - base.sz_decimals)

    def minimum_text(self, instrument: Instrument, minimum_micro: int) -> str:
        """Return the text that refuses an order below the least notional."""
        return texts.spot_notional_too_small(instrument, minimum_micro)

    def malformed_text(self, request: OrderRequest) -> str | None:
        """Return the refusal of reduce-only orders, TP/SL groups among them."""
        return texts.SPOT_REDUCE_ONLY if request.reduce_only else None

    def _price_wei(self, *, is_buy: bool, px: int, lots: int) -> tuple[int, int]:
        """Return (token, wei) that an order pays for a fill."""
        return (USDC, px * lots) if is_buy else (self.base.index, lots * self.lot_wei)

    def refusal(
        self, state: VenueState, account: Account, book: CoinBook, order: Order
    ) -> Verdict | None:
        """Return why the free balance does not cover an order that may rest.

        An IOC order pays at the prices it meets and takes what can be paid (observed on the
        venue's testnet), so it is judged while it matches.
        """
        if order.tif is Tif.IOC:
            return None
        token, wei = self._price_wei(is_buy=order.is_buy, px=order.px, lots=order.lots_left)
        return None if free_wei(state, account, token) >= wei else self.unpayable(book.instrument)

    def payable_lots(
        self, state: VenueState, account: Account, order: Order, *, px: int, lots: int
    ) -> int:
        """Return how many of ``lots`` the taker's free balance pays for at ``px``."""
        token, lot = self._price_wei(is_buy=order.is_buy, px=px, lots=1)
        return min(lots, free_wei(state, account, token) // lot)

    def unpayable(self, instrument: Instrument) -> Verdict:
        """Return the rejection for lack of balance."""
        text = texts.spot_insufficient(instrument)
        return VenueStatus.INSUFFICIENT_SPOT_BALANCE_REJECTED, text

    def can_fill(self, state: VenueState, account: Account, maker: Order, lots: int) -> bool:
        """Return True: what a resting order may have to pay is locked for it."""
        return True

    def held_wei(self, order: Order, token: int) -> int:
        """Return how much of a token a resting order locks."""
        paid, wei = self._price_wei(is_buy=order.is_buy, px=order.px, lots=order.lots_left)
        return wei if paid == token else 0

    def book_fill(self, state: VenueState, book: CoinBook, order: Order, match: Match) -> None:
        """Exchange USDC and base token on the owner's account, take the fee, emit the fill.

        The fee is computed in USDC wei; a buyer's is converted at the fill's price. Both steps
        truncate: 0.5 HYPE at 34.895 and 0.063 % cost 0.00031499 HYPE, as recorded.
        """
        account = state.account(order.owner)
        rate = account.spot_maker_rate_e8 if match.is_maker else account.spot_taker_rate_e8
        rate = account.discounted(rate)
        quote_wei, base_wei = match.px * match.lots, match.lots * self.lot_wei
        quote_fee = fee_of(quote_wei, rate)
        start_wei = account.token_wei(self.base.index)
        pnl_wei = builder_micro = 0
        if order.is_buy:
            fee_token = self.base
            size = abs(quote_fee) * self.lot_wei // match.px
            fee_wei = size if quote_fee >= 0 else -size
            account.take_token(USDC, quote_wei)
            account.add_token(self.base.index, base_wei - fee_wei, quote_wei)
        else:
            fee_token, fee_wei = USDC_TOKEN, quote_fee
            pnl_wei = quote_wei - account.take_token(self.base.index, base_wei)
            if order.builder is not None:
                # Builders earn on sales only, and in whole micro-USDC.
                builder_micro = order.builder_fee(quote_wei) // USDC_WEI_PER_MICRO
                state.earn(order.builder.builder, builder_micro)
                fee_wei += builder_micro * USDC_WEI_PER_MICRO
            account.add_token(USDC, quote_wei - fee_wei)
            account.spot_gain_wei += pnl_wei - fee_wei
        state.pools[fee_token.index].fees_wei += fee_wei - builder_micro * USDC_WEI_PER_MICRO
        account.add_volume(
            utc_day(state.now_ns),
            quote_wei // USDC_WEI_PER_MICRO,
            is_maker=match.is_maker,
            weight=TIER_VOLUME_WEIGHT,
        )
        fill = Fill(
            coin=order.coin,
            oid=order.oid,
            cloid=order.cloid,
            tid=match.tid,
            is_buy=order.is_buy,
            px=match.px,
            lots=match.lots,
            fee_micro=_micro(quote_fee) + builder_micro,
            is_maker=match.is_maker,
            closed_pnl_micro=_micro(pnl_wei),
            start_position_lots=start_wei // self.lot_wei,
            ts_exch_ns=state.now_ns,
        )
        output = FillOutput(
            owner=account.address,
            fill=fill,
            direction="Buy" if order.is_buy else "Sell",
            hash=state.action_hash,
            fee_token=fee_token.name,
            fee_wei=fee_wei,
            fee_decimals=fee_token.wei_decimals,
            start_wei=start_wei,
            start_decimals=self.base.wei_decimals,
            builder_fee_micro=builder_micro,
            twap_id=order.twap_id,
        )
        account.fills.append(output)
        state.outputs.append(output)

    def book_outside(self, state: VenueState, book: CoinBook, *, lots_signed: int, px: int) -> None:
        """Book the outside market's side, above 0 where it bought; it pays no fee here."""
        state.pools[self.base.index].outside_wei += lots_signed * self.lot_wei
        state.pools[USDC].outside_wei -= lots_signed * px


def _micro(wei: int) -> int:
    """Return USDC wei as micro-USDC, truncated towards 0."""
    size = abs(wei) // USDC_WEI_PER_MICRO
    return size if wei >= 0 else -size


class SpotDesk:
    """What there is to trade on spot and what accounts hold; money moves in `Transfers`.

    Parameters
    ----------
    state : VenueState
        Its spot books settle by the entries of ``settlements``.
    settlements : mapping of str to SpotSettlement
        By coin; two pairs may share a base token, of which one with USDC gives its worth.
    """

    def __init__(self, state: VenueState, settlements: Mapping[str, SpotSettlement]) -> None:
        self._state = state
        self._settlements = settlements
        pairs = {coin: state.books[coin].instrument for coin in settlements}
        self._pairs = MappingProxyType(pairs)
        bases: dict[int, Token] = {}
        self._market_of: dict[int, tuple[CoinBook, int]] = {}
        for coin, settlement in settlements.items():
            index = settlement.base.index
            bases[index] = settlement.base
            self._market_of.setdefault(index, (state.books[coin], settlement.lot_wei))
            state.pools.setdefault(index, TokenPool())
        self._tokens = {USDC: USDC_TOKEN, **dict(sorted(bases.items()))}
        self._named = {t.wire_name: t for t in self._tokens.values()}
        self._named |= {t.name: t for t in reversed(self._tokens.values())}

    @property
    def tokens(self) -> tuple[Token, ...]:
        """USDC and every base token of a listed pair, in index order."""
        return tuple(self._tokens.values())

    @property
    def pairs(self) -> Mapping[str, Instrument]:
        """The spot pairs by coin, in the order of the instruments."""
        return self._pairs

    def token_named(self, wire_name: str) -> Token | None:
        """Return the token of ``NAME:0xid`` or a plain ``NAME`` (the first of that name)."""
        return self._named.get(wire_name)

    def coins_of(self, token: int) -> tuple[str, ...]:
        """Return the pairs whose base a token is."""
        return tuple(c for c, s in self._settlements.items() if s.base.index == token)

    def free_wei(self, owner: str, token: int) -> int:
        """Return how much of a token an account may spend or send."""
        account = self._state.accounts.get(owner)
        return 0 if account is None else free_wei(self._state, account, token)

    def balances(self, owner: str) -> tuple[SpotBalance, ...]:
        """Return what an account holds, USDC first, then by token index; empty ones are left out.

        The entry is the cost basis of what is left, truncated: 0.24965 HYPE left of 0.49965 that
        cost 50 USDC show 24.982487, as recorded.
        """
        account = self._state.accounts.get(owner)
        if account is None:
            return ()
        return tuple(
            SpotBalance(
                token=token,
                total_wei=holding.wei,
                hold_wei=hold_wei(self._state, account, token),
                entry_micro=holding.entry_wei // USDC_WEI_PER_MICRO,
            )
            for token, holding in sorted(account.holdings.items())
        )

    def value_wei(self, token: int, wei: int) -> int:
        """Return what tokens are worth at mark, in USDC wei; 0 while there is no price."""
        if token == USDC:
            return wei
        book, lot_wei = self._market_of[token]
        return book.mark_px * wei // lot_wei

    def entry_wei(self, token: int, wei: int) -> int:
        """Return the cost basis of tokens received without a trade: their worth at mark.

        Source: venue documentation, Entry price and pnl: transfers are treated as buys or sells
        at mark price. USDC has none.
        """
        return 0 if token == USDC else self.value_wei(token, wei)

    def fund(self, owner: str, token: int, amount_wei: int) -> None:
        """Credit tokens from outside, opening the account if there is none; a faucet.

        The ledger calls it ``spotGenesis``, the venue's word for tokens that nobody sent.
        """
        assert amount_wei > 0, f"invariant: tokens given should be above 0, was {amount_wei}"
        state = self._state
        state.begin_action()
        account = state.open_account(owner)
        state.pools[token].deposited_wei += amount_wei
        account.add_token(token, amount_wei, self.entry_wei(token, amount_wei))
        output = LedgerOutput(
            owner=owner,
            kind="spotGenesis",
            amount_micro=0,
            ts_ns=state.now_ns,
            hash=state.action_hash,
            move=AssetMove(
                user=owner,
                destination=owner,
                source_dex=SPOT_DEX,
                destination_dex=SPOT_DEX,
                token=self._tokens[token],
                amount_wei=amount_wei,
                usdc_value_wei=self.value_wei(token, amount_wei),
            ),
        )
        account.ledger.append(output)
        state.outputs.append(output)

    def circulating_wei(self, token: int) -> int:
        """Return how much of a token the venue's accounts hold together."""
        return sum(account.token_wei(token) for account in self._state.accounts.values())
