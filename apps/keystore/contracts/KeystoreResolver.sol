// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {LibClone} from "solady/src/utils/LibClone.sol";
import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title ENS names of the keystore's accounts (ENSIP-10, ERC-3668)
/// @notice Resolves `label.parent`, exactly one label deep. The account's key is the name's namehash, so its address on each
/// chain follows from the name; the keystore says whether anybody has registered it. That is always proven: the query goes to a
/// gateway (`OffchainLookup`), and what it answers is checked here against the root that the inbox holds. So a gateway
/// can refuse to answer, and cannot lie. A name that is not registered resolves to nothing, since the next to register
/// it would own what was sent.
///
///     addr(node), addr(node, coinType)   the account's address on a listed chain; the key itself under the rollup's own type
///     text(node, name)                   the account's text record
///
/// A gateway is asked `prove(uint16 silo, bytes32 key)` and answers `abi.encode(bool exists, bytes value, bytes proof)` under
/// the settled root: the leaf's value, and an inclusion or exclusion proof (see `StateVerifier`).
/// Nothing can be changed, and there is no owner.
contract KeystoreResolver is IERC165 {
    /// @notice Where accounts are on one chain: minimal clones of `implementation` that `factory` makes. Another list, or another
    /// kind of chain, is another resolver.
    struct Chain {
        uint256 coinType;
        address factory;
        address implementation;
    }

    /// @notice ERC-3668: ask one of `urls`, and bring the answer to `callback`.
    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callback, bytes extraData);
    /// @notice Names have one label below the parent, and the query must be of the same name.
    error WrongName(bytes name);
    /// @notice The resolver knows addresses and texts only.
    error UnsupportedResolverProfile(bytes4 selector);
    /// @notice The gateway's answer is not what the keystore holds under the settled root; a newer root may have come.
    error WrongAnswer();
    /// @notice A coin type is listed twice.
    error TwiceListed(uint256 coinType);

    bytes4 private constant _ADDRESS = bytes4(keccak256("addr(bytes32)"));
    bytes4 private constant _COIN_ADDRESS = bytes4(keccak256("addr(bytes32,uint256)"));
    bytes4 private constant _TEXT = bytes4(keccak256("text(bytes32,string)"));
    uint256 private constant _ETHER = 60;
    uint16 private constant _ACCOUNTS = 0;
    uint16 private constant _TEXTS = 12;

    IRollupInbox public immutable inbox;
    /// @notice The namehash of the name below which accounts have names.
    bytes32 public immutable parentNode;
    /// @notice Under which `addr(node, coinType)` answers the key.
    uint256 public immutable rollupCoinType;

    string[] private _urls;
    mapping(uint256 coinType => Chain) private _chains;

    /// @param urls Templates of gateways, with `{sender}` and `{data}`.
    constructor(
        IRollupInbox inbox_,
        bytes32 parentNode_,
        uint256 rollupCoinType_,
        Chain[] memory chains,
        string[] memory urls
    ) {
        inbox = inbox_;
        parentNode = parentNode_;
        rollupCoinType = rollupCoinType_;
        for (uint256 i; i < chains.length; ++i) {
            uint256 coinType = chains[i].coinType;
            if (_chains[coinType].factory != address(0) || coinType == rollupCoinType_) revert TwiceListed(coinType);
            _chains[coinType] = chains[i];
        }
        _urls = urls;
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == this.resolve.selector
            || interfaceId == _ADDRESS || interfaceId == _COIN_ADDRESS || interfaceId == _TEXT;
    }

    /// @notice Where accounts of a chain are; zeros if it is not listed.
    function getChain(uint256 coinType) external view returns (Chain memory) {
        return _chains[coinType];
    }

    /// @notice ENSIP-10. `name` is DNS-encoded. Answers at once what is empty for every name, and asks a gateway otherwise.
    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory) {
        bytes32 key = _readKey(name);
        if (data.length < 36 || bytes32(data[4:36]) != key) revert WrongName(name);
        bytes4 selector = bytes4(data);
        uint16 silo = _ACCOUNTS;
        bytes32 place = key;
        if (selector == _TEXT) {
            (, string memory record) = abi.decode(data[4:], (bytes32, string));
            (silo, place) = (_TEXTS, keccak256(abi.encodePacked(key, record)));
        } else if (selector == _COIN_ADDRESS) {
            (, uint256 coinType) = abi.decode(data[4:], (bytes32, uint256));
            if (_computeAddress(key, coinType).length == 0) return abi.encode(bytes(""));
        } else if (selector != _ADDRESS) {
            revert UnsupportedResolverProfile(selector);
        } else if (_chains[_ETHER].factory == address(0)) {
            return abi.encode(address(0));
        }
        revert OffchainLookup(
            address(this),
            _urls,
            abi.encodeWithSignature("prove(uint16,bytes32)", silo, place),
            this.resolveWithProof.selector,
            abi.encode(silo, place, key, data)
        );
    }

    /// @notice What a gateway's answer shows under the root that the inbox holds now. `extraData` is what `resolve` gave.
    function resolveWithProof(bytes calldata response, bytes calldata extraData) external view returns (bytes memory) {
        (uint16 silo, bytes32 place, bytes32 key, bytes memory data) =
            abi.decode(extraData, (uint16, bytes32, bytes32, bytes));
        (bool exists, bytes memory value) = _verify(keccak256(abi.encodePacked(silo, place)), response);
        // An entry that was deleted is there, without a value.
        bool isSet = exists && value.length != 0;
        bytes4 selector = bytes4(data);
        // A text's leaf is its ABI encoding, which is the answer's.
        if (selector == _TEXT) return isSet ? value : abi.encode("");
        if (selector == _ADDRESS) {
            return abi.encode(isSet ? address(bytes20(_computeAddress(key, _ETHER))) : address(0));
        }
        (, uint256 coinType) = abi.decode(_skipSelector(data), (bytes32, uint256));
        return abi.encode(isSet ? _computeAddress(key, coinType) : bytes(""));
    }

    function _verify(bytes32 treeKey, bytes calldata response) private view returns (bool exists, bytes memory value) {
        bytes calldata proof;
        (exists, value, proof) = _split(response);
        bytes32 root = inbox.settled().stateRoot;
        bool isShown = exists
            ? StateVerifier.isIncluded(root, treeKey, keccak256(value), proof)
            : StateVerifier.isExcluded(root, treeKey, proof);
        if (!isShown) revert WrongAnswer();
    }

    /// @dev The proof is verified where it lies in the calldata.
    function _split(bytes calldata response)
        private
        pure
        returns (bool exists, bytes memory value, bytes calldata proof)
    {
        (exists, value,) = abi.decode(response, (bool, bytes, bytes));
        uint256 start = uint256(bytes32(response[64:96]));
        proof = response[start + 32:start + 32 + uint256(bytes32(response[start:start + 32]))];
    }

    /// @dev The address of the account of a key on a chain; the key itself; nothing on other chains.
    function _computeAddress(bytes32 key, uint256 coinType) private view returns (bytes memory) {
        if (coinType == rollupCoinType) return abi.encodePacked(key);
        Chain memory chain = _chains[coinType];
        if (chain.factory == address(0)) return "";
        return abi.encodePacked(
            LibClone.predictDeterministicAddress(
                chain.implementation, abi.encodePacked(key), bytes32(0), chain.factory
            )
        );
    }

    /// @dev The namehash of a DNS-encoded name, which must be one label below the parent.
    function _readKey(bytes calldata name) private view returns (bytes32) {
        if (name.length == 0) revert WrongName(name);
        uint256 end = 1 + uint8(name[0]);
        if (end == 1 || end >= name.length || _computeNode(name[end:]) != parentNode) revert WrongName(name);
        return keccak256(abi.encodePacked(parentNode, keccak256(name[1:end])));
    }

    /// @dev ERC-137's namehash, from the last label to the first.
    function _computeNode(bytes calldata name) private pure returns (bytes32) {
        if (name.length == 0) revert WrongName(name);
        uint256 size = uint8(name[0]);
        if (size == 0) {
            if (name.length != 1) revert WrongName(name);
            return 0;
        }
        if (size >= name.length) revert WrongName(name);
        return keccak256(abi.encodePacked(_computeNode(name[1 + size:]), keccak256(name[1:1 + size])));
    }

    function _skipSelector(bytes memory data) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - 4);
        for (uint256 i; i < rest.length; ++i) {
            rest[i] = data[i + 4];
        }
    }
}
