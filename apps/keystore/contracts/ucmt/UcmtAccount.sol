// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TokenCallbackHandler} from "@account-abstraction/contracts/accounts/callback/TokenCallbackHandler.sol";
import {BaseAccount} from "@account-abstraction/contracts/core/BaseAccount.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {ERC1271} from "solady/src/accounts/ERC1271.sol";
import {IUserConfigKeystore, ValidateAction} from "./IUserConfigKeystore.sol";

/// @title A smart account (ERC-4337) whose nodes are on a `UserConfigKeystore`
/// @notice A signature is `abi.encode(bytes proof, bytes node, bytes data)`. With a proof, the account registers the node first;
/// without, `node` is the hash of a registered one. Its storage is one word, and it cannot be upgraded. Accounts are
/// minimal clones, made by `UcmtAccountFactory`.
contract UcmtAccount is BaseAccount, TokenCallbackHandler, ERC1271 {
    /// @notice A new account.
    event KeystoreAccountInitialized(
        IEntryPoint indexed entryPoint, IUserConfigKeystore indexed keystore, bytes32 indexed refHash
    );

    /// @notice The account has its user already.
    error AlreadyInitialized();

    uint256 private constant _FAILED = 1;

    IEntryPoint private immutable _ENTRY_POINT;
    IUserConfigKeystore private immutable _KEYSTORE;

    /// @notice The first root of the account's user.
    bytes32 public refHash;

    constructor(IEntryPoint entryPoint_, IUserConfigKeystore keystore_) {
        (_ENTRY_POINT, _KEYSTORE) = (entryPoint_, keystore_);
        // The implementation is the account of a root that nobody has.
        refHash = bytes32(type(uint256).max);
    }

    receive() external payable {}

    /// @notice Give the account its user. The factory does so in the transaction that makes the account.
    function initialize(bytes32 refHash_) external {
        if (refHash != 0) revert AlreadyInitialized();
        refHash = refHash_;
        emit KeystoreAccountInitialized(_ENTRY_POINT, _KEYSTORE, refHash_);
    }

    /// @notice Add `msg.value` to the account's deposit in the entry point.
    function addDeposit() external payable {
        _ENTRY_POINT.depositTo{value: msg.value}(address(this));
    }

    /// @notice Take from the deposit. Only by a user operation.
    function withdrawDepositTo(address payable recipient, uint256 amount) external {
        _requireFromEntryPoint();
        _ENTRY_POINT.withdrawTo(recipient, amount);
    }

    /// @notice The account's deposit in the entry point, in wei.
    function getDeposit() external view returns (uint256) {
        return _ENTRY_POINT.balanceOf(address(this));
    }

    /// @notice Where the account's root is.
    function keystore() external view returns (IUserConfigKeystore) {
        return _KEYSTORE;
    }

    /// @inheritdoc BaseAccount
    function entryPoint() public view override returns (IEntryPoint) {
        return _ENTRY_POINT;
    }

    /// @dev What the verifier returns is the validation data of ERC-4337. It gets the whole operation, with `data` as signature,
    /// so that it may judge what the operation does.
    function _validateSignature(PackedUserOperation calldata userOp, bytes32 userOpHash)
        internal
        override
        returns (uint256)
    {
        (bytes memory proof, bytes memory node, bytes memory data) =
            abi.decode(userOp.signature, (bytes, bytes, bytes));
        bytes32 ownRefHash = refHash;
        if (proof.length != 0) {
            _KEYSTORE.registerNode(ownRefHash, abi.decode(proof, (bytes32[])), node);
            node = abi.encode(keccak256(node));
        }
        PackedUserOperation memory operation = userOp;
        operation.signature = data;
        return _KEYSTORE.validate(ValidateAction(ownRefHash, userOpHash, "", node, abi.encode(operation)));
    }

    /// @dev ERC-1271. `hash` comes from ERC-7739, which binds this account and this chain. Nothing is registered; time windows
    /// in what the verifier returns are not read.
    function _erc1271IsValidSignatureNowCalldata(bytes32 hash, bytes calldata signature)
        internal
        view
        override
        returns (bool)
    {
        (bytes memory proof, bytes memory node, bytes memory data) = abi.decode(signature, (bytes, bytes, bytes));
        return _KEYSTORE.validate(ValidateAction(refHash, hash, proof, node, data)) != _FAILED;
    }

    /// @dev Never read: signatures are judged by the keystore.
    function _erc1271Signer() internal pure override returns (address) {
        return address(0);
    }

    function _domainNameAndVersion() internal pure override returns (string memory, string memory) {
        return ("KeystoreAccount", "1");
    }
}
