// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {PasskeyAssertion} from "keystore/PasskeyAssertion.sol";
import {Validators} from "keystore/Validators.sol";
import {WebAuthn} from "solady/src/utils/WebAuthn.sol";
import {BurningValidator} from "./HostileValidators.sol";
import {Validation} from "./Validation.sol";

/// @dev A validator asks as much gas for a wrong signature of the right form as for a right one, and never says no for want of gas.
contract EstimatesTest is Validation {
    bytes32 internal constant HASH = keccak256("what was signed");
    uint256 internal constant KEY = 0xC0FFEE;
    bytes internal constant SCALARS =
        hex"81ba5d0bbb317b4bf6697f634081f3bf8cb9c970f7bb0b37c5d90c7750557580"
        hex"1111111111111111111111111111111111111111111111111111111111111111";

    function isValid(bytes32 codeHash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        return Validators.isValid(codeHash, HASH, signature, config);
    }

    function _compare(string memory name, bytes memory wrong, bytes memory right, bytes memory config) internal {
        bytes memory code = _load(name);
        _deploy(code);
        assertFalse(this.isValid(keccak256(code), wrong, config), "the wrong one");
        uint256 gasOfWrong = avm.lastCallGas().gasTotalUsed;
        assertTrue(this.isValid(keccak256(code), right, config), "the right one");
        uint256 gasOfRight = avm.lastCallGas().gasTotalUsed;
        assertTrue(gasOfWrong >= gasOfRight, string.concat(name, ": the wrong one is cheaper"));
    }

    function test_ecdsa() external {
        bytes memory config = abi.encodePacked(vm.addr(1));
        _compare("ECDSAValidator", bytes.concat(SCALARS, hex"1b"), _sign(1, HASH), config);
    }

    /// @dev Nobody's, a stranger's, and one that is malformed first.
    function test_multisig() external {
        uint256[9] memory keys;
        bytes memory config = hex"05";
        bytes memory right;
        for (uint256 i; i < 9; ++i) {
            uint256 place = i;
            uint256 key = i + 1;
            for (; place > 0 && vm.addr(keys[place - 1]) > vm.addr(key); --place) {
                keys[place] = keys[place - 1];
            }
            keys[place] = key;
        }
        for (uint256 i; i < 9; ++i) {
            config = bytes.concat(config, abi.encodePacked(vm.addr(keys[i])));
            if (i >= 4) right = bytes.concat(right, _sign(keys[i], HASH));
        }
        bytes memory one = bytes.concat(SCALARS, hex"1b");
        _compare("MultisigValidator", bytes.concat(one, one, one, one, one), right, config);
        bytes memory stranger = _sign(0xBAD, HASH);
        _compare("MultisigValidator", bytes.concat(stranger, one, stranger, one, stranger), right, config);
    }

    function _passkey() internal pure returns (bytes memory wrong, bytes memory right) {
        right = _assertChallenge(KEY, HASH, USER_PRESENT | USER_VERIFIED, "webauthn.get");
        wrong = _assertChallenge(KEY, keccak256("another"), USER_PRESENT | USER_VERIFIED, "webauthn.get");
        uint256 start = wrong.length - 64;
        for (uint256 i; i < 64; ++i) {
            wrong[start + i] = SCALARS[i];
        }
    }

    /// forge-config: default.evm_version = "osaka"
    function test_p256_by_precompile() external {
        _compare("P256Validator", SCALARS, _signP256(KEY, HASH), _pointOf(KEY));
        (bytes memory wrong, bytes memory right) = _passkey();
        _compare("WebAuthnValidator", wrong, right, _pointOf(KEY));
    }

    function test_p256_in_solidity() external {
        _compare("P256SolidityValidator", SCALARS, _signP256(KEY, HASH), _pointOf(KEY));
        (bytes memory wrong, bytes memory right) = _passkey();
        _compare("WebAuthnSolidityValidator", wrong, right, _pointOf(KEY));
        _compare("WebAuthnValidator", wrong, right, _pointOf(KEY));
    }

    /// @dev Nothing is asked at address 0x100, so it takes the same where something is there.
    /// forge-config: default.evm_version = "osaka"
    function test_in_solidity_everywhere() external {
        _compare("P256SolidityValidator", SCALARS, _signP256(KEY, HASH), _pointOf(KEY));
        assertTrue(avm.lastCallGas().gasTotalUsed > 200_000, "not by the precompile");
    }

    /// @dev With less gas than a right signature takes, the call fails; it never says that the signature is wrong.
    function testFuzz_starved(uint256 gasLimit) external {
        gasLimit = bound(gasLimit, 5_000, 400_000);
        bytes memory code = _load("P256SolidityValidator");
        _deploy(code);
        bytes memory config = _pointOf(KEY);
        bytes memory signature = _signP256(KEY, HASH);
        try this.isValid{gas: gasLimit}(keccak256(code), signature, config) returns (bool valid) {
            assertTrue(valid, "no, for want of gas");
        } catch {
            assertTrue(gasLimit < 290_000, "enough");
        }
    }

    /// @dev Burning all of a limit that was given in full is a no.
    function testFuzz_burned(uint256 gasLimit) external {
        gasLimit = bound(gasLimit, 5_000, 2_000_000);
        bytes memory code = type(BurningValidator).creationCode;
        _deploy(code);
        try this.isValid{gas: gasLimit}(keccak256(code), "", "") returns (bool valid) {
            assertFalse(valid, "no answer");
            assertTrue(gasLimit > 1_520_000, "it might have said yes with more");
        } catch {
            assertTrue(gasLimit < 1_580_000, "it got all that it may burn");
        }
    }

    function readAssertion(bytes32 hash, bytes calldata encoded) external pure returns (bool, bytes32, bytes32, bytes32) {
        return PasskeyAssertion.read(hash, encoded);
    }

    /// forge-config: default.evm_version = "osaka"
    /// @dev It reads an assertion as Solady does, but for the bits that say of a backup; whose signature is always the passkey's own here.
    function testFuzz_as_solady(uint8 flags, uint16 typeIndex, uint16 challengeIndex, uint256 seed) external view {
        WebAuthn.WebAuthnAuth memory auth = _makeAssertion(flags, seed);
        (auth.typeIndex, auth.challengeIndex) = seed % 4 == 3 ? (typeIndex, challengeIndex) : (1, 23);
        if (seed % 8 == 4) auth.typeIndex = 2;
        if (seed % 8 == 5) auth.challengeIndex = 22;
        (bytes32 x, bytes32 y) = abi.decode(_pointOf(KEY), (bytes32, bytes32));
        bool expected = WebAuthn.verify(abi.encodePacked(HASH), true, auth, x, y);
        if (auth.authenticatorData[32] & 0x18 == 0x10) expected = false;
        bytes memory head = abi.encodePacked(uint16(37), auth.authenticatorData, auth.clientDataJSON);
        bytes memory tail = abi.encodePacked(uint16(auth.challengeIndex), uint16(auth.typeIndex), auth.r, auth.s);
        (bool found,,,) = this.readAssertion(HASH, bytes.concat(head, tail));
        assertTrue(expected == found, "another opinion");
    }

    function _makeAssertion(uint8 flags, uint256 seed) private pure returns (WebAuthn.WebAuthnAuth memory auth) {
        bytes memory challenge = bytes(Base64.encodeURL(abi.encodePacked(HASH)));
        bytes memory clientData =
            bytes.concat('{"type":"webauthn.get","challenge":"', challenge, '","origin":"https://wallet.example"}');
        auth.authenticatorData = abi.encodePacked(bytes32("relying party"), flags, uint32(7));
        if (seed % 4 == 1) clientData = _corrupt(clientData, seed >> 2);
        if (seed % 4 == 2) auth.authenticatorData = _corrupt(auth.authenticatorData, seed >> 2);
        bytes memory signature = _signP256(KEY, sha256(bytes.concat(auth.authenticatorData, sha256(clientData))));
        (auth.r, auth.s) = (_wordAt(signature, 0), _wordAt(signature, 32));
        auth.clientDataJSON = string(clientData);
    }
}
