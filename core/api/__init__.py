"""The edge: the venue's bytes on one side, our events and commands on the other.

It may use `core.model` and `core.utils`; it knows no strategy, no engine and no simulation. Nothing
outside this room speaks JSON with the venue, signs, or counts request weight.
"""
