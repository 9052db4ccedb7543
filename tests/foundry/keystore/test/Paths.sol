// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Trees of any depth, of which only one path is known
/// @notice Plain Solidity over `abi.encodePacked`: slow, and nothing in it is shared with what is tested.
library Paths {
    struct Leaf {
        uint8 active;
        uint8 prefix;
        bytes32 key;
        uint8 nextPrefix;
        bytes32 nextKey;
        bytes32 valueHash;
    }

    struct Path {
        bytes32 root;
        uint64 isLeft;
        bytes32[] siblings;
    }

    function hash(Leaf memory leaf) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(leaf.active, leaf.prefix, leaf.key, leaf.nextPrefix, leaf.nextKey, leaf.valueHash)
        );
    }

    /// @notice A path from a leaf's hash to a root, through siblings that `seed` gives; bits of `isLeft` from `depth` on are
    /// dropped.
    function grow(bytes32 leafHash, uint256 depth, uint64 isLeft, bytes32 seed) internal pure returns (Path memory path) {
        path.siblings = new bytes32[](depth);
        bytes32 node = leafHash;
        for (uint256 level; level < depth; ++level) {
            bytes32 sibling = keccak256(abi.encodePacked(seed, level));
            path.siblings[level] = sibling;
            bool onLeft = level < 64 && isLeft >> level & 1 == 1;
            node = onLeft ? keccak256(abi.encodePacked(sibling, node)) : keccak256(abi.encodePacked(node, sibling));
        }
        path.root = node;
        path.isLeft = depth < 64 ? isLeft & uint64((uint256(1) << depth) - 1) : isLeft;
    }

    function packInclusion(Leaf memory leaf, Path memory path) internal pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(path.isLeft, leaf.nextPrefix, leaf.nextKey), abi.encodePacked(path.siblings)
        );
    }

    function packExclusion(Leaf memory leaf, Path memory path) internal pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(path.isLeft, leaf.prefix, leaf.key, leaf.nextPrefix, leaf.nextKey, leaf.valueHash),
            abi.encodePacked(path.siblings)
        );
    }
}
