"""The venue's request and answer words as typed structs, for our client and the local venue.

Only shapes: decimal numbers stay text, unknown keys are ignored, and words the venue may extend
(statuses, directions, order types) stay plain text. Meaning is given to them in `core.api.codec`.

Sources: the venue's documentation (info endpoint, websocket subscriptions) and the recordings in
``tests/data/hyperliquid-recorded``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.actions import Action, WireSignature


class ExchangeRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is posted to ``/exchange``; the action stays undecoded."""

    action: msgspec.Raw
    nonce: int
    signature: WireSignature
    vault_address: str | None = msgspec.field(default=None, name="vaultAddress")
    expires_after: int | None = msgspec.field(default=None, name="expiresAfter")


class SignedAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same request with a typed action, for writing."""

    action: Action
    nonce: int
    signature: WireSignature
    vault_address: str | None = msgspec.field(default=None, name="vaultAddress")
    expires_after: int | None = msgspec.field(default=None, name="expiresAfter")


# --- answers of /exchange -----------------------------------------------------------------------


class RestingStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """The order rests; its oid."""

    oid: int
    cloid: str | None = None


class FilledStatus(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The order traded ``total_sz`` and is done."""

    total_sz: str
    avg_px: str
    oid: int
    cloid: str | None = None


class StatusRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One order's answer; exactly one field is set."""

    resting: RestingStatus | None = None
    filled: FilledStatus | None = None
    error: str | None = None


OrderStatusRow = StatusRow | str
"""A row, or one of the bare words ``success``, ``waitingForFill``, ``waitingForTrigger``."""


class StatusesData(msgspec.Struct, frozen=True):
    """Answers to the items of a batch, in the order of the request."""

    statuses: list[OrderStatusRow] = []


class ExchangeResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The successful answer; ``data`` differs by ``type``."""

    type: str
    data: Any = None


class ExchangeAnswerBody(msgspec.Struct, frozen=True):
    """``status`` is ``ok`` with an `ExchangeResponse`, or ``err`` with a text."""

    status: str
    response: msgspec.Raw


# --- market data --------------------------------------------------------------------------------


class WireLevel(msgspec.Struct, frozen=True, gc=False):
    """One price level: price, size, number of orders."""

    px: str
    sz: str
    n: int = 1


class WireBook(msgspec.Struct, frozen=True):
    """Displayed depth, best first, bids then asks."""

    coin: str
    time: int
    levels: tuple[list[WireLevel], list[WireLevel]]


class WireBbo(msgspec.Struct, frozen=True):
    """Best bid and offer; an empty side is null."""

    coin: str
    time: int
    bbo: tuple[WireLevel | None, WireLevel | None]


class WireTrade(msgspec.Struct, frozen=True, gc=False):
    """One public trade; ``side`` is the aggressor's."""

    coin: str
    side: str
    px: str
    sz: str
    time: int
    tid: int
    hash: str = ""
    users: tuple[str, ...] = ()


class WireCandle(msgspec.Struct, frozen=True, gc=False):
    """One candle: open and close time (ms), coin, interval, prices, base volume, trades."""

    t: int
    T: int
    s: str
    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - the venue's name
    v: str
    n: int = 0


class WireContext(msgspec.Struct, frozen=True, rename="camel"):
    """A perpetual's context; what may be null for an empty or delisted market is optional."""

    mark_px: str
    oracle_px: str
    funding: str
    open_interest: str = "0"
    mid_px: str | None = None
    prev_day_px: str | None = None
    day_ntl_vlm: str | None = None
    day_base_vlm: str | None = None
    premium: str | None = None
    impact_pxs: tuple[str, ...] | None = None


class WireAssetContext(msgspec.Struct, frozen=True):
    """A context with its coin."""

    coin: str
    ctx: WireContext


class WireMids(msgspec.Struct, frozen=True):
    """Mid price of every coin."""

    mids: dict[str, str]


