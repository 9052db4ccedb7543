// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseAccount} from "@account-abstraction/contracts/core/BaseAccount.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IAccount} from "@account-abstraction/contracts/interfaces/IAccount.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {AccountRoots} from "keystore/AccountRoots.sol";

/// @title What a deployed account offers; the tests run its artifact and compile none of it
interface IKeystoreAccount is IAccount, IERC1271, IERC721Receiver, IERC1155Receiver {
    function key() external view returns (bytes32);
    function pushRoot() external;
    function pushFirstRoot(bytes32 signedRoot) external;
    function getRoots()
        external
        view
        returns (
            bytes32 root,
            uint64 height,
            AccountRoots.Window memory window,
            AccountRoots.Replaced[4] memory replaced
        );
    function getRemembered() external view returns (bytes27 dataHash, uint40 validUntil);
    function execute(address target, uint256 value, bytes calldata data) external;
    function executeBatch(BaseAccount.Call[] calldata calls) external;
}

/// @title What a deployed factory offers
interface IKeystoreAccountFactory {
    error NotSenderCreator(address caller);
    error NotOwner(address caller);

    function isOpen() external view returns (bool);
    function entryPoint() external view returns (IEntryPoint);
    function implementation() external view returns (IKeystoreAccount);
    function createAccount(bytes32 key, bytes32 signedRoot) external returns (address account);
    function getAccount(bytes32 key) external view returns (address);
    function addStake(uint32 unstakeDelay) external payable;
    function unlockStake() external;
    function withdrawStake(address payable recipient) external;
}
