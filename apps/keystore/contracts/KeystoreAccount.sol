// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {TokenCallbackHandler} from "@account-abstraction/contracts/accounts/callback/TokenCallbackHandler.sol";
import {BaseAccount} from "@account-abstraction/contracts/core/BaseAccount.sol";
import {SIG_VALIDATION_FAILED, _packValidationData} from "@account-abstraction/contracts/core/Helpers.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {AbstractSigner} from "@openzeppelin/contracts/utils/cryptography/signers/AbstractSigner.sol";
import {ERC7739} from "@openzeppelin/contracts/utils/cryptography/signers/draft-ERC7739.sol";
import {AccountOpening} from "./AccountOpening.sol";
import {AccountRoots} from "./AccountRoots.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {OutboxOpening} from "./OutboxOpening.sol";
import {Validators} from "./Validators.sol";

/// @title A smart account (ERC-4337) whose keys live on the keystore
/// @notice It has no owner, no initializer, no upgrade and no setting: its 32-byte key, part of its code, is all that decides. A
/// signature (see `AccountSignature`) shows what the keystore says about the key: root -> leaf -> data -> codeHash ->
/// validator. Keys are rotated once, on the keystore; every account of that key on every chain follows its roots.
///
/// Each account is a minimal clone with the key after its code, made by `KeystoreAccountFactory`. This implementation
/// is an account of no key that anybody could have registered.
contract KeystoreAccount is BaseAccount, TokenCallbackHandler, ERC7739, AccountRoots {
    /// @dev Where the immutable arguments begin in the code of a clone by Solady's LibClone.
    uint256 private constant _CLONE_BYTES = 0x2d;

    IEntryPoint private immutable _ENTRY_POINT;

    constructor(IEntryPoint entryPoint_, IKeystoreRoots roots_) EIP712("KeystoreAccount", "1") AccountRoots(roots_) {
        _ENTRY_POINT = entryPoint_;
    }

    receive() external payable {}

    /// @inheritdoc BaseAccount
    function entryPoint() public view override returns (IEntryPoint) {
        return _ENTRY_POINT;
    }

    /// @notice The account's key on the keystore: `keccak256(salt | keccak256(data) | keccak256(vk))` of its first data and vk.
    function key() public view virtual returns (bytes32 key_) {
        assembly ("memory-safe") {
            extcodecopy(address(), 0x00, _CLONE_BYTES, 0x20)
            key_ := mload(0x00)
        }
    }

    /// @dev `userOpHash` binds account, chain and entry point. The block's time may not be asked for here (ERC-7562): the
    /// entry point compares the window that is returned. Malformed signatures fail like wrong ones, without a revert. A wrong
    /// signature does all the work of a right one, also that of remembering what was opened, which the entry point reverts.
    function _validateSignature(PackedUserOperation calldata userOp, bytes32 userOpHash)
        internal
        override
        returns (uint256 validationData)
    {
        (bool isAuthentic, uint40 validAfter, uint40 validUntil, bytes32 remembered) =
            _authenticate(userOpHash, userOp.signature, true);
        if (remembered != 0) _remember(remembered, validUntil);
        if (!isAuthentic) return SIG_VALIDATION_FAILED;
        // The entry point takes `validAfter` itself as too early.
        return _packValidationData(false, validUntil, validAfter == 0 ? 0 : validAfter - 1);
    }

    /// @dev ERC-1271. `hash` comes from ERC-7739, which binds this account and this chain: a signature for one account of a signer
    /// is worth nothing for another one.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature)
        internal
        view
        override(AbstractSigner)
        returns (bool)
    {
        (bool isAuthentic, uint40 validAfter, uint40 validUntil,) = _authenticate(hash, signature, false);
        return isAuthentic && validAfter <= block.timestamp && block.timestamp <= validUntil;
    }

    /// @dev Whether the configuration that `encoded` opens is the one of the account, in the window (none: its end is 0), and signed
    /// `hash`. `remembered` is the data's hash, if it shall be remembered.
    function _authenticate(bytes32 hash, bytes calldata encoded, bool isOperation)
        private
        view
        returns (bool isAuthentic, uint40 validAfter, uint40 validUntil, bytes32 remembered)
    {
        (
            bool wellFormed,
            uint8 mode,
            bool remember,
            bytes32 codeHash,
            bytes calldata config,
            bytes calldata signature,
            bytes calldata opening
        ) = AccountSignature.decode(encoded);
        if (!wellFormed) {
            (isAuthentic, validAfter, validUntil) = _authenticateByOutbox(hash, encoded, isOperation);
            return (isAuthentic, validAfter, validUntil, 0);
        }
        bytes32 dataHash = Hashes.efficientKeccak256(codeHash, keccak256(config));
        (validAfter, validUntil) = mode == AccountSignature.CACHED
            ? _getRememberedWindow(dataHash)
            : _getWindowOf(AccountOpening.computeRoot(mode, key(), dataHash, opening));
        if (validUntil == 0) return (false, 0, 0, 0);
        isAuthentic = Validators.isValid(codeHash, hash, signature, config);
        if (remember) remembered = dataHash;
    }

    /// @dev By the forms that the outbox opens; an intent only for an operation.
    function _authenticateByOutbox(bytes32 hash, bytes calldata encoded, bool isOperation)
        private
        view
        returns (bool, uint40, uint40)
    {
        if (OutboxOpening.isOf(encoded, OutboxOpening.DELEGATE)) return _authenticateDelegate(hash, encoded);
        if (isOperation && OutboxOpening.isOf(encoded, OutboxOpening.INTENT)) return _openIntent(hash, encoded);
        return (false, 0, 0);
    }

    /// @dev When the keystore holds this very operation as an intent of this account; never for what is merely signed (ERC-1271).
    function _openIntent(bytes32 userOpHash, bytes calldata encoded) private view returns (bool, uint40, uint40) {
        (bool isIntended, bytes32 root, uint64 validAfter, uint64 validUntil) =
            OutboxOpening.openIntent(encoded, key(), address(this), userOpHash);
        (uint40 rootAfter, uint40 rootUntil) = _getWindowOf(root);
        (rootAfter, rootUntil) = OutboxOpening.clip(rootAfter, rootUntil, validAfter, validUntil);
        return (isIntended && rootUntil != 0, rootAfter, rootUntil);
    }

    /// @dev The same for a delegate to whom the keystore lends the account.
    function _authenticateDelegate(bytes32 hash, bytes calldata encoded) private view returns (bool, uint40, uint40) {
        (bytes32 root, uint64 validUntil, bytes32 codeHash, bytes calldata config, bytes calldata signature) =
            OutboxOpening.openDelegate(encoded, key());
        (uint40 rootAfter, uint40 rootUntil) = _getWindowOf(root);
        (rootAfter, rootUntil) = OutboxOpening.clip(rootAfter, rootUntil, 0, validUntil);
        if (rootUntil == 0) return (false, 0, 0);
        return (Validators.isValid(codeHash, hash, signature, config), rootAfter, rootUntil);
    }
}
