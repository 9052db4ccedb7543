// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IValidator} from "keystore/IValidator.sol";
import {Validators} from "keystore/Validators.sol";
import {Validation} from "./Validation.sol";

/// @dev Each validator accepts what its configuration's holders signed, in one form, and nothing beside it.
contract ValidatorsTest is Validation {
    bytes32 internal constant HASH = keccak256("what was signed");

    IValidator internal ecdsa;
    IValidator internal multisig;
    IValidator internal p256;
    IValidator internal webAuthn;

    function setUp() external {
        ecdsa = IValidator(_deploy(_load("ECDSAValidator")));
        multisig = IValidator(_deploy(_load("MultisigValidator")));
        p256 = IValidator(_deploy(_load("P256Validator")));
        webAuthn = IValidator(_deploy(_load("WebAuthnValidator")));
    }

    function isValid(bytes32 codeHash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        return Validators.isValid(codeHash, HASH, signature, config);
    }

    /// @dev A validator's address follows from its creation code alone.
    function test_address_of_code_hash() external view {
        bytes32 codeHash = keccak256(_load("ECDSAValidator"));
        assertEq(address(ecdsa), Validators.computeAddress(codeHash), "address");
        assertTrue(address(ecdsa) != Validators.computeAddress(keccak256("other code")), "other code");
    }

    // ECDSA

    function testFuzz_ecdsa(uint256 privateKey, bytes32 hash, bytes32 otherHash) external view {
        privateKey = bound(privateKey, 1, SECP256K1_N - 1);
        vm.assume(hash != otherHash);
        bytes memory config = abi.encodePacked(vm.addr(privateKey));
        assertTrue(ecdsa.validate(hash, _sign(privateKey, hash), config), "the owner's signature");
        assertFalse(ecdsa.validate(otherHash, _sign(privateKey, hash), config), "over another hash");
        assertFalse(ecdsa.validate(hash, _sign(privateKey, hash), abi.encodePacked(address(1))), "another's config");
    }

    function testFuzz_ecdsa_one_form(uint256 privateKey, uint256 seed) external view {
        privateKey = bound(privateKey, 1, SECP256K1_N - 1);
        bytes memory config = abi.encodePacked(vm.addr(privateKey));
        bytes memory signature = _sign(privateKey, HASH);
        assertTrue(ecdsa.validate(HASH, signature, config), "as signed");
        assertFalse(ecdsa.validate(HASH, _flip(signature), config), "high s");
        assertFalse(ecdsa.validate(HASH, bytes.concat(signature, hex"00"), config), "longer");
        assertFalse(ecdsa.validate(HASH, _corrupt(signature, seed), config), "one bit");
        signature[64] = bytes1(uint8(signature[64]) - 27);
        assertFalse(ecdsa.validate(HASH, signature, config), "v of 0 or 1");
    }

    /// @dev What recovers to nobody is not the signature of a zero address, nor is a config of another length an owner.
    function test_ecdsa_nobody() external view {
        bytes memory config = abi.encodePacked(address(0));
        assertFalse(ecdsa.validate(HASH, new bytes(65), config), "zero address");
        assertFalse(ecdsa.validate(HASH, "", config), "no signature");
        bytes memory signature = _sign(1, HASH);
        assertFalse(ecdsa.validate(HASH, signature, ""), "no config");
        assertFalse(ecdsa.validate(HASH, signature, abi.encode(vm.addr(1))), "a config of 32 bytes");
        assertFalse(ecdsa.validate(HASH, signature, abi.encodePacked(vm.addr(1), uint8(0))), "a longer config");
        assertTrue(ecdsa.validate(HASH, signature, abi.encodePacked(vm.addr(1))), "an owner");
    }

    // Multisig

    /// @dev Private keys whose addresses ascend.
    function _keys(uint256 count) internal pure returns (uint256[] memory keys) {
        keys = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            keys[i] = uint256(keccak256(abi.encode("owner", i)));
            for (uint256 j = i; j > 0 && vm.addr(keys[j - 1]) > vm.addr(keys[j]); --j) {
                (keys[j - 1], keys[j]) = (keys[j], keys[j - 1]);
            }
        }
    }

    function _config(uint8 threshold, uint256[] memory keys) internal pure returns (bytes memory config) {
        config = abi.encodePacked(threshold);
        for (uint256 i; i < keys.length; ++i) {
            config = abi.encodePacked(config, vm.addr(keys[i]));
        }
    }

    function _signed(uint256 first, uint256 second) internal pure returns (bytes memory) {
        return bytes.concat(_sign(first, HASH), _sign(second, HASH));
    }

    function test_multisig_any_two_of_three() external view {
        uint256[] memory keys = _keys(3);
        bytes memory config = _config(2, keys);
        for (uint256 i; i < 3; ++i) {
            for (uint256 j; j < 3; ++j) {
                assertTrue((i < j) == multisig.validate(HASH, _signed(keys[i], keys[j]), config), "ascending only");
            }
        }
    }

    /// @dev One owner's signature, however often it comes, counts once.
    function test_multisig_duplicates() external view {
        uint256[] memory keys = _keys(3);
        bytes memory twice = _signed(keys[1], keys[1]);
        assertFalse(multisig.validate(HASH, twice, _config(2, keys)), "the same signature twice");
        bytes memory flipped = bytes.concat(_sign(keys[1], HASH), _flip(_sign(keys[1], HASH)));
        assertFalse(multisig.validate(HASH, flipped, _config(2, keys)), "once with high s");
        (keys[0], keys[2]) = (keys[1], keys[1]);
        assertFalse(multisig.validate(HASH, twice, _config(2, keys)), "an owner who stands in the config three times");
    }

    function test_multisig_unsorted_owners() external view {
        uint256[] memory keys = _keys(3);
        assertTrue(multisig.validate(HASH, _signed(keys[0], keys[2]), _config(2, keys)), "sorted");
        (keys[0], keys[1]) = (keys[1], keys[0]);
        assertFalse(multisig.validate(HASH, _signed(keys[0], keys[2]), _config(2, keys)), "unsorted");
        assertFalse(multisig.validate(HASH, _signed(keys[1], keys[2]), _config(2, keys)), "unsorted, the others");
    }

    function test_multisig_counts() external view {
        uint256[] memory keys = _keys(3);
        bytes memory two = _signed(keys[0], keys[1]);
        bytes memory three = bytes.concat(two, _sign(keys[2], HASH));
        assertTrue(multisig.validate(HASH, three, _config(3, keys)), "three of three");
        assertFalse(multisig.validate(HASH, two, _config(3, keys)), "one too few");
        assertFalse(multisig.validate(HASH, three, _config(2, keys)), "one too many");
        assertFalse(multisig.validate(HASH, "", _config(0, keys)), "threshold 0");
        assertFalse(multisig.validate(HASH, three, _config(4, keys)), "a threshold above the owners");
        assertFalse(multisig.validate(HASH, "", hex"00"), "no owners");
        assertFalse(multisig.validate(HASH, "", ""), "no config");
        assertFalse(multisig.validate(HASH, two, bytes.concat(_config(2, keys), hex"00")), "half an owner");
        assertFalse(multisig.validate(HASH, _signed(keys[0], 0xBAD), _config(2, keys)), "a stranger");
    }

    /// @dev The largest multisig there is stays below the gas that a validator may burn; one owner more is refused.
    function test_multisig_of_255() external {
        uint256[] memory keys = _keys(255);
        bytes memory signature;
        for (uint256 i; i < 255; ++i) {
            signature = bytes.concat(signature, _sign(keys[i], HASH));
        }
        bytes32 codeHash = keccak256(_load("MultisigValidator"));
        assertTrue(this.isValid(codeHash, signature, _config(255, keys)), "255 of 255");
        vm.snapshotValue("accounts", "validator: multisig 255 of 255, call", avm.lastCallGas().gasTotalUsed);
        bytes memory one = _sign(keys[0], HASH);
        assertTrue(multisig.validate(HASH, one, _config(1, keys)), "1 of 255");
        assertFalse(multisig.validate(HASH, one, bytes.concat(_config(1, keys), hex"ffffffffffffffffffffffffffffffffffffffff")), "256");
    }

    // P-256

    function _checkP256(string memory mode) internal {
        bytes memory config = _pointOf(0xC0FFEE);
        bytes memory signature = _signP256(0xC0FFEE, HASH);
        assertTrue(p256.validate(HASH, signature, config), "the key's signature");
        vm.snapshotValue("accounts", string.concat("validator: P-256, ", mode), avm.lastCallGas().gasTotalUsed);
        bytes memory high = abi.encodePacked(_wordAt(signature, 0), P256_N - uint256(_wordAt(signature, 32)));
        assertFalse(p256.validate(HASH, high, config), "high s");
        assertFalse(p256.validate(keccak256("other"), signature, config), "over another hash");
        assertFalse(p256.validate(HASH, signature, _pointOf(0xBAD)), "another's config");
        assertFalse(p256.validate(HASH, signature, abi.encode(1, 1)), "a point off the curve");
        assertFalse(p256.validate(HASH, signature, abi.encode(0, 0)), "the point at infinity");
        assertFalse(p256.validate(HASH, bytes.concat(signature, hex"00"), config), "longer");
        assertFalse(p256.validate(HASH, signature, bytes.concat(config, hex"00")), "a longer config");
    }

    /// @dev Without the precompile, by the library in Solidity.
    function test_p256_in_solidity() external {
        _checkP256("in Solidity");
    }

    /// forge-config: default.evm_version = "osaka"
    /// @dev With the precompile of EIP-7951.
    function test_p256_by_precompile() external {
        (, bytes memory answer) = address(0x100).staticcall(new bytes(160));
        assertEq(0, answer.length, "the precompile says nothing of what is invalid");
        _checkP256("by precompile");
    }

    /// forge-config: default.fuzz.runs = 16
    function testFuzz_p256_one_bit(uint256 seed) external view {
        bytes memory signature = _signP256(0xC0FFEE, HASH);
        assertFalse(p256.validate(HASH, _corrupt(signature, seed), _pointOf(0xC0FFEE)), "one bit");
    }

    // WebAuthn

    function _checkWebAuthn(string memory mode) internal {
        bytes memory config = _pointOf(0xFACE);
        uint8 both = USER_PRESENT | USER_VERIFIED;
        bytes memory signature = _assertChallenge(0xFACE, HASH, both, "webauthn.get");
        assertTrue(webAuthn.validate(HASH, signature, config), "the passkey's assertion");
        vm.snapshotValue("accounts", string.concat("validator: WebAuthn, ", mode), avm.lastCallGas().gasTotalUsed);
        assertFalse(webAuthn.validate(keccak256("other"), signature, config), "another challenge");
        assertFalse(webAuthn.validate(HASH, signature, _pointOf(0xBAD)), "another's config");
        assertFalse(webAuthn.validate(HASH, signature, bytes.concat(config, hex"00")), "a longer config");
        signature = _assertChallenge(0xFACE, HASH, USER_PRESENT, "webauthn.get");
        assertFalse(webAuthn.validate(HASH, signature, config), "the user was present, but not verified");
        signature = _assertChallenge(0xFACE, HASH, USER_VERIFIED, "webauthn.get");
        assertFalse(webAuthn.validate(HASH, signature, config), "verified, but not present");
        signature = _assertChallenge(0xFACE, HASH, both, "webauthn.create");
        assertFalse(webAuthn.validate(HASH, signature, config), "a registration");
    }

    function test_web_authn_in_solidity() external {
        _checkWebAuthn("in Solidity");
    }

    /// forge-config: default.evm_version = "osaka"
    function test_web_authn_by_precompile() external {
        _checkWebAuthn("by precompile");
    }

    function test_web_authn_one_form() external view {
        bytes memory signature = _assertChallenge(0xFACE, HASH, 0x05, "webauthn.get");
        bytes memory config = _pointOf(0xFACE);
        uint256 end = signature.length - 32;
        bytes32 high = bytes32(P256_N - uint256(_wordAt(signature, end)));
        bytes memory flipped = bytes.concat(signature);
        assembly ("memory-safe") {
            mstore(add(add(flipped, 0x20), end), high)
        }
        assertTrue(webAuthn.validate(HASH, signature, config), "low s");
        assertFalse(webAuthn.validate(HASH, flipped, config), "high s");
    }

    /// forge-config: default.evm_version = "osaka"
    /// @dev An assertion that is cut anywhere, or has one bit changed, is a no and never a revert.
    function testFuzz_web_authn_hostile(uint256 seed, uint256 length) external view {
        bytes memory signature = _assertChallenge(0xFACE, HASH, 0x05, "webauthn.get");
        bytes memory config = _pointOf(0xFACE);
        assertFalse(webAuthn.validate(HASH, _corrupt(signature, seed), config), "one bit");
        length = bound(length, 0, signature.length - 1);
        assembly ("memory-safe") {
            mstore(signature, length)
        }
        assertFalse(webAuthn.validate(HASH, signature, config), "cut");
    }

    /// @dev A malformed anything is a no and never a revert.
    function testFuzz_garbage(bytes calldata signature, bytes calldata config) external view {
        assertFalse(ecdsa.validate(HASH, signature, config), "ECDSA");
        assertFalse(multisig.validate(HASH, signature, config), "multisig");
        assertFalse(p256.validate(HASH, signature, config), "P-256");
        assertFalse(webAuthn.validate(HASH, signature, config), "WebAuthn");
    }
}
