// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The part of Arbitrum's precompile ArbSys (address 100 on its chains) that is used
interface IArbSys {
    function sendTxToL1(address destination, bytes calldata data) external payable returns (uint256);
}

/// @title The part of an Arbitrum chain's bridge on L1 that is used
interface IArbitrumBridge {
    /// @notice The outbox whose message the bridge executes right now; zero outside of that.
    function activeOutbox() external view returns (address);
}

/// @title The part of an Arbitrum chain's outbox on L1 that is used
interface IArbitrumOutbox {
    /// @notice Who sent on the L2 the message that is executed right now.
    function l2ToL1Sender() external view returns (address);
}
