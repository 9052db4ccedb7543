// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {RootCopies} from "./RootCopies.sol";

/// @title The copies that an account of the keystore keeps in itself
abstract contract AccountRoots is RootCopies {
    /// @notice The account's copy is now `root`, which L1 held at block `height` of the rollup and at `l1Time` (seconds).
    event RootPushed(bytes32 indexed root, uint64 indexed height, uint64 l1Time);

    /// @notice The account has a copy already: its first one is taken while it is created.
    error NotFirst();

    Copies private _first;

    constructor(IKeystoreRoots roots_) RootCopies(roots_) {}

    /// @notice The copies: the present root with its height and its window, and the replaced ones, the newest first.
    function getRoots()
        external
        view
        returns (bytes32 root, uint64 height, Window memory window, Replaced[RING] memory replaced)
    {
        return _getRoots(_getCopies());
    }

    /// @notice The first 27 bytes of the remembered configuration's hash, and until when it serves.
    function getRemembered() external view returns (bytes27 dataHash, uint40 validUntil) {
        return _getRemembered(_getCopies());
    }

    /// @notice Copy the newest root of this chain. Anybody may. Reverts with `TooSoon` if it would end the time of a replaced
    /// root.
    function pushRoot() external {
        _push();
    }

    /// @notice Copy the newest root of this chain for the first time, and let `signedRoot` serve as it would serve an account
    /// that had copied it: for `GRACE_SECONDS` after this chain replaced it. A root that this chain does not know is left out.
    /// @dev Called while the account is created, where the block's time may not be asked for (ERC-7562).
    function pushFirstRoot(bytes32 signedRoot) external {
        if (_getCopies().root != 0) revert NotFirst();
        if (_push() != signedRoot) _backdate(_getCopies(), signedRoot);
    }

    /// @dev Where the copies are.
    function _getCopies() internal view virtual returns (Copies storage) {
        return _first;
    }

    function _push() private returns (bytes32 root) {
        uint64 height;
        uint64 l1Time;
        (root, height, l1Time) = _copy(_getCopies());
        emit RootPushed(root, height, l1Time);
    }

    /// @dev The window of a root that a proof leads to: the present one's, a replaced one's, or none.
    function _getWindowOf(bytes32 root) internal view returns (uint40, uint40) {
        return _getWindowOf(_getCopies(), root);
    }

    /// @dev The window that is left to a remembered configuration, if it is this one.
    function _getRememberedWindow(bytes32 dataHash) internal view returns (uint40, uint40) {
        return _getRememberedWindow(_getCopies(), dataHash);
    }

    /// @dev Remember a configuration for as long as the root that it was proven against.
    function _remember(bytes32 dataHash, uint40 validUntil) internal {
        _remember(_getCopies(), dataHash, validUntil);
    }
}
