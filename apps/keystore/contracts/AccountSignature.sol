// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title What an account takes as a signature: who may sign, that they signed, and why the keystore says that they may
/// @notice Packed, because every byte is paid for on an L2:
///
///     mode 1 | codeHash 32 | config length 2 | config | signature length 2 | validator's signature | opening
///
/// `mode` says how the configuration is opened, and with it what `opening` holds:
///
///     0 inclusion   vkHash 32 | inclusion proof            the keystore holds (data, vk) at the account's key
///     1 exclusion   salt 32 | vkHash 32 | exclusion proof  the key was never registered, and commits to its first data
///     2 cached      nothing                                 the account opened this configuration before
///
/// Modes 3 (an intent) and 4 (a delegate) have forms of their own: see `OutboxOpening`.
///
/// With 0x80 added to mode 0 or 1 the account remembers what it opened, for mode 2. `data` is `codeHash | keccak256(config)`.
/// Nothing outside of the validator's signature is signed: a relayer may exchange a proof for a newer one, and
/// gains nothing else, since each proof is checked and each opened configuration is the account's.
library AccountSignature {
    uint8 internal constant INCLUSION = 0x00;
    uint8 internal constant EXCLUSION = 0x01;
    uint8 internal constant CACHED = 0x02;
    uint8 internal constant REMEMBER = 0x80;

    /// @notice Where the config's length ends.
    uint256 private constant _HEAD_BYTES = 35;

    /// @notice The parts. `wellFormed` is false, and the rest is nothing, unless the lengths fit and the opening has the
    /// words that precede its proof. Never reverts.
    function decode(bytes calldata encoded)
        internal
        pure
        returns (
            bool wellFormed,
            uint8 mode,
            bool remember,
            bytes32 codeHash,
            bytes calldata config,
            bytes calldata signature,
            bytes calldata opening
        )
    {
        config = signature = opening = encoded[:0];
        if (encoded.length < _HEAD_BYTES + 2) return (false, 0, false, 0, config, signature, opening);
        uint256 left;
        assembly ("memory-safe") {
            let cursor := encoded.offset
            let end := add(cursor, encoded.length)
            let first := byte(0, calldataload(cursor))
            remember := shr(7, first)
            mode := and(first, 0x7f)
            codeHash := calldataload(add(cursor, 1))
            // Lengths have two bytes: no sum overflows, and what lies beyond the end is refused below.
            config.offset := add(cursor, _HEAD_BYTES)
            config.length := shr(240, calldataload(add(cursor, 33)))
            cursor := add(config.offset, config.length)
            signature.offset := add(cursor, 2)
            signature.length := shr(240, calldataload(cursor))
            opening.offset := add(signature.offset, signature.length)
            left := sub(end, opening.offset)
            opening.length := left
        }
        if (left > encoded.length) return (false, 0, false, 0, encoded[:0], encoded[:0], encoded[:0]);
        if (mode == CACHED) wellFormed = !remember && opening.length == 0;
        else if (mode == INCLUSION) wellFormed = opening.length >= 32;
        else if (mode == EXCLUSION) wellFormed = opening.length >= 64;
    }
}
