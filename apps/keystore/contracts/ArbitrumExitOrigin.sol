// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IArbitrumBridge, IArbitrumOutbox} from "./IArbitrumExits.sol";
import {IMessageOrigin} from "./IMessengers.sol";

/// @title On L1: an Arbitrum chain's bridge, while its outbox executes a message of our settler there
contract ArbitrumExitOrigin is IMessageOrigin {
    /// @notice The chain's bridge on L1.
    IArbitrumBridge public immutable bridge;
    /// @notice The settler on that chain.
    address public immutable sender;

    constructor(IArbitrumBridge bridge_, address sender_) {
        bridge = bridge_;
        sender = sender_;
    }

    /// @inheritdoc IMessageOrigin
    function isBroadcaster(address caller) external view returns (bool) {
        if (caller != address(bridge)) return false;
        // Zero outside of an execution.
        address outbox = bridge.activeOutbox();
        return outbox != address(0) && IArbitrumOutbox(outbox).l2ToL1Sender() == sender;
    }
}
