"""What is asked of the venue and what it tells: requests, answers, outputs and report rows.

All integers are price units, lots, micro-USDC and nanoseconds; text appears only where the venue
itself answers with text. Nothing here knows JSON or the engine's events.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from core.model.account import Fill
from core.model.codes import Tif, TriggerKind
from core.simulation.venue.records import BuilderFee, Token, TwapOutput


class TriggerRequest(msgspec.Struct, frozen=True, gc=False):
    """Condition that wakes an order; ``is_market`` wakes it as a market order limited by ``px``."""

    is_market: bool
    trigger_px: int
    kind: TriggerKind


class OrderRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order as a client asks for it.

    Exactly one of ``tif`` and ``trigger`` is given. ``lots`` is above 0, or 0 for a position
    TP/SL that closes whatever the position is. ``is_market`` marks the web app's market order
    (``FrontendMarket``): an IOC with another name and another error text. ``builder`` is paid on
    top.
    """

    coin: str
    is_buy: bool
    px: int
    lots: int
    reduce_only: bool = False
    tif: Tif | None = None
    trigger: TriggerRequest | None = None
    cloid: str | None = None
    is_market: bool = False
    builder: BuilderFee | None = None


class AnswerKind(StrEnum):
    """Shape of one status in the venue's answer."""

    RESTING = "resting"
    FILLED = "filled"
    WAITING_FOR_FILL = "waitingForFill"
    WAITING_FOR_TRIGGER = "waitingForTrigger"
    ERROR = "error"


class OrderAnswer(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The venue's answer to one order.

    ``oid`` is 0 for pre-validation errors only; the venue does not show it for errors and
    waiting orders, the simulator's own callers may use it. ``lots`` and ``avg_px`` (decimal
    text, truncated to the price unit) tell what was executed, for ``FILLED``. ``text`` is the
    venue's error text. ``is_whole_action`` marks a refusal that the venue reports for the whole
    action (``status: err``) when the order came alone.
    """

    kind: AnswerKind
    oid: int = 0
    cloid: str | None = None
    lots: int = 0
    avg_px: str = ""
    text: str = ""
    is_whole_action: bool = False


class VenueStatus(StrEnum):
    """The venue's order statuses that this simulator can reach (reference section 9)."""

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    TRIGGERED = "triggered"
    MARGIN_CANCELED = "marginCanceled"
    SELF_TRADE_CANCELED = "selfTradeCanceled"
    REDUCE_ONLY_CANCELED = "reduceOnlyCanceled"
    SIBLING_FILLED_CANCELED = "siblingFilledCanceled"
    LIQUIDATED_CANCELED = "liquidatedCanceled"
    OPEN_INTEREST_CAP_CANCELED = "openInterestCapCanceled"
    DELISTED_CANCELED = "delistedCanceled"
    VAULT_WITHDRAWAL_CANCELED = "vaultWithdrawalCanceled"
    SCHEDULED_CANCEL = "scheduledCancel"
    REJECTED = "rejected"
    TICK_REJECTED = "tickRejected"
    MIN_TRADE_NTL_REJECTED = "minTradeNtlRejected"
    PERP_MARGIN_REJECTED = "perpMarginRejected"
    REDUCE_ONLY_REJECTED = "reduceOnlyRejected"
    BAD_ALO_PX_REJECTED = "badAloPxRejected"
    IOC_CANCEL_REJECTED = "iocCancelRejected"
    BAD_TRIGGER_PX_REJECTED = "badTriggerPxRejected"
    MARKET_ORDER_NO_LIQUIDITY_REJECTED = "marketOrderNoLiquidityRejected"
    PERP_MAX_POSITION_REJECTED = "perpMaxPositionRejected"
    POSITION_INCREASE_AT_CAP_REJECTED = "positionIncreaseAtOpenInterestCapRejected"
    POSITION_FLIP_AT_CAP_REJECTED = "positionFlipAtOpenInterestCapRejected"
    TOO_AGGRESSIVE_AT_CAP_REJECTED = "tooAggressiveAtOpenInterestCapRejected"
    OPEN_INTEREST_INCREASE_REJECTED = "openInterestIncreaseRejected"
    INSUFFICIENT_SPOT_BALANCE_REJECTED = "insufficientSpotBalanceRejected"
    TOO_MANY_OPEN_ORDERS_REJECTED = "tooManyOpenOrdersRejected"

    @property
    def is_rejected(self) -> bool:
        """Whether the order never lived."""
        return self is VenueStatus.REJECTED or self.value.endswith("Rejected")

    @property
    def is_terminal(self) -> bool:
        """Whether the order is gone for good."""
        return self not in (VenueStatus.OPEN, VenueStatus.TRIGGERED)


