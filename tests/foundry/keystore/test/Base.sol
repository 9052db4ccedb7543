// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @title What every test of the contracts begins with
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Unequal(bytes expected, bytes actual, string what);
    error Untrue(string what);

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert Untrue(what);
    }

    function assertFalse(bool condition, string memory what) internal pure {
        if (condition) revert Untrue(what);
    }

    function assertEq(bytes memory expected, bytes memory actual, string memory what) internal pure {
        if (keccak256(expected) != keccak256(actual)) revert Unequal(expected, actual, what);
    }

    function assertEq(bytes32 expected, bytes32 actual, string memory what) internal pure {
        if (expected != actual) revert Unequal(abi.encode(expected), abi.encode(actual), what);
    }

    function assertEq(uint256 expected, uint256 actual, string memory what) internal pure {
        if (expected != actual) revert Unequal(abi.encode(expected), abi.encode(actual), what);
    }

    function assertEq(bool expected, bool actual, string memory what) internal pure {
        if (expected != actual) revert Unequal(abi.encode(expected), abi.encode(actual), what);
    }

    function assertEq(address expected, address actual, string memory what) internal pure {
        if (expected != actual) revert Unequal(abi.encode(expected), abi.encode(actual), what);
    }

    /// @notice `value`, if it lies within the bounds, else folded into them.
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        if (value >= low && value <= high) return value;
        uint256 span = high - low + 1;
        return span == 0 ? value : low + value % span;
    }
}
