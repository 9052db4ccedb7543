// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title How orders out of the keystore ended on other chains, as their bridges told L1
interface IOrderVerdicts {
    /// @notice An order of this id, whose open leaf has this hash, was filled, or was not (claimant zero).
    event VerdictReceived(
        uint64 indexed chainId, bytes32 indexed orderId, bytes32 indexed orderHash, address claimant
    );

    /// @notice The caller does not carry a message of the chain's settler.
    error UnknownMessenger(uint64 chainId, address caller);
    /// @notice A chain has one settler.
    error ChainTwice(uint64 chainId);

    /// @notice What a settler sends. The first message about an order stays.
    function receiveVerdict(uint64 chainId, bytes32 orderId, bytes32 orderHash, address claimant) external;

    /// @notice Whether anything is known, and who is paid; zero if nobody filled.
    function getVerdict(uint64 chainId, bytes32 orderId, bytes32 orderHash)
        external
        view
        returns (bool isKnown, address claimant);
}
