// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";
import {Vm} from "./Vm.sol";

/// @notice Forwards whatever it is called with to a target, and tells what came back.
contract Forwarder {
    address private immutable target;

    constructor(address to) {
        target = to;
    }

    fallback(bytes calldata data) external returns (bytes memory) {
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}

/// @notice Calls a target while it has no code yet.
contract Unborn {
    constructor(address target, bytes memory data) {
        (bool done, bytes memory answer) = target.call(data);
        if (!done) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
    }
}

/// @notice No control leaves the inbox, so nobody enters it again; and who may stand before it.
contract IsolationTest is InboxTest {
    /// @notice What the inbox touches while it works: itself, `ecrecover`, the code that holds the verifiers.
    function checkAccesses(uint256 recoveries, bool creates) private {
        Vm.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        uint256 recovered = 0;
        bool created = false;
        for (uint256 i = 0; i < accesses.length; ++i) {
            Vm.AccountAccess memory access = accesses[i];
            if (access.accessor != address(inbox)) continue;
            if (access.account == address(1)) {
                require(access.kind == Vm.AccountAccessKind.StaticCall, "ecrecover is called statically");
                ++recovered;
            } else if (access.kind == Vm.AccountAccessKind.Create) {
                created = true;
                equal(0, uint8(access.deployedCode[0])); // STOP: what is created holds data and never runs
            } else {
                require(
                    access.kind == Vm.AccountAccessKind.Extcodesize
                        || access.kind == Vm.AccountAccessKind.Extcodecopy,
                    "a call leaves the inbox"
                );
            }
        }
        equal(recoveries, recovered);
        require(creates == created);
    }

    /// @notice Settling calls nothing but `ecrecover`.
    function test_SettlingCallsNobody() public {
        Proposal memory proposal = propose();
        vm.startStateDiffRecording();
        settle(proposal);
        checkAccesses(2, false);
        proposal = proposeBlobs(1);
        vm.startStateDiffRecording();
        settleBlobs(proposal);
        checkAccesses(2, false);
    }

    /// @notice Changing the verifiers creates their data, and calls nobody.
    function test_ChangingCallsNobody() public {
        address[] memory addresses = addressesOf(keys);
        vm.startStateDiffRecording();
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addresses, 3));
        checkAccesses(0, true);
    }

    /// @notice Calldata is settled by a transaction itself: a contract between it and the inbox is refused.
    function test_NotTopLevel() public {
        Proposal memory proposal = propose();
        IRollupInbox real = inbox;
        inbox = IRollupInbox(address(new Forwarder(address(real))));
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NotTopLevel.selector, address(inbox)));
        settle(proposal);
        inbox = real;
        settle(proposal);
    }

    /// @notice So is a contract that is only being created, and has no code that one could see.
    function test_NotTopLevel_Unborn() public {
        pass(SILENCE + 1); // anybody may submit
        Proposal memory proposal = propose();
        bytes memory data = abi.encodeCall(
            IRollupInbox.settleCalldata, (proposal.header, proposal.claim, ecdsa(proposal.signatures), proposal.batch)
        );
        address unborn = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NotTopLevel.selector, unborn));
        new Unborn(address(inbox), data);
        settleAs(stranger, proposal);
    }

    /// @notice So is a builder whose account has code (EIP-7702): a transaction to itself could make that call.
    function test_NotTopLevel_Delegated() public {
        Proposal memory proposal = propose();
        vm.etch(builder, abi.encodePacked(hex"ef0100", address(this)));
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.NotTopLevel.selector, builder));
        vm.etch(builder, "");
        settle(proposal);
    }

    /// @notice A contract may settle blobs, because those are the transaction's whoever calls.
    function test_ContractSettlesBlobs() public {
        Proposal memory proposal = proposeBlobs(1);
        pass(SILENCE + 1);
        Forwarder forwarder = new Forwarder(address(inbox));
        IRollupInbox(address(forwarder)).settleBlobs(proposal.header, proposal.claim, ecdsa(proposal.signatures));
        equal(1, inbox.settled().height);
        vm.expectRevert(
            abi.encodeWithSelector(IRollupInbox.NotBuilder.selector, builder, address(forwarder))
        );
        IRollupInbox(address(forwarder)).settleBlobs(proposal.header, proposal.claim, ecdsa(proposal.signatures));
    }

    /// @notice It takes no value, in no way.
    function test_TakesNoValue() public {
        (bool done,) = address(inbox).call{value: 1}("");
        require(!done);
        (done,) = address(inbox).call{value: 1}(abi.encodeCall(IRollupInbox.force, ("one")));
        require(!done);
        (done,) = address(inbox).call(abi.encodeCall(IRollupInbox.force, ("one")));
        require(done);
    }
}
