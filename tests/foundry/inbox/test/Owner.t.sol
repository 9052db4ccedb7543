// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice What the owner announces, and that it waits three days.
contract OwnerTest is InboxTest {
    function notOwner(address current, address caller) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.NotOwner.selector, current, caller);
    }

    function changeVerifiers(uint256[] memory next, uint256 quorum) private returns (uint256) {
        vm.prank(owner);
        return inbox.changeVerifiers(setOf(addressesOf(next), quorum));
    }

    /// @notice Nobody but the owner announces anything.
    function test_NotOwner() public {
        force(stranger, "one");
        address[] memory addresses = addressesOf(keys);
        vm.expectRevert(notOwner(owner, stranger));
        vm.prank(stranger);
        inbox.void(0);
        vm.expectRevert(notOwner(owner, builder));
        vm.prank(builder);
        inbox.changeVerifiers(setOf(addresses, 3));
        vm.expectRevert(notOwner(owner, stranger));
        vm.prank(stranger);
        inbox.changeBuilder(stranger);
        vm.expectRevert(notOwner(owner, stranger));
        vm.prank(stranger);
        inbox.changeOwner(stranger);
        vm.expectRevert(notOwner(owner, stranger));
        vm.prank(stranger);
        inbox.announceCode(keccak256("code"));
    }

    /// @notice The zero owner is nobody, even for a simulated call from zero.
    function test_NotOwner_Zero() public {
        inbox = deploy(makeGenesis(), makeDomain(), address(0));
        vm.expectRevert(notOwner(address(0), address(0)));
        vm.prank(address(0));
        inbox.changeOwner(stranger);
    }

    /// @notice An existing entry is voided three days after the event and six after its inclusion, once.
    function test_Void() public {
        force(stranger, "one");
        pass(DELAY);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.UnknownEntry.selector, 1, 1));
        vm.prank(owner);
        inbox.void(1);
        vm.expectEmit(address(inbox));
        emit IRollupInbox.ActionVoided(0, block.number + DELAY);
        vm.prank(owner);
        equal(block.number + DELAY, inbox.void(0));
        (uint256 inclusionBlock, uint256 voidedFrom) = inbox.entry(0);
        equal(block.number - DELAY, inclusionBlock);
        equal(block.number + DELAY, voidedFrom);
        pass(1);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.AlreadyVoided.selector, 0, voidedFrom));
        vm.prank(owner);
        inbox.void(0);
    }

    /// @notice A void that is announced at once waits all the same: six days are the entry's.
    function test_Void_Early() public {
        uint256 included = block.number;
        force(stranger, "one");
        vm.expectEmit(address(inbox));
        emit IRollupInbox.ActionVoided(0, included + VOID_AGE);
        vm.prank(owner);
        equal(included + VOID_AGE, inbox.void(0));
    }

    /// @notice A cancelled void is none, and says so.
    function test_CancelVoid() public {
        uint256 included = block.number;
        force(stranger, "one");
        vm.prank(owner);
        inbox.void(0);
        pass(5);
        vm.expectEmit(address(inbox));
        emit IRollupInbox.VoidCancelled(0, included + VOID_AGE);
        vm.prank(owner);
        equal(included + VOID_AGE, inbox.cancelVoid(0));
        (, uint256 voidedFrom) = inbox.entry(0);
        equal(0, voidedFrom);
    }

    /// @notice A cancelled announcement does not come into force, and says so; the kinds do not touch each other.
    function test_Cancel() public {
        vm.startPrank(owner);
        uint256 effective = inbox.changeBuilder(stranger);
        inbox.changeVerifiers(setOf(addressesOf(keys), 3));
        vm.expectEmit(address(inbox));
        emit IRollupInbox.AnnouncementCancelled(IRollupInbox.Announcement.Builder, effective);
        equal(effective, inbox.cancel(IRollupInbox.Announcement.Builder));
        vm.stopPrank();
        pass(DELAY);
        equal(builder, inbox.builder());
        uint256 quorum = inbox.verifiers().quorum;
        equal(3, quorum);
    }

    /// @notice A void neither before nor after its delay lets a batch skip the entry: it is taken, with status 4.
    function test_VoidedIsTakenAllTheSame() public {
        force(stranger, "one");
        vm.prank(owner);
        inbox.void(0);
        for (uint256 i = 0; i < 2; ++i) {
            pass(i == 0 ? 1 : VOID_AGE);
            refuse(
                propose(),
                abi.encodeWithSelector(IRollupInbox.ForcedSkipped.selector, 0, 0, block.number - 1)
            );
        }
        Proposal memory proposal = propose();
        take(proposal, 1);
        settle(proposal);
    }

    /// @notice New verifiers attest from their block on, the old ones up to it.
    function test_ChangeVerifiers() public {
        uint256[] memory old = keys;
        uint256[] memory next = new uint256[](1);
        next[0] = uint256(keccak256("next"));
        vm.expectEmit(address(inbox));
        emit IRollupInbox.VerifiersChanged(
            block.number + DELAY,
            keccak256(abi.encode(uint8(0), addressesOf(next), uint256(1), new IRollupInbox.Rule[](0))),
            setOf(addressesOf(next), 1)
        );
        equal(block.number + DELAY, changeVerifiers(next, 1));
        pass(DELAY - 1);
        IRollupInbox.VerifierSet memory found = inbox.verifiers();
        equal(keccak256(abi.encode(addressesOf(old))), keccak256(abi.encode(found.members)));
        equal(2, found.quorum);
        Proposal memory early = propose();
        early.signatures = sign(next[0], digestOf(early));
        refuse(early, foreign(vm.addr(next[0])));
        settle(propose());

        pass(1);
        found = inbox.verifiers();
        equal(keccak256(abi.encode(addressesOf(next))), keccak256(abi.encode(found.members)));
        equal(1, found.quorum);
        Proposal memory late = propose();
        refuse(late, foreign(vm.addr(old[0])));
        late.signatures = sign(next[0], digestOf(late));
        settle(late);
    }

    /// @notice The bounds of a set are the constructor's.
    function test_ChangeVerifiers_BadQuorum() public {
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, 3, 1));
        changeVerifiers(keys, 1);
        changeVerifiers(keys, 3);
        uint256[] memory none;
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, 0, 0));
        changeVerifiers(none, 0);
        (keys[0], keys[1]) = (keys[1], keys[0]);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, 3, 2));
        changeVerifiers(keys, 2);
    }

    /// @notice A new builder submits from its block on, the old one up to it.
    function test_ChangeBuilder() public {
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.ZeroBuilder.selector));
        vm.prank(owner);
        inbox.changeBuilder(address(0));
        vm.expectEmit(address(inbox));
        emit IRollupInbox.BuilderChanged(block.number + DELAY, stranger);
        vm.prank(owner);
        equal(block.number + DELAY, inbox.changeBuilder(stranger));
        pass(DELAY - 2);
        settle(propose()); // ends the silence
        pass(1);
        equal(builder, inbox.builder());
        Proposal memory early = propose();
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NotBuilder.selector, builder, stranger));
        settleAs(stranger, early);
        pass(1);
        equal(stranger, inbox.builder());
        refuse(early, abi.encodeWithSelector(IRollupInbox.NotBuilder.selector, stranger, builder));
        settleAs(stranger, propose());
    }

    /// @notice A new owner owns from its block on; up to then the old one may announce yet another.
    function test_ChangeOwner() public {
        vm.expectEmit(address(inbox));
        emit IRollupInbox.OwnerChanged(block.number + DELAY, stranger);
        vm.prank(owner);
        equal(block.number + DELAY, inbox.changeOwner(stranger));
        pass(DELAY - 1);
        equal(owner, inbox.owner());
        vm.expectRevert(notOwner(owner, stranger));
        vm.prank(stranger);
        inbox.changeOwner(builder);
        pass(1);
        equal(stranger, inbox.owner());
        vm.expectRevert(notOwner(stranger, owner));
        vm.prank(owner);
        inbox.changeOwner(builder);
        vm.prank(stranger);
        inbox.changeOwner(address(0));
        pass(DELAY);
        equal(address(0), inbox.owner());
    }

    /// @notice A former owner who announces verifiers and a builder in its last block gets nothing: neither is ever in force.
    function test_FormerOwnerDecidesNothing() public {
        vm.prank(owner);
        inbox.changeOwner(stranger);
        pass(DELAY - 1); // the last block of the old owner
        uint256[] memory thieves = new uint256[](1);
        thieves[0] = uint256(keccak256("thief"));
        address thief = vm.addr(thieves[0]);
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addressesOf(thieves), 1));
        vm.prank(owner);
        inbox.changeBuilder(thief);
        pass(DELAY); // when they would come into force
        equal(stranger, inbox.owner());
        equal(builder, inbox.builder());
        Proposal memory proposal = propose();
        proposal.header.stateRoot = keccak256("every account is the thief's");
        proposal.signatures = sign(thieves[0], digestOf(proposal));
        refuse(proposal, foreign(thief));
        settle(propose()); // builder and verifiers are the old ones
    }

    /// @notice A thief with the owner's key cannot stop the rescue: neither overtake the owner that was announced, in the
    /// same block or later, nor cancel it.
    function test_RescueStands() public {
        vm.startPrank(owner);
        inbox.changeOwner(stranger);
        inbox.changeOwner(builder);
        pass(1);
        inbox.changeOwner(builder);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NothingPending.selector, 1));
        inbox.cancel(IRollupInbox.Announcement.Builder);
        vm.stopPrank();
        pass(DELAY - 1);
        equal(stranger, inbox.owner());
        pass(DELAY);
        equal(stranger, inbox.owner());
    }

    /// @notice An operator who owns the inbox voids a forced action without a lie only by four days of silence, in which
    /// anybody with a quorum may settle, and not before the seventh day. One day was enough before. Impossible it is not:
    /// only the builder seals.
    function test_OperatorWaitsForItsVoid() public {
        settle(propose());
        pass(5);
        uint256 forcedAt = block.number;
        force(stranger, "rotate my stolen key");
        vm.prank(owner);
        uint256 effective = inbox.void(0);
        // For two days the batches stay bound to the block before, and nothing is due.
        while (block.number + 1_000 <= forcedAt - 1 + ORIGIN_AGE) {
            pass(1_000);
            settleUpTo(forcedAt - 1);
        }
        pass(forcedAt - 1 + ORIGIN_AGE - block.number);
        settleUpTo(forcedAt - 1);
        uint256 silentSince = block.number;
        pass(1);
        Proposal memory stale = propose();
        stale.header.l1Origin = forcedAt - 1;
        attest(stale);
        refuse(
            stale,
            abi.encodeWithSelector(
                IRollupInbox.BadOrigin.selector, block.number - ORIGIN_AGE, block.number - 1, forcedAt - 1
            )
        );
        // From now on each batch takes the entry; until the void takes effect, it is executed.
        pass(effective + 1 - block.number);
        equal(forcedAt + VOID_AGE + 1, block.number);
        equal(4 * SILENCE + 2, block.number - silentSince);
        Proposal memory jump = propose();
        jump.header.l1Origin = effective;
        take(jump, 1); // as voided: status 4, never executed
        settle(jump);
    }

    function settleUpTo(uint256 origin) private {
        Proposal memory proposal = propose();
        proposal.header.l1Origin = origin;
        attest(proposal);
        settle(proposal);
    }

    /// @notice Of two announcements in one block the later one counts; those of other blocks all do, each in its time.
    function test_SeveralPending() public {
        address[4] memory next = [address(11), address(12), address(13), address(14)];
        uint256 start = block.number;
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(owner);
            inbox.changeBuilder(next[i]);
            if (i != 1) pass(10); // the second and the third share a block
        }
        vm.roll(start + DELAY - 1);
        equal(builder, inbox.builder());
        vm.roll(start + DELAY);
        equal(next[0], inbox.builder());
        vm.roll(start + DELAY + 10);
        equal(next[2], inbox.builder());
        vm.roll(start + DELAY + 20);
        equal(next[3], inbox.builder());
    }

    /// @notice Any sequence of announcements reads at any block as the last one that holds there.
    function testFuzz_Schedule(uint8[] memory gaps, uint256 question) public {
        uint256 count = gaps.length % 40;
        uint256 start = block.number;
        uint256[] memory effective = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            vm.roll(block.number + gaps[i] % 4);
            vm.prank(owner);
            effective[i] = inbox.changeBuilder(address(uint160(i + 1)));
        }
        vm.roll(bound(question, start, block.number + DELAY + 2));
        address expected = builder;
        for (uint256 i = 0; i < count; ++i) {
            if (effective[i] <= block.number) expected = address(uint160(i + 1));
        }
        equal(expected, inbox.builder());
    }

    /// @notice An owner who announces something in each block for a while cannot make settling dear.
    function test_ManyPending() public {
        for (uint256 i = 0; i < 1_000; ++i) {
            pass(1);
            vm.prank(owner);
            inbox.changeBuilder(stranger);
        }
        Proposal memory proposal = propose();
        vm.cool(address(inbox));
        settle(proposal);
        require(vm.snapshotGasLastCall("inbox", "settle, first, calldata, 2 of 3, 1,000 changes of the builder pending") < 97_000);
    }
}
