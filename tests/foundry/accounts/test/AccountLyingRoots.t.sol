// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountRoots} from "keystore/AccountRoots.sol";
import {RootCopies} from "keystore/RootCopies.sol";
import {AccountBase} from "./AccountBase.sol";
import {ShownRoots} from "./ShownRoots.sol";
import {IKeystoreAccount, IKeystoreAccountFactory} from "./IKeystoreAccount.sol";

/// @dev Roots that regress or come from the future. `KeystoreRoots` lets none in; accounts do not rely on it.
contract AccountLyingRootsTest is AccountBase {
    uint64 internal constant SHOWN_AT = uint64(NOW - 60);

    Holder internal alice;
    Opening internal included;
    Opening internal rotated;
    ShownRoots internal shown;
    IKeystoreAccount internal account;

    function setUp() public override {
        super.setUp();
        alice = _holder(0xA11CE);
        included = _include(_keyOf(alice), alice);
        rotated = _include(_keyOf(alice), _holder(0xCAFE));
        shown = new ShownRoots();
        roots = shown;
        factory = IKeystoreAccountFactory(_deploy(_factoryCode()));
        shown.show(included.root, 5, SHOWN_AT);
        vm.prank(address(entryPoint.senderCreator()));
        account = IKeystoreAccount(payable(factory.createAccount(_keyOf(alice), 0)));
        vm.deal(address(account), 1 ether);
    }

    /// @dev A root that L1 will hold in an hour is believed in an hour.
    function test_future_root() external {
        shown.show(rotated.root, 9, uint64(NOW + 1 hours));
        account.pushRoot();
        Holder memory next = _holder(0xCAFE);
        _warp(NOW + 1 hours - 1);
        _refuseAsOutdated(_signedTransfer(account, next, rotated));
        _warp(NOW + 1 hours);
        _accept(_signedTransfer(account, next, rotated));
    }

    /// @dev A root that is replaced before its time has come is believed never, and leaves the ring alone.
    function test_future_root_gets_no_grace() external {
        shown.show(rotated.root, 9, uint64(NOW + 1 hours));
        account.pushRoot();
        shown.show(keccak256("another root"), 10, uint64(NOW + 1 hours));
        account.pushRoot();
        Holder memory next = _holder(0xCAFE);
        _refuse(_signedTransfer(account, next, rotated));
        _accept(_signedTransfer(account, alice, included));
        (,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(included.root >> 40, bytes32(replaced[0].root) >> 40, "the one before it");
        assertEq(0, replaced[1].validUntil, "and no other");
    }

    function _expectRegress(uint64 height, uint64 l1Time) private {
        vm.expectRevert(
            abi.encodeWithSelector(RootCopies.RegressingRoot.selector, uint64(5), SHOWN_AT, height, l1Time)
        );
        account.pushRoot();
    }

    /// @dev Even a bridge that goes back takes no account back with it.
    function test_regressing_root() external {
        shown.show(rotated.root, 4, SHOWN_AT);
        _expectRegress(4, SHOWN_AT);
        shown.show(rotated.root, 5, SHOWN_AT);
        _expectRegress(5, SHOWN_AT);
        shown.show(included.root, 5, SHOWN_AT - 1);
        _expectRegress(5, SHOWN_AT - 1);
        shown.show(rotated.root, 6, SHOWN_AT - 1);
        _expectRegress(6, SHOWN_AT - 1);
        shown.show(rotated.root, 6, SHOWN_AT);
        account.pushRoot();
        (bytes32 root, uint64 height, AccountRoots.Window memory window,) = account.getRoots();
        assertEq(rotated.root, root, "forwards");
        assertEq(6, height, "height");
        assertEq(SHOWN_AT, window.validAfter, "from");
        assertEq(SHOWN_AT + MAX_AGE, window.validUntil, "until");
    }

    /// @dev Before anything is settled the inbox holds the genesis's root, at height 0: an account is made and acts under it.
    function test_root_of_the_genesis() external {
        Holder memory bob = _holder(0xB0B);
        Opening memory excluded = _exclude(bob);
        shown.show(excluded.root, 0, SHOWN_AT);
        vm.prank(address(entryPoint.senderCreator()));
        IKeystoreAccount made = IKeystoreAccount(payable(factory.createAccount(_keyOf(bob), 0)));
        vm.deal(address(made), 1 ether);
        _accept(_signedTransfer(made, bob, excluded));
        shown.show(rotated.root, 0, SHOWN_AT);
        vm.expectRevert(
            abi.encodeWithSelector(RootCopies.RegressingRoot.selector, uint64(0), SHOWN_AT, uint64(0), SHOWN_AT)
        );
        made.pushRoot();
    }

    /// @dev No root, or a time beyond all times: nothing is pushed.
    function test_roots_that_are_none() external {
        shown.show(bytes32(0), 9, uint64(NOW));
        vm.expectRevert(RootCopies.NoRoot.selector);
        account.pushRoot();
        shown.show(rotated.root, 9, type(uint64).max - uint64(MAX_AGE));
        vm.expectRevert();
        account.pushRoot();
        shown.show(rotated.root, 9, uint64(type(uint40).max - MAX_AGE));
        account.pushRoot();
    }
}
