// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {IValidator} from "./IValidator.sol";
import {PasskeyAssertion} from "./PasskeyAssertion.sol";

/// @title One passkey, for chains without the P-256 precompile
/// @notice As `WebAuthnValidator`, but nothing is asked at address 0x100: see `P256SolidityValidator`.
contract WebAuthnSolidityValidator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 64) return false;
        (bool isFor, bytes32 digest, bytes32 r, bytes32 s) = PasskeyAssertion.read(hash, signature);
        return P256.verifySolidity(digest, r, s, bytes32(config), bytes32(config[32:])) && isFor;
    }
}
