"""Closed vocabularies: sides, order types, statuses, trading states, regimes and codes."""

from __future__ import annotations

from enum import StrEnum


class Tif(StrEnum):
    """Time in force, as the venue spells it."""

    GTC = "Gtc"
    IOC = "Ioc"
    ALO = "Alo"


class TriggerKind(StrEnum):
    """Take profit or stop loss; wakes when the mark price crosses ``trigger_px``."""

    TAKE_PROFIT = "tp"
    STOP_LOSS = "sl"


class Grouping(StrEnum):
    """How the orders of one action belong together, as the venue spells it."""

    NONE = "na"
    NORMAL_TPSL = "normalTpsl"
    POSITION_TPSL = "positionTpsl"


class Direction(StrEnum):
    """Where a position should point."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"


class Purpose(StrEnum):
    """Why an order exists; the priority lane and the attribution follow from it."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    TARGET = "target"
    QUOTE = "quote"
    FLATTEN = "flatten"


class OrderStatus(StrEnum):
    """Where an order stands. ``IN_FLIGHT``: sent and unanswered, its outcome is unknown."""

    IN_FLIGHT = "in_flight"
    WORKING = "working"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


class TradingState(StrEnum):
    """What the engine may do. Starts ``HALTED``; ``REDUCING`` allows only shrinking."""

    HALTED = "halted"
    REDUCING = "reducing"
    ACTIVE = "active"


class Mode(StrEnum):
    """What a session trades against. Only ``runtime/compose.py`` branches on it."""

    BACKTEST = "backtest"
    DEMO = "demo"
    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


class Regime(StrEnum):
    """State of one coin's market."""

    UNKNOWN = "unknown"
    TRENDING = "trending"
    RANGING = "ranging"
    VOLATILE = "volatile"
    CALM = "calm"


class OperatorAction(StrEnum):
    """What a person (or a supervisor) may ask of a running engine."""

    RESUME = "resume"
    PAUSE = "pause"
    REDUCE = "reduce"
    HALT = "halt"
    FLATTEN = "flatten"
    CANCEL_ALL = "cancel_all"
    START_STRATEGY = "start_strategy"
    STOP_STRATEGY = "stop_strategy"
    SET_PARAMETER = "set_parameter"


SHUTDOWN = "shutdown"
"""Who asks for an orderly end: what this one forbids does not outlive the session."""


class RefusalCode(StrEnum):
    """Why our own risk gate said no. Codes never change their meaning."""

    TRADING_HALTED = "TRADING_HALTED"
    TRADING_REDUCING = "TRADING_REDUCING"
    DATA_STALE = "DATA_STALE"
    DATA_GAP = "DATA_GAP"
    DATA_WARMING_UP = "DATA_WARMING_UP"
    VENUE_UNAVAILABLE = "VENUE_UNAVAILABLE"
    POSITION_TOO_LARGE = "POSITION_TOO_LARGE"
    EXPOSURE_TOO_LARGE = "EXPOSURE_TOO_LARGE"
    POSITIONS_TOO_MANY = "POSITIONS_TOO_MANY"
    DAILY_LOSS_REACHED = "DAILY_LOSS_REACHED"
    DRAWDOWN_REACHED = "DRAWDOWN_REACHED"
    EQUITY_FLOOR_REACHED = "EQUITY_FLOOR_REACHED"
    MARGIN_INSUFFICIENT = "MARGIN_INSUFFICIENT"
    PRICE_OUT_OF_BAND = "PRICE_OUT_OF_BAND"
    SPREAD_TOO_WIDE = "SPREAD_TOO_WIDE"
    ORDER_TOO_SMALL = "ORDER_TOO_SMALL"
    ORDER_IN_FLIGHT = "ORDER_IN_FLIGHT"
    ORDERS_TOO_MANY = "ORDERS_TOO_MANY"
    RATE_BUDGET_SPENT = "RATE_BUDGET_SPENT"
    LEVERAGE_UNKNOWN = "LEVERAGE_UNKNOWN"
    INSTRUMENT_UNKNOWN = "INSTRUMENT_UNKNOWN"
    INSTRUMENT_DELISTED = "INSTRUMENT_DELISTED"
    STRATEGY_STOPPED = "STRATEGY_STOPPED"
    STRATEGY_FAILED = "STRATEGY_FAILED"
    STOP_MISSING = "STOP_MISSING"


class RejectionCode(StrEnum):
    """The venue's no, classified from its text; ``UNCLASSIFIED`` keeps the text and is reported."""

    MIN_NOTIONAL = "MIN_NOTIONAL"
    TICK_INVALID = "TICK_INVALID"
    SIZE_INVALID = "SIZE_INVALID"
    PRICE_TOO_FAR = "PRICE_TOO_FAR"
    MARGIN_INSUFFICIENT = "MARGIN_INSUFFICIENT"
    REDUCE_ONLY_WOULD_INCREASE = "REDUCE_ONLY_WOULD_INCREASE"
    POST_ONLY_WOULD_MATCH = "POST_ONLY_WOULD_MATCH"
    IOC_NO_MATCH = "IOC_NO_MATCH"
    TRIGGER_INVALID = "TRIGGER_INVALID"
    OPEN_ORDERS_TOO_MANY = "OPEN_ORDERS_TOO_MANY"
    OPEN_INTEREST_CAPPED = "OPEN_INTEREST_CAPPED"
    ASSET_UNKNOWN = "ASSET_UNKNOWN"
    ASSET_HALTED = "ASSET_HALTED"
    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    CLOID_DUPLICATE = "CLOID_DUPLICATE"
    NONCE_INVALID = "NONCE_INVALID"
    ACTION_EXPIRED = "ACTION_EXPIRED"
    SIGNER_UNKNOWN = "SIGNER_UNKNOWN"
    RATE_LIMITED = "RATE_LIMITED"
    POST_ONLY_WINDOW = "POST_ONLY_WINDOW"
    SELF_TRADE = "SELF_TRADE"
    UNCLASSIFIED = "UNCLASSIFIED"
