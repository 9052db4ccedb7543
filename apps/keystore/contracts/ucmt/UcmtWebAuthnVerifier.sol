// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PasskeyAssertion} from "./PasskeyAssertion.sol";
import {UcmtVerifier} from "./UcmtVerifier.sol";

/// @title One passkey
/// @notice `config` is `abi.encode(bytes32 x, bytes32 y)`, the point. The signature is `abi.encode(WebAuthn.WebAuthnAuth)` of
/// Solady, with the message as challenge and the user verified. P-256 is verified by the precompile of RIP-7212 and EIP-7951 at
/// 0x100, else by Solady's contract 0x000000000000D01eA45F9eFD5c54f037Fa57Ea1a: a chain without either refuses every
/// signature.
contract UcmtWebAuthnVerifier is UcmtVerifier {
    /// @dev What the encoding of an assertion has at least, and where its first field begins.
    uint256 private constant _HEAD_BYTES = 0xe0;
    uint256 private constant _FIELD_OFFSET = 0xc0;

    constructor(address keystore_) UcmtVerifier(keystore_) {}

    function _isSigned(bytes32 message, bytes calldata data, bytes calldata config) internal view override returns (bool) {
        (bytes32 x, bytes32 y) = abi.decode(config, (bytes32, bytes32));
        bytes memory assertion = _isAssertion(data) ? data : _getOperationSignature(data);
        return PasskeyAssertion.isSigned(message, assertion, x, y);
    }

    /// @dev Tells the two forms apart by the first word of the struct: of an assertion the offset of its first field, of an
    /// operation its sender.
    function _isAssertion(bytes calldata data) private pure returns (bool) {
        return data.length >= _HEAD_BYTES && uint256(bytes32(data[0x20:])) == _FIELD_OFFSET;
    }
}
