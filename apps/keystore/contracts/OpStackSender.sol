// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICrossDomainMessenger} from "./IMessengers.sol";
import {MessageSender} from "./MessageSender.sol";

/// @title To an OP-stack chain, through its L1CrossDomainMessenger
/// @notice Parameters: `abi.encode(uint32 minGasLimit)`. The bridge charges gas on L1 and no value.
contract OpStackSender is MessageSender {
    /// @notice The receiver takes no value, so none is carried there.
    error ValueNotTaken(uint256 value);

    ICrossDomainMessenger public immutable messenger;

    constructor(address broadcaster_, ICrossDomainMessenger messenger_) MessageSender(broadcaster_) {
        messenger = messenger_;
    }

    function send(address target, bytes calldata message, bytes calldata parameters)
        external
        payable
        onlyBroadcaster
    {
        if (msg.value != 0) revert ValueNotTaken(msg.value);
        messenger.sendMessage(target, message, abi.decode(parameters, (uint32)));
    }
}
