// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Further cheat codes, for tests of the vault
interface VaultVm {
    function expectPartialRevert(bytes4 selector) external;
    function allowCheatcodes(address account) external;
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
}
