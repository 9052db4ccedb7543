// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {WebAuthn} from "solady/src/utils/WebAuthn.sol";

/// @title Assertions of passkeys, in Solady's encoding
library PasskeyAssertion {
    /// @notice Whether `encoded`, `abi.encode(WebAuthn.WebAuthnAuth)`, is the answer of the key `(x, y)` to the challenge `message`,
    /// with its user verified. What does not decode is not.
    function isSigned(bytes32 message, bytes memory encoded, bytes32 x, bytes32 y) internal view returns (bool) {
        WebAuthn.WebAuthnAuth memory assertion = WebAuthn.tryDecodeAuth(encoded);
        // Solady adds lengths without a check and reads at the indices before it judges them: one of 2**100 would take all gas.
        uint256 size = encoded.length;
        if (assertion.authenticatorData.length > size || bytes(assertion.clientDataJSON).length > size) return false;
        if (assertion.challengeIndex > size || assertion.typeIndex > size) return false;
        return WebAuthn.verify(abi.encode(message), true, assertion, x, y);
    }
}
