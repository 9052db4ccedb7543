// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {Validators} from "keystore/Validators.sol";
import {AccountVm} from "./AccountVm.sol";
import {Base} from "keystore-test/Base.sol";

/// @title Keys that sign, and validators where their creation code puts them
abstract contract Validation is Base {
    AccountVm internal constant avm = AccountVm(address(vm));

    /// @notice Orders of the curves, for signatures in their other form.
    uint256 internal constant SECP256K1_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    uint256 internal constant P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;
    uint8 internal constant USER_PRESENT = 0x01;
    uint8 internal constant USER_VERIFIED = 0x04;

    /// @notice Deploy through the deterministic deployment proxy, with salt 0, unless it is there. Gives the address.
    function _deploy(bytes memory creationCode) internal returns (address) {
        return _deploy(creationCode, bytes32(0));
    }

    function _deploy(bytes memory creationCode, bytes32 salt) internal returns (address deployed) {
        deployed = Create2.computeAddress(salt, keccak256(creationCode), Validators.DEPLOYER);
        if (deployed.code.length != 0) return deployed;
        (bool success, bytes memory answer) = Validators.DEPLOYER.call(abi.encodePacked(salt, creationCode));
        assertTrue(success, "the deployment proxy deploys");
        assertEq(deployed, address(bytes20(answer)), "where it was computed to be");
    }

    function _sign(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        return abi.encodePacked(r, s, v);
    }

    function _flip(bytes memory signature) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = (_wordAt(signature, 0), _wordAt(signature, 32), uint8(signature[64]));
        return abi.encodePacked(r, SECP256K1_N - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    function _pointOf(uint256 privateKey) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = avm.publicKeyP256(privateKey);
        return abi.encodePacked(x, y);
    }

    function _signP256(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        (bytes32 r, bytes32 s) = avm.signP256(privateKey, digest);
        return abi.encodePacked(r, uint256(s) > P256_N / 2 ? bytes32(P256_N - uint256(s)) : s);
    }

    /// @notice What a passkey gives for a challenge, in the compact form. Flags are those of authenticatorData.
    function _assertChallenge(uint256 privateKey, bytes32 challenge, uint8 flags, string memory type_)
        internal
        pure
        returns (bytes memory)
    {
        bytes memory authenticatorData = abi.encodePacked(sha256("wallet.example"), flags, uint32(7));
        string memory head = string.concat('{"type":"', type_, '",');
        bytes memory clientData = bytes(
            string.concat(
                head,
                '"challenge":"',
                Base64.encodeURL(abi.encodePacked(challenge)),
                '","origin":"https://wallet.example","crossOrigin":false}'
            )
        );
        bytes memory signature =
            _signP256(privateKey, sha256(abi.encodePacked(authenticatorData, sha256(clientData))));
        return abi.encodePacked(
            uint16(authenticatorData.length),
            authenticatorData,
            clientData,
            uint16(bytes(head).length),
            uint16(1),
            signature
        );
    }

    function _wordAt(bytes memory data, uint256 offset) internal pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 0x20), offset))
        }
    }

    /// @notice `data` with one bit of one byte changed, whichever `seed` names.
    function _corrupt(bytes memory data, uint256 seed) internal pure returns (bytes memory corrupted) {
        corrupted = bytes.concat(data);
        uint256 index = (seed >> 3) % data.length;
        corrupted[index] = bytes1(uint8(corrupted[index]) ^ uint8(1 << (seed & 7)));
    }
}
