// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title An address that changes at announced L1 blocks
/// @notice Every value that was announced and not taken back stays, with the block from which it holds; the last one that
/// holds is in force. Announcements come in the order of their blocks; of two for one block the later replaces the
/// earlier.
library Schedule {
    struct Change {
        address value;
        uint40 effective;
    }

    /// @dev The newest change has a slot of its own, so that in the long run a reading costs one load.
    struct Changes {
        Change newest;
        Change[] older;
    }

    /// @dev `effective` is never below that of an earlier call.
    function announce(Changes storage changes, address value, uint256 effective) internal {
        Change memory newest = changes.newest;
        if (newest.effective != effective) changes.older.push(newest);
        changes.newest = Change(value, uint40(effective));
    }

    /// @notice Take the newest change back, which is not the first one.
    function takeBack(Changes storage changes) internal {
        changes.newest = changes.older[changes.older.length - 1];
        changes.older.pop();
    }

    /// @notice The value that holds in an L1 block.
    function at(Changes storage changes, uint256 number) internal view returns (address) {
        Change memory newest = changes.newest;
        if (newest.effective <= number) return newest.value;
        return changes.older[_find(changes, number)].value;
    }

    /// @notice From when the value holds that holds in an L1 block; 0 for the first one.
    function findEffective(Changes storage changes, uint256 number) internal view returns (uint256) {
        uint256 newest = changes.newest.effective;
        return newest <= number ? newest : changes.older[_find(changes, number)].effective;
    }

    /// @notice From when the first change holds that does not hold yet in an L1 block; 0 if all do.
    function findNext(Changes storage changes, uint256 number) internal view returns (uint256) {
        uint256 newest = changes.newest.effective;
        if (newest <= number) return 0;
        uint256 next = _find(changes, number) + 1;
        return next == changes.older.length ? newest : changes.older[next].effective;
    }

    /// @dev The last older change that holds; the first one holds from block 0 on. A binary search, because an owner who
    /// announces something in each block has 21,600 changes pending, and going through them one by one would cost more
    /// gas than a block has.
    function _find(Changes storage changes, uint256 number) private view returns (uint256 low) {
        uint256 high = changes.older.length;
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            if (changes.older[middle].effective <= number) low = middle;
            else high = middle;
        }
    }
}
