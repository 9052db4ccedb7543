// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IArbitrumInbox} from "./IMessengers.sol";
import {MessageSender} from "./MessageSender.sol";

/// @title To an Arbitrum chain, by a retryable ticket of its delayed inbox
/// @notice Parameters: `abi.encode(uint256 maxSubmissionCost, uint256 gasLimit, uint256 maxFeePerGas, address refundTo)`; the
/// value must cover `maxSubmissionCost + gasLimit * maxFeePerGas`. What is left over goes to `refundTo` on the L2, who
/// may also cancel the ticket: whoever pays for it decides, and anybody may send another.
contract ArbitrumSender is MessageSender {
    IArbitrumInbox public immutable inbox;

    constructor(address broadcaster_, IArbitrumInbox inbox_) MessageSender(broadcaster_) {
        inbox = inbox_;
    }

    function send(address target, bytes calldata message, bytes calldata parameters)
        external
        payable
        onlyBroadcaster
    {
        (uint256 maxSubmissionCost, uint256 gasLimit, uint256 maxFeePerGas, address refundTo) =
            abi.decode(parameters, (uint256, uint256, uint256, address));
        inbox.createRetryableTicket{value: msg.value}(
            target, 0, maxSubmissionCost, refundTo, refundTo, gasLimit, maxFeePerGas, message
        );
    }
}
