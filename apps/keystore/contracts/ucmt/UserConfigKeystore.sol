// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MerkleProofLib} from "solady/src/utils/MerkleProofLib.sol";
import {IUcmtVerifier} from "./IUcmtVerifier.sol";
import {IUserConfigKeystore, UpdateAction, ValidateAction} from "./IUserConfigKeystore.sol";
import {RegisteredNodes} from "./RegisteredNodes.sol";

/// @title Stackup's keystore: a root per user and account, changed by what one of its nodes signs
/// @notice The account is the last key of every mapping (ERC-7562). A root that comes back brings back the nodes that were
/// registered under it.
contract UserConfigKeystore is IUserConfigKeystore {
    using RegisteredNodes for RegisteredNodes.Entry;

    /// @notice An update was sent from within another.
    error Reentrancy();

    uint256 private constant _FAILED = 1;
    uint256 private constant _VERIFIER_BYTES = 20;

    bool private transient _updating;
    mapping(bytes32 refHash => mapping(address account => bytes32)) private _rootHashes;
    mapping(bytes32 refHash => mapping(uint192 key => mapping(address account => uint64))) private _sequences;
    mapping(bytes32 rootHash => mapping(bytes32 nodeHash => mapping(address account => RegisteredNodes.Entry))) private
        _nodes;

    /// @inheritdoc IUserConfigKeystore
    function handleUpdates(UpdateAction[] calldata actions) external {
        if (_updating) revert Reentrancy();
        _updating = true;
        for (uint256 i; i < actions.length; ++i) {
            _handleUpdate(actions[i]);
        }
        _updating = false;
    }

    /// @inheritdoc IUserConfigKeystore
    function validate(ValidateAction calldata action) external view returns (uint256) {
        (bytes memory node,) = _getNode(getRootHash(action.refHash, msg.sender), msg.sender, action.proof, action.node);
        return _ask(node, action.message, action.data);
    }

    /// @inheritdoc IUserConfigKeystore
    function registerNode(bytes32 refHash, bytes32[] calldata proof, bytes calldata node) external {
        // The node is judged before its proof here, and after it in the other functions, as Stackup's does.
        if (node.length < _VERIFIER_BYTES || node.length > type(uint16).max) revert InvalidNode();
        if (bytes20(node) == 0) revert InvalidVerifier();
        bytes32 rootHash = getRootHash(refHash, msg.sender);
        bytes32 nodeHash = keccak256(node);
        if (!MerkleProofLib.verifyCalldata(proof, rootHash, nodeHash)) revert InvalidProof();
        _nodes[rootHash][nodeHash][msg.sender].store(node);
    }

    /// @inheritdoc IUserConfigKeystore
    function getRegisteredNode(bytes32 refHash, address account, bytes32 nodeHash) external view returns (bytes memory) {
        return _nodes[getRootHash(refHash, account)][nodeHash][account].load();
    }

    /// @inheritdoc IUserConfigKeystore
    function getNonce(bytes32 refHash, address account, uint192 key) external view returns (uint256) {
        return uint256(key) << 64 | _sequences[refHash][key][account];
    }

    /// @inheritdoc IUserConfigKeystore
    function getRootHash(bytes32 refHash, address account) public view returns (bytes32 rootHash) {
        rootHash = _rootHashes[refHash][account];
        if (rootHash == 0) rootHash = refHash;
    }

    function _handleUpdate(UpdateAction calldata action) private {
        mapping(address => uint64) storage sequences = _sequences[action.refHash][uint192(action.nonce >> 64)];
        uint64 sequence = uint64(action.nonce);
        if (sequences[action.account] != sequence) revert InvalidNonce();
        bool success = _isSigned(action);
        if (success) {
            _rootHashes[action.refHash][action.account] = action.nextHash;
            sequences[action.account] = sequence + 1;
        }
        emit RootHashUpdated(action.refHash, action.account, action.nextHash, action.nonce, success);
    }

    /// @dev Whether the node agrees to the update, and the next node if there is one. The next tree must hold one of them, so
    /// that no update leaves the account without a known node.
    function _isSigned(UpdateAction calldata action) private view returns (bool) {
        bytes32 rootHash = getRootHash(action.refHash, action.account);
        (bytes memory node, bytes32 nodeHash) = _getNode(rootHash, action.account, action.proof, action.node);
        bytes memory nextNode = action.nextNode;
        bytes32 nextNodeHash = keccak256(nextNode);
        bytes32 message = _hashUpdate(action, nodeHash, nextNodeHash);
        if (_ask(node, message, action.data) == _FAILED) return false;
        bool keepsNode = nextNode.length == 0;
        bytes32 kept = keepsNode ? nodeHash : nextNodeHash;
        if (!_isIncluded(action.nextProof, action.nextHash, kept)) revert InvalidNextProof();
        return keepsNode || _ask(nextNode, message, action.nextData) != _FAILED;
    }

    /// @dev What the nodes sign: of no chain unless the update says so, and of no contract.
    function _hashUpdate(UpdateAction calldata action, bytes32 nodeHash, bytes32 nextNodeHash)
        private
        view
        returns (bytes32)
    {
        if (!action.useChainId) {
            return keccak256(
                abi.encode(action.refHash, action.nextHash, action.account, action.nonce, nodeHash, nextNodeHash)
            );
        }
        return keccak256(
            abi.encode(
                action.refHash, action.nextHash, action.account, action.nonce, nodeHash, nextNodeHash, block.chainid
            )
        );
    }

    /// @dev The node that an action names: whole and proven, or by the hash under which it is registered.
    function _getNode(bytes32 rootHash, address account, bytes calldata proof, bytes calldata given)
        private
        view
        returns (bytes memory node, bytes32 nodeHash)
    {
        if (proof.length == 0) {
            nodeHash = bytes32(given);
            node = _nodes[rootHash][nodeHash][account].load();
            if (node.length == 0) revert UnregisteredProof();
        } else {
            node = given;
            nodeHash = keccak256(node);
            if (!_isIncluded(proof, rootHash, nodeHash)) revert InvalidProof();
        }
    }

    /// @dev What a node's verifier says: `validateData(message, data, config)`, encoded here, where the config is already.
    /// A verifier that reverts makes this revert with the same data; an address without code, or without an answer,
    /// without data.
    function _ask(bytes memory node, bytes32 message, bytes calldata data) private view returns (uint256 answer) {
        if (node.length < _VERIFIER_BYTES) revert InvalidNode();
        address verifier = address(bytes20(node));
        if (verifier == address(0)) revert InvalidVerifier();
        bytes4 selector = IUcmtVerifier.validateData.selector;
        assembly ("memory-safe") {
            let question := mload(0x40)
            mstore(question, selector)
            mstore(add(question, 0x04), message)
            mstore(add(question, 0x24), 0x60)
            let size := and(add(data.length, 0x1f), not(0x1f))
            mstore(add(question, 0x44), add(0x80, size))
            mstore(add(question, 0x64), data.length)
            let cursor := add(question, 0x84)
            calldatacopy(cursor, data.offset, data.length)
            mstore(add(cursor, data.length), 0)
            cursor := add(cursor, size)
            size := sub(mload(node), _VERIFIER_BYTES)
            mstore(cursor, size)
            cursor := add(cursor, 0x20)
            mcopy(cursor, add(node, add(0x20, _VERIFIER_BYTES)), size)
            mstore(add(cursor, size), 0)
            cursor := add(cursor, and(add(size, 0x1f), not(0x1f)))
            if iszero(staticcall(gas(), verifier, question, sub(cursor, question), 0x00, 0x20)) {
                returndatacopy(question, 0, returndatasize())
                revert(question, returndatasize())
            }
            if lt(returndatasize(), 0x20) { revert(0, 0) }
            answer := mload(0x00)
        }
    }

    /// @dev Whether a leaf is in a tree, by an encoded `bytes32[]`, which stays in calldata. What is not the encoding of one
    /// reverts, as abi.decode does, without a reason.
    function _isIncluded(bytes calldata encoded, bytes32 rootHash, bytes32 leaf) private pure returns (bool) {
        bytes32[] calldata proof;
        assembly ("memory-safe") {
            let size := encoded.length
            let count := calldataload(add(encoded.offset, 0x20))
            if or(lt(size, 0x40), xor(calldataload(encoded.offset), 0x20)) { revert(0, 0) }
            if gt(count, shr(5, sub(size, 0x40))) { revert(0, 0) }
            proof.offset := add(encoded.offset, 0x40)
            proof.length := count
        }
        return MerkleProofLib.verifyCalldata(proof, rootHash, leaf);
    }
}
