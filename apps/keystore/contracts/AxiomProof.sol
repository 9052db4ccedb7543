// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StateVerifier} from "./StateVerifier.sol";

/// @title Axiom's `KeyDataMerkleProof` over the same tree
/// @notice The form that Axiom's validator and its SDK carry in a signature. The key data is what is authoritative for a
/// keystore address: the account's `data`, either because the tree holds its hash, or because the tree holds nothing at
/// the address and the address itself commits to it. Axiom's published verifier accepts an exclusion when one of its two
/// bounds holds; here both must.
library AxiomProof {
    /// @notice Names, order and types are Axiom's.
    struct KeyDataMerkleProof {
        bool isExclusion;
        /// Exclusion: the low leaf's prefix (1 byte) and key (32), the address's salt (32), the low leaf's value hash (32).
        /// Inclusion: empty.
        bytes exclusionExtraData;
        bytes1 nextDummyByte;
        bytes32 nextImtKey;
        bytes32 vkeyHash;
        bytes keyData;
        bytes32[] proof;
        uint256 isLeft;
    }

    /// @notice Fewer bytes than the eight fields' heads.
    error ShortProof(uint256 length);

    uint256 internal constant EXCLUSION_EXTRA_BYTES = 97;
    uint256 internal constant HEAD_BYTES = 8 * 32;

    /// @notice The proof in `abi.encode` of its eight fields, not wrapped in a tuple, as Axiom's validators take it from
    /// v0.2.4 on. Nothing is copied; reading a member that lies outside of the calldata reverts.
    function read(bytes calldata encoded) internal pure returns (KeyDataMerkleProof calldata proof) {
        if (encoded.length < HEAD_BYTES) revert ShortProof(encoded.length);
        assembly ("memory-safe") {
            proof := encoded.offset
        }
    }

    /// @notice Whether `proof.keyData` is authoritative for `keystoreAddress` under the state root.
    function isAuthoritative(bytes32 root, bytes32 keystoreAddress, KeyDataMerkleProof calldata proof)
        internal
        pure
        returns (bool)
    {
        if (uint8(proof.nextDummyByte) > 1) return false;
        bytes32 dataHash = keccak256(proof.keyData);
        bytes32 treeKey = StateVerifier.computeTreeKey(keystoreAddress);
        bytes32 leafHash;
        if (proof.isExclusion) {
            if (!_isInitial(keystoreAddress, dataHash, proof)) return false;
            if (!_isLow(treeKey, proof)) return false;
            leafHash = _computeLowLeafHash(proof);
        } else {
            if (proof.exclusionExtraData.length != 0) return false;
            bytes32 valueHash = StateVerifier.computeValueHash(dataHash, proof.vkeyHash);
            leafHash = keccak256(
                abi.encodePacked(uint16(0x0101), treeKey, proof.nextDummyByte, proof.nextImtKey, valueHash)
            );
        }
        return StateVerifier.leadsTo(root, leafHash, proof.isLeft, proof.proof);
    }

    /// @dev Whether the address commits to this data, key and the salt that the proof carries.
    function _isInitial(bytes32 keystoreAddress, bytes32 dataHash, KeyDataMerkleProof calldata proof)
        private
        pure
        returns (bool)
    {
        bytes calldata extra = proof.exclusionExtraData;
        if (extra.length != EXCLUSION_EXTRA_BYTES) return false;
        return keystoreAddress == keccak256(abi.encodePacked(extra[33:65], dataHash, proof.vkeyHash));
    }

    /// @dev Whether the key lies in the gap above the leaf. BOTH bounds.
    function _isLow(bytes32 treeKey, KeyDataMerkleProof calldata proof) private pure returns (bool) {
        bytes calldata extra = proof.exclusionExtraData;
        uint8 prefix = uint8(extra[0]);
        if (prefix > 1) return false;
        bool above = prefix == 0 || bytes32(extra[1:33]) < treeKey;
        bool below = proof.nextDummyByte == 0 || treeKey < proof.nextImtKey;
        return above && below;
    }

    function _computeLowLeafHash(KeyDataMerkleProof calldata proof) private pure returns (bytes32) {
        bytes calldata extra = proof.exclusionExtraData;
        return keccak256(
            abi.encodePacked(uint8(1), extra[:33], proof.nextDummyByte, proof.nextImtKey, extra[65:97])
        );
    }
}
