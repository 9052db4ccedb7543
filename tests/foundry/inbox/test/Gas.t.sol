// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Execution gas with cold storage, as in a transaction of its own, without the transaction's 21,000 and its
/// calldata. The first batch comes upon the constructor's slots.
contract FirstBatchGas is InboxTest {
    function test_FirstBatch() public {
        Proposal memory proposal = proposeBlobs(1);
        vm.cool(address(inbox));
        settleBlobs(proposal);
        require(vm.snapshotGasLastCall("inbox", "settle, first, 1 blob, 2 of 3") < 97_000);
    }
}

/// @notice Later batches, from a state where one is settled and one action is in the queue.
contract LaterBatchGas is InboxTest {
    function setUp() public override {
        super.setUp();
        settle(propose());
        force(stranger, new bytes(200));
        pass(10);
    }

    function measure(string memory name, uint256 blobs) private {
        Proposal memory proposal = proposeBlobs(blobs);
        take(proposal, 1);
        vm.cool(address(inbox));
        settleBlobs(proposal);
        require(vm.snapshotGasLastCall("inbox", name) < 97_000);
    }

    function test_OneBlob() public {
        measure("settle, later, 1 blob, 2 of 3, 1 forced", 1);
    }

    function test_ThreeBlobs() public {
        measure("settle, later, 3 blobs, 2 of 3, 1 forced", 3);
    }

    function test_SixBlobs() public {
        measure("settle, later, 6 blobs, 2 of 3, 1 forced", 6);
    }
}
