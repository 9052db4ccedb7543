// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Sends one message from L1 to one L2; each kind of bridge has a thin adapter
interface IMessageSender {
    /// @notice Send `message` as a call to `target` on the L2. `msg.value` pays for what the bridge charges;
    /// `parameters` are the bridge's own (gas limits, fees), in the adapter's encoding.
    function send(address target, bytes calldata message, bytes calldata parameters) external payable;
}

/// @title Says on an L2 whether a call comes from the broadcaster on L1; each kind of bridge has a thin adapter
interface IMessageOrigin {
    /// @notice Whether `caller`, who is calling right now, carries a message of the broadcaster's.
    function isBroadcaster(address caller) external view returns (bool);
}

/// @title The part of OP-stack's CrossDomainMessenger that is used, the same on L1 and L2
interface ICrossDomainMessenger {
    function sendMessage(address target, bytes calldata message, uint32 minGasLimit) external payable;
    function xDomainMessageSender() external view returns (address);
}

/// @title The part of Arbitrum's delayed inbox on L1 that is used
interface IArbitrumInbox {
    function createRetryableTicket(
        address to,
        uint256 l2CallValue,
        uint256 maxSubmissionCost,
        address excessFeeRefundAddress,
        address callValueRefundAddress,
        uint256 gasLimit,
        uint256 maxFeePerGas,
        bytes calldata data
    ) external payable returns (uint256 ticket);
}

/// @title The part of OP-stack's predeploy L1Block (0x4200000000000000000000000000000000000015) that is used
interface IL1Block {
    function number() external view returns (uint64);
    function timestamp() external view returns (uint64);
    function hash() external view returns (bytes32);
}
