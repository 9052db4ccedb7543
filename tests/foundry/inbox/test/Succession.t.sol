// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice The rule of owners' announcements as it is written down, told by a scan over all of them, and the contract, which
/// never scans: they agree after any sequence of calls.
contract SuccessionTest is InboxTest {
    struct Announced {
        address value;
        uint256 effective;
        bool gone; // cancelled, replaced by a later one for the same block, or, an owner, overtaken
    }

    Announced[] private owners;
    Announced[] private builders;
    mapping(uint256 index => Announced) private voids;
    uint256 private count;

    /// @dev Changes of owners are taken in order: whatever takes effect in [E, E + 21,600) of one in force never does.
    function changeOwner(address next) private {
        uint256 effective = inbox.changeOwner(next);
        bool overtaken;
        for (uint256 i = 0; i < owners.length; ++i) {
            if (!owners[i].gone && effective < owners[i].effective + DELAY) overtaken = true;
        }
        owners.push(Announced(next, effective, overtaken));
    }

    function isOvertaken(uint256 effective) private view returns (bool) {
        return takesOffice(effective < DELAY ? 0 : effective - DELAY, effective);
    }

    /// @dev Whether an owner takes office after `low` and up to `high`.
    function takesOffice(uint256 low, uint256 high) private view returns (bool) {
        for (uint256 i = 0; i < owners.length; ++i) {
            if (owners[i].effective > low && owners[i].effective <= high && !owners[i].gone) return true;
        }
        return false;
    }

    function ownerNow() private view returns (address found) {
        found = owner;
        for (uint256 i = 0; i < owners.length; ++i) {
            if (owners[i].effective <= block.number && !owners[i].gone) found = owners[i].value;
        }
    }

    function builderNow() private view returns (address found) {
        found = builder;
        for (uint256 i = 0; i < builders.length; ++i) {
            Announced memory one = builders[i];
            if (one.effective <= block.number && !one.gone && !isOvertaken(one.effective)) found = one.value;
        }
    }

    function voidOf(uint256 index) private view returns (uint256) {
        Announced memory one = voids[index];
        uint256 announced = uint160(one.value);
        return one.gone || one.effective == 0 || takesOffice(announced, one.effective) ? 0 : one.effective;
    }

    function compare() private view {
        equal(ownerNow(), inbox.owner());
        equal(builderNow(), inbox.builder());
        for (uint256 i = 0; i < count; ++i) {
            (, uint256 voidedFrom) = inbox.entry(i);
            equal(voidOf(i), voidedFrom);
        }
    }

    /// @dev The newest announcement of a builder that stands.
    function newest() private view returns (uint256 index, bool found) {
        for (index = builders.length; index > 0; --index) {
            Announced memory one = builders[index - 1];
            if (!one.gone && !isOvertaken(one.effective)) return (index - 1, true);
        }
    }

    /// @notice Owners and thieves take turns, in the same block or days apart.
    function testFuzz_Succession(uint256 seed) public {
        force(stranger, "zero");
        count = 1;
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256[6] memory gaps = [uint256(0), 0, 1, 300, DELAY - 1, DELAY];
            pass(gaps[seed % 6] + (seed >> 8) % 2);
            address next = address(uint160(1_000 + i));
            uint256 what = (seed >> 16) % 10;
            vm.startPrank(inbox.owner());
            if (what < 3) {
                changeOwner(next);
            } else if (what < 6) {
                changeBuilder(next);
            } else if (what == 6) {
                cancelBuilder();
            } else if (what == 7) {
                cancelVoid((seed >> 32) % count);
            } else if (what == 8) {
                voidOne((seed >> 32) % count);
            } else {
                inbox.force("more");
                ++count;
            }
            vm.stopPrank();
            compare();
        }
    }

    function changeBuilder(address next) private {
        uint256 effective = inbox.changeBuilder(next);
        uint256 length = builders.length;
        if (length != 0 && builders[length - 1].effective == effective) builders[length - 1].gone = true;
        builders.push(Announced(next, effective, false));
    }

    function cancelBuilder() private {
        (uint256 index, bool found) = newest();
        uint256 effective = found ? builders[index].effective : 0;
        expectCancel(1, effective);
        inbox.cancel(IRollupInbox.Announcement.Builder);
        if (effective > block.number + 300) builders[index].gone = true;
    }

    function cancelVoid(uint256 index) private {
        uint256 effective = voidOf(index);
        expectCancel(index, effective);
        inbox.cancelVoid(index);
        if (effective > block.number + 300) voids[index].gone = true;
    }

    function expectCancel(uint256 what, uint256 effective) private {
        if (effective <= block.number) {
            vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NothingPending.selector, what));
        } else if (effective <= block.number + 300) {
            vm.expectRevert(
                abi.encodeWithSelector(IRollupInbox.CancelledTooLate.selector, effective, block.number)
            );
        }
    }

    function voidOne(uint256 index) private {
        uint256 known = voidOf(index);
        if (known != 0) {
            vm.expectRevert(abi.encodeWithSelector(IRollupInbox.AlreadyVoided.selector, index, known));
            inbox.void(index);
            return;
        }
        (uint256 inclusionBlock,) = inbox.entry(index);
        uint256 effective = inbox.void(index);
        uint256 earliest = inclusionBlock + VOID_AGE;
        equal(block.number + DELAY > earliest ? block.number + DELAY : earliest, effective);
        voids[index] = Announced(address(uint160(block.number)), effective, false);
    }
}
