"""Gas tables of the documents, from the snapshots that forge keeps under version control."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from paths import FOUNDRY, TESTS

__all__ = [
    "render_account_gas",
    "render_bridge_gas",
    "render_bundled_by_rules",
    "render_bundled_gas",
    "render_inbox_gas",
    "render_opened_gas",
    "render_order_gas",
    "render_proof_gas",
    "render_quorum_gas",
    "render_resolver_gas",
    "render_root_gas",
    "render_vault_gas",
]

Row = tuple[str, Sequence[str]]
"""What the first cell says, and the measured names whose figures are the second one."""

_LATER_SLOT: Final = 98_000 - 20_000
"""What a new slot of storage costs more in the schedule proposed for Glamsterdam (EIP-8037, EIP-8038; not final)."""
_LATER_BYTE: Final = 64
"""Gas of a byte of calldata there."""
_LATER: Final = "proposed prices"

_SETTLE: Final = "settle, later, {}, 2 of 3, 1 forced"
_INBOX: Final[tuple[Row, ...]] = (
    ("first batch in 1 blob", ["settle, first, 1 blob, 2 of 3"]),
    ("later batches in 1, 3, 6 blobs", [_SETTLE.format(blobs) for blobs in ("1 blob", "3 blobs", "6 blobs")]),
    (
        "later batch in calldata of 1,000 / 100,000 bytes",
        [_SETTLE.format(f"calldata of {size} bytes") for size in ("1,000", "100,000")],
    ),
    ("later batch in 1 blob, 51 of 100 attestations", ["settle, later, 1 blob, 51 of 100"]),
    ("force 200 bytes, the first / later", ["force, first, 200 bytes", "force, later, 200 bytes"]),
    ("force 8,192 bytes", ["force, later, 8,192 bytes"]),
    ("void / its cancelling", ["void", "cancelVoid"]),
    ("change of 3 / 256 verifiers", ["changeVerifiers, 3", "changeVerifiers, 256"]),
    ("change of the builder / the owner", ["changeBuilder", "changeOwner"]),
    ("deployment with 3 verifiers", ["deploy, 3 verifiers"]),
)
_ROOTS: Final[tuple[Row, ...]] = (
    ("`receiveRoot`, the first root", ["receiveRoot.first.gas"]),
    (
        "`receiveRoot`, another root, the history not full / full",
        ["receiveRoot.next.gas", "receiveRoot.full_history.gas"],
    ),
    ("`receiveRoot`, the same root again", ["receiveRoot.again.gas"]),
    ("`proveRoot`, anvil's small tries", ["proveRoot.gas"]),
)
_PROOFS: Final[tuple[Row, ...]] = (
    ("inclusion / exclusion, packed", ["inclusion.depth30", "exclusion.depth30"]),
    ("inclusion / exclusion, Axiom's form, five signers", ["axiom.inclusion.depth30", "axiom.exclusion.depth30"]),
)
_AXIOM: Final = "Axiom: 7,422 / 7,866 gas for the same bytes"
_VALIDATION_HEAD: Final = [
    "`validateUserOp`, depth 30, ECDSA",
    "cold storage",
    "without the validator",
    "signature, bytes",
    "beyond the bare 65",
    _LATER,
]
_MODES: Final = ("inclusion", "exclusion", "exclusion, previous root", "exclusion, oldest replaced root", "cached")
_OUTBOX: Final = ("intent", "delegate, ECDSA")
_ACCOUNTS: Final[tuple[Row, ...]] = (
    ("`createAccount`", ["createAccount"]),
    ("`createAccount`, the signed root replaced meanwhile", ["createAccount: the signed root was replaced"]),
    ("`pushRoot`, the same root again", ["pushRoot: the same root again"]),
    ("`pushRoot`, each of the first four newer roots", ["pushRoot: third root"]),
    ("`pushRoot`, each later one", ["pushRoot: a later root, the ring full"]),
    ("`validateUserOp` of another account by the module, inclusion, ECDSA", ["module, storage cold: inclusion, ECDSA"]),
    (
        "the same by an intent / a delegate, ECDSA",
        ["module, storage cold: intent", "module, storage cold: delegate, ECDSA"],
    ),
)
_VAULT: Final[tuple[Row, ...]] = (
    ("`deposit`, ether / ERC-20", ["deposit, ether", "deposit, ERC-20"]),
    ("`deposit`, ether, to an account that is shown", ["deposit, ether, to an account that is shown"]),
    ("`checkpoint`", ["checkpoint"]),
    ("`claim`, ether / ERC-20", ["claim, ether", "claim, ERC-20"]),
    ("`reclaim`, ether, a tree of one leaf", ["reclaim, ether, depth 0"]),
    ("`freeze`", ["freeze"]),
    ("`escape`, the caller is the vk / ECDSA", ["escape, the caller is the vk", "escape, ECDSA"]),
    ("`escape`, P-256 / passkey, without the precompile", ["escape, P-256", "escape, passkey"]),
)
_BRIDGE: Final[tuple[Row, ...]] = (
    (
        "`initiateL1Transaction`, DEPOSIT / UPDATE of 2,000 bytes",
        ["initiateL1Transaction, DEPOSIT", "initiateL1Transaction, UPDATE of 2,000 bytes"],
    ),
    ("`recordBatch`", ["recordBatch"]),
    ("`finalizeWithdrawal`", ["finalizeWithdrawal"]),
)
_OPENED: Final[tuple[Row, ...]] = (("`L1Accounts.open`, the first time", ["L1Accounts.open, the first time"]),)
_ORDERS: Final[tuple[Row, ...]] = (
    ("`open`, ether / tokens", ["open, ether", "open, tokens"]),
    ("`openFor`, tokens", ["openFor, tokens"]),
    ("`claim`, tokens", ["claim, tokens"]),
    ("`fill`, tokens", ["fill, tokens"]),
    ("`receiveVerdict` on L1, called by the bridge", ["verdict on L1"]),
    ("the vault's `endOrder`", ["endOrder"]),
)
_RESOLVER: Final[tuple[Row, ...]] = (
    ("`resolve`", ["resolve"]),
    (
        "`resolveWithProof`, a registered name / one that is not",
        ["resolveWithProof, present", "resolveWithProof, absent"],
    ),
)
_BARE_SIGNATURE_BYTES: Final = 65


def render_inbox_gas() -> str:
    """Of the inbox's calls."""
    return _render_rows(
        ["execution gas, cold storage, two of three attestations", "gas"], _INBOX, _read("inbox", "inbox")
    )


