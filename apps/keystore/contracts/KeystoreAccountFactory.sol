// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {KeystoreAccount} from "./KeystoreAccount.sol";

/// @title Makes accounts, each at the address that its key gives
/// @notice The address depends on this factory's address and the key. The factory's depends on its creation code and its
/// arguments: entry point, roots and owner must be at the same addresses on all chains for accounts to be.
///
/// The factory must be staked in the entry point: while it makes an account, the account copies the newest root from
/// another contract's storage, which ERC-7562 allows to staked factories only. The owner can do nothing but to stake
/// and to take the stake back; then no new accounts come through bundlers, and the existing ones do not notice.
contract KeystoreAccountFactory {
    /// @notice A new account.
    event AccountCreated(address indexed account, bytes32 indexed key);

    /// @notice Only the entry point's helper may make accounts where `isOpen` is false: else anybody could make one first and
    /// so spoil the operation that was signed to make it and to do something with it (AA10).
    error NotSenderCreator(address caller);
    /// @notice Only the owner manages the stake.
    error NotOwner(address caller);

    IEntryPoint public immutable entryPoint;
    address public immutable senderCreator;
    address public immutable owner;
    /// @notice Whether anybody may make accounts: the entry point is one that ignores the `initCode` of an account which is
    /// there already, as EntryPoint 0.9 and later do. Only then can others verify a signature of an account that is not
    /// deployed by deploying it (ERC-6492).
    bool public immutable isOpen;
    KeystoreAccount public immutable implementation;

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    constructor(IEntryPoint entryPoint_, IKeystoreRoots roots_, address owner_) {
        entryPoint = entryPoint_;
        senderCreator = address(entryPoint_.senderCreator());
        owner = owner_;
        isOpen = _ignoresInitCode(address(entryPoint_));
        implementation = new KeystoreAccount(entryPoint_, roots_);
    }

    /// @notice Make the account of `key` if it is not there, with a copy of the newest root. `signedRoot` is the root against
    /// which the operation that makes the account was signed: if this chain has replaced it since, it serves for the grace that
    /// it would have in an account that existed; any other value is left out. There is nothing else to set, so it makes no
    /// difference who asks for it, and the address depends on the key alone.
    function createAccount(bytes32 key, bytes32 signedRoot) external returns (address account) {
        if (!isOpen && msg.sender != senderCreator) revert NotSenderCreator(msg.sender);
        bool alreadyDeployed;
        (alreadyDeployed, account) =
            LibClone.createDeterministicClone(address(implementation), abi.encodePacked(key), bytes32(0));
        if (alreadyDeployed) return account;
        KeystoreAccount(payable(account)).pushFirstRoot(signedRoot);
        emit AccountCreated(account, key);
    }

    /// @notice Where the account of `key` is or will be.
    function getAccount(bytes32 key) external view returns (address) {
        return LibClone.predictDeterministicAddress(
            address(implementation), abi.encodePacked(key), bytes32(0), address(this)
        );
    }

    /// @notice Add `msg.value` to the stake, which can be taken back `unstakeDelay` seconds after `unlockStake`.
    function addStake(uint32 unstakeDelay) external payable onlyOwner {
        entryPoint.addStake{value: msg.value}(unstakeDelay);
    }

    /// @notice Begin to take the stake back.
    function unlockStake() external onlyOwner {
        entryPoint.unlockStake();
    }

    /// @notice Take the stake back, once its delay has passed.
    function withdrawStake(address payable recipient) external onlyOwner {
        entryPoint.withdrawStake(recipient);
    }

    /// @dev EntryPoint 0.9 brought `getCurrentUserOpHash`, which 0.8 does not have, in the same version as the other.
    function _ignoresInitCode(address entryPoint_) private view returns (bool) {
        (bool success, bytes memory answer) = entryPoint_.staticcall(abi.encodeWithSignature("getCurrentUserOpHash()"));
        return success && answer.length == 32;
    }
}
