"""The venue's subscription types: one class each, found by its name on the wire.

What is not in this table does not exist here and is refused as the venue refuses an unknown
subscription. Source: reference section 11.4.
"""

from __future__ import annotations

from typing import Any

from core.simulation.wire.channels.base import Channel, ChannelContext
from core.simulation.wire.channels.contexts import (
    ActiveAssetCtx,
    AllDexsAssetCtxs,
    AssetCtxs,
    FastAssetCtxs,
    SpotAssetCtxs,
)
from core.simulation.wire.channels.markets import AllMids, Bbo, Candle, L2Book, Trades
from core.simulation.wire.channels.money import UserEvents, UserFills, UserFundings, UserLedger
from core.simulation.wire.channels.orders import (
    Notification,
    OpenOrders,
    OrderUpdates,
    UserHistoricalOrders,
)
from core.simulation.wire.channels.outcomes import OutcomeMetaUpdates
from core.simulation.wire.channels.states import (
    ActiveAssetData,
    AllDexsClearinghouseState,
    ClearinghouseState,
    SpotState,
)
from core.simulation.wire.channels.twaps import TwapStates, UserTwapHistory, UserTwapSliceFills
from core.simulation.wire.channels.webdata import WebData2, WebData3
from core.simulation.wire.subscriptions import Subscription

_TYPES: tuple[type[Channel], ...] = (
    AllMids,
    L2Book,
    Bbo,
    Trades,
    Candle,
    ActiveAssetCtx,
    AssetCtxs,
    SpotAssetCtxs,
    AllDexsAssetCtxs,
    FastAssetCtxs,
    OrderUpdates,
    UserEvents,
    UserFills,
    UserFundings,
    UserLedger,
    UserHistoricalOrders,
    OpenOrders,
    ClearinghouseState,
    AllDexsClearinghouseState,
    SpotState,
    ActiveAssetData,
    UserTwapSliceFills,
    UserTwapHistory,
    TwapStates,
    Notification,
    WebData2,
    WebData3,
    OutcomeMetaUpdates,
)
CHANNELS: dict[str, type[Channel]] = {channel.kind: channel for channel in _TYPES}
"""Subscription type to its class."""


def read_subscription(wish: Any, context: ChannelContext) -> Subscription | None:
    """Read a subscription object; ``None`` if the venue would not know it.

    Parameters
    ----------
    wish : Any
        What the client sent under ``subscription``, decoded.
    """
    kind = wish.get("type") if isinstance(wish, dict) else None
    channel = CHANNELS.get(kind) if isinstance(kind, str) else None
    return None if channel is None else channel.read(wish, context)
