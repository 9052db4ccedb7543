// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {StateVerifier} from "./StateVerifier.sol";

/// @title Where the rollup's state has what the vault pays for, and what the leaves hold
/// @notice A leaf's place is `keccak256(silo 2 | key)`; an integer key has 32 bytes. What each silo holds:
///
///     0   accounts            key 32                keccak256(data) | keccak256(vk)          64 bytes
///     1   balances            key 32                abi.encode(amount)                       32
///     3   withdrawals         id 32                 to 20 | amount 32                        52
///     4   tokens              token 20 | key 32     abi.encode(amount)                       32
///     5   token withdrawals   id 32                 abi.encode(token, to, amount)            96
///     8   orders              id 32                 see `OrderLeaves`                        224
///     10  deposits            id 32                 the credited key                         32
///     11  exits               key 32                abi.encode(previous, next, effective)    96
///
/// No silo but 3 holds values of 52 bytes, so a value of that length is a withdrawal of ether wherever it is found.
library VaultLeaves {
    uint16 internal constant BALANCES = 1;
    uint16 internal constant WITHDRAWALS = 3;
    uint16 internal constant TOKENS = 4;
    uint16 internal constant TOKEN_WITHDRAWALS = 5;
    uint16 internal constant DEPOSITS = 10;
    uint16 internal constant EXITS = 11;

    /// @notice Where the balance of an account is; token zero is ether.
    function computeBalanceKey(address token, bytes32 key) internal pure returns (bytes32) {
        return token == address(0)
            ? computeKey(BALANCES, key)
            : keccak256(abi.encodePacked(TOKENS, token, key));
    }

    /// @notice Where a withdrawal is; token zero is ether.
    function computeWithdrawalKey(address token, bytes32 id) internal pure returns (bytes32) {
        return computeKey(token == address(0) ? WITHDRAWALS : TOKEN_WITHDRAWALS, id);
    }

    /// @notice What the tree commits to for a withdrawal.
    function computeWithdrawalHash(address token, address to, uint256 amount) internal pure returns (bytes32) {
        return token == address(0)
            ? keccak256(abi.encodePacked(to, amount))
            : keccak256(abi.encode(token, to, amount));
    }

    /// @notice Where a deposit is, if it was credited.
    function computeDepositKey(uint64 id) internal pure returns (bytes32) {
        return computeKey(DEPOSITS, bytes32(uint256(id)));
    }

    /// @notice Where the exit of an account is.
    function computeExitKey(bytes32 key) internal pure returns (bytes32) {
        return computeKey(EXITS, key);
    }

    /// @notice Whether the account of `key` has data and vk of these hashes under `root`.
    function isAccount(bytes32 root, bytes32 key, bytes32 dataHash, bytes32 vkHash, bytes calldata proof)
        internal
        pure
        returns (bool)
    {
        bytes32 valueHash = StateVerifier.computeValueHash(dataHash, vkHash);
        return StateVerifier.isIncluded(root, StateVerifier.computeTreeKey(key), valueHash, proof);
    }

    function computeKey(uint16 silo, bytes32 key) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(silo, key));
    }
}
