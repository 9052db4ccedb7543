// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountVm} from "accounts-test/AccountVm.sol";
import {IUcmtVerifier} from "keystore/ucmt/IUcmtVerifier.sol";
import {IUserConfigKeystore, UpdateAction, ValidateAction} from "keystore/ucmt/IUserConfigKeystore.sol";
import {Base} from "keystore-test/Base.sol";

/// @title One more cheat code
interface UcmtVm is AccountVm {
    function txGasPrice(uint256 price) external;
}

/// @title A verifier that says one thing
contract FixedVerifier is IUcmtVerifier {
    uint256 private immutable _ANSWER;

    constructor(uint256 answer) {
        _ANSWER = answer;
    }

    function validateData(bytes32, bytes calldata, bytes calldata) external view returns (uint256) {
        return _ANSWER;
    }
}

/// @title Trees of four nodes, updates, and the contracts from their artifacts
abstract contract UcmtBase is Base {
    /// @notice Four nodes with their tree.
    struct Tree {
        bytes[4] nodes;
        bytes32[4] leaves;
        bytes32 root;
    }

    UcmtVm internal constant avm = UcmtVm(address(vm));
    uint256 internal constant SUCCESS = 0;
    uint256 internal constant FAILED = 1;
    bytes32 internal constant MESSAGE = keccak256("what is signed");
    address internal constant ACCOUNT = address(0xACC0);

    IUserConfigKeystore internal keystore;

    function setUp() public virtual {
        keystore = IUserConfigKeystore(_create("UserConfigKeystore", ""));
    }

    function _load(string memory contract_) internal view override returns (bytes memory) {
        return _read(string.concat("../../../apps/keystore/contracts/ucmt/artifacts/", contract_, ".json"));
    }

    // Trees

    function _join(bytes32 left, bytes32 right) internal pure returns (bytes32) {
        return keccak256(left < right ? abi.encode(left, right) : abi.encode(right, left));
    }

    function _grow(bytes memory first, bytes memory second, bytes memory third, bytes memory fourth)
        internal
        pure
        returns (Tree memory tree)
    {
        tree.nodes = [first, second, third, fourth];
        for (uint256 i; i < 4; ++i) {
            tree.leaves[i] = keccak256(tree.nodes[i]);
        }
        tree.root = _join(_join(tree.leaves[0], tree.leaves[1]), _join(tree.leaves[2], tree.leaves[3]));
    }

    /// @notice A tree that holds one node; the others are of nobody.
    function _growAround(bytes memory node, string memory rest) internal pure returns (Tree memory) {
        return _grow(node, abi.encode(rest, 1), abi.encode(rest, 2), abi.encode(rest, 3));
    }

    function _prove(Tree memory tree, uint256 index) internal pure returns (bytes32[] memory proof) {
        uint256 other = index ^ 2 & 2;
        proof = new bytes32[](2);
        proof[0] = tree.leaves[index ^ 1];
        proof[1] = _join(tree.leaves[other], tree.leaves[other ^ 1]);
    }

    function _encodeProof(Tree memory tree, uint256 index) internal pure returns (bytes memory) {
        return abi.encode(_prove(tree, index));
    }

    function _answering(uint256 answer, bytes memory config) internal returns (bytes memory node) {
        return abi.encodePacked(new FixedVerifier(answer), config);
    }

    // Actions

    /// @notice An update from the first node of a tree, which the next tree holds first too.
    function _update(Tree memory tree, Tree memory next) internal pure returns (UpdateAction memory action) {
        action.refHash = tree.root;
        action.nextHash = next.root;
        action.account = ACCOUNT;
        action.proof = _encodeProof(tree, 0);
        action.node = tree.nodes[0];
        action.data = "data";
        action.nextProof = _encodeProof(next, 0);
    }

    /// @notice The same with the next tree's first node as next node.
    function _updateTo(Tree memory tree, Tree memory next) internal pure returns (UpdateAction memory action) {
        action = _update(tree, next);
        action.nextNode = next.nodes[0];
        action.nextData = "next data";
    }

    function _hash(UpdateAction memory action, bytes32 nodeHash) internal view returns (bytes32) {
        bytes memory words = abi.encode(
            action.refHash, action.nextHash, action.account, action.nonce, nodeHash, keccak256(action.nextNode)
        );
        return keccak256(action.useChainId ? bytes.concat(words, abi.encode(block.chainid)) : words);
    }

    function _list(UpdateAction memory action) internal pure returns (UpdateAction[] memory actions) {
        actions = new UpdateAction[](1);
        actions[0] = action;
    }

    function _send(UpdateAction memory action) internal {
        keystore.handleUpdates(_list(action));
    }

    /// @notice The update is refused with an error of the keystore, and changes nothing.
    function _refuse(UpdateAction memory action, bytes4 reason) internal {
        vm.expectRevert(reason);
        _send(action);
        _assertState(action, action.refHash, action.nonce);
    }

    /// @notice The update is reported, once, as a success or not.
    function _expect(UpdateAction memory action, bool success) internal {
        vm.expectEmit(address(keystore));
        emit IUserConfigKeystore.RootHashUpdated(
            action.refHash, action.account, action.nextHash, action.nonce, success
        );
    }

    function _assertState(UpdateAction memory action, bytes32 root, uint256 nonce) internal view {
        assertEq(root, keystore.getRootHash(action.refHash, action.account), "root");
        uint256 actual = keystore.getNonce(action.refHash, action.account, uint192(action.nonce >> 64));
        assertEq(nonce, actual, "nonce");
    }

    // Keys

    function _sign(uint256 privateKey, bytes32 message) internal pure returns (bytes memory) {
        bytes32 digest = keccak256(abi.encodePacked("\x19Ethereum Signed Message:\n32", message));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        return abi.encodePacked(r, s, v);
    }
}
