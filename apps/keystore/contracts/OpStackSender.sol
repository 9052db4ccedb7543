// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICrossDomainMessenger, IMessageSender} from "./IMessengers.sol";
import {MessageSender} from "./MessageSender.sol";

/// @title To any OP-stack chain, through its L1CrossDomainMessenger
/// @notice Parameters: `abi.encode(address messenger, uint32 minGasLimit)`. The bridge charges gas on L1 and no value.
///
/// Each chain has a messenger of its own on L1, and the caller names it. So one sender serves all chains of this kind: their
/// `OpStackOrigin`s know one address, and with it roots and accounts have the same addresses on all of them. A messenger of
/// the caller's invention hears what is public; only a chain's own messenger speaks there in this sender's name.
contract OpStackSender is MessageSender {
    /// @notice The receiver takes no value, so none is carried there.
    error ValueNotTaken(uint256 value);

    constructor(address broadcaster_) MessageSender(broadcaster_) {}

    /// @inheritdoc IMessageSender
    function send(address target, bytes calldata message, bytes calldata parameters)
        external
        payable
        onlyBroadcaster
    {
        if (msg.value != 0) revert ValueNotTaken(msg.value);
        (ICrossDomainMessenger messenger, uint32 minGasLimit) =
            abi.decode(parameters, (ICrossDomainMessenger, uint32));
        messenger.sendMessage(target, message, minGasLimit);
    }
}
