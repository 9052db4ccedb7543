// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base} from "./Base.sol";
import {Paths} from "./Paths.sol";
import {HARNESS, IVerifierHarness} from "./IVerifierHarness.sol";

/// @title The rules of inclusion and exclusion, each accept beside its reject
contract StateVerifierTest is Base {
    using Paths for Paths.Leaf;

    bytes32 internal constant EMPTY_ROOT = 0x5b2d253779ef38e6e5663a70d9bd05581b12f54251ecdac44f5e26e686e73836;
    bytes32 internal constant LOW = bytes32(uint256(1000));
    bytes32 internal constant HIGH = bytes32(uint256(2000));
    bytes32 internal constant BETWEEN = bytes32(uint256(1500));
    bytes32 internal constant VALUE = keccak256("value");

    IVerifierHarness internal verifier = IVerifierHarness(_create(_read(HARNESS)));

    function leafBetween() internal pure returns (Paths.Leaf memory) {
        return Paths.Leaf(1, 1, LOW, 1, HIGH, VALUE);
    }

    function excludes(Paths.Leaf memory leaf, bytes32 treeKey) internal view returns (bool) {
        Paths.Path memory path = Paths.grow(leaf.hash(), 5, 21, "exclusion");
        return verifier.isExcluded(path.root, treeKey, Paths.packExclusion(leaf, path));
    }

    function includes(Paths.Leaf memory leaf) internal view returns (bool) {
        Paths.Path memory path = Paths.grow(leaf.hash(), 5, 21, "inclusion");
        return verifier.isIncluded(path.root, leaf.key, leaf.valueHash, Paths.packInclusion(leaf, path));
    }

    function test_keys_and_values_of_accounts() external view {
        bytes32 key = keccak256("account");
        assertEq(keccak256(abi.encodePacked(uint16(0), key)), verifier.computeTreeKey(key), "tree key");
        assertEq(keccak256(abi.encodePacked(key, VALUE)), verifier.computeValueHash(key, VALUE), "value hash");
    }

    function test_the_empty_tree_excludes_every_key_and_includes_none() external view {
        bytes memory dummy = abi.encodePacked(uint64(0), uint8(0), bytes32(0), uint8(0), bytes32(0), keccak256(""));
        assertTrue(verifier.isExcluded(EMPTY_ROOT, BETWEEN, dummy), "any key");
        assertTrue(verifier.isExcluded(EMPTY_ROOT, bytes32(0), dummy), "the least key");
        assertTrue(verifier.isExcluded(EMPTY_ROOT, bytes32(type(uint256).max), dummy), "the greatest key");
        assertFalse(verifier.isExcluded(BETWEEN, BETWEEN, dummy), "another root");
        bytes memory link = abi.encodePacked(uint64(0), uint8(0), bytes32(0));
        assertFalse(verifier.isIncluded(EMPTY_ROOT, bytes32(0), keccak256(""), link), "the dummy as a key");
    }

    function test_a_key_between_a_leaf_and_its_successor_is_excluded() external view {
        assertTrue(excludes(leafBetween(), BETWEEN), "between");
        assertTrue(excludes(leafBetween(), bytes32(uint256(LOW) + 1)), "just above the leaf");
        assertTrue(excludes(leafBetween(), bytes32(uint256(HIGH) - 1)), "just below the successor");
    }

    /// @dev Each bound alone is what a public implementation accepts.
    function test_both_bounds_must_hold() external view {
        assertFalse(excludes(leafBetween(), LOW), "the leaf's own key");
        assertFalse(excludes(leafBetween(), HIGH), "the successor's key");
        assertFalse(excludes(leafBetween(), bytes32(uint256(LOW) - 1)), "below the leaf");
        assertFalse(excludes(leafBetween(), bytes32(uint256(HIGH) + 1)), "above the successor");
    }

    function test_the_dummy_has_no_lower_bound_and_the_last_leaf_no_upper_one() external view {
        Paths.Leaf memory first = Paths.Leaf(1, 0, bytes32(0), 1, LOW, VALUE);
        assertTrue(excludes(first, bytes32(0)), "below the first key");
        assertFalse(excludes(first, LOW), "the first key");
        assertFalse(excludes(first, BETWEEN), "above the first key");
        Paths.Leaf memory last = Paths.Leaf(1, 1, HIGH, 0, bytes32(0), VALUE);
        assertTrue(excludes(last, bytes32(type(uint256).max)), "above the last key");
        assertFalse(excludes(last, HIGH), "the last key");
        assertFalse(excludes(last, BETWEEN), "below the last key");
    }

    /// @dev 99 zero bytes: no successor, no lower bound; without `active` it would exclude everything.
    function test_an_unused_position_excludes_nothing() external view {
        Paths.Leaf memory unused;
        assertFalse(excludes(unused, BETWEEN), "unused");
        unused.active = 1;
        assertTrue(excludes(unused, BETWEEN), "the same leaf, active");
    }

    function test_an_inactive_leaf_and_the_dummy_include_nothing() external view {
        assertTrue(includes(leafBetween()), "active, no dummy");
        assertFalse(includes(Paths.Leaf(0, 1, LOW, 1, HIGH, VALUE)), "inactive");
        assertFalse(includes(Paths.Leaf(1, 0, LOW, 1, HIGH, VALUE)), "dummy");
        assertFalse(excludes(Paths.Leaf(0, 1, LOW, 1, HIGH, VALUE), BETWEEN), "inactive excludes");
    }

    /// @dev The Python side refuses such leaves before it hashes them, and so does this.
    function test_flags_are_zero_or_one() external view {
        assertFalse(includes(Paths.Leaf(1, 1, LOW, 2, HIGH, VALUE)), "next prefix 2");
        assertFalse(excludes(Paths.Leaf(1, 2, LOW, 1, HIGH, VALUE), BETWEEN), "prefix 2");
        assertFalse(excludes(Paths.Leaf(1, 1, LOW, 2, HIGH, VALUE), BETWEEN), "next prefix 2 excludes");
        assertFalse(excludes(Paths.Leaf(1, 1, LOW, 255, HIGH, VALUE), BETWEEN), "next prefix 255 excludes");
    }

    function test_a_retired_key_is_included_not_absent() external view {
        Paths.Leaf memory retired = Paths.Leaf(1, 1, LOW, 1, HIGH, keccak256(""));
        assertTrue(includes(retired), "with the hash of nothing");
        assertFalse(excludes(retired, LOW), "as absent");
    }

    function test_depth_ends_at_sixty_four() external view {
        Paths.Leaf memory leaf = leafBetween();
        Paths.Path memory path = Paths.grow(leaf.hash(), 64, type(uint64).max, "deep");
        assertTrue(verifier.isIncluded(path.root, LOW, VALUE, Paths.packInclusion(leaf, path)), "64 levels");
        assertTrue(verifier.isExcluded(path.root, BETWEEN, Paths.packExclusion(leaf, path)), "64 levels exclude");
        path = Paths.grow(leaf.hash(), 65, type(uint64).max, "deep");
        assertFalse(verifier.isIncluded(path.root, LOW, VALUE, Paths.packInclusion(leaf, path)), "65 levels");
        assertFalse(verifier.isExcluded(path.root, BETWEEN, Paths.packExclusion(leaf, path)), "65 levels exclude");
    }

    function test_bits_of_sides_beyond_the_siblings_are_zero() external view {
        Paths.Leaf memory leaf = leafBetween();
        for (uint256 depth; depth < 64; depth += 3) {
            Paths.Path memory path = Paths.grow(leaf.hash(), depth, 0, "sides");
            path.isLeft |= uint64(1) << uint64(depth);
            assertFalse(verifier.isIncluded(path.root, LOW, VALUE, Paths.packInclusion(leaf, path)), "next bit");
            path.isLeft = uint64(1) << 63;
            assertFalse(verifier.isExcluded(path.root, BETWEEN, Paths.packExclusion(leaf, path)), "last bit");
        }
    }

    /// @dev A node's 64 bytes never are a leaf's 99, so a path cannot begin above the leaves.
    function test_a_node_does_not_pass_for_a_leaf() external view {
        Paths.Leaf memory leaf = leafBetween();
        Paths.Path memory path = Paths.grow(leaf.hash(), 6, 0, "node");
        bytes memory node = abi.encodePacked(leaf.hash(), path.siblings[0]);
        bytes32[] memory above = new bytes32[](5);
        for (uint256 level; level < 5; ++level) {
            above[level] = path.siblings[level + 1];
        }
        // The node's two halves wherever the caller may place them: key and value hash, or the link.
        bytes memory link = abi.encodePacked(uint64(0), uint8(1), path.siblings[0], above);
        (bytes32 left, bytes32 right) = abi.decode(node, (bytes32, bytes32));
        assertFalse(verifier.isIncluded(path.root, left, right, link), "as key and value");
        assertFalse(verifier.isIncluded(path.root, left, bytes32(0), link), "as key and link");
        bytes memory low = abi.encodePacked(uint64(0), uint8(0), left, uint8(0), right, bytes32(0), above);
        assertFalse(verifier.isExcluded(path.root, BETWEEN, low), "as a low leaf");
    }

    function test_short_proofs_are_refused_without_a_revert() external view {
        for (uint256 size; size < 107; ++size) {
            assertFalse(verifier.isExcluded(bytes32(0), BETWEEN, new bytes(size)), "exclusion");
            assertFalse(verifier.isIncluded(bytes32(0), LOW, VALUE, new bytes(size)), "inclusion");
        }
    }
}
