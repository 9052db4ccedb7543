// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice A change of an account's root.
struct UpdateAction {
    bytes32 refHash;
    bytes32 nextHash;
    uint256 nonce; // key 192 | sequence 64
    bool useChainId;
    address account;
    bytes proof; // abi.encode(bytes32[]); empty: the node is registered
    bytes node; // the node; its hash if `proof` is empty
    bytes data; // for the node's verifier
    bytes nextProof; // abi.encode(bytes32[])
    bytes nextNode; // empty: `node` is in the next tree
    bytes nextData; // for the next node's verifier
}

/// @notice A signature to be judged for the caller.
struct ValidateAction {
    bytes32 refHash;
    bytes32 message;
    bytes proof; // as in UpdateAction
    bytes node;
    bytes data;
}

/// @title A keystore of one Merkle tree per user (UCMT, user configuration Merkle tree), in Stackup's interface
/// @notice A node is `verifier 20 | config`. A leaf is the node's keccak256, a parent the keccak256 of its two children in
/// ascending order. A user is known by the first root, `refHash`, for ever.
interface IUserConfigKeystore {
    /// @notice `success` is false if a verifier refused the update. Then nothing else changed.
    event RootHashUpdated(
        bytes32 indexed refHash, address indexed account, bytes32 indexed nextHash, uint256 nonce, bool success
    );

    /// @notice The nonce's sequence is not the next one of its key.
    error InvalidNonce();
    /// @notice The node is not in the current tree.
    error InvalidProof();
    /// @notice The node that should stay usable is not in the next tree.
    error InvalidNextProof();
    /// @notice There is no proof, and no such node is registered under the current root.
    error UnregisteredProof();
    /// @notice A node has at least 20 bytes; one to be registered has at most 65,535.
    error InvalidNode();
    /// @notice The node's verifier is the zero address.
    error InvalidVerifier();

    /// @notice Apply updates in order. Anybody may send them: what counts is the nodes' signatures.
    function handleUpdates(UpdateAction[] calldata actions) external;

    /// @notice What the node's verifier says of a signature for the calling account, unchanged.
    function validate(ValidateAction calldata action) external view returns (uint256 validationData);

    /// @notice Keep a node of the calling account's current tree, so that it needs no proof until the root changes.
    function registerNode(bytes32 refHash, bytes32[] calldata proof, bytes calldata node) external;

    /// @notice The node that is registered under the account's current root; empty if there is none.
    function getRegisteredNode(bytes32 refHash, address account, bytes32 nodeHash) external view returns (bytes memory);

    /// @notice The account's current root; `refHash` before its first update.
    function getRootHash(bytes32 refHash, address account) external view returns (bytes32);

    /// @notice The nonce that the next update with this key must have: `key << 64 | sequence`.
    function getNonce(bytes32 refHash, address account, uint192 key) external view returns (uint256);
}
