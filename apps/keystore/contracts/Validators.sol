// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IValidator} from "./IValidator.sol";

/// @title Where the validator of a `codeHash` is, and how it is asked
library Validators {
    /// @notice The deterministic deployment proxy, which is at this address on practically every chain (and anybody may bring
    /// it to a new one, by its pre-signed transaction). It deploys with CREATE2 whatever creation code it is sent.
    address internal constant DEPLOYER = 0x4e59b44847b379578588920cA78FbF26c0B4956C;

    /// @notice The most gas that one validator may burn. The largest multisig, 255 owners, takes 1.29 million.
    uint256 internal constant GAS_LIMIT = 1_500_000;

    /// @notice The address that the creation code of hash `codeHash` gets with salt 0: the same on every chain.
    function computeAddress(bytes32 codeHash) internal pure returns (address) {
        return Create2.computeAddress(bytes32(0), codeHash, DEPLOYER);
    }

    /// @notice Whether the validator of `codeHash` says yes: it returns one word, which is 1. A validator that is not there,
    /// reverts, burns its gas, or returns anything else, said no; what it returns is never copied beyond that word.
    function isValid(bytes32 codeHash, bytes32 hash, bytes calldata signature, bytes calldata config)
        internal
        view
        returns (bool valid)
    {
        address validator = computeAddress(codeHash);
        bytes memory call_ = abi.encodeCall(IValidator.validate, (hash, signature, config));
        uint256 gasLimit = GAS_LIMIT;
        assembly ("memory-safe") {
            valid := staticcall(gasLimit, validator, add(call_, 0x20), mload(call_), 0x00, 0x20)
            valid := and(valid, and(eq(returndatasize(), 0x20), eq(mload(0x00), 1)))
        }
    }
}
