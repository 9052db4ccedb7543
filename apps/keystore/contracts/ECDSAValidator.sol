// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IValidator} from "./IValidator.sol";

/// @title One Ethereum key
/// @notice `config` is its 20-byte address; `signature` is `r 32 | s 32 | v 1`, in the one form with low s and v 27 or 28.
contract ECDSAValidator is IValidator {
    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external pure returns (bool) {
        if (config.length != 20) return false;
        (address signer, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(hash, signature);
        return error == ECDSA.RecoverError.NoError && signer == address(bytes20(config));
    }
}
