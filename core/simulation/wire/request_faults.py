"""What planned trouble does to requests and answers; when it strikes is the plan's business.

It changes messages and knows no socket: who got which answer, and whether it arrives, is decided
where requests come in.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.actions import OrderAction
from core.model.instrument import Instrument
from core.simulation.venue import texts
from core.simulation.wire.exchange_desk import ExchangeDesk, SignedAction
from core.simulation.wire.faults import Fault
from core.simulation.wire.requests import Answer, json_answer

PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n"
    "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
STALE_MAX = 10_000


def refused(fault: Fault, phrase: str) -> Answer | None:
    """Return the answer of a fault that keeps a request from the venue; ``None`` if it does not."""
    rule = fault.rule
    if rule.fault == "too_many":
        return Answer(429, (rule.body if rule.body is not None else "null").encode())
    if rule.fault == "broken":
        page = PROXY_PAGE.format(f"{rule.status} {phrase}")
        return Answer(
            rule.status, (page if rule.body is None else rule.body).encode(), is_html=True
        )
    return None


class AnswerFaults:
    """Changes answers; remembers those that a stale venue repeats."""

    def __init__(self) -> None:
        self._stale: dict[tuple[int, bytes], Answer] = {}

    def changed(self, fault: Fault, *, kind: str, raw: bytes, answer: Answer) -> Answer:
        """Return what arrives instead of an answer."""
        rule = fault.rule
        if rule.fault == "null_body":
            return Answer(200, b"null")
        if answer.status != 200:
            return answer
        if rule.fault == "stale" and len(self._stale) < STALE_MAX:
            return self._stale.setdefault((id(rule), raw), answer)
        if rule.fault == "corrupt_row":
            return corrupted(answer, rule.row)
        if rule.fault == "clock_skew" and kind == "exchangeStatus":
            body = msgspec.json.decode(answer.body)
            return json_answer({**body, "time": body["time"] + rule.skew_ms})
        return answer


def corrupted(answer: Answer, row: int) -> Answer:
    """Break one row of a universe: its decimals become a word and its leverage disappears."""
    body = msgspec.json.decode(answer.body)
    meta = body[0] if isinstance(body, list) and body else body
    rows = meta.get("universe") if isinstance(meta, dict) else None
    if not rows:
        return answer
    broken = rows[row % len(rows)]
    broken["szDecimals"] = "five"
    broken.pop("maxLeverage", None)
    return json_answer(body)


def execute_partly(
    desk: ExchangeDesk, signed: SignedAction, now_ns: int, by_asset: dict[int, Instrument]
) -> dict[str, Any]:
    """Carry out the first, third, … order of a batch and refuse the others for want of margin."""
    action = signed.action
    if not isinstance(action, OrderAction) or action.grouping != "na":
        return desk.execute(signed, now_ns)
    kept = action.orders[::2]
    part = msgspec.structs.replace(action, orders=kept)
    body = desk.execute(msgspec.structs.replace(signed, action=part), now_ns)
    if body["status"] != "ok" or len(body["response"]["data"]["statuses"]) != len(kept):
        return body
    told = iter(body["response"]["data"]["statuses"])
    statuses = []
    for i, order in enumerate(action.orders):
        instrument = by_asset.get(order.a)
        if i % 2 == 0:
            statuses.append(next(told))
        elif instrument is None:
            statuses.append({"error": f"{texts.ASSET_UNKNOWN} asset={order.a}"})
        else:
            statuses.append({"error": texts.margin_insufficient(instrument)})
    return {"status": "ok", "response": {"type": "order", "data": {"statuses": statuses}}}