def render_quorum_gas() -> str:
    """Of a batch by sets of several sizes, two thirds of which are the quorum."""
    gas = _read("inbox", "quorums")
    head = ["verifiers", "ECDSA, a third absent", "calldata", "BLS, nobody absent", "BLS, a third absent", "calldata"]
    rows = [
        [
            str(count),
            *[
                f"{gas[name]:,}"
                for name in (
                    f"ECDSA {count}",
                    f"ECDSA {count}, calldata",
                    f"BLS {count}, nobody absent",
                    f"BLS {count}, a third absent",
                    f"BLS {count}, a third absent, calldata",
                )
            ],
        ]
        for count in (3, 12, 24, 48, 96, 192)
    ]
    return _render(head, rows)


def render_root_gas() -> str:
    """Of the ways that bring a root to a chain."""
    return _render_rows(["execution gas, cold storage", "gas"], _ROOTS, _read("keystore", "roots"))


def render_vault_gas() -> str:
    """Of paying in and out."""
    return _render_costs("execution gas, cold storage, proofs of depth 30", _VAULT, _read("vault", "vault"))


def render_bridge_gas() -> str:
    """Of the same by Axiom's interface."""
    return _render_costs("execution gas, cold storage, proofs of depth 30", _BRIDGE, _read("vault", "vault"))


def render_opened_gas() -> str:
    """Of accounts that are opened on L1."""
    return _render_costs("execution gas, cold storage, proofs of depth 30", _OPENED, _read("vault", "vault"))


def render_order_gas() -> str:
    """Of orders in both directions."""
    return _render_rows(["execution gas, cold storage, small trees", "gas"], _ORDERS, _read("vault", "orders"))


def render_resolver_gas() -> str:
    """Of resolving a name, which is called and not sent."""
    kept = _read("vault", "vault")
    rows = [
        [what, *[" / ".join([f"{kept[name + unit]:,}" for name in names]) for unit in ("", ": bytes")]]
        for what, names in _RESOLVER
    ]
    return _render(["`eth_call`, depth 30, cold storage", "gas", "the gateway's answer, bytes"], rows)


