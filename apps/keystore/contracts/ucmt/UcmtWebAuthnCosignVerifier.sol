// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "solady/src/utils/ECDSA.sol";
import {PasskeyAssertion} from "./PasskeyAssertion.sol";
import {TaggedSignatures} from "./TaggedSignatures.sol";
import {UcmtVerifier} from "./UcmtVerifier.sol";

/// @title One passkey and one Ethereum key, both of which sign
/// @notice `config` is `abi.encode(address cosigner, bytes32 x, bytes32 y)`. Signatures are
/// `abi.encode(bytes ecdsaSignature, bytes assertion)`: the cosigner's over the message as EIP-191 wraps it, and the passkey's as
/// in `UcmtWebAuthnVerifier`. From the cosigner's signature some key must be recoverable, else `InvalidSignature()`.
contract UcmtWebAuthnCosignVerifier is TaggedSignatures {
    constructor(address keystore_) UcmtVerifier(keystore_) {}

    function _isSigned(bytes32 message, bytes calldata data, bytes calldata config) internal view override returns (bool) {
        (address cosigner, bytes32 x, bytes32 y) = abi.decode(config, (address, bytes32, bytes32));
        (bytes memory signature, bytes memory assertion) = abi.decode(_getSignatures(data), (bytes, bytes));
        if (ECDSA.recover(ECDSA.toEthSignedMessageHash(message), signature) != cosigner) return false;
        return PasskeyAssertion.isSigned(message, assertion, x, y);
    }
}
