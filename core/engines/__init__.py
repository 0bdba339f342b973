"""The trading path: from an event to the commands that follow from it.

No async, no I/O, no clock, no randomness: time comes in events. Knows the words of `core.model`
and the kernels of `core.utils.indicators`; knows no venue, no file and no concrete strategy.
"""
