// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IL1Block} from "./IMessengers.sol";
import {InboxProof} from "./InboxProof.sol";
import {L1Sload} from "./L1Sload.sol";
import {RootHistory} from "./RootHistory.sol";

/// @title The keystore's settled roots on a chain that reads L1's storage (L1SLOAD, RIP-7728)
/// @notice Nothing is sent and nothing proven: anybody has the chain read the inbox, and the root is kept as `KeystoreRoots`
/// keeps it, so accounts, factory and module need not know the difference. They copy the root from here, because
/// validation may call no such precompile and read no storage of others (ERC-7562). What is believed is the chain's own view
/// of L1: its sequencer picks how old the newest L1 block is that it knows.
contract L1SloadRoots is RootHistory {
    /// @notice The inbox on L1.
    address public immutable inbox;
    /// @notice The precompile.
    address public immutable l1Sload;
    /// @notice Says the time of the newest L1 block that the chain knows: OP-stack's predeploy L1Block, or what does the same.
    IL1Block public immutable l1Block;

    /// @dev The settlement's L1 time is the highest of the head's numbers.
    uint256 private constant _SETTLED_AT_SHIFT = 216;

    constructor(address inbox_, address l1Sload_, IL1Block l1Block_) {
        inbox = inbox_;
        l1Sload = l1Sload_;
        l1Block = l1Block_;
    }

    /// @notice Take what the inbox holds in the newest L1 block that this chain knows. Anybody may call.
    function readInbox() external {
        if (address(l1Block).code.length == 0) revert NoL1Block();
        (bytes32 root, bytes32 head) =
            L1Sload.read(l1Sload, inbox, InboxProof.ROOT_SLOT, InboxProof.HEAD_SLOT);
        uint64 l1Time = l1Block.timestamp();
        uint64 settledAt = uint64(uint256(head) >> _SETTLED_AT_SHIFT);
        // Where the precompile sees further than the predeploy, the inbox held the root when it took it, at least.
        if (l1Time < settledAt) l1Time = settledAt;
        _show(root, uint64(uint256(head)), l1Time, settledAt);
    }
}
