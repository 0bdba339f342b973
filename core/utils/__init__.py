"""Tools every room may use: config, credentials, logging, journal, clocks, atomic files.

Knows the words of `core.model` and nothing of strategies, venues or interfaces.
"""
