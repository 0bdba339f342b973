"""Hyperliquid Nova: the rooms of the trading system (see ``docs/DEVELOPER_GUIDE.md``)."""

if not __debug__:
    raise SystemExit(
        "Nova should run with assertions on, was started with 'python -O' or PYTHONOPTIMIZE; "
        "start it without."
    )

__version__ = "0.1.0"
