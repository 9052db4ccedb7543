// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "keystore/AxiomProof.sol";
import {Base} from "./Base.sol";
import {Paths} from "./Paths.sol";
import {HARNESS, IVerifierHarness} from "./IVerifierHarness.sol";

/// @title Axiom's proof form: the rules, and corruption of each of its fields
contract AxiomProofTest is Base {
    using Paths for Paths.Leaf;

    IVerifierHarness internal verifier = IVerifierHarness(_create(_read(HARNESS)));

    bytes32 internal constant SALT = keccak256("salt");
    bytes32 internal constant VKEY_HASH = keccak256("vkey");
    bytes32 internal constant OTHER_VALUE = keccak256("another account");
    bytes internal keyData = abi.encodePacked(uint8(0), keccak256("code"), "signers");

    function getAddress() internal view returns (bytes32) {
        return keccak256(abi.encodePacked(SALT, keccak256(keyData), VKEY_HASH));
    }

    function encode(AxiomProof.KeyDataMerkleProof memory p) internal pure returns (bytes memory) {
        return abi.encode(
            p.isExclusion,
            p.exclusionExtraData,
            p.nextDummyByte,
            p.nextImtKey,
            p.vkeyHash,
            p.keyData,
            p.proof,
            p.isLeft
        );
    }

    function makeInclusion(bytes32 keystoreAddress, uint256 depth)
        internal
        view
        returns (bytes32 root, AxiomProof.KeyDataMerkleProof memory p)
    {
        bytes32 treeKey = keccak256(abi.encodePacked(uint16(0), keystoreAddress));
        bytes32 value = keccak256(abi.encodePacked(keccak256(keyData), VKEY_HASH));
        Paths.Path memory path =
            Paths.grow(Paths.Leaf(1, 1, treeKey, 0, 0, value).hash(), depth, 0x5555555555555555, "axiom");
        p = AxiomProof.KeyDataMerkleProof(false, "", 0x00, 0, VKEY_HASH, keyData, path.siblings, path.isLeft);
        root = path.root;
    }

    function makeExclusion(bytes32 low, bytes32 high, uint256 depth)
        internal
        view
        returns (bytes32 root, AxiomProof.KeyDataMerkleProof memory p)
    {
        Paths.Path memory path =
            Paths.grow(Paths.Leaf(1, 1, low, 1, high, OTHER_VALUE).hash(), depth, 0x5555555555555555, "axiom");
        bytes memory extra = abi.encodePacked(uint8(1), low, SALT, OTHER_VALUE);
        p = AxiomProof.KeyDataMerkleProof(true, extra, 0x01, high, VKEY_HASH, keyData, path.siblings, path.isLeft);
        root = path.root;
    }

    function around() internal view returns (bytes32 low, bytes32 high) {
        uint256 treeKey = uint256(keccak256(abi.encodePacked(uint16(0), getAddress())));
        return (bytes32(treeKey - 1), bytes32(treeKey + 1));
    }

    function test_an_account_in_the_tree() external view {
        bytes32 any = keccak256("any address: the tree decides");
        (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) = makeInclusion(any, 6);
        assertTrue(verifier.isAuthoritative(root, any, encode(p)), "authoritative");
        p.keyData = "other";
        assertFalse(verifier.isAuthoritative(root, any, encode(p)), "other key data");
    }

    function test_an_account_that_was_never_changed() external view {
        (bytes32 low, bytes32 high) = around();
        (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) = makeExclusion(low, high, 6);
        assertTrue(verifier.isAuthoritative(root, getAddress(), encode(p)), "authoritative");
        p.keyData = "other";
        assertFalse(verifier.isAuthoritative(root, getAddress(), encode(p)), "other key data");
    }

    /// @dev The published verifier accepts all four, so that a retired key authenticates forever.
    function test_both_bounds_must_hold() external view {
        (bytes32 low, bytes32 high) = around();
        bytes32 treeKey = bytes32(uint256(low) + 1);
        bytes32[2][4] memory gaps = [[treeKey, high], [low, treeKey], [high, bytes32(type(uint256).max)], [bytes32(0), low]];
        for (uint256 i; i < 4; ++i) {
            (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) = makeExclusion(gaps[i][0], gaps[i][1], 6);
            assertFalse(verifier.isAuthoritative(root, getAddress(), encode(p)), "not in the gap");
        }
    }

    /// @dev Leaves that hash so do not exist; like everywhere, they are refused before that is asked.
    function test_flags_are_zero_or_one() external view {
        (bytes32 low, bytes32 high) = around();
        bytes32 treeKey = bytes32(uint256(low) + 1);
        for (uint8 flag = 1; flag < 4; ++flag) {
            Paths.Leaf memory leaf = Paths.Leaf(1, flag, low, 1, high, OTHER_VALUE);
            Paths.Path memory path = Paths.grow(leaf.hash(), 3, 5, "prefix");
            bytes memory extra = abi.encodePacked(flag, low, SALT, OTHER_VALUE);
            AxiomProof.KeyDataMerkleProof memory p = AxiomProof.KeyDataMerkleProof(
                true, extra, 0x01, high, VKEY_HASH, keyData, path.siblings, path.isLeft
            );
            assertEq(flag == 1, verifier.isAuthoritative(path.root, getAddress(), encode(p)), "prefix");

            bytes32 value = keccak256(abi.encodePacked(keccak256(keyData), VKEY_HASH));
            path = Paths.grow(Paths.Leaf(1, 1, treeKey, flag, high, value).hash(), 3, 5, "next prefix");
            p = AxiomProof.KeyDataMerkleProof(
                false, "", bytes1(flag), high, VKEY_HASH, keyData, path.siblings, path.isLeft
            );
            assertEq(flag == 1, verifier.isAuthoritative(path.root, getAddress(), encode(p)), "next prefix");
        }
    }

    /// @dev The first and the last of the list: a bound that is not there does not count.
    function test_the_ends_of_the_list() external view {
        for (uint256 end; end < 2; ++end) {
            Paths.Leaf memory leaf = end == 0
                ? Paths.Leaf(1, 0, 0, 1, bytes32(type(uint256).max), OTHER_VALUE)
                : Paths.Leaf(1, 1, bytes32(uint256(1)), 0, 0, OTHER_VALUE);
            Paths.Path memory path = Paths.grow(leaf.hash(), 3, 5, "ends");
            bytes memory extra = abi.encodePacked(leaf.prefix, leaf.key, SALT, OTHER_VALUE);
            AxiomProof.KeyDataMerkleProof memory p = AxiomProof.KeyDataMerkleProof(
                true, extra, bytes1(leaf.nextPrefix), leaf.nextKey, VKEY_HASH, keyData, path.siblings, path.isLeft
            );
            assertTrue(verifier.isAuthoritative(path.root, getAddress(), encode(p)), "at an end");
        }
    }

    function testFuzz_a_changed_field_is_refused(uint256 field, uint256 position, uint8 mask, bool exclusion)
        external
        view
    {
        (bytes32 low, bytes32 high) = around();
        (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) =
            exclusion ? makeExclusion(low, high, 6) : makeInclusion(getAddress(), 6);
        assertTrue(verifier.isAuthoritative(root, getAddress(), encode(p)), "as it was");
        bytes1 flip = bytes1(mask == 0 ? 1 : mask);
        bytes32 flipped = bytes32(flip) >> 8 * (position % 32);
        field %= 8;
        if (field == 0) p.isExclusion = !p.isExclusion;
        else if (field == 1 && exclusion) p.exclusionExtraData[position % 97] ^= flip;
        else if (field == 1) p.exclusionExtraData = new bytes(1 + position % 100);
        else if (field == 2) p.nextDummyByte ^= flip;
        else if (field == 3) p.nextImtKey ^= flipped;
        else if (field == 4) p.vkeyHash ^= flipped;
        else if (field == 5) p.keyData[position % p.keyData.length] ^= flip;
        else if (field == 6) p.proof[position % 6] ^= flipped;
        else p.isLeft ^= uint256(flipped);
        assertFalse(verifier.isAuthoritative(root, getAddress(), encode(p)), "changed");
    }

    /// @dev One form only: nothing may follow the 97 bytes that are read.
    function test_surplus_of_the_extra_data_is_refused() external view {
        (bytes32 low, bytes32 high) = around();
        (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) = makeExclusion(low, high, 6);
        assertTrue(verifier.isAuthoritative(root, getAddress(), encode(p)), "as it was");
        p.exclusionExtraData = bytes.concat(p.exclusionExtraData, hex"00");
        assertFalse(verifier.isAuthoritative(root, getAddress(), encode(p)), "a byte more");
    }

    /// @dev Fewer bytes than the heads: the rest would be read from whatever stands behind them.
    function test_less_than_the_heads_is_refused_by_name() external {
        bytes memory short = new bytes(8 * 32 - 1);
        vm.expectRevert(abi.encodeWithSelector(AxiomProof.ShortProof.selector, short.length));
        verifier.isAuthoritative(0, 0, short);
        verifier.isAuthoritative(0, 0, new bytes(9 * 32));
    }

    /// @dev Cut short, or with garbage in the offsets: false or a revert, never true.
    function testFuzz_malformed_encodings_are_refused(uint256 size, uint256 word, uint256 garbage) external view {
        (bytes32 low, bytes32 high) = around();
        (bytes32 root, AxiomProof.KeyDataMerkleProof memory p) = makeExclusion(low, high, 6);
        bytes memory encoded = encode(p);
        assertFalse(_isAccepted(root, _cut(encoded, size % encoded.length)), "cut short");
        // The heads of the three dynamic fields.
        word = [uint256(1), 5, 6][word % 3];
        uint256 original;
        assembly {
            original := mload(add(add(encoded, 0x20), mul(word, 0x20)))
            mstore(add(add(encoded, 0x20), mul(word, 0x20)), garbage)
        }
        if (garbage != original) assertFalse(_isAccepted(root, encoded), "another offset");
    }

    function _isAccepted(bytes32 root, bytes memory encoded) private view returns (bool) {
        try verifier.isAuthoritative(root, getAddress(), encoded) returns (bool accepted) {
            return accepted;
        } catch {
            return false;
        }
    }

    function _cut(bytes memory encoded, uint256 size) private pure returns (bytes memory short) {
        short = new bytes(size);
        for (uint256 i; i < size; ++i) {
            short[i] = encoded[i];
        }
    }
}