class OrderSnapshot(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order as the venue lists it, in integers.

    ``tif`` is the venue's word, ``None`` for triggers. ``trigger_condition`` reads
    ``Price above 10.004`` or ``N/A``. ``order_type`` reads ``Limit``, ``Market``,
    ``Stop Market``, ``Stop Limit``, ``Take Profit Market`` or ``Take Profit Limit``.
    ``children`` are TP/SL orders that wait for this one to fill.
    """

    owner: str
    coin: str
    oid: int
    cloid: str | None
    is_buy: bool
    px: int
    lots_orig: int
    lots_left: int
    reduce_only: bool
    tif: str | None
    order_type: str
    trigger_px: int
    trigger_condition: str
    is_trigger: bool
    is_position_tpsl: bool
    children: tuple[OrderSnapshot, ...]
    placed_ns: int


class OrderOutput(msgspec.Struct, frozen=True, gc=False, kw_only=True, tag=True):
    """An order changed its status; ``text`` is the error text of a rejection."""

    owner: str
    order: OrderSnapshot
    status: VenueStatus
    status_ns: int
    text: str = ""


class LiquidationMark(msgspec.Struct, frozen=True, kw_only=True):
    """Why a fill is a liquidation; stands on both sides' fills. ``method``: market, backstop."""

    liquidated_user: str
    mark_px: int
    method: str


class FillOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One side of a match; ``direction`` is the venue's display text such as ``Open Long``.

    ``fee_token``, ``fee_wei`` and ``start_wei`` are set for spot, where the buyer pays in what he
    bought; ``fill.fee_micro`` then is the fee's value at the fill's price, and ``start_wei`` the
    balance of the base token before the fill, which may be finer than lots. Both count their
    token's wei of ``fee_decimals`` and ``start_decimals``. ``builder_fee_micro`` is part of the
    fee. ``twap_id`` names the TWAP order this fill is a slice of.
    """

    owner: str
    fill: Fill
    direction: str
    hash: str
    liquidation: LiquidationMark | None = None
    fee_token: str = "USDC"
    fee_wei: int | None = None
    fee_decimals: int = 0
    start_wei: int | None = None
    start_decimals: int = 0
    builder_fee_micro: int = 0
    twap_id: int | None = None


class TradeOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A public print that is not among the ticks' own prints.

    ``users`` is (buyer, seller); the outside market's side is `OUTSIDE`.
    """

    coin: str
    px: int
    lots: int
    is_buy: bool
    ts_ns: int
    tid: int
    hash: str
    users: tuple[str, str]


class FundingOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Hourly funding of one position; above 0 the owner received. ``rate_e10`` is exact."""

    owner: str
    coin: str
    funding_micro: int
    position_lots: int
    rate_e10: int
    ts_ns: int
    hash: str


class AssetMove(msgspec.Struct, frozen=True, kw_only=True):
    """Spot tokens (or USDC of either side) that moved: who sent what to whom, both ends alike.

    ``source_dex`` and ``destination_dex`` read ``spot`` or, for the perpetuals' side, empty. The
    sender paid ``fee_wei`` of USDC on top; ``usdc_value_wei`` is the worth at mark.
    """

    user: str
    destination: str
    source_dex: str
    destination_dex: str
    token: Token
    amount_wei: int
    usdc_value_wei: int
    fee_wei: int = 0


class VaultMove(msgspec.Struct, frozen=True):
    """Money between a vault and a user; a withdrawal tells what became of what was asked for."""

    vault: str
    user: str
    requested_micro: int = 0
    commission_micro: int = 0
    closing_cost_micro: int = 0
    basis_micro: int = 0


class LedgerOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Money that moved without a trade, signed from the owner's perpetuals wallet.

    ``kind`` is the venue's word (``deposit``, ``internalTransfer``, ``send`` ...). ``amount_micro``
    is 0 where only spot tokens moved; ``move`` then tells which. ``fee_micro`` is what the sender
    paid, part of his amount. ``counterparty`` is the other address of a transfer.
    """

    owner: str
    kind: str
    amount_micro: int
    ts_ns: int
    hash: str
    fee_micro: int = 0
    counterparty: str = ""
    move: AssetMove | None = None
    vault: VaultMove | None = None


class LiquidationOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A liquidation began: what stood before it. ``positions`` holds (coin, signed lots)."""

    owner: str
    method: str
    is_cross: bool
    liquidated_notional_micro: int
    account_value_micro: int
    positions: tuple[tuple[str, int], ...]
    ts_ns: int
    hash: str


VenueOutput = (
    OrderOutput
    | FillOutput
    | TradeOutput
    | FundingOutput
    | LedgerOutput
    | LiquidationOutput
    | TwapOutput
)

OUTSIDE = "0x0000000000000000000000000000000000000000"
"""Address shown for the outside market in public prints."""

LIQUIDATOR = "0x6e6f76612d6c697175696461746f720000000000"
"""Address of the venue's backstop liquidator account."""


class LeverageSetting(msgspec.Struct, frozen=True):
    """A coin's leverage as an account has set it."""

    leverage: int
    is_cross: bool


class PositionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One open position with every derived number of the venue's account state.

    ``entry_px`` is a decimal text truncated to the price unit; ``entry_notional_micro`` is the
    exact cost basis. ``raw_usd_micro`` is the isolated margin account (0 for cross).
    ``liquidation_px`` is decimal text with ten places, ``None`` where there is none.
    ``return_on_equity`` is a decimal text with ten places. Cumulative funding is above 0 when
    paid.
    """

    coin: str
    position_lots: int
    leverage: int
    leverage_max: int
    is_cross: bool
    raw_usd_micro: int
    entry_px: str
    entry_notional_micro: int
    value_micro: int
    unrealized_pnl_micro: int
    return_on_equity: str
    liquidation_px: str | None
    margin_used_micro: int
    funding_all_time_micro: int
    funding_since_open_micro: int
    funding_since_change_micro: int


class MarginSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's margin summary of all positions or of the cross ones."""

    account_value_micro: int
    notional_micro: int
    raw_usd_micro: int
    margin_used_micro: int


class AccountSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's account state (``clearinghouseState``) in integers."""

    total: MarginSummary
    cross: MarginSummary
    cross_maintenance_micro: int
    order_margin_micro: int
    withdrawable_micro: int
    positions: tuple[PositionRow, ...]
    ts_ns: int


class ActiveAsset(msgspec.Struct, frozen=True, kw_only=True):
    """Leverage setting of a coin and what could be traded with it, buying and selling.

    ``raw_usd_micro`` is the margin account of an isolated position, 0 where there is none.
    """

    leverage: int
    is_cross: bool
    raw_usd_micro: int
    trade_lots_max: tuple[int, int]
    available_micro: tuple[int, int]
    mark_px: int


class OrderState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One order with its last status, as ``orderStatus`` and ``historicalOrders`` show it."""

    order: OrderSnapshot
    status: VenueStatus
    status_ns: int


class AgentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One named agent of an account."""

    name: str
    address: str
    valid_until_ns: int


class UserRole(msgspec.Struct, frozen=True, kw_only=True):
    """What an address is: ``user``, ``vault``, ``missing``, or a master's agent or sub-account."""

    role: str
    master: str = ""


class RateBudget(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of an address: used, allowed, and the traded volume behind the allowance."""

    requests_used: int
    requests_cap: int
    volume_micro: int
    requests_surplus: int = 0


class FeeRates(msgspec.Struct, frozen=True, kw_only=True):
    """Current rates of an account in 10^-8 of notional, and its volume per UTC day."""

    taker_rate_e8: int
    maker_rate_e8: int
    spot_taker_rate_e8: int
    spot_maker_rate_e8: int
    is_referred: bool
    daily_volume_micro: tuple[tuple[int, int, int], ...]
    """(UTC day number, taker volume, maker volume), oldest first; spot counts double."""
