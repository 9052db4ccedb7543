// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "solady/src/utils/ECDSA.sol";
import {UcmtVerifier} from "./UcmtVerifier.sol";

/// @title One Ethereum key
/// @notice `config` is its 20-byte address. The signature, of 64 (EIP-2098) or 65 bytes, is over the message as EIP-191
/// wraps it. Up to 65 bytes, `data` is the signature itself. Anything from which no key can be recovered reverts with
/// `InvalidSignature()`.
contract UcmtEcdsaVerifier is UcmtVerifier {
    uint256 private constant _SIGNATURE_BYTES = 65;

    constructor(address keystore_) UcmtVerifier(keystore_) {}

    function _isSigned(bytes32 message, bytes calldata data, bytes calldata config) internal view override returns (bool) {
        bytes32 hash = ECDSA.toEthSignedMessageHash(message);
        address signer = data.length <= _SIGNATURE_BYTES
            ? ECDSA.recoverCalldata(hash, data)
            : ECDSA.recover(hash, _getOperationSignature(data));
        return signer == address(bytes20(config));
    }
}
