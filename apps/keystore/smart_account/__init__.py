"""Smart accounts that live by the keystore (ERC-4337 v0.8): what a wallet needs to address, sign for and use them.

    configuration = configure_ecdsa(owner)
    key = compute_account_key(salt, compute_data(configuration), vk)
    operation = UserOperation(compute_account_address(factory, key), nonce, encode_execute(Call(target, value)))
    digest = compute_user_operation_hash(operation, ENTRY_POINT, chain_id)
    opening = open_shown(proof_from_json(answer), configuration, vk, salt)  # or CACHED
    stub = encode_stub_signature(configuration, opening)  # to estimate limits with, before anything is signed
    signature = encode_signature(configuration, opening, sign_ecdsa(private_key, digest))

No network code: proofs come from `rollup_getProof`, `microrollup prove` or the wallet's own ledger; operations go to
any bundler or, with `encode_handle_ops`, from any funded key.
"""

from microrollup.crypto.keccak import compute_create2_address

from .addresses import (
    DEPLOYER,
    ENTRY_POINT,
    compute_account_address,
    compute_deployed_address,
    compute_factory_address,
    compute_implementation_address,
    compute_validator_address,
    encode_factory_creation,
)
from .answers import FailedOperation, decode_failed_operation, encode_get_nonce
from .calls import (
    Call,
    encode_deployment,
    encode_execute,
    encode_execute_batch,
    encode_init_code,
    encode_push_root,
)
from .changes import PUBLISHED_VALIDATORS, check_code_hash, make_register, make_update
from .configuration import (
    Configuration,
    compute_data,
    configure_bls,
    configure_ecdsa,
    configure_multisig,
    configure_p256,
    configure_webauthn,
    load_code_hash,
    load_creation_code,
)
from .delegation import (
    compute_eoa_delegate_address,
    compute_set_key_digest,
    encode_eoa_delegate_creation,
    encode_set_key,
)
from .erc1271 import (
    compute_personal_sign_digest,
    compute_typed_data_digest,
    encode_typed_data_signature,
)
from .opening import (
    CACHED,
    Opening,
    encode_signature,
    open_absent,
    open_present,
    open_shown,
    remember,
)
from .outbox import (
    ChainEntry,
    compute_delegate_tree_key,
    compute_intent_tree_key,
    encode_delegate_signature,
    encode_intent_signature,
)
from .overhead import (
    Overhead,
    compute_calldata_gas,
    estimate_overhead,
    recommend_verification_gas_limit,
)
from .signing import encode_bls, encode_p256, encode_webauthn, sign_ecdsa, sign_multisig
from .stub import (
    STUB_CLIENT_DATA_BYTES,
    encode_stub_delegate_signature,
    encode_stub_intent_signature,
    encode_stub_signature,
)
from .user_operation import (
    EOA_MARKER,
    UserOperation,
    compute_user_operation_hash,
    encode_handle_ops,
    encode_user_operation_json,
    encode_validate_user_op,
)

__all__ = [
    "CACHED",
    "Call",
    "ChainEntry",
    "Configuration",
    "DEPLOYER",
    "ENTRY_POINT",
    "EOA_MARKER",
    "FailedOperation",
    "Opening",
    "Overhead",
    "PUBLISHED_VALIDATORS",
    "STUB_CLIENT_DATA_BYTES",
    "UserOperation",
    "check_code_hash",
    "compute_account_address",
    "compute_calldata_gas",
    "compute_create2_address",
    "compute_data",
    "compute_delegate_tree_key",
    "compute_deployed_address",
    "compute_eoa_delegate_address",
    "compute_factory_address",
    "compute_implementation_address",
    "compute_intent_tree_key",
    "compute_personal_sign_digest",
    "compute_set_key_digest",
    "compute_typed_data_digest",
    "compute_user_operation_hash",
    "compute_validator_address",
    "configure_bls",
    "configure_ecdsa",
    "configure_multisig",
    "configure_p256",
    "configure_webauthn",
    "decode_failed_operation",
    "encode_bls",
    "encode_delegate_signature",
    "encode_deployment",
    "encode_eoa_delegate_creation",
    "encode_execute",
    "encode_execute_batch",
    "encode_factory_creation",
    "encode_get_nonce",
    "encode_handle_ops",
    "encode_init_code",
    "encode_intent_signature",
    "encode_p256",
    "encode_push_root",
    "encode_set_key",
    "encode_signature",
    "encode_stub_delegate_signature",
    "encode_stub_intent_signature",
    "encode_stub_signature",
    "encode_typed_data_signature",
    "encode_user_operation_json",
    "encode_validate_user_op",
    "encode_webauthn",
    "estimate_overhead",
    "load_code_hash",
    "load_creation_code",
    "make_register",
    "make_update",
    "open_absent",
    "open_present",
    "open_shown",
    "recommend_verification_gas_limit",
    "remember",
    "sign_ecdsa",
    "sign_multisig",
]
