// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IUcmtVerifier} from "keystore/ucmt/IUcmtVerifier.sol";
import {Passkeys} from "./Passkeys.sol";

/// @title What the verifiers offer beside their answer
interface IVerifierSurface {
    error NotFromKeystore();
    error InvalidSignature();
    error ZeroThresholdNotAllowed();
    error InvalidNumberOfOwners();
    error OwnersUnsortedOrHasDuplicates();
    error MaxSignaturesExceeded();

    function keystore() external view returns (address);
    function SIGNATURES_ONLY_TAG() external view returns (bytes1);
}

/// @dev This contract is their keystore. Each accepts what its config's holders signed, raw and within an operation.
contract VerifiersTest is Passkeys {
    struct SignerData {
        uint8 index;
        bytes signature;
    }

    bytes32 internal constant OTHER = keccak256("another message");
    uint256 internal constant KEY = 0xA11CE;
    uint256 internal constant STRANGER = 0xBAD;

    IUcmtVerifier internal ecdsa;
    IUcmtVerifier internal multisig;
    IUcmtVerifier internal webAuthn;
    IUcmtVerifier internal cosign;

    function setUp() public override {
        bytes memory arguments = abi.encode(address(this));
        ecdsa = IUcmtVerifier(_create("UcmtEcdsaVerifier", arguments));
        multisig = IUcmtVerifier(_create("UcmtMultisigVerifier", arguments));
        webAuthn = IUcmtVerifier(_create("UcmtWebAuthnVerifier", arguments));
        cosign = IUcmtVerifier(_create("UcmtWebAuthnCosignVerifier", arguments));
    }

    function _inOperation(bytes memory signature) private pure returns (bytes memory) {
        PackedUserOperation memory operation;
        operation.sender = ACCOUNT;
        operation.callData = "some call";
        operation.signature = signature;
        return abi.encode(operation);
    }

    function _tag(bytes memory signatures) private pure returns (bytes memory) {
        return bytes.concat(hex"ff", signatures);
    }

    // All

    function test_surface() external view {
        IUcmtVerifier[4] memory all = [ecdsa, multisig, webAuthn, cosign];
        for (uint256 i; i < 4; ++i) {
            assertEq(address(this), IVerifierSurface(address(all[i])).keystore(), "keystore");
        }
        assertEq(bytes32(hex"ff"), IVerifierSurface(address(multisig)).SIGNATURES_ONLY_TAG(), "tag");
        assertEq(bytes32(hex"ff"), IVerifierSurface(address(cosign)).SIGNATURES_ONLY_TAG(), "tag");
    }

    function testFuzz_only_the_keystore(address caller) external {
        vm.assume(caller != address(this));
        IUcmtVerifier[4] memory all = [ecdsa, multisig, webAuthn, cosign];
        for (uint256 i; i < 4; ++i) {
            vm.prank(caller);
            vm.expectRevert(IVerifierSurface.NotFromKeystore.selector);
            all[i].validateData(0, "", "");
        }
    }

    /// @dev Without a config that decodes, anything reverts.
    function testFuzz_no_config(bytes calldata data) external {
        IUcmtVerifier[3] memory three = [multisig, webAuthn, cosign];
        for (uint256 i; i < 3; ++i) {
            vm.expectRevert();
            three[i].validateData(0, data, "");
        }
    }

    // ECDSA

    function testFuzz_ecdsa(uint256 privateKey, bytes32 message) external view {
        privateKey = bound(privateKey, 1, 1 << 255);
        vm.assume(message != OTHER && privateKey != STRANGER);
        bytes memory config = abi.encodePacked(vm.addr(privateKey));
        bytes memory signature = _sign(privateKey, message);
        assertEq(SUCCESS, ecdsa.validateData(message, signature, config), "raw");
        assertEq(SUCCESS, ecdsa.validateData(message, _compact(signature), config), "64 bytes");
        assertEq(SUCCESS, ecdsa.validateData(message, _inOperation(signature), config), "in an operation");
        assertEq(FAILED, ecdsa.validateData(OTHER, signature, config), "another message");
        assertEq(FAILED, ecdsa.validateData(message, _sign(STRANGER, message), config), "another's");
        assertEq(FAILED, ecdsa.validateData(message, _inOperation(_sign(STRANGER, message)), config), "in an operation");
    }

    /// @dev The message is wrapped by EIP-191: a signature over the bare message is of somebody else.
    function test_ecdsa_wraps_the_message() external view {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, MESSAGE);
        bytes memory bare = abi.encodePacked(r, s, v);
        assertEq(FAILED, ecdsa.validateData(MESSAGE, bare, abi.encodePacked(vm.addr(KEY))), "bare");
    }

    /// @dev What recovers nobody reverts, and so never is the signature of the zero address.
    function testFuzz_ecdsa_malformed(bytes calldata data) external {
        vm.assume(data.length < 64);
        vm.expectRevert(IVerifierSurface.InvalidSignature.selector);
        ecdsa.validateData(0, data, "");
        vm.expectRevert(IVerifierSurface.InvalidSignature.selector);
        ecdsa.validateData(0, new bytes(65), abi.encodePacked(address(0)));
        vm.expectRevert(IVerifierSurface.InvalidSignature.selector);
        ecdsa.validateData(0, _inOperation(data), "");
        vm.expectRevert();
        ecdsa.validateData(0, new bytes(66), "");
    }

    function _compact(bytes memory signature) private pure returns (bytes memory) {
        bytes32 r;
        bytes32 s;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
        }
        return abi.encode(r, uint256(s) | uint256(uint8(signature[64]) - 27) << 255);
    }

    // Multisig

    /// @dev Private keys whose addresses ascend.
    function _keys(uint256 count) private pure returns (uint256[] memory keys) {
        keys = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            keys[i] = uint256(keccak256(abi.encode("owner", i)));
            for (uint256 j = i; j > 0 && vm.addr(keys[j - 1]) > vm.addr(keys[j]); --j) {
                (keys[j - 1], keys[j]) = (keys[j], keys[j - 1]);
            }
        }
    }

    function _owners(uint256[] memory keys) private pure returns (address[] memory owners) {
        owners = new address[](keys.length);
        for (uint256 i; i < keys.length; ++i) {
            owners[i] = vm.addr(keys[i]);
        }
    }

    function _signAll(uint256[] memory keys, uint8[] memory indices) private pure returns (bytes memory) {
        SignerData[] memory signatures = new SignerData[](indices.length);
        for (uint256 i; i < indices.length; ++i) {
            signatures[i] = SignerData(indices[i], _sign(keys[indices[i]], MESSAGE));
        }
        return abi.encode(signatures);
    }

    function _two(uint256[] memory keys, uint8 first, uint8 second) private pure returns (bytes memory) {
        uint8[] memory indices = new uint8[](2);
        (indices[0], indices[1]) = (first, second);
        return _signAll(keys, indices);
    }

    /// @dev Every pair of three in either order, raw and within an operation; an index that comes again counts once.
    function test_multisig_two_of_three() external view {
        uint256[] memory keys = _keys(3);
        bytes memory config = abi.encode(uint8(2), _owners(keys));
        for (uint8 i; i < 3; ++i) {
            for (uint8 j; j < 3; ++j) {
                bytes memory signatures = _two(keys, i, j);
                uint256 expected = i == j ? FAILED : SUCCESS;
                assertEq(expected, multisig.validateData(MESSAGE, _tag(signatures), config), "raw");
                assertEq(expected, multisig.validateData(MESSAGE, _inOperation(signatures), config), "operation");
                assertEq(FAILED, multisig.validateData(OTHER, _tag(signatures), config), "another message");
            }
        }
    }

    /// @dev One less than the threshold fails for any threshold; a signature of a stranger counts for nothing.
    function testFuzz_multisig_threshold(uint256 count, uint256 threshold, uint256 given) external view {
        count = bound(count, 1, 6);
        threshold = bound(threshold, 1, count);
        given = bound(given, 0, count);
        uint256[] memory keys = _keys(count);
        bytes memory config = abi.encode(uint8(threshold), _owners(keys));
        keys[count - 1] = given == count ? keys[count - 1] : STRANGER;
        uint8[] memory indices = new uint8[](count);
        SignerData[] memory signatures = abi.decode(_signAll(keys, indices), (SignerData[]));
        for (uint8 i; i < count; ++i) {
            signatures[i] = SignerData(i, _sign(i < given ? keys[i] : STRANGER, MESSAGE));
        }
        uint256 expected = given >= threshold ? SUCCESS : FAILED;
        assertEq(expected, multisig.validateData(MESSAGE, _tag(abi.encode(signatures)), config), "given");
    }

    /// @dev A repeated index costs what another owner's signature costs, so that gas can be estimated before anybody signed.
    function test_multisig_repeated_costs_a_recovery() external view {
        uint256[] memory keys = _keys(3);
        bytes memory config = abi.encode(uint8(1), _owners(keys));
        multisig.validateData(MESSAGE, _tag(_two(keys, 0, 1)), config);
        uint64 distinct = avm.lastCallGas().gasTotalUsed;
        multisig.validateData(MESSAGE, _tag(_two(keys, 1, 1)), config);
        uint64 repeated = avm.lastCallGas().gasTotalUsed;
        assertTrue(repeated + 300 > distinct && distinct + 300 > repeated, "about the same");
    }

    function test_multisig_config() external {
        uint256[] memory keys = _keys(3);
        address[] memory owners = _owners(keys);
        bytes memory data = _tag(_two(keys, 0, 1));
        assertEq(SUCCESS, multisig.validateData(MESSAGE, data, abi.encode(uint8(2), owners)), "good");
        vm.expectRevert(IVerifierSurface.ZeroThresholdNotAllowed.selector);
        multisig.validateData(MESSAGE, data, abi.encode(uint8(0), owners));
        vm.expectRevert(IVerifierSurface.InvalidNumberOfOwners.selector);
        multisig.validateData(MESSAGE, data, abi.encode(uint8(4), owners));
        (owners[1], owners[2]) = (owners[2], owners[1]);
        vm.expectRevert(IVerifierSurface.OwnersUnsortedOrHasDuplicates.selector);
        multisig.validateData(MESSAGE, data, abi.encode(uint8(2), owners));
        owners[1] = owners[0];
        vm.expectRevert(IVerifierSurface.OwnersUnsortedOrHasDuplicates.selector);
        multisig.validateData(MESSAGE, data, abi.encode(uint8(2), owners));
    }

    function _ascending(uint256 count) private pure returns (address[] memory owners) {
        owners = new address[](count);
        owners[0] = vm.addr(KEY);
        for (uint160 i = 1; i < count; ++i) {
            owners[i] = address(uint160(owners[0]) + i);
        }
    }

    /// @dev 255 owners and 255 signatures are taken, one more of either is not.
    function test_multisig_limits() external {
        bytes memory config = abi.encode(uint8(1), _ascending(255));
        uint256[] memory keys = new uint256[](1);
        keys[0] = KEY;
        bytes memory data = _tag(_signAll(keys, new uint8[](255)));
        assertEq(SUCCESS, multisig.validateData(MESSAGE, data, config), "255 of each");
        vm.expectRevert(IVerifierSurface.InvalidNumberOfOwners.selector);
        multisig.validateData(MESSAGE, data, abi.encode(uint8(1), _ascending(256)));
        data = _tag(_signAll(keys, new uint8[](256)));
        vm.expectRevert(IVerifierSurface.MaxSignaturesExceeded.selector);
        multisig.validateData(MESSAGE, data, config);
    }

    function test_multisig_malformed() external {
        uint256[] memory keys = _keys(3);
        bytes memory config = abi.encode(uint8(2), _owners(keys));
        bytes memory signatures = _two(keys, 0, 1);
        SignerData[] memory own = abi.decode(signatures, (SignerData[]));
        assertEq(SUCCESS, multisig.validateData(MESSAGE, _tag(signatures), config), "good");
        vm.expectRevert();
        multisig.validateData(MESSAGE, signatures, config);
        vm.expectRevert();
        multisig.validateData(MESSAGE, "", config);
        vm.expectRevert();
        multisig.validateData(MESSAGE, _inOperation(_tag(signatures)), config);
        own[1].index = 3;
        vm.expectRevert();
        multisig.validateData(MESSAGE, _tag(abi.encode(own)), config);
        own[1] = SignerData(1, "short");
        vm.expectRevert(IVerifierSurface.InvalidSignature.selector);
        multisig.validateData(MESSAGE, _tag(abi.encode(own)), config);
    }

    // WebAuthn, by the precompile of EIP-7951

    /// forge-config: default.evm_version = "osaka"
    function testFuzz_web_authn(uint256 privateKey, bytes32 message) external view {
        privateKey = bound(privateKey, 1, P256_N - 1);
        vm.assume(message != OTHER && privateKey != STRANGER);
        bytes memory config = _point(privateKey);
        bytes memory assertion = _assert(privateKey, message);
        assertEq(SUCCESS, webAuthn.validateData(message, assertion, config), "raw");
        assertEq(SUCCESS, webAuthn.validateData(message, _inOperation(assertion), config), "in an operation");
        assertEq(FAILED, webAuthn.validateData(OTHER, assertion, config), "another challenge");
        assertEq(FAILED, webAuthn.validateData(message, assertion, _point(STRANGER)), "another key");
        assertEq(FAILED, webAuthn.validateData(message, _inOperation(assertion), _point(STRANGER)), "in an operation");
    }

    /// @dev An operation of the zero address is told from an assertion too.
    /// forge-config: default.evm_version = "osaka"
    function test_web_authn_operation_without_sender() external view {
        PackedUserOperation memory operation;
        operation.signature = _assert(KEY, MESSAGE);
        assertEq(SUCCESS, webAuthn.validateData(MESSAGE, abi.encode(operation), _point(KEY)), "no sender");
    }

    /// forge-config: default.evm_version = "osaka"
    function test_web_authn_refuses() external {
        bytes memory config = _point(KEY);
        assertEq(SUCCESS, webAuthn.validateData(MESSAGE, _assert(KEY, MESSAGE), config), "good");
        bytes memory present = _assert(KEY, MESSAGE, USER_PRESENT, "webauthn.get", false);
        assertEq(FAILED, webAuthn.validateData(MESSAGE, present, config), "user present, not verified");
        bytes memory created = _assert(KEY, MESSAGE, USER_VERIFIED, "webauthn.create", false);
        assertEq(FAILED, webAuthn.validateData(MESSAGE, created, config), "a registration");
        bytes memory high = _assert(KEY, MESSAGE, USER_VERIFIED, "webauthn.get", true);
        assertEq(FAILED, webAuthn.validateData(MESSAGE, high, config), "high s");
        assertEq(FAILED, webAuthn.validateData(MESSAGE, _inOperation("no assertion"), config), "nothing");
        vm.expectRevert();
        webAuthn.validateData(MESSAGE, "", config);
    }

    /// @dev Lengths that overflow where they are added, and indices far away: refused for little gas, not for a whole batch's.
    /// forge-config: default.evm_version = "osaka"
    function test_web_authn_numbers_without_end() external view {
        bytes memory config = _point(KEY);
        bytes memory assertion = _assert(KEY, MESSAGE);
        uint256[4] memory places = [_follow(assertion, 0x40), _follow(assertion, 0x60), 0x80, 0xa0];
        for (uint256 i; i < 4; ++i) {
            bytes memory damaged = bytes.concat(assertion);
            (uint256 place, uint256 word) = (places[i], i < 2 ? type(uint256).max - 0x3f : 1 << 100);
            assembly ("memory-safe") {
                mstore(add(damaged, place), word)
            }
            assertEq(FAILED, webAuthn.validateData{gas: 100_000}(MESSAGE, damaged, config), "raw");
            bytes memory both = abi.encode(_sign(KEY, MESSAGE), damaged);
            assertEq(FAILED, cosign.validateData{gas: 100_000}(MESSAGE, _tag(both), _cosigned(KEY, KEY)), "cosigned");
        }
        assertEq(SUCCESS, webAuthn.validateData{gas: 100_000}(MESSAGE, assertion, config), "undamaged");
    }

    /// @dev Where in `encoded` the field is whose offset is at `place`.
    function _follow(bytes memory encoded, uint256 place) private pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := add(0x40, mload(add(encoded, place)))
        }
    }

    /// @dev Before EIP-7951 there is no precompile; without Solady's contract there is nothing that verifies.
    function test_web_authn_without_a_precompile() external view {
        assertEq(FAILED, webAuthn.validateData(MESSAGE, _assert(KEY, MESSAGE), _point(KEY)), "nothing verifies");
    }

    // Cosigned

    function _cosign(uint256 cosigner, uint256 passkey, bytes32 message) private pure returns (bytes memory) {
        return abi.encode(_sign(cosigner, message), _assert(passkey, message));
    }

    function _cosigned(uint256 cosigner, uint256 passkey) private pure returns (bytes memory) {
        return bytes.concat(abi.encode(vm.addr(cosigner)), _point(passkey));
    }

    /// forge-config: default.evm_version = "osaka"
    function testFuzz_cosign(uint256 cosigner, uint256 passkey, bytes32 message) external view {
        cosigner = bound(cosigner, 1, 1 << 255);
        passkey = bound(passkey, 1, P256_N - 1);
        vm.assume(message != OTHER && cosigner != STRANGER && passkey != STRANGER);
        bytes memory config = _cosigned(cosigner, passkey);
        bytes memory both = _cosign(cosigner, passkey, message);
        assertEq(SUCCESS, cosign.validateData(message, _tag(both), config), "raw");
        assertEq(SUCCESS, cosign.validateData(message, _inOperation(both), config), "in an operation");
        assertEq(FAILED, cosign.validateData(OTHER, _tag(both), config), "another message");
        assertEq(FAILED, cosign.validateData(message, _tag(both), _cosigned(STRANGER, passkey)), "no cosigner");
        assertEq(FAILED, cosign.validateData(message, _tag(both), _cosigned(cosigner, STRANGER)), "no passkey");
        assertEq(FAILED, cosign.validateData(message, _inOperation(both), _cosigned(STRANGER, passkey)), "in one");
    }

    /// forge-config: default.evm_version = "osaka"
    function test_cosign_malformed() external {
        bytes memory config = _cosigned(KEY, KEY);
        bytes memory both = _cosign(KEY, KEY, MESSAGE);
        bytes memory short = _tag(abi.encode("short", _assert(KEY, MESSAGE)));
        assertEq(SUCCESS, cosign.validateData(MESSAGE, _tag(both), config), "good");
        vm.expectRevert();
        cosign.validateData(MESSAGE, both, config);
        vm.expectRevert();
        cosign.validateData(MESSAGE, "", config);
        vm.expectRevert(IVerifierSurface.InvalidSignature.selector);
        cosign.validateData(MESSAGE, short, config);
        assertEq(FAILED, cosign.validateData(MESSAGE, _tag(abi.encode(_sign(KEY, MESSAGE), "")), config), "one alone");
    }
}
