// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IVaultBridge} from "./IVaultBridge.sol";

/// @title The part of OP-stack's L1StandardBridge that is used
interface IStandardBridge {
    function bridgeETHTo(address to, uint32 minGasLimit, bytes calldata extraData) external payable;
    function bridgeERC20To(
        address localToken,
        address remoteToken,
        address to,
        uint256 amount,
        uint32 minGasLimit,
        bytes calldata extraData
    ) external;
}

/// @title From the vault to any OP-stack chain, through its L1StandardBridge
/// @notice Parameters: `abi.encode(address bridge, address remoteToken, address to, uint32 minGasLimit)`; ether has no remote
/// token. Each chain has a bridge of its own on L1, and the caller who claims names it. Nothing stays here between two calls.
contract OpStackVaultBridge is IVaultBridge {
    using SafeERC20 for IERC20;

    /// @inheritdoc IVaultBridge
    function bridgeWithdrawal(address, address token, uint256, bytes calldata parameters) external payable {
        (IStandardBridge bridge, address remoteToken, address to, uint32 minGasLimit) =
            abi.decode(parameters, (IStandardBridge, address, address, uint32));
        if (token == address(0)) {
            bridge.bridgeETHTo{value: msg.value}(to, minGasLimit, "");
            return;
        }
        // What arrived, which is less than what was sent where the token takes a fee.
        uint256 amount = IERC20(token).balanceOf(address(this));
        IERC20(token).forceApprove(address(bridge), amount);
        bridge.bridgeERC20To(token, remoteToken, to, amount, minGasLimit, "");
    }
}
