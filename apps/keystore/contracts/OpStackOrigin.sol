// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICrossDomainMessenger, IMessageOrigin} from "./IMessengers.sol";

/// @title On an OP-stack chain: the L2CrossDomainMessenger, while it relays a message of our sender on L1
contract OpStackOrigin is IMessageOrigin {
    /// @notice The predeploy 0x4200000000000000000000000000000000000007.
    ICrossDomainMessenger public immutable messenger;
    /// @notice The `OpStackSender` on L1.
    address public immutable sender;

    constructor(ICrossDomainMessenger messenger_, address sender_) {
        messenger = messenger_;
        sender = sender_;
    }

    /// @inheritdoc IMessageOrigin
    function isBroadcaster(address caller) external view returns (bool) {
        // Outside of a relay the messenger reverts, or names nobody; it is asked only if it is the caller itself.
        return caller == address(messenger) && messenger.xDomainMessageSender() == sender;
    }
}
