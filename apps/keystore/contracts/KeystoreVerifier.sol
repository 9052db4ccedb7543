// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";
import {AccountOpening} from "./AccountOpening.sol";
import {AccountSignature} from "./AccountSignature.sol";
import {AxiomProof} from "./AxiomProof.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {NestedDigests} from "./NestedDigests.sol";
import {OutboxOpening} from "./OutboxOpening.sol";
import {RootAges} from "./RootAges.sol";
import {StateVerifier} from "./StateVerifier.sol";
import {Validators} from "./Validators.sol";

/// @title Where the accounts of a factory are
interface IAccountAddresses {
    /// @notice Where the account of `key` is or will be.
    function getAccount(bytes32 key) external view returns (address);
}

/// @title The state verifier as a contract, for those who would rather call than link
/// @notice Also what off-chain programs ask by `eth_call`. No storage, nothing to own.
contract KeystoreVerifier {
    /// @notice What `isValidSignature` believes; zero where it is not used.
    IKeystoreRoots public immutable roots;
    /// @notice The factory of the accounts for which `isValidSignature` answers; zero where it is not used.
    IAccountAddresses public immutable factory;

    constructor(IKeystoreRoots roots_, IAccountAddresses factory_) {
        roots = roots_;
        factory = factory_;
    }

    /// @notice ERC-1271 for the account of `key`, deployed or not: what a deployed one answers, or would answer if it had a copy
    /// of each root of this chain. `signature` is the same in both cases (see `AccountSignature`, within ERC-7739), but nothing
    /// is remembered for an account that is not there.
    function isValidSignature(bytes32 key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        address account = factory.getAccount(key);
        if (account.code.length != 0) return IERC1271(account).isValidSignature(hash, signature);
        (bytes32 digest, bytes calldata inner) = NestedDigests.unnestTypedData(account, hash, signature);
        if (digest != 0 && _isAuthentic(key, digest, inner)) return IERC1271.isValidSignature.selector;
        digest = NestedDigests.nestPersonalSign(account, hash);
        return _isAuthentic(key, digest, signature) ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    /// @dev Whether the configuration that `encoded` opens signed `digest` and is that of `key`, now.
    function _isAuthentic(bytes32 key, bytes32 digest, bytes calldata encoded) private view returns (bool) {
        if (OutboxOpening.isOf(encoded, OutboxOpening.DELEGATE)) return _isDelegate(key, digest, encoded);
        (
            bool wellFormed,
            uint8 mode,,
            bytes32 codeHash,
            bytes calldata config,
            bytes calldata signature,
            bytes calldata opening
        ) = AccountSignature.decode(encoded);
        if (!wellFormed || mode == AccountSignature.CACHED) return false;
        bytes32 dataHash = Hashes.efficientKeccak256(codeHash, keccak256(config));
        bytes32 root = AccountOpening.computeRoot(mode, key, dataHash, opening);
        return root != 0 && _isBelieved(root) && Validators.isValid(codeHash, digest, signature, config);
    }

    /// @dev The same for a delegate to whom the keystore lends the account of `key`.
    function _isDelegate(bytes32 key, bytes32 digest, bytes calldata encoded) private view returns (bool) {
        (bytes32 root, uint64 validUntil, bytes32 codeHash, bytes calldata config, bytes calldata signature) =
            OutboxOpening.openDelegate(encoded, key);
        if (root == 0 || block.timestamp > validUntil || !_isBelieved(root)) return false;
        return Validators.isValid(codeHash, digest, signature, config);
    }

    /// @dev As an account believes roots: the newest by its age, a replaced one for its grace.
    function _isBelieved(bytes32 root) private view returns (bool) {
        uint256 shownAt = roots.shownAt(root);
        uint256 replacedAt = roots.replacedAt(root);
        if (shownAt == 0 || shownAt > block.timestamp) return false;
        if (replacedAt == 0) return block.timestamp <= shownAt + RootAges.MAX_ROOT_AGE;
        return block.timestamp <= RootAges.getGraceEnd(replacedAt, shownAt);
    }

    /// @notice Where an account lives in the tree.
    function computeTreeKey(bytes32 key) external pure returns (bytes32) {
        return StateVerifier.computeTreeKey(key);
    }

    /// @notice What the tree commits to for an account.
    function computeValueHash(bytes32 dataHash, bytes32 vkHash) external pure returns (bytes32) {
        return StateVerifier.computeValueHash(dataHash, vkHash);
    }

    /// @notice Whether the tree of `root` holds a value of hash `valueHash` at `treeKey`.
    function isIncluded(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        pure
        returns (bool)
    {
        return StateVerifier.isIncluded(root, treeKey, valueHash, proof);
    }

    /// @notice Whether the tree of `root` never held anything at `treeKey`.
    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) external pure returns (bool) {
        return StateVerifier.isExcluded(root, treeKey, proof);
    }

    /// @notice Whether the key data of Axiom's proof is authoritative for an address. `encoded` is `abi.encode` of its eight
    /// fields; malformed ones may revert.
    function isAuthoritative(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        pure
        returns (bool)
    {
        return AxiomProof.isAuthoritative(root, keystoreAddress, AxiomProof.read(encoded));
    }
}
