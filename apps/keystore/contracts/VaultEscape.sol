// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {EscapeVerifier} from "./EscapeVerifier.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";
import {StateVerifier} from "./StateVerifier.sol";
import {VaultLeaves} from "./VaultLeaves.sol";

/// @title Who may move an account's money out of a vault that is frozen
abstract contract VaultEscape is EIP712 {
    /// @notice What verifies signatures.
    EscapeVerifier public immutable verifier;

    bytes1 private constant _CALLER = 0x00;
    bytes1 private constant _SIGNATURE = 0x01;
    bytes1 private constant _OWNERS = 0x02;
    bytes1 private constant _EXIT = 0x03;
    /// @dev Of an exit: two addresses and a time.
    uint256 private constant _EXIT_BYTES = 48;

    /// @dev keccak256 of Axiom's verification key of m of n Ethereum keys.
    bytes32 private constant _M_OF_N_VK_HASH = 0xa53fe8d9f71ced9b27711b393df4d425ea68ee941b625a1c4cbcbd773811d8df;

    constructor(EscapeVerifier verifier_) EIP712("KeystoreVault", "1") {
        verifier = verifier_;
    }

    /// @dev Reverts unless who holds the account of `key` under `root` wants its money of `token` to go to `to`.
    function _verifyHolder(
        bytes32 root,
        uint256 timestamp,
        bytes32 key,
        address token,
        address to,
        IKeystoreVault.Opening calldata opening,
        bytes calldata authorization
    ) internal view {
        bytes32 vkHash = _verifyAccount(root, key, opening);
        (bool isLocked, bytes32 nextVkHash) = _readLock(opening.data);
        if (isLocked) vkHash = nextVkHash;
        bool isAuthorized;
        bytes1 kind = authorization.length == 0 ? bytes1(0xff) : authorization[0];
        EscapeVerifier.Statement memory statement =
            EscapeVerifier.Statement(_domainSeparatorV4(), key, token, to);
        if (kind == _CALLER) {
            isAuthorized = authorization.length == 1 && keccak256(abi.encodePacked(msg.sender)) == vkHash;
        } else if (kind == _SIGNATURE) {
            address sender = verifier.recoverSender(statement, authorization[1:]);
            isAuthorized = sender != address(0) && keccak256(abi.encodePacked(sender)) == vkHash;
        } else if (kind == _OWNERS) {
            isAuthorized = !isLocked && vkHash == _M_OF_N_VK_HASH
                && verifier.isSignedByOwners(statement, opening.data, authorization[1:]);
        } else if (kind == _EXIT) {
            isAuthorized = !isLocked && to == _readExit(root, timestamp, key, authorization);
        }
        if (!isAuthorized) revert IKeystoreVault.NotAuthorized(key);
    }

    /// @dev The hash of the account's vk, whose place in the state the opening shows.
    function _verifyAccount(bytes32 root, bytes32 key, IKeystoreVault.Opening calldata opening)
        private
        pure
        returns (bytes32 vkHash)
    {
        bytes32 dataHash = keccak256(opening.data);
        vkHash = keccak256(opening.vk);
        bool isShown;
        if (opening.isExclusion) {
            isShown = key == keccak256(abi.encodePacked(opening.salt, dataHash, vkHash))
                && StateVerifier.isExcluded(root, StateVerifier.computeTreeKey(key), opening.proof);
        } else {
            isShown = VaultLeaves.isAccount(root, key, dataHash, vkHash, opening.proof);
        }
        if (!isShown) revert IKeystoreVault.WrongProof();
    }

    /// @dev A recovery that has its threshold puts `bytes32(0) | keccak256(next vk)` into the account's data.
    function _readLock(bytes calldata data) private pure returns (bool isLocked, bytes32 nextVkHash) {
        isLocked = data.length == 64 && bytes32(data[:32]) == 0;
        if (isLocked) nextVkHash = bytes32(data[32:]);
    }

    /// @dev The exit that was in force at the frozen block's time.
    function _readExit(bytes32 root, uint256 timestamp, bytes32 key, bytes calldata authorization)
        private
        pure
        returns (address)
    {
        if (authorization.length < 1 + _EXIT_BYTES) return address(0);
        address previous = address(bytes20(authorization[1:21]));
        address next = address(bytes20(authorization[21:41]));
        uint64 effective = uint64(bytes8(authorization[41:49]));
        bytes32 valueHash = keccak256(abi.encode(previous, next, effective));
        if (!StateVerifier.isIncluded(root, VaultLeaves.computeExitKey(key), valueHash, authorization[49:])) {
            revert IKeystoreVault.WrongProof();
        }
        return timestamp >= effective ? next : previous;
    }
}
