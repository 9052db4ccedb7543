// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title How a node is stored: `length 2 | node`, in words from the slot on
/// @notice The slot is that of a mapping whose last key is the account, so that slot and following words are associated with
/// the account as ERC-7562 defines it (`keccak256(account | x) + n`, n <= 128: nodes of up to 4,126 bytes). A node of 62
/// bytes takes two words; Solidity's own `bytes` would take three, at a slot that is not associated.
library RegisteredNodes {
    /// @notice The first word. A node that is not registered has length 0.
    struct Entry {
        bytes32 head;
    }

    /// @notice Keep a node of 1 to 65,535 bytes. The slot depends on the node's hash: what is there already is the same.
    function store(Entry storage entry, bytes calldata node) internal {
        if (entry.head != 0) return;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let size := add(node.length, 2)
            mstore(buffer, shl(240, node.length))
            calldatacopy(add(buffer, 2), node.offset, node.length)
            mstore(add(buffer, size), 0)
            let slot := entry.slot
            for { let position := 0 } lt(position, size) { position := add(position, 0x20) } {
                sstore(slot, mload(add(buffer, position)))
                slot := add(slot, 1)
            }
        }
    }

    /// @notice The node; empty if it is not registered.
    function load(Entry storage entry) internal view returns (bytes memory node) {
        assembly ("memory-safe") {
            node := mload(0x40)
            let slot := entry.slot
            // The head's two bytes of length become the last two of the array's word of length.
            mstore(node, 0)
            mstore(add(node, 0x1e), sload(slot))
            let end := add(add(node, 0x20), mload(node))
            for { let cursor := add(node, 0x3e) } lt(cursor, end) { cursor := add(cursor, 0x20) } {
                slot := add(slot, 1)
                mstore(cursor, sload(slot))
            }
            mstore(end, 0)
            mstore(0x40, and(add(end, 0x3f), not(0x1f)))
        }
    }
}
