// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {BridgeBase} from "./BridgeBase.sol";
import {Trees} from "./Trees.sol";

/// @notice Recipient that tries again while it is paid.
contract Greedy {
    address private _target;
    bytes[] private _calls;
    uint256 public refused;

    function want(address target, bytes calldata call_) external {
        _target = target;
        _calls.push(call_);
    }

    receive() external payable {
        for (uint256 i; i < _calls.length; ++i) {
            (bool success,) = _target.call(_calls[i]);
            if (!success) ++refused;
        }
    }
}

/// @notice Withdrawals through Axiom's interface: each once, by whichever contract, whatever its leaf becomes.
contract AxiomFinalizeTest is BridgeBase {
    using Trees for Trees.Tree;

    bytes32 private constant ID = keccak256("a withdrawal");
    bytes32 private place = _place(3, ID);

    event WithdrawalFinalized(uint256 indexed batchNumber, address indexed to, uint256 withdrawAmount);

    function _withdraw() private returns (uint256 batchIndex) {
        _fillVault(10 ether);
        _setWithdrawal(ID, ETHER, BOB, 3 ether);
        return _settleAndRecord();
    }

    function _refuseEverywhere(uint256 batchIndex) private {
        _finalize(batchIndex, place, BOB, 3 ether, IAxiomBridge.WithdrawalAlreadyClaimed.selector);
        bytes memory proof = _include(place);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.AlreadyPaid.selector, place));
        vault.claim(head.stateRoot, ID, ETHER, BOB, 3 ether, proof);
        assertTrue(bridge.isWithdrawalClaimed(place), "marked by its place");
        assertEq(7 ether, address(vault).balance, "paid once");
    }

    function test_FinalizeThenClaim() public {
        uint256 batchIndex = _withdraw();
        assertFalse(bridge.isWithdrawalClaimed(place), "open");
        uint256 before = BOB.balance;
        vm.expectEmit(address(bridge));
        emit WithdrawalFinalized(batchIndex, BOB, 3 ether);
        _finalize(batchIndex, place, BOB, 3 ether, 0);
        assertEq(before + 3 ether, BOB.balance, "paid by the vault");
        _refuseEverywhere(batchIndex);
    }

    function test_ClaimThenFinalize() public {
        uint256 batchIndex = _withdraw();
        _claim(head.stateRoot, ID, ETHER, BOB, 3 ether);
        _refuseEverywhere(batchIndex);
    }

    /// @notice Axiom's record of claims is keyed by the leaf's hash, which a later neighbour changes: its published contract
    /// pays again then. Here the place counts, under each later batch and under the old one.
    function test_RefuseAfterALaterInsertion() public {
        uint256 first = _withdraw();
        bytes memory call_ = _finalizeCall(first, place, BOB, 3 ether);
        (, bytes32 nextKey,,) = _unpack(_include(place));
        _finalize(first, place, BOB, 3 ether, 0);
        for (uint256 i; i < 4; ++i) {
            // A key just above the withdrawal's.
            tree.set(bytes32(uint256(place) + 4 - i), keccak256("a neighbour"));
            uint256 batchIndex = _settleAndRecord();
            (, bytes32 laterKey,,) = _unpack(_include(place));
            assertFalse(laterKey == nextKey, "another leaf now");
            nextKey = laterKey;
            _refuseEverywhere(batchIndex);
        }
        (bool success,) = address(bridge).call(call_);
        assertFalse(success, "nor under the first batch");
    }

    /// @notice An earlier batch serves for ever.
    function test_OldBatch() public {
        uint256 batchIndex = _withdraw();
        bytes memory call_ = _finalizeCall(batchIndex, place, BOB, 3 ether);
        tree.set(keccak256("somebody else's change"), keccak256("value"));
        _settleAndRecord();
        _finalize(batchIndex, place, BOB, 3 ether, IAxiomBridge.WithdrawalsRootVerificationFailed.selector);
        (bool success,) = address(bridge).call(call_);
        assertTrue(success, "with its own words and proof");
    }

    /// @notice A leaf of each other silo, under the same key and with the nearest value, is no withdrawal.
    /// forge-config: default.fuzz.runs = 16
    function test_RefuseOtherSilos(bytes32 word) public {
        _fillVault(10 ether);
        for (uint16 silo; silo < 13; ++silo) {
            if (silo == 3) continue;
            bytes memory value = silo == 0 ? abi.encode(BOB, 5) : silo == 5 ? abi.encode(ETHER, BOB, 5) : abi.encode(word);
            tree.set(_place(silo, ID), keccak256(value));
        }
        uint256 batchIndex = _settleAndRecord();
        for (uint16 silo; silo < 13; ++silo) {
            if (silo == 3) continue;
            bytes4 error = IAxiomBridge.InvalidWithdrawalProof.selector;
            _finalize(batchIndex, _place(silo, ID), BOB, 5, error);
            _finalize(batchIndex, _place(silo, ID), BOB, uint256(word), error);
            _finalize(batchIndex, _place(silo, ID), address(uint160(uint256(word))), 0, error);
        }
    }

    /// @notice Each word of the call counts.
    function test_RefuseOtherWords() public {
        uint256 batchIndex = _withdraw();
        bytes4 wrong = IAxiomBridge.InvalidWithdrawalProof.selector;
        _finalize(batchIndex, place, BOB, 3 ether + 1, wrong);
        _finalize(batchIndex, place, ALICE, 3 ether, wrong);
        _finalize(batchIndex + 1, place, BOB, 3 ether, IAxiomBridge.WithdrawalsRootVerificationFailed.selector);
        _finalize(0, place, BOB, 3 ether, IAxiomBridge.WithdrawalsRootVerificationFailed.selector);
        for (uint256 word; word < 9; ++word) {
            _refuseWord(batchIndex, word);
        }
        _finalize(batchIndex, place, BOB, 3 ether, 0);
    }

    function _refuseWord(uint256 batchIndex, uint256 word) private {
        (bytes1 dummy, bytes32 nextKey, bytes32[] memory proof, uint256 isLeft) = _unpack(_include(place));
        IAxiomBridge.OutputRootPreimage memory preimage = _preimage();
        bytes32 key = place;
        if (word == 0) preimage.stateRoot = keccak256("");
        if (word == 1) preimage.withdrawalsRoot = keccak256("");
        if (word == 2) preimage.lastValidBlockhash = keccak256("");
        if (word == 3) key = keccak256("");
        if (word == 4) dummy = bytes1(uint8(dummy) ^ 1);
        if (word == 5) dummy = 0x02;
        if (word == 6) nextKey = keccak256("");
        if (word == 7) proof[0] = keccak256("");
        if (word == 8) isLeft |= 1 << 64;
        IAxiomBridge.WithdrawalArgs memory arguments = IAxiomBridge.WithdrawalArgs(key, dummy, nextKey, 3 ether, BOB);
        _refuse(
            word < 3
                ? IAxiomBridge.WithdrawalsRootVerificationFailed.selector
                : IAxiomBridge.InvalidWithdrawalProof.selector
        );
        bridge.finalizeWithdrawal(batchIndex, preimage, arguments, proof, isLeft);
    }

    /// @notice The state of another rollup, or one that nobody settled, with the very leaf.
    function test_RefuseAnotherRollup() public {
        _settleAndRecord();
        _fillVault(10 ether);
        _setWithdrawal(ID, ETHER, BOB, 3 ether);
        (bytes1 dummy, bytes32 nextKey, bytes32[] memory proof, uint256 isLeft) = _unpack(_include(place));
        bytes32 root = tree.getRoot();
        IAxiomBridge.WithdrawalArgs memory arguments = IAxiomBridge.WithdrawalArgs(place, dummy, nextKey, 3 ether, BOB);
        IAxiomBridge.OutputRootPreimage memory preimage = _preimage();
        preimage.withdrawalsRoot = root;
        _refuse(IAxiomBridge.WithdrawalsRootVerificationFailed.selector);
        bridge.finalizeWithdrawal(head.height, preimage, arguments, proof, isLeft);
        // An output root that was never recorded, which is zero, has no three words.
        preimage.stateRoot = root;
        _refuse(IAxiomBridge.WithdrawalsRootVerificationFailed.selector);
        bridge.finalizeWithdrawal(head.height + 1, preimage, arguments, proof, isLeft);
    }

    /// @notice A frozen vault pays withdrawals still.
    function test_Frozen() public {
        uint256 batchIndex = _withdraw();
        _silence(SILENCE);
        vault.freeze();
        _finalize(batchIndex, place, BOB, 3 ether, 0);
    }

    /// @notice Paid once however often the recipient calls back, and by either way.
    function test_Reentrancy() public {
        Greedy greedy = new Greedy();
        _fillVault(10 ether);
        _setWithdrawal(ID, ETHER, address(greedy), 3 ether);
        uint256 batchIndex = _settleAndRecord();
        bytes memory call_ = _finalizeCall(batchIndex, place, address(greedy), 3 ether);
        greedy.want(address(bridge), call_);
        greedy.want(
            address(bridge),
            abi.encodeCall(
                bridge.initiateL1Transaction,
                IAxiomBridge.L1InitiatedTransaction(IAxiomBridge.TransactionType.Deposit, abi.encodePacked(ID))
            )
        );
        (bool success,) = address(bridge).call(call_);
        assertTrue(success, "paid");
        assertEq(3 ether, address(greedy).balance, "once");
        assertEq(2, greedy.refused(), "nothing else");
    }
}
