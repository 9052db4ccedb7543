// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IUcmtVerifier} from "./IUcmtVerifier.sol";

/// @title What the four verifiers have in common
/// @notice They answer the keystore alone, which has proven the config. `data` is either a signature, or an encoded
/// PackedUserOperation whose field `signature` is one.
abstract contract UcmtVerifier is IUcmtVerifier {
    /// @notice Somebody else than the keystore asked.
    error NotFromKeystore();

    uint256 private constant _SUCCESS = 0;
    uint256 private constant _FAILED = 1;

    address public immutable keystore;

    constructor(address keystore_) {
        keystore = keystore_;
    }

    /// @inheritdoc IUcmtVerifier
    function validateData(bytes32 message, bytes calldata data, bytes calldata config) external view returns (uint256) {
        if (msg.sender != keystore) revert NotFromKeystore();
        return _isSigned(message, data, config) ? _SUCCESS : _FAILED;
    }

    function _isSigned(bytes32 message, bytes calldata data, bytes calldata config) internal view virtual returns (bool);

    /// @dev The field `signature` of an encoded PackedUserOperation. Reverts if `data` is not one.
    function _getOperationSignature(bytes calldata data) internal pure returns (bytes memory) {
        return abi.decode(data, (PackedUserOperation)).signature;
    }
}
