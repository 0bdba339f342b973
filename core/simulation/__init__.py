"""The venue that the system brings along: matching, margin, funding, liquidation, in integers.

It may use `core.model`, `core.utils` and the wire words of `core.api`; it knows no strategy and
no engine. The venue core is synchronous and deterministic: time and markets come in as ticks.
"""
