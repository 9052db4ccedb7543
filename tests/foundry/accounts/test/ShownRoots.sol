// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";

/// @title Roots of a chain whose bridge says whatever it is told
/// @notice What an account does about roots that regress or come from the future is its own matter; `KeystoreRoots` would
/// not let them in.
contract ShownRoots is IKeystoreRoots {
    bytes32 private _root;
    uint64 private _height;
    uint64 private _l1Time;
    mapping(bytes32 root => uint64) public shownAt;
    mapping(bytes32 root => uint64) public replacedAt;

    function show(bytes32 root, uint64 height, uint64 l1Time) external {
        (_root, _height, _l1Time) = (root, height, l1Time);
        shownAt[root] = l1Time;
    }

    function latest() external view returns (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) {
        return (_root, _height, _l1Time, _l1Time);
    }
}
