"""Channels of what an account is: perpetuals, spot balances, what it could trade of a coin.

Each tells the whole state, the newest wins, and nothing is told twice in a row. Source: reference
section 11.4; that states follow the market every few seconds is an assumption.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from core.simulation.market.builder_dexes import FIRST_DEX
from core.simulation.market.ticks import MarketTick
from core.simulation.wire.channels.base import (
    Cadence,
    ChannelContext,
    UserChannel,
    UserDexChannel,
)
from core.simulation.wire.rows import Row, account_row, active_asset_row, spot_balance_row
from core.simulation.wire.subscriptions import Key, Subscription, Wish, flag_of, user_of

_MOMENTS = frozenset({"time", "serverTime"})
_NOBODY = ""
"""Has no account, so its state is the empty one."""


class _StateChannel(UserChannel):
    """A state that is told when it changed, and that follows the market at a slower pace."""

    hears_market = True

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._cadence = Cadence(context.settings.states_every_ns)
        self._last: Any = None

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the state as it stands."""
        return [self.row()]

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the state if it is due and changed."""
        return self.on_change(tick.ts_ns) if self._cadence.is_due(tick.ts_ns) else None

    def on_change(self, ts_ns: int) -> Row | None:
        """Return the state if it changed."""
        row = self.row()
        essence = timeless(row)
        if essence == self._last:
            return None
        self._last = essence
        return row

    @abstractmethod
    def row(self) -> Row:
        """Return the whole message."""


class ClearinghouseState(_StateChannel, UserDexChannel):
    """Perpetuals of an account on one dex."""

    kind = "clearinghouseState"

    def row(self) -> Row:
        """Return the whole message."""
        state = perp_state_row(self.context, self.owner, self.dex)
        return {"dex": self.dex, "user": self.owner, "clearinghouseState": state}


class AllDexsClearinghouseState(_StateChannel):
    """Perpetuals of an account on every dex."""

    kind = "allDexsClearinghouseState"

    def row(self) -> Row:
        """Return the whole message."""
        context = self.context
        states = [[dex, perp_state_row(context, self.owner, dex)] for dex in context.dexs]
        return {"user": self.owner, "clearinghouseStates": states}


class SpotState(_StateChannel):
    """Spot balances of an account; they do not move with the market."""

    kind = "spotState"
    hears_market = False

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``user`` and the portfolio margin flag, whose name the sources dispute."""
        user = user_of(wish)
        echo: Row = {"type": cls.kind, "user": user}
        for name in ("isPortfolioMargin", "ignorePortfolioMargin"):
            flag = flag_of(wish, name)
            if flag is None:
                return None
            if name in wish:
                echo[name] = flag
        return None if user is None else Subscription((cls.kind, user), echo, user)

    def row(self) -> Row:
        """Return the whole message."""
        return {"user": self.owner, "spotState": spot_state_row(self.context, self.owner)}


class ActiveAssetData(_StateChannel):
    """Leverage of an account in one perpetual and what it could trade of it."""

    kind = "activeAssetData"
    hears_market = False

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self.coin: str = key[2]

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``user`` and ``coin``, a perpetual."""
        user, coin = user_of(wish), context.coin_of(wish)
        if user is None or coin is None or context.instruments[coin].is_spot:
            return None
        return Subscription(
            (cls.kind, user, coin), {"type": cls.kind, "user": user, "coin": coin}, user
        )

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return what could be traded, once the coin has a price."""
        return [self.row()] if self.context.board.has_market(self.coin) else []

    def on_change(self, ts_ns: int) -> Row | None:
        """Return what could be traded if it changed."""
        return super().on_change(ts_ns) if self.context.board.has_market(self.coin) else None

    def row(self) -> Row:
        """Return the whole message."""
        active = self.context.exchange.active_asset(self.owner, self.coin)
        instrument = self.context.instruments[self.coin]
        return active_asset_row(active, user=self.owner, instrument=instrument)


def timeless(value: Any) -> Any:
    """Return JSON data without the moments at which it was made, at any depth."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: timeless(item) for name, item in value.items() if name not in _MOMENTS}


def perp_state_row(context: ChannelContext, owner: str, dex: str) -> Row:
    """Return an account's perpetuals on a dex; it can have some on the first only."""
    summary = context.exchange.account_summary(owner if dex == FIRST_DEX else _NOBODY)
    return account_row(summary, context.instruments, context.exchange.now_ns)


def spot_state_row(context: ChannelContext, owner: str) -> Row:
    """Return an account's spot balances."""
    spot = context.exchange.spot
    tokens = {token.index: token for token in spot.tokens}
    rows = [spot_balance_row(balance, tokens[balance.token]) for balance in spot.balances(owner)]
    return {"balances": rows}