def render_proof_gas() -> str:
    """Of proofs at depth 30."""
    kept = _read("keystore", "proofs")
    rows = [
        [what, *[" / ".join([f"{kept[f'{name}.{unit}']:,}" for name in names]) for unit in ("gas", "bytes")]]
        for what, names in _PROOFS
    ]
    head = ["depth 30, execution gas of the library call alone", "gas", "bytes", "measured of others"]
    return _render(head, [[*row, _AXIOM if "Axiom" in row[0] else ""] for row in rows])


def render_account_gas() -> str:
    """Of validation in each mode, and of what an account's root costs."""
    kept = _read("accounts", "accounts")
    rows = []
    for mode in _MODES:
        gas = [f"{kept[f'validateUserOp, storage cold: {mode}, {kind}']:,}" for kind in ("ECDSA", "no check")]
        size = kept[f"signature bytes: {mode}, ECDSA"]
        later = kept[f"validateUserOp, storage cold: {mode}, ECDSA"] + _LATER_BYTE * size
        sizes = [f"{size:,}", f"{size - _BARE_SIGNATURE_BYTES:,}", f"{later:,}"]
        rows.append([mode.replace("previous", "last replaced"), *gas, *sizes])
    for mode in _OUTBOX:
        size = kept[f"signature bytes: {mode}"]
        cold = kept[f"validateUserOp, storage cold: {mode}"]
        later = cold + _LATER_BYTE * size
        rows.append([mode, f"{cold:,}", "", f"{size:,}", f"{size - _BARE_SIGNATURE_BYTES:,}", f"{later:,}"])
    return _render(_VALIDATION_HEAD, rows) + "\n" + _render_costs("execution gas, cold storage", _ACCOUNTS, kept)


def render_bundled_gas() -> str:
    """What a bundler estimated for a stub, and what the signed operation took, by validator and mode."""
    kept = json.loads((TESTS / "keystore" / "bundled_gas.json").read_text())
    rows = [
        [validator, *[f"{cell['verificationGasLimit']:,} / {cell['actualGasUsed']:,}" for cell in modes.values()]]
        for validator, modes in kept.items()
    ]
    return _render(["estimated for validation / taken by all", *next(iter(kept.values()))], rows)


def render_bundled_by_rules() -> str:
    """What a bundler that looks at each instruction of validation did with the signed operation."""
    kept = json.loads((TESTS / "keystore" / "bundled_by_rules.json").read_text())
    return _render(["safe mode", *next(iter(kept.values()))], [[name, *modes.values()] for name, modes in kept.items()])


def _read(project: str, name: str) -> dict[str, int]:
    raw = json.loads((FOUNDRY / project / "snapshots" / f"{name}.json").read_bytes())
    return {what: int(value) for what, value in raw.items()}


def _render_rows(head: list[str], rows: Sequence[Row], kept: dict[str, int]) -> str:
    return _render(head, [[what, " / ".join([f"{kept[name]:,}" for name in names])] for what, names in rows])


def _render_costs(head: str, rows: Sequence[Row], kept: dict[str, int]) -> str:
    """Gas of today, what else the call brings, and what it would cost at the proposed prices."""
    lines = []
    for what, names in rows:
        costs = [_read_costs(kept, name) for name in names]
        lines.append([what, *[" / ".join([f"{value:,}" for value in column]) for column in zip(*costs, strict=True)]])
    return _render([head, "gas", "calldata, bytes", "new slots", _LATER], lines)


def _read_costs(kept: dict[str, int], name: str) -> tuple[int, int, int, int]:
    """Gas, bytes, slots, gas at the proposed prices. Validation makes no slots; its bytes are the signature's."""
    gas = kept[name]
    if name.startswith("module, "):
        size, slots = kept[name.replace("storage cold", "signature bytes")], 0
    else:
        size, slots = kept[f"{name}: bytes"], kept[f"{name}: new slots"]
    return gas, size, slots, gas + _LATER_SLOT * slots + _LATER_BYTE * size


def _render(head: list[str], rows: list[list[str]]) -> str:
    first, *others = [f"| {' | '.join(line)} |\n" for line in (head, *rows)]
    return "".join([first, "|---" * len(head), "|\n", *others])
