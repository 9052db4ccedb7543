// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {IMessageSender} from "./IMessengers.sol";
import {IRootReceiver} from "./IRootReceiver.sol";

/// @title Sends the inbox's root from L1 to any number of L2s in one transaction
/// @notice Nobody is trusted, so anybody may call, and names the bridges, the receivers and what is paid himself. He cannot
/// choose what is said: the message is read from the inbox in the same transaction, and it is all that ever leaves this
/// contract. A sender's adapter takes messages from this contract only, and a receiver on an L2 believes its own adapter only;
/// so a bridge or receiver of the caller's invention hurts nobody but the caller. No value and no state stay here, which
/// leaves nothing to gain by entering it again.
contract KeystoreBroadcaster {
    /// @notice One L2: the adapter for its kind of bridge, who receives there, what the bridge is paid (wei), and the
    /// parameters, which name the bridge.
    struct Delivery {
        IMessageSender sender;
        address receiver;
        uint256 value;
        bytes parameters;
    }

    /// @notice The inbox held `root` at this block's time, and so many L2s are told.
    event RootBroadcast(bytes32 indexed root, uint64 indexed height, uint64 l1Time, uint256 deliveries);

    /// @notice What the deliveries are paid must be what was sent.
    error WrongValue(uint256 expected, uint256 found);

    IRollupInbox public immutable inbox;

    constructor(IRollupInbox inbox_) {
        inbox = inbox_;
    }

    /// @notice Tell each L2 that the inbox holds its root now. If one bridge refuses, nothing is sent: the caller then leaves
    /// it out.
    function broadcast(Delivery[] calldata deliveries)
        external
        payable
        returns (bytes32 root, uint64 height, uint64 l1Time)
    {
        IRollupInbox.Settled memory settled = inbox.settled();
        (root, height, l1Time) = (settled.stateRoot, uint64(settled.height), uint64(block.timestamp));
        uint64 settledAt = uint64(settled.l1Time);
        bytes memory message = abi.encodeCall(IRootReceiver.receiveRoot, (root, height, l1Time, settledAt));
        uint256 paid;
        for (uint256 i; i < deliveries.length; ++i) {
            paid += deliveries[i].value;
        }
        if (paid != msg.value) revert WrongValue(paid, msg.value);
        for (uint256 i; i < deliveries.length; ++i) {
            Delivery calldata delivery = deliveries[i];
            delivery.sender.send{value: delivery.value}(delivery.receiver, message, delivery.parameters);
        }
        emit RootBroadcast(root, height, l1Time, deliveries.length);
    }
}
