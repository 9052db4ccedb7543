// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IValidator} from "./IValidator.sol";

/// @title One Winternitz one-time key, which rests on Keccak-256 alone
/// @notice `config` is `seed 32 | root 32`; `signature` is 67 values of 32 bytes, one of each chain, of the hash itself. The
/// chains are those of the kernel's scheme 7 (`microrollup.crypto.signatures.winternitz`). Two signatures of one key give it
/// away: sign one hash with it, and let that operation name the next key.
contract WinternitzValidator is IValidator {
    uint256 private constant CHAINS = 67;
    uint256 private constant TOP = 15;

    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external pure returns (bool) {
        if (config.length != 64 || signature.length != 32 * CHAINS) return false;
        bytes32 seed = bytes32(config[:32]);
        bytes memory tops = bytes.concat(seed, signature);
        uint256 checksum = 0;
        for (uint256 chain = 0; chain < 64; ++chain) {
            uint256 digit = uint256(hash) >> (252 - 4 * chain) & 15;
            checksum += TOP - digit;
            _climb(tops, seed, chain, digit);
        }
        for (uint256 chain = 64; chain < CHAINS; ++chain) {
            _climb(tops, seed, chain, checksum >> (4 * (66 - chain)) & 15);
        }
        return keccak256(tops) == bytes32(config[32:]);
    }

    /// @dev Take the value of a chain from step `digit` to the last: `keccak256(seed | chain 1 | step 1 | value 32)` each.
    function _climb(bytes memory tops, bytes32 seed, uint256 chain, uint256 digit) private pure {
        assembly ("memory-safe") {
            let place := add(tops, mul(32, add(chain, 2)))
            let value := mload(place)
            let free := mload(0x40)
            mstore(free, seed)
            mstore8(add(free, 32), chain)
            for { let step := digit } lt(step, TOP) { step := add(step, 1) } {
                mstore8(add(free, 33), step)
                mstore(add(free, 34), value)
                value := keccak256(free, 66)
            }
            mstore(place, value)
        }
    }
}
