// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";

/// @title What both directions of a settler share: one lock, and money that arrives whole or not at all
abstract contract SettlerBase {
    using SafeERC20 for IERC20;

    /// @notice The settler is at work already: a token, a recipient or a signer's contract called back.
    error Reentered();
    /// @notice Money or a claim has no way to the zero address.
    error ZeroAddress();
    /// @notice The ether that was sent is not what was to be paid.
    error WrongValue(uint256 expected, uint256 found);
    /// @notice Less arrived than was sent: tokens that take a fee are not taken.
    error LessArrived(uint256 expected, uint256 found);
    /// @notice The order's data do not decode, are of another type, or hold what no order has.
    error BadOrder();
    /// @notice The time to fill has passed, or is further off than an order may wait.
    error BadDeadline(uint256 fillDeadline);
    /// @notice The order is for another chain.
    error WrongChain(uint256 expected, uint256 found);

    bool private _isLocked;

    modifier locked() {
        if (_isLocked) revert Reentered();
        _isLocked = true;
        _;
        _isLocked = false;
    }

    /// @dev Take so much from somebody for somebody else, who has so much more afterwards.
    function _move(address token, address from, address to, uint256 amount) internal {
        uint256 before = IERC20(token).balanceOf(to);
        IERC20(token).safeTransferFrom(from, to, amount);
        if (from == to) return;
        uint256 found = IERC20(token).balanceOf(to) - before;
        if (found < amount) revert LessArrived(amount, found);
    }

    /// @dev Pay what the settler holds; token zero is ether.
    function _pay(address token, address to, uint256 amount) internal {
        if (token == address(0)) Address.sendValue(payable(to), amount);
        else IERC20(token).safeTransfer(to, amount);
    }

    function _widen(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }
}
