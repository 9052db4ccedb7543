// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";
import {WebAuthn as CompactWebAuthn} from "solady/src/utils/WebAuthn.sol";
import {IValidator} from "./IValidator.sol";

/// @title One passkey
/// @notice `config` is its point `x 32 | y 32`. `signature` is Solady's compact form of an assertion, whose challenge is the
/// hash and in which the user was verified (not only present):
///
///     length of authenticatorData 2 | authenticatorData | clientDataJSON | challengeIndex 2 | typeIndex 2 | r 32 | s 32
///
/// The indices say where `"challenge":"` and `"type":"` begin in clientDataJSON. OpenZeppelin verifies (its P-256 needs no
/// other contract), Solady decodes (its form is 250 bytes shorter than the ABI's). Relying party and origin are not
/// compared: the authenticator does, and a key that was made for one site signs for no other.
contract WebAuthnValidator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 64) return false;
        CompactWebAuthn.WebAuthnAuth memory assertion = CompactWebAuthn.tryDecodeAuthCompactCalldata(signature);
        return WebAuthn.verify({
            challenge: abi.encodePacked(hash),
            auth: WebAuthn.WebAuthnAuth({
                r: assertion.r,
                s: assertion.s,
                challengeIndex: assertion.challengeIndex,
                typeIndex: assertion.typeIndex,
                authenticatorData: assertion.authenticatorData,
                clientDataJSON: assertion.clientDataJSON
            }),
            qx: bytes32(config),
            qy: bytes32(config[32:]),
            requireUV: true
        });
    }
}
