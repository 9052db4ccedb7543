// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IMessageSender} from "./IMessengers.sol";

/// @title What the adapters on L1 share: they speak for the broadcaster, and for nobody else
abstract contract MessageSender is IMessageSender {
    /// @notice Only the broadcaster's messages are sent on: on the L2 this adapter's address stands for their truth.
    error NotBroadcaster(address caller);

    address public immutable broadcaster;

    modifier onlyBroadcaster() {
        if (msg.sender != broadcaster) revert NotBroadcaster(msg.sender);
        _;
    }

    constructor(address broadcaster_) {
        broadcaster = broadcaster_;
    }
}
