// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "keystore/AxiomProof.sol";
import {StateVerifier} from "keystore/StateVerifier.sol";
import {Base} from "./Base.sol";

contract GasTest is Base {
    bytes32 constant A = keccak256("x");
    function path(bytes32 node, uint256 isLeft, uint256 depth) internal pure returns (bytes32 root, bytes memory sib, bytes32[] memory arr) {
        arr = new bytes32[](depth);
        for (uint256 i; i < depth; ++i) {
            bytes32 s = keccak256(abi.encode(node, i));
            arr[i] = s;
            sib = bytes.concat(sib, s);
            node = isLeft >> i & 1 == 1 ? keccak256(abi.encode(s, node)) : keccak256(abi.encode(node, s));
        }
        root = node;
    }
    function inc(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof) external view returns (bool ok, uint256 gas) {
        gas = gasleft();
        ok = StateVerifier.isIncluded(root, treeKey, valueHash, proof);
        gas -= gasleft();
    }
    function exc(bytes32 root, bytes32 treeKey, bytes calldata proof) external view returns (bool ok, uint256 gas) {
        gas = gasleft();
        ok = StateVerifier.isExcluded(root, treeKey, proof);
        gas -= gasleft();
    }
    function test_many() external { uint256[6] memory ds=[uint256(0),1,4,8,28,30]; for (uint256 k;k<6;++k){ uint256 isLeft = 0x2aaaaaaa & ((1<<ds[k])-1); bytes32 leaf = keccak256(abi.encodePacked(uint16(0x0101), A, uint8(1), keccak256("n"), keccak256("v"))); (bytes32 root, bytes memory sib,) = path(leaf, isLeft, ds[k]); bytes memory proof = abi.encodePacked(uint64(isLeft), uint8(1), keccak256("n"), sib); (bool ok, uint256 gas) = this.inc(root, A, keccak256("v"), proof); assertTrue(ok,"x"); vm.snapshotValue("x", vm.toString(ds[k]), gas);} }
 function test_gas() external {
        uint256 isLeft = 0x2aaaaaaa;
        bytes32 leaf = keccak256(abi.encodePacked(uint16(0x0101), A, uint8(1), keccak256("n"), keccak256("v")));
        (bytes32 root, bytes memory sib,) = path(leaf, isLeft, 30);
        bytes memory proof = abi.encodePacked(uint64(isLeft), uint8(1), keccak256("n"), sib);
        (bool ok, uint256 gas) = this.inc(root, A, keccak256("v"), proof);
        assertTrue(ok, "in");
        vm.snapshotValue("keystore", "inclusion", gas);
        leaf = keccak256(abi.encodePacked(uint16(0x0101), bytes32(uint256(1)), uint8(1), bytes32(type(uint256).max), keccak256("v")));
        (root, sib,) = path(leaf, isLeft, 30);
        proof = abi.encodePacked(uint64(isLeft), uint8(1), bytes32(uint256(1)), uint8(1), bytes32(type(uint256).max), keccak256("v"), sib);
        (ok, gas) = this.exc(root, A, proof);
        assertTrue(ok, "ex");
        vm.snapshotValue("keystore", "exclusion", gas);
    }
}
