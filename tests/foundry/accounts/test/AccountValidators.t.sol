// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Validators} from "keystore/Validators.sol";
import {AccountBase} from "./AccountBase.sol";
import {
    BurningValidator, RevertingValidator, TalkingValidator, WritingValidator, YesValidator
} from "./HostileValidators.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @dev An account asks the validator that its data names, whichever it is, and takes nothing but one word 1 for a yes.
contract AccountValidatorsTest is AccountBase {
    uint256 internal constant PRIVATE_KEY = 0xFACE;

    /// @dev The account of a key whose data names this validator; it holds a copy of the root.
    function _account(bytes32 codeHash, bytes memory config)
        private
        returns (IKeystoreAccount account, Holder memory holder, Opening memory opening)
    {
        holder = Holder(PRIVATE_KEY, bytes32(0), codeHash, config, keccak256("vk"));
        opening = _include(_keyOf(holder), holder);
        account = _create(_keyOf(holder), opening.root);
    }

    /// @dev What the account of a hostile validator answers, and the gas of it, for this validator's signature.
    function _answer(bytes memory creationCode, bytes memory signature) private returns (uint256 answer, uint256 gasUsed) {
        _deploy(creationCode);
        (IKeystoreAccount account, Holder memory holder, Opening memory opening) = _account(keccak256(creationCode), "");
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = _encode(holder, opening, signature);
        answer = _validate(operation);
        gasUsed = avm.lastCallGas().gasTotalUsed;
    }

    function test_yes() external {
        (uint256 answer,) = _answer(type(YesValidator).creationCode, "");
        assertTrue(FAILED != answer, "yes");
    }

    function test_reverts() external {
        (uint256 answer,) = _answer(type(RevertingValidator).creationCode, "");
        assertEq(FAILED, answer, "a revert with a 1");
    }

    function test_garbage() external {
        bytes memory code = type(TalkingValidator).creationCode;
        (uint256 answer,) = _answer(code, abi.encode(32, 1));
        assertTrue(FAILED != answer, "one word, 1");
        uint256[6] memory sizes = [uint256(0), 1, 31, 33, 64, 32];
        uint256[6] memory words = [uint256(1), 1, 1, 1, 1, 2];
        for (uint256 i; i < sizes.length; ++i) {
            (answer,) = _answer(code, abi.encode(sizes[i], words[i]));
            assertEq(FAILED, answer, "other sizes, other words");
        }
        (answer,) = _answer(code, abi.encode(32, type(uint256).max));
        assertEq(FAILED, answer, "all bits");
        (answer,) = _answer(code, abi.encode(32, uint256(1) << 255));
        assertEq(FAILED, answer, "the 1 at the other end");
    }

    /// @dev A flood of returned bytes costs whoever returns it, and nobody for copying it.
    function test_flood() external {
        (uint256 answer, uint256 gasUsed) = _answer(type(TalkingValidator).creationCode, abi.encode(200_000, 1));
        assertEq(FAILED, answer, "not one word");
        assertTrue(gasUsed < 250_000, "not copied");
    }

    function test_burns_gas() external {
        (uint256 answer, uint256 gasUsed) = _answer(type(BurningValidator).creationCode, "");
        assertEq(FAILED, answer, "no answer");
        assertTrue(gasUsed > Validators.GAS_LIMIT && gasUsed < Validators.GAS_LIMIT + 60_000, "no more than the limit");
    }

    function test_keeps_no_state() external {
        (uint256 answer,) = _answer(type(WritingValidator).creationCode, "");
        assertEq(FAILED, answer, "it cannot write");
    }

    /// @dev Where nothing is deployed, a call succeeds and returns nothing: that is a no.
    function test_not_deployed() external {
        bytes32 codeHash = keccak256("code that nobody deployed");
        assertEq(0, Validators.computeAddress(codeHash).code.length, "nothing there");
        (IKeystoreAccount account, Holder memory holder, Opening memory opening) = _account(codeHash, "");
        _refuse(_sign(_transfer(address(account)), holder, opening));
    }

    // The real ones, through an account

    function test_multisig() external {
        _deploy(_load("MultisigValidator"));
        (uint256 first, uint256 second) = vm.addr(1) < vm.addr(2) ? (1, 2) : (2, 1);
        bytes memory config = abi.encodePacked(uint8(2), vm.addr(first), vm.addr(second));
        (IKeystoreAccount account, Holder memory holder, Opening memory opening) =
            _account(keccak256(_load("MultisigValidator")), config);
        PackedUserOperation memory operation = _transfer(address(account));
        bytes32 hash = entryPoint.getUserOpHash(operation);
        operation.signature = _encode(holder, opening, bytes.concat(_sign(first, hash), _sign(first, hash)));
        _refuse(operation);
        operation.signature = _encode(holder, opening, bytes.concat(_sign(second, hash), _sign(first, hash)));
        _refuse(operation);
        operation.signature = _encode(holder, opening, bytes.concat(_sign(first, hash), _sign(second, hash)));
        _accept(operation);
    }

    /// forge-config: default.evm_version = "osaka"
    function test_p256() external {
        _deploy(_load("P256Validator"));
        (IKeystoreAccount account, Holder memory holder, Opening memory opening) =
            _account(keccak256(_load("P256Validator")), _pointOf(PRIVATE_KEY));
        PackedUserOperation memory operation = _transfer(address(account));
        bytes32 hash = entryPoint.getUserOpHash(operation);
        operation.signature = _encode(holder, opening, _signP256(0xBAD, hash));
        _refuse(operation);
        operation.signature = _encode(holder, opening, _signP256(PRIVATE_KEY, hash));
        _accept(operation);
    }

    /// forge-config: default.evm_version = "osaka"
    function test_web_authn() external {
        _deploy(_load("WebAuthnValidator"));
        (IKeystoreAccount account, Holder memory holder, Opening memory opening) =
            _account(keccak256(_load("WebAuthnValidator")), _pointOf(PRIVATE_KEY));
        PackedUserOperation memory operation = _transfer(address(account));
        bytes32 hash = entryPoint.getUserOpHash(operation);
        operation.signature =
            _encode(holder, opening, _assertChallenge(PRIVATE_KEY, hash, USER_PRESENT, "webauthn.get"));
        _refuse(operation);
        operation.signature = _encode(
            holder, opening, _assertChallenge(PRIVATE_KEY, hash, USER_PRESENT | USER_VERIFIED, "webauthn.get")
        );
        _accept(operation);
    }
}
