// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Storage of L1, read by the precompile L1SLOAD (RIP-7728)
/// @notice Its input is `address 20 | slot 32 | ...`, its output a word for each slot, as of the newest L1 block that the chain
/// knows. The RIP leaves its address open; Scroll has it at 0x101. Validation may not call it (ERC-7562).
library L1Sload {
    /// @notice The chain has no such precompile, or it refuses.
    error NoL1Sload(address precompile);

    /// @notice Two words of a contract on L1, of one L1 block.
    function read(address precompile, address account, bytes32 slot, bytes32 otherSlot)
        internal
        view
        returns (bytes32 word, bytes32 otherWord)
    {
        (bool success, bytes memory answer) =
            precompile.staticcall(abi.encodePacked(account, slot, otherSlot));
        // A call to an address without code succeeds and answers nothing.
        if (!success || answer.length != 64) revert NoL1Sload(precompile);
        return abi.decode(answer, (bytes32, bytes32));
    }
}
