"""Ask a running bot, and give its answers their types back.

What goes over the control socket is plain JSON, where an unknown float is ``null``; here it
becomes ``nan`` again. This module prints nothing.
"""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from core.model.errors import ExitCode, NovaError

T = TypeVar("T")


class RequestRefusedError(NovaError):
    """The running bot understood a request and said no."""

    exit_code = ExitCode.USAGE


async def ask(state_dir: Path, command: str, **fields: str) -> Any:
    """Send one request to the bot running in ``state_dir`` and return its data.

    Raises
    ------
    NotRunningError
        If no bot answers there.
    RequestRefusedError
        If the bot refused; the text says why.
    """
    from core.runtime.control import control_request

    try:
        return await control_request(state_dir, command, **fields)
    except ValueError as error:
        raise RequestRefusedError(str(error)) from None


def ask_now(state_dir: Path, command: str, **fields: str) -> Any:
    """Do what `ask` does, where no event loop runs."""
    import asyncio

    return asyncio.run(ask(state_dir, command, **fields))


def typed(data: Any, kind: type[T]) -> T:
    """Rebuild a struct from plain JSON data, ``null`` in the place of a float becoming ``nan``.

    Raises
    ------
    NovaError
        If the data has another shape, as between two versions of this program.
    """
    import msgspec

    try:
        return msgspec.convert(_with_nan(data, kind), kind)
    except msgspec.ValidationError as error:
        raise NovaError(
            f"the bot's answer should be a {kind.__name__}, was not: {error}; "
            "run the same version of nova here and there"
        ) from error


def _with_nan(data: Any, kind: Any) -> Any:
    """Walk data and type together, replacing ``null`` where the type says ``float``."""
    if data is None:
        return float("nan") if kind is float else None
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        options = [option for option in typing.get_args(kind) if option is not type(None)]
        return _with_nan(data, options[0]) if len(options) == 1 else data
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (tuple, list) and isinstance(data, list) and args:
        return [_with_nan(item, args[0]) for item in data]
    if origin is dict and isinstance(data, dict):
        return {key: _with_nan(value, args[1]) for key, value in data.items()}
    if hasattr(kind, "__struct_fields__"):
        return _struct_with_nan(data, kind)
    return data


def _struct_with_nan(data: Any, kind: Any) -> Any:
    import msgspec

    fields = msgspec.structs.fields(kind)
    if isinstance(data, dict):
        kinds = {field.encode_name: field.type for field in fields}
        return {key: _with_nan(value, kinds.get(key)) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_nan(value, field.type) for value, field in zip(data, fields, strict=False)]
    return data
