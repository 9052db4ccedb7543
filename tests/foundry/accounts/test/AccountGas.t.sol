// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Validators} from "keystore/Validators.sol";
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

    function _push(IKeystoreAccount account, string memory name) private {
        avm.cool(address(account));
        avm.cool(address(roots));
        account.pushRoot();
        vm.snapshotValue(GROUP, string.concat("pushRoot: ", name), avm.lastCallGas().gasTotalUsed);
    }

    function test_push() external {
        Opening memory included = _include(_keyOf(alice), alice);
        IKeystoreAccount account = _create(_keyOf(alice), included.root);
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _show(included.root);
        _push(account, "the same root again");
        _show(keccak256("second"));
        _push(account, "second root, memory cut short");
        _show(keccak256("third"));
        _push(account, "third root");
        for (uint256 i; i < 2; ++i) {
            _show(keccak256(abi.encode(i)));
            account.pushRoot();
        }
        _warp(time + GRACE + 1);
        _show(keccak256("last"));
        _push(account, "a later root, the ring full");
    }

    function test_create() external {
        _show(keccak256("a root"));
        address senderCreator = address(entryPoint.senderCreator());
        avm.cool(address(roots));
        vm.prank(senderCreator);
        factory.createAccount(_keyOf(alice), keccak256("a root"));
        vm.snapshotValue(GROUP, "createAccount", avm.lastCallGas().gasTotalUsed);
    }

    function test_create_after_a_foreign_root() external {
        _show(keccak256("a root"));
        _show(keccak256("a foreign root"));
        avm.cool(address(roots));
        vm.prank(address(entryPoint.senderCreator()));
        factory.createAccount(_keyOf(alice), keccak256("a root"));
        vm.snapshotValue(GROUP, "createAccount: the signed root was replaced", avm.lastCallGas().gasTotalUsed);
    }
}
