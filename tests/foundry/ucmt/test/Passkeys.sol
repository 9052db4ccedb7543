// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {WebAuthn} from "solady/src/utils/WebAuthn.sol";
import {UcmtBase} from "./UcmtBase.sol";

/// @title Passkeys that sign
abstract contract Passkeys is UcmtBase {
    uint256 internal constant P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551;
    uint8 internal constant USER_PRESENT = 0x01;
    uint8 internal constant USER_VERIFIED = 0x05;

    function _point(uint256 privateKey) internal pure returns (bytes memory) {
        (uint256 x, uint256 y) = avm.publicKeyP256(privateKey);
        return abi.encode(x, y);
    }

    function _assert(uint256 privateKey, bytes32 message, uint8 flags, string memory type_, bool highS)
        internal
        pure
        returns (bytes memory)
    {
        WebAuthn.WebAuthnAuth memory assertion;
        assertion.authenticatorData = abi.encodePacked(sha256("wallet.example"), flags, uint32(7));
        string memory head = string.concat('{"type":"', type_, '",');
        assertion.clientDataJSON = string.concat(
            head, '"challenge":"', Base64.encodeURL(abi.encode(message)), '","origin":"https://wallet.example"}'
        );
        (assertion.typeIndex, assertion.challengeIndex) = (1, bytes(head).length);
        bytes32 digest =
            sha256(abi.encodePacked(assertion.authenticatorData, sha256(bytes(assertion.clientDataJSON))));
        (bytes32 r, bytes32 s) = avm.signP256(privateKey, digest);
        bool isHigh = uint256(s) > P256_N / 2;
        (assertion.r, assertion.s) = (r, isHigh == highS ? s : bytes32(P256_N - uint256(s)));
        return abi.encode(assertion);
    }

    function _assert(uint256 privateKey, bytes32 message) internal pure returns (bytes memory) {
        return _assert(privateKey, message, USER_VERIFIED, "webauthn.get", false);
    }
}
