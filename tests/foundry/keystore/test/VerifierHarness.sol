// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "keystore/AxiomProof.sol";
import {StateVerifier} from "keystore/StateVerifier.sol";

/// @title The libraries behind external functions, so that proofs come as calldata
/// @notice The `measure` functions return the gas of the library call alone.
contract VerifierHarness {
    function computeTreeKey(bytes32 key) external pure returns (bytes32) {
        return StateVerifier.computeTreeKey(key);
    }

    function computeValueHash(bytes32 dataHash, bytes32 vkHash) external pure returns (bytes32) {
        return StateVerifier.computeValueHash(dataHash, vkHash);
    }

    function isIncluded(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        pure
        returns (bool)
    {
        return StateVerifier.isIncluded(root, treeKey, valueHash, proof);
    }

    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) external pure returns (bool) {
        return StateVerifier.isExcluded(root, treeKey, proof);
    }

    /// @notice `encoded` is `abi.encode` of the eight fields, as Axiom's validators take it from v0.2.4 on.
    function isAuthoritative(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        pure
        returns (bool)
    {
        return AxiomProof.isAuthoritative(root, keystoreAddress, AxiomProof.read(encoded));
    }

    function measureInclusion(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        view
        returns (bool accepted, uint256 gas)
    {
        gas = gasleft();
        accepted = StateVerifier.isIncluded(root, treeKey, valueHash, proof);
        gas -= gasleft();
    }

    function measureExclusion(bytes32 root, bytes32 treeKey, bytes calldata proof)
        external
        view
        returns (bool accepted, uint256 gas)
    {
        gas = gasleft();
        accepted = StateVerifier.isExcluded(root, treeKey, proof);
        gas -= gasleft();
    }

    function measureAxiom(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        view
        returns (bool accepted, uint256 gas)
    {
        gas = gasleft();
        accepted = AxiomProof.isAuthoritative(root, keystoreAddress, AxiomProof.read(encoded));
        gas -= gasleft();
    }
}
