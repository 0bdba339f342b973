"""Channels of contexts: mark, mid, oracle, funding, volume; of one coin or of all.

Source: reference section 11.4; how often the messages with many coins come is undocumented.
"""

from __future__ import annotations

import base64
import zlib
from abc import abstractmethod
from typing import Any

import msgspec

from core.simulation.market.builder_dexes import FIRST_DEX, builder_dexes
from core.simulation.market.ticks import MarketTick
from core.simulation.wire.board import empty_context
from core.simulation.wire.channels.base import (
    Cadence,
    Channel,
    ChannelContext,
    CoinChannel,
)
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key, Subscription, Wish
from core.simulation.wire.text import px_text

RAW_DEFLATE = -zlib.MAX_WBITS
"""No header and no checksum (RFC 1951)."""


class ActiveAssetCtx(CoinChannel):
    """The context of one coin, whenever it changed; spot pairs have a channel name of their own."""

    kind = "activeAssetCtx"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._is_spot = context.instruments[self.coin].is_spot
        self._last: Row = {}
        if self._is_spot:
            self.wire_name = "activeSpotAssetCtx"

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the context as it stands."""
        return [self.row()] if self.has_market else []

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return the context if it changed."""
        row = self.row()
        if row == self._last:
            return None
        self._last = row
        return row

    def row(self) -> Row:
        """Return the whole message."""
        board = self.context.board
        row = board.spot_context_row if self._is_spot else board.context_row
        return {"coin": self.coin, "ctx": row(self.coin)}


class _ManyContexts(Channel):
    """Contexts of many coins, at most once per span."""

    hears_market = True

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._cadence = Cadence(context.settings.contexts_every_ns)

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Take no parameters."""
        return Subscription((cls.kind,), {"type": cls.kind})

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the contexts as they stand."""
        return [self.row()]

    def on_tick(self, tick: MarketTick) -> Any | None:
        """Return the contexts if they are due."""
        return self.row() if self._cadence.is_due(tick.ts_ns) else None

    @abstractmethod
    def row(self) -> Any:
        """Return the whole message."""


class AssetCtxs(_ManyContexts):
    """All perpetuals of a dex, in the order of its universe."""

    kind = "assetCtxs"

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``dex``."""
        dex = context.dex_of(wish)
        if dex is None:
            return None
        return Subscription((cls.kind, dex), {"type": cls.kind, "dex": dex})

    def row(self) -> Row:
        """Return the whole message."""
        dex = self.key[1]
        return {"dex": dex, "ctxs": dex_contexts(self.context, dex)}


class AllDexsAssetCtxs(_ManyContexts):
    """All perpetuals of every dex."""

    kind = "allDexsAssetCtxs"

    def row(self) -> Row:
        """Return the whole message."""
        context = self.context
        return {"ctxs": [[dex, dex_contexts(context, dex)] for dex in context.dexs]}


class SpotAssetCtxs(_ManyContexts):
    """All spot pairs."""

    kind = "spotAssetCtxs"

    def row(self) -> list[Row]:
        """Return the whole message."""
        return self.context.board.spot_contexts()


class FastAssetCtxs(Channel):
    """Mark and mid of all coins that have a market: all of them at first, then what changed.

    The data is base64 text of raw DEFLATE of JSON. Changes that arrive together are joined.
    """

    kind = "fastAssetCtxs"
    hears_market = True

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._cadence = Cadence(context.settings.fast_contexts_every_ns)
        self._touched: dict[str, None] = {}
        self._told: dict[str, Row] = {}

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Take no parameters."""
        return Subscription((cls.kind,), {"type": cls.kind})

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return mark and mid of all coins."""
        board = self.context.board
        rows = {coin: self._prices(coin) for coin in board.coins if board.has_market(coin)}
        return [_packed(rows)]

    def on_tick(self, tick: MarketTick) -> Row | None:
        """Return what changed since the last message, if one is due."""
        self._touched[tick.coin] = None
        if not self._cadence.is_due(tick.ts_ns):
            return None
        touched, self._touched = self._touched, {}
        changes: Row = {}
        for coin in touched:
            told, now = self._told.get(coin, {}), self._prices(coin)
            changed = {name: px for name, px in now.items() if name not in told or told[name] != px}
            if changed:
                self._told[coin] = now
                changes[coin] = changed
        return changes or None

    def data(self, rows: list[Any]) -> list[Any]:
        """Join the changes and pack them."""
        joined: dict[str, Row] = {}
        for changes in rows:
            for coin, changed in changes.items():
                joined[coin] = {**joined.get(coin, {}), **changed}
        return [_packed(joined)]

    def _prices(self, coin: str) -> Row:
        context = self.context
        mark_px = px_text(context.instruments[coin], context.exchange.mark_px(coin))
        return {"markPx": mark_px, "midPx": context.board.mid_text(coin)}


def dex_contexts(context: ChannelContext, dex: str) -> list[Row]:
    """Return the contexts of a dex's perpetuals; only the first dex has a market here."""
    if dex == FIRST_DEX:
        return context.board.contexts()
    return [empty_context() for _ in builder_dexes()[dex].coins]


def _packed(rows: Row) -> str:
    packer = zlib.compressobj(wbits=RAW_DEFLATE)
    packed = packer.compress(msgspec.json.encode(rows)) + packer.flush()
    return base64.b64encode(packed).decode("ascii")
