// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Execution gas with cold storage, as in a transaction of its own: without the transaction's 21,000 and its
/// calldata. `snapshots/inbox.json` keeps the figures, and the tests fail when they drift. A test a figure, because what
/// an earlier call of the same test wrote would be cheaper to write again.
abstract contract GasTest is InboxTest {
    uint256 internal constant BAR = 97_000; // what a rough inbox took for later batches

    function record(string memory name) internal {
        require(vm.snapshotGasLastCall("inbox", name) < BAR);
    }
}

/// @notice Upon the constructor's slots, and the first of everything.
contract FirstGas is GasTest {
    function test_Settle() public {
        Proposal memory proposal = proposeBlobs(1);
        vm.cool(address(inbox));
        settleBlobs(proposal);
        record("settle, first, 1 blob, 2 of 3");
    }

    function test_Force() public {
        vm.cool(address(inbox));
        vm.prank(stranger);
        inbox.force(new bytes(200));
        record("force, first, 200 bytes");
    }

    function test_ChangeVerifiers() public {
        address[] memory addresses = addressesOf(keys);
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addresses, 3));
        require(vm.snapshotGasLastCall("inbox", "changeVerifiers, 3") < 2 * BAR);
    }
}

/// @notice The largest set of verifiers.
contract LargestSetGas is InboxTest {
    function test_ChangeVerifiers() public {
        address[] memory addresses = addressesOf(sortKeys(256));
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addresses, 129));
        vm.snapshotGasLastCall("inbox", "changeVerifiers, 256");
    }
}

/// @notice One batch is settled, and one action is in the queue.
contract LaterGas is GasTest {
    function setUp() public override {
        super.setUp();
        settle(propose());
        force(stranger, new bytes(200));
        pass(10);
    }

    function measure(string memory name, uint256 blobs, uint256 forced) private {
        Proposal memory proposal = proposeBlobs(blobs);
        take(proposal, forced);
        if (forced == 0) {
            proposal.header.l1Origin = block.number - 11;
            attest(proposal);
        }
        vm.cool(address(inbox));
        settleBlobs(proposal);
        record(name);
    }

    function test_OneBlob() public {
        measure("settle, later, 1 blob, 2 of 3", 1, 0);
    }

    function test_OneBlobForced() public {
        measure("settle, later, 1 blob, 2 of 3, 1 forced", 1, 1);
    }

    function test_ThreeBlobs() public {
        measure("settle, later, 3 blobs, 2 of 3, 1 forced", 3, 1);
    }

    function test_SixBlobs() public {
        measure("settle, later, 6 blobs, 2 of 3, 1 forced", 6, 1);
    }

    function calldataOf(uint256 size, string memory name) private {
        Proposal memory proposal = propose();
        proposal.batch = new bytes(size);
        proposal.claim.dataHash = hashBatch(proposal.batch);
        take(proposal, 1);
        vm.cool(address(inbox));
        settle(proposal);
        require(vm.snapshotGasLastCall("inbox", name) < 150_000); // beside the gas of the calldata itself
    }

    function test_SmallCalldata() public {
        calldataOf(1_000, "settle, later, calldata of 1,000 bytes, 2 of 3, 1 forced");
    }

    function test_LargeCalldata() public {
        calldataOf(100_000, "settle, later, calldata of 100,000 bytes, 2 of 3, 1 forced");
    }

    function test_Force() public {
        vm.cool(address(inbox));
        vm.prank(stranger);
        inbox.force(new bytes(200));
        record("force, later, 200 bytes");
    }

    function test_ForceLargest() public {
        vm.cool(address(inbox));
        vm.prank(stranger);
        inbox.force(new bytes(8192));
        // Most of it pays for the event's bytes and for hashing them, so the bar of the other calls does not apply.
        require(vm.snapshotGasLastCall("inbox", "force, later, 8,192 bytes") < 130_000);
    }

    function test_Void() public {
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.void(0);
        record("void");
    }

    function test_CancelVoid() public {
        vm.prank(owner);
        inbox.void(0);
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.cancelVoid(0);
        record("cancelVoid");
    }

    function test_ChangeOwner() public {
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.changeOwner(stranger);
        record("changeOwner");
    }

    function test_ChangeBuilder() public {
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.changeBuilder(stranger);
        record("changeBuilder");
    }

    function test_AnnounceCode() public {
        vm.cool(address(inbox));
        vm.prank(owner);
        inbox.announceCode(keccak256("code"));
        record("announceCode");
    }
}

/// @notice A hundred verifiers, 51 of them the quorum.
contract ManyVerifiersGas is InboxTest {
    function setUp() public override {
        super.setUp();
        keys = sortKeys(100);
        inbox = deploy(makeGenesis(), makeDomain(), owner);
        pass(1);
        settle51();
        pass(1);
    }

    function settle51() private {
        Proposal memory proposal = proposeBlobs(1);
        bytes32 digest = digestOf(proposal);
        proposal.signatures = "";
        for (uint256 i = 0; i < 51; ++i) {
            proposal.signatures = bytes.concat(proposal.signatures, sign(keys[i], digest));
        }
        vm.cool(address(inbox));
        settleBlobs(proposal);
    }

    function test_Settle() public {
        settle51();
        vm.snapshotGasLastCall("inbox", "settle, later, 1 blob, 51 of 100");
    }
}

/// @notice The creating transaction's execution, the code's deposit included.
contract DeploymentGas is InboxTest {
    function test_Deploy() public {
        IRollupInbox.Genesis memory genesis = makeGenesis();
        IRollupInbox.Domain memory domain = makeDomain();
        bytes memory code = encodeCreation(genesis, domain, owner);
        uint256 before = gasleft();
        address made;
        assembly ("memory-safe") {
            made := create(0, add(code, 32), mload(code))
        }
        vm.snapshotValue("inbox", "deploy, 3 verifiers", before - gasleft());
        require(made != address(0));
    }
}
