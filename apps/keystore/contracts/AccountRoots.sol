// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";

/// @title An account's own copies of the keystore's roots, and the configuration that it remembers
/// @notice ERC-7562 lets validation read the account's own storage and no other contract's: what everybody's validation read,
/// one transaction could change, and with it invalidate a whole mempool. So the account keeps a copy. Anybody may renew
/// it, from the roots of this chain only, and only forwards.
///
/// A root is worth something for `MAX_ROOT_AGE` after the latest time at which L1 was shown to hold it. A root that was
/// replaced serves for `GRACE_SECONDS` more, so that what is on its way arrives. A remembered configuration lives exactly as long as
/// the root that it was proven against: remembering never gives more time than the proof did.
abstract contract AccountRoots {
    /// @notice The account's copy is now `root`, which L1 held at block `height` of the rollup and at `l1Time` (seconds).
    event RootPushed(bytes32 indexed root, uint64 indexed height, uint64 l1Time);

    /// @notice The roots' contract of this chain has none yet.
    error NoRoot();
    /// @notice The roots' contract of this chain went back, by height, by L1 time, or to another root at a known height.
    error RegressingRoot(uint64 knownHeight, uint64 knownTime, uint64 height, uint64 l1Time);

    /// @notice From when until when (seconds, both included) a root is believed; it is not if `validUntil` is 0.
    struct Window {
        uint40 validAfter;
        uint40 validUntil;
    }

    struct _Times {
        uint64 height;
        uint40 shownAt;
        uint40 previousShownAt;
        uint40 previousUntil;
    }

    /// @notice How long after it was last shown on L1 a root is believed. It bounds what a retired key can do where nobody
    /// pushes a newer root, and how often an idle account needs a push.
    uint256 public constant MAX_ROOT_AGE = 7 days;
    /// @notice How long the previous root is believed after a push.
    uint256 public constant GRACE_SECONDS = 15 minutes;
    uint256 private constant _UNTIL_BITS = 40;

    IKeystoreRoots private immutable _ROOTS;

    bytes32 private _root;
    _Times private _times;
    bytes32 private _previousRoot;
    /// @dev `dataHash, its first 216 bits | until 40`: one word, since each word read costs validation 2,100 gas. Two
    /// configurations with the same 216 bits take 2^108 hashes to find.
    uint256 private _remembered;

    constructor(IKeystoreRoots roots_) {
        _ROOTS = roots_;
    }

    /// @notice The contract that this account takes roots from.
    function roots() public view returns (IKeystoreRoots) {
        return _ROOTS;
    }

    /// @notice The copies: present and previous root, with their windows.
    function getRoots()
        external
        view
        returns (bytes32 root, uint64 height, Window memory window, bytes32 previousRoot, Window memory previousWindow)
    {
        root = _root;
        if (root != 0) (window.validAfter, window.validUntil) = _getWindow();
        previousRoot = _previousRoot;
        (previousWindow.validAfter, previousWindow.validUntil) = _getPreviousWindow();
        height = _times.height;
    }

    /// @notice The first 27 bytes of the remembered configuration's hash, and until when it serves.
    function getRemembered() external view returns (bytes27 dataHash, uint40 validUntil) {
        return (bytes27(bytes32(_remembered)), uint40(_remembered));
    }

    /// @notice Copy the newest root of this chain. Anybody may.
    /// @dev The first copy is taken while the account is created, where the block's time may not be asked for.
    function pushRoot() external {
        (bytes32 root, uint64 height, uint64 l1Time) = _ROOTS.latest();
        if (root == 0) revert NoRoot();
        // Checked with the window's length, so that no later sum of times leaves its 40 bits.
        uint40 validUntil = SafeCast.toUint40(l1Time + MAX_ROOT_AGE);
        _Times memory times = _times;
        bytes32 current = _root;
        bool isOlder = height < times.height || l1Time < times.shownAt;
        if (isOlder || (height == times.height && root != current && current != 0)) {
            revert RegressingRoot(times.height, times.shownAt, height, l1Time);
        }
        if (root != current) {
            if (current != 0) _retire(current, times);
            _root = root;
        }
        times.height = height;
        times.shownAt = uint40(validUntil - MAX_ROOT_AGE);
        _times = times;
        emit RootPushed(root, height, l1Time);
    }

    /// @dev The present root becomes the previous one, and what is remembered ends with it.
    function _retire(bytes32 current, _Times memory times) private {
        uint256 graceEnd = block.timestamp + GRACE_SECONDS;
        uint256 windowEnd = times.shownAt + MAX_ROOT_AGE;
        times.previousShownAt = times.shownAt;
        times.previousUntil = uint40(graceEnd < windowEnd ? graceEnd : windowEnd);
        _previousRoot = current;
        uint256 remembered = _remembered;
        if (uint40(remembered) > times.previousUntil) {
            _remembered = remembered >> _UNTIL_BITS << _UNTIL_BITS | times.previousUntil;
        }
    }

    /// @dev The present root; zero before the first push.
    function _getRoot() internal view returns (bytes32) {
        return _root;
    }

    function _getPreviousRoot() internal view returns (bytes32) {
        return _previousRoot;
    }

    /// @dev The window of the present root, which must be there.
    function _getWindow() internal view returns (uint40 validAfter, uint40 validUntil) {
        validAfter = _times.shownAt;
        validUntil = uint40(validAfter + MAX_ROOT_AGE);
    }

    function _getPreviousWindow() internal view returns (uint40, uint40) {
        return (_times.previousShownAt, _times.previousUntil);
    }

    /// @dev The window that is left to a remembered configuration, if it is this one.
    function _getRememberedWindow(bytes32 dataHash) internal view returns (uint40, uint40) {
        uint256 remembered = _remembered;
        bool isSame = remembered >> _UNTIL_BITS == uint256(dataHash) >> _UNTIL_BITS;
        return (0, isSame ? uint40(remembered) : 0);
    }

    /// @dev Whoever relays may exchange the proof for one of the previous root: it must not shorten what a newer one gave.
    function _remember(bytes32 dataHash, uint40 validUntil) internal {
        uint256 remembered = uint256(dataHash) >> _UNTIL_BITS << _UNTIL_BITS | validUntil;
        uint256 known = _remembered;
        if (known < remembered || known >> _UNTIL_BITS != remembered >> _UNTIL_BITS) _remembered = remembered;
    }
}
