"""The recorded spot markets: names, asset ids and grids are the venue's."""

from __future__ import annotations

from core.simulation.exchange import SimulatedExchange
from core.simulation.market import universe
from core.simulation.venue.records import USDC


def test_asset_ids_follow_the_index_of_a_pair_and_not_its_place():
    pairs = {i.coin: i for i in universe.recorded_spot_instruments()}
    assert pairs["PURR/USDC"].asset == 10_000
    assert pairs["@107"].asset == 10_107
    for coin, pair in pairs.items():
        assert coin == "PURR/USDC" or pair.asset == 10_000 + int(coin.removeprefix("@"))
    places = [row["name"] for row in universe.recorded_spot_meta()["universe"]]
    assert places[71] == "@72"


def test_pairs_are_usdc_quoted_spot_with_the_precision_of_their_base():
    instruments = universe.recorded_spot_instruments()
    bases = universe.recorded_spot_bases()
    assert len(instruments) == len(bases) == 197
    assert "@207" not in bases and "@209" not in bases
    assert [i.asset for i in instruments] == sorted({i.asset for i in instruments})
    assert all(i.is_spot and i.sz_decimals == bases[i.coin].sz_decimals for i in instruments)
    names = {coin: bases[coin].name for coin in ("PURR/USDC", "@107", "@142", "@151", "@156")}
    assert list(names.values()) == ["PURR", "HYPE", "UBTC", "UETH", "USOL"]


def test_tokens_keep_index_id_and_both_precisions():
    tokens = universe.recorded_tokens()
    assert [token.index for token in tokens] == list(range(342))
    assert (tokens[USDC].name, tokens[USDC].wei_decimals) == ("USDC", 8)
    hype = tokens[150]
    assert (hype.name, hype.sz_decimals, hype.wei_decimals) == ("HYPE", 2, 8)
    assert hype.wire_name == "HYPE:0x0d01dc56dcaaca66ad901c959b4011ec"
    assert all(token.sz_decimals <= token.wei_decimals for token in tokens)


def test_the_desk_knows_every_token_that_has_a_pair():
    venue = SimulatedExchange(universe.recorded_spot_instruments())
    tokens = venue.spot.tokens
    assert tokens[0].name == "USDC" and tokens == tuple(sorted(tokens, key=lambda t: t.index))
    assert tuple(venue.spot.pairs) == tuple(i.coin for i in universe.recorded_spot_instruments())
    for token in tokens:
        assert venue.spot.token_named(token.wire_name) is token
    assert venue.spot.token_named("HYPE") is universe.recorded_tokens()[150]
    assert venue.spot.token_named("HYPE:0x00") is None
    assert venue.spot.token_named("USDC") is tokens[0]


def test_the_usdc_of_the_desk_is_the_recorded_one():
    assert SimulatedExchange(()).spot.tokens == (universe.recorded_tokens()[USDC],)
