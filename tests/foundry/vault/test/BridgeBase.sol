// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {EscapeBase} from "./EscapeBase.sol";
import {Trees} from "./Trees.sol";

/// @title Axiom's bridge at the vault, and what its SDK would send
abstract contract BridgeBase is EscapeBase {
    using Trees for Trees.Tree;

    uint256 internal constant DEPOSIT_FEE = 0.001 ether;
    uint256 internal constant OTHER_FEE = 0.005 ether;
    address internal constant COLLECTOR = address(0xFEE5);
    bytes32 internal constant OUTPUT_ROOT_SLOT = 0xc94330da5d5688c06df0ade6bfd773c87249c0b9f38b25021e2c16ab9672d000;

    IAxiomBridge internal bridge;
    bytes32 internal sequencer;
    /// @notice What the inbox holds.
    IRollupInbox.Header internal head;

    function setUp() public virtual override {
        super.setUp();
        sequencer = bytes32(uint256(uint160(builder)));
        bridge = _deployBridge(vault);
    }

    function _deployBridge(IKeystoreVault vault_) internal returns (IAxiomBridge) {
        bytes memory arguments = abi.encode(vault_, sequencer, COLLECTOR, DEPOSIT_FEE, OTHER_FEE, OTHER_FEE);
        return IAxiomBridge(_deploy(abi.encodePacked(_load("AxiomBridge"), arguments)));
    }

    /// @notice Settle the tree in the next L1 block, with all of the queue, and keep the header.
    function _settleHead() internal returns (IRollupInbox.Header memory) {
        _pass(1);
        IRollupInbox.Settled memory settled = inbox.settled();
        uint256 taken = inbox.queueLength();
        _settle(taken);
        head = IRollupInbox.Header({
            rollupId: rollupId,
            height: settled.height + 1,
            parentHash: settled.blockHash,
            timestamp: block.timestamp - 12,
            stfId: STF_ID,
            l1Origin: block.number - 1,
            forcedCount: taken,
            forcedHash: inbox.queueHash(taken),
            firstSeq: 0,
            actionCount: 0,
            actionsRoot: 0,
            receiptsRoot: 0,
            stateRoot: tree.getRoot(),
            metadataRoot: 0
        });
        return head;
    }

    function _settleAndRecord() internal returns (uint256 batchIndex) {
        bridge.recordBatch(_settleHead());
        return head.height;
    }

    /// @dev By the document: the seven words, then the three.
    function _preimage() internal view returns (IAxiomBridge.OutputRootPreimage memory) {
        bytes memory words = abi.encodePacked(head.height, head.timestamp, head.parentHash, sequencer);
        bytes32 blockHash =
            keccak256(abi.encodePacked(words, head.stateRoot, head.stateRoot, head.actionsRoot));
        return IAxiomBridge.OutputRootPreimage(head.stateRoot, head.stateRoot, blockHash);
    }

    function _outputRoot(IAxiomBridge.OutputRootPreimage memory preimage) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(preimage.stateRoot, preimage.withdrawalsRoot, preimage.lastValidBlockhash)
        );
    }

    /// @dev A packed proof in Axiom's form.
    function _unpack(bytes memory packed)
        internal
        pure
        returns (bytes1 nextDummyByte, bytes32 nextImtKey, bytes32[] memory proof, uint256 isLeft)
    {
        proof = new bytes32[]((packed.length - 41) / 32);
        assembly ("memory-safe") {
            isLeft := shr(192, mload(add(packed, 32)))
            nextImtKey := mload(add(packed, 41))
            for { let i := 0 } lt(i, mload(proof)) { i := add(i, 1) } {
                mstore(add(proof, mul(32, add(i, 1))), mload(add(packed, add(73, mul(32, i)))))
            }
        }
        nextDummyByte = packed[8];
    }

    function _finalizeCall(uint256 batchIndex, bytes32 place, address to, uint256 amount)
        internal
        view
        returns (bytes memory)
    {
        (bytes1 dummy, bytes32 nextKey, bytes32[] memory proof, uint256 isLeft) = _unpack(_include(place));
        IAxiomBridge.WithdrawalArgs memory arguments =
            IAxiomBridge.WithdrawalArgs(place, dummy, nextKey, amount, to);
        return abi.encodeCall(bridge.finalizeWithdrawal, (batchIndex, _preimage(), arguments, proof, isLeft));
    }

    function _finalize(uint256 batchIndex, bytes32 place, address to, uint256 amount, bytes4 error) internal {
        bytes memory call_ = _finalizeCall(batchIndex, place, to, amount);
        vm.prank(STRANGER);
        (bool success, bytes memory answer) = address(bridge).call(call_);
        assertEq(error == 0, success, "paid or not");
        if (error != 0) assertEq(bytes32(error), bytes32(bytes4(answer)), "the error");
    }

    function _initiate(address caller, IAxiomBridge.TransactionType kind, bytes memory data, uint256 value) internal {
        vm.prank(caller);
        bridge.initiateL1Transaction{value: value}(IAxiomBridge.L1InitiatedTransaction(kind, data));
    }
}
