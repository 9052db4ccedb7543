// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Validation} from "./Validation.sol";

/// @notice The cheat codes that say what calls have read and written.
interface WatchVm {
    struct ChainInfo {
        uint256 forkId;
        uint256 chainId;
    }

    struct StorageAccess {
        address account;
        bytes32 slot;
        bool isWrite;
        bytes32 previousValue;
        bytes32 newValue;
        bool reverted;
    }

    struct AccountAccess {
        ChainInfo chainInfo;
        uint8 kind;
        address account;
        address accessor;
        bool initialized;
        uint256 oldBalance;
        uint256 newBalance;
        bytes deployedCode;
        uint256 value;
        bytes data;
        bool reverted;
        StorageAccess[] storageAccesses;
        uint64 depth;
        uint64 oldNonce;
        uint64 newNonce;
    }

    function startStateDiffRecording() external;
    function stopAndReturnStateDiff() external returns (AccountAccess[] memory);
}

/// @title What a call costs beside its gas of today: its calldata's bytes and the storage slots that it makes
/// @notice Where state and calldata get dearer than computing, these say how much.
abstract contract StateCosts is Validation {
    mapping(bytes32 slot => bool) private _isNew;

    /// @notice Make a call and undo it: bytes of its calldata, and slots that were zero and no longer are. Watching warms storage,
    /// so gas is measured apart.
    function _costs(address caller, address target, uint256 value, bytes memory call_)
        internal
        returns (uint256 size, uint256 slots)
    {
        uint256 snapshot = avm.snapshotState();
        WatchVm(address(vm)).startStateDiffRecording();
        vm.prank(caller);
        (bool success,) = target.call{value: value}(call_);
        assertTrue(success, "the call that is measured");
        WatchVm.AccountAccess[] memory accesses = WatchVm(address(vm)).stopAndReturnStateDiff();
        for (uint256 i; i < accesses.length; ++i) {
            WatchVm.StorageAccess[] memory writes = accesses[i].storageAccesses;
            for (uint256 j; j < writes.length; ++j) {
                slots = _count(writes[j], slots);
            }
        }
        size = call_.length;
        avm.revertToState(snapshot);
    }

    function _count(WatchVm.StorageAccess memory access, uint256 slots) private returns (uint256) {
        bytes32 place = keccak256(abi.encode(access.account, access.slot));
        if (!access.isWrite || access.reverted) return slots;
        if (!_isNew[place] && access.previousValue == 0 && access.newValue != 0) {
            _isNew[place] = true;
            return slots + 1;
        }
        if (_isNew[place] && access.newValue == 0) {
            _isNew[place] = false;
            return slots - 1;
        }
        return slots;
    }

    /// @notice Keep both under a name.
    function _keepCosts(
        string memory group,
        string memory name,
        address caller,
        address target,
        uint256 value,
        bytes memory call_
    ) internal {
        (uint256 size, uint256 slots) = _costs(caller, target, value, call_);
        vm.snapshotValue(group, string.concat(name, ": bytes"), size);
        vm.snapshotValue(group, string.concat(name, ": new slots"), slots);
    }
}
