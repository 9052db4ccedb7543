// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {VaultBase} from "./VaultBase.sol";

/// @notice One vault, one inbox, and nobody's word for it.
contract BindTest is VaultBase {
    bytes32 private constant KEY = keccak256("somebody's key");
    IKeystoreVault private fresh;

    function setUp() public override {
        super.setUp();
        bytes memory arguments = abi.encode(MAKER, keccak256(_inboxCode()), escapeVerifier, address(0));
        fresh = IKeystoreVault(_deploy(abi.encodePacked(_load("KeystoreVault"), arguments), keccak256("another")));
    }

    function _tryBind(address caller, bytes memory code, IRollupInbox.Genesis memory genesis, bytes memory error) private {
        IRollupInbox.Domain memory domain = _domain();
        if (error.length != 0) vm.expectRevert(error);
        vm.prank(caller);
        fresh.bind(code, genesis, domain, address(0), STF_ID);
    }

    function test_Bind() public {
        vm.expectRevert(IKeystoreVault.NotBound.selector);
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, rollupId, UNREGISTERED);
        vm.expectRevert(IKeystoreVault.NotBound.selector);
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, bytes32(0), UNREGISTERED);
        vm.expectRevert(IKeystoreVault.NotBound.selector);
        fresh.checkpoint();
        vm.expectRevert(IKeystoreVault.NotBound.selector);
        fresh.freeze();

        bytes memory code = _inboxCode();
        _tryBind(ALICE, code, _genesis(), abi.encodeWithSelector(IKeystoreVault.NotMaker.selector, ALICE));
        _tryBind(MAKER, code, _genesis(), "");
        assertEq(address(inbox), address(fresh.inbox()), "the inbox with these arguments");
        assertEq(rollupId, fresh.rollupId(), "and its rollup id");
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, rollupId, UNREGISTERED);
        _tryBind(MAKER, code, _genesis(), abi.encodePacked(IKeystoreVault.AlreadyBound.selector));
    }

    /// @notice Other code, or an inbox that is not there, is no inbox: neither the maker nor anybody can name a contract of
    /// his own.
    function test_RefuseOtherInboxes() public {
        bytes memory code = _inboxCode();
        bytes memory other = abi.encodePacked(code, hex"00");
        _tryBind(
            MAKER,
            other,
            _genesis(),
            abi.encodeWithSelector(IKeystoreVault.WrongInboxCode.selector, keccak256(code), keccak256(other))
        );
        IRollupInbox.Genesis memory genesis = _genesis();
        genesis.quorum = 0;
        _refuse(IKeystoreVault.NoInbox.selector);
        _tryBind(MAKER, code, genesis, "");
        // The same genesis with an owner has the same rollup id, and another address.
        IRollupInbox.Domain memory domain = _domain();
        _refuse(IKeystoreVault.NoInbox.selector);
        vm.prank(MAKER);
        fresh.bind(code, _genesis(), domain, MAKER, STF_ID);
        assertEq(address(0), address(fresh.inbox()), "nothing is bound");
    }

    /// @notice A twin: the same rollup id, and an owner of the maker's choice, who could name verifiers three days later. A payer
    /// who means the rollup as everybody knows it does not pay into its vault.
    function test_RefuseTheTwinWithAnOwner() public {
        IRollupInbox.Domain memory domain = _domain();
        bytes memory code = _inboxCode();
        address twin = _deploy(
            abi.encodePacked(code, abi.encode(_genesis(), domain, MAKER, STF_ID)), _computeRollupId(_genesis())
        );
        vm.prank(MAKER);
        fresh.bind(code, _genesis(), domain, MAKER, STF_ID);
        assertEq(twin, address(fresh.inbox()), "bound to the twin");
        assertEq(rollupId, fresh.rollupId(), "whose id is the rollup's");
        bytes32 target = keccak256(abi.encode(rollupId, twin));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.WrongRollup.selector, target, rollupId));
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, rollupId, UNREGISTERED);
        // Nor does who knows of an owner, and means the inbox of another one.
        bytes32 other = keccak256(abi.encode(rollupId, address(inbox)));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.WrongRollup.selector, target, other));
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, other, UNREGISTERED);
        vm.prank(ALICE);
        fresh.deposit{value: 1}(ETHER, KEY, 1, ALICE, target, UNREGISTERED);
    }
}
