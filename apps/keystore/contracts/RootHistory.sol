// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "./IKeystoreRoots.sol";

/// @title The roots that a chain was shown, and the rules by which another takes the newest's place
/// @notice Neither height nor L1 time ever goes back. The newest root, shown again at its height, changes nothing unless L1's
/// time moved on, so that a caller who is overtaken with the same news does not fail.
abstract contract RootHistory is IKeystoreRoots {
    /// @notice So many roots can be asked for by `shownAt`; the oldest leaves when another comes.
    uint256 public constant HISTORY = 256;

    struct Head {
        uint64 height;
        uint64 l1Time;
        uint64 settledAt;
        /// How many roots have entered the history.
        uint64 count;
    }

    struct Showing {
        uint64 l1Time;
        /// Which entry of the history it is, counted from 0: of a root that came back, the last.
        uint64 index;
        /// This chain's time when the next root came; 0 while it is the newest.
        uint64 replacedAt;
    }

    bytes32 private _root;
    Head private _head;
    mapping(bytes32 root => Showing) private _shown;
    bytes32[HISTORY] private _history;

    /// @inheritdoc IKeystoreRoots
    function latest() external view returns (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) {
        Head storage head = _head;
        return (_root, head.height, head.l1Time, head.settledAt);
    }

    /// @inheritdoc IKeystoreRoots
    function shownAt(bytes32 root) external view returns (uint64 l1Time) {
        return _shown[root].l1Time;
    }

    /// @inheritdoc IKeystoreRoots
    function replacedAt(bytes32 root) external view returns (uint64 time) {
        return _shown[root].replacedAt;
    }

    /// @dev What L1 was shown to hold; the caller vouches for all four.
    function _show(bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) internal {
        Head memory head = _head;
        bytes32 known = _root;
        if (root == bytes32(0)) revert ZeroRoot();
        if (l1Time > block.timestamp) revert FutureRoot(uint64(block.timestamp), l1Time);
        // What was overtaken by a later showing of the same root changes nothing.
        if (root == known && height == head.height && l1Time <= head.l1Time) return;
        if (height < head.height || l1Time < head.l1Time) {
            revert StaleRoot(head.height, head.l1Time, height, l1Time);
        }
        if (root == known) {
            _shown[root].l1Time = l1Time;
        } else {
            if (height == head.height && known != bytes32(0)) revert ConflictingRoot(height, known, root);
            _enter(root, l1Time, head.count);
            if (known != bytes32(0)) _shown[known].replacedAt = uint64(block.timestamp);
            _root = root;
            ++head.count;
        }
        _head = Head(height, l1Time, settledAt, head.count);
        emit RootShown(root, height, l1Time);
    }

    /// @dev Put a root into the history in place of the oldest, which is forgotten unless it has come back since.
    function _enter(bytes32 root, uint64 l1Time, uint64 index) private {
        uint256 place = index % HISTORY;
        bytes32 oldest = _history[place];
        if (oldest != bytes32(0) && _shown[oldest].index + HISTORY == index) delete _shown[oldest];
        _history[place] = root;
        _shown[root] = Showing(l1Time, index, 0);
    }
}
