// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title What arrives on an L2 when the broadcaster on L1 sends
interface IRootReceiver {
    /// @notice `root` of the rollup's block `height` was the inbox's at L1 time `l1Time`, and was settled at L1 time `settledAt`
    /// (seconds). Only a messenger that vouches for the broadcaster may call.
    function receiveRoot(bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) external;
}
