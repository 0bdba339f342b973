"""Put a system together and run it: demo, live, paper, backtest, replay.

The rooms below know nothing of one another; here they meet. Modes differ only in event source,
exchange client, clock and journal sink, and `compose` holds the only branch on the mode.
"""
