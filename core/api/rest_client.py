"""HTTP to the venue: reads that are retried, actions that never are.

A read may be repeated, so it is, with growing pauses. An action may have been executed although its
answer was lost, so it is sent once; whoever asked gets `Unanswered` and asks by cloid. The client
recovers its own signature from the very bytes it is about to post, because the venue would not
say that a signature is wrong. This module knows paths and status codes, not what answers mean.

Source: venue documentation (info and exchange endpoints, rate limits).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from core.api.actions import Action, UserAction, decode_action
from core.api.answers import ExchangeAnswer, Refused, Unanswered, parse_answer
from core.api.nonces import NonceSource
from core.api.pace import at_least_wall
from core.api.rate_limiter import Lane, RateLimiter, answer_weight, request_weight
from core.api.signing import Signer, recover_l1, recover_user
from core.api.wire import SignedAction, decode_request, encode_request
from core.model.errors import CredentialError, VenueError
from core.model.ports import Clock
from core.model.time import ms_from_ns

HTTP_WALL_SECONDS = 10.0
"""Time-out of one HTTP request in the world's seconds: a fast venue clock must not cut it."""

READ_ATTEMPTS_MAX = 6
READ_BACKOFF_SECONDS = 0.5
READ_BACKOFF_SECONDS_MAX = 8.0
READ_BACKOFF_WALL_SECONDS_MIN = 0.05
RATE_LIMITED_SECONDS = 10.0
"""Pause after a 429 that names none; the venue's own pause is not documented."""

_HEADERS = {"Content-Type": "application/json"}
_HTTP_OK = 200
_HTTP_REQUEST_TIMEOUT = 408
_HTTP_TOO_EARLY = 425
_HTTP_RATE_LIMITED = 429
_HTTP_SERVER_ERROR = 500

_json = msgspec.json.Encoder()


class ActionExpiredError(VenueError):
    """An action's life ended before it could leave; nothing was sent."""


class _TransientError(Exception):
    """A read failed in a way that a repetition may mend."""


