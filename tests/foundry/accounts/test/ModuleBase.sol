// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Trees} from "vault-test/Trees.sol";
import {IdleModule, IKeystoreModule, IModularAccount, ModularAccount} from "./ModularAccount.sol";
import {OutboxTree} from "./OutboxTree.sol";

/// @title An account that exists, with the keystore's module: OpenZeppelin's under the published entry point
abstract contract ModuleBase is OutboxTree {
    using Trees for Trees.Tree;

    struct Call {
        address target;
        uint256 value;
        bytes data;
    }

    bytes4 internal constant YES = 0x1626ba7e;
    uint256 internal constant OWNER = 0x0E4E8;
    uint64 internal constant UNTIL = uint64(NOW + 1 hours);
    bytes32 internal constant BATCH = bytes32(uint256(1) << 248);
    bytes32 internal constant DELEGATECALL = bytes32(uint256(0xff) << 248);

    Holder internal alice;
    Holder internal hot;
    bytes32 internal key;
    IModularAccount internal account;
    IKeystoreModule internal module;

    function setUp() public virtual override {
        super.setUp();
        alice = _holder(0xA11CE);
        hot = _holder(0x407);
        key = _keyOf(alice);
        module = IKeystoreModule(_deploy(abi.encodePacked(_load("KeystoreModule"), abi.encode(roots))));
        account = IModularAccount(address(new ModularAccount(address(entryPoint), vm.addr(OWNER))));
        vm.deal(address(account), 10 ether);
        _setAccount(key, alice);
    }

    // The account's side

    /// @notice What the account does by its own key, as before the keystore.
    function _byOwner(bytes memory callData) internal {
        PackedUserOperation memory operation = _transfer(address(account));
        operation.callData = callData;
        bytes memory signature = _sign(OWNER, entryPoint.getUserOpHash(operation));
        operation.signature = signature;
        _handle(operation);
    }

    function _install() internal {
        _byOwner(abi.encodeCall(account.installModule, (1, address(module), abi.encode(key))));
    }

    function _installAndPush() internal {
        _install();
        _showTree();
        module.pushRoot(address(account));
    }

    function _single(address target, uint256 value, bytes memory data) internal view returns (bytes memory) {
        return abi.encodeCall(account.execute, (bytes32(0), abi.encodePacked(target, value, data)));
    }

    /// @notice An operation that the module is to validate, not signed yet.
    function _operation(bytes memory callData) internal view returns (PackedUserOperation memory operation) {
        operation = _transfer(address(account));
        operation.nonce = entryPoint.getNonce(address(account), uint192(uint160(address(module))) << 32);
        operation.callData = callData;
        return operation;
    }

    function _transferOperation() internal view returns (PackedUserOperation memory) {
        return _operation(_single(RECIPIENT, 1, ""));
    }

    function _present(Holder memory holder) internal view returns (Opening memory) {
        return Opening(0, 0, abi.encodePacked(holder.vkHash, tree.include(_treeKey(key))));
    }

    function _signedBy(Holder memory holder) internal view returns (PackedUserOperation memory) {
        return _sign(_transferOperation(), holder, _present(holder));
    }

    function _ask(address caller, bytes memory call_) internal returns (uint256) {
        vm.prank(caller);
        (bool success, bytes memory answer) = address(module).call(call_);
        assertTrue(success, "no revert");
        return abi.decode(answer, (uint256));
    }

    // Intents and delegates

    function _intended(bytes memory callData) internal returns (PackedUserOperation memory operation) {
        operation = _operation(callData);
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        Intent memory intent = Intent(7, block.chainid, address(account), userOpHash, uint64(NOW - 60), UNTIL);
        _setIntent(key, alice, intent);
        operation.signature = _openIntent(key, alice, intent);
        _showTree();
        module.pushRoot(address(account));
        _warp(time + GRACE + 1);
    }

    function _delegated(bytes memory callData) internal returns (PackedUserOperation memory operation) {
        operation = _operation(callData);
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        bytes memory signature = _sign(hot.privateKey, entryPoint.getUserOpHash(operation));
        operation.signature = _openDelegate(key, alice, block.chainid, hot, UNTIL, signature);
        _showTree();
        module.pushRoot(address(account));
    }
}
