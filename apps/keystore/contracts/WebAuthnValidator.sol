// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {IValidator} from "./IValidator.sol";
import {PasskeyAssertion} from "./PasskeyAssertion.sol";

/// @title One passkey
/// @notice `config` is its point `x 32 | y 32`. `signature` is Solady's compact form of an assertion (see `PasskeyAssertion`),
/// whose challenge is the hash and in which the user was verified (not only present). Relying party and origin are not
/// compared: the authenticator does, and a key that was made for one site signs for no other. P-256 is verified by the
/// precompile of EIP-7951 and RIP-7212 at address 0x100 where the chain has it, else by OpenZeppelin's library in Solidity.
contract WebAuthnValidator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 64) return false;
        (bool isFor, bytes32 digest, bytes32 r, bytes32 s) = PasskeyAssertion.read(hash, signature);
        return P256.verify(digest, r, s, bytes32(config), bytes32(config[32:])) && isFor;
    }
}
