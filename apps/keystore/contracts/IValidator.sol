// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Says whether a configuration's holders signed a hash
/// @notice A validator keeps no state: what it knows is in `config`, whose hash the keystore holds beside the hash of the
/// validator's creation code. So the same pair means the same thing on every chain.
interface IValidator {
    /// @notice Whether `signature` is by those whom `config` names, over `hash`. Anything malformed is a no, not a revert.
    /// @param hash What was signed; the caller binds account, chain and purpose into it.
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool);
}
