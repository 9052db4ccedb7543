// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Inclusion and exclusion in the keystore's indexed Merkle tree
/// @notice A leaf is 99 bytes: `active 1 | prefix 1 | key 32 | nextPrefix 1 | nextKey 32 | valueHash 32`; its hash is
/// keccak256 of them, a node's is `keccak256(left | right)` over 64 bytes, so neither can pass for the other. Leaves are a
/// list sorted by key: each names its successor, so that the leaf below a gap proves that no key lies in it.
///
/// A proof is packed, without padding, and has exactly one form (n siblings, at most 64):
///
///     inclusion   isLeft 8 | nextPrefix 1 | nextKey 32 | siblings 32n                                   41 + 32n bytes
///     exclusion   isLeft 8 | prefix 1 | key 32 | nextPrefix 1 | nextKey 32 | valueHash 32 | siblings 32n    106 + 32n
///
/// `isLeft` is big-endian; its bit i says that sibling i (the leaf's own first) stands on the left, bits from n on are zero.
/// The flags are 0 or 1. What is not in an inclusion proof is what is to be proven: `active` and `prefix` are 1, the key and
/// the value's hash are given. An exclusion proof carries the low leaf without `active`, which must be 1: a position
/// that was never used has 0 there and no successor, and would "exclude" every key.
library StateVerifier {
    /// @notice No tree is deeper: the side mask has 64 bits.
    uint256 internal constant MAX_DEPTH = 64;
    uint256 internal constant INCLUSION_HEADER_BYTES = 41;
    uint256 internal constant EXCLUSION_HEADER_BYTES = 106;

    /// @notice Where an account lives in the tree: its 32-byte key under silo 0, two bytes big-endian.
    function computeTreeKey(bytes32 key) internal pure returns (bytes32 treeKey) {
        assembly ("memory-safe") {
            mstore(0x00, 0)
            mstore(0x02, key)
            treeKey := keccak256(0x00, 0x22)
        }
    }

    /// @notice What the tree commits to for an account: keccak256 of the value's 64 bytes.
    function computeValueHash(bytes32 dataHash, bytes32 vkHash) internal pure returns (bytes32 valueHash) {
        assembly ("memory-safe") {
            mstore(0x00, dataHash)
            mstore(0x20, vkHash)
            valueHash := keccak256(0x00, 0x40)
        }
    }

    /// @notice Whether the tree of `root` holds a value of hash `valueHash` at `treeKey`. The hash of no bytes is that of a
    /// key which was deleted: included, not absent. Never reverts.
    function isIncluded(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        internal
        pure
        returns (bool)
    {
        return _isFound(root, computeInclusionRoot(treeKey, valueHash, proof));
    }

    /// @notice The one root under which `proof` shows a value of hash `valueHash` at `treeKey`; zero, which is the root of no
    /// tree, if the proof is malformed. Never reverts.
    function computeInclusionRoot(bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        internal
        pure
        returns (bytes32)
    {
        if (proof.length < INCLUSION_HEADER_BYTES) return 0;
        uint256 isLeft;
        uint256 nextPrefix;
        bytes32 leafHash;
        assembly ("memory-safe") {
            let offset := proof.offset
            let leaf := mload(0x40)
            isLeft := shr(192, calldataload(offset))
            nextPrefix := byte(8, calldataload(offset))
            mstore(leaf, shl(240, 0x0101))
            mstore(add(leaf, 2), treeKey)
            calldatacopy(add(leaf, 34), add(offset, 8), 33)
            mstore(add(leaf, 67), valueHash)
            leafHash := keccak256(leaf, 99)
        }
        if (nextPrefix > 1) return 0;
        return _climbPacked(leafHash, isLeft, proof, INCLUSION_HEADER_BYTES);
    }

    /// @notice Whether the tree of `root` never held anything at `treeKey`: an active leaf lies below the key and that leaf's
    /// successor above it. Both bounds must hold, each unless its prefix is 0 (the list's ends). Never reverts.
    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) internal pure returns (bool) {
        return _isFound(root, computeExclusionRoot(treeKey, proof));
    }

    /// @notice The one root under which `proof` shows that nothing was ever held at `treeKey`; zero if the proof is malformed
    /// or its leaf does not lie around the key. Never reverts.
    function computeExclusionRoot(bytes32 treeKey, bytes calldata proof) internal pure returns (bytes32) {
        if (proof.length < EXCLUSION_HEADER_BYTES) return 0;
        uint256 isLeft;
        bytes32 leafHash;
        bool isLow;
        assembly ("memory-safe") {
            let offset := proof.offset
            let leaf := mload(0x40)
            isLeft := shr(192, calldataload(offset))
            mstore8(leaf, 1)
            calldatacopy(add(leaf, 1), add(offset, 8), 98)
            leafHash := keccak256(leaf, 99)
            let prefix := byte(8, calldataload(offset))
            let nextPrefix := byte(9, calldataload(add(offset, 32)))
            let above := or(iszero(prefix), lt(calldataload(add(offset, 9)), treeKey))
            let below := or(iszero(nextPrefix), lt(treeKey, calldataload(add(offset, 42))))
            isLow := and(lt(or(prefix, nextPrefix), 2), and(above, below))
        }
        if (!isLow) return 0;
        return _climbPacked(leafHash, isLeft, proof, EXCLUSION_HEADER_BYTES);
    }

    function _isFound(bytes32 root, bytes32 found) private pure returns (bool isRoot) {
        assembly ("memory-safe") {
            // The zero of a malformed proof is not a root.
            isRoot := eq(found, add(root, iszero(root)))
        }
    }

    /// @dev The siblings are all that follows the header, whole words.
    function _climbPacked(bytes32 leafHash, uint256 isLeft, bytes calldata proof, uint256 headerBytes)
        private
        pure
        returns (bytes32)
    {
        uint256 size;
        uint256 offset;
        assembly ("memory-safe") {
            size := sub(proof.length, headerBytes)
            offset := add(proof.offset, headerBytes)
        }
        if (size & 31 != 0) return 0;
        return _climb(leafHash, isLeft, offset, size >> 5);
    }

    /// @notice Whether `siblings` lead from the hash of a leaf up to `root`; the form in which others carry a path.
    function leadsTo(bytes32 root, bytes32 leafHash, uint256 isLeft, bytes32[] calldata siblings)
        internal
        pure
        returns (bool)
    {
        uint256 offset;
        assembly ("memory-safe") {
            offset := siblings.offset
        }
        return _isFound(root, _climb(leafHash, isLeft, offset, siblings.length));
    }

    /// @dev Hashes upwards from `node` over `depth` siblings in calldata; zero if there are too many or the side mask has a bit
    /// for none. The node is kept at 0x20, its sibling on both sides of it at 0x00 and 0x40 (the free memory pointer, put back
    /// at the end); which 64 bytes are hashed is the side. Written out for four levels per round, because a loop of one level
    /// costs half as much again as the hashing.
    function _climb(bytes32 node, uint256 isLeft, uint256 offset, uint256 depth) private pure returns (bytes32 root) {
        if (depth > MAX_DEPTH || isLeft >> depth != 0) return 0;
        assembly ("memory-safe") {
            let freeMemory := mload(0x40)
            mstore(0x20, node)
            // The bit of the present level is at 0x20: set where the sibling is on the right, and where hashing begins.
            let rights := shl(5, not(isLeft))
            let end := add(offset, shl(5, depth))
            if and(depth, 1) {
                let sibling0 := calldataload(offset)
                mstore(0x00, sibling0)
                mstore(0x40, sibling0)
                mstore(0x20, keccak256(and(rights, 0x20), 0x40))
                rights := shr(1, rights)
                offset := add(offset, 0x20)
            }
            if and(depth, 2) {
                let sibling0 := calldataload(offset)
                mstore(0x00, sibling0)
                mstore(0x40, sibling0)
                mstore(0x20, keccak256(and(rights, 0x20), 0x40))
                let sibling1 := calldataload(add(offset, 0x20))
                mstore(0x00, sibling1)
                mstore(0x40, sibling1)
                mstore(0x20, keccak256(and(shr(1, rights), 0x20), 0x40))
                rights := shr(2, rights)
                offset := add(offset, 0x40)
            }
            for {} lt(offset, end) {} {
                let sibling0 := calldataload(offset)
                mstore(0x00, sibling0)
                mstore(0x40, sibling0)
                mstore(0x20, keccak256(and(rights, 0x20), 0x40))
                let sibling1 := calldataload(add(offset, 0x20))
                mstore(0x00, sibling1)
                mstore(0x40, sibling1)
                mstore(0x20, keccak256(and(shr(1, rights), 0x20), 0x40))
                let sibling2 := calldataload(add(offset, 0x40))
                mstore(0x00, sibling2)
                mstore(0x40, sibling2)
                mstore(0x20, keccak256(and(shr(2, rights), 0x20), 0x40))
                let sibling3 := calldataload(add(offset, 0x60))
                mstore(0x00, sibling3)
                mstore(0x40, sibling3)
                mstore(0x20, keccak256(and(shr(3, rights), 0x20), 0x40))
                rights := shr(4, rights)
                offset := add(offset, 0x80)
            }
            root := mload(0x20)
            mstore(0x40, freeMemory)
        }
    }
}
