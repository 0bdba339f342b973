"""Who stands behind an address: recorded answers, unknown shapes, and the venue's own switch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.api.account_reads import (
    LeverageInForce,
    Vault,
    equity_micro,
    leverage_in_force,
    named_agents,
    spot_holdings,
    sub_accounts,
    vault_of,
)
from core.model.errors import CredentialError, VenueError
from core.model.time import NS_PER_MS
from tests.api.clients import NOW_MS, VAULT, client, sent
from tests.api.fake_venue import FakeVenue
from tests.api.recordings import response

USER = "0x" + "a1" * 20
GATE = (
    "Cannot set scheduled cancel time until enough volume traded. Required: $1000000. "
    "Traded: $12066.75."
)


class Says:
    """Answers every query with one document."""

    def __init__(self, document: Any) -> None:
        self.raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def ask(self, kind: str, **fields: str) -> bytes:
        self.asked.append((kind, fields))
        return self.raw


async def test_named_agents_with_and_without_an_end() -> None:
    says = Says(
        [{"name": "bot", "address": "0xAB", "validUntil": 17}, {"name": "x", "address": "0xc"}]
    )
    first, second = await named_agents(says, USER)
    assert (first.address, first.valid_until_ns) == ("0xab", 17 * NS_PER_MS)
    assert second.valid_until_ns is None
    assert says.asked == [("extraAgents", {"user": USER})]


async def test_sub_accounts_as_recorded_and_none_at_all() -> None:
    (sub,) = await sub_accounts(Says(response("jkorf-subAccounts")), USER)
    assert (sub.name, sub.equity_micro) == ("Test", 29_780_010)
    assert await sub_accounts(Says(None), USER) == ()


async def test_spot_balances_as_recorded_without_those_that_are_nothing() -> None:
    holdings = await spot_holdings(Says(response("gohl-spotClearinghouseState")), USER)
    assert [(h.coin, h.total, h.is_usdc) for h in holdings] == [
        ("USDC", "19.9969993", True),
        ("HYPE", "0.24965", False),
        ("USOL", "0.9993", False),
    ]
    assert holdings[0].total_micro == 19_996_999
    (usdc, hype) = await spot_holdings(Says(response("jkorf-spotClearinghouseState-HYPE")), USER)
    assert (usdc.total, hype.coin, hype.total_micro) == ("2.77363", "HYPE", 9_591)
    nothing = {"balances": [{"coin": "USDC", "token": 0, "total": "0.0", "hold": "0.0"}]}
    assert await spot_holdings(Says(nothing), USER) == ()


async def test_vaults_known_and_unknown() -> None:
    vault = await vault_of(Says({"name": "Pool", "leader": "0xAB", "apr": 0.1}), USER)
    assert vault == Vault("Pool", "0xab", False)
    assert await vault_of(Says(None), USER) is None


async def test_equity_and_leverage() -> None:
    state = {"marginSummary": {"accountValue": "105.5"}, "assetPositions": []}
    assert await equity_micro(Says(state), USER) == 105_500_000
    asset = {"user": USER, "coin": "BTC", "leverage": {"type": "isolated", "value": 3}}
    assert await leverage_in_force(Says(asset), USER, "BTC") == LeverageInForce(3, False)


@pytest.mark.parametrize("raw", [b"{", b'"no"', b"[1]", b'{"balances": 3}'])
async def test_what_is_not_understood_is_the_venues_trouble(raw: bytes) -> None:
    for read in (named_agents, sub_accounts, vault_of, spot_holdings, equity_micro):
        with pytest.raises(VenueError, match="should be understandable"):
            await read(Says(raw), USER)


async def test_an_amount_that_is_no_number_is_told() -> None:
    with pytest.raises(VenueError, match="should be a number"):
        await equity_micro(Says({"marginSummary": {"accountValue": "much"}}), USER)


# --- the venue's own switch -----------------------------------------------------------------------


async def test_the_switch_is_set_and_cleared_for_the_account_traded(venue: FakeVenue) -> None:
    api = client(venue, vault_address=VAULT)
    try:
        assert await api.schedule_cancel((NOW_MS + 90_000) * NS_PER_MS) == ""
        assert await api.schedule_cancel(None) == ""
    finally:
        await api.close()
    assert sent(venue) == [
        {"type": "scheduleCancel", "time": NOW_MS + 90_000},
        {"type": "scheduleCancel"},
    ]
    assert {body["vaultAddress"] for body in venue.actions} == {VAULT}


async def test_the_venues_no_to_its_switch_is_returned_and_silence_raised(
    venue: FakeVenue,
) -> None:
    venue.exchange_answers.append((200, {"status": "err", "response": GATE}))
    venue.exchange_answers.append((502, "bad gateway"))
    api = client(venue)
    try:
        assert await api.schedule_cancel(None) == GATE
        with pytest.raises(VenueError, match="should be answered"):
            await api.schedule_cancel(None)
    finally:
        await api.close()


async def test_the_switch_needs_a_key(venue: FakeVenue) -> None:
    api = client(venue, signer=None, account=USER)
    with pytest.raises(CredentialError, match="signed by a key"):
        await api.schedule_cancel(None)
    await api.close()
