// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StateVerifier} from "keystore/StateVerifier.sol";
import {Base} from "./Base.sol";

contract StateVerifierTest is Base {
    bytes32 internal constant EMPTY_ROOT = 0x5b2d253779ef38e6e5663a70d9bd05581b12f54251ecdac44f5e26e686e73836;

    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) external pure returns (bool) {
        return StateVerifier.isExcluded(root, treeKey, proof);
    }

    function test_the_empty_tree_excludes_every_key() external view {
        bytes memory proof =
            abi.encodePacked(uint64(0), uint8(0), bytes32(0), uint8(0), bytes32(0), keccak256(""));
        assertTrue(this.isExcluded(EMPTY_ROOT, keccak256("any"), proof), "excluded");
    }
}
