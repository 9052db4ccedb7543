// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base} from "./Base.sol";
import {Paths} from "./Paths.sol";
import {HARNESS, IVerifierHarness} from "./IVerifierHarness.sol";

/// @title Any path verifies, and no corruption of it does
contract CorruptionTest is Base {
    using Paths for Paths.Leaf;

    IVerifierHarness internal verifier = IVerifierHarness(_create(_read(HARNESS)));

    struct Case {
        bytes32 root;
        bytes32 treeKey;
        bytes32 valueHash;
        bytes inclusion;
        bytes32 absentKey;
        bytes exclusion;
    }

    /// @notice A leaf and a path to it, as the fuzzer likes; the absent key lies just above the leaf's.
    function make(bytes32 seed, uint256 depth, uint64 isLeft) internal pure returns (Case memory made) {
        bytes32 key = bytes32(uint256(keccak256(abi.encode(seed, "key"))) >> 1);
        bytes32 next = bytes32(uint256(key) + 2 + uint256(keccak256(abi.encode(seed, "gap"))) / 4);
        bool last = uint256(seed) & 1 == 1;
        Paths.Leaf memory leaf =
            Paths.Leaf(1, 1, key, last ? 0 : 1, last ? bytes32(0) : next, keccak256(abi.encode(seed, "value")));
        Paths.Path memory path = Paths.grow(leaf.hash(), bound(depth, 0, 64), isLeft, seed);
        made.root = path.root;
        made.treeKey = key;
        made.valueHash = leaf.valueHash;
        made.inclusion = Paths.packInclusion(leaf, path);
        made.absentKey = bytes32(uint256(key) + 1);
        made.exclusion = Paths.packExclusion(leaf, path);
    }

    function isIncluded(Case memory made) internal view returns (bool) {
        return verifier.isIncluded(made.root, made.treeKey, made.valueHash, made.inclusion);
    }

    function isExcluded(Case memory made) internal view returns (bool) {
        return verifier.isExcluded(made.root, made.absentKey, made.exclusion);
    }

    function flip(bytes memory proof, uint256 position, uint8 mask) internal pure {
        proof[position % proof.length] ^= bytes1(mask == 0 ? 1 : mask);
    }

    function resize(bytes memory proof, uint256 size, bytes32 filling) internal pure returns (bytes memory resized) {
        resized = new bytes(size);
        for (uint256 i; i < size; ++i) {
            resized[i] = i < proof.length ? proof[i] : filling[i % 32];
        }
    }

    function testFuzz_any_path_verifies(bytes32 seed, uint256 depth, uint64 isLeft) external view {
        Case memory made = make(seed, depth, isLeft);
        assertTrue(isIncluded(made), "included");
        assertTrue(isExcluded(made), "excluded");
        assertFalse(verifier.isExcluded(made.root, made.treeKey, made.exclusion), "the included key, excluded");
        assertFalse(verifier.isIncluded(made.root, made.absentKey, made.valueHash, made.inclusion), "absent key");
    }

    function testFuzz_one_changed_byte_is_refused(bytes32 seed, uint256 depth, uint64 isLeft, uint256 at, uint8 mask)
        external
        view
    {
        Case memory made = make(seed, depth, isLeft);
        flip(made.inclusion, at, mask);
        flip(made.exclusion, at, mask);
        assertFalse(isIncluded(made), "included");
        assertFalse(isExcluded(made), "excluded");
    }

    /// @dev All bits of one proof of each kind, without chance.
    function test_every_bit_counts() external view {
        Case memory made = make("every bit", 3, 5);
        for (uint256 bit; bit < 8 * made.exclusion.length; ++bit) {
            made.exclusion[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertFalse(isExcluded(made), "excluded");
            made.exclusion[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        for (uint256 bit; bit < 8 * made.inclusion.length; ++bit) {
            made.inclusion[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            assertFalse(isIncluded(made), "included");
            made.inclusion[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        assertTrue(isIncluded(made) && isExcluded(made), "as they were");
    }

    function testFuzz_every_other_length_is_refused(
        bytes32 seed,
        uint256 depth,
        uint64 isLeft,
        uint256 size,
        bytes32 filling
    ) external view {
        Case memory made = make(seed, depth, isLeft);
        size = bound(size, 0, made.exclusion.length + 100);
        if (size != made.inclusion.length) {
            made.inclusion = resize(made.inclusion, size, filling);
            assertFalse(isIncluded(made), "included");
        }
        if (size != made.exclusion.length) {
            made.exclusion = resize(made.exclusion, size, filling);
            assertFalse(isExcluded(made), "excluded");
        }
    }

    function testFuzz_another_root_key_or_value_is_refused(bytes32 seed, uint256 depth, uint64 isLeft, bytes32 other)
        external
        view
    {
        Case memory made = make(seed, depth, isLeft);
        if (other != made.root) {
            assertFalse(verifier.isIncluded(other, made.treeKey, made.valueHash, made.inclusion), "root");
            assertFalse(verifier.isExcluded(other, made.absentKey, made.exclusion), "root excludes");
        }
        if (other != made.treeKey) {
            assertFalse(verifier.isIncluded(made.root, other, made.valueHash, made.inclusion), "key");
        }
        if (other != made.valueHash) {
            assertFalse(verifier.isIncluded(made.root, made.treeKey, other, made.inclusion), "value");
        }
    }

    function testFuzz_two_levels_do_not_swap(bytes32 seed, uint256 depth, uint64 isLeft, uint256 a, uint256 b)
        external
        view
    {
        Case memory made = make(seed, bound(depth, 2, 64), isLeft);
        uint256 levels = (made.inclusion.length - 41) / 32;
        (a, b) = (a % levels, b % levels);
        if (a == b) return;
        for (uint256 i; i < 32; ++i) {
            (uint256 p, uint256 q) = (41 + 32 * a + i, 41 + 32 * b + i);
            (made.inclusion[p], made.inclusion[q]) = (made.inclusion[q], made.inclusion[p]);
        }
        assertFalse(isIncluded(made), "swapped");
    }

    function testFuzz_garbage_is_refused_without_a_revert(bytes32 root, bytes32 key, bytes32 value, bytes calldata proof)
        external
        view
    {
        assertFalse(verifier.isIncluded(root, key, value, proof), "included");
        assertFalse(verifier.isExcluded(root, key, proof), "excluded");
    }
}
