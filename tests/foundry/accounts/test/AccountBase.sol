// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountRoots} from "keystore/AccountRoots.sol";
import {AccountSignature} from "keystore/AccountSignature.sol";
import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {IRootReceiver} from "keystore/IRootReceiver.sol";
import {Paths} from "keystore-test/Paths.sol";
import {StateCosts} from "./StateCosts.sol";
import {IKeystoreAccount, IKeystoreAccountFactory} from "./IKeystoreAccount.sol";

/// @title Accounts under the published EntryPoint 0.8 at its canonical address
abstract contract AccountBase is StateCosts {
    /// @notice Data and vk of a key on the keystore, and what signs for them here.
    struct Holder {
        uint256 privateKey;
        bytes32 salt;
        bytes32 codeHash;
        bytes config;
        bytes32 vkHash;
    }

    /// @notice How a configuration is opened, under which root.
    struct Opening {
        bytes32 root;
        uint8 mode;
        bytes data;
    }

    string private constant _ENTRY_POINT_ARTIFACT =
        "../node_modules/@account-abstraction/contracts/artifacts/EntryPoint.json";
    address private constant _CANONICAL_ENTRY_POINT = 0x4337084D9E255Ff0702461CF8895CE9E3b5Ff108;
    /// @notice The salt that its authors deploy it with.
    bytes32 private constant _ENTRY_POINT_SALT = 0x0a59dbff790c23c976a548690c27297883cc66b4c67024f9117b0238995e35e9;
    uint256 internal constant DEPTH = 30;
    uint256 internal constant NOW = 1_800_000_000;
    uint256 internal constant FAILED = 1;
    uint256 internal constant GRACE = 15 minutes;
    uint256 internal constant MAX_AGE = 7 days;
    address payable internal constant BUNDLER = payable(address(0xB0D1E8));
    address internal constant STAKER = address(0x57A4E8);
    address payable internal constant RECIPIENT = payable(address(0x8EC191E27));

    address private constant _INBOX = address(0x1B0);
    /// @notice The broadcaster's adapter on L1, and how Arbitrum names it on L2.
    address private constant _SENDER = address(0x5E4DE8);
    address private constant _SENDER_ALIAS = address(uint160(_SENDER) + uint160(0x1111000000000000000000000000000000001111));
    address private constant _OP_STACK_MESSENGER = 0x4200000000000000000000000000000000000007;
    address private constant _OP_STACK_L1_BLOCK = 0x4200000000000000000000000000000000000015;

    IEntryPoint internal entryPoint;
    IKeystoreRoots internal roots;
    IKeystoreAccountFactory internal factory;
    /// @notice The block's time, kept here because the compiler takes `block.timestamp` for constant within a test.
    uint256 internal time;
    uint64 private _height;
    bytes32 private _ecdsaHash;

    function setUp() public virtual {
        _warp(NOW);
        entryPoint = _deployEntryPoint(_ENTRY_POINT_SALT);
        assertEq(_CANONICAL_ENTRY_POINT, address(entryPoint), "the published code is that of the canonical address");
        bytes memory validator = _load("ECDSAValidator");
        _deploy(validator);
        _ecdsaHash = keccak256(validator);
        roots = IKeystoreRoots(_deploy(_rootsCode()));
        factory = IKeystoreAccountFactory(_deploy(_factoryCode()));
        vm.deal(STAKER, 1 ether);
        vm.prank(STAKER);
        factory.addStake{value: 1 ether}(1 days);
    }

    function _deployEntryPoint(bytes32 salt) internal returns (IEntryPoint) {
        return IEntryPoint(_deploy(_read(_ENTRY_POINT_ARTIFACT), salt));
    }

    /// @notice Roots that any chain can have, of OP-stack or Arbitrum: every argument is the same everywhere.
    function _rootsCode() private returns (bytes memory) {
        address opStack =
            _deploy(abi.encodePacked(_load("OpStackOrigin"), abi.encode(_OP_STACK_MESSENGER, _SENDER)));
        address arbitrum = _deploy(abi.encodePacked(_load("ArbitrumOrigin"), abi.encode(_SENDER)));
        address either = _deploy(abi.encodePacked(_load("EitherOrigin"), abi.encode(opStack, arbitrum)));
        return abi.encodePacked(_load("KeystoreRoots"), abi.encode(_INBOX, either, _OP_STACK_L1_BLOCK));
    }

    function _factoryCode() internal view returns (bytes memory) {
        return abi.encodePacked(_load("KeystoreAccountFactory"), abi.encode(entryPoint, roots, STAKER));
    }

    function _warp(uint256 timestamp) internal {
        vm.warp(timestamp);
        time = timestamp;
    }

    // The keystore's side

    /// @notice Whoever has one Ethereum key, which is vk and validator's owner.
    function _holder(uint256 privateKey) internal view returns (Holder memory) {
        bytes memory owner = abi.encodePacked(vm.addr(privateKey));
        return Holder(privateKey, bytes32(0), _ecdsaHash, owner, keccak256(owner));
    }

    function _dataHash(Holder memory holder) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(holder.codeHash, keccak256(holder.config)));
    }

    function _keyOf(Holder memory holder) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(holder.salt, _dataHash(holder), holder.vkHash));
    }

    function _treeKey(bytes32 key) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint16(0), key));
    }

    /// @notice A tree that holds the holder's data and vk at `key`.
    function _include(bytes32 key, Holder memory holder, uint256 depth) internal pure returns (Opening memory) {
        bytes32 valueHash = keccak256(abi.encodePacked(_dataHash(holder), holder.vkHash));
        Paths.Leaf memory leaf = Paths.Leaf(1, 1, _treeKey(key), 1, bytes32(type(uint256).max), valueHash);
        bytes32 seed = keccak256(abi.encode(key, valueHash));
        Paths.Path memory path = Paths.grow(Paths.hash(leaf), depth, uint64(uint256(seed)), seed);
        bytes memory proof = Paths.packInclusion(leaf, path);
        return Opening(path.root, AccountSignature.INCLUSION, abi.encodePacked(holder.vkHash, proof));
    }

    function _include(bytes32 key, Holder memory holder) internal pure returns (Opening memory) {
        return _include(key, holder, DEPTH);
    }

    /// @notice A tree in which nothing was ever registered at the holder's key.
    function _exclude(Holder memory holder, uint256 depth) internal pure returns (Opening memory) {
        uint256 treeKey = uint256(_treeKey(_keyOf(holder)));
        Paths.Leaf memory leaf =
            Paths.Leaf(1, 1, bytes32(treeKey - 7), 1, bytes32(treeKey + 5), keccak256("a neighbour's value"));
        bytes32 seed = bytes32(treeKey);
        Paths.Path memory path = Paths.grow(Paths.hash(leaf), depth, uint64(treeKey), seed);
        bytes memory proof = Paths.packExclusion(leaf, path);
        return Opening(path.root, AccountSignature.EXCLUSION, abi.encodePacked(holder.salt, holder.vkHash, proof));
    }

    function _exclude(Holder memory holder) internal pure returns (Opening memory) {
        return _exclude(holder, DEPTH);
    }

    /// @notice A message from L1 brings one more root, which the inbox held a minute ago.
    function _show(bytes32 root) internal {
        vm.prank(_SENDER_ALIAS);
        IRootReceiver(address(roots)).receiveRoot(root, ++_height, uint64(time - 60), uint64(time - 60));
    }

    /// @notice A message from L1 shows a root at a height, with the times that it names.
    function _showSettled(bytes32 root, uint64 height, uint256 l1Time, uint256 settledAt) internal {
        vm.prank(_SENDER_ALIAS);
        IRootReceiver(address(roots)).receiveRoot(root, height, uint64(l1Time), uint64(settledAt));
    }

    /// @notice The account of a key, funded, with a copy of a root.
    function _create(bytes32 key, bytes32 root) internal returns (IKeystoreAccount account) {
        _show(root);
        vm.prank(address(entryPoint.senderCreator()));
        account = IKeystoreAccount(payable(factory.createAccount(key, root)));
        vm.deal(address(account), 10 ether);
    }

    /// @notice The call that makes the account of a key, for an operation that is signed against a root.
    function _initCode(bytes32 key, bytes32 signedRoot) internal view returns (bytes memory) {
        return abi.encodePacked(factory, abi.encodeCall(factory.createAccount, (key, signedRoot)));
    }

    // The wallet's side

    function _encode(Holder memory holder, Opening memory opening, bytes memory signature)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            opening.mode,
            holder.codeHash,
            uint16(holder.config.length),
            holder.config,
            uint16(signature.length),
            signature,
            opening.data
        );
    }

    function _remembering(Opening memory opening) internal pure returns (Opening memory) {
        return Opening(opening.root, opening.mode | AccountSignature.REMEMBER, opening.data);
    }

    function _cached() internal pure returns (Opening memory) {
        return Opening(0, AccountSignature.CACHED, "");
    }

    /// @notice An operation that sends one wei, not signed yet.
    function _transfer(address account) internal view returns (PackedUserOperation memory operation) {
        operation.sender = account;
        operation.nonce = entryPoint.getNonce(account, 0);
        operation.callData = abi.encodeWithSignature("execute(address,uint256,bytes)", RECIPIENT, 1, "");
        operation.accountGasLimits = bytes32(uint256(2_000_000) << 128 | 200_000);
        operation.preVerificationGas = 50_000;
        operation.gasFees = bytes32(uint256(1 gwei) << 128 | 1 gwei);
    }

    function _sign(PackedUserOperation memory operation, Holder memory holder, Opening memory opening)
        internal
        view
        returns (PackedUserOperation memory)
    {
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        operation.signature = _encode(holder, opening, _sign(holder.privateKey, userOpHash));
        return operation;
    }

    function _signedTransfer(IKeystoreAccount account, Holder memory holder, Opening memory opening)
        internal
        view
        returns (PackedUserOperation memory)
    {
        return _sign(_transfer(address(account)), holder, opening);
    }

    // The bundler's side

    function _handle(PackedUserOperation memory operation) internal {
        PackedUserOperation[] memory operations = new PackedUserOperation[](1);
        operations[0] = operation;
        avm.prank(BUNDLER, BUNDLER);
        entryPoint.handleOps(operations, BUNDLER);
    }

    /// @notice The operation is taken, and its transfer arrives.
    function _accept(PackedUserOperation memory operation) internal {
        uint256 balance = RECIPIENT.balance;
        _handle(operation);
        assertEq(balance + 1, RECIPIENT.balance, "the transfer arrived");
    }

    /// @notice The entry point refuses the operation, for this reason.
    function _refuse(PackedUserOperation memory operation, string memory reason) internal {
        vm.expectRevert(abi.encodeWithSelector(IEntryPoint.FailedOp.selector, 0, reason));
        _handle(operation);
    }

    function _refuse(PackedUserOperation memory operation) internal {
        _refuse(operation, "AA24 signature error");
    }

    function _refuseAsOutdated(PackedUserOperation memory operation) internal {
        _refuse(operation, "AA22 expired or not due");
    }

    /// @notice What the account answers to the entry point.
    function _validate(PackedUserOperation memory operation) internal returns (uint256) {
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        vm.prank(address(entryPoint));
        return IKeystoreAccount(payable(operation.sender)).validateUserOp(operation, userOpHash, 0);
    }

    /// @notice The root over an account and another leaf of its key, each other's sibling, and how both are opened.
    function _pair(bytes32 key, Holder memory owner, bytes32 place, bytes32 valueHash)
        internal
        pure
        returns (bytes32 root, bytes memory openings)
    {
        bytes memory value = abi.encodePacked(_dataHash(owner), owner.vkHash);
        bytes32 accountHash = Paths.hash(Paths.Leaf(1, 1, _treeKey(key), 0, 0, keccak256(value)));
        bytes32 otherHash = Paths.hash(Paths.Leaf(1, 1, place, 0, 0, valueHash));
        bytes32 node = keccak256(abi.encodePacked(accountHash, otherHash));
        Paths.Path memory path = Paths.grow(node, DEPTH - 1, uint64(uint256(node)), node);
        bytes memory link = abi.encodePacked(uint8(0), bytes32(0));
        bytes memory left = abi.encodePacked(path.isLeft << 1, link, otherHash, path.siblings);
        bytes memory right = abi.encodePacked(path.isLeft << 1 | 1, link, accountHash, path.siblings);
        openings = abi.encodePacked(value, uint16(left.length), left, uint16(right.length), right);
        root = path.root;
    }
}
