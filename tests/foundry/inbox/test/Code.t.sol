// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Which code a settled header may name.
contract CodeTest is InboxTest {
    bytes32 private constant SECOND = keccak256("second code");
    bytes32 private constant THIRD = keccak256("third code");

    function announce(bytes32 stfId) private returns (uint256 effective) {
        vm.prank(owner);
        effective = inbox.announceCode(stfId);
    }

    function proposeWith(bytes32 stfId, uint256 origin) private view returns (Proposal memory proposal) {
        proposal = propose();
        proposal.header.stfId = stfId;
        proposal.header.l1Origin = origin;
        attest(proposal);
    }

    function refuseWith(bytes32 expected, bytes32 stfId, uint256 origin) private {
        refuse(
            proposeWith(stfId, origin), abi.encodeWithSelector(IRollupInbox.WrongStfId.selector, expected, stfId)
        );
    }

    /// @notice An announcement says from which origin it counts, and is an event.
    function test_Announce() public {
        vm.expectEmit(address(inbox));
        emit IRollupInbox.CodeAnnounced(block.number + DELAY, SECOND);
        equal(block.number + DELAY, announce(SECOND));
        equal(STF_ID, inbox.codeAt(block.number + DELAY - 1));
        equal(SECOND, inbox.codeAt(block.number + DELAY));
        equal(STF_ID, inbox.stfId());
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.ZeroCode.selector));
        announce(0);
    }

    /// @notice The origin decides, not the block that settles: below it the announced code is refused; from it on the
    /// settled block's code stays good until an upgrade is settled, and is refused afterwards.
    function test_OriginDecides() public {
        uint256 effective = announce(SECOND);
        vm.roll(effective + 5);
        vm.warp(block.number * 12);
        refuseWith(STF_ID, SECOND, effective - 1);
        settle(proposeWith(STF_ID, effective - 1));
        settle(proposeWith(STF_ID, effective));
        refuseWith(SECOND, THIRD, effective);
        settle(proposeWith(SECOND, effective));
        refuseWith(SECOND, STF_ID, effective + 1);
        settle(proposeWith(SECOND, effective + 1));
    }

    /// @notice Of two announcements between two origins only the newer one is in force: nobody can go by the older one.
    function test_TwoBetweenTwoOrigins() public {
        announce(SECOND);
        pass(1);
        uint256 effective = announce(THIRD);
        vm.roll(effective + 5);
        vm.warp(block.number * 12);
        refuseWith(THIRD, SECOND, effective);
        settle(proposeWith(THIRD, effective));
    }

    /// @notice The first code may come back.
    function test_BackAndForth() public {
        uint256 effective = announce(SECOND);
        pass(10);
        announce(STF_ID);
        vm.roll(effective + 5);
        vm.warp(block.number * 12);
        settle(proposeWith(SECOND, effective));
        pass(10);
        settle(proposeWith(SECOND, effective + 10));
        settle(proposeWith(STF_ID, effective + 10));
        refuseWith(STF_ID, SECOND, effective + 11);
    }

    /// @notice A code that was cancelled, or announced by an owner on leaving, never comes into force.
    function test_NeverInForce() public {
        uint256 effective = announce(SECOND);
        vm.prank(owner);
        equal(effective, inbox.cancel(IRollupInbox.Announcement.Code));
        vm.prank(owner);
        inbox.changeOwner(stranger);
        announce(THIRD);
        vm.roll(effective + 5);
        vm.warp(block.number * 12);
        refuseWith(STF_ID, SECOND, effective);
        refuseWith(STF_ID, THIRD, effective);
        settle(proposeWith(STF_ID, effective));
    }

    /// @notice Whatever was announced: a header settles if and only if it names the settled code or the one in force.
    function testFuzz_Codes(uint8[6] memory gaps, uint256 origin, uint8 pick) public {
        uint256[6] memory effective;
        bytes32[6] memory codes;
        for (uint256 i = 0; i < 6; ++i) {
            pass(uint256(gaps[i] % 3));
            codes[i] = keccak256(abi.encode(gaps[i] % 4));
            effective[i] = announce(codes[i]);
        }
        vm.roll(effective[5] + 20);
        vm.warp(block.number * 12);
        origin = bound(origin, effective[0] - 3, block.number - 1);
        bytes32 expected = STF_ID;
        for (uint256 i = 0; i < 6; ++i) {
            if (effective[i] <= origin) expected = codes[i];
        }
        bytes32 chosen = pick % 7 == 6 ? STF_ID : codes[pick % 7];
        if (chosen == STF_ID || chosen == expected) settle(proposeWith(chosen, origin));
        else refuseWith(expected, chosen, origin);
    }
}
