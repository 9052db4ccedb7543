// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "../../../../apps/keystore/contracts/AxiomProof.sol";
import {IKeystoreRoots} from "../../../../apps/keystore/contracts/IKeystoreRoots.sol";
import {IAccountAddresses, KeystoreVerifier} from "../../../../apps/keystore/contracts/KeystoreVerifier.sol";
import {StateVerifier} from "../../../../apps/keystore/contracts/StateVerifier.sol";

/// @title The verifier, and what its libraries cost
/// @notice The `measure` functions return the gas of the library call alone.
contract VerifierHarness is KeystoreVerifier(IKeystoreRoots(address(0)), IAccountAddresses(address(0))) {
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
