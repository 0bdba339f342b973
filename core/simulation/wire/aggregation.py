"""Partial fills of one crossing order as one fill, as ``aggregateByTime`` asks for.

Source: reference section 10.4. It knows no wire text: it makes one venue output of several.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from core.simulation.venue.outputs import FillOutput


def aggregated(outputs: Iterable[FillOutput]) -> list[FillOutput]:
    """Merge neighbouring fills of one taker order at one moment.

    Sizes, fees and closed PnL add up, the price is their average (truncated to the price unit);
    ``tid`` and the position before are those of the first. Fills of resting orders stay apart.
    """
    runs: list[list[FillOutput]] = []
    for output in outputs:
        if runs and _belongs_to(output, runs[-1][-1]):
            runs[-1].append(output)
        else:
            runs.append([output])
    return [run[0] if len(run) == 1 else _merged(run) for run in runs]


def _belongs_to(output: FillOutput, before: FillOutput) -> bool:
    fill, last = output.fill, before.fill
    if fill.is_maker or last.is_maker:
        return False
    return (fill.oid, fill.ts_exch_ns) == (last.oid, last.ts_exch_ns)


def _merged(run: list[FillOutput]) -> FillOutput:
    first, fills = run[0], [output.fill for output in run]
    lots = sum(fill.lots for fill in fills)
    fee_wei = None if first.fee_wei is None else sum(output.fee_wei or 0 for output in run)
    fill = msgspec.structs.replace(
        first.fill,
        px=sum(fill.px * fill.lots for fill in fills) // lots,
        lots=lots,
        fee_micro=sum(fill.fee_micro for fill in fills),
        closed_pnl_micro=sum(fill.closed_pnl_micro for fill in fills),
    )
    builder_fee_micro = sum(output.builder_fee_micro for output in run)
    return msgspec.structs.replace(
        first, fill=fill, fee_wei=fee_wei, builder_fee_micro=builder_fee_micro
    )
