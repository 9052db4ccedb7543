// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "keystore/AxiomProof.sol";
import {Base} from "./Base.sol";
import {Paths} from "./Paths.sol";
import {HARNESS, IVerifierHarness} from "./IVerifierHarness.sol";

/// @title What verification costs, in snapshots/proofs.json
/// @notice Gas of the library call alone, execution only: what the proof costs as calldata depends on the chain, so its
/// bytes stand beside it. The bars are what was measured of others at the same depth: Axiom's inclusion 7,422 gas and
/// 1,632 bytes, exclusion 7,866 and 1,760 (five signers); Stackup's proof of 5 levels 12,338.
contract GasTest is Base {
    using Paths for Paths.Leaf;

    uint256 internal constant GOAL = 5_000;
    /// @dev Half of the siblings on the left, as they are on average.
    uint64 internal constant SIDES = 0x3333333333333333;
    bytes32 internal constant KEY = keccak256("key");
    bytes32 internal constant VKEY_HASH = keccak256("vkey");

    IVerifierHarness internal verifier = IVerifierHarness(_create(_read(HARNESS)));
    string internal group = "proofs";

    function take(string memory name, bool accepted, uint256 gas, uint256 size, uint256 goal) internal {
        assertTrue(accepted, name);
        assertTrue(gas < goal, string.concat(name, ": gas"));
        vm.snapshotValue(group, string.concat(name, ".bytes"), size);
        vm.snapshotValue(group, string.concat(name, ".gas"), gas);
    }

    function measureInclusion(string memory name, uint256 depth) internal {
        Paths.Leaf memory leaf = Paths.Leaf(1, 1, KEY, 1, bytes32(type(uint256).max), keccak256("value"));
        Paths.Path memory path = Paths.grow(leaf.hash(), depth, SIDES, "gas");
        bytes memory proof = Paths.packInclusion(leaf, path);
        (bool accepted, uint256 gas) = verifier.measureInclusion(path.root, KEY, leaf.valueHash, proof);
        take(name, accepted, gas, proof.length, GOAL);
    }

    function measureExclusion(string memory name, uint256 depth) internal {
        bytes32 low = bytes32(uint256(KEY) - 1);
        Paths.Leaf memory leaf = Paths.Leaf(1, 1, low, 1, bytes32(type(uint256).max), keccak256("value"));
        Paths.Path memory path = Paths.grow(leaf.hash(), depth, SIDES, "gas");
        bytes memory proof = Paths.packExclusion(leaf, path);
        (bool accepted, uint256 gas) = verifier.measureExclusion(path.root, KEY, proof);
        take(name, accepted, gas, proof.length, GOAL);
    }

    function test_packed_proofs() external {
        measureInclusion("inclusion.depth20", 20);
        measureInclusion("inclusion.depth30", 30);
        measureExclusion("exclusion.depth20", 20);
        measureExclusion("exclusion.depth30", 30);
    }

    /// @dev Five signers, as in the figures of others: 289 bytes of key data.
    function test_axioms_form() external {
        address[] memory signers = new address[](5);
        for (uint256 i; i < 5; ++i) {
            signers[i] = address(uint160(uint256(keccak256(abi.encode(i)))));
        }
        bytes memory keyData = bytes.concat(hex"00", abi.encode(keccak256("code"), uint256(3), signers));
        assertEq(289, keyData.length, "key data");
        bytes32 keystoreAddress = keccak256(abi.encodePacked(KEY, keccak256(keyData), VKEY_HASH));
        bytes32 treeKey = keccak256(abi.encodePacked(uint16(0), keystoreAddress));
        bytes32 next = bytes32(type(uint256).max);

        bytes32 value = keccak256(abi.encodePacked(keccak256(keyData), VKEY_HASH));
        Paths.Path memory path = Paths.grow(Paths.Leaf(1, 1, treeKey, 1, next, value).hash(), 30, SIDES, "gas");
        bytes memory proof = abi.encode(
            false, "", bytes1(0x01), next, VKEY_HASH, keyData, path.siblings, uint256(path.isLeft)
        );
        (bool accepted, uint256 gas) = verifier.measureAxiom(path.root, keystoreAddress, proof);
        take("axiom.inclusion.depth30", accepted, gas, proof.length, 7_422);

        bytes32 low = bytes32(uint256(treeKey) - 1);
        path = Paths.grow(Paths.Leaf(1, 1, low, 1, next, value).hash(), 30, SIDES, "gas");
        bytes memory extra = abi.encodePacked(uint8(1), low, KEY, value);
        proof =
            abi.encode(true, extra, bytes1(0x01), next, VKEY_HASH, keyData, path.siblings, uint256(path.isLeft));
        (accepted, gas) = verifier.measureAxiom(path.root, keystoreAddress, proof);
        take("axiom.exclusion.depth30", accepted, gas, proof.length, 7_866);
    }
}
