"""What callers of Stackup's contracts see, from the artifacts: signatures, selectors, topics, constructors."""

from __future__ import annotations

from typing import Any

import pytest

from contract_calls import get_types
from microrollup.contracts import load_artifact
from microrollup.crypto.keccak import keccak256
from ucmt_world import PACKAGE

ACTION = "(bytes32,bytes32,uint256,bool,address,bytes,bytes,bytes,bytes,bytes,bytes)"
VALIDATION = "validateData(bytes32,bytes,bytes)"
ERRORS = {
    "InvalidNonce": "756688fe",
    "InvalidProof": "09bde339",
    "InvalidNextProof": "1420d2a7",
    "UnregisteredProof": "726a091f",
    "InvalidNode": "30812d42",
    "InvalidVerifier": "baa3de5f",
}
"""Of Stackup's keystore, as published."""

FUNCTIONS = {
    "UserConfigKeystore": {
        f"handleUpdates({ACTION}[])",
        "validate((bytes32,bytes32,bytes,bytes,bytes))",
        "registerNode(bytes32,bytes32[],bytes)",
        "getRegisteredNode(bytes32,address,bytes32)",
        "getRootHash(bytes32,address)",
        "getNonce(bytes32,address,uint192)",
    },
    "UcmtEcdsaVerifier": {VALIDATION, "keystore()"},
    "UcmtWebAuthnVerifier": {VALIDATION, "keystore()"},
    "UcmtMultisigVerifier": {VALIDATION, "keystore()", "SIGNATURES_ONLY_TAG()"},
    "UcmtWebAuthnCosignVerifier": {VALIDATION, "keystore()", "SIGNATURES_ONLY_TAG()"},
    "UcmtAccountFactory": {
        "createAccount(bytes32,uint256)",
        "getAddress(bytes32,uint256)",
        "addPermanentEntryPointStake()",
    },
}
CONSTRUCTORS = {
    "UserConfigKeystore": [],
    "UcmtAccountFactory": ["address", "address"],
    **{name: ["address"] for name in FUNCTIONS if name.endswith("Verifier")},
}


def list_signatures(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Signature -> entry of an artifact's ABI."""
    entries = [entry for entry in load_artifact(name, PACKAGE).abi if entry["type"] == kind]
    return {f"{entry['name']}({','.join(get_types(entry['inputs']))})": entry for entry in entries}


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_functions_and_constructor(name: str) -> None:
    """Every function that callers use, of these types; the constructor takes what Stackup's takes."""
    assert FUNCTIONS[name] <= set(list_signatures(name, "function"))
    inputs = [entry["inputs"] for entry in load_artifact(name, PACKAGE).abi if entry["type"] == "constructor"]
    assert CONSTRUCTORS[name] == get_types(inputs[0] if inputs else [])


def test_errors_and_events() -> None:
    """The published selectors and the event's topic, three of its members indexed."""
    errors = list_signatures("UserConfigKeystore", "error")
    for name, selector in ERRORS.items():
        assert f"{name}()" in errors
        assert selector == keccak256(f"{name}()".encode())[:4].hex()
    events = list_signatures("UserConfigKeystore", "event")
    event = "RootHashUpdated(bytes32,address,bytes32,uint256,bool)"
    assert "df6fe3b7516d2857b309887e79be529e781c7260ac62875fedf6c1adcccf3cbd" == keccak256(event.encode()).hex()
    assert [True, True, True, False, False] == [member["indexed"] for member in events[event]["inputs"]]
    assert {"NotFromKeystore()"} <= set(list_signatures("UcmtEcdsaVerifier", "error"))
    assert {
        "ZeroThresholdNotAllowed()",
        "InvalidNumberOfOwners()",
        "OwnersUnsortedOrHasDuplicates()",
        "MaxSignaturesExceeded()",
    } <= set(list_signatures("UcmtMultisigVerifier", "error"))
    assert {"NotFromSenderCreator()"} <= set(list_signatures("UcmtAccountFactory", "error"))
