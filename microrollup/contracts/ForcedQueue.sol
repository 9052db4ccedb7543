// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Announcements} from "./Announcements.sol";
import {IRollupInbox} from "./IRollupInbox.sol";
import {Schedule} from "./Schedule.sol";

/// @title The queue of forced actions
/// @notice Anybody may append; the owner may void an entry that has waited for long; a settled block says how far it read.
abstract contract ForcedQueue is Announcements {
    using Schedule for Schedule.Changes;

    /// @dev Six days: so long after its inclusion an entry is safe from its owner, however early the void is announced.
    uint256 private constant VOID_AGE_BLOCKS = 43_200;
    uint256 private constant MAX_FORCED_PER_BLOCK = 64;
    uint256 private constant MAX_PAYLOAD_BYTES = 8192;

    /// @inheritdoc IRollupInbox
    function force(bytes calldata payload) external returns (uint256 index) {
        return _force(payload);
    }

    /// @inheritdoc IRollupInbox
    function forceMany(bytes[] calldata payloads) external returns (uint256 index) {
        index = _queue.length;
        for (uint256 i = 0; i < payloads.length; ++i) {
            _force(payloads[i]);
        }
    }

    /// @inheritdoc IRollupInbox
    function void(uint256 index) external returns (uint256 effectiveBlock) {
        _verifyHasBuilder();
        effectiveBlock = _verifyOwner();
        Entry storage voided = _getEntry(index);
        uint256 known = _getVoid(voided);
        if (known != 0) revert AlreadyVoided(index, known);
        uint256 earliest = voided.inclusionBlock + VOID_AGE_BLOCKS;
        if (effectiveBlock < earliest) effectiveBlock = earliest;
        voided.voidAnnounced = uint40(block.number);
        voided.voidedFrom = uint40(effectiveBlock);
        emit ActionVoided(index, effectiveBlock);
    }

    /// @inheritdoc IRollupInbox
    function cancelVoid(uint256 index) external returns (uint256 effectiveBlock) {
        _verifyOwner();
        Entry storage voided = _getEntry(index);
        effectiveBlock = _getVoid(voided);
        _verifyCancel(index, effectiveBlock);
        voided.voidedFrom = 0;
        emit VoidCancelled(index, effectiveBlock);
    }

    /// @inheritdoc IRollupInbox
    function queueLength() external view returns (uint256) {
        return _queue.length;
    }

    /// @inheritdoc IRollupInbox
    function queueHash(uint256 index) public view returns (bytes32) {
        if (index > _queue.length) revert UnknownEntry(_queue.length, index);
        return index == 0 ? bytes32(0) : _queue[index - 1].queueHash;
    }

    /// @inheritdoc IRollupInbox
    function entry(uint256 index) external view returns (uint256 inclusionBlock, uint256 voidedFrom) {
        Entry storage found = _getEntry(index);
        return (found.inclusionBlock, _getVoid(found));
    }

    /// @dev A batch may stop at 64 entries, since one block takes no more, although more are due. Of a based rollup it takes
    /// one at least; how many follow from the origin, verifiers judge.
    function _verifyForced(Head memory head, Header calldata header) internal view {
        uint256 taken = header.forcedCount;
        uint256 length = _queue.length;
        if (taken > length) revert UnknownEntry(length, taken);
        bool tooFew = taken < head.forcedCount || (_isBased && taken == head.forcedCount);
        if (!_isBased && !tooFew && taken < length && taken < head.forcedCount + MAX_FORCED_PER_BLOCK) {
            tooFew = _queue[taken].inclusionBlock <= header.l1Origin;
        }
        if (tooFew) revert ForcedSkipped(head.forcedCount, taken, header.l1Origin);
        bytes32 expected = taken == 0 ? bytes32(0) : _queue[taken - 1].queueHash;
        if (header.forcedHash != expected) revert WrongForcedHash(expected, header.forcedHash);
    }

    function _force(bytes calldata payload) private returns (uint256 index) {
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLarge(MAX_PAYLOAD_BYTES, payload.length);
        index = _queue.length;
        // What `Head.forcedCount` can hold: years of all of Ethereum's gas.
        if (index == type(uint32).max) revert UnknownEntry(index, index);
        bytes32 hash = keccak256(abi.encode(queueHash(index), msg.sender, block.number, keccak256(payload)));
        _queue.push(Entry(hash, uint40(block.number), 0, 0));
        emit ActionForced(index, msg.sender, block.number, payload, hash);
    }

    /// @dev From when an entry is voided; 0 if it is not, or if its void ends with the owner who announced it.
    function _getVoid(Entry storage voided) private view returns (uint256 voidedFrom) {
        voidedFrom = voided.voidedFrom;
        if (voidedFrom == 0) return 0;
        uint256 next = _owner.findNext(voided.voidAnnounced);
        if (next != 0 && next <= voidedFrom) return 0;
    }

    function _getEntry(uint256 index) private view returns (Entry storage) {
        if (index >= _queue.length) revert UnknownEntry(_queue.length, index);
        return _queue[index];
    }
}
