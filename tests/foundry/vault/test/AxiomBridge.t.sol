// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {BridgeBase} from "./BridgeBase.sol";

/// @notice What goes in through Axiom's interface: their value rules, their hashes, and the inbox's queue behind them;
/// and what the bridge says of settled batches.
contract AxiomBridgeTest is BridgeBase {
    IAxiomBridge.TransactionType private constant DEPOSIT = IAxiomBridge.TransactionType.Deposit;
    IAxiomBridge.TransactionType private constant WITHDRAW = IAxiomBridge.TransactionType.Withdraw;
    IAxiomBridge.TransactionType private constant UPDATE = IAxiomBridge.TransactionType.Update;

    bytes32 private constant KEY = keccak256("somebody's keystore address");
    bytes private constant LIST = hex"c3010203";

    event L1TransactionInitiated(
        uint256 indexed l1BatchIndex,
        bytes32 l1BatchCommitment,
        uint256 l1BatchInclusionBlock,
        uint256 l1InitiatedNonce,
        bytes32 txHash
    );
    event ActionForced(
        uint256 indexed index, address indexed sender, uint256 inclusionBlock, bytes payload, bytes32 queueHash
    );

    function _queueHash(address sender, bytes memory payload) private view returns (bytes32) {
        bytes32 before = inbox.queueHash(inbox.queueLength());
        return keccak256(abi.encode(before, sender, block.number, keccak256(payload)));
    }

    function _expect(address sender, bytes memory payload, bytes32 txHash) private {
        uint256 nonce = inbox.queueLength();
        bytes32 hash = _queueHash(sender, payload);
        vm.expectEmit(address(inbox));
        emit ActionForced(nonce, sender, block.number, payload, hash);
        vm.expectEmit(address(bridge));
        emit L1TransactionInitiated(nonce, hash, block.number, nonce, txHash);
    }

    function _depositPayload(uint64 id, uint256 amount) private pure returns (bytes memory) {
        bytes32 type_ = keccak256("Deposit(uint64 id,address token,bytes32 key,uint256 amount,uint64 nonce)");
        return abi.encodePacked(hex"00", abi.encode(type_, id, address(0), KEY, amount));
    }

    function test_Deposit() public {
        inbox.force(hex"00"); // somebody else's
        for (uint64 i; i < 2; ++i) {
            // The amount and the address, or the address alone.
            bytes memory data = i == 0 ? abi.encodePacked(uint256(3 ether), KEY) : abi.encodePacked(KEY);
            bytes32 txHash = keccak256(abi.encodePacked(hex"00", uint256(i + 1), uint256(3 ether), KEY));
            _expect(address(vault), _depositPayload(i, 3 ether), txHash);
            _initiate(ALICE, DEPOSIT, data, 3 ether + DEPOSIT_FEE);
        }
        assertEq(6 ether, address(vault).balance, "what is credited is in the vault");
        assertEq(2 * DEPOSIT_FEE, address(bridge).balance, "the fees are here");
        assertEq(3, bridge.l1BatchCount(), "the queue counts");
        assertEq(block.number, bridge.l1BatchInclusionBlock(2), "and knows when");
    }

    /// @notice A deposit that the rollup does not credit comes back to who paid it, without the fee.
    function test_DepositComesBack() public {
        _settleAndRecord();
        _initiate(ALICE, DEPOSIT, abi.encodePacked(KEY), 3 ether + DEPOSIT_FEE);
        // The state is the one that was recorded before; the record moves on.
        _settleAndRecord();
        IKeystoreVault.Deposit memory paid = IKeystoreVault.Deposit(ETHER, 3 ether, ALICE, 0);
        vault.reclaim(0, paid, head.stateRoot, _exclude(_place(10, 0)));
        assertEq(1_000 ether - DEPOSIT_FEE, ALICE.balance, "all but the fee");
    }

    function test_RefuseWrongDeposits() public {
        bytes memory short = abi.encodePacked(KEY);
        bytes memory long = abi.encodePacked(uint256(1 ether), KEY);
        _refuseInitiation(DEPOSIT, short, 0, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(DEPOSIT, short, DEPOSIT_FEE, IAxiomBridge.InvalidMsgValue.selector);
        // The sender meant another fee.
        _refuseInitiation(DEPOSIT, long, 1 ether + DEPOSIT_FEE - 1, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(DEPOSIT, long, 1 ether + DEPOSIT_FEE + 1, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(DEPOSIT, "", 1 ether, IAxiomBridge.InvalidDepositData.selector);
        _refuseInitiation(DEPOSIT, hex"00", 1 ether, IAxiomBridge.InvalidDepositData.selector);
        _refuseInitiation(DEPOSIT, abi.encodePacked(long, hex"00"), 1 ether, IAxiomBridge.InvalidDepositData.selector);
        assertEq(0, inbox.queueLength(), "nothing is queued");
    }

    function _refuseInitiation(IAxiomBridge.TransactionType kind, bytes memory data, uint256 value, bytes4 error)
        private
    {
        _refuse(error);
        _initiate(ALICE, kind, data, value);
    }

    function test_WithdrawAndUpdate() public {
        inbox.force(hex"00");
        for (uint8 kind = 1; kind < 3; ++kind) {
            bytes memory transaction = abi.encodePacked(kind, hex"01", uint256(kind), LIST);
            _expect(address(bridge), abi.encodePacked(hex"02", hex"05", "axiom", transaction), keccak256(transaction));
            _initiate(ALICE, IAxiomBridge.TransactionType(kind), LIST, OTHER_FEE);
        }
        assertEq(2 * OTHER_FEE, address(bridge).balance, "the fees are here");
        _refuseInitiation(WITHDRAW, LIST, OTHER_FEE - 1, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(WITHDRAW, LIST, OTHER_FEE + 1, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(UPDATE, LIST, 0, IAxiomBridge.InvalidMsgValue.selector);
        _refuseInitiation(UPDATE, new bytes(8_192), OTHER_FEE, IRollupInbox.PayloadTooLarge.selector);
        _initiate(ALICE, UPDATE, new bytes(8_192 - 41), OTHER_FEE);
    }

    /// @notice Whatever is sent: one entry for exactly the fee, the rest in the vault; or nothing has happened.
    function test_WhatIsPaidIsAccountedFor(uint8 kind, bytes calldata data, uint256 value, uint8 shape) public {
        IAxiomBridge.TransactionType type_ = IAxiomBridge.TransactionType(kind % 3);
        uint256 fee = bridge.l1InitiatedFee(type_);
        value = shape % 3 == 0 ? fee : shape % 3 == 1 ? value % 3 ether : fee + 1 ether;
        bytes memory sent = data;
        if (shape % 5 == 0) sent = abi.encodePacked(uint256(1 ether), KEY);
        if (shape % 5 == 1) sent = abi.encodePacked(KEY);
        vm.prank(ALICE);
        (bool success,) = address(bridge).call{value: value}(
            abi.encodeCall(bridge.initiateL1Transaction, (IAxiomBridge.L1InitiatedTransaction(type_, sent)))
        );
        bool isDeposit = type_ == DEPOSIT;
        bool isRight = isDeposit
            ? value > fee && (sent.length == 32 || (sent.length == 64 && uint256(bytes32(sent)) == value - fee))
            : value == fee;
        assertEq(isRight, success, "what is right is taken");
        assertEq(success ? 1 : 0, bridge.l1BatchCount(), "one entry");
        assertEq(success ? fee : 0, address(bridge).balance, "the fee is here");
        assertEq(success ? value - fee : 0, address(vault).balance, "the rest is in the vault");
    }

    /// @notice A fourth type there is not.
    function test_RefuseUnknownTypes() public {
        bytes memory call_ = abi.encodeWithSignature("initiateL1Transaction((uint8,bytes))", uint8(3), LIST);
        (bool success,) = address(bridge).call(call_);
        assertFalse(success, "no such type");
    }

    function test_Fees() public {
        assertEq(DEPOSIT_FEE, bridge.l1InitiatedFee(DEPOSIT), "of a deposit");
        assertEq(OTHER_FEE, bridge.l1InitiatedFee(WITHDRAW), "of a withdrawal");
        assertEq(OTHER_FEE, bridge.l1InitiatedFee(UPDATE), "of an update");
        _initiate(ALICE, UPDATE, LIST, OTHER_FEE);
        vm.deal(address(bridge), OTHER_FEE + 1); // sent by a contract that destroyed itself
        vm.prank(STRANGER);
        bridge.collectFees();
        assertEq(OTHER_FEE + 1, COLLECTOR.balance, "all that was here");
        assertEq(0, address(bridge).balance, "all that was here");
        bytes memory arguments = abi.encode(vault, sequencer, address(0), 0, 1, 0);
        bytes memory creation = abi.encodePacked(_load("AxiomBridge"), arguments);
        address made;
        assembly ("memory-safe") {
            made := create(0, add(creation, 32), mload(creation))
        }
        assertEq(address(0), made, "no fees for nobody");
    }

    /// @notice Withdrawing through a vault that is frozen would cost the fee and move nothing; an update still counts.
    function test_Frozen() public {
        _settleHead();
        _silence(SILENCE);
        vault.freeze();
        _refuseInitiation(WITHDRAW, LIST, OTHER_FEE, IKeystoreVault.VaultFrozen.selector);
        _refuseInitiation(DEPOSIT, abi.encodePacked(KEY), 1 ether, IKeystoreVault.VaultFrozen.selector);
        _initiate(ALICE, UPDATE, LIST, OTHER_FEE);
    }

    function test_RefuseBeforeItIsBound() public {
        bytes memory arguments = abi.encode(MAKER, keccak256(_inboxCode()), escapeVerifier, address(0));
        IKeystoreVault fresh =
            IKeystoreVault(_deploy(abi.encodePacked(_load("KeystoreVault"), arguments), keccak256("another")));
        bridge = _deployBridge(fresh);
        _refuseInitiation(UPDATE, LIST, OTHER_FEE, IKeystoreVault.NotBound.selector);
        _refuseInitiation(DEPOSIT, abi.encodePacked(KEY), 1 ether, IKeystoreVault.NotBound.selector);
        _refuse(IKeystoreVault.NotBound.selector);
        bridge.recordBatch(head);
    }

    // Batches

    function test_RecordBatch() public {
        assertEq(0, bridge.latestOutputRoot(), "none yet");
        for (uint256 i = 1; i < 4; ++i) {
            _setBalance(ETHER, bytes32(i), i);
            _settleHead();
            vm.prank(STRANGER);
            bytes32 outputRoot = bridge.recordBatch(head);
            assertEq(_outputRoot(_preimage()), outputRoot, "by the document");
            assertEq(outputRoot, bridge.latestOutputRoot(), "the newest");
            assertEq(outputRoot, vm.load(address(bridge), OUTPUT_ROOT_SLOT), "where Axiom's readers look");
            assertEq(outputRoot, bridge.outputRootAt(i), "under its height");
            assertEq(i, vault.getCheckpoint(head.stateRoot).height, "the vault knows the root too");
            assertEq(outputRoot, bridge.recordBatch(head), "again");
        }
        bytes32 slot = keccak256(abi.encode(uint256(keccak256("axiom.storage.AxiomKeystoreRollup")) - 1));
        assertEq(slot & ~bytes32(uint256(0xff)), OUTPUT_ROOT_SLOT, "ERC-7201");
    }

    /// @notice Neither a header of an earlier block, nor one that nobody settled, nor another rollup's.
    function test_RefuseOtherHeaders(uint256 word, bytes32 other) public {
        IRollupInbox.Header memory old = _settleHead();
        _setBalance(ETHER, KEY, 1);
        _settleHead();
        _refuse(IAxiomBridge.NotTheHead.selector);
        bridge.recordBatch(old);
        word = word % 14;
        IRollupInbox.Header memory forged = head;
        bytes32 before;
        assembly ("memory-safe") {
            let place := add(forged, mul(32, word))
            before := mload(place)
            mstore(place, other)
        }
        vm.assume(before != other);
        _refuse(IAxiomBridge.NotTheHead.selector);
        bridge.recordBatch(forged);
        assertEq(0, bridge.latestOutputRoot(), "nothing is recorded");
    }

    /// @notice The batch at which the vault froze can be recorded still; a later one is no use to anybody here.
    function test_RecordFrozen() public {
        _settleHead();
        IRollupInbox.Header memory frozen = head;
        _silence(SILENCE);
        vault.freeze();
        bridge.recordBatch(frozen);
        _setBalance(ETHER, KEY, 1);
        _settleHead();
        _refuse(IKeystoreVault.VaultFrozen.selector);
        bridge.recordBatch(head);
    }
}
