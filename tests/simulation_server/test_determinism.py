"""The same seed and the same requests give the same answers and frames, byte for byte.

Every channel is listened to, so that none of them can depend on anything but the venue.
"""

from __future__ import annotations

import json

import msgspec

from core.simulation.market.sample_source import SampleSource
from core.simulation.wire.channels import CHANNELS
from tests.simulation_server.venue import MASTER, open_venue, order, place


async def play(seed: int) -> tuple[list[bytes], list[bytes], str]:
    """Trade for five minutes; return answers, frames and the venue's state hash."""
    answers = []
    async with open_venue(SampleSource(["BTC", "SOL"], seed=seed), seed=seed) as venue:
        session, frames = venue.connect()
        for kind in CHANNELS:
            wish = {"type": kind, "coin": "BTC", "interval": "1m", "user": MASTER.address}
            session.handle(json.dumps({"method": "subscribe", "subscription": wish}))
        await venue.clock.advance(12.0)
        for px, tif in (("94500", "Ioc"), ("94400", "Gtc"), ("90000", "Alo"), ("95000", "Ioc")):
            body = venue.signed(place(order(px=px, tif=tif)))
            answers.append((await venue.settle(venue.server.exchange(body))).body)
            await venue.clock.advance(20.0)
        twap = {"a": 0, "b": True, "s": "0.02", "r": False, "m": 5, "t": True}
        body = venue.signed({"type": "twapOrder", "twap": twap})
        answers.append((await venue.settle(venue.server.exchange(body))).body)
        await venue.clock.advance(70.0)
        raw = b'{"type":"metaAndAssetCtxs"}'
        answers.append((await venue.settle(venue.server.info(raw))).body)
        assert venue.exchange.conservation_error_micro() == 0
        return answers, list(frames.raw), venue.exchange.state_hash()


async def test_same_seed_same_bytes() -> None:
    first, again = await play(5), await play(5)
    assert first == again
    told = {msgspec.json.decode(frame)["channel"] for frame in first[1]}
    silent = {"notification", "outcomeMetaUpdates"}
    assert told >= (set(CHANNELS) - silent - {"userEvents"}) | {"user", "subscriptionResponse"}


async def test_another_seed_differs() -> None:
    assert (await play(5))[1] != (await play(6))[1]
