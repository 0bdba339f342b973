"""Compare loose data with a msgspec struct and tell everything that is wrong with it, at once.

A decoder stops at the first error; a person who edits a configuration wants them all. Knows
nothing of any particular configuration.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect

from core.utils.redact import scrub

_VALUE_TEXT_MAX = 60


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong: ``path`` is dotted, ``text`` says expected and was."""

    path: str
    text: str

    def __str__(self) -> str:
        """Write ``path: expected …, was …``."""
        return f"{self.path}: {self.text}" if self.path else self.text


def find_problems(value: Any, kind: type[msgspec.Struct], path: str = "") -> list[Problem]:
    """List everything that keeps ``value`` from being a ``kind``, in the struct's order.

    Parameters
    ----------
    value : object
        Plain data as JSON gives it.
    kind : type of msgspec.Struct
        With constrained types; unknown keys count as problems, missing ones only if required.
    path : str
        Put before each problem's own path.
    """
    return list(_check(value, inspect.type_info(kind), path))


def nearest_text(word: str, known: list[str]) -> str:
    """Return ``; did you mean 'x'?`` for the closest known word, or nothing if none is close."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def value_text(value: Any) -> str:
    """Write a found value for an error text: short, as JSON would, never a secret."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = scrub(repr(value))
    return text if len(text) <= _VALUE_TEXT_MAX else text[: _VALUE_TEXT_MAX - 1] + "…"


def _check(value: Any, kind: inspect.Type, path: str) -> Iterator[Problem]:
    if isinstance(kind, inspect.Metadata):
        yield from _check(value, kind.type, path)
    elif isinstance(kind, inspect.StructType):
        yield from _check_struct(value, kind, path)
    elif isinstance(kind, inspect.VarTupleType):
        yield from _check_list(value, kind, path)
    elif isinstance(kind, inspect.UnionType):
        if not any(_is_valid(value, member) for member in kind.types):
            expected = " or ".join(_expected(member) for member in kind.types)
            yield Problem(path, f"expected {expected}, was {value_text(value)}")
    elif not _is_valid(value, kind):
        hint = ""
        if isinstance(kind, inspect.LiteralType) and isinstance(value, str):
            hint = nearest_text(value, [str(v) for v in kind.values])
        yield Problem(path, f"expected {_expected(kind)}, was {value_text(value)}{hint}")


def _check_struct(value: Any, kind: inspect.StructType, path: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem(path, f"expected an object, was {value_text(value)}")
        return
    fields = {field.encode_name: field for field in kind.fields}
    for name, field in fields.items():
        where = f"{path}.{name}" if path else name
        if name in value:
            yield from _check(value[name], field.type, where)
        elif field.required:
            yield Problem(where, f"expected {_expected(field.type)}, was missing")
    for name in value:
        if name not in fields:
            where = f"{path}.{scrub(str(name))}" if path else scrub(str(name))
            yield Problem(
                where,
                f"expected a known key, was unknown{nearest_text(str(name), list(fields))}",
            )


def _check_list(value: Any, kind: inspect.VarTupleType, path: str) -> Iterator[Problem]:
    if not isinstance(value, list | tuple):
        yield Problem(path, f"expected {_expected(kind)}, was {value_text(value)}")
        return
    low, high = kind.min_length or 0, kind.max_length
    if len(value) < low or (high is not None and len(value) > high):
        yield Problem(path, f"expected {_expected(kind)}, was {len(value)} entries")
    for i, entry in enumerate(value):
        yield from _check(entry, kind.item_type, f"{path}[{i}]")


def _is_valid(value: Any, kind: inspect.Type) -> bool:
    match kind:
        case inspect.Metadata():
            return _is_valid(value, kind.type)
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType():
            return type(value) is int and _is_within(value, kind)
        case inspect.FloatType():
            return type(value) in (int, float) and _is_finite(value) and _is_within(value, kind)
        case inspect.StrType():
            return isinstance(value, str)
        case inspect.LiteralType():
            return isinstance(value, str | int) and value in kind.values
        case inspect.NoneType():
            return value is None
        case _:
            raise AssertionError(f"invariant: a settings type is known here, was {kind}")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for any float
        return False


def _is_within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            return _expected(kind.type)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range_text(kind)
        case inspect.FloatType():
            return "a finite number" + _range_text(kind)
        case inspect.StrType():
            return "a text"
        case inspect.LiteralType():
            return " or ".join(repr(v) for v in sorted(kind.values, key=str))
        case inspect.NoneType():
            return "null"
        case inspect.VarTupleType():
            bounds = kind.min_length or 0, kind.max_length
            count = (
                "" if bounds == (0, None) else f" of {bounds[0]} to {bounds[1] or 'any'} entries"
            )
            return "a list" + count
        case _:
            return "an object"


def _range_text(kind: inspect.IntType | inspect.FloatType) -> str:
    limits = (
        ("above", kind.gt),
        ("at least", kind.ge),
        ("below", kind.lt),
        ("at most", kind.le),
    )
    parts = [f"{word} {limit}" for word, limit in limits if limit is not None]
    return " " + " and ".join(parts) if parts else ""
