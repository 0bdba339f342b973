"""An account whose margin is pooled with spot is not traded: its equity cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.errors import CredentialError
from core.runtime.identity import check_mode

ACCOUNT = "0x" + "a1" * 20


class Venue:
    """The one question that is asked here."""

    def __init__(self, mode: str) -> None:
        self.mode = mode

    async def fetch_abstraction(self, address: str) -> str:
        assert address == ACCOUNT
        return self.mode


async def _check(mode: str) -> None:
    venue: Any = Venue(mode)
    await check_mode(venue, ACCOUNT)


@pytest.mark.parametrize("mode", ["disabled", "default", "dexAbstraction"])
async def test_separate_accounts_are_traded(mode: str) -> None:
    await _check(mode)


@pytest.mark.parametrize("mode", ["unifiedAccount", "portfolioMargin"])
async def test_pooled_accounts_are_refused_by_name(mode: str) -> None:
    with pytest.raises(CredentialError, match=f"should be in standard mode, was in {mode}"):
        await _check(mode)
