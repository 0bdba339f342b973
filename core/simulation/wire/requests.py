"""Requests as clients send them, and answers as the server returns them.

Only the outer shape is read here: what an action means is the exchange desk's business, what a
query means the info desk's.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.actions import WireSignature

UNPARSEABLE = "Failed to deserialize the JSON body into the target type"
"""Start of the venue's text for a body it cannot read (HTTP 422)."""


TOO_DEEP = "recursion limit exceeded"
"""How the venue's JSON reader words nesting beyond its limit; the limit itself is our reader's."""


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer: status, body, and whether the body is plain text or a page, else JSON."""

    status: int
    body: bytes
    is_text: bool = False
    is_html: bool = False


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """Body of ``POST /exchange``; ``action`` stays raw until it is decoded canonically."""

    action: msgspec.Raw
    nonce: int
    signature: WireSignature
    vault_address: str | None = None
    expires_after: int | None = None


class RequestError(Exception):
    """The request is not one the venue can read; the text goes into the 422 answer."""


_encode = msgspec.json.Encoder().encode
_envelopes = msgspec.json.Decoder(Envelope)
_mappings = msgspec.json.Decoder(dict[str, Any])

TOO_MANY_REQUESTS = Answer(429, b"null")
"""The venue's body for 429 is not documented; ``null`` is what its official client copes with."""


class _Kind(msgspec.Struct, frozen=True):
    """The type of a query, or of what an action's envelope holds."""

    type: str


class _Action(msgspec.Struct, frozen=True):
    """The part of an envelope that tells what it holds."""

    action: _Kind


_kinds = msgspec.json.Decoder(_Kind)
_actions = msgspec.json.Decoder(_Action)


def kind_of(path: str, raw: bytes) -> str:
    """Return the type of the query or action that a body holds; empty if it holds none."""
    try:
        return _actions.decode(raw).action.type if path == "exchange" else _kinds.decode(raw).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def json_answer(data: Any) -> Answer:
    """Answer with compact JSON."""
    return Answer(200, _encode(data))


def unparseable(detail: str) -> Answer:
    """Answer that a body is not a request."""
    return Answer(422, f"{UNPARSEABLE}: {detail}".encode(), is_text=True)


def error_body(text: str) -> dict[str, Any]:
    """Return the venue's refusal of a whole action."""
    return {"status": "err", "response": text}


def decode_envelope(raw: bytes | msgspec.Raw) -> Envelope:
    """Read the body of ``/exchange``.

    Raises
    ------
    RequestError
        If it is none.
    """
    try:
        return _envelopes.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(str(error)) from None
    except RecursionError:
        raise RequestError(TOO_DEEP) from None


def decode_query(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Read the body of ``/info``; `RequestError` if it is no object with a ``type``."""
    try:
        query = _mappings.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(str(error)) from None
    except RecursionError:
        raise RequestError(TOO_DEEP) from None
    if not isinstance(query.get("type"), str):
        raise RequestError("missing field `type`")
    return query
