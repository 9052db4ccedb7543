// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IMessageOrigin} from "./IMessengers.sol";

/// @title On an Arbitrum chain: the alias under which a retryable ticket of our sender on L1 is executed
contract ArbitrumOrigin is IMessageOrigin {
    /// @dev What Arbitrum adds to the address of a contract on L1, modulo 2^160, so that it cannot pass for one on L2.
    uint160 private constant ALIAS_OFFSET = uint160(0x1111000000000000000000000000000000001111);

    /// @notice The `ArbitrumSender` on L1.
    address public immutable sender;

    constructor(address sender_) {
        sender = sender_;
    }

    /// @inheritdoc IMessageOrigin
    function isBroadcaster(address caller) external view returns (bool) {
        unchecked {
            return caller == address(uint160(sender) + ALIAS_OFFSET);
        }
    }
}
