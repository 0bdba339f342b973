"""The venue itself: accounts, books, matching, margin, funding, liquidation, in integers.

Functions over one state; `core.simulation.exchange` is their door. No clock, no I/O, no wire.
"""
