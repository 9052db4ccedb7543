// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice The inbox of a rollup whose genesis names no builder.
contract BasedTest is InboxTest {
    address private constant ANYBODY = address(0xa11);

    function setUp() public override {
        super.setUp();
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.builder = address(0);
        inbox = deploy(genesis, makeDomain(), owner);
        pass(1);
        inbox.force("one");
        inbox.force("two");
        pass(2);
    }

    function proposeBased(uint256 forcedCount) private view returns (Proposal memory proposal) {
        proposal = propose();
        proposal.batch = "";
        proposal.claim.dataHash = keccak256(hex"04");
        take(proposal, forcedCount);
    }

    /// @notice Anybody settles, a contract too, with no data.
    function test_AnybodySettles() public {
        Proposal memory proposal = proposeBased(2);
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), "");
        require(inbox.settled().height == 1 && inbox.settled().forcedCount == 2);
    }

    /// @notice However old the origin is: nobody may have touched the rollup for months.
    function test_AnOldOrigin() public {
        Proposal memory proposal = proposeBased(1);
        pass(500_000);
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), "");
        require(inbox.settled().forcedCount == 1);
    }

    /// @notice One entry at least, none that is not there, and no data.
    function test_Refused() public {
        Proposal memory proposal = proposeBased(0);
        vm.expectRevert(
            abi.encodeWithSelector(IRollupInbox.ForcedSkipped.selector, 0, 0, proposal.header.l1Origin)
        );
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), "");
        proposal = proposeBased(2);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.Based.selector));
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), "data");
        vm.blobhashes(makeBlobs(1));
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.Based.selector));
        inbox.settleBlobs(proposal.header, proposal.claim, ecdsa(proposal.signatures));
        proposal.claim.dataHash = hashBatch("");
        attest(proposal);
        vm.expectRevert(
            abi.encodeWithSelector(IRollupInbox.WrongData.selector, keccak256(hex"04"), hashBatch(""))
        );
        inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), "");
    }

    /// @notice There is no builder to change and no void, not even for the owner.
    function test_OwnerCannot() public {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.Based.selector));
        inbox.changeBuilder(ANYBODY);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.Based.selector));
        inbox.void(0);
        inbox.announceCode(keccak256("code"));
        vm.stopPrank();
    }

    /// @notice Many payloads at once are as many entries, in their order; one that is too long takes all of them back.
    function test_ForceMany() public {
        bytes[] memory payloads = new bytes[](3);
        payloads[0] = "three";
        payloads[1] = "";
        payloads[2] = "five";
        require(inbox.forceMany(payloads) == 2);
        require(inbox.queueLength() == 5);
        bytes32 hash = inbox.queueHash(2);
        for (uint256 i = 0; i < 3; ++i) {
            hash = keccak256(abi.encode(hash, address(this), block.number, keccak256(payloads[i])));
            require(inbox.queueHash(3 + i) == hash);
        }
        payloads[1] = new bytes(8_193);
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.PayloadTooLarge.selector, 8_192, 8_193));
        inbox.forceMany(payloads);
        require(inbox.queueLength() == 5);
    }
}
