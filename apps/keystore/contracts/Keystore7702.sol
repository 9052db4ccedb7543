// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IKeystoreRoots} from "./IKeystoreRoots.sol";
import {KeystoreAccount} from "./KeystoreAccount.sol";

/// @title What an EOA delegates to (EIP-7702) in order to keep its address and take its keys from the keystore
/// @notice One contract for all EOAs of a chain. It takes the signatures of a `KeystoreAccount`, in the same EIP-712 domain. The
/// key is in the EOA's storage, set by a signature of the EOA's own private key and in no other way: the EOA as the caller
/// is not enough, since any operation that a key of the keystore signs can make the account call itself.
///
/// The EOA's private key stays a master key. It can set another key, delegate to other code, send transactions and sign what is
/// checked by `ecrecover` (many permits). The keystore cannot revoke it, and a rotation does not help against its thief.
///
/// Each deployment has a place of its own: what another one was told, and the roots that it took from another contract, do
/// not count here. Hostile code that the EOA delegated to could still write to that place, the roots too. A `setKey` of a larger
/// sequence than is there begins anew: nothing else that was there counts after it.
contract Keystore7702 is KeystoreAccount {
    /// @notice The account lives by `key` from now on. `sequence` is that of the signature.
    event KeySet(bytes32 indexed key, uint256 sequence);

    /// @notice No account has the key zero.
    error ZeroKey();
    /// @notice Not a signature of the EOA's own key for this chain, this delegate, this key and this sequence.
    error NotOwnSignature();
    /// @notice A later signature has set the key, or another one with the same sequence.
    error StaleSequence(uint256 known, uint256 sequence);

    struct _Settings {
        bytes32 key;
        /// Of the last signature that set the key; zero before the first.
        uint256 sequence;
        Copies copies;
    }

    /// @dev ERC-7201, `erc7201:microrollup.keystore.7702`: a mapping from delegates to settings.
    bytes32 private constant _PLACES = 0x9ac508ec621397efe225c4d4623ba2f79f2e0008cf171d4395da5790a78ee300;
    bytes32 private constant _SET_KEY = keccak256("SetKey(address delegate,bytes32 key,uint256 sequence)");

    address private immutable _DELEGATE = address(this);
    bytes32 private immutable _PLACE = keccak256(abi.encode(address(this), _PLACES));

    constructor(IEntryPoint entryPoint_, IKeystoreRoots roots_) KeystoreAccount(entryPoint_, roots_) {}

    /// @notice Live by a key of the keystore. Anybody may send it: it is the signature that counts. Sent once more it changes
    /// nothing, so that nobody can spoil an operation or a transaction that begins with it.
    ///
    /// Roots are forgotten: a `pushRoot` must follow before the keystore's keys sign.
    /// @param newKey The account's key on the keystore; it need not be registered.
    /// @param sequence Larger than that of the last signature, from 1.
    /// @param signature Of the EOA's key: `r 32 | s 32 | v 1`, over the EIP-712 struct
    /// `SetKey(address delegate,bytes32 key,uint256 sequence)` in `{KeystoreAccount, 1, chain id, EOA}`; `delegate` is this
    /// contract.
    function setKey(bytes32 newKey, uint256 sequence, bytes calldata signature) external {
        if (newKey == 0) revert ZeroKey();
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(_SET_KEY, _DELEGATE, newKey, sequence)));
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure != ECDSA.RecoverError.NoError || signer != address(this)) revert NotOwnSignature();
        _Settings storage settings = _getSettings();
        if (sequence == settings.sequence && newKey == settings.key) return;
        if (sequence <= settings.sequence) revert StaleSequence(settings.sequence, sequence);
        settings.key = newKey;
        settings.sequence = sequence;
        delete settings.copies;
        emit KeySet(newKey, sequence);
    }

    /// @notice The account's key on the keystore; zero before `setKey`, and nobody's signature counts.
    function key() public view override returns (bytes32) {
        return _getSettings().key;
    }

    /// @notice The sequence of the last signature that set the key; the next one's must be larger.
    function keySequence() external view returns (uint256) {
        return _getSettings().sequence;
    }

    function _getCopies() internal view override returns (Copies storage) {
        return _getSettings().copies;
    }

    function _getSettings() private view returns (_Settings storage settings) {
        bytes32 place = _PLACE;
        assembly ("memory-safe") {
            settings.slot := place
        }
    }
}
