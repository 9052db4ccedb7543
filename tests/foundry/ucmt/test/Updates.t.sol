// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IUcmtVerifier} from "keystore/ucmt/IUcmtVerifier.sol";
import {IUserConfigKeystore, UpdateAction} from "keystore/ucmt/IUserConfigKeystore.sol";
import {UcmtBase} from "./UcmtBase.sol";

/// @title A verifier that sends an update itself
contract ReentrantVerifier is IUcmtVerifier {
    function validateData(bytes32, bytes calldata, bytes calldata) external view returns (uint256) {
        (bool sent, bytes memory answer) =
            msg.sender.staticcall(abi.encodeCall(IUserConfigKeystore.handleUpdates, (new UpdateAction[](0))));
        if (!sent) {
            assembly ("memory-safe") {
                revert(add(answer, 0x20), mload(answer))
            }
        }
        return 0;
    }
}

/// @dev Updates, step by step: each is accepted, and refused when one thing is otherwise.
contract UpdatesTest is UcmtBase {
    error Reentrancy();

    bytes internal node;
    bytes internal nextNode;
    Tree internal tree;
    Tree internal next;

    function setUp() public override {
        super.setUp();
        node = _answering(SUCCESS, "config");
        nextNode = _answering(SUCCESS, "next config");
        tree = _growAround(node, "now");
        next = _growAround(node, "next");
    }

    function _register(Tree memory of_, address account) private {
        vm.prank(account);
        keystore.registerNode(tree.root, _prove(of_, 0), of_.nodes[0]);
    }

    function _registered(UpdateAction memory action) private pure returns (UpdateAction memory) {
        (action.proof, action.node) = ("", abi.encode(keccak256(action.node)));
        return action;
    }

    // What an update does

    /// @dev Anybody sends; root and nonce move, and one event says so.
    function testFuzz_same_node(address sender, uint192 key, bytes calldata data) external {
        UpdateAction memory action = _update(tree, next);
        (action.nonce, action.data) = (uint256(key) << 64, data);
        _expect(action, true);
        vm.prank(sender);
        _send(action);
        _assertState(action, next.root, action.nonce + 1);
    }

    function test_other_node() external {
        next = _growAround(nextNode, "next");
        UpdateAction memory action = _updateTo(tree, next);
        _expect(action, true);
        _send(action);
        _assertState(action, next.root, 1);
    }

    /// @dev Both verifiers are asked for the same message, each with its data and config.
    function testFuzz_message(bool useChainId, bool registered, uint64 chainId) external {
        vm.assume(chainId != 0);
        vm.chainId(chainId);
        next = _growAround(nextNode, "next");
        UpdateAction memory action = _updateTo(tree, next);
        action.useChainId = useChainId;
        if (registered) {
            _register(tree, ACCOUNT);
            action = _registered(action);
        }
        bytes32 message = _hash(action, tree.leaves[0]);
        bytes memory question = abi.encodeCall(IUcmtVerifier.validateData, (message, action.data, "config"));
        vm.expectCall(address(bytes20(node)), question);
        question = abi.encodeCall(IUcmtVerifier.validateData, (message, action.nextData, "next config"));
        vm.expectCall(address(bytes20(nextNode)), question);
        _send(action);
        _assertState(action, next.root, 1);
    }

    /// @dev The account is in the message and in the state: of two accounts with one refHash, one changes.
    function test_accounts_are_apart() external {
        UpdateAction memory action = _update(tree, next);
        _send(action);
        _assertState(action, next.root, 1);
        action.account = address(0xACC1);
        _assertState(action, tree.root, 0);
        _send(action);
        _assertState(action, next.root, 1);
    }

    // 1 nonce

    function testFuzz_nonce(uint192 key, uint64 sequence) external {
        UpdateAction memory action = _update(tree, next);
        action.nonce = uint256(key) << 64;
        if (sequence != 0) {
            action.nonce |= sequence;
            vm.expectRevert(IUserConfigKeystore.InvalidNonce.selector);
            _send(action);
            action.nonce = uint256(key) << 64;
        }
        _send(action);
        vm.expectRevert(IUserConfigKeystore.InvalidNonce.selector);
        _send(action);
        _assertState(action, next.root, action.nonce + 1);
    }

    /// @dev Each key counts alone: after one update with each of two keys, both are at 1.
    function test_nonce_keys() external {
        UpdateAction memory action = _update(tree, next);
        action.nonce = 7 << 64;
        _send(action);
        action.nonce = 8 << 64;
        action.proof = _encodeProof(next, 0);
        _send(action);
        _assertState(action, next.root, (8 << 64) + 1);
        assertEq((7 << 64) + 1, keystore.getNonce(tree.root, ACCOUNT, 7), "key 7");
        assertEq(0, keystore.getNonce(tree.root, ACCOUNT, 0), "key 0");
    }

    /// @dev The last sequence of 64 bits is never used: counting on would overflow. Slot 1 holds the sequences.
    function test_last_sequence() external {
        UpdateAction memory action = _update(tree, next);
        action.nonce = type(uint64).max;
        bytes32 slot = keccak256(abi.encode(uint256(0), keccak256(abi.encode(tree.root, uint256(1)))));
        vm.store(address(keystore), keccak256(abi.encode(ACCOUNT, slot)), bytes32(action.nonce));
        assertEq(action.nonce, keystore.getNonce(tree.root, ACCOUNT, 0), "the last one");
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        _send(action);
    }

    // 2 node

    function test_proof() external {
        UpdateAction memory action = _update(tree, next);
        action.proof = _encodeProof(tree, 1);
        _refuse(action, IUserConfigKeystore.InvalidProof.selector);
        action.proof = "";
        _refuse(action, IUserConfigKeystore.UnregisteredProof.selector);
        action = _registered(_update(tree, next));
        _refuse(action, IUserConfigKeystore.UnregisteredProof.selector);
        _register(tree, address(this));
        _refuse(action, IUserConfigKeystore.UnregisteredProof.selector);
        _register(tree, ACCOUNT);
        _expect(action, true);
        _send(action);
    }

    function test_node() external {
        for (uint256 i; i < 2; ++i) {
            bytes memory bad = new bytes(19 + i);
            UpdateAction memory action = _update(_growAround(bad, "now"), _growAround(bad, "next"));
            bytes4 reason =
                i == 0 ? IUserConfigKeystore.InvalidNode.selector : IUserConfigKeystore.InvalidVerifier.selector;
            _refuse(action, reason);
            action.proof = _encodeProof(tree, 1);
            _refuse(action, IUserConfigKeystore.InvalidProof.selector);
        }
    }

    // 3 what the node's verifier says

    /// @dev 1 does not revert: the event says that the update failed, the nonce stays, and the same action may come again.
    function testFuzz_answer(uint256 answer) external {
        answer = bound(answer, 0, 3);
        node = _answering(answer, "config");
        UpdateAction memory action = _update(_growAround(node, "now"), _growAround(node, "next"));
        _expect(action, answer != FAILED);
        _send(action);
        if (answer != FAILED) return _assertState(action, action.nextHash, 1);
        _assertState(action, action.refHash, 0);
        _expect(action, false);
        _send(action);
    }

    /// @dev Any other word is a yes, also one that would be a time window in the past.
    function testFuzz_time_windows_are_not_read(uint256 answer) external {
        vm.assume(answer != FAILED);
        node = _answering(answer, "");
        UpdateAction memory action = _update(_growAround(node, "now"), _growAround(node, "next"));
        _send(action);
        _assertState(action, action.nextHash, 1);
    }

    /// @dev A refused update is not looked at further: its next proof may be anything.
    function test_refusal_comes_before_the_next_proof() external {
        node = _answering(FAILED, "config");
        UpdateAction memory action = _update(_growAround(node, "now"), _growAround(node, "next"));
        action.nextProof = "";
        _expect(action, false);
        _send(action);
    }

    /// @dev A verifier that reverts takes the whole batch with it.
    function test_a_revert_takes_the_batch() external {
        bytes memory broken = abi.encodePacked(address(keystore));
        UpdateAction[] memory actions = new UpdateAction[](2);
        actions[0] = _update(tree, next);
        actions[1] = _update(_growAround(broken, "now"), _growAround(broken, "next"));
        vm.expectRevert();
        keystore.handleUpdates(actions);
        _assertState(actions[0], tree.root, 0);
        _send(actions[0]);
        _assertState(actions[0], next.root, 1);
    }

    function test_no_verifier_there() external {
        bytes memory nobody = abi.encodePacked(address(0xDEAD));
        UpdateAction memory action = _update(_growAround(nobody, "now"), _growAround(nobody, "next"));
        vm.expectRevert();
        _send(action);
    }

    // 4 what stays usable

    function test_next_proof() external {
        UpdateAction memory action = _update(tree, next);
        action.nextProof = action.proof;
        _refuse(action, IUserConfigKeystore.InvalidNextProof.selector);
        action.nextProof = "";
        vm.expectRevert(bytes(""));
        _send(action);
        action.nextProof = _encodeProof(next, 0);
        _send(action);
        _assertState(action, next.root, 1);
    }

    /// @dev The account cannot be bricked: without a next node, the node itself must be in the next tree.
    function test_next_tree_without_the_node() external {
        next = _growAround(nextNode, "next");
        UpdateAction memory action = _update(tree, next);
        _refuse(action, IUserConfigKeystore.InvalidNextProof.selector);
        action.nextNode = node;
        _refuse(action, IUserConfigKeystore.InvalidNextProof.selector);
        action.nextNode = nextNode;
        _send(action);
        _assertState(action, next.root, 1);
    }

    function test_next_node() external {
        for (uint256 i; i < 2; ++i) {
            bytes memory bad = new bytes(19 + i);
            UpdateAction memory action = _updateTo(tree, _growAround(bad, "next"));
            bytes4 reason =
                i == 0 ? IUserConfigKeystore.InvalidNode.selector : IUserConfigKeystore.InvalidVerifier.selector;
            _refuse(action, reason);
            action.nextProof = _encodeProof(tree, 0);
            _refuse(action, IUserConfigKeystore.InvalidNextProof.selector);
        }
    }

    // 5 what the next node's verifier says

    function testFuzz_next_answer(uint256 answer) external {
        answer = bound(answer, 0, 3);
        next = _growAround(_answering(answer, ""), "next");
        UpdateAction memory action = _updateTo(tree, next);
        _expect(action, answer != FAILED);
        _send(action);
        if (answer == FAILED) _assertState(action, tree.root, 0);
        else _assertState(action, next.root, 1);
    }

    // Batches, the cache, re-entry

    function testFuzz_batch(bool[3] calldata successes) external {
        UpdateAction[] memory actions = new UpdateAction[](3);
        for (uint256 i; i < 3; ++i) {
            bytes memory own = _answering(successes[i] ? SUCCESS : FAILED, abi.encode(i));
            actions[i] = _update(_growAround(own, "now"), _growAround(own, "next"));
            _expect(actions[i], successes[i]);
        }
        keystore.handleUpdates(actions);
        for (uint256 i; i < 3; ++i) {
            if (successes[i]) _assertState(actions[i], actions[i].nextHash, 1);
            else _assertState(actions[i], actions[i].refHash, 0);
        }
    }

    /// @dev Actions of a batch build on each other; in the other order, the second is too early.
    function test_batch_in_order() external {
        UpdateAction[] memory actions = new UpdateAction[](2);
        actions[0] = _update(tree, next);
        actions[1] = _update(tree, tree);
        (actions[1].nonce, actions[1].proof) = (1, _encodeProof(next, 0));
        keystore.handleUpdates(actions);
        _assertState(actions[1], tree.root, 2);
        (actions[0], actions[1]) = (actions[1], actions[0]);
        (actions[0].nonce, actions[1].nonce) = (3, 2);
        vm.expectRevert(IUserConfigKeystore.InvalidNonce.selector);
        keystore.handleUpdates(actions);
    }

    /// @dev A new root has no registered nodes; an old one that returns has its own again.
    function test_cache_follows_the_root() external {
        bytes32 leaf = tree.leaves[0];
        _register(tree, ACCOUNT);
        UpdateAction memory action = _registered(_update(tree, next));
        _send(action);
        assertEq(bytes(""), keystore.getRegisteredNode(tree.root, ACCOUNT, leaf), "after the update");
        (action.nonce, action.nextHash, action.nextProof) = (1, tree.root, _encodeProof(tree, 0));
        vm.expectRevert(IUserConfigKeystore.UnregisteredProof.selector);
        _send(action);
        _register(next, ACCOUNT);
        assertEq(node, keystore.getRegisteredNode(tree.root, ACCOUNT, leaf), "registered again");
        _send(action);
        assertEq(node, keystore.getRegisteredNode(tree.root, ACCOUNT, leaf), "revived by the old root");
        assertEq(tree.root, keystore.getRootHash(tree.root, ACCOUNT), "the old root");
    }

    function test_re_entry() external {
        bytes memory again = abi.encodePacked(new ReentrantVerifier());
        UpdateAction memory action = _update(_growAround(again, "now"), _growAround(again, "next"));
        vm.expectRevert(Reentrancy.selector);
        _send(action);
        // The lock is open again, within the same transaction too.
        _send(_update(tree, next));
        _assertState(_update(tree, next), next.root, 1);
    }
}
