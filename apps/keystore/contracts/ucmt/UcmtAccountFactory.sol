// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";
import {IUserConfigKeystore} from "./IUserConfigKeystore.sol";
import {UcmtAccount} from "./UcmtAccount.sol";

/// @title Makes accounts, each at the address that its user's first root and a salt give
/// @notice The address depends on the factory's and the implementation's too: on another chain it is the same if entry point and
/// keystore are. The factory must be staked, since an account registers its first node while it is made (ERC-7562).
contract UcmtAccountFactory {
    /// @notice Only the entry point's helper may make accounts: else anybody could spoil the operation that makes one.
    error NotFromSenderCreator();

    IEntryPoint public immutable entryPoint;
    UcmtAccount public immutable implementation;
    address private immutable _SENDER_CREATOR;

    constructor(IEntryPoint entryPoint_, IUserConfigKeystore keystore_) {
        entryPoint = entryPoint_;
        implementation = new UcmtAccount(entryPoint_, keystore_);
        _SENDER_CREATOR = address(entryPoint_.senderCreator());
    }

    /// @notice Make the account if it is not there.
    function createAccount(bytes32 refHash, uint256 salt) external returns (UcmtAccount account) {
        if (msg.sender != _SENDER_CREATOR) revert NotFromSenderCreator();
        address predicted = getAddress(refHash, salt);
        account = UcmtAccount(payable(predicted));
        if (predicted.code.length != 0) return account;
        LibClone.cloneDeterministic(address(implementation), _hash(refHash, salt));
        account.initialize(refHash);
    }

    /// @notice Add `msg.value` to the stake. Nobody can take it back.
    function addPermanentEntryPointStake() external payable {
        entryPoint.addStake{value: msg.value}(type(uint32).max);
    }

    /// @notice Where the account is or will be.
    function getAddress(bytes32 refHash, uint256 salt) public view returns (address) {
        return LibClone.predictDeterministicAddress(address(implementation), _hash(refHash, salt), address(this));
    }

    function _hash(bytes32 refHash, uint256 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(refHash, salt));
    }
}
