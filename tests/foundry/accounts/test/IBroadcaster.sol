// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice The broadcaster as anybody calls it.
interface IBroadcaster {
    struct Delivery {
        address sender;
        address receiver;
        uint256 value;
        bytes parameters;
    }

    function broadcast(Delivery[] calldata deliveries)
        external
        payable
        returns (bytes32 root, uint64 height, uint64 l1Time);
}
