"""The shape of recorded JSON, and where an answer of ours departs from it.

A shape is inferred from everything a recording holds: keys and their order, which keys are always
there, types, how numbers and addresses are written. Rows that tell their kind under ``type`` have
one shape a kind. Values are not compared.
"""

from __future__ import annotations

import re
from typing import Any

NUMBER = re.compile(r"-?\d+\.\d+")
ADDRESS = re.compile(r"0x[0-9a-f]{40}")
HASH = re.compile(r"0x[0-9a-f]{64}")
CLOID = re.compile(r"0x[0-9a-f]{32}")
TEXTS = {"number": NUMBER, "address": ADDRESS, "hash": HASH, "cloid": CLOID}
MAPS = frozenset({"mids"})
"""Keys under which names are data: every value has one shape."""
ROOT_MAPS = frozenset({"allMids"})
OPTIONAL = frozenset(
    {
        *("cloid", "reduceOnly", "builderFee", "liquidation", "rawUsd", "data", "isSnapshot"),
        *("isDelisted", "onlyIsolated", "marginMode", "growthMode", "lastGrowthModeChangeTime"),
    }
)
"""Keys that the reference calls optional: they may be missing on either side."""
NULLABLE = frozenset(
    {
        *("cloid", "tif", "liquidationPx", "midPx", "premium", "impactPxs", "twapId", "nSamples"),
        *("evmContract", "fullName", "oracleUpdater"),
    }
)
TIMES = ("time", "t", "timestamp", "statusTimestamp")


class Shape:
    """What all values at one place of a recording have in common."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.is_nullable = self.may_be_empty = False
        self.items: Shape | None = None
        self.places: list[Shape] | None = None
        self.variants: dict[str, Fields] = {}

    def learn(self, value: Any, name: str = "") -> None:
        """Take one more value into account."""
        if value is None:
            self.is_nullable = True
        elif isinstance(value, dict):
            self.kinds.add("object")
            if name in MAPS or name in ROOT_MAPS:
                self.items = self.items or Shape()
                for item in value.values():
                    self.items.learn(item)
            else:
                self.variants.setdefault(_variant(value), Fields()).learn(value)
        elif isinstance(value, list):
            self.kinds.add("list")
            self._learn_list(value)
        else:
            self.kinds.add(_kind(value))

    def _learn_list(self, value: list[Any]) -> None:
        kinds = {_kind(item) for item in value if item is not None}
        if self.places is not None or len(kinds) > 1:
            if self.places is None:
                self.places = [Shape() for _ in value]
            for place, item in zip(self.places, value, strict=True):
                place.learn(item)
            return
        self.items = self.items or Shape()
        self.may_be_empty = self.may_be_empty or not value
        for item in value:
            self.items.learn(item)

    def problems(self, value: Any, where: str, newer: frozenset[str]) -> list[str]:
        """Return how a value departs from the shape."""
        name = where.rpartition(".")[2]
        if value is None:
            return [] if self.is_nullable or name in NULLABLE else [f"{where}: null"]
        if not self.kinds:
            return []
        kind = _kind(value)
        if kind not in self.kinds and not (kind in TEXTS and "text" in self.kinds):
            return [f"{where}: {kind} {value!r:.60}, recorded {sorted(self.kinds)}"]
        if isinstance(value, dict):
            return self._object_problems(value, where, newer)
        if isinstance(value, list):
            return self._list_problems(value, where, newer)
        return []

    def _object_problems(
        self, value: dict[str, Any], where: str, newer: frozenset[str]
    ) -> list[str]:
        if self.items is not None:
            found: list[str] = []
            for key, item in value.items():
                found += self.items.problems(item, f"{where}[{key}]", newer)
            return found
        fields = self.variants.get(_variant(value))
        # A kind of row that was not recorded has no shape to keep.
        return [] if fields is None else fields.problems(value, where, newer)

    def _list_problems(self, value: list[Any], where: str, newer: frozenset[str]) -> list[str]:
        if self.places is not None:
            if len(value) != len(self.places):
                return [f"{where}: {len(value)} items, recorded {len(self.places)}"]
            pairs = list(zip(self.places, value, strict=True))
        else:
            assert self.items is not None
            if not value and not self.may_be_empty:
                return [f"{where}: nothing to compare"]
            pairs = [(self.items, item) for item in value]
        found: list[str] = []
        for i, (shape, item) in enumerate(pairs):
            found += shape.problems(item, f"{where}[{i}]", newer)
        return found


class Fields:
    """Keys of an object: their shapes, their order, and which are always there."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}
        self.required: set[str] | None = None
        self.orders: list[list[str]] = []

    def learn(self, value: dict[str, Any]) -> None:
        """Take one more object into account."""
        self.required = set(value) if self.required is None else self.required & set(value)
        if list(value) not in self.orders:
            self.orders.append(list(value))
        for key, item in value.items():
            self.shapes.setdefault(key, Shape()).learn(item, key)

    def problems(self, value: dict[str, Any], where: str, newer: frozenset[str]) -> list[str]:
        """Return how an object departs from the recorded ones."""
        required = (self.required or set()) - OPTIONAL
        found = [f"{where}: {key} is missing" for key in sorted(required - set(value))]
        unknown = set(value) - set(self.shapes) - OPTIONAL - newer
        found += [f"{where}: {key} was never recorded" for key in sorted(unknown)]
        is_sorted = all(order == sorted(order) for order in self.orders if len(order) > 2)
        # Recordings of 2023 went through a program that sorted the keys: they tell no order.
        if not is_sorted and not any(_is_in_order(list(value), order) for order in self.orders):
            found.append(f"{where}: order {list(value)}, recorded {self.orders[0]}")
        for key, item in value.items():
            if key in self.shapes:
                found += self.shapes[key].problems(item, f"{where}.{key}", newer)
        return found


