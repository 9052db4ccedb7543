// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Takes a withdrawal from the vault into the canonical bridge of an L2; each kind of bridge has a thin adapter
interface IVaultBridge {
    /// @notice Send on what has just been paid here: `amount` of `token` (zero: `msg.value` of ether), which `from` withdrew.
    /// `parameters` are the bridge's own, in the adapter's encoding.
    /// @dev The vault calls addresses of the caller's choice by this selector and no other. It is that of no token's function.
    function bridgeWithdrawal(address from, address token, uint256 amount, bytes calldata parameters) external payable;
}
