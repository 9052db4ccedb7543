"""What the keystore contract does with an update, in Python: in the same order, with the same errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microrollup.crypto.keccak import keccak256

from .nodes import VERIFIER_BYTES
from .trees import fold_proof
from .updates import RootUpdate, compute_update_message, split_nonce
from .verifiers import ContractReverts, Judge

__all__ = ["judge_update"]


def judge_update(
    update: RootUpdate,
    verifiers: Mapping[bytes, Judge],
    *,
    root: bytes | None = None,
    sequence: int = 0,
    chain_id: int = 0,
    registered: bytes = b"",
) -> bool:
    """Whether the update would change the root; False if a verifier answers that it is not signed.

    `root` is the account's current one (default: `refHash`), `sequence` the next of the nonce's key, `registered` the
    node that an update without a proof means, `verifiers` the judge of each verifier's address. Raises
    `ContractReverts` where the contract would revert.
    """
    if split_nonce(update.nonce)[1] != sequence:
        raise ContractReverts("InvalidNonce", f"the next sequence of this key is {sequence}")
    node = update.node
    if update.proof is None:
        node = registered
        if keccak256(node) != update.node:
            raise ContractReverts("UnregisteredProof", "no such node is registered")
    else:
        _check_inclusion(update.node_hash, update.proof, update.ref_hash if root is None else root, "InvalidProof")
    message = compute_update_message(update, chain_id)
    if not _ask(verifiers, node, message, update.data):
        return False
    kept = keccak256(update.next_node) if update.next_node else update.node_hash
    _check_inclusion(kept, update.next_proof, update.next_hash, "InvalidNextProof")
    return not update.next_node or _ask(verifiers, update.next_node, message, update.next_data)


def _check_inclusion(leaf: bytes, siblings: Sequence[bytes], root: bytes, reason: str) -> None:
    if fold_proof(leaf, siblings) != root:
        raise ContractReverts(reason, f"0x{leaf.hex()} is not in the tree 0x{root.hex()}")


def _ask(verifiers: Mapping[bytes, Judge], node: bytes, message: bytes, data: bytes) -> bool:
    if len(node) < VERIFIER_BYTES:
        raise ContractReverts("InvalidNode", f"a node has at least {VERIFIER_BYTES} bytes, not {len(node)}")
    verifier = node[:VERIFIER_BYTES]
    if not any(verifier):
        raise ContractReverts("InvalidVerifier", "the verifier is the zero address")
    judge = verifiers.get(verifier)
    if judge is None:
        raise ContractReverts("", f"0x{verifier.hex()} is not a known verifier")
    return judge(message, data, node[VERIFIER_BYTES:])