def departures(
    ours: Any, theirs: Any, *, root: str = "", newer: frozenset[str] = frozenset()
) -> list[str]:
    """Return how our answer departs from a recorded one; empty if it does not.

    Parameters
    ----------
    root : str
        Type of the query or channel.
    newer : frozenset of str
        Keys that the venue added after the recording was made.
    """
    shape = Shape()
    shape.learn(theirs, root)
    return shape.problems(ours, root, newer) + _order_problems(ours, theirs, root)


def template(text: str) -> str:
    """Return an error text with its numbers and addresses blotted out."""
    return re.sub(r"\d+(\.\d+)?", "N", ADDRESS.sub("ADDRESS", text))


def _order_problems(ours: Any, theirs: Any, where: str) -> list[str]:
    """Compare in which direction rows run in time."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found: list[str] = []
        for key in set(ours) & set(theirs):
            found += _order_problems(ours[key], theirs[key], f"{where}.{key}")
        return found
    if not isinstance(ours, list) or not isinstance(theirs, list):
        return []
    recorded, own = _direction(theirs), _direction(ours)
    if recorded and own and recorded != own:
        return [f"{where}: rows run {own}, recorded {recorded}"]
    return []


def _direction(rows: list[Any]) -> str:
    for name in TIMES:
        if rows and all(isinstance(row, dict) and name in row for row in rows):
            times = [row[name] for row in rows]
            if times == sorted(times):
                return "forwards" if times[0] < times[-1] else ""
            return "backwards" if times == sorted(times, reverse=True) else ""
    return ""


def _variant(value: dict[str, Any]) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, int | float):
        return "amount"
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "list"
    for name, pattern in TEXTS.items():
        if pattern.fullmatch(value):
            return name
    return "text"


def _is_in_order(keys: list[str], recorded: list[str]) -> bool:
    common = [key for key in keys if key in recorded]
    return common == [key for key in recorded if key in keys]
