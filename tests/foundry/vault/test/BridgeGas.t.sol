// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {L1Accounts} from "keystore/L1Accounts.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {Paths} from "keystore-test/Paths.sol";
import {BridgeBase} from "./BridgeBase.sol";
import {VaultVm} from "./VaultVm.sol";

/// @notice As the vault's: execution gas with cold storage and proofs of depth 30, the calldata's bytes, the slots that are new.
contract BridgeGasTest is BridgeBase {
    uint256 private constant DEPTH = 30;
    bytes32 private constant ID = keccak256("a withdrawal");
    /// @dev An UPDATE to other data and another vkey, by one of one, with its witness, is about as long.
    uint256 private constant LIST_BYTES = 2_000;

    function setUp() public override {
        super.setUp();
        _depositAs(BOB, ETHER, ID, 1);
        _initiate(ALICE, IAxiomBridge.TransactionType.Update, "", OTHER_FEE);
        _settleAndRecord();
        _pass(1);
    }

    function _measure(string memory name, address caller, address target, uint256 value, bytes memory call_) private {
        vm.cool(target);
        vm.cool(address(vault));
        vm.cool(address(inbox));
        uint256 snapshot = avm.snapshotState();
        vm.prank(caller);
        (bool success,) = target.call{value: value}(call_);
        VaultVm(address(vm)).snapshotGasLastCall("vault", name);
        assertTrue(success, "the call that is measured");
        avm.revertToState(snapshot);
        _keepCosts("vault", name, caller, target, value, call_);
    }

    function _initiation(IAxiomBridge.TransactionType kind, bytes memory data) private view returns (bytes memory) {
        return abi.encodeCall(bridge.initiateL1Transaction, IAxiomBridge.L1InitiatedTransaction(kind, data));
    }

    function _grow(Paths.Leaf memory leaf) private pure returns (Paths.Path memory path) {
        bytes32 hash = Paths.hash(leaf);
        return Paths.grow(hash, DEPTH, uint64(uint256(hash)), hash);
    }

    function _settleAs(bytes32 root) private returns (IRollupInbox.Header memory) {
        IRollupInbox.Settled memory settled = inbox.settled();
        _settleRoot(root, 2);
        head.height = settled.height + 1;
        head.parentHash = settled.blockHash;
        head.timestamp = block.timestamp - 12;
        head.l1Origin = block.number - 1;
        head.stateRoot = root;
        return head;
    }

    function test_InitiateDeposit() public {
        bytes memory call_ =
            _initiation(IAxiomBridge.TransactionType.Deposit, abi.encodePacked(uint256(1 ether), ID));
        _measure("initiateL1Transaction, DEPOSIT", ALICE, address(bridge), 1 ether + DEPOSIT_FEE, call_);
    }

    function test_InitiateUpdate() public {
        bytes memory call_ = _initiation(IAxiomBridge.TransactionType.Update, new bytes(LIST_BYTES));
        _measure("initiateL1Transaction, UPDATE of 2,000 bytes", ALICE, address(bridge), OTHER_FEE, call_);
    }

    function test_RecordBatch() public {
        IRollupInbox.Header memory header = _settleAs(keccak256("root"));
        _measure("recordBatch", STRANGER, address(bridge), 0, abi.encodeCall(bridge.recordBatch, (header)));
    }

    function test_FinalizeWithdrawal() public {
        bytes32 place = _place(3, ID);
        Paths.Path memory path =
            _grow(Paths.Leaf(1, 1, place, 0, 0, keccak256(abi.encodePacked(BOB, uint256(1 ether)))));
        bridge.recordBatch(_settleAs(path.root));
        _fillVault(1 ether);
        IAxiomBridge.WithdrawalArgs memory arguments = IAxiomBridge.WithdrawalArgs(place, 0, 0, 1 ether, BOB);
        bytes memory call_ = abi.encodeCall(
            bridge.finalizeWithdrawal, (head.height, _preimage(), arguments, path.siblings, path.isLeft)
        );
        _measure("finalizeWithdrawal", STRANGER, address(bridge), 0, call_);
    }

    function test_OpenAccount() public {
        Account memory account = _accountOf(ALICE);
        (bytes32 data, bytes32 vk) = (keccak256(account.data), keccak256(account.vk));
        Paths.Path memory path =
            _grow(Paths.Leaf(1, 1, _place(0, account.key), 0, 0, keccak256(abi.encodePacked(data, vk))));
        _settleAs(path.root);
        L1Accounts accounts = L1Accounts(_deploy(abi.encodePacked(_load("L1Accounts"), abi.encode(inbox))));
        bytes memory proof = abi.encodePacked(path.isLeft, uint8(0), bytes32(0), path.siblings);
        bytes memory call_ = abi.encodeCall(accounts.open, (account.key, data, vk, proof));
        _measure("L1Accounts.open, the first time", STRANGER, address(accounts), 0, call_);
    }
}
