"""HTTP: reads repeat, actions never do, and nothing leaves that the venue would misread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec
import pytest

from core.api.actions import CancelAction, CancelWire, NoopAction, OrderAction, UsdSendAction
from core.api.answers import Accepted, Refused, Unanswered
from core.api.nonces import NonceSource
from core.api.rate_limiter import Lane, RateLimiter
from core.api.rest_client import (
    READ_ATTEMPTS_MAX,
    ActionExpiredError,
    RestClient,
    check_request,
    signed_request,
)
from core.api.signing import Signer
from core.model.errors import CredentialError, VenueError
from core.model.time import NS_PER_MS
from core.utils.clock import ManualClock
from tests.api.fake_venue import FakeVenue
from tests.api.instruments import ADDRESS, KEY

NOW_MS = 1_700_000_000_000
_T = TypeVar("_T")


class Bench:
    """A client on a clock that a test moves."""

    def __init__(self, venue: FakeVenue, **options: Any) -> None:
        self.clock = ManualClock(NOW_MS * NS_PER_MS)
        self.limiter = RateLimiter(self.clock)
        self.signer = Signer(KEY)
        self.nonces = NonceSource(self.clock)
        self.rest = RestClient(venue.url, self.clock, self.limiter, jitter=lambda: 1.0, **options)

    async def exchange(self, action: Any = None, **options: Any) -> Any:
        return await self.rest.exchange(action or NoopAction(), self.signer, self.nonces, **options)


async def moving(clock: ManualClock, work: Awaitable[_T]) -> _T:
    """Run ``work`` while time passes whenever something sleeps."""
    task = asyncio.ensure_future(work)
    while not task.done():
        if clock.sleeper_count:
            await clock.advance(0.1)
        else:
            await asyncio.wait((task,), timeout=0.001)
    return task.result()


async def test_a_read(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.answer("l2Book", (200, {"x": 1}))
    raw = await bench.rest.info("l2Book", coin="BTC", nSigFigs=None)
    assert msgspec.json.decode(raw) == {"x": 1}
    assert venue.infos == [{"type": "l2Book", "coin": "BTC"}]
    assert bench.limiter.ip_weight_used == 2
    bench.rest.charge_rows("userFills", 2000)
    assert bench.limiter.ip_weight_used == 102
    await bench.rest.close()
    await bench.rest.close()


async def test_reads_repeat_with_growing_pauses(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.answer("meta", (500, "null"), (502, "<html>"), (200, []))
    assert await moving(bench.clock, bench.rest.info("meta")) == b"[]"
    assert len(venue.infos) == 3
    waited_ms = bench.clock.now_ns() // NS_PER_MS - NOW_MS
    assert 1_500 <= waited_ms <= 1_800
    await bench.rest.close()


async def test_a_429_quiets_the_whole_address(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.answer("meta", (429, ""), (200, []))
    await moving(bench.clock, bench.rest.info("meta"))
    assert bench.clock.now_ns() // NS_PER_MS - NOW_MS >= 10_000
    await bench.rest.close()


async def test_reads_give_up_and_say_why(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.answer("meta", (503, "maintenance"))
    with pytest.raises(VenueError, match=r"gave up after 6 attempts, last: HTTP 503.*maintenance"):
        await moving(bench.clock, bench.rest.info("meta"))
    assert len(venue.infos) == READ_ATTEMPTS_MAX
    await bench.rest.close()


async def test_a_wrong_read_is_not_repeated(venue: FakeVenue) -> None:
    bench = Bench(venue)
    with pytest.raises(VenueError, match="should be understood by the venue, was answered 422"):
        await bench.rest.info("nonsense")
    assert len(venue.infos) == 1
    await bench.rest.close()


async def test_nobody_there(venue: FakeVenue) -> None:
    bench = Bench(venue)
    bench.rest.base_url = "http://127.0.0.1:1"
    with pytest.raises(VenueError, match="ClientConnectorError"):
        await moving(bench.clock, bench.rest.info("meta"))
    answer = await bench.exchange()
    assert isinstance(answer, Unanswered)
    await bench.rest.close()


async def test_an_action(venue: FakeVenue) -> None:
    bench = Bench(venue)
    cancel = CancelAction(cancels=[CancelWire(0, i) for i in range(39)])
    answer = await bench.exchange(cancel, lane=Lane.CANCEL, expires_after=NOW_MS + 5, item_count=39)
    assert answer == Accepted("default")
    (sent,) = venue.actions
    assert sent["nonce"] == NOW_MS
    assert sent["expiresAfter"] == NOW_MS + 5
    assert "vaultAddress" not in sent
    assert sent["action"]["type"] == "cancel"
    assert bench.limiter.ip_weight_used == 1
    await bench.rest.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((0, ""), "Disconnected"),
        ((500, b"null"), "HTTP 500: null"),
        ((502, b"<html>"), "HTTP 502"),
        ((408, ""), "HTTP 408"),
        ((200, b"<html>"), "could not be read"),
        ((200, b"null"), "could not be read"),
        ((200, {"status": "ok", "response": {"data": 1}}), "could not be read"),
        ((200, {"status": "later", "response": "x"}), "unknown status 'later'"),
        ((200, {"status": "err", "response": "Invalid nonce: duplicate nonce 5"}), "duplicate"),
    ],
)
async def test_an_action_without_a_usable_answer_is_never_repeated(
    venue: FakeVenue, answer: tuple[int, Any], reason: str
) -> None:
    bench = Bench(venue)
    venue.exchange_answers.append(answer)
    result = await bench.exchange()
    assert isinstance(result, Unanswered)
    assert reason in result.reason
    assert len(venue.actions) == 1
    assert bench.clock.now_ns() // NS_PER_MS == NOW_MS
    await bench.rest.close()


async def test_a_slow_answer_times_out_in_the_worlds_time(venue: FakeVenue) -> None:
    released = asyncio.Event()
    venue.on_exchange = released.wait
    bench = Bench(venue, http_wall_seconds=0.05)
    assert await bench.exchange() == Unanswered("timed out")
    assert len(venue.actions) == 1
    released.set()
    await bench.rest.close()


async def test_an_action_refused_by_http(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.exchange_answers.append((422, b"Failed to deserialize"))
    assert await bench.exchange() == Refused("HTTP 422: Failed to deserialize")
    venue.exchange_answers.append((200, {"status": "err", "response": "Action already expired"}))
    assert await bench.exchange() == Refused("Action already expired")
    await bench.rest.close()


async def test_an_action_that_waited_past_its_expiry_does_not_leave(venue: FakeVenue) -> None:
    bench = Bench(venue)
    bench.limiter.block(10)
    late = asyncio.create_task(bench.exchange(expires_after=NOW_MS + 10_000))
    await bench.clock.advance(10)
    with pytest.raises(ActionExpiredError, match="before it could leave"):
        await late
    assert venue.actions == []
    await bench.rest.close()


async def test_a_signed_action_follows_no_redirect(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.exchange_answers.append((307, b"elsewhere"))
    assert await bench.exchange() == Refused("HTTP 307: elsewhere")
    assert len(venue.actions) == 1
    await bench.rest.close()


async def test_a_429_on_an_action_is_no_answer(venue: FakeVenue) -> None:
    bench = Bench(venue)
    venue.exchange_answers.append((429, "slow down"))
    answer = await bench.exchange()
    assert isinstance(answer, Unanswered)
    assert answer.is_rate_limited
    waiting = asyncio.create_task(bench.limiter.acquire(1, Lane.CANCEL))
    await bench.clock.advance(9.9)
    assert not waiting.done()
    await bench.clock.advance(0.2)
    assert waiting.done()
    await bench.rest.close()


@pytest.mark.parametrize("is_mainnet", [True, False])
@pytest.mark.parametrize("vault", [None, "0x1719884eb866cb12b2287399b15f7db5e7d775ea"])
@pytest.mark.parametrize("expires", [None, NOW_MS])
def test_what_is_posted_is_recovered_as_ours(
    is_mainnet: bool, vault: str | None, expires: int | None
) -> None:
    signer = Signer(KEY)
    body = signed_request(
        NoopAction(),
        signer,
        NOW_MS,
        is_mainnet=is_mainnet,
        vault_address=vault,
        expires_after=expires,
    )
    check_request(body, ADDRESS, is_mainnet=is_mainnet)
    with pytest.raises(CredentialError, match="should be recovered as signed by"):
        check_request(body, ADDRESS, is_mainnet=not is_mainnet)


def test_user_signed_requests_are_checked_too() -> None:
    action = UsdSendAction(
        signature_chain_id="0x66eee",
        hyperliquid_chain="Testnet",
        destination=ADDRESS,
        amount="1",
        time=NOW_MS,
    )
    body = signed_request(action, Signer(KEY), NOW_MS, is_mainnet=False)
    check_request(body, ADDRESS, is_mainnet=False)
    with pytest.raises(CredentialError):
        check_request(body.replace(b'"amount":"1"', b'"amount":"2"'), ADDRESS, is_mainnet=False)


async def test_text_that_is_not_canonical_is_caught_before_it_leaves(venue: FakeVenue) -> None:
    bench = Bench(venue)
    wire = {
        "a": 0,
        "b": True,
        "p": "60000.0",
        "s": "1",
        "r": False,
        "t": {"limit": {"tif": "Gtc"}},
    }
    action = msgspec.convert({"type": "order", "orders": [wire], "grouping": "na"}, OrderAction)
    with pytest.raises(CredentialError, match="it was not sent"):
        await bench.exchange(action)
    assert venue.actions == []
    await bench.rest.close()