def signed_request(
    action: Action,
    signer: Signer,
    nonce: int,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """Return the JSON bytes of a signed request.

    A user-signed action carries its own nonce, which must equal ``nonce``, and neither vault nor
    expiry.
    """
    if isinstance(action, UserAction):
        signature = signer.sign_user(action)
        return encode_request(SignedAction(action=action, nonce=nonce, signature=signature))
    signature = signer.sign_l1(
        action,
        nonce,
        is_mainnet=is_mainnet,
        vault_address=vault_address,
        expires_after=expires_after,
    )
    return encode_request(
        SignedAction(
            action=action,
            nonce=nonce,
            signature=signature,
            vault_address=vault_address,
            expires_after=expires_after,
        )
    )


def check_request(body: bytes, address: str, *, is_mainnet: bool) -> None:
    """Read a signed request as the venue would and make sure it finds the right signer.

    Raises
    ------
    CredentialError
        If the recovered address is another one: the bytes signed are not the bytes the venue
        will hash.
    """
    request = decode_request(body)
    action = decode_action(request.action)
    if isinstance(action, UserAction):
        recovered = recover_user(action, request.signature)
    else:
        recovered = recover_l1(
            action,
            request.nonce,
            request.signature,
            is_mainnet=is_mainnet,
            vault_address=request.vault_address,
            expires_after=request.expires_after,
        )
    if recovered != address:
        raise CredentialError(
            f"request should be recovered as signed by {address}, was {recovered}; "
            "it was not sent. This is a defect: the action is not in the venue's canonical form"
        )


class RestClient:
    """Post reads and actions to one venue.

    Parameters
    ----------
    base_url : str
        Such as ``https://api.hyperliquid.xyz``, without a trailing path.
    clock : Clock
        Whose seconds back-off takes.
    limiter : RateLimiter
        Shared by everything that uses this IP address.
    session : aiohttp.ClientSession, optional
        Used and left open if given; otherwise `connect` opens one and `close` closes it.
    is_mainnet : bool
        Which network signatures are for.
    jitter : callable
        Numbers from 0 to 1 that spread retries of many clients.
    """

    def __init__(
        self,
        base_url: str,
        clock: Clock,
        limiter: RateLimiter,
        session: aiohttp.ClientSession | None = None,
        *,
        is_mainnet: bool = False,
        jitter: Callable[[], float] = random.random,
        http_wall_seconds: float = HTTP_WALL_SECONDS,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.limiter = limiter
        self.is_mainnet = is_mainnet
        self._clock = clock
        self._session = session
        self._owns_session = session is None
        self._jitter = jitter
        self._timeout = aiohttp.ClientTimeout(total=http_wall_seconds)

    async def connect(self) -> None:
        """Open the connection pool; harmless if it is open."""
        if self._session is None:
            self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        """Close what `connect` opened; harmless twice."""
        if self._owns_session and self._session is not None:
            await self._session.close()
            self._session = None

    async def info(self, kind: str, *, lane: Lane = Lane.READ, **fields: Any) -> bytes:
        """Ask the info endpoint; repeated on 429, 5xx and broken connections.

        Parameters
        ----------
        kind : str
            The request's ``type``.
        fields
            Its other keys; those that are ``None`` are left out.

        Raises
        ------
        VenueError
            If no usable answer came after all attempts, or the venue says the request is wrong.
        """
        wanted = {key: value for key, value in fields.items() if value is not None}
        body = _json.encode({"type": kind, **wanted})
        reason = ""
        for attempt in range(READ_ATTEMPTS_MAX):
            if attempt:
                await self._clock.sleep(self._backoff_seconds(attempt))
            await self.limiter.acquire(request_weight(kind), lane)
            try:
                return await self._read(kind, body)
            except _TransientError as error:
                reason = str(error)
        raise VenueError(
            f"{kind} should be answered by {self.base_url}, gave up after {READ_ATTEMPTS_MAX} "
            f"attempts, last: {reason}; check the network and the venue's status page"
        )

    def charge_rows(self, kind: str, row_count: int) -> None:
        """Count the further weight of an answer with many rows."""
        self.limiter.charge(answer_weight(kind, row_count))

    async def exchange(
        self,
        action: Action,
        signer: Signer,
        nonces: NonceSource,
        *,
        vault_address: str | None = None,
        expires_after: int | None = None,
        lane: Lane = Lane.ORDER,
        item_count: int = 1,
    ) -> ExchangeAnswer:
        """Sign an L1 action, check the signature, and post it once.

        The nonce is taken after waiting for the rate limit, so that it is fresh when it leaves.

        Parameters
        ----------
        expires_after : int, optional
            Milliseconds after which the venue must not execute it; then it does not leave either.
        item_count : int
            Orders, cancels or modifies in the action.

        Raises
        ------
        CredentialError
            If the signature would not be recovered as ours; nothing is sent.
        ActionExpiredError
            If it waited for the rate limit until it had expired; nothing is sent.
        """
        await self.limiter.acquire(request_weight("exchange", item_count), lane)
        if expires_after is not None and ms_from_ns(self._clock.now_ns()) >= expires_after:
            raise ActionExpiredError("its life was over before it could leave")
        body = signed_request(
            action,
            signer,
            nonces.next(),
            is_mainnet=self.is_mainnet,
            vault_address=vault_address,
            expires_after=expires_after,
        )
        return await self._post_action(body, signer)

    async def exchange_user_signed(
        self, action: UserAction, signer: Signer, nonce: int, *, lane: Lane = Lane.ORDER
    ) -> ExchangeAnswer:
        """Sign a user-signed action, whose own nonce or time is ``nonce``, and post it once."""
        await self.limiter.acquire(request_weight("exchange", 1), lane)
        body = signed_request(action, signer, nonce, is_mainnet=self.is_mainnet)
        return await self._post_action(body, signer)

    async def _post_action(self, body: bytes, signer: Signer) -> ExchangeAnswer:
        check_request(body, signer.address, is_mainnet=self.is_mainnet)
        try:
            status, answer, retry_after = await self._post("/exchange", body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Unanswered(_reason(error))
        text = answer[:200].decode(errors="replace")
        if status == _HTTP_OK:
            return parse_answer(answer)
        if status == _HTTP_RATE_LIMITED:
            self.limiter.block(retry_after or RATE_LIMITED_SECONDS)
            # Whether a 429 can follow an execution is not documented; asking by cloid decides.
            return Unanswered(f"HTTP 429: {text}", is_rate_limited=True)
        if status >= _HTTP_SERVER_ERROR or status in (_HTTP_REQUEST_TIMEOUT, _HTTP_TOO_EARLY):
            return Unanswered(f"HTTP {status}: {text}")
        return Refused(f"HTTP {status}: {text}")

    async def _read(self, kind: str, body: bytes) -> bytes:
        try:
            status, answer, retry_after = await self._post("/info", body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _TransientError(_reason(error)) from None
        if status == _HTTP_OK:
            return answer
        text = answer[:200].decode(errors="replace")
        if status == _HTTP_RATE_LIMITED:
            self.limiter.block(retry_after or RATE_LIMITED_SECONDS)
            raise _TransientError("HTTP 429")
        if status >= _HTTP_SERVER_ERROR:
            raise _TransientError(f"HTTP {status}: {text}")
        raise VenueError(f"{kind} should be understood by the venue, was answered {status}: {text}")

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes, float]:
        """Post once; return status, body and the pause the venue asks for (0 if none)."""
        if self._session is None:
            await self.connect()
        assert self._session is not None, "invariant: connect opens a session"
        async with self._session.post(
            self.base_url + path,
            data=body,
            headers=_HEADERS,
            timeout=self._timeout,
            # A signed action goes to the host that was chosen, and to no other.
            allow_redirects=False,
        ) as response:
            return response.status, await response.read(), _retry_after(response)

    def _backoff_seconds(self, attempt: int) -> float:
        """Double each time, up to a limit, spread over half to all of it."""
        full = min(READ_BACKOFF_SECONDS * 2.0 ** (attempt - 1), READ_BACKOFF_SECONDS_MAX)
        return at_least_wall(
            self._clock, full * (0.5 + 0.5 * self._jitter()), READ_BACKOFF_WALL_SECONDS_MIN
        )


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
