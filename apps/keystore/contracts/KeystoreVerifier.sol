// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AxiomProof} from "./AxiomProof.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title The state verifier as a contract, for whoever would rather call than link
/// @notice Also what off-chain programs ask by `eth_call`. No storage, nothing to own.
contract KeystoreVerifier {
    /// @notice Where an account lives in the tree.
    function computeTreeKey(bytes32 key) external pure returns (bytes32) {
        return StateVerifier.computeTreeKey(key);
    }

    /// @notice What the tree commits to for an account.
    function computeValueHash(bytes32 dataHash, bytes32 vkHash) external pure returns (bytes32) {
        return StateVerifier.computeValueHash(dataHash, vkHash);
    }

    /// @notice Whether the tree of `root` holds a value of hash `valueHash` at `treeKey`.
    function isIncluded(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        pure
        returns (bool)
    {
        return StateVerifier.isIncluded(root, treeKey, valueHash, proof);
    }

    /// @notice Whether the tree of `root` never held anything at `treeKey`.
    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) external pure returns (bool) {
        return StateVerifier.isExcluded(root, treeKey, proof);
    }

    /// @notice Whether the key data of Axiom's proof are authoritative for an address. `encoded` is `abi.encode` of its eight
    /// fields; malformed ones may revert.
    function isAuthoritative(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        pure
        returns (bool)
    {
        return AxiomProof.isAuthoritative(root, keystoreAddress, AxiomProof.read(encoded));
    }
}
