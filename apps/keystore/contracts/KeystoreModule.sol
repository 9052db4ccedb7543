// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {IERC7579Module, IERC7579Validator} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ERC7739Utils} from "@openzeppelin/contracts/utils/cryptography/draft-ERC7739Utils.sol";
import {AccountOpening} from "./AccountOpening.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {OutboxCalls} from "./OutboxCalls.sol";
import {OutboxOpening} from "./OutboxOpening.sol";
import {RootCopies} from "./RootCopies.sol";
import {Validators} from "./Validators.sol";

/// @title The keystore as a validator (ERC-7579) of accounts that exist
/// @notice An account installs it with its 32-byte key on the keystore, and from then on takes the signatures that a
/// `KeystoreAccount` takes (see `AccountSignature`, `OutboxOpening`). It keeps its address, its assets and its other modules;
/// uninstall its old validator to let the keystore alone decide.
///
/// All that is kept is kept by account, at places that belong to the account after ERC-7562. Before the first operation
/// somebody pushes a root. There is no owner, and nothing can be changed.
contract KeystoreModule is RootCopies, IERC7579Validator {
    /// @notice The account's copy is now `root`, which L1 held at block `height` of the rollup and at `l1Time` (seconds).
    event RootPushed(address indexed account, bytes32 indexed root, uint64 indexed height, uint64 l1Time);
    /// @notice `account` lives by `key` from now on; by none, if that is zero.
    event KeySet(address indexed account, bytes32 indexed key);

    /// @notice The account has a key already; uninstall first.
    error AlreadySet(address account);
    /// @notice No account has the key zero.
    error ZeroKey();

    uint256 private constant _VALIDATOR = 1;
    uint256 private constant _FAILED = 1;
    bytes4 private constant _NO = 0xffffffff;
    /// @dev By which a wallet asks whether signatures are nested (ERC-7739), and the answer.
    bytes32 private constant _NESTED_QUESTION = 0x7739773977397739773977397739773977397739773977397739773977397739;
    bytes4 private constant _NESTED_ANSWER = 0x77390001;
    bytes32 private constant _DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    uint256 private constant _AFTER_SHIFT = 208;
    uint256 private constant _UNTIL_SHIFT = 160;

    /// @notice The key of an account on the keystore; zero if it has none.
    mapping(address account => bytes32) public keyOf;
    mapping(address account => Copies) private _copies;

    constructor(IKeystoreRoots roots_) RootCopies(roots_) {}

    // The module's life in an account

    /// @inheritdoc IERC7579Module
    /// @dev `data` is `abi.encode(key)`. No root is read: another contract's storage is forbidden where an account is made.
    function onInstall(bytes calldata data) external {
        bytes32 key = abi.decode(data, (bytes32));
        if (key == 0) revert ZeroKey();
        if (keyOf[msg.sender] != 0) revert AlreadySet(msg.sender);
        keyOf[msg.sender] = key;
        emit KeySet(msg.sender, key);
    }

    /// @inheritdoc IERC7579Module
    /// @dev Roots stay: they only go forwards, also for the next key.
    function onUninstall(bytes calldata) external {
        delete keyOf[msg.sender];
        delete _copies[msg.sender].remembered;
        emit KeySet(msg.sender, 0);
    }

    /// @inheritdoc IERC7579Module
    function isModuleType(uint256 moduleTypeId) external pure returns (bool) {
        return moduleTypeId == _VALIDATOR;
    }

    /// @notice Whether the account has a key here.
    function isInitialized(address account) external view returns (bool) {
        return keyOf[account] != 0;
    }

    // Roots

    /// @notice Copy the newest root of this chain for an account. Anybody may. Reverts with `TooSoon` if it would end the time of
    /// a replaced root.
    function pushRoot(address account) external {
        (bytes32 root, uint64 height, uint64 l1Time) = _copy(_copies[account]);
        emit RootPushed(account, root, height, l1Time);
    }

    /// @notice The copies of an account: the present root with its height and its window, and the replaced ones, the newest
    /// first.
    function getRoots(address account)
        external
        view
        returns (bytes32 root, uint64 height, Window memory window, Replaced[RING] memory replaced)
    {
        return _getRoots(_copies[account]);
    }

    /// @notice The first 27 bytes of the configuration's hash that an account remembers, and until when it serves.
    function getRemembered(address account) external view returns (bytes27 dataHash, uint40 validUntil) {
        return _getRemembered(_copies[account]);
    }

    // Operations

    /// @inheritdoc IERC7579Validator
    /// @dev Called by the account. `userOpHash` binds account, chain and entry point. A wrong signature does all the work of a right
    /// one, also that of remembering: what is remembered was shown to be the key's, and serves nothing without a signature.
    function validateUserOp(PackedUserOperation calldata userOp, bytes32 userOpHash) external returns (uint256) {
        bytes32 key = keyOf[msg.sender];
        if (key == 0 || userOp.sender != msg.sender) return _FAILED;
        (bool isAuthentic, uint40 validAfter, uint40 validUntil, bytes32 remembered) = _isOfOutbox(userOp.signature)
            ? _authenticateByOutbox(key, userOp, userOpHash)
            : _authenticate(msg.sender, key, userOpHash, userOp.signature);
        if (remembered != 0) _remember(_copies[msg.sender], remembered, validUntil);
        if (!isAuthentic) return _FAILED;
        // The entry point takes `validAfter` itself as too early.
        uint256 from = validAfter == 0 ? 0 : validAfter - 1;
        return from << _AFTER_SHIFT | uint256(validUntil) << _UNTIL_SHIFT;
    }

    function _authenticateByOutbox(bytes32 key, PackedUserOperation calldata userOp, bytes32 userOpHash)
        private
        view
        returns (bool isAuthentic, uint40 validAfter, uint40 validUntil, bytes32)
    {
        if (!OutboxCalls.isHarmless(msg.sender, userOp.callData)) return (false, 0, 0, 0);
        (isAuthentic, validAfter, validUntil) = OutboxOpening.isOf(userOp.signature, OutboxOpening.INTENT)
            ? _openIntent(key, userOpHash, userOp.signature)
            : _authenticateDelegate(msg.sender, key, userOpHash, userOp.signature);
        return (isAuthentic, validAfter, validUntil, 0);
    }

    function _isOfOutbox(bytes calldata encoded) private pure returns (bool) {
        return OutboxOpening.isOf(encoded, OutboxOpening.INTENT) || OutboxOpening.isOf(encoded, OutboxOpening.DELEGATE);
    }

    // Messages

    /// @inheritdoc IERC7579Validator
    /// @notice ERC-1271 by ERC-7739 in the account's own domain (EIP-5267), or, if it names none, in `{KeystoreModule, 1, chain id,
    /// account}`. `sender` is who asks the account: where that is the account itself, which might ask for the leave to change
    /// itself, a delegate has nothing to say.
    function isValidSignatureWithSender(address sender, bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4)
    {
        if (hash == _NESTED_QUESTION && signature.length == 0) return _NESTED_ANSWER;
        bytes32 key = keyOf[msg.sender];
        if (key == 0) return _NO;
        (bytes32 nameHash, bytes32 versionHash) = _readDomain(msg.sender);
        (bytes32 digest, bytes calldata inner) = _unnestTypedData(nameHash, versionHash, hash, signature);
        if (digest != 0 && _isAuthentic(sender, key, digest, inner)) return IERC1271.isValidSignature.selector;
        bytes32 domain = keccak256(abi.encode(_DOMAIN_TYPE, nameHash, versionHash, block.chainid, msg.sender));
        digest = MessageHashUtils.toTypedDataHash(domain, ERC7739Utils.personalSignStructHash(hash));
        return _isAuthentic(sender, key, digest, signature) ? IERC1271.isValidSignature.selector : _NO;
    }

    function _isAuthentic(address sender, bytes32 key, bytes32 digest, bytes calldata encoded)
        private
        view
        returns (bool)
    {
        (bool isAuthentic, uint40 validAfter, uint40 validUntil,) = _authenticate(msg.sender, key, digest, encoded);
        if (sender != msg.sender && OutboxOpening.isOf(encoded, OutboxOpening.DELEGATE)) {
            (isAuthentic, validAfter, validUntil) = _authenticateDelegate(msg.sender, key, digest, encoded);
        }
        return isAuthentic && validAfter <= block.timestamp && block.timestamp <= validUntil;
    }

    /// @dev Name and version of the account's domain. One that differs in chain or contract is not this account's.
    function _readDomain(address account) private view returns (bytes32, bytes32) {
        (bool success, bytes memory answer) = account.staticcall(abi.encodeCall(IERC5267.eip712Domain, ()));
        // An account that does not know the question may answer nothing.
        if (success && answer.length != 0) {
            (, string memory name, string memory version, uint256 chainId, address found, bytes32 salt,) =
                abi.decode(answer, (bytes1, string, string, uint256, address, bytes32, uint256[]));
            if (chainId == block.chainid && found == account && salt == 0) {
                return (keccak256(bytes(name)), keccak256(bytes(version)));
            }
        }
        return (keccak256("KeystoreModule"), keccak256("1"));
    }

    /// @dev What is signed of an app's typed data of hash `hash`, and the signature without ERC-7739's tail; zero if the tail
    /// does not describe that hash.
    function _unnestTypedData(bytes32 nameHash, bytes32 versionHash, bytes32 hash, bytes calldata nested)
        private
        view
        returns (bytes32 digest, bytes calldata signature)
    {
        bytes32 appSeparator;
        bytes32 contentsHash;
        string calldata description;
        (signature, appSeparator, contentsHash, description) = ERC7739Utils.decodeTypedDataSig(nested);
        (string calldata name, string calldata type_) = ERC7739Utils.decodeContentsDescr(description);
        bool isOf = hash == MessageHashUtils.toTypedDataHash(appSeparator, contentsHash);
        if (!isOf || bytes(name).length == 0) return (0, signature);
        bytes memory domain = abi.encode(nameHash, versionHash, block.chainid, msg.sender, bytes32(0));
        bytes32 structHash = ERC7739Utils.typedDataSignStructHash(name, type_, contentsHash, domain);
        digest = MessageHashUtils.toTypedDataHash(appSeparator, structHash);
    }

    // What a signature shows

    /// @dev Whether the configuration that `encoded` opens is that of `key` in the window, whose end is 0 if there is not one, and signed
    /// `hash`. `remembered` is the data's hash, if it shall be remembered.
    function _authenticate(address account, bytes32 key, bytes32 hash, bytes calldata encoded)
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
        if (!wellFormed) return (false, 0, 0, 0);
        bytes32 dataHash = Hashes.efficientKeccak256(codeHash, keccak256(config));
        (validAfter, validUntil) = mode == AccountSignature.CACHED
            ? _getRememberedWindow(_copies[account], dataHash)
            : _getWindowOf(_copies[account], AccountOpening.computeRoot(mode, key, dataHash, opening));
        if (validUntil == 0) return (false, 0, 0, 0);
        isAuthentic = Validators.isValid(codeHash, hash, signature, config);
        if (remember) remembered = dataHash;
    }

    function _openIntent(bytes32 key, bytes32 userOpHash, bytes calldata encoded)
        private
        view
        returns (bool, uint40, uint40)
    {
        (bool isIntended, bytes32 root, uint64 validAfter, uint64 validUntil) =
            OutboxOpening.openIntent(encoded, key, msg.sender, userOpHash);
        (uint40 rootAfter, uint40 rootUntil) = _getWindowOf(_copies[msg.sender], root);
        (rootAfter, rootUntil) = OutboxOpening.clip(rootAfter, rootUntil, validAfter, validUntil);
        return (isIntended && rootUntil != 0, rootAfter, rootUntil);
    }

    function _authenticateDelegate(address account, bytes32 key, bytes32 hash, bytes calldata encoded)
        private
        view
        returns (bool, uint40, uint40)
    {
        (bytes32 root, uint64 validUntil, bytes32 codeHash, bytes calldata config, bytes calldata signature) =
            OutboxOpening.openDelegate(encoded, key);
        (uint40 rootAfter, uint40 rootUntil) = _getWindowOf(_copies[account], root);
        (rootAfter, rootUntil) = OutboxOpening.clip(rootAfter, rootUntil, 0, validUntil);
        if (rootUntil == 0) return (false, 0, 0);
        return (Validators.isValid(codeHash, hash, signature, config), rootAfter, rootUntil);
    }
}
