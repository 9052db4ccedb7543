// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title Accounts of the keystore as words of L1's storage
/// @notice For readers that can read L1's storage and would rather not carry a proof (L1SLOAD, `eth_getProof`). Anybody opens an
/// account under the root that the inbox holds; it stays as it was opened until somebody opens it again. So a word is worth
/// something only together with its time, and readers stop after 7 days. Nobody owns this.
///
/// Of the account of `key`, at `p = keccak256(key | 0)` (two words of 32 bytes):
///
///     p        keccak256(keccak256(data) | keccak256(vk)), which the state tree holds, or the key itself is made from
///     p + 1    from the lowest bit: height of the rollup's block 64, L1 time at which it was opened 64
contract L1Accounts {
    struct Opened {
        bytes32 valueHash;
        uint64 height;
        uint64 l1Time;
    }

    /// @notice The account of `key` had data and vk of these hashes at block `height` of the rollup, and L1 knew no later one.
    event AccountOpened(bytes32 indexed key, bytes32 dataHash, bytes32 vkHash, uint64 height);

    /// @notice The proof does not show the account, or its absence, under the root that the inbox holds.
    error WrongProof(bytes32 root);

    /// @dev Slot 0, which readers count on.
    mapping(bytes32 key => Opened) private _opened;

    /// @notice The inbox whose root counts.
    IRollupInbox public immutable inbox;

    constructor(IRollupInbox inbox_) {
        inbox = inbox_;
    }

    /// @notice Open a registered account, by its inclusion.
    function open(bytes32 key, bytes32 dataHash, bytes32 vkHash, bytes calldata proof) external {
        IRollupInbox.Settled memory settled = inbox.settled();
        bytes32 valueHash = StateVerifier.computeValueHash(dataHash, vkHash);
        if (!StateVerifier.isIncluded(settled.stateRoot, StateVerifier.computeTreeKey(key), valueHash, proof)) {
            revert WrongProof(settled.stateRoot);
        }
        _open(key, dataHash, vkHash, valueHash, settled.height);
    }

    /// @notice Open an account that was never registered, by its exclusion and the salt that makes `key` from data and vk.
    function openInitial(bytes32 key, bytes32 dataHash, bytes32 vkHash, bytes32 salt, bytes calldata proof) external {
        IRollupInbox.Settled memory settled = inbox.settled();
        bool isShown = key == keccak256(abi.encodePacked(salt, dataHash, vkHash))
            && StateVerifier.isExcluded(settled.stateRoot, StateVerifier.computeTreeKey(key), proof);
        if (!isShown) revert WrongProof(settled.stateRoot);
        _open(key, dataHash, vkHash, StateVerifier.computeValueHash(dataHash, vkHash), settled.height);
    }

    /// @notice What is known of an account; zeros if it was never opened.
    function getAccount(bytes32 key) external view returns (bytes32 valueHash, uint64 height, uint64 l1Time) {
        Opened memory opened = _opened[key];
        return (opened.valueHash, opened.height, opened.l1Time);
    }

    /// @dev The inbox's height never goes back, so an account's does not.
    function _open(bytes32 key, bytes32 dataHash, bytes32 vkHash, bytes32 valueHash, uint256 height) private {
        _opened[key] = Opened(valueHash, uint64(height), uint64(block.timestamp));
        emit AccountOpened(key, dataHash, vkHash, uint64(height));
    }
}
