// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BlockHeader} from "@openzeppelin/contracts/utils/BlockHeader.sol";
import {Memory} from "@openzeppelin/contracts/utils/Memory.sol";
import {RLP} from "@openzeppelin/contracts/utils/RLP.sol";
import {TrieProof} from "@openzeppelin/contracts/utils/cryptography/TrieProof.sol";

import {IKeystoreRoots} from "./IKeystoreRoots.sol";

/// @title What an inbox on L1 holds, read from the header of an L1 block by Merkle-Patricia proofs (`eth_getProof`)
library InboxProof {
    /// @dev `RollupInbox`: slot 0 is the state root; the lowest 64 bits of slot 1 are its height, bits 96 to 135 its own time, the highest 40 the time of the
    /// L1 block in which it was settled. Both are written together, so two proofs against one block belong together.
    bytes32 internal constant ROOT_SLOT = bytes32(uint256(0));
    bytes32 internal constant HEAD_SLOT = bytes32(uint256(1));

    /// @dev Place of the storage root in an account's RLP: nonce, balance, storage root, code hash.
    uint256 private constant STORAGE_ROOT = 2;

    uint256 private constant SETTLED_AT_SHIFT = 216;
    uint256 private constant TIMESTAMP_SHIFT = 96;

    /// @notice The root and height that `inbox` held in the L1 block of `header`, that block's time, and the time of the L1
    /// block in which the root was settled.
    /// @dev The header must be known to be authentic: every other byte then is checked by the hashes that lead to it.
    function read(
        bytes memory header,
        address inbox,
        bytes[] memory accountProof,
        bytes[] memory rootProof,
        bytes[] memory headProof
    ) internal pure returns (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) {
        Memory.Slice[] memory fields = BlockHeader.parseHeader(header);
        bytes memory account =
            _follow(BlockHeader.getStateRoot(fields), keccak256(abi.encodePacked(inbox)), accountProof);
        bytes32 storageRoot = RLP.readBytes32(RLP.decodeList(account)[STORAGE_ROOT]);
        root = bytes32(_readSlot(storageRoot, ROOT_SLOT, rootProof));
        uint256 head = _readSlot(storageRoot, HEAD_SLOT, headProof);
        height = uint64(head);
        settledAt = uint64(head >> SETTLED_AT_SHIFT);
        l1Time = uint64(BlockHeader.getTimestamp(fields));
    }

    /// @notice The root that `inbox` held in the L1 block of `header`, the time of the rollup's block whose root it is, and
    /// the L1 block's own time.
    /// @dev As `read`.
    function readTimestamp(
        bytes memory header,
        address inbox,
        bytes[] memory accountProof,
        bytes[] memory rootProof,
        bytes[] memory headProof
    ) internal pure returns (bytes32 root, uint64 timestamp, uint64 l1Time) {
        Memory.Slice[] memory fields = BlockHeader.parseHeader(header);
        bytes memory account =
            _follow(BlockHeader.getStateRoot(fields), keccak256(abi.encodePacked(inbox)), accountProof);
        bytes32 storageRoot = RLP.readBytes32(RLP.decodeList(account)[STORAGE_ROOT]);
        root = bytes32(_readSlot(storageRoot, ROOT_SLOT, rootProof));
        timestamp = uint40(_readSlot(storageRoot, HEAD_SLOT, headProof) >> TIMESTAMP_SHIFT);
        l1Time = uint64(BlockHeader.getTimestamp(fields));
    }

    /// @dev A storage word; in the trie it stands without its leading zeros.
    function _readSlot(bytes32 storageRoot, bytes32 slot, bytes[] memory proof) private pure returns (uint256) {
        return RLP.decodeUint256(_follow(storageRoot, keccak256(abi.encodePacked(slot)), proof));
    }

    function _follow(bytes32 root, bytes32 hashedKey, bytes[] memory proof) private pure returns (bytes memory) {
        (bytes memory value, TrieProof.ProofError error_) =
            TrieProof.tryTraverse(root, abi.encodePacked(hashedKey), proof);
        if (error_ != TrieProof.ProofError.NO_ERROR) revert IKeystoreRoots.BadProof();
        return value;
    }
}
