// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IArbitrumInbox, IMessageSender} from "./IMessengers.sol";
import {MessageSender} from "./MessageSender.sol";

/// @title To any Arbitrum chain, by a retryable ticket of its delayed inbox
/// @notice Parameters: `abi.encode(address inbox, uint256 maxSubmissionCost, uint256 gasLimit, uint256 maxFeePerGas,
/// address refundTo)`; the value (wei) must cover `maxSubmissionCost + gasLimit * maxFeePerGas`. What is left over goes to
/// `refundTo` on the L2, who may also cancel the ticket: the payer decides, and anybody may send another.
///
/// Each chain has an inbox of its own on L1, and the caller names it, for the reasons of `OpStackSender`: one sender serves
/// all chains of this kind, and the alias that they believe is one.
contract ArbitrumSender is MessageSender {
    constructor(address broadcaster_) MessageSender(broadcaster_) {}

    /// @inheritdoc IMessageSender
    function send(address target, bytes calldata message, bytes calldata parameters)
        external
        payable
        onlyBroadcaster
    {
        (IArbitrumInbox inbox, uint256 maxSubmissionCost, uint256 gasLimit, uint256 maxFeePerGas, address refundTo) =
            abi.decode(parameters, (IArbitrumInbox, uint256, uint256, uint256, address));
        inbox.createRetryableTicket{value: msg.value}(
            target, 0, maxSubmissionCost, refundTo, refundTo, gasLimit, maxFeePerGas, message
        );
    }
}
