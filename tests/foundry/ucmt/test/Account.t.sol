// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {IStakeManager} from "@account-abstraction/contracts/interfaces/IStakeManager.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IUcmtVerifier} from "keystore/ucmt/IUcmtVerifier.sol";
import {IUserConfigKeystore, UpdateAction} from "keystore/ucmt/IUserConfigKeystore.sol";
import {AccountBase} from "./AccountBase.sol";
import {IUcmtAccount, IUcmtAccountFactory} from "./IUcmtAccount.sol";

/// @dev Factory and accounts with operations.
contract AccountTest is AccountBase {
    // Factory

    function testFuzz_create(bytes32 refHash, uint256 salt) external {
        address expected = factory.getAddress(refHash, salt);
        vm.expectEmit(expected);
        emit IUcmtAccount.KeystoreAccountInitialized(entryPoint, keystore, refHash);
        IUcmtAccount account = _createAccount(refHash, salt);
        assertEq(expected, address(account), "where it was computed to be");
        assertEq(expected, address(_createAccount(refHash, salt)), "the existing one");
        assertEq(refHash, account.refHash(), "refHash");
        assertEq(address(entryPoint), address(account.entryPoint()), "entry point");
        assertEq(address(keystore), address(account.keystore()), "keystore");
    }

    /// @dev The address is CREATE2's over refHash and salt, with the code of ERC-1167 in the form that Stackup's factory has.
    function testFuzz_address(bytes32 refHash, uint256 salt) external view {
        bytes memory code = abi.encodePacked(
            hex"602c3d8160093d39f33d3d3d3d363d3d37363d73", factory.implementation(), hex"5af43d3d93803e602a57fd5bf3"
        );
        bytes32 hash = keccak256(
            abi.encodePacked(bytes1(0xff), factory, keccak256(abi.encode(refHash, salt)), keccak256(code))
        );
        assertEq(address(uint160(uint256(hash))), factory.getAddress(refHash, salt), "address");
    }

    function testFuzz_create_refuses(address caller) external {
        vm.assume(caller != address(entryPoint.senderCreator()));
        vm.prank(caller);
        vm.expectRevert(IUcmtAccountFactory.NotFromSenderCreator.selector);
        factory.createAccount(tree.root, 0);
    }

    /// @dev Neither an account nor the implementation gets another user.
    function test_initialize_once() external {
        IUcmtAccount account = _createAccount(tree.root, 0);
        vm.expectRevert(IUcmtAccount.AlreadyInitialized.selector);
        account.initialize(MESSAGE);
        account = factory.implementation();
        vm.expectRevert(IUcmtAccount.AlreadyInitialized.selector);
        account.initialize(MESSAGE);
    }

    function testFuzz_stake(uint112 value) external {
        vm.assume(value != 0);
        vm.deal(address(this), value);
        factory.addPermanentEntryPointStake{value: value}();
        IStakeManager.DepositInfo memory stake = entryPoint.getDepositInfo(address(factory));
        assertTrue(stake.staked, "staked");
        assertEq(value, stake.stake, "stake");
        assertEq(type(uint32).max, stake.unstakeDelaySec, "delay");
    }

    function testFuzz_deposit(uint112 value) external {
        IUcmtAccount account = _createAccount(tree.root, 0);
        vm.deal(address(this), value);
        account.addDeposit{value: value}();
        assertEq(value, account.getDeposit(), "deposit");
        vm.expectRevert();
        account.withdrawDepositTo(RECIPIENT, value);
        vm.prank(address(entryPoint));
        account.withdrawDepositTo(RECIPIENT, value);
        assertEq(value, RECIPIENT.balance, "taken back");
        assertEq(0, account.getDeposit(), "nothing is left");
    }

    // Operations

    /// @dev The verifier gets the whole operation with the inner signature in it, and its word is the answer.
    function testFuzz_validate(bytes32 hash, uint256 answer, bytes calldata data) external {
        tree = _growAround(_answering(answer, "config"), "rest");
        IUcmtAccount account = _createAccount(tree.root, 0);
        PackedUserOperation memory operation = _transfer(address(account));
        PackedUserOperation memory inner = _transfer(address(account));
        inner.signature = data;
        bytes memory question = abi.encodeCall(IUcmtVerifier.validateData, (hash, abi.encode(inner), "config"));
        for (uint256 i; i < 2; ++i) {
            operation.signature = i == 0 ? _proven(0, data) : _cached(0, data);
            vm.expectCall(address(bytes20(tree.nodes[0])), question);
            vm.prank(address(entryPoint));
            assertEq(answer, account.validateUserOp(operation, hash, 0), "the verifier's word");
        }
        vm.expectRevert();
        account.validateUserOp(operation, hash, 0);
    }

    function _within(bytes32 slot, bytes32 first, uint256 count) private pure returns (bool) {
        return slot >= first && uint256(slot) < uint256(first) + count;
    }

    /// @dev Validation touches, of the keystore's storage, what ERC-7562 calls associated with the account: slots
    /// `keccak256(account | x) + n`, n <= 128. Registering writes the node, which has more words than one.
    function test_storage_is_associated() external {
        IUcmtAccount account = _createAccount(tree.root, 0);
        bytes32 rootSlot = keccak256(abi.encode(account, keccak256(abi.encode(tree.root, 0))));
        bytes32 node = keccak256(abi.encode(tree.leaves[0], keccak256(abi.encode(tree.root, 2))));
        bytes32 nodeSlot = keccak256(abi.encode(account, node));
        for (uint256 i; i < 2; ++i) {
            PackedUserOperation memory operation = _transfer(address(account));
            operation.signature = i == 0 ? _proven(0, _sign(ALICE, MESSAGE)) : _cached(0, _sign(ALICE, MESSAGE));
            vm.record();
            vm.prank(address(entryPoint));
            assertEq(SUCCESS, account.validateUserOp(operation, MESSAGE, 0), "valid");
            (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(keystore));
            assertTrue(reads.length >= 3, "the root, and two words of the node");
            for (uint256 j; j < reads.length; ++j) {
                assertTrue(reads[j] == rootSlot || _within(reads[j], nodeSlot, 129), "a read");
            }
            assertEq(i == 0 ? 2 : 0, writes.length, "two words are written once");
            for (uint256 j; j < writes.length; ++j) {
                assertTrue(_within(writes[j], nodeSlot, 129), "a write");
            }
        }
    }

    function _signed(address account, uint256 privateKey) private view returns (PackedUserOperation memory, bytes memory) {
        PackedUserOperation memory operation = _transfer(account);
        return (operation, _sign(privateKey, entryPoint.getUserOpHash(operation)));
    }

    /// @dev Made, registered, used from the cache, proven again, by another node; a wrong key never.
    function test_life() external {
        address predicted = factory.getAddress(tree.root, 0);
        vm.deal(predicted, 10 ether);
        PackedUserOperation memory operation = _transfer(predicted);
        bytes memory creation = abi.encodeCall(IUcmtAccountFactory.createAccount, (tree.root, 0));
        operation.initCode = abi.encodePacked(factory, creation);
        operation.signature = _proven(0, _sign(ALICE, entryPoint.getUserOpHash(operation)));
        _accept(operation);
        assertEq(aliceNode, keystore.getRegisteredNode(tree.root, predicted, tree.leaves[0]), "registered");
        bytes memory data;
        (operation, data) = _signed(predicted, ALICE);
        operation.signature = _cached(0, data);
        _accept(operation);
        (operation, data) = _signed(predicted, ALICE);
        operation.signature = _proven(0, data);
        _accept(operation);
        (operation, data) = _signed(predicted, BOB);
        operation.signature = _proven(1, data);
        _accept(operation);
        (operation, data) = _signed(predicted, BOB);
        operation.signature = _cached(0, data);
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, "AA24 signature error"));
        _handle(operation);
    }

    /// @dev An account that is not there yet works at once with its newest key: its root was changed before it was made.
    function test_update_before_creation() external {
        address predicted = factory.getAddress(tree.root, 0);
        vm.deal(predicted, 10 ether);
        Tree memory next = _grow(bobNode, "x", "y", "z");
        UpdateAction memory action = _updateTo(tree, next);
        action.account = predicted;
        bytes32 message = _hash(action, tree.leaves[0]);
        (action.data, action.nextData) = (_sign(ALICE, message), _sign(BOB, message));
        _send(action);
        PackedUserOperation memory operation = _transfer(predicted);
        bytes memory creation = abi.encodeCall(IUcmtAccountFactory.createAccount, (tree.root, 0));
        operation.initCode = abi.encodePacked(factory, creation);
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        operation.signature = _proven(0, _sign(ALICE, userOpHash));
        vm.expectRevert();
        _handle(operation);
        tree = next;
        operation.signature = _proven(0, _sign(BOB, userOpHash));
        _accept(operation);
    }

    // ERC-1271

    function test_1271_detection() external {
        bytes32 question = 0x7739773977397739773977397739773977397739773977397739773977397739;
        assertEq(bytes4(0x77390001), _createAccount(tree.root, 0).isValidSignature(question, ""), "ERC-7739");
    }

    function _personalDigest(address account, bytes32 hash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("KeystoreAccount"),
                keccak256("1"),
                block.chainid,
                account
            )
        );
        bytes32 inner = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        return keccak256(abi.encodePacked(hex"1901", domain, inner));
    }

    /// @dev By proof and, once the node is registered, from the cache; asking registers nothing. One signer's two accounts do
    /// not take each other's signatures (Spearbit 5.1.3).
    function test_1271_personal_sign() external {
        IUcmtAccount account = _createAccount(tree.root, 0);
        IUcmtAccount second = _createAccount(tree.root, 1);
        // Solady burns gas for the callers of gas price 0.
        avm.txGasPrice(1);
        bytes memory data = _sign(ALICE, _personalDigest(address(account), MESSAGE));
        assertEq(bytes4(0x1626ba7e), account.isValidSignature(MESSAGE, _proven(0, data)), "by proof");
        assertEq(bytes(""), keystore.getRegisteredNode(tree.root, address(account), tree.leaves[0]), "not registered");
        assertEq(bytes4(0xffffffff), second.isValidSignature(MESSAGE, _proven(0, data)), "the other account");
        data = _sign(ALICE, MESSAGE);
        assertEq(bytes4(0xffffffff), account.isValidSignature(MESSAGE, _proven(0, data)), "not nested");
        vm.prank(address(account));
        keystore.registerNode(tree.root, _prove(tree, 0), aliceNode);
        data = _sign(ALICE, _personalDigest(address(account), MESSAGE));
        assertEq(bytes4(0x1626ba7e), account.isValidSignature(MESSAGE, _cached(0, data)), "from the cache");
    }

    /// @dev Anything but 1 is a yes: a time window in the answer is not read.
    function testFuzz_1271_answers(uint256 answer, bytes calldata data) external {
        tree = _growAround(_answering(answer, ""), "rest");
        IUcmtAccount account = _createAccount(tree.root, 0);
        avm.txGasPrice(1);
        bytes4 expected = answer == FAILED ? bytes4(0xffffffff) : bytes4(0x1626ba7e);
        assertEq(expected, account.isValidSignature(MESSAGE, _proven(0, data)), "answer");
    }

    function test_receives() external {
        IUcmtAccount account = _createAccount(tree.root, 0);
        vm.deal(address(this), 1 ether);
        (bool sent,) = address(account).call{value: 1 ether}("");
        assertTrue(sent, "ether");
        bytes memory hook = abi.encodeWithSignature(
            "onERC721Received(address,address,uint256,bytes)", address(this), address(this), 1, ""
        );
        (sent,) = address(account).call(hook);
        assertTrue(sent, "a token");
    }
}
