// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {IValidator} from "./IValidator.sol";

/// @title One P-256 key: secure elements, key services
/// @notice `config` is the point `x 32 | y 32`; `signature` is `r 32 | s 32` over the hash itself, with low s. Verified by the
/// precompile of EIP-7951 and RIP-7212 at address 0x100 where the chain has it, else by the library in Solidity.
contract P256Validator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 64 || signature.length != 64) return false;
        return
            P256.verify(hash, bytes32(signature), bytes32(signature[32:]), bytes32(config), bytes32(config[32:]));
    }
}
