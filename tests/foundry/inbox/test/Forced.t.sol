// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice The queue of forced actions, and what a batch must take of it.
contract ForcedTest is InboxTest {
    function fill(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            force(stranger, abi.encode(i));
        }
    }

    function refuseTaking(uint256 forcedCount, bytes memory error) private {
        Proposal memory proposal = propose();
        take(proposal, forcedCount);
        refuse(proposal, error);
    }

    function settleTaking(uint256 forcedCount) private {
        Proposal memory proposal = propose();
        take(proposal, forcedCount);
        settle(proposal);
        equal(forcedCount, inbox.settled().forcedCount);
    }

    function skipped(uint256 settled, uint256 found) private view returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.ForcedSkipped.selector, settled, found, block.number - 1);
    }

    function unknown(uint256 length, uint256 found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.UnknownEntry.selector, length, found);
    }

    /// @notice Anybody appends; the queue's hash chains sender, block and payload.
    function test_Force() public {
        equal(bytes32(0), inbox.queueHash(0));
        bytes32 hash = keccak256(abi.encode(bytes32(0), stranger, block.number, keccak256("one")));
        vm.expectEmit(address(inbox));
        emit IRollupInbox.ActionForced(0, stranger, block.number, "one", hash);
        equal(0, force(stranger, "one"));
        equal(hash, inbox.queueHash(1));
        pass(3);
        equal(1, force(owner, ""));
        equal(keccak256(abi.encode(hash, owner, block.number, keccak256(""))), inbox.queueHash(2));
        (uint256 inclusionBlock, uint256 voidedFrom) = inbox.entry(1);
        equal(block.number, inclusionBlock);
        equal(0, voidedFrom);
        equal(2, inbox.queueLength());
    }

    /// @notice 8,192 bytes are taken, 8,193 not.
    function test_PayloadTooLarge() public {
        force(stranger, new bytes(8192));
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.PayloadTooLarge.selector, 8192, 8193));
        force(stranger, new bytes(8193));
        equal(1, inbox.queueLength());
    }

    /// @notice Beyond the queue there is nothing to ask for and nothing to take.
    function test_UnknownEntry() public {
        fill(2);
        inbox.queueHash(2);
        vm.expectRevert(unknown(2, 3));
        inbox.queueHash(3);
        vm.expectRevert(unknown(2, 2));
        inbox.entry(2);
        Proposal memory proposal = propose();
        proposal.header.forcedCount = 3;
        attest(proposal);
        refuse(proposal, unknown(2, 3));
        proposal.header.forcedCount = type(uint64).max;
        attest(proposal);
        refuse(proposal, unknown(2, type(uint64).max));
    }

    /// @notice What was included up to the batch's L1 origin must be taken; what came later may wait or be taken.
    function test_ForcedSkipped() public {
        fill(2);
        pass(1);
        fill(1); // in the settling block: not due
        refuseTaking(0, skipped(0, 0));
        refuseTaking(1, skipped(0, 1));
        settleTaking(2);
        settleTaking(3);
        pass(1);
        settleTaking(3);
    }

    /// @notice An older origin makes fewer entries due.
    function test_DueByOrigin() public {
        fill(1);
        pass(10);
        Proposal memory proposal = propose();
        proposal.header.l1Origin = block.number - 10; // the block of the entry
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.ForcedSkipped.selector, 0, 0, block.number - 10));
        proposal.header.l1Origin = block.number - 11;
        attest(proposal);
        settle(proposal);
    }

    /// @notice One block takes 64, so a batch may stop there, and not before; the next one takes up to 128.
    function test_SixtyFourAreEnough() public {
        fill(130);
        pass(1);
        refuseTaking(63, skipped(0, 63));
        settleTaking(64);
        refuseTaking(127, skipped(64, 127));
        settleTaking(129);
        settleTaking(130);
    }

    /// @notice An entry that was taken cannot be taken a second time, even where no more are due.
    function test_TakenTwice() public {
        fill(3);
        pass(1);
        settleTaking(3);
        refuseTaking(2, skipped(3, 2));
        Proposal memory proposal = propose();
        bytes32 hash = keccak256(abi.encode(inbox.queueHash(3), stranger, START + 10, keccak256(abi.encode(2))));
        proposal.header.forcedHash = hash; // the third once more on top of three
        attest(proposal);
        refuse(
            proposal, abi.encodeWithSelector(IRollupInbox.WrongForcedHash.selector, inbox.queueHash(3), hash)
        );
        settleTaking(3);
    }

    /// @notice What was taken before it was due is not given back, although it is still not due.
    function test_TakenBack() public {
        fill(2);
        pass(3);
        fill(1); // in the settling block
        settleTaking(3);
        Proposal memory proposal = propose();
        take(proposal, 2);
        refuse(proposal, skipped(3, 2));
        take(proposal, 3);
        settle(proposal);
    }

    /// @notice Entries in another order, or others, have another hash.
    function test_Reordered() public {
        fill(2);
        pass(1);
        bytes32 hash = bytes32(0);
        for (uint256 i = 2; i > 0; --i) {
            hash = keccak256(abi.encode(hash, stranger, START + 10, keccak256(abi.encode(i - 1))));
        }
        Proposal memory proposal = propose();
        proposal.header.forcedCount = 2;
        proposal.header.forcedHash = hash;
        attest(proposal);
        refuse(
            proposal, abi.encodeWithSelector(IRollupInbox.WrongForcedHash.selector, inbox.queueHash(2), hash)
        );
        settleTaking(2);
    }

    /// @notice Without forced actions the hash is zero, and nothing else.
    function test_WrongForcedHash_Empty() public {
        Proposal memory proposal = propose();
        proposal.header.forcedHash = keccak256("");
        attest(proposal);
        refuse(
            proposal, abi.encodeWithSelector(IRollupInbox.WrongForcedHash.selector, bytes32(0), keccak256(""))
        );
        settleTaking(0);
    }

    /// @notice For any queue over any blocks: a count is taken exactly by the rule of the design.
    function testFuzz_Taken(uint8[] memory gaps, uint256 settledCount, uint256 taken, uint256 age) public {
        uint256 length = gaps.length % 80;
        uint256[] memory blocks = new uint256[](length);
        for (uint256 i = 0; i < length; ++i) {
            pass(gaps[i] % 3);
            force(stranger, abi.encode(gaps[i]));
            blocks[i] = block.number;
        }
        pass(1);
        settledCount = bound(settledCount, 0, length);
        if (settledCount < length) {
            // Up to there by an origin that leaves the rest.
            Proposal memory first = propose();
            first.header.l1Origin = blocks[settledCount] - 1;
            take(first, settledCount);
            if (settledCount > 0 && blocks[settledCount] - 1 < inbox.settled().l1Origin) return;
            settle(first);
        } else {
            settleTaking(length);
        }
        taken = bound(taken, 0, length);
        Proposal memory proposal = propose();
        proposal.header.l1Origin = bound(age, inbox.settled().l1Origin, block.number - 1);
        take(proposal, taken);
        bool enough = taken >= settledCount + 64 || taken == length || blocks[taken] > proposal.header.l1Origin;
        if (taken >= settledCount && enough) {
            settle(proposal);
        } else {
            refuse(
                proposal,
                abi.encodeWithSelector(
                    IRollupInbox.ForcedSkipped.selector, settledCount, taken, proposal.header.l1Origin
                )
            );
        }
    }
}