# --- account data -------------------------------------------------------------------------------


class WireLiquidation(msgspec.Struct, frozen=True, rename="camel"):
    """The liquidation behind a fill; it stands on both sides' fills."""

    liquidated_user: str = ""
    mark_px: str = "0"
    method: str = ""


class WireFill(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One match of one of the user's orders; ``crossed`` means taker."""

    coin: str
    px: str
    sz: str
    side: str
    time: int
    start_position: str
    closed_pnl: str
    oid: int
    crossed: bool
    fee: str = "0"
    tid: int = 0
    hash: str = ""
    dir: str = ""
    cloid: str | None = None
    fee_token: str = "USDC"
    builder_fee: str | None = None
    twap_id: int | None = None
    liquidation: WireLiquidation | None = None


class WireOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order as order updates, open orders and look-ups show it; ``sz`` is what is left."""

    coin: str
    side: str
    limit_px: str
    sz: str
    oid: int
    timestamp: int
    orig_sz: str | None = None
    cloid: str | None = None
    reduce_only: bool = False
    is_trigger: bool = False
    trigger_px: str = "0.0"
    order_type: str = "Limit"
    tif: str | None = None
    is_position_tpsl: bool = False


class WireOrderUpdate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order with its status."""

    order: WireOrder
    status: str
    status_timestamp: int


class WireOrderLookUp(msgspec.Struct, frozen=True):
    """Answer of ``orderStatus``: ``order``, or ``unknownOid`` without one."""

    status: str
    order: WireOrderUpdate | None = None


class WireFunding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One hourly funding payment; ``usdc`` above 0 was received."""

    coin: str
    usdc: str
    szi: str
    funding_rate: str
    time: int = 0


class WireFundingRow(msgspec.Struct, frozen=True):
    """A funding payment as the info endpoint lists it."""

    time: int
    delta: WireFunding
    hash: str = ""


class WireLedgerRow(msgspec.Struct, frozen=True):
    """A deposit, withdrawal, transfer or similar; the delta's keys depend on its ``type``."""

    time: int
    delta: dict[str, Any]
    hash: str = ""


class WireLeverage(msgspec.Struct, frozen=True, rename="camel"):
    """Leverage setting: ``cross`` or ``isolated`` and the number."""

    type: str
    value: int
    raw_usd: str | None = None


class WirePosition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One open position; ``szi`` is signed."""

    coin: str
    szi: str
    leverage: WireLeverage
    entry_px: str | None = None
    liquidation_px: str | None = None
    margin_used: str = "0"
    position_value: str = "0"
    unrealized_pnl: str = "0"


class WireAssetPosition(msgspec.Struct, frozen=True):
    """A position in its wrapper."""

    position: WirePosition
    type: str = "oneWay"


class WireMarginSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Account sums."""

    account_value: str
    total_raw_usd: str
    total_margin_used: str
    total_ntl_pos: str = "0"


class WireAccountState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of ``clearinghouseState``."""

    margin_summary: WireMarginSummary
    withdrawable: str
    asset_positions: list[WireAssetPosition]
    time: int = 0


class WireRateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``userRateLimit``."""

    nRequestsUsed: int
    nRequestsCap: int
    cumVlm: str = "0"


# --- metadata -----------------------------------------------------------------------------------


class WireAsset(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One row of ``meta.universe``; its position is the asset id."""

    name: str
    sz_decimals: int
    max_leverage: int
    margin_table_id: int | None = None
    only_isolated: bool = False
    margin_mode: str | None = None
    is_delisted: bool = False


class WireMarginTier(msgspec.Struct, frozen=True, rename="camel"):
    """From ``lower_bound`` USDC of notional at most ``max_leverage``."""

    lower_bound: str
    max_leverage: int


class WireMarginTable(msgspec.Struct, frozen=True, rename="camel"):
    """Tiers of one margin table."""

    margin_tiers: list[WireMarginTier]
    description: str = ""


class WireMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Answer of ``meta``; universe rows stay raw so that one bad row spoils no other."""

    universe: list[msgspec.Raw]
    margin_tables: list[tuple[int, WireMarginTable]] = []


# --- websocket frames ---------------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True, tag_field="channel"):
    """Base of everything the venue sends over the websocket."""


class BookFrame(Frame, frozen=True, tag="l2Book"):
    """Depth snapshot."""

    data: WireBook


class BboFrame(Frame, frozen=True, tag="bbo"):
    """Touch change."""

    data: WireBbo


class TradesFrame(Frame, frozen=True, tag="trades"):
    """Public trades."""

    data: list[WireTrade]


class CandleFrame(Frame, frozen=True, tag="candle"):
    """The running candle: an object as recorded, an array as documented."""

    data: WireCandle | list[WireCandle]


class ContextFrame(Frame, frozen=True, tag="activeAssetCtx"):
    """Mark, oracle, funding."""

    data: WireAssetContext


class MidsFrame(Frame, frozen=True, tag="allMids"):
    """All mid prices."""

    data: WireMids


class OrderUpdatesFrame(Frame, frozen=True, tag="orderUpdates"):
    """Changes of the user's orders."""

    data: list[WireOrderUpdate]


class FillsData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Fills of a user; the first message after subscribing is a snapshot."""

    user: str = ""
    fills: list[WireFill] = []
    is_snapshot: bool = False


class FillsFrame(Frame, frozen=True, tag="userFills"):
    """The user's fills."""

    data: FillsData


class FundingsData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Funding payments of a user."""

    user: str = ""
    fundings: list[WireFunding] = []
    is_snapshot: bool = False


class FundingsFrame(Frame, frozen=True, tag="userFundings"):
    """The user's funding payments."""

    data: FundingsData


class LedgerData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ledger rows of a user."""

    user: str = ""
    non_funding_ledger_updates: list[WireLedgerRow] = []
    is_snapshot: bool = False


class LedgerFrame(Frame, frozen=True, tag="userNonFundingLedgerUpdates"):
    """The user's deposits, withdrawals and transfers."""

    data: LedgerData


class UserEventsData(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Exactly one of its fields is set."""

    fills: list[WireFill] | None = None
    funding: WireFunding | None = None
    liquidation: dict[str, Any] | None = None
    non_user_cancel: list[dict[str, Any]] | None = None


class UserEventsFrame(Frame, frozen=True, tag="user"):
    """The ``userEvents`` subscription; its channel has another name."""

    data: UserEventsData


class SubscriptionData(msgspec.Struct, frozen=True):
    """Echo of a subscription in the venue's normalised form."""

    method: str
    subscription: dict[str, Any]


class SubscriptionFrame(Frame, frozen=True, tag="subscriptionResponse"):
    """A subscription was accepted."""

    data: SubscriptionData


class ErrorFrame(Frame, frozen=True, tag="error"):
    """A request over the websocket was refused."""

    data: str


class PongFrame(Frame, frozen=True, tag="pong"):
    """Answer to a ping."""


KnownFrame = (
    BookFrame
    | BboFrame
    | TradesFrame
    | CandleFrame
    | ContextFrame
    | MidsFrame
    | OrderUpdatesFrame
    | FillsFrame
    | FundingsFrame
    | LedgerFrame
    | UserEventsFrame
    | SubscriptionFrame
    | ErrorFrame
    | PongFrame
)

_request_decoder = msgspec.json.Decoder(ExchangeRequest)
_json = msgspec.json.Encoder()


def decode_request(raw: bytes) -> ExchangeRequest:
    """Read the envelope of an ``/exchange`` request; `msgspec.DecodeError` if it is none."""
    return _request_decoder.decode(raw)


def encode_request(request: SignedAction) -> bytes:
    """Write a signed request as JSON."""
    return _json.encode(request)
