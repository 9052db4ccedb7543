// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IUserConfigKeystore, ValidateAction} from "keystore/ucmt/IUserConfigKeystore.sol";
import {IUcmtVerifier} from "keystore/ucmt/IUcmtVerifier.sol";
import {UcmtBase} from "./UcmtBase.sol";

/// @dev Registering nodes and validating by them. The calling account is this contract.
contract NodesTest is UcmtBase {
    function _action(Tree memory tree, bytes memory proof, bytes memory node)
        private
        pure
        returns (ValidateAction memory)
    {
        return ValidateAction(tree.root, MESSAGE, proof, node, "data");
    }

    function testFuzz_root_is_the_first_one(bytes32 refHash, address account, uint192 key) external view {
        assertEq(refHash, keystore.getRootHash(refHash, account), "root");
        assertEq(uint256(key) << 64, keystore.getNonce(refHash, account, key), "nonce");
    }

    // registerNode

    /// @dev Nodes of every length around the words of storage come back as they were.
    function testFuzz_register(bytes memory config, address verifier, uint256 index) external {
        vm.assume(verifier != address(0));
        index = bound(index, 0, 3);
        Tree memory tree = _grow("a", "b", "c", "d");
        tree.nodes[index] = abi.encodePacked(verifier, config);
        tree = _grow(tree.nodes[0], tree.nodes[1], tree.nodes[2], tree.nodes[3]);
        bytes32 leaf = tree.leaves[index];
        assertEq(bytes(""), keystore.getRegisteredNode(tree.root, address(this), leaf), "before");
        keystore.registerNode(tree.root, _prove(tree, index), tree.nodes[index]);
        assertEq(tree.nodes[index], keystore.getRegisteredNode(tree.root, address(this), leaf), "after");
        assertEq(bytes(""), keystore.getRegisteredNode(tree.root, ACCOUNT, leaf), "of another account");
    }

    function test_register_lengths() external {
        for (uint256 length = 20; length < 130; ++length) {
            bytes memory node = bytes.concat(bytes20(ACCOUNT), new bytes(length - 20));
            for (uint256 i = 20; i < length; ++i) {
                node[i] = 0xff;
            }
            bytes32 root = keccak256(node);
            keystore.registerNode(root, new bytes32[](0), node);
            keystore.registerNode(root, new bytes32[](0), node);
            assertEq(node, keystore.getRegisteredNode(root, address(this), root), "a tree of one node");
        }
    }

    function test_register_refuses() external {
        Tree memory tree = _growAround(_answering(SUCCESS, "config"), "rest");
        bytes32[] memory proof = _prove(tree, 1);
        vm.expectRevert(IUserConfigKeystore.InvalidProof.selector);
        keystore.registerNode(tree.root, proof, tree.nodes[0]);
        vm.expectRevert(IUserConfigKeystore.InvalidProof.selector);
        keystore.registerNode(keccak256("another root"), _prove(tree, 0), tree.nodes[0]);
        keystore.registerNode(tree.root, _prove(tree, 0), tree.nodes[0]);
    }

    /// @dev The node is judged before its proof: here the proof is wrong too. 20 bytes are a node, 19 are not.
    function test_register_judges_the_node_first() external {
        bytes32[] memory none = new bytes32[](0);
        bytes memory node = abi.encodePacked(ACCOUNT);
        keystore.registerNode(keccak256(node), none, node);
        vm.expectRevert(IUserConfigKeystore.InvalidNode.selector);
        keystore.registerNode(MESSAGE, none, new bytes(19));
        vm.expectRevert(IUserConfigKeystore.InvalidVerifier.selector);
        keystore.registerNode(MESSAGE, none, new bytes(20));
        vm.expectRevert(IUserConfigKeystore.InvalidProof.selector);
        keystore.registerNode(MESSAGE, none, node);
    }

    /// @dev The one difference: a node of more than 65,535 bytes, whose storing no block has room for, is refused.
    function test_register_refuses_a_node_without_end() external {
        bytes memory node = bytes.concat(bytes20(ACCOUNT), new bytes(65_535 - 20));
        bytes32 root = keccak256(node);
        keystore.registerNode(root, new bytes32[](0), node);
        assertEq(root, keccak256(keystore.getRegisteredNode(root, address(this), root)), "65,535 bytes");
        node = bytes.concat(node, hex"00");
        vm.expectRevert(IUserConfigKeystore.InvalidNode.selector);
        keystore.registerNode(keccak256(node), new bytes32[](0), node);
    }

    /// @dev Leaves are hashed once, so that two hashes in a row are a node: its verifier would be the first 20 bytes of a hash.
    function test_an_inner_node_is_a_node() external {
        Tree memory tree = _growAround(_answering(SUCCESS, "config"), "rest");
        (bytes32 left, bytes32 right) = (tree.leaves[0], tree.leaves[1]);
        bytes memory inner = left < right ? abi.encode(left, right) : abi.encode(right, left);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = _join(tree.leaves[2], tree.leaves[3]);
        keystore.registerNode(tree.root, proof, inner);
        assertEq(inner, keystore.getRegisteredNode(tree.root, address(this), keccak256(inner)), "registered");
        vm.expectRevert();
        keystore.validate(ValidateAction(tree.root, MESSAGE, abi.encode(proof), inner, ""));
    }

    // validate

    /// @dev The verifier's word comes back unchanged, by proof and from the cache; it is asked with message, data and config.
    function testFuzz_validate(uint256 answer, bytes calldata config, bytes calldata data, bytes32 message) external {
        Tree memory tree = _growAround(_answering(answer, config), "rest");
        address verifier = address(bytes20(tree.nodes[0]));
        bytes memory question = abi.encodeCall(IUcmtVerifier.validateData, (message, data, config));
        ValidateAction memory action =
            ValidateAction(tree.root, message, _encodeProof(tree, 0), tree.nodes[0], data);
        vm.expectCall(verifier, question);
        assertEq(answer, keystore.validate(action), "by proof");
        keystore.registerNode(tree.root, _prove(tree, 0), tree.nodes[0]);
        (action.proof, action.node) = ("", abi.encode(tree.leaves[0]));
        vm.expectCall(verifier, question);
        assertEq(answer, keystore.validate(action), "registered");
        action.node = bytes.concat(action.node, "is cut off");
        assertEq(answer, keystore.validate(action), "longer than the hash");
    }

    function test_validate_refuses() external {
        Tree memory tree = _growAround(_answering(SUCCESS, ""), "rest");
        bytes memory proof = _encodeProof(tree, 0);
        vm.expectRevert(IUserConfigKeystore.InvalidProof.selector);
        keystore.validate(_action(tree, _encodeProof(tree, 1), tree.nodes[0]));
        vm.expectRevert(IUserConfigKeystore.UnregisteredProof.selector);
        keystore.validate(_action(tree, "", abi.encode(tree.leaves[0])));
        vm.expectRevert(IUserConfigKeystore.UnregisteredProof.selector);
        keystore.validate(_action(tree, "", tree.nodes[0]));
        assertEq(SUCCESS, keystore.validate(_action(tree, proof, tree.nodes[0])), "the right proof");
        keystore.registerNode(tree.root, _prove(tree, 0), tree.nodes[0]);
        vm.prank(ACCOUNT);
        vm.expectRevert(IUserConfigKeystore.UnregisteredProof.selector);
        keystore.validate(_action(tree, "", abi.encode(tree.leaves[0])));
        vm.expectRevert(IUserConfigKeystore.UnregisteredProof.selector);
        keystore.validate(_action(tree, "", bytes.concat(bytes31(tree.leaves[0]))));
    }

    /// @dev The proof is judged before the node, so that a bad node with a bad proof is a bad proof.
    function test_validate_judges_the_proof_first() external {
        Tree memory tree = _grow(new bytes(19), new bytes(20), "c", "d");
        vm.expectRevert(IUserConfigKeystore.InvalidNode.selector);
        keystore.validate(_action(tree, _encodeProof(tree, 0), tree.nodes[0]));
        vm.expectRevert(IUserConfigKeystore.InvalidVerifier.selector);
        keystore.validate(_action(tree, _encodeProof(tree, 1), tree.nodes[1]));
        vm.expectRevert(IUserConfigKeystore.InvalidProof.selector);
        keystore.validate(_action(tree, _encodeProof(tree, 1), tree.nodes[0]));
    }

    /// @dev A proof is `abi.encode(bytes32[])`; bytes that are not one revert, whatever a decoder would read after them.
    function test_validate_refuses_what_does_not_decode() external {
        bytes memory node = _answering(SUCCESS, "");
        ValidateAction memory action = ValidateAction(keccak256(node), MESSAGE, "", node, "");
        bytes[5] memory proofs =
            [bytes(hex"00"), abi.encode(0x20), abi.encode(0x20, 1), abi.encode(0x40, 0), abi.encode(0x20, 1 << 251)];
        for (uint256 i; i < 5; ++i) {
            action.proof = proofs[i];
            vm.expectRevert(bytes(""));
            keystore.validate(action);
        }
        action.proof = abi.encode(new bytes32[](0));
        assertEq(SUCCESS, keystore.validate(action), "no siblings");
    }
}
