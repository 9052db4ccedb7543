// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Everybody at once: a builder, users who force, an owner, and thieves; and a model of what must come of it.
contract Handler is InboxTest {
    bytes32[] public modelQueue; // modelQueue[i] is the hash over i entries
    uint256[] public inclusionBlocks;
    bytes32 public modelRoot;
    uint256 public modelHeight;
    uint256 public settledCount;
    uint256 public stolen;
    uint256 private effectiveBuilder;
    address private nextBuilder;

    constructor() {
        setUp();
        modelQueue.push(0);
        modelRoot = inbox.settled().stateRoot;
    }

    function getInbox() external view returns (IRollupInbox) {
        return inbox;
    }

    function queueSize() external view returns (uint256) {
        return inclusionBlocks.length;
    }

    function wait(uint256 blocks) external {
        pass(bound(blocks, 1, 40));
    }

    function waitLong(uint256 blocks) external {
        pass(bound(blocks, 7_000, 22_000));
    }

    function forceOne(address sender, bytes calldata payload) external {
        bytes calldata short = payload[:payload.length > 8192 ? 8192 : payload.length];
        equal(inclusionBlocks.length, force(sender, short));
        modelQueue.push(
            keccak256(abi.encode(modelQueue[inclusionBlocks.length], sender, block.number, keccak256(short)))
        );
        inclusionBlocks.push(block.number);
    }

    function voidOne(uint256 index) external {
        if (inclusionBlocks.length == 0) return;
        index = bound(index, 0, inclusionBlocks.length - 1);
        (, uint256 voidedFrom) = inbox.entry(index);
        if (voidedFrom != 0) return;
        vm.prank(owner);
        inbox.void(index);
    }

    function changeBuilder(uint160 next) external {
        vm.prank(owner);
        inbox.changeBuilder(address(next == 0 ? 1 : next));
    }

    /// @notice An honest batch of some blocks, with as many forced actions as are due, or more.
    function settleHonestly(uint256 blocks, uint256 more, uint256 seed) external {
        pass(1);
        Proposal memory proposal = propose();
        if (modelHeight > type(uint64).max - 100) return;
        proposal.header.height = modelHeight + bound(blocks, 1, 50);
        proposal.header.stateRoot = keccak256(abi.encode(seed));
        uint256 taken = inbox.settled().forcedCount;
        while (taken < inclusionBlocks.length && inclusionBlocks[taken] <= proposal.header.l1Origin) ++taken;
        take(proposal, bound(more, taken, inclusionBlocks.length));
        address submitter = inbox.builder();
        if (submitter.code.length != 0) return;
        settleAs(submitter, proposal);
        modelHeight = proposal.header.height;
        modelRoot = proposal.header.stateRoot;
        ++settledCount;
    }

    /// @notice Less than a quorum, or none of the quorum's own signatures, with whatever else is wanted.
    function settleStolen(uint256 kind, bytes calldata garbage, uint256 seed) external {
        pass(1);
        Proposal memory proposal = propose();
        bytes32 digest = digestOf(proposal);
        bytes memory one = sign(keys[seed % 3], digest);
        kind = kind % 5;
        if (kind == 0) proposal.signatures = one;
        if (kind == 1) proposal.signatures = bytes.concat(one, one);
        if (kind == 2) proposal.signatures = bytes.concat(one, garbage);
        if (kind == 3) proposal.signatures = bytes.concat(one, sign(seed % 1e30 + 1, digest));
        if (kind == 4) proposal.header.stateRoot = keccak256(garbage); // after the quorum has signed
        address submitter = inbox.builder();
        vm.prank(submitter, submitter);
        try inbox.settleCalldata(proposal.header, proposal.claim, ecdsa(proposal.signatures), proposal.batch) {
            ++stolen;
        } catch {}
    }
}

contract InvariantTest is InboxTest {
    Handler private handler;
    uint256 private highest;

    function setUp() public override {
        handler = new Handler();
        inbox = handler.getInbox();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[7] memory selectors = [
            Handler.wait.selector,
            Handler.waitLong.selector,
            Handler.forceOne.selector,
            Handler.voidOne.selector,
            Handler.changeBuilder.selector,
            Handler.settleHonestly.selector,
            Handler.settleStolen.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), new bytes4[](7));
        for (uint256 i = 0; i < 7; ++i) {
            targets[0].selectors[i] = selectors[i];
        }
    }

    /// @notice The root and the height are those of the last batch that a quorum attested, and of no other.
    function invariant_OnlyQuorumSettles() public view {
        equal(0, handler.stolen());
        equal(handler.modelRoot(), inbox.settled().stateRoot);
        equal(handler.modelHeight(), inbox.settled().height);
        equal(handler.modelRoot(), vm.load(address(inbox), bytes32(0)));
        require(inbox.settled().height >= handler.settledCount());
    }

    /// @notice The queue is the model's, entry for entry.
    function invariant_QueueIsTheModels() public view {
        uint256 length = handler.queueSize();
        equal(length, inbox.queueLength());
        for (uint256 i = 0; i <= length; ++i) {
            equal(handler.modelQueue(i), inbox.queueHash(i));
            if (i == length) break;
            (uint256 inclusionBlock, uint256 voidedFrom) = inbox.entry(i);
            equal(handler.inclusionBlocks(i), inclusionBlock);
            require(voidedFrom == 0 || voidedFrom >= inclusionBlock + DELAY);
        }
    }

    /// @notice What is taken was in the queue, and what was due at the settled origin is taken.
    function invariant_DueIsTaken() public view {
        IRollupInbox.Settled memory settled = inbox.settled();
        require(settled.forcedCount <= inbox.queueLength());
        if (settled.forcedCount == inbox.queueLength()) return;
        (uint256 inclusionBlock,) = inbox.entry(settled.forcedCount);
        require(inclusionBlock > settled.l1Origin);
    }

    /// @notice Clocks of the head never pass L1's.
    function invariant_Clocks() public view {
        IRollupInbox.Settled memory settled = inbox.settled();
        require(settled.l1Origin < settled.l1Number && settled.l1Number <= block.number);
        require(settled.timestamp <= settled.l1Time && settled.l1Time <= block.timestamp);
    }
}
