"""Ledger rows: what money that moved without a trade looks like in ``userNonFundingLedgerUpdates``.

Both ends of a transfer see the same row; amounts there have no sign. Sources: reference section
10.4, recorded answers. It decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from core.model.instrument import decimal_text
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue.outputs import AssetMove, LedgerOutput, LiquidationOutput, VaultMove
from core.simulation.venue.records import USDC_WEI_PER_MICRO
from core.simulation.venue.spot import USDC_TOKEN
from core.simulation.wire.rows import Instruments, Row, liquidation_ledger_row
from core.simulation.wire.text import ms, usd_text, with_point

SEIZED = "liquidation"
"""Rows of this kind move margin to the liquidator; the venue shows the liquidation itself."""


def ledger_rows(
    exchange: SimulatedExchange,
    instruments: Instruments,
    owner: str,
    start_ns: int = 0,
    end_ns: int | None = None,
) -> list[Row]:
    """Return all rows of ``userNonFundingLedgerUpdates`` in a span, oldest first."""
    outputs: list[LedgerOutput | LiquidationOutput] = [
        output for output in exchange.ledger(owner, start_ns, end_ns) if output.kind != SEIZED
    ]
    outputs += exchange.liquidations(owner, start_ns, end_ns)
    outputs.sort(key=lambda output: output.ts_ns)
    return [
        ledger_row(output)
        if isinstance(output, LedgerOutput)
        else liquidation_ledger_row(output, instruments)
        for output in outputs
    ]


def ledger_row(output: LedgerOutput) -> Row:
    """Return a row of ``userNonFundingLedgerUpdates``."""
    fields = _FIELDS.get(output.kind, _plain)
    return {
        "time": ms(output.ts_ns),
        "hash": output.hash,
        "delta": {"type": output.kind, **fields(output)},
    }


def _usdc(output: LedgerOutput) -> str:
    """Return what arrived; the fee is part of what left."""
    fee_micro = output.fee_micro if output.amount_micro < 0 else 0
    return usd_text(abs(output.amount_micro) - fee_micro)


def _plain(output: LedgerOutput) -> Row:
    return {"usdc": _usdc(output)}


def _withdraw(output: LedgerOutput) -> Row:
    return {
        "usdc": _usdc(output),
        "nonce": ms(output.ts_ns),
        "fee": usd_text(output.fee_micro),
    }


def _class_transfer(output: LedgerOutput) -> Row:
    return {"usdc": _usdc(output), "toPerp": output.amount_micro > 0}


def _between(output: LedgerOutput) -> Row:
    is_sent = output.amount_micro < 0
    return {
        "usdc": _usdc(output),
        "user": output.owner if is_sent else output.counterparty,
        "destination": output.counterparty if is_sent else output.owner,
    }


def _internal_transfer(output: LedgerOutput) -> Row:
    return {**_between(output), "fee": usd_text(output.fee_micro)}


def _spot_transfer(output: LedgerOutput) -> Row:
    move = _move(output)
    return {
        **_token_fields(move),
        "usdcValue": _value_text(move),
        "user": move.user,
        "destination": move.destination,
        **_fee_fields(output, move),
    }


def _send(output: LedgerOutput) -> Row:
    move = _move(output)
    return {
        "user": move.user,
        "destination": move.destination,
        "sourceDex": move.source_dex,
        "destinationDex": move.destination_dex,
        **_token_fields(move),
        "usdcValue": _value_text(move),
        **_fee_fields(output, move),
    }


def _spot_genesis(output: LedgerOutput) -> Row:
    return _token_fields(_move(output))


def _vault_deposit(output: LedgerOutput) -> Row:
    return {"vault": _vault(output).vault, "usdc": _usdc(output)}


def _vault_create(output: LedgerOutput) -> Row:
    return {**_vault_deposit(output), "fee": "0.0"}


def _vault_withdraw(output: LedgerOutput) -> Row:
    move = _vault(output)
    return {
        "vault": move.vault,
        "user": move.user,
        "requestedUsd": usd_text(move.requested_micro),
        "commission": usd_text(move.commission_micro),
        "closingCost": usd_text(move.closing_cost_micro),
        "basis": usd_text(move.basis_micro),
        "netWithdrawnUsd": usd_text(
            move.requested_micro - move.commission_micro - move.closing_cost_micro
        ),
    }


def _vault_commission(output: LedgerOutput) -> Row:
    return {"user": _vault(output).user, "usdc": _usdc(output)}


def _rewards_claim(output: LedgerOutput) -> Row:
    return {"amount": _usdc(output), "token": USDC_TOKEN.name}


def _vault(output: LedgerOutput) -> VaultMove:
    assert output.vault is not None, f"invariant: a row of {output.kind} should name its vault"
    return output.vault


def _move(output: LedgerOutput) -> AssetMove:
    assert output.move is not None, f"invariant: a row of {output.kind} should tell what moved"
    return output.move


def _token_fields(move: AssetMove) -> Row:
    amount = decimal_text(move.amount_wei, move.token.wei_decimals)
    return {"token": move.token.name, "amount": with_point(amount)}


def _value_text(move: AssetMove) -> str:
    """Return the worth in USDC with six decimals, truncated."""
    return usd_text(move.usdc_value_wei // USDC_WEI_PER_MICRO)


def _fee_fields(output: LedgerOutput, move: AssetMove) -> Row:
    """Return the activation fee; ``feeToken`` is empty where none was charged, as recorded."""
    fee = with_point(decimal_text(move.fee_wei, USDC_TOKEN.wei_decimals))
    return {
        "fee": fee,
        "nativeTokenFee": "0.0",
        "nonce": ms(output.ts_ns),
        "feeToken": USDC_TOKEN.name if move.fee_wei else "",
    }


_FIELDS: dict[str, Callable[[LedgerOutput], Row]] = {
    "withdraw": _withdraw,
    "accountClassTransfer": _class_transfer,
    "internalTransfer": _internal_transfer,
    "subAccountTransfer": _between,
    "spotTransfer": _spot_transfer,
    "send": _send,
    "spotGenesis": _spot_genesis,
    "vaultCreate": _vault_create,
    "vaultDeposit": _vault_deposit,
    "vaultDistribution": _vault_deposit,
    "vaultWithdraw": _vault_withdraw,
    "vaultLeaderCommission": _vault_commission,
    "rewardsClaim": _rewards_claim,
}
