// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ICrossDomainMessenger} from "./IMessengers.sol";
import {KeystoreSettler} from "./KeystoreSettler.sol";

/// @title The settler on an OP-stack chain
contract OpStackSettler is KeystoreSettler {
    /// @dev A verdict's first storage takes about 60,000; the messenger keeps what fails, and anybody repeats it.
    uint32 private constant _MIN_GAS_LIMIT = 150_000;

    /// @notice The predeploy 0x4200000000000000000000000000000000000007.
    ICrossDomainMessenger public immutable messenger;

    constructor(ICrossDomainMessenger messenger_) {
        messenger = messenger_;
    }

    function _tell(address receiver, bytes memory message) internal override {
        messenger.sendMessage(receiver, message, _MIN_GAS_LIMIT);
    }
}
