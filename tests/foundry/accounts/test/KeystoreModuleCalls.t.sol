// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IdleModule} from "./ModularAccount.sol";
import {ModuleBase} from "./ModuleBase.sol";

/// @notice What a Safe shows of itself: its fallback handler, which is its ERC-7579 adapter and obeys whom the last 20 bytes of
/// a call name, and its own kind of modules.
contract SafeLike {
    address private immutable _handler;
    address private immutable _enabled;

    constructor(address handler, address enabled) {
        (_handler, _enabled) = (handler, enabled);
    }

    function isModuleInstalled(uint256, address, bytes calldata) external pure returns (bool) {
        return false;
    }

    function isModuleEnabled(address module) external view returns (bool) {
        return module == _enabled;
    }

    function getStorageAt(uint256 offset, uint256 length) external view returns (bytes memory) {
        require(length == 1, "one word");
        return abi.encode(offset == uint256(keccak256("fallback_manager.handler.address")) ? _handler : address(0));
    }
}

/// @notice An account that answers nothing to what it does not know, without a revert.
contract QuietAccount {
    function isModuleInstalled(uint256, address, bytes calldata) external pure returns (bool) {
        return false;
    }

    fallback() external {}
}

/// @notice Which calls intents and delegates may make in accounts as they are: none by which the account changes.
contract KeystoreModuleCallsTest is ModuleBase {
    function _refuseBoth(bytes memory callData) private {
        uint256 snapshot = avm.snapshotState();
        _refuse(_delegated(callData));
        avm.revertToState(snapshot);
        _refuse(_intended(callData));
        avm.revertToState(snapshot);
    }

    /// @notice OpenZeppelin's accounts, and all that follow ERC-7821, take the target zero for themselves.
    function test_RefuseTheZeroTarget() public {
        IdleModule executor = new IdleModule(2);
        _byOwner(abi.encodeCall(account.installModule, (2, address(executor), "")));
        _installAndPush();
        bytes memory uninstall = abi.encodeCall(account.uninstallModule, (2, address(executor), ""));
        Call[] memory calls = new Call[](2);
        calls[0] = Call(RECIPIENT, 1, "");
        calls[1] = Call(address(0), 0, uninstall);
        _refuseBoth(_single(address(0), 0, uninstall));
        _refuseBoth(abi.encodeCall(account.execute, (BATCH, abi.encode(calls))));
        _refuseBoth(_single(address(0), 0, ""));
        assertTrue(account.isModuleInstalled(2, address(executor), ""), "still there");
    }

    /// @notice Other modes give the bytes another meaning: ERC-7821 has batches with data for the account, and batches of batches.
    function test_RefuseOtherModes() public {
        _installAndPush();
        Call[] memory calls = new Call[](1);
        calls[0] = Call(RECIPIENT, 1, "");
        bytes memory batch = abi.encode(calls);
        bytes32[4] memory modes = [
            bytes32(hex"01000000000078210001"),
            bytes32(hex"01000000000078210002"),
            bytes32(hex"01000001"),
            bytes32(uint256(1) << 248 | 1)
        ];
        for (uint256 i; i < modes.length; ++i) {
            _refuseBoth(abi.encodeCall(account.execute, (modes[i], batch)));
        }
        // A batch that goes on where a call fails is a batch.
        _accept(_delegated(abi.encodeCall(account.execute, (bytes32(hex"0101"), batch))));
    }

    function _validate(address sender, bytes memory callData) private returns (uint256 found) {
        uint256 snapshot = avm.snapshotState();
        vm.prank(sender);
        module.onInstall(abi.encode(key));
        PackedUserOperation memory operation = _delegated(callData);
        module.pushRoot(sender);
        operation.sender = sender;
        bytes32 hash = keccak256("the operation's hash");
        operation.signature = _openDelegate(key, alice, block.chainid, hot, UNTIL, _sign(hot.privateKey, hash));
        found = _ask(sender, abi.encodeWithSelector(module.validateUserOp.selector, operation, hash));
        avm.revertToState(snapshot);
    }

    /// @notice A Safe obeys its adapter, which obeys the Safe: a call to it is a call to itself. So are those to Safe's own modules,
    /// whose limits and delegates outlive the keystore's.
    function test_Safe() public {
        address handler = address(0x4A7D1E8);
        address enabled = address(0xA110);
        address safe = address(new SafeLike(handler, enabled));
        assertTrue(_validate(safe, _single(RECIPIENT, 1, "")) != 1, "spending it may");
        assertEq(1, _validate(safe, _single(handler, 0, "")), "the adapter");
        assertEq(1, _validate(safe, _single(enabled, 0, "")), "a module of Safe's own");
        Call[] memory calls = new Call[](2);
        calls[0] = Call(RECIPIENT, 1, "");
        calls[1] = Call(handler, 0, "");
        assertEq(1, _validate(safe, abi.encodeCall(account.execute, (BATCH, abi.encode(calls)))), "in a batch");
    }

    /// @notice An account need not answer Safe's questions, nor EIP-5267's; no answer is none.
    function test_QuietAccount() public {
        address quiet = address(new QuietAccount());
        assertTrue(_validate(quiet, _single(RECIPIENT, 1, "")) != 1, "spending it may");
        vm.prank(quiet);
        module.onInstall(abi.encode(key));
        vm.prank(quiet);
        assertEq(
            bytes32(bytes4(0xffffffff)),
            bytes32(module.isValidSignatureWithSender(RECIPIENT, keccak256("hash"), hex"00")),
            "refused without a revert"
        );
    }
}
