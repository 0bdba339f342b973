"""Measurements that a reader can repeat: ``make bench``.

Every comparison is taken in one process, in interleaved rounds, and reported as medians and
ratios; absolute times belong to the machine named beside them.
"""
