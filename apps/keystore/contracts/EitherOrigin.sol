// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IMessageOrigin} from "./IMessengers.sol";

/// @title One of two kinds of bridge, whichever this chain has
/// @notice Lets the roots' contract have the same creation code on chains of different kinds, and with it the same address,
/// on which the addresses of all accounts depend. The bridge that a chain does not have never calls there: OP-stack's
/// messenger is a predeploy; and the alias, which both kinds form alike, only ever calls with what its contract on L1 sent,
/// which here is the broadcaster's message or nothing.
contract EitherOrigin is IMessageOrigin {
    IMessageOrigin public immutable first;
    IMessageOrigin public immutable second;

    constructor(IMessageOrigin first_, IMessageOrigin second_) {
        first = first_;
        second = second_;
    }

    /// @inheritdoc IMessageOrigin
    function isBroadcaster(address caller) external view returns (bool) {
        return first.isBroadcaster(caller) || second.isBroadcaster(caller);
    }
}
