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

    /// @dev Words of memory that cost more, 25,100, than is left to a caller whose whole gas was below `GAS_LIMIT` by 64/63: the
    /// 64th part of it (EIP-150).
    uint256 private constant _WORDS = 2_900;

    /// @notice Whether the validator of `codeHash` says yes: it returns one word, which is 1. A validator that is not there,
    /// reverts, burns `GAS_LIMIT`, or returns anything else, said no; what it returns is never copied beyond that word.
    /// @dev A validator that burned all it got, and got less than `GAS_LIMIT`, might have said yes with more. That is not a no
    /// but out of gas: an estimate that looks for the least gas must not find one at which a right signature fails.
    /// Validation may not ask how much gas there is (OP-012), so a caller whose validator failed without a word pays for more than a starved one has.
    function isValid(bytes32 codeHash, bytes32 hash, bytes calldata signature, bytes calldata config)
        internal
        view
        returns (bool valid)
    {
        address validator = computeAddress(codeHash);
        bytes memory call_ = abi.encodeCall(IValidator.validate, (hash, signature, config));
        uint256 gasLimit = GAS_LIMIT;
        uint256 size = 32 * _WORDS;
        assembly ("memory-safe") {
            valid := staticcall(gasLimit, validator, add(call_, 0x20), mload(call_), 0x00, 0x20)
            let isSilent := iszero(or(valid, returndatasize()))
            valid := and(valid, and(eq(returndatasize(), 0x20), eq(mload(0x00), 1)))
            if isSilent { pop(staticcall(0, validator, mload(0x40), size, 0x00, 0x00)) }
        }
    }
}
