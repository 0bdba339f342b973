"""The shared words of the house: what exists, what happened, what is wished, what is asked.

Every other room speaks in these types; this one imports nothing of ours, does no I/O and knows
neither the wire format nor any strategy.
"""
