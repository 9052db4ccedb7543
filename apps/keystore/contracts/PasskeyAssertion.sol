// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";
import {WebAuthn as CompactWebAuthn} from "solady/src/utils/WebAuthn.sol";

/// @title What a passkey's assertion says, and what its key has signed
/// @notice The checks are those of OpenZeppelin's `WebAuthn.verify` with `requireUV`, but for the signature's own, and none of
/// them ends early: an estimate with a wrong assertion of the right form pays for a right one.
///
///     length of authenticatorData 2 | authenticatorData | clientDataJSON | challengeIndex 2 | typeIndex 2 | r 32 | s 32
///
/// The indices say where `"challenge":"` and `"type":"` begin in clientDataJSON.
library PasskeyAssertion {
    uint256 private constant _FLAGS = 32;
    /// @dev Relying party's hash, flags and counter.
    uint256 private constant _MIN_AUTHENTICATOR_DATA_BYTES = 37;
    /// @dev `"challenge":"`, 32 bytes in base64url without padding, `"`.
    uint256 private constant _CHALLENGE_BYTES = 13 + 43 + 1;
    uint256 private constant _TYPE_BYTES = 21;

    /// @notice Whether the assertion is one of signing in, by a user who was verified, with the challenge `hash`; the digest that
    /// its key must have signed, and the signature. All zero if it is cut off. Never reverts.
    function read(bytes32 hash, bytes calldata encoded)
        internal
        pure
        returns (bool isFor, bytes32 digest, bytes32 r, bytes32 s)
    {
        CompactWebAuthn.WebAuthnAuth memory assertion = CompactWebAuthn.tryDecodeAuthCompactCalldata(encoded);
        bytes memory authenticatorData = assertion.authenticatorData;
        if (authenticatorData.length < _MIN_AUTHENTICATOR_DATA_BYTES) return (false, 0, 0, 0);
        bytes memory clientData = bytes(assertion.clientDataJSON);
        bool isType = _isAt(clientData, assertion.typeIndex, _TYPE_BYTES, keccak256('"type":"webauthn.get"'));
        bytes memory challenge = bytes.concat('"challenge":"', bytes(Base64.encodeURL(bytes.concat(hash))), '"');
        bool isChallenge = _isAt(clientData, assertion.challengeIndex, _CHALLENGE_BYTES, keccak256(challenge));
        isFor = isType && isChallenge && _isVerified(authenticatorData[_FLAGS]);
        digest = sha256(bytes.concat(authenticatorData, sha256(clientData)));
        (r, s) = (assertion.r, assertion.s);
    }

    /// @dev Whether the part of `data` has this hash.
    function _isAt(bytes memory data, uint256 start, uint256 length, bytes32 hash) private pure returns (bool) {
        if (start + length > data.length) return false;
        bytes32 found;
        assembly ("memory-safe") {
            found := keccak256(add(add(data, 0x20), start), length)
        }
        return found == hash;
    }

    /// @dev Present, verified, and not backed up unless that may be.
    function _isVerified(bytes1 flags) private pure returns (bool) {
        bytes1 both = WebAuthn.AUTH_DATA_FLAGS_UP | WebAuthn.AUTH_DATA_FLAGS_UV;
        bytes1 backup = flags & (WebAuthn.AUTH_DATA_FLAGS_BE | WebAuthn.AUTH_DATA_FLAGS_BS);
        return flags & both == both && backup != WebAuthn.AUTH_DATA_FLAGS_BS;
    }
}
