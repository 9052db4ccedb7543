// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {VaultLeaves} from "./VaultLeaves.sol";

/// @notice An order out of the keystore: `amount` of `token` of the account `key` waits for who pays, on the chain, what
/// hashes to `outputHash` (`keccak256(abi.encode(Output[]))`, ERC-7683), until the last second of `fillDeadline`.
struct KeystoreOrder {
    bytes32 key;
    address token;
    uint256 amount;
    uint64 chainId;
    bytes32 outputHash;
    uint64 fillDeadline;
}

/// @title Where the rollup's state has orders, and what the leaves hold
/// @notice
///     8   orders   order id 32   abi.encode(key, token, amount, chainId, outputHash, fillDeadline, status)
///     9   fills    fill id 32    abi.encode(claimant, time)
library OrderLeaves {
    uint16 internal constant ORDERS = 8;
    uint16 internal constant FILLS = 9;
    uint8 internal constant OPEN = 1;

    /// @notice Where an order out of the keystore is.
    function computeOrderKey(bytes32 orderId) internal pure returns (bytes32) {
        return VaultLeaves.computeKey(ORDERS, orderId);
    }

    /// @notice Where the fill of another chain's order is.
    function computeFillKey(bytes32 fillId) internal pure returns (bytes32) {
        return VaultLeaves.computeKey(FILLS, fillId);
    }

    /// @notice What the tree commits to for an order that is open; also what its chain knows the order by.
    function hashOpen(KeystoreOrder memory order) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                order.key,
                order.token,
                order.amount,
                order.chainId,
                order.outputHash,
                order.fillDeadline,
                OPEN
            )
        );
    }

    /// @notice What the tree commits to for a fill.
    function hashFill(address claimant, uint64 time) internal pure returns (bytes32) {
        return keccak256(abi.encode(claimant, time));
    }
}
