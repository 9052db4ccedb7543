// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccount} from "@account-abstraction/contracts/interfaces/IAccount.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IUserConfigKeystore} from "keystore/ucmt/IUserConfigKeystore.sol";

/// @title What a deployed account offers; the tests run its artifact and compile none of it
interface IUcmtAccount is IAccount, IERC1271 {
    event KeystoreAccountInitialized(
        IEntryPoint indexed entryPoint, IUserConfigKeystore indexed keystore, bytes32 indexed refHash
    );

    error AlreadyInitialized();

    function entryPoint() external view returns (IEntryPoint);
    function keystore() external view returns (IUserConfigKeystore);
    function refHash() external view returns (bytes32);
    function initialize(bytes32 refHash) external;
    function getDeposit() external view returns (uint256);
    function addDeposit() external payable;
    function withdrawDepositTo(address payable recipient, uint256 amount) external;
    function execute(address target, uint256 value, bytes calldata data) external;
}

/// @title What a deployed factory offers
interface IUcmtAccountFactory {
    error NotFromSenderCreator();

    function implementation() external view returns (IUcmtAccount);
    function createAccount(bytes32 refHash, uint256 salt) external returns (IUcmtAccount);
    function getAddress(bytes32 refHash, uint256 salt) external view returns (address);
    function addPermanentEntryPointStake() external payable;
}
