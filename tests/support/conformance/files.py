"""The vector files: their names, their builders, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from conformance import (
    accounts,
    announcements,
    axiom,
    carriers,
    chain,
    crypto,
    keystore,
    mails,
    metering,
    settlement,
    ucmt,
)
from paths import VECTORS

Case = dict[str, Any]

FOLDER: Final = VECTORS / "conformance"

RULES_VERSION: Final = 2
"""Of all files. A version that is closed never changes again; this one is open, each change a commit of its own."""

CLOSED_VERSIONS: Final[frozenset[int]] = frozenset()

FORMATS: Final[dict[str, tuple[str, Callable[[], list[Case]]]]] = {
    "records": ("Records of the log: canonical msgpack arrays, and the BLAKE3 chain over them.", chain.make_records),
    "block-entries": (
        'The own entry of a block, of apps with a hook: ["block"], identity keccak256("block" || rollupId || height).',
        chain.make_block_entries,
    ),
    "upgrade-entries": (
        (
            'Entries of a block that upgrades: ["upgrade", old stfId, new stfId], identity '
            'keccak256("upgrade" || rollupId || height || index).'
        ),
        chain.make_upgrade_entries,
    ),
    "headers": (
        (
            "Block hash: keccak256 of the header's ABI words. Seal: [round, signature, info], "
            "signed over keccak256(abi.encode(blockHash, round))."
        ),
        chain.make_headers,
    ),
    "rollup-ids": ("Rollup id: keccak256(abi.encode(genesis)); and the header of height 0.", chain.make_rollup_ids),
    "receipts": ("Receipts: canonical msgpack, and their leaf in the receipts root.", chain.make_receipts),
    "item-trees": ("Positional trees of items (actions, receipts): roots and paths.", crypto.make_item_trees),
    "acknowledgements": ("Acknowledgement: EIP-712 digest and the operator's signature.", chain.make_acknowledgements),
    "attestations": ("BatchAttestation: EIP-712 digest and a verifier's signature.", settlement.make_attestations),
    "verifier-sets": (
        (
            "Sets of verifiers: identity keccak256(abi.encode(kind, members, quorum, rules)); what a batch brings: "
            "the kind's byte, then 65-byte signatures, an aggregate with its bitmap, or either of them with proofs."
        ),
        settlement.make_verifier_sets,
    ),
    "batches": ("Batches before compression, and the data hash of published bytes.", settlement.make_batches),
    "forced-queues": ("The inbox's queue of forced actions: payloads, hash chain, identities.", settlement.make_queues),
    "carried-payloads": (
        "Payloads 0x01: a signed action's record that anybody may carry; its signer, nonce and action hash.",
        settlement.make_carried_payloads,
    ),
    "carriers": (
        (
            "Carriers: payload 0x03 || canonical array of records, at most 5,000 bytes; the records that follow "
            'in the log, carrier first, and their receipts, of which the first has the event ["carried", bitmap].'
        ),
        carriers.make_carriers,
    ),
    "envelopes": (
        (
            'Envelopes of an app\'s own: ["envelope", name, raw]; payload 0x02 || length of the name || name || raw; '
            'identity keccak256("envelope" || rollupId || keccak256(name) || hash). Last what opening takes of a '
            "block's steps."
        ),
        settlement.make_envelopes,
    ),
    "announcements": (
        "What the inbox's owner announces: calls, and what holds afterwards, in L1 blocks from a start.",
        announcements.make_announcements,
    ),
    "set-hashes": ("LtHash-16 over BLAKE3: entries, lanes, and the metadata root.", crypto.make_set_hashes),
    "state-trees": ("The indexed Merkle tree: histories, roots, leaves and proofs.", crypto.make_state_trees),
    "map-keys": (
        "Keys of a Map: components one after the other, and the tree key in a silo (metadata has none).",
        crypto.make_map_keys,
    ),
    "keystore-plus-axiom": (
        (
            "Keystore+: transactions in Axiom's bytes, their EIP-712 hashes, and what they open to; "
            "the hash is keccak256 of the bytes."
        ),
        axiom.make_transactions,
    ),
    "keystore-plus-forced": ("Keystore+: what the vault on L1 forces, as payloads of the inbox.", keystore.make_forced),
    "keystore-plus-hashes": (
        "Keystore+: what is hashed by clients, contracts and the rollup alike; each is keccak256.",
        keystore.make_hashes,
    ),
    "keystore-plus-leaves": (
        "Keystore+: silo, key and leaf bytes of one entry of each settled field.",
        keystore.make_leaves,
    ),
    "keystore-plus-mails": (
        (
            "Keystore+: envelopes `dkim`, canonical msgpack [public key, header fields, signature, salt], and what "
            "they open to; the hash is keccak256(raw)."
        ),
        mails.make_mails,
    ),
    "keystore-plus-withdrawals": (
        "Keystore+: ids of withdrawals, keccak256(fromKey || nonce(32)); keys of silos 3 and 5.",
        keystore.make_withdrawal_ids,
    ),
    "signatures": ("Signature schemes: wallet form, stored form, digest and sender.", crypto.make_signatures),
    "manifests": ("Manifest of an app's code: canonical msgpack; its keccak256 is the stfId.", chain.make_manifests),
    "steps": ("The metered form: steps of small functions, or the limit that they reach.", metering.make_steps),
    "ucmt-envelopes": (
        (
            "Envelopes of the relayer's rollup: calldata of handleUpdates with one action, and what it opens to; "
            "the hash is the message that the nodes sign."
        ),
        ucmt.make_envelopes,
    ),
    "ucmt-leaves": (
        "The relayer's rollup: silo, key and leaf bytes of one entry of each settled field.",
        ucmt.make_leaves,
    ),
    "ucmt-verifiers": ("Verifiers that the envelope `ucmt` takes, and their keystores.", ucmt.make_verifiers),
    "smart-accounts": (
        "Smart accounts: configuration, data, key, address, and the ERC-7739 digest of a message.",
        accounts.make_accounts,
    ),
    "smart-account-openings": (
        "Smart accounts: how a proof of the keystore is shown, and the bytes of an operation's signature.",
        accounts.make_openings,
    ),
    "smart-account-stubs": (
        "Smart accounts: what stands for the signature in an estimate, shown from memory (mode 2), of each validator.",
        accounts.make_stubs,
    ),
    "smart-account-causes": (
        "Smart accounts: the causes for which an account does not take a signature, by name.",
        accounts.make_causes,
    ),
    "smart-account-assertions": (
        "Smart accounts: a passkey's assertion as the kernel takes it (scheme 2) and as the validator does.",
        accounts.make_assertions,
    ),
    "typed-data": ("EIP-712 actions: encoded type, type hash, domain separator, digest.", chain.make_typed_data),
}


def render(name: str) -> str:
    """The text of a format's file."""
    about, make_cases = FORMATS[name]
    document = {"format": name, "version": RULES_VERSION, "about": about, "cases": make_cases()}
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def locate(name: str) -> Path:
    """Where a format's file lies."""
    return FOLDER / f"{name}.json"


def load_cases(name: str) -> list[Case]:
    """The cases of a format as they are under version control."""
    cases: list[Case] = json.loads(locate(name).read_text())["cases"]
    return cases
