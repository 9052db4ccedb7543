// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {RootAges} from "./RootAges.sol";

/// @title An account's own copies of the keystore's roots, and the configuration that it remembers
/// @notice ERC-7562 lets validation read the account's own storage and no other contract's: what everybody's validation read,
/// one transaction could change, and with it invalidate a whole mempool. So the account keeps a copy: in itself, or, where a
/// module validates for it, in the module at places of its own. Anybody may renew it, from the roots of this chain only, and
/// only forwards.
///
/// A root is worth something for `MAX_ROOT_AGE` after the latest time at which L1 was shown to hold it. A root that was
/// replaced serves for `GRACE_SECONDS` more, whatever arrives meanwhile: a ring holds the last four, and a push that would
/// overwrite one before its time is refused. So a retired key lives at most twice as long after its rotation was settled and
/// somebody tried to push it. A remembered configuration lives exactly as long as the root that it was proven against:
/// remembering never gives more time than the proof did.
abstract contract RootCopies {
    /// @notice The roots' contract of this chain has none yet.
    error NoRoot();
    /// @notice The roots' contract of this chain went back, by height, by L1 time, or to another root at a known height.
    error RegressingRoot(uint64 knownHeight, uint64 knownTime, uint64 height, uint64 l1Time);
    /// @notice Four replaced roots serve still; the oldest gives way after `until` (seconds).
    error TooSoon(uint40 until);

    /// @notice How long after it was last shown on L1 a root is believed. It bounds what a retired key can do where nobody
    /// pushes a newer root, and how often an idle account needs a push.
    uint256 public constant MAX_ROOT_AGE = RootAges.MAX_ROOT_AGE;
    /// @notice How long a replaced root is believed after the push.
    uint256 public constant GRACE_SECONDS = RootAges.GRACE_SECONDS;
    /// @notice How many replaced roots serve at a time.
    uint256 public constant RING = 4;
    uint256 private constant _UNTIL_BITS = 40;

    /// @notice From when until when (seconds, both included) a root is believed; it is not if `validUntil` is 0.
    struct Window {
        uint40 validAfter;
        uint40 validUntil;
    }

    /// @notice A replaced root's first 27 bytes, and until when (seconds, included) it serves.
    struct Replaced {
        bytes27 root;
        uint40 validUntil;
    }

    struct _Times {
        uint64 height;
        uint40 shownAt;
        /// How many roots have entered the ring, modulo 256.
        uint8 replaced;
    }

    /// @dev Of one account.
    struct Copies {
        bytes32 root;
        _Times times;
        /// Replaced roots, each `root, its first 216 bits | until 40`: one word, since each word read costs validation 2,100
        /// gas. Two roots with the same 216 bits take 2^108 hashes to find.
        uint256[RING] ring;
        /// `dataHash, its first 216 bits | until 40`, for the same reason.
        uint256 remembered;
    }

    IKeystoreRoots private immutable _ROOTS;

    constructor(IKeystoreRoots roots_) {
        _ROOTS = roots_;
    }

    /// @notice The contract that this account takes roots from.
    function roots() public view returns (IKeystoreRoots) {
        return _ROOTS;
    }

    /// @dev The copies: the present root with its height and its window, and the replaced ones, the newest first.
    function _getRoots(Copies storage copies)
        internal
        view
        returns (bytes32 root, uint64 height, Window memory window, Replaced[RING] memory replaced)
    {
        root = copies.root;
        if (root != 0) (window.validAfter, window.validUntil) = _getWindow(copies);
        height = copies.times.height;
        uint256 count = copies.times.replaced;
        for (uint256 i; i < RING; ++i) {
            uint256 entry = copies.ring[_place(count, i)];
            replaced[i] = Replaced(bytes27(bytes32(entry)), uint40(entry));
        }
    }

    /// @dev The first 27 bytes of the remembered configuration's hash, and until when it serves.
    function _getRemembered(Copies storage copies) internal view returns (bytes27 dataHash, uint40 validUntil) {
        uint256 remembered = copies.remembered;
        return (bytes27(bytes32(remembered)), uint40(remembered));
    }

    /// @dev Copy the newest root of this chain.
    function _copy(Copies storage copies) internal returns (bytes32 root, uint64 height, uint64 l1Time) {
        (root, height, l1Time,) = _ROOTS.latest();
        if (root == 0) revert NoRoot();
        // Checked with the window's length, so that no later sum of times leaves its 40 bits.
        uint40 validUntil = SafeCast.toUint40(l1Time + MAX_ROOT_AGE);
        _Times memory times = copies.times;
        bytes32 current = copies.root;
        bool isOlder = height < times.height || l1Time < times.shownAt;
        if (isOlder || (height == times.height && root != current && current != 0)) {
            revert RegressingRoot(times.height, times.shownAt, height, l1Time);
        }
        if (root != current) {
            if (current != 0) _retire(copies, current, times);
            copies.root = root;
        }
        times.height = height;
        times.shownAt = uint40(validUntil - MAX_ROOT_AGE);
        copies.times = times;
    }

    /// @dev Let a root of this chain's history serve an account that has just copied its first one, as if it had copied it
    /// before: for `GRACE_SECONDS` after this chain replaced it.
    function _backdate(Copies storage copies, bytes32 root) internal {
        uint256 replacedAt = _ROOTS.replacedAt(root);
        if (replacedAt == 0) return;
        copies.ring[0] = _pack(root, RootAges.getGraceEnd(replacedAt, _ROOTS.shownAt(root)));
        copies.times.replaced = 1;
    }

    /// @dev The present root enters the ring, unless its time is over or has not come, and what is remembered ends with it.
    function _retire(Copies storage copies, bytes32 current, _Times memory times) private {
        uint40 until = times.shownAt > block.timestamp ? 0 : RootAges.getGraceEnd(block.timestamp, times.shownAt);
        if (until >= block.timestamp) {
            uint256 place = times.replaced % RING;
            uint40 oldestUntil = uint40(copies.ring[place]);
            if (oldestUntil >= block.timestamp) revert TooSoon(oldestUntil);
            copies.ring[place] = _pack(current, until);
            unchecked {
                ++times.replaced;
            }
        }
        uint256 remembered = copies.remembered;
        if (uint40(remembered) > until) copies.remembered = _pack(bytes32(remembered), until);
    }

    /// @dev The window of a root that a proof leads to: the present one's, a replaced one's, or none.
    function _getWindowOf(Copies storage copies, bytes32 root) internal view returns (uint40, uint40) {
        if (root == 0) return (0, 0);
        if (root == copies.root) return _getWindow(copies);
        uint256 count = copies.times.replaced;
        for (uint256 i; i < RING; ++i) {
            uint256 entry = copies.ring[_place(count, i)];
            if (entry >> _UNTIL_BITS == uint256(root) >> _UNTIL_BITS) return (0, uint40(entry));
        }
        return (0, 0);
    }

    /// @dev Where the replaced root is that came as the last but `age`. A root that was replaced twice serves longest by its newer
    /// entry.
    function _place(uint256 count, uint256 age) private pure returns (uint256) {
        unchecked {
            return (count - 1 - age) % RING;
        }
    }

    /// @dev The window of the present root, which must be there.
    function _getWindow(Copies storage copies) private view returns (uint40 validAfter, uint40 validUntil) {
        validAfter = copies.times.shownAt;
        validUntil = uint40(validAfter + MAX_ROOT_AGE);
    }

    /// @dev The window that is left to a remembered configuration, if it is this one.
    function _getRememberedWindow(Copies storage copies, bytes32 dataHash) internal view returns (uint40, uint40) {
        uint256 remembered = copies.remembered;
        bool isSame = remembered >> _UNTIL_BITS == uint256(dataHash) >> _UNTIL_BITS;
        return (0, isSame ? uint40(remembered) : 0);
    }

    /// @dev A relayer may exchange the proof for one of a replaced root: it must not shorten what a newer one gave.
    function _remember(Copies storage copies, bytes32 dataHash, uint40 validUntil) internal {
        uint256 remembered = _pack(dataHash, validUntil);
        uint256 known = copies.remembered;
        if (known < remembered || known >> _UNTIL_BITS != remembered >> _UNTIL_BITS) copies.remembered = remembered;
    }

    function _pack(bytes32 hash, uint40 until) private pure returns (uint256) {
        return uint256(hash) >> _UNTIL_BITS << _UNTIL_BITS | until;
    }
}
