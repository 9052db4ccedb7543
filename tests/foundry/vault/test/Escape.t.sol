// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {PlainToken} from "./Tokens.sol";
import {EscapeBase} from "./EscapeBase.sol";

/// @notice When money may leave without the operator, how much of it, and what stops for ever.
contract EscapeTest is EscapeBase {
    bytes32 private constant FREEZE_TYPE = 0x2bbf10cada24eb498aa40fe70ac262695ae4b5ccbeafe4a337537338a67b36be;

    function test_OnlyAfterSilence() public {
        Account memory account = _accountOf(ALICE);
        _setAccount(account);
        _setBalance(ETHER, account.key, 5);
        _fillVault(5);
        _settle();
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        // An idle rollup is not silent, however long it is idle.
        _pass(10 * SILENCE);
        _refuseAlive(account, opening, proof, 0);
        inbox.force(hex"00");
        _refuseAlive(account, opening, proof, 0);
        _pass(SILENCE - 1);
        inbox.force(hex"00"); // a later entry is not the oldest one
        _refuseAlive(account, opening, proof, SILENCE - 1);
        _pass(1);
        vm.prank(ALICE);
        vault.escape(account.key, ETHER, BOB, 5, opening, proof, CALLER);
        assertEq(1_000 ether + 5, BOB.balance, "escaped");
    }

    function _refuseAlive(
        Account memory account,
        IKeystoreVault.Opening memory opening,
        bytes memory proof,
        uint256 age
    ) private {
        bytes memory error = abi.encodeWithSelector(IKeystoreVault.OperatorAlive.selector, age);
        vm.expectRevert(error);
        vm.prank(ALICE);
        vault.escape(account.key, ETHER, BOB, 5, opening, proof, CALLER);
        vm.expectRevert(error);
        vault.freeze();
    }

    /// @notice An operator who takes the entry in the last moment is alive again.
    function test_TakenInTime() public {
        _silence(SILENCE);
        assertEq(SILENCE, vault.getSilence(), "long enough");
        _settle();
        assertEq(0, vault.getSilence(), "nothing waits");
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.OperatorAlive.selector, 0));
        vault.freeze();
    }

    function test_Freeze() public {
        Account memory account = _accountOf(ALICE);
        _setWithdrawal(keccak256("before"), ETHER, BOB, 7);
        _fillVault(7);
        _leave(account, 5);
        bytes32 root = inbox.settled().stateRoot;
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        bytes memory payload = abi.encodePacked(hex"00", FREEZE_TYPE);
        vm.expectCall(address(inbox), abi.encodeCall(inbox.force, (payload)));
        vm.prank(STRANGER);
        vault.freeze();
        assertEq(root, vault.frozenRoot(), "at the settled root");

        bytes memory frozen = abi.encodeWithSelector(IKeystoreVault.VaultFrozen.selector, root);
        vm.expectRevert(frozen);
        _tryDeposit(ALICE, ETHER, account.key, 1);
        vm.expectRevert(frozen);
        vault.checkpoint();
        vm.expectRevert(frozen);
        vault.freeze();
        // The operator comes back, and what it settles now counts for nothing here.
        bytes memory before = _include(_withdrawalPlace(ETHER, keccak256("before")));
        _setWithdrawal(keccak256("after"), ETHER, BOB, 7);
        _setBalance(ETHER, account.key, 500);
        _pass(1);
        _settle(inbox.queueLength());
        bytes32 later = inbox.settled().stateRoot;
        bytes memory after_ = _include(_withdrawalPlace(ETHER, keccak256("after")));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.UnknownRoot.selector, later));
        vault.claim(later, keccak256("after"), ETHER, BOB, 7, after_);
        vm.prank(ALICE);
        vault.escape(account.key, ETHER, ALICE, 5, opening, proof, CALLER);
        vault.claim(root, keccak256("before"), ETHER, BOB, 7, before);
        assertEq(0, address(vault).balance, "everybody has his own");
    }

    function test_OnceEach() public {
        PlainToken token = new PlainToken();
        Account memory account = _accountOf(ALICE);
        _fund(address(token), address(vault), 20);
        _fillVault(20);
        _setBalance(address(token), account.key, 9);
        _leave(account, 5);
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        bytes memory tokenProof = _include(_balancePlace(address(token), account.key));
        vm.startPrank(ALICE);
        vault.escape(account.key, ETHER, BOB, 5, opening, proof, CALLER);
        vault.escape(account.key, address(token), BOB, 9, opening, tokenProof, CALLER);
        assertEq(9, token.balanceOf(BOB), "each token of its own");
        _refuse(IKeystoreVault.AlreadyPaid.selector);
        vault.escape(account.key, ETHER, BOB, 5, opening, proof, CALLER);
        _refuse(IKeystoreVault.AlreadyPaid.selector);
        vault.escape(account.key, address(token), BOB, 9, opening, tokenProof, CALLER);
        vm.stopPrank();
    }

    function test_RefuseOtherBalances() public {
        Account memory account = _accountOf(ALICE);
        Account memory other = _accountOf(BOB);
        _setAccount(other);
        _setBalance(ETHER, other.key, 6);
        _leave(account, 5);
        _fillVault(100);
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory own = _include(_balancePlace(ETHER, account.key));
        bytes memory foreign = _include(_balancePlace(ETHER, other.key));
        IKeystoreVault.Opening memory foreignOpening = _opening(other);
        vm.startPrank(ALICE);
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.escape(account.key, ETHER, ALICE, 6, opening, own, CALLER);
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.escape(account.key, ETHER, ALICE, 6, opening, foreign, CALLER);
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.escape(account.key, STRANGER, ALICE, 5, opening, own, CALLER);
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.escape(other.key, ETHER, ALICE, 6, opening, foreign, CALLER);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NotAuthorized.selector, other.key));
        vault.escape(other.key, ETHER, ALICE, 6, foreignOpening, foreign, CALLER);
        vm.expectRevert(IKeystoreVault.ZeroAddress.selector);
        vault.escape(account.key, ETHER, address(0), 5, opening, own, CALLER);
        vm.expectRevert(IKeystoreVault.NothingPaid.selector);
        vault.escape(account.key, ETHER, ALICE, 0, opening, own, CALLER);
        vm.stopPrank();
    }

    // Openings

    /// @notice An account that was never registered opens by its absence, with what its key was made of.
    function test_NeverRegistered() public {
        Account memory account = _accountOf(ALICE);
        Account memory other = _accountOf(BOB);
        _setAccount(other);
        _setBalance(ETHER, account.key, 5);
        _setBalance(ETHER, other.key, 5);
        _fillVault(10);
        _settle();
        _silence(SILENCE);
        vm.prank(ALICE);
        _escapeAbsent(account, account.salt, "");
        // One who is registered does not, even by what his key was made of: that may be years old.
        vm.prank(BOB);
        _escapeAbsent(other, other.salt, abi.encodePacked(IKeystoreVault.WrongProof.selector));
    }

    function _escapeAbsent(Account memory account, bytes32 salt, bytes memory error) private {
        IKeystoreVault.Opening memory opening = _openingByAbsence(account);
        opening.salt = salt;
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        if (error.length != 0) vm.expectRevert(error);
        vault.escape(account.key, ETHER, STRANGER, 5, opening, proof, CALLER);
    }

    /// @notice An account that was rotated belongs to its present vk.
    function test_Rotated() public {
        Account memory account = _accountOf(ALICE);
        account.vk = abi.encodePacked(BOB);
        _leave(account, 5);
        vm.prank(ALICE);
        _refuseEscapeBy(account);
        vm.prank(BOB);
        _accept(account, BOB, 5, CALLER);
    }

    function _refuseEscapeBy(Account memory account) private {
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NotAuthorized.selector, account.key));
        vault.escape(account.key, ETHER, BOB, 5, opening, proof, CALLER);
    }

    function test_RefuseWrongSalt() public {
        Account memory account = _accountOf(ALICE);
        _setBalance(ETHER, account.key, 5);
        _fillVault(5);
        _settle();
        _silence(SILENCE);
        vm.prank(ALICE);
        _escapeAbsent(account, keccak256("another salt"), abi.encodePacked(IKeystoreVault.WrongProof.selector));
    }

    /// @notice A recovery that has its threshold locks the account: its money goes where the next vk says, and nowhere else.
    function test_Locked() public {
        Account memory account = _accountOf(ALICE);
        account.data = abi.encodePacked(bytes32(0), keccak256(abi.encodePacked(BOB)));
        _setExit(account.key, STRANGER, STRANGER, 0);
        _leave(account, 5);
        vm.prank(ALICE);
        _refuseEscapeBy(account);
        bytes memory exit_ =
            abi.encodePacked(uint8(3), STRANGER, STRANGER, uint64(0), _include(_place(11, account.key)));
        _refuseEscape(account, STRANGER, 5, exit_);
        vm.prank(BOB);
        _accept(account, BOB, 5, CALLER);
    }

    // Exits

    function _exit(Account memory account, address previous, address next, uint64 effective)
        private
        view
        returns (bytes memory)
    {
        return abi.encodePacked(uint8(3), previous, next, effective, _include(_place(11, account.key)));
    }

    /// @notice Whoever holds a key that no contract can verify names an exit, which is in force from its time on: that of the
    /// frozen block counts, not that of the escape.
    function test_Exit() public {
        Account memory early = _account(abi.encodePacked("an Ed25519 sender 20"));
        Account memory late = _account(abi.encodePacked("another such sender "));
        uint64 time = uint64(block.timestamp); // the block settled next has this time
        _setExit(early.key, STRANGER, BOB, time);
        _setExit(late.key, STRANGER, BOB, time + 1);
        _setAccount(late);
        _setBalance(ETHER, late.key, 5);
        _fillVault(5);
        _leave(early, 5);
        assertEq(time, inbox.settled().timestamp, "the frozen block's time");
        _refuseEscape(early, STRANGER, 5, _exit(early, STRANGER, BOB, time));
        _refuseEscape(late, BOB, 5, _exit(late, STRANGER, BOB, time + 1));
        vm.prank(ALICE);
        _accept(early, BOB, 5, _exit(early, STRANGER, BOB, time));
        _accept(late, STRANGER, 5, _exit(late, STRANGER, BOB, time + 1));
    }

    function test_RefuseOtherExits() public {
        Account memory account = _account(abi.encodePacked("an Ed25519 sender 20"));
        Account memory other = _accountOf(ALICE);
        _setExit(account.key, STRANGER, BOB, 1);
        _setExit(other.key, ALICE, ALICE, 1);
        _leave(account, 5);
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        bytes[3] memory others = [
            _exit(other, ALICE, ALICE, 1), // somebody else's
            abi.encodePacked(uint8(3), STRANGER, ALICE, uint64(1), _include(_place(11, account.key))),
            abi.encodePacked(uint8(3), STRANGER, BOB, uint64(2), _include(_place(11, account.key)))
        ];
        for (uint256 i; i < 3; ++i) {
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.escape(account.key, ETHER, ALICE, 5, opening, proof, others[i]);
        }
        _refuseEscape(account, ALICE, 5, hex"03");
        _refuseEscape(account, ALICE, 5, "");
        _refuseEscape(account, ALICE, 5, hex"04");
        _refuseEscape(account, ALICE, 5, hex"ff");
    }
}
