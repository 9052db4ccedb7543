// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title A whole state tree, kept leaf by leaf
/// @notice Plain Solidity over `abi.encodePacked`, which shares nothing with what is tested.
library Trees {
    struct Tree {
        bytes32[] keys;
        bytes32[] valueHashes;
        /// The place of the successor; 0, which is the dummy's, for none.
        uint256[] next;
        mapping(bytes32 key => uint256) places;
    }

    function start(Tree storage tree) internal {
        tree.keys.push(0);
        tree.valueHashes.push(keccak256(""));
        tree.next.push(0);
    }

    function set(Tree storage tree, bytes32 key, bytes32 valueHash) internal {
        uint256 place = tree.places[key];
        if (place != 0) {
            tree.valueHashes[place] = valueHash;
            return;
        }
        uint256 low = findLow(tree, key);
        place = tree.keys.length;
        tree.keys.push(key);
        tree.valueHashes.push(valueHash);
        tree.next.push(tree.next[low]);
        tree.next[low] = place;
        tree.places[key] = place;
    }

    function findLow(Tree storage tree, bytes32 key) internal view returns (uint256 low) {
        while (tree.next[low] != 0 && tree.keys[tree.next[low]] < key) low = tree.next[low];
    }

    function getRoot(Tree storage tree) internal view returns (bytes32 root) {
        (root,,) = _climb(tree, 0);
    }

    function include(Tree storage tree, bytes32 key) internal view returns (bytes memory) {
        uint256 place = tree.places[key];
        require(place != 0, "not in the tree");
        (, uint64 isLeft, bytes memory siblings) = _climb(tree, place);
        return abi.encodePacked(isLeft, _link(tree, place), siblings);
    }

    /// @notice The proof by the low leaf, which is also made where the key is there: then it proves nothing.
    function exclude(Tree storage tree, bytes32 key) internal view returns (bytes memory) {
        uint256 low = findLow(tree, key);
        (, uint64 isLeft, bytes memory siblings) = _climb(tree, low);
        bytes memory leaf = abi.encodePacked(low == 0 ? uint8(0) : uint8(1), tree.keys[low], _link(tree, low));
        return abi.encodePacked(isLeft, leaf, tree.valueHashes[low], siblings);
    }

    function _link(Tree storage tree, uint256 place) private view returns (bytes memory) {
        uint256 next = tree.next[place];
        return abi.encodePacked(next == 0 ? uint8(0) : uint8(1), tree.keys[next]);
    }

    function _climb(Tree storage tree, uint256 place)
        private
        view
        returns (bytes32, uint64 isLeft, bytes memory siblings)
    {
        bytes32[] memory nodes = _leaves(tree);
        for (uint256 level; nodes.length > 1; ++level) {
            siblings = abi.encodePacked(siblings, nodes[place ^ 1]);
            if (place & 1 == 1) isLeft |= uint64(1 << level);
            bytes32[] memory above = new bytes32[](nodes.length / 2);
            for (uint256 i; i < above.length; ++i) {
                above[i] = keccak256(abi.encodePacked(nodes[2 * i], nodes[2 * i + 1]));
            }
            (nodes, place) = (above, place / 2);
        }
        return (nodes[0], isLeft, siblings);
    }

    function _leaves(Tree storage tree) private view returns (bytes32[] memory nodes) {
        uint256 capacity = 1;
        while (capacity < tree.keys.length) capacity *= 2;
        nodes = new bytes32[](capacity);
        for (uint256 i; i < capacity; ++i) {
            if (i >= tree.keys.length) nodes[i] = keccak256(new bytes(99));
            else nodes[i] = _hash(tree, i);
        }
    }

    function _hash(Tree storage tree, uint256 place) private view returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                uint8(1),
                place == 0 ? uint8(0) : uint8(1),
                tree.keys[place],
                _link(tree, place),
                tree.valueHashes[place]
            )
        );
    }
}
