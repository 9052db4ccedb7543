// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Vm} from "./Vm.sol";

/// @title What every test of the contracts begins with
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    error Unequal(bytes expected, bytes actual, string what);
    error Untrue(string what);

    /// @notice The creation code of one of our contracts: the artifact's.
    function _load(string memory contract_) internal view virtual returns (bytes memory) {
        return _read(string.concat("../../../apps/keystore/contracts/artifacts/", contract_, ".json"));
    }

    /// @notice The creation code that an artifact's file holds.
    function _read(string memory path) internal view returns (bytes memory) {
        return vm.parseJsonBytes(vm.readFile(path), ".bytecode");
    }

    /// @notice Deploy one of our contracts, with its constructor's arguments.
    function _create(string memory contract_, bytes memory arguments) internal returns (address) {
        return _create(bytes.concat(_load(contract_), arguments));
    }

    function _create(bytes memory creationCode) internal returns (address created) {
        assembly ("memory-safe") {
            created := create(0, add(creationCode, 0x20), mload(creationCode))
        }
        assertTrue(created != address(0), "created");
    }

    /// @notice The gas of a call, without what preparing it costs.
    function _gasOf(address target, bytes memory call_) internal returns (uint256 gas) {
        gas = gasleft();
        (bool success,) = target.call(call_);
        gas -= gasleft();
        assertTrue(success, "the call that is measured");
    }

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
