// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Trees} from "vault-test/Trees.sol";
import {AccountBase} from "./AccountBase.sol";

/// @title A keystore with accounts, intents and delegates, and what opens them
abstract contract OutboxTree is AccountBase {
    using Trees for Trees.Tree;

    uint8 internal constant ABSENT = 0;
    uint8 internal constant DELETED = 1;

    /// @notice An intent as the leaf has it, but for its owner.
    struct Intent {
        uint16 slot;
        uint256 chainId;
        address account;
        bytes32 userOpHash;
        uint64 validAfter;
        uint64 validUntil;
    }

    Trees.Tree internal tree;

    function setUp() public virtual override {
        super.setUp();
        tree.start();
        // A keystore is never empty of others.
        for (uint256 i; i < 5; ++i) {
            tree.set(keccak256(abi.encode("neighbour", i)), bytes32(i));
        }
    }

    function _valueOf(Holder memory holder) internal pure returns (bytes memory) {
        return abi.encodePacked(_dataHash(holder), holder.vkHash);
    }

    function _setAccount(bytes32 key, Holder memory holder) internal {
        tree.set(_treeKey(key), keccak256(_valueOf(holder)));
    }

    function _part(bytes memory part) internal pure returns (bytes memory) {
        return abi.encodePacked(uint16(part.length), part);
    }

    // Intents

    function _intentPlace(bytes32 key, uint16 slot) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint16(6), key, uint256(slot)));
    }

    function _setIntent(bytes32 key, Holder memory owner, Intent memory intent) internal {
        bytes memory value = abi.encode(
            intent.chainId,
            intent.account,
            intent.userOpHash,
            intent.validAfter,
            intent.validUntil,
            keccak256(_valueOf(owner))
        );
        tree.set(_intentPlace(key, intent.slot), keccak256(value));
    }

    function _openIntent(bytes32 key, Holder memory owner, Intent memory intent) internal view returns (bytes memory) {
        return abi.encodePacked(
            uint8(3),
            intent.slot,
            intent.validAfter,
            intent.validUntil,
            _valueOf(owner),
            _part(tree.include(_treeKey(key))),
            _part(tree.include(_intentPlace(key, intent.slot)))
        );
    }

    // Delegates

    function _delegatePlace(bytes32 key, uint256 chainId) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint16(7), key, chainId));
    }

    function _setDelegate(bytes32 key, Holder memory owner, uint256 chainId, Holder memory delegate, uint64 until)
        internal
    {
        bytes memory value =
            abi.encode(delegate.codeHash, keccak256(delegate.config), until, keccak256(_valueOf(owner)));
        tree.set(_delegatePlace(key, chainId), keccak256(value));
    }

    function _openDelegate(
        bytes32 key,
        Holder memory owner,
        uint256 chainId,
        Holder memory delegate,
        uint64 until,
        bytes memory signature
    ) internal view returns (bytes memory) {
        bytes memory head =
            abi.encodePacked(uint8(4), delegate.codeHash, _part(delegate.config), _part(signature));
        return abi.encodePacked(
            head,
            chainId == 0 ? uint8(1) : uint8(0),
            until,
            _valueOf(owner),
            _part(tree.include(_treeKey(key))),
            _part(tree.include(_delegatePlace(key, chainId)))
        );
    }

    /// @notice What follows an opening by the entry for every chain: that this one has none.
    function _absence(bytes32 key) internal view returns (bytes memory) {
        return abi.encodePacked(ABSENT, _part(tree.exclude(_delegatePlace(key, block.chainid))));
    }

    function _deletion(bytes32 key) internal view returns (bytes memory) {
        return abi.encodePacked(DELETED, _part(tree.include(_delegatePlace(key, block.chainid))));
    }

    function _showTree() internal returns (bytes32 root) {
        root = tree.getRoot();
        _show(root);
    }
}
