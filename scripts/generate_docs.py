"""Write ``docs/generated`` from the code, which is the truth.

``configuration.md`` comes from the settings structs, ``protocol.md`` from the tables of the local
exchange's desks and from ``protocol_names.json``, which lists what Hyperliquid knows.
``python scripts/generate_docs.py`` writes them; ``--check`` exits with 1 if one is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
from msgspec.inspect import Metadata, StructType, type_info

from core.api.actions import KnownAction, MultiSigAction, decode_action
from core.api.signing import Signer
from core.model import settings
from core.model.instrument import MICRO_PER_USDC
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SampleSource
from core.simulation.wire.actions import handlers
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.channels import CHANNELS
from core.simulation.wire.exchange_desk import ExchangeDesk, tag_of
from core.simulation.wire.info_desk import InfoDesk
from core.simulation.wire.requests import RequestError, decode_envelope, unparseable

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "generated" / "configuration.md"
PROTOCOL = ROOT / "docs" / "generated" / "protocol.md"
NAMES = ROOT / "scripts" / "protocol_names.json"
SERVED = "served"
SECTIONS = (
    ("configs/trading_params.json", "", settings.TradingParams),
    ("configs/strategies_config.json", "scalping", settings.ScalpingParams),
    ("configs/strategies_config.json", "mean_reversion", settings.MeanReversionParams),
    ("configs/strategies_config.json", "grid_trading", settings.GridTradingParams),
    ("configs/strategies_config.json", "trend_following", settings.TrendFollowingParams),
    ("configs/strategies_config.json", "rl_ai", settings.RLAIParams),
    ("configs/strategies_config.json", "regime", settings.RegimeParams),
    ("configs/strategies_config.json", "selection", settings.SelectionParams),
)


def configuration_page() -> str:
    """Return the page: a table of every key with default, bounds and meaning."""
    lines = [
        "# Configuration keys",
        "",
        "Written by `scripts/generate_docs.py` from `core/model/settings.py`; do not edit.",
        "Ratios are fractions of 1, money is USDC.",
    ]
    for file, key, struct in SECTIONS:
        lines += ["", f"## {f'`{key}` in ' if key else ''}`{file}`", ""]
        lines += [(struct.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| key | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        lines += [_row(struct, field) for field in msgspec.structs.fields(struct)]
    return "\n".join(lines) + "\n"


def _row(struct: type[Any], field: msgspec.structs.FieldInfo) -> str:
    default = msgspec.json.encode(field.default).decode()
    hint = get_type_hints(struct, include_extras=True)[field.name]
    info = type_info(hint)
    return f"| `{field.name}` | `{default}` | {_allowed(info)} | {_description(info)} |"


def _description(info: Any) -> str:
    if isinstance(info, Metadata):
        return str((info.extra_json_schema or {}).get("description", "")) or _description(info.type)
    for part in getattr(info, "types", ()):
        if text := _description(part):
            return text
    return ""


def _allowed(info: Any) -> str:
    if isinstance(info, Metadata):
        return _allowed(info.type)
    if isinstance(info, StructType):
        return "an object"
    if hasattr(info, "types"):
        return " or ".join(_allowed(part) for part in info.types)
    if hasattr(info, "values"):
        return ", ".join(f"`{value}`" for value in info.values)
    bounds = [
        f"{sign} {getattr(info, name):g}"
        for name, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))
        if getattr(info, name, None) is not None
    ]
    name = type(info).__name__.removesuffix("Type").lower()
    words = {"int": "integer", "float": "number", "str": "text", "bool": "true or false"}
    words |= {"none": "null", "vartuple": "a list", "list": "a list"}
    return " ".join([words.get(name, name), *bounds])


class Protocol:
    """What the local exchange does with every name of the protocol.

    Served is what a desk has a handler for. What it has none for, and the few handlers that always
    refuse, are asked, so the words are the venue's own.
    """

    def __init__(self) -> None:
        self.names: dict[str, dict[str, Any]] = msgspec.json.decode(NAMES.read_bytes())
        self._signer = Signer("0x" + "11" * 32)
        self._start_over()
        self._known = {tag_of(kind) for kind in get_args(KnownAction)}
        self._wrappers = {tag_of(MultiSigAction)}

    def _start_over(self) -> None:
        """Take a fresh exchange, on which every nonce is unused; its clock stands at 0."""
        self._exchange = SimulatedExchange(())
        self._exchange.fund(self._signer.address, MICRO_PER_USDC)
        source = SampleSource(["BTC"])
        self._info = InfoDesk(self._exchange, MarketBoard(source, self._exchange))
        self._desk = ExchangeDesk(self._exchange)

    def served(self, path: str) -> frozenset[str]:
        """Return the names under ``info``, ``exchange`` or ``websocket`` that are answered."""
        if path == "info":
            return self._info.types
        if path == "websocket":
            return frozenset(CHANNELS)
        handled = {tag_of(kind) for kind in handlers(self._exchange)}
        return frozenset(handled | self._wrappers) - set(self.names["always_refused"])

    def verdict(self, path: str, name: str) -> str:
        """Return ``served``, or how the exchange refuses the name."""
        if name in self.served(path):
            return SERVED
        if path == "websocket":
            return "not served: `Invalid subscription`"
        return self._info_refusal(name) if path == "info" else self._action_refusal(name)

    def _info_refusal(self, name: str) -> str:
        try:
            self._info.answer({"type": name}, self._exchange.now_ns)
        except RequestError as error:
            return _not_served(error)
        raise AssertionError(f"invariant: {name} has no handler")

    def _action_refusal(self, name: str) -> str:
        action = self.names["always_refused"].get(name, {"type": name})
        if name not in self._known:
            return _not_served(RequestError(f"unknown variant `{name}`"))
        if "signatureChainId" in action:
            signature = self._signer.sign_user(dict(action))
        else:
            decoded = decode_action(msgspec.json.encode(action))
            signature = self._signer.sign_l1(decoded, 1, is_mainnet=False)
        body = {"action": action, "nonce": 1, "signature": signature}
        self._start_over()
        signed = self._desk.read(decode_envelope(msgspec.json.encode(body)))
        answer = self._desk.execute(signed, self._exchange.now_ns)
        assert answer["status"] == "err", f"invariant: {name} is always refused, was {answer}"
        return f"refused: `{answer['response']}`"


def _not_served(error: RequestError) -> str:
    answer = unparseable(str(error))
    return f"not served: HTTP {answer.status}, `` {error} ``"


def protocol_page() -> str:
    """Return the page: every name of Hyperliquid's protocol and what becomes of it here."""
    protocol = Protocol()
    lines = [
        "# Protocol coverage of the local exchange",
        "",
        "Written by `scripts/generate_docs.py` from the exchange's own tables; do not edit.",
        "The names are those of Hyperliquid's documentation, its official SDK and public clients",
        "(`scripts/protocol_names.json`).",
    ]
    for path, title in (
        ("info", "`POST /info`: queries"),
        ("exchange", "`POST /exchange`: actions"),
        ("websocket", "`/ws`: subscriptions"),
    ):
        names = protocol.names[path]
        verdicts = {name: protocol.verdict(path, name) for name in names}
        count = sum(verdict == SERVED for verdict in verdicts.values())
        lines += ["", f"## {title}", "", f"{count} of {len(names)} are served.", ""]
        lines += ["| type | local exchange | note |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {verdicts[name]} | {note} |" for name, note in names.items()]
    return "\n".join(lines) + "\n"


PAGES = {TARGET: configuration_page, PROTOCOL: protocol_page}


def main() -> int:
    """Write the pages, or compare them."""
    is_fresh = True
    for target, page in PAGES.items():
        text = page()
        if "--check" not in sys.argv[1:]:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            sys.stderr.write(f"{target.name} is out of date; run scripts/generate_docs.py\n")
            is_fresh = False
    return 0 if is_fresh else 1


if __name__ == "__main__":
    sys.exit(main())
