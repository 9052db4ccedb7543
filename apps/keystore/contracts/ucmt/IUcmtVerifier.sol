// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Judges signatures for the nodes that name it
/// @notice It has no storage: `config`, the rest of the node, comes from the keystore, which has proven it.
interface IUcmtVerifier {
    /// @notice 0 if `data` is a valid signature of `message` under `config`, 1 if not. Any other value means valid too,
    /// with what the caller agreed on (ERC-4337: a time window or an aggregator).
    function validateData(bytes32 message, bytes calldata data, bytes calldata config)
        external
        view
        returns (uint256 validationData);
}
