// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {FeeToken} from "./Tokens.sol";
import {VaultBase} from "./VaultBase.sol";

/// @notice What was paid in and not credited comes back, once; what was credited never does.
contract ReclaimTest is VaultBase {
    bytes32 private constant KEY = keccak256("somebody's key");

    function _depositPlace(uint64 id) private pure returns (bytes32) {
        return _place(10, bytes32(uint256(id)));
    }

    function _reclaim(uint64 id, bytes32 root) private {
        vault.reclaim(id, deposits[id], root, _exclude(_depositPlace(id)));
    }

    function test_Absent() public {
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        bytes32 root = _settle();
        vm.prank(STRANGER);
        _reclaim(id, root);
        assertEq(1_000 ether, ALICE.balance, "all of it, to whom it belongs");
        bytes memory proof = _exclude(_depositPlace(id));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NoDeposit.selector, id));
        vault.reclaim(id, deposits[id], root, proof);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NoDeposit.selector, id + 1));
        vault.reclaim(id + 1, deposits[id], root, proof);
    }

    /// @notice Nobody gets more, or another token, or somebody else's.
    function test_RefuseOtherDeposits(uint256 word, uint160 other) public {
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        bytes32 root = _settle();
        bytes memory proof = _exclude(_depositPlace(id));
        IKeystoreVault.Deposit memory paid = deposits[id];
        word = word % 4;
        if (word == 0) paid.token = address(other);
        if (word == 1) paid.amount = other;
        if (word == 2) paid.refundTo = address(other);
        if (word == 3) paid.entry = other;
        vm.assume(keccak256(abi.encode(paid)) != keccak256(abi.encode(deposits[id])));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NoDeposit.selector, id));
        vault.reclaim(id, paid, root, proof);
    }

    /// @notice Not before the queue's entry was taken: it may be credited yet.
    function test_RefusePending() public {
        _depositAs(BOB, ETHER, KEY, 1);
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        _settle(1); // in the same block: none is due
        bytes32 root = vault.checkpoint();
        bytes memory proof = _exclude(_depositPlace(id));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.DepositPending.selector, 1, 1));
        vault.reclaim(id, deposits[id], root, proof);
        _credit(id, KEY);
        root = _settle();
        proof = _exclude(_depositPlace(id));
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.reclaim(id, deposits[id], root, proof);
    }

    /// @notice What is credited stays credited: under every root that has taken its entry, and under those that come.
    function test_RefuseCredited() public {
        bytes32 early = _settle();
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        bytes memory absent = _exclude(_depositPlace(id));
        _credit(id, KEY);
        _setBalance(ETHER, KEY, 5);
        for (uint256 i; i < 3; ++i) {
            bytes32 root = _settle();
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.reclaim(id, deposits[id], root, absent);
            bytes memory present = _include(_depositPlace(id));
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.reclaim(id, deposits[id], root, present);
            bytes memory low = _exclude(_depositPlace(id));
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.reclaim(id, deposits[id], root, low);
            _setBalance(ETHER, KEY, i); // spent or not
        }
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.DepositPending.selector, 0, 0));
        vault.reclaim(id, deposits[id], early, absent);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.UnknownRoot.selector, keccak256("root")));
        vault.reclaim(id, deposits[id], keccak256("root"), absent);
    }

    /// @notice The inbox comes back to a state that is recorded: the later record counts, as it must, since the state is the
    /// same and more of the queue was taken.
    function test_ReturningRoot() public {
        bytes32 before = _settle();
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        bytes32 root = _settle();
        assertEq(before, root, "nothing was credited");
        _reclaim(id, root);
    }

    function test_TokenWithFee() public {
        address token = address(new FeeToken());
        _fund(token, ALICE, 10_000);
        uint64 id = _depositAs(ALICE, token, KEY, 10_000);
        _reclaim(id, _settle());
        assertEq(0, _holding(token, address(vault)), "all that had arrived is gone again");
        assertEq(9_801, _holding(token, ALICE), "the token took its fee twice");
    }

    /// @notice Frozen: what the queue still held comes back without waiting; what was credited before does not.
    function test_Frozen() public {
        uint64 credited = _depositAs(BOB, ETHER, KEY, 7);
        _credit(credited, KEY);
        _settle();
        uint64 waiting = _depositAs(ALICE, ETHER, KEY, 5);
        _pass(SILENCE);
        vault.freeze();
        bytes32 root = vault.frozenRoot();
        bytes memory proof = _exclude(_depositPlace(credited));
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.reclaim(credited, deposits[credited], root, proof);
        _reclaim(waiting, root);
        assertEq(1_000 ether, ALICE.balance, "it came back");
    }

    /// @notice An older root knows nothing of what was credited after it: the freeze lets only the frozen one speak early.
    function test_RefuseOldRootWhenFrozen() public {
        bytes32 old = _settle();
        uint64 id = _depositAs(ALICE, ETHER, KEY, 5);
        bytes memory absent = _exclude(_depositPlace(id));
        _credit(id, KEY);
        _settle();
        _silence(SILENCE);
        vault.freeze();
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.DepositPending.selector, 0, 0));
        vault.reclaim(id, deposits[id], old, absent);
    }
}
