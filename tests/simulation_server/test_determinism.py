"""The same seed and the same requests give the same answers and frames, byte for byte."""

from __future__ import annotations

from core.simulation.market.sample_source import SampleSource
from tests.simulation_server.venue import MASTER, open_venue, order, place


async def play(seed: int) -> tuple[list[bytes], list[bytes], str]:
    """Trade for five minutes; return answers, frames and the venue's state hash."""
    answers = []
    async with open_venue(SampleSource(["BTC", "SOL"], seed=seed), seed=seed) as venue:
        session, frames = venue.connect()
        for wish in (
            '{"type":"bbo","coin":"BTC"}',
            '{"type":"trades","coin":"SOL"}',
            '{"type":"candle","coin":"BTC","interval":"1m"}',
            f'{{"type":"orderUpdates","user":"{MASTER.address}"}}',
            f'{{"type":"userFills","user":"{MASTER.address}"}}',
        ):
            session.handle(f'{{"method":"subscribe","subscription":{wish}}}')
        await venue.clock.advance(12.0)
        for px, tif in (("94500", "Ioc"), ("94400", "Gtc"), ("90000", "Alo"), ("95000", "Ioc")):
            body = venue.signed(place(order(px=px, tif=tif)))
            answers.append((await venue.settle(venue.server.exchange(body))).body)
            await venue.clock.advance(20.0)
        raw = b'{"type":"metaAndAssetCtxs"}'
        answers.append((await venue.settle(venue.server.info(raw))).body)
        assert venue.exchange.conservation_error_micro() == 0
        return answers, list(frames.raw), venue.exchange.state_hash()


async def test_same_seed_same_bytes() -> None:
    first, again = await play(5), await play(5)
    assert first == again
    assert len(first[1]) > 30


async def test_another_seed_differs() -> None:
    assert (await play(5))[1] != (await play(6))[1]
