// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "./IRollupInbox.sol";
import {InboxState} from "./InboxState.sol";
import {Schedule} from "./Schedule.sol";
import {VerifierSets} from "./VerifierSets.sol";

/// @title What the owner announces
/// @notice Verifiers, builder, code and owner: each change waits, and can be taken back until shortly before it is in force.
abstract contract Announcements is InboxState {
    using Schedule for Schedule.Changes;

    /// @dev Three days, longer than an origin's age: who builds on a permitted origin knows all that is in force there.
    uint256 private constant CHANGE_DELAY_BLOCKS = 21_600;
    /// @dev An hour: what takes effect so soon cannot be cancelled any more, so that no builder is surprised.
    uint256 private constant CANCEL_MARGIN_BLOCKS = 300;

    /// @inheritdoc IRollupInbox
    function changeVerifiers(VerifierSet calldata set) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        address pointer = VerifierSets.store(set, _pages);
        if (!_isOwnerLeaving()) _verifiers.announce(pointer, effectiveBlock);
        emit VerifiersChanged(effectiveBlock, VerifierSets.computeId(set), set);
    }

    /// @inheritdoc IRollupInbox
    function registerKeys(bytes calldata keys, bytes calldata proofs) external returns (address page) {
        page = VerifierSets.register(keys, proofs);
        _pages[page] = true;
        emit KeysRegistered(page, keys);
    }

    /// @inheritdoc IRollupInbox
    function changeBuilder(address next) external returns (uint256 effectiveBlock) {
        _verifyHasBuilder();
        effectiveBlock = _verifyOwner();
        if (next == address(0)) revert ZeroBuilder();
        if (!_isOwnerLeaving()) _builder.announce(next, effectiveBlock);
        emit BuilderChanged(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function announceCode(bytes32 next) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        if (next == 0) revert ZeroCode();
        if (!_isOwnerLeaving()) {
            _code.announce(address(0), effectiveBlock);
            _codes[effectiveBlock] = next;
        }
        emit CodeAnnounced(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function changeOwner(address next) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        if (!_isOwnerLeaving()) {
            _owner.announce(next, effectiveBlock);
            // What was announced earlier in this very block would come into force together with the new owner.
            if (_verifiers.newest.effective == effectiveBlock) _verifiers.takeBack();
            if (_builder.newest.effective == effectiveBlock) _builder.takeBack();
            if (_code.newest.effective == effectiveBlock) _code.takeBack();
            if (next == address(0)) _verifyOwnerless();
        }
        emit OwnerChanged(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function cancel(Announcement kind) external returns (uint256 effectiveBlock) {
        _verifyOwner();
        Schedule.Changes storage changes =
            kind == Announcement.Verifiers ? _verifiers : kind == Announcement.Builder ? _builder : _code;
        effectiveBlock = changes.newest.effective;
        _verifyCancel(uint256(kind), effectiveBlock);
        changes.takeBack();
        if (_isOwnerLeaving() && _owner.newest.value == address(0)) _verifyOwnerless();
        emit AnnouncementCancelled(kind, effectiveBlock);
    }

    /// @inheritdoc IRollupInbox
    function owner() public view returns (address) {
        return _owner.at(block.number);
    }

    /// @inheritdoc IRollupInbox
    function codeAt(uint256 number) public view returns (bytes32) {
        uint256 effective = _code.findEffective(number);
        return effective == 0 ? stfId : _codes[effective];
    }

    /// @inheritdoc IRollupInbox
    function builder() external view returns (address) {
        return _builder.at(block.number);
    }

    /// @inheritdoc IRollupInbox
    function verifiers() external view returns (VerifierSet memory set) {
        return VerifierSets.load(_verifiers.at(block.number)).set;
    }

    /// @dev The newest set is the one that stays when nobody is the owner.
    function _verifyOwnerless() private view {
        if (VerifierSets.needsOwner(_verifiers.newest.value)) revert NeedsOwner();
    }

    function _verifyCancel(uint256 what, uint256 effectiveBlock) internal view {
        if (effectiveBlock <= block.number) revert NothingPending(what);
        if (effectiveBlock <= block.number + CANCEL_MARGIN_BLOCKS) revert CancelledTooLate(effectiveBlock, block.number);
    }

    /// @dev Whether another owner is announced, which nothing can stop: what this one announces from then on would take
    /// effect in the other's first three days, so it never does. That goes for yet another owner too: the first stands.
    function _isOwnerLeaving() private view returns (bool) {
        return _owner.newest.effective > block.number;
    }

    /// @dev Gives the block from which what the owner announces now is in force. Zero owns nothing, even where a
    /// simulated call may come from it.
    function _verifyOwner() internal view returns (uint256) {
        address current = owner();
        if (msg.sender != current || current == address(0)) revert NotOwner(current, msg.sender);
        return block.number + CHANGE_DELAY_BLOCKS;
    }
}
