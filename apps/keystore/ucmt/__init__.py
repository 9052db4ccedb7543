"""The keystore interface of Stackup off the chain: trees, updates, and signatures for its four verifiers.

    node = encode_node(verifier, configure_ecdsa(owner))
    tree = grow_tree([keccak256(node), ...])                     # tree.root is the user's refHash
    update = RootUpdate(ref_hash=tree.root, next_hash=other.root, nonce=0, account=account,
                        proof=tree.prove(0), node=node, next_proof=other.prove(0))
    update = replace(update, data=sign_ecdsa(key, compute_update_message(update)))
    judge_update(update, {verifier: judge_ecdsa})                # True, or what the contract would say
    encode_handle_updates([update])                              # calldata, sent by anybody

`python -m apps.keystore.ucmt` does the same from the command line. The contracts are in `apps/keystore/contracts/ucmt`.
"""

from .judging import judge_update
from .nodes import (
    compute_account_address,
    configure_cosign,
    configure_ecdsa,
    configure_multisig,
    configure_webauthn,
    encode_node,
    encode_proof,
)
from .rollup import app
from .signatures import (
    encode_account_signature,
    encode_cosigned,
    encode_multisig,
    encode_webauthn,
    sign_ecdsa,
    sign_multisig,
    wrap_message,
)
from .trees import PairTree, fold_proof, grow_tree
from .updates import (
    RootUpdate,
    compute_update_message,
    encode_handle_updates,
    join_nonce,
    read_update,
    split_nonce,
    update_to_json,
)
from .verifiers import (
    JUDGES,
    ContractReverts,
    Judge,
    judge_cosign,
    judge_ecdsa,
    judge_multisig,
    judge_webauthn,
)

__all__ = [
    "JUDGES",
    "ContractReverts",
    "Judge",
    "PairTree",
    "RootUpdate",
    "app",
    "compute_account_address",
    "compute_update_message",
    "configure_cosign",
    "configure_ecdsa",
    "configure_multisig",
    "configure_webauthn",
    "encode_account_signature",
    "encode_cosigned",
    "encode_handle_updates",
    "encode_multisig",
    "encode_node",
    "encode_proof",
    "encode_webauthn",
    "fold_proof",
    "grow_tree",
    "join_nonce",
    "judge_cosign",
    "judge_ecdsa",
    "judge_multisig",
    "judge_update",
    "judge_webauthn",
    "read_update",
    "sign_ecdsa",
    "sign_multisig",
    "split_nonce",
    "update_to_json",
    "wrap_message",
]
