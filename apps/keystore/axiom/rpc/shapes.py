"""What Axiom's methods answer, member by member, as its SDK reads it: quantities are minimal 0x-hex."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from microrollup import Address, Bytes, Bytes32

__all__ = [
    "AccountForm",
    "AuthInputs",
    "AuthenticationStatus",
    "BatchRef",
    "CallResult",
    "DepositForm",
    "ImtLeaf",
    "ImtProof",
    "ImtSibling",
    "L2Block",
    "HexQuantity",
    "SponsoredAuthInputs",
    "StateForm",
    "AccountProof",
    "SyncStatus",
    "TransactionReceipt",
    "UpdateForm",
    "WithdrawForm",
    "WithdrawalProof",
    "show_quantity",
]

HexQuantity: TypeAlias = str
"""An integer as `0x` and hex digits without leading zeros."""


def show_quantity(value: int) -> HexQuantity:
    """The quantity of an integer."""
    return hex(value)


class L2Block(Struct, frozen=True):
    """A block in Axiom's words."""

    hash: Bytes32
    """keccak256 of number, timestamp, parentHash, sequencerKeystoreAddress and the three roots."""
    number: HexQuantity
    parent_hash: Bytes32
    """The rollup's own hash of the parent."""
    timestamp: HexQuantity
    sequencer_keystore_address: Bytes32
    """12 zero bytes and the builder of the genesis."""
    state_root: Bytes32
    withdrawals_root: Bytes32
    """The state root: withdrawals are in the state's tree."""
    transactions_root: Bytes32
    """The root of all actions, Axiom's transactions among them."""
    l1_origin: HexQuantity
    transactions: list[Any] | UnsetType = UNSET
    """Hashes, or whole transactions; only those of Axiom's format, and deposits of ether."""


class SyncStatus(Struct, frozen=True):
    """How far blocks are: closed, on L1, and as deep there as the node asks for."""

    preconfirmed_l2: L2Block
    committed_l2: L2Block
    finalized_l2: L2Block


class StateForm(Struct, frozen=True):
    """What is authoritative for a keystore address; zeros for one that the state does not know."""

    data_hash: Bytes32
    vkey_hash: Bytes32
    data: Bytes
    vkey: Bytes


class ImtSibling(Struct, frozen=True):
    """A node beside the way to the root."""

    hash: Bytes32
    is_left: bool


class ImtLeaf(Struct, frozen=True):
    """A leaf of the tree: the address's own, or the one whose gap it lies in."""

    hash: Bytes32
    key_prefix: Bytes
    """1 byte: 0 for the dummy."""
    key: Bytes32
    next_key_prefix: Bytes
    next_key: Bytes32
    value: Bytes
    """What it commits to; empty for a deleted entry and for the dummy."""


class ImtProof(Struct, frozen=True):
    """A proof, from the leaf upwards."""

    is_exclusion_proof: bool
    siblings: list[ImtSibling]
    leaf: ImtLeaf


class AccountProof(Struct, frozen=True):
    """An account with its proof."""

    state: StateForm
    proof: ImtProof


class WithdrawalProof(Struct, frozen=True):
    """A withdrawal with its proof; without `to` and `amt` there is none."""

    proof: ImtProof
    to: Address | UnsetType = UNSET
    amt: HexQuantity | UnsetType = UNSET


class CallResult(Struct, frozen=True):
    """What a transaction would do after a block."""

    success: bool
    state_transitions: Any | UnsetType = UNSET
    withdrawal_transition: Any | UnsetType = UNSET


class BatchRef(Struct, frozen=True):
    """A batch: what ends with this block. Its index is the block's number, as in the bridge."""

    batch_index: HexQuantity
    sequencer_batch_index: HexQuantity
    l1_initiated_batch_index: HexQuantity
    """How many entries of the inbox's queue were taken."""
    last_block_number: HexQuantity
    kind: str


class TransactionReceipt(Struct, frozen=True):
    """What became of a transaction."""

    transaction_hash: Bytes32
    block_hash: Bytes32
    block_number: HexQuantity
    transaction_index: HexQuantity
    """Its place among all entries of the block, those that are not Axiom's too."""
    status: str
    gas: HexQuantity | UnsetType = UNSET
    gas_price: HexQuantity | UnsetType = UNSET
    """The payer has lost `gas * gasPrice + l1DataFee` wei."""
    l1_data_fee: HexQuantity | UnsetType = UNSET
    amount: HexQuantity | UnsetType = UNSET
    """Of a deposit, and of a withdrawal."""


class AccountForm(Struct, frozen=True):
    """An account as a transaction names it."""

    keystore_address: Bytes32
    salt: Bytes32
    data_hash: Bytes32
    vkey: Bytes


class DepositForm(Struct, frozen=True):
    """A DEPOSIT."""

    hash: Bytes32
    transaction_index: HexQuantity
    block_hash: Bytes32
    block_number: HexQuantity
    l1_initiated_nonce: HexQuantity
    """Its place in the inbox's queue."""
    amt: HexQuantity
    keystore_address: Bytes32
    type: str = "0x00"


class WithdrawForm(Struct, frozen=True):
    """A WITHDRAW."""

    hash: Bytes32
    transaction_index: HexQuantity
    block_hash: Bytes32
    block_number: HexQuantity
    is_l1_initiated: bool
    nonce: HexQuantity
    fee_per_gas: Bytes
    l1_initiated_nonce: Bytes
    """32 bytes, or none."""
    to: Address
    amt: HexQuantity
    user_acct: AccountForm
    user_proof: Bytes
    type: str = "0x01"


class UpdateForm(Struct, frozen=True):
    """An UPDATE."""

    hash: Bytes32
    transaction_index: HexQuantity
    block_hash: Bytes32
    block_number: HexQuantity
    is_l1_initiated: bool
    nonce: HexQuantity
    fee_per_gas: Bytes
    l1_initiated_nonce: Bytes
    """32 bytes, or none."""
    new_user_data: Bytes
    new_user_vkey: Bytes
    user_acct: AccountForm
    user_proof: Bytes
    sponsor_acct_bytes: Bytes
    """RLP of the sponsor's account; empty without a sponsor."""
    sponsor_proof: Bytes
    type: str = "0x02"


class AuthInputs(Struct, frozen=True, forbid_unknown_fields=True):
    """What proves that an account's signers have signed."""

    key_data: Bytes
    auth_data: Bytes


class ProveSponsored(Struct, frozen=True, forbid_unknown_fields=True):
    """Prove the user and the sponsor."""

    user_auth_inputs: AuthInputs
    sponsor_auth_inputs: AuthInputs


class ProveOnlySponsored(Struct, frozen=True, forbid_unknown_fields=True):
    """Prove the sponsor; the user's proof is passed on as it is."""

    user_proof: Bytes
    sponsor_auth_inputs: AuthInputs


class SponsorAndProve(Struct, frozen=True, forbid_unknown_fields=True):
    """Prove the user; the prover sponsors."""

    user_auth_inputs: AuthInputs


class SponsoredAuthInputs(Struct, frozen=True, forbid_unknown_fields=True):
    """One of three ways."""

    prove_sponsored: ProveSponsored | UnsetType = UNSET
    prove_only_sponsored: ProveOnlySponsored | UnsetType = UNSET
    sponsor_and_prove: SponsorAndProve | UnsetType = UNSET


class AuthenticationStatus(Struct, frozen=True):
    """How far a request to the signature prover is."""

    status: str
    """Pending, Completed or Failed."""
    authenticated_transaction: Bytes | UnsetType = UNSET
    error: str | UnsetType = UNSET
