// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {IValidator} from "./IValidator.sol";

/// @title One P-256 key, for chains without the P-256 precompile
/// @notice As `P256Validator`, but nothing is asked at address 0x100. Where the chain has no precompile that is an address
/// without code, which a bundler that keeps to ERC-7562 lets no validation touch (OP-041). It takes 230,000 gas everywhere.
contract P256SolidityValidator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 64 || signature.length != 64) return false;
        bytes32 s = bytes32(signature[32:]);
        return P256.verifySolidity(hash, bytes32(signature), s, bytes32(config), bytes32(config[32:]));
    }
}
