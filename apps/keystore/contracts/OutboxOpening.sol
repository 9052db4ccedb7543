// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StateVerifier} from "./StateVerifier.sol";

/// @title Openings by the keystore's outbox: an operation that it names, and keys that it lends
/// @notice Packed; `P(x)` is a proof after its length of 2 bytes:
///
///     3 intent     03 | slot 2 | validAfter 8 | validUntil 8 | account value 64 | P(account) | P(intent)
///     4 delegate   04 | codeHash 32 | config length 2 | config | signature length 2 | signature | all 1 | validUntil 8
///                     | account value 64 | P(account) | P(delegate) | if all = 1: kind 1 | P(chain entry)
///
/// An intent needs no signature: the keystore holds `abi.encode(chainId, account, userOpHash, validAfter, validUntil,
/// ownerHash)` in the key's own slot (silo 6). A delegate (silo 7) is a validator and configuration,
/// `abi.encode(codeHash, configHash, validUntil, ownerHash)`, for one chain, or, with `all` = 1, for every chain for which
/// the keystore holds no entry: that one was never made (kind 0) or was deleted (kind 1).
///
/// Both carry the account's own value, `keccak256(data) | keccak256(vk)`, with its inclusion, and its hash must be the
/// `ownerHash` for which they were made. So whatever changes the account ends them: a rotation, a lock, a recovery.
library OutboxOpening {
    uint8 internal constant INTENT = 0x03;
    uint8 internal constant DELEGATE = 0x04;

    uint16 private constant _INTENTS = 6;
    uint16 private constant _DELEGATES = 7;
    /// @dev Mode, slot, two times; then the account's value.
    uint256 private constant _INTENT_HEAD_BYTES = 19;
    uint256 private constant _VALUE_BYTES = 64;
    /// @dev Mode, code hash, the config's length.
    uint256 private constant _DELEGATE_HEAD_BYTES = 35;
    uint8 private constant _ABSENT = 0;
    uint8 private constant _DELETED = 1;
    bytes32 private constant _DELETED_HASH = keccak256("");

    /// @notice Whether the keystore holds, under `root`, an intent of `key` that `account` executes the operation on this chain.
    /// `root` is that under which it holds the account's value; it is given for another operation's intent too, so that an
    /// estimate, which knows no hash yet, pays for what follows. Never reverts.
    function openIntent(bytes calldata encoded, bytes32 key, address account, bytes32 userOpHash)
        internal
        view
        returns (bool isIntended, bytes32 root, uint64 validAfter, uint64 validUntil)
    {
        uint256 cursor = _INTENT_HEAD_BYTES + _VALUE_BYTES;
        if (encoded.length < cursor) return (false, 0, 0, 0);
        uint16 slot = uint16(bytes2(encoded[1:3]));
        validAfter = uint64(bytes8(encoded[3:11]));
        validUntil = uint64(bytes8(encoded[11:19]));
        bytes32 ownerHash = keccak256(encoded[_INTENT_HEAD_BYTES:cursor]);
        (root, cursor) = _openAccount(encoded, cursor, key, ownerHash);
        bytes32 place = keccak256(abi.encodePacked(_INTENTS, key, uint256(slot)));
        bytes32 valueHash =
            keccak256(abi.encode(block.chainid, account, userOpHash, validAfter, validUntil, ownerHash));
        bytes calldata proof;
        (proof, cursor) = _readPart(encoded, cursor);
        if (cursor != encoded.length) return (false, 0, 0, 0);
        isIntended = root != 0 && root == StateVerifier.computeInclusionRoot(place, valueHash, proof);
    }

    /// @notice The one root under which the keystore lends `key` to the delegate that the opening names, on this chain; zero if
    /// there is none. Whether the delegate has signed is for the caller to see. Never reverts.
    function openDelegate(bytes calldata encoded, bytes32 key)
        internal
        view
        returns (
            bytes32 root,
            uint64 validUntil,
            bytes32 codeHash,
            bytes calldata config,
            bytes calldata signature
        )
    {
        config = signature = encoded[:0];
        if (encoded.length < _DELEGATE_HEAD_BYTES) return (0, 0, 0, config, signature);
        codeHash = bytes32(encoded[1:33]);
        uint256 cursor;
        (config, cursor) = _readPart(encoded, _DELEGATE_HEAD_BYTES - 2);
        (signature, cursor) = _readPart(encoded, cursor);
        // A hash of zero is an entry that forbids the chain.
        if (codeHash == 0 || cursor + 9 > encoded.length) return (0, 0, 0, encoded[:0], encoded[:0]);
        validUntil = uint64(bytes8(encoded[cursor + 1:cursor + 9]));
        root = _openEntries(encoded, cursor, key, abi.encode(codeHash, keccak256(config), validUntil));
    }

    /// @notice What is left of a root's window (seconds, both included) to an opening with times of its own; nothing, which is an
    /// end of 0, if they do not meet.
    function clip(uint40 rootAfter, uint40 rootUntil, uint64 validAfter, uint64 validUntil)
        internal
        pure
        returns (uint40, uint40)
    {
        uint64 from = validAfter > rootAfter ? validAfter : rootAfter;
        uint64 until = validUntil < rootUntil ? validUntil : rootUntil;
        // Both lie below a number of 40 bits, or nothing is left.
        if (from > until) return (0, 0);
        return (uint40(from), uint40(until));
    }

    /// @notice Whether an opening begins with this mode.
    function isOf(bytes calldata encoded, uint8 mode) internal pure returns (bool) {
        return encoded.length != 0 && uint8(encoded[0]) == mode;
    }

    /// @dev From `all` on. `head` is what the delegate's leaf holds before its owner's hash.
    function _openEntries(bytes calldata encoded, uint256 cursor, bytes32 key, bytes memory head)
        private
        view
        returns (bytes32 root)
    {
        uint8 all = uint8(encoded[cursor]);
        cursor += 9;
        if (all > 1 || cursor + _VALUE_BYTES > encoded.length) return 0;
        bytes32 ownerHash = keccak256(encoded[cursor:cursor + _VALUE_BYTES]);
        (root, cursor) = _openAccount(encoded, cursor + _VALUE_BYTES, key, ownerHash);
        bytes calldata proof;
        (proof, cursor) = _readPart(encoded, cursor);
        bytes32 place = _computeDelegateKey(key, all == 1 ? 0 : block.chainid);
        bytes32 valueHash = keccak256(abi.encodePacked(head, ownerHash));
        if (root != StateVerifier.computeInclusionRoot(place, valueHash, proof)) return 0;
        if (all == 1) {
            if (cursor >= encoded.length) return 0;
            uint8 kind = uint8(encoded[cursor]);
            (proof, cursor) = _readPart(encoded, cursor + 1);
            if (root != _computeEmptyRoot(kind, _computeDelegateKey(key, block.chainid), proof)) return 0;
        }
        if (cursor != encoded.length) return 0;
    }

    /// @dev The root under which nothing is at `place`: never, or not any more.
    function _computeEmptyRoot(uint8 kind, bytes32 place, bytes calldata proof) private pure returns (bytes32) {
        if (kind == _ABSENT) return StateVerifier.computeExclusionRoot(place, proof);
        return kind == _DELETED ? StateVerifier.computeInclusionRoot(place, _DELETED_HASH, proof) : bytes32(0);
    }

    function _computeDelegateKey(bytes32 key, uint256 chainId) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(_DELEGATES, key, chainId));
    }

    /// @dev The root of the account's inclusion, which begins at `cursor`, and where it ends.
    function _openAccount(bytes calldata encoded, uint256 cursor, bytes32 key, bytes32 ownerHash)
        private
        pure
        returns (bytes32, uint256)
    {
        bytes calldata proof;
        (proof, cursor) = _readPart(encoded, cursor);
        return (StateVerifier.computeInclusionRoot(StateVerifier.computeTreeKey(key), ownerHash, proof), cursor);
    }

    /// @dev The part whose length is at `cursor`, and where it ends: beyond the end if it is cut off, and it stays there.
    function _readPart(bytes calldata encoded, uint256 cursor)
        private
        pure
        returns (bytes calldata part, uint256 end)
    {
        part = encoded[:0];
        end = cursor + 2;
        if (end > encoded.length) return (part, type(uint64).max);
        end += uint16(bytes2(encoded[cursor:cursor + 2]));
        if (end > encoded.length) return (part, type(uint64).max);
        part = encoded[cursor + 2:end];
    }
}
