// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Validators} from "keystore/Validators.sol";
import {Paths} from "keystore-test/Paths.sol";
import {AccountBase} from "./AccountBase.sol";
import {YesValidator} from "./HostileValidators.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @dev What validation costs at depth 30: execution gas of the call `validateUserOp`, and the bytes of the signature. The
/// account's storage is cold, as at an account's first operation in a transaction, or warm; code is warm (cold, it costs 2,500
/// more for the implementation and 2,500 for the validator). The snapshot is under version control.
contract AccountGasTest is AccountBase {
    string internal constant GROUP = "accounts";

    Holder internal alice;
    Holder internal yes;

    function setUp() public override {
        super.setUp();
        _deploy(type(YesValidator).creationCode);
        alice = _holder(0xA11CE);
        yes = _holder(0xA11CE);
        yes.codeHash = keccak256(type(YesValidator).creationCode);
    }

    function _measure(IKeystoreAccount account, Holder memory holder, Opening memory opening, string memory name) private {
        PackedUserOperation memory operation = _signedTransfer(account, holder, opening);
        _warm(account, holder);
        avm.cool(address(account));
        assertTrue(FAILED != _validate(operation), "valid");
        vm.snapshotValue(GROUP, string.concat("validateUserOp, storage cold: ", name), avm.lastCallGas().gasTotalUsed);
        assertTrue(FAILED != _validate(operation), "valid again");
        vm.snapshotValue(GROUP, string.concat("validateUserOp, storage warm: ", name), avm.lastCallGas().gasTotalUsed);
        vm.snapshotValue(GROUP, string.concat("signature bytes: ", name), operation.signature.length);
    }

    /// @dev Touch account, implementation and validator, and change nothing.
    function _warm(IKeystoreAccount account, Holder memory holder) private view {
        account.key();
        (bool success,) = Validators.computeAddress(holder.codeHash).staticcall("");
        success;
    }

    function _measureModes(Holder memory holder, string memory validator) private {
        bytes32 key = _keyOf(holder);
        Opening memory included = _include(key, holder);
        Opening memory excluded = _exclude(holder);
        IKeystoreAccount account = _create(key, excluded.root);
        _measure(account, holder, excluded, string.concat("exclusion, ", validator));
        _measure(account, holder, _remembering(excluded), string.concat("exclusion, remembered, ", validator));
        _measure(account, holder, _cached(), string.concat("cached, ", validator));
        _show(included.root);
        account.pushRoot();
        _measure(account, holder, included, string.concat("inclusion, ", validator));
        _measure(account, holder, _remembering(included), string.concat("inclusion, remembered again, ", validator));
        _measure(account, holder, excluded, string.concat("exclusion, previous root, ", validator));
        for (uint256 i; i < 3; ++i) {
            _show(keccak256(abi.encode(i)));
            account.pushRoot();
        }
        _measure(account, holder, excluded, string.concat("exclusion, oldest replaced root, ", validator));
    }

    function test_validation_with_ecdsa() external {
        _measureModes(alice, "ECDSA");
    }

    /// @dev Without the validator's own work: what the account's design costs.
    function test_validation_with_a_validator_that_says_yes() external {
        _measureModes(yes, "no check");
    }

    function _measureOutbox(IKeystoreAccount account, PackedUserOperation memory operation, string memory name)
        private
    {
        _warm(account, alice);
        avm.cool(address(account));
        assertTrue(FAILED != _validate(operation), "valid");
        vm.snapshotValue(GROUP, string.concat("validateUserOp, storage cold: ", name), avm.lastCallGas().gasTotalUsed);
        vm.snapshotValue(GROUP, string.concat("signature bytes: ", name), operation.signature.length);
    }

    function test_intent() external {
        IKeystoreAccount account = _create(_keyOf(alice), keccak256("a root"));
        PackedUserOperation memory operation = _transfer(address(account));
        bytes32 ownerHash = keccak256(abi.encodePacked(_dataHash(alice), alice.vkHash));
        uint64 until = uint64(NOW + 1 hours);
        bytes32 valueHash = keccak256(
            abi.encode(block.chainid, account, entryPoint.getUserOpHash(operation), uint64(1), until, ownerHash)
        );
        bytes32 place = keccak256(abi.encodePacked(uint16(6), _keyOf(alice), uint256(7)));
        (bytes32 root, bytes memory openings) = _pair(_keyOf(alice), alice, place, valueHash);
        _show(root);
        account.pushRoot();
        operation.signature = abi.encodePacked(uint8(3), uint16(7), uint64(1), until, openings);
        _measureOutbox(account, operation, "intent");
    }

    function test_delegate() external {
        IKeystoreAccount account = _create(_keyOf(alice), keccak256("a root"));
        PackedUserOperation memory operation = _transfer(address(account));
        bytes memory signature = _sign(alice.privateKey, entryPoint.getUserOpHash(operation));
        bytes32 ownerHash = keccak256(abi.encodePacked(_dataHash(alice), alice.vkHash));
        uint64 until = uint64(NOW + 1 hours);
        bytes32 valueHash = keccak256(abi.encode(alice.codeHash, keccak256(alice.config), until, ownerHash));
        bytes32 place = keccak256(abi.encodePacked(uint16(7), _keyOf(alice), block.chainid));
        (bytes32 root, bytes memory openings) = _pair(_keyOf(alice), alice, place, valueHash);
        _show(root);
        account.pushRoot();
        operation.signature = abi.encodePacked(
            uint8(4), alice.codeHash, uint16(20), alice.config, uint16(65), signature, uint8(0), until, openings
        );
        _measureOutbox(account, operation, "delegate, ECDSA");
    }

    function _push(IKeystoreAccount account, bool isWatched, string memory name) private {
        name = string.concat("pushRoot: ", name);
        bytes memory call_ = abi.encodeCall(account.pushRoot, ());
        if (isWatched) _keepCosts(GROUP, name, address(this), address(account), 0, call_);
        avm.cool(address(account));
        avm.cool(address(roots));
        account.pushRoot();
        if (!isWatched) vm.snapshotValue(GROUP, name, avm.lastCallGas().gasTotalUsed);
    }

    function _pushAll(bool isWatched) private {
        Opening memory included = _include(_keyOf(alice), alice);
        IKeystoreAccount account = _create(_keyOf(alice), included.root);
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _show(included.root);
        _push(account, isWatched, "the same root again");
        _show(keccak256("second"));
        _push(account, isWatched, "second root, memory cut short");
        _show(keccak256("third"));
        _push(account, isWatched, "third root");
        for (uint256 i; i < 2; ++i) {
            _show(keccak256(abi.encode(i)));
            account.pushRoot();
        }
        _warp(time + GRACE + 1);
        _show(keccak256("last"));
        _push(account, isWatched, "a later root, the ring full");
    }

    function test_push() external {
        _pushAll(false);
    }

    function test_push_state() external {
        _pushAll(true);
    }

    function test_create() external {
        _show(keccak256("a root"));
        address senderCreator = address(entryPoint.senderCreator());
        _measureCreation(senderCreator, "createAccount");
    }

    function _measureCreation(address senderCreator, string memory name) private {
        avm.cool(address(roots));
        uint256 snapshot = avm.snapshotState();
        vm.prank(senderCreator);
        factory.createAccount(_keyOf(alice), keccak256("a root"));
        vm.snapshotValue(GROUP, name, avm.lastCallGas().gasTotalUsed);
        avm.revertToState(snapshot);
        bytes memory call_ = abi.encodeCall(factory.createAccount, (_keyOf(alice), keccak256("a root")));
        _keepCosts(GROUP, name, senderCreator, address(factory), 0, call_);
    }

    function test_create_after_a_foreign_root() external {
        _show(keccak256("a root"));
        _show(keccak256("a foreign root"));
        _measureCreation(address(entryPoint.senderCreator()), "createAccount: the signed root was replaced");
    }
}
