// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {L1Sload} from "./L1Sload.sol";
import {RootAges} from "./RootAges.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title Opened accounts of the keystore on a chain that reads L1's storage
/// @notice A contract asks whether data and vk are an account's, without proof and without a root of its own: `L1Accounts` on
/// L1 has the words. Not for validation: ERC-7562 lets it call no such precompile.
contract L1SloadAccounts {
    /// @notice How long (seconds) an account is believed after it was opened on L1.
    uint256 public constant MAX_AGE = RootAges.MAX_ROOT_AGE;

    /// @notice `L1Accounts` on L1.
    address public immutable accounts;
    /// @notice The precompile.
    address public immutable l1Sload;

    /// @notice Nobody opened the account on L1 within `MAX_AGE`; at 0 nobody ever did.
    error NotOpen(bytes32 key, uint64 l1Time);

    constructor(address accounts_, address l1Sload_) {
        accounts = accounts_;
        l1Sload = l1Sload_;
    }

    /// @notice What L1 knows of an account: the hash of its value, and at which height of the rollup and which L1 time
    /// (seconds) somebody opened it. Reverts with `NotOpen` when that is too long ago.
    function getAccount(bytes32 key) public view returns (bytes32 valueHash, uint64 height, uint64 l1Time) {
        uint256 place = uint256(keccak256(abi.encode(key, uint256(0))));
        bytes32 times;
        (valueHash, times) = L1Sload.read(l1Sload, accounts, bytes32(place), bytes32(place + 1));
        height = uint64(uint256(times));
        l1Time = uint64(uint256(times) >> 64);
        if (l1Time == 0 || block.timestamp > l1Time + MAX_AGE) revert NotOpen(key, l1Time);
    }

    /// @notice Whether data and vk of these hashes are the account's. Reverts with `NotOpen` as above.
    function isConfigured(bytes32 key, bytes32 dataHash, bytes32 vkHash) external view returns (bool) {
        (bytes32 valueHash,,) = getAccount(key);
        return valueHash == StateVerifier.computeValueHash(dataHash, vkHash);
    }
}
