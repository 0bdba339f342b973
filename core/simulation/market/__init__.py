"""Where markets come from: recorded, drawn from candles, or generated, all as the same ticks."""
