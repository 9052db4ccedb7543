// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IStakeManager} from "@account-abstraction/contracts/interfaces/IStakeManager.sol";
import {ISenderCreator} from "@account-abstraction/contracts/interfaces/ISenderCreator.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountRoots} from "keystore/AccountRoots.sol";
import {RootCopies} from "keystore/RootCopies.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount, IKeystoreAccountFactory} from "./IKeystoreAccount.sol";

/// @dev The factory: an address for each key, the same on every chain, made by the entry point only, with nothing to set.
contract AccountFactoryTest is AccountBase {
    bytes32 internal constant KEY = keccak256("a key");

    function _senderCreator() private view returns (address) {
        return address(entryPoint.senderCreator());
    }

    function testFuzz_address_of_a_key(bytes32 key, bytes32 otherKey) external {
        vm.assume(key != otherKey);
        address expected = factory.getAccount(key);
        IKeystoreAccount account = _create(key, keccak256("a root"));
        assertEq(expected, address(account), "as foretold");
        assertEq(key, account.key(), "its key");
        assertTrue(expected != factory.getAccount(otherKey), "another key, another address");
    }

    /// @dev Nothing of a chain is in the addresses: they follow from creation code, arguments and key.
    function test_same_address_on_every_chain() external {
        assertEq(address(factory), _addressOf(_factoryCode()), "of the factory");
        assertEq(factory.getAccount(KEY), _addressOfClone(address(factory), KEY), "of the account");
        vm.chainId(10);
        IKeystoreAccount account = _create(KEY, keccak256("a root"));
        assertEq(address(account), _addressOfClone(_addressOf(_factoryCode()), KEY), "on another chain");
    }

    function _addressOf(bytes memory creationCode) private pure returns (address) {
        address deployer = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
        return _create2(deployer, keccak256(creationCode));
    }

    /// @dev The implementation is what the factory's constructor creates first: its nonce is 1.
    function _addressOfClone(address factory_, bytes32 key) private pure returns (address) {
        address implementation = address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", factory_, hex"01")))));
        bytes memory creationCode = abi.encodePacked(
            hex"61004d3d81600a3d39f3363d3d373d3d3d363d73", implementation, hex"5af43d82803e903d91602b57fd5bf3", key
        );
        return _create2(factory_, keccak256(creationCode));
    }

    function _create2(address deployer, bytes32 codeHash) private pure returns (address) {
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", deployer, bytes32(0), codeHash));
        return address(uint160(uint256(hash)));
    }

    /// @dev Nobody can make an account before the operation that makes it, and so spoil that operation.
    function test_front_run() external {
        Holder memory alice = _holder(0xA11CE);
        Opening memory excluded = _exclude(alice);
        _show(excluded.root);
        bytes32 key = _keyOf(alice);
        vm.prank(address(0xF807));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreAccountFactory.NotSenderCreator.selector, address(0xF807)));
        factory.createAccount(key, excluded.root);
        PackedUserOperation memory operation = _transfer(factory.getAccount(key));
        vm.deal(operation.sender, 1 ether);
        operation.initCode = _initCode(key, excluded.root);
        ISenderCreator helper = entryPoint.senderCreator();
        vm.expectRevert("AA97 should call from EntryPoint");
        helper.createSender(operation.initCode);
        _accept(_sign(operation, alice, excluded));
    }

    /// @dev Whoever's operation makes it, the account of a key is the same one: another's operation cannot take it over.
    function test_made_by_anothers_operation() external {
        (Holder memory alice, Holder memory mallory) = (_holder(0xA11CE), _holder(0xBAD));
        Opening memory excluded = _exclude(alice);
        _show(excluded.root);
        PackedUserOperation memory operation = _transfer(factory.getAccount(_keyOf(alice)));
        vm.deal(operation.sender, 1 ether);
        operation.initCode = _initCode(_keyOf(mallory), excluded.root);
        _refuse(_sign(operation, mallory, excluded), "AA14 initCode must return sender");
        operation.initCode = _initCode(_keyOf(alice), excluded.root);
        _refuse(_sign(operation, mallory, excluded));
        _accept(_sign(operation, alice, excluded));
    }

    /// @dev There is nothing to initialise twice: making it again changes nothing, pushing again only renews the copy.
    function test_initialised_once() external {
        IKeystoreAccount account = _create(KEY, keccak256("a root"));
        _show(keccak256("another root"));
        vm.prank(_senderCreator());
        assertEq(address(account), factory.createAccount(KEY, keccak256("a root")), "the same account");
        (bytes32 root,,,) = account.getRoots();
        assertEq(keccak256("a root"), root, "as it was made");
        assertEq(KEY, account.key(), "its key");
    }

    /// @dev Two foreign roots arrive between signing and inclusion, which change nothing for Bob: his operation makes his account.
    function test_foreign_roots_do_not_fail_a_pending_deployment() external {
        Holder memory bob = _holder(0xB0B);
        Opening memory excluded = _exclude(bob);
        _show(excluded.root);
        PackedUserOperation memory operation = _transfer(factory.getAccount(_keyOf(bob)));
        vm.deal(operation.sender, 1 ether);
        operation.initCode = _initCode(_keyOf(bob), excluded.root);
        operation = _sign(operation, bob, excluded);
        _warp(NOW + 100);
        _show(keccak256("anybody registered anything"));
        _warp(NOW + 200);
        _show(keccak256("and somebody else"));
        uint256 snapshot = avm.snapshotState();
        _warp(NOW + 100 + GRACE);
        _accept(operation);
        avm.revertToState(snapshot);
        _warp(NOW + 101 + GRACE);
        _refuseAsOutdated(operation);
        avm.revertToState(snapshot);
        _accept(operation);
        IKeystoreAccount account = IKeystoreAccount(payable(operation.sender));
        (bytes32 root,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(keccak256("and somebody else"), root, "the newest root");
        assertEq(excluded.root >> 40, bytes32(replaced[0].root) >> 40, "the signed one");
        assertEq(NOW + 100 + GRACE, replaced[0].validUntil, "as if the account had been there");
        assertEq(0, replaced[1].validUntil, "no other");
    }

    /// @dev The grace never exceeds the root's own window, and a root that this chain does not know is left out.
    function test_signed_roots_that_do_not_serve() external {
        bytes32 old = keccak256("an old root");
        _show(old);
        _warp(NOW - 60 + MAX_AGE - 5);
        _show(keccak256("a newer root"));
        vm.prank(_senderCreator());
        IKeystoreAccount account = IKeystoreAccount(payable(factory.createAccount(KEY, old)));
        (,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(NOW - 60 + MAX_AGE, replaced[0].validUntil, "its own window");
        bytes32[3] memory left = [keccak256("a newer root"), keccak256("unknown"), bytes32(0)];
        for (uint256 i; i < 3; ++i) {
            vm.prank(_senderCreator());
            account = IKeystoreAccount(payable(factory.createAccount(keccak256(abi.encode(i)), left[i])));
            (,,, replaced) = account.getRoots();
            assertEq(bytes32(0), replaced[0].root, "left out");
        }
    }

    /// @dev The signed root is not part of the address, and nobody puts a root into an account that has one.
    function test_signed_root_is_taken_once() external {
        bytes32 old = keccak256("an old root");
        _show(old);
        address expected = factory.getAccount(KEY);
        IKeystoreAccount account = _create(KEY, keccak256("a newer root"));
        assertEq(expected, address(account), "the address");
        vm.expectRevert(AccountRoots.NotFirst.selector);
        account.pushFirstRoot(old);
        vm.prank(_senderCreator());
        assertEq(expected, factory.createAccount(KEY, old), "again");
        (,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(bytes32(0), replaced[0].root, "nothing was put in");
    }

    /// @dev Where this chain knows no root yet, no account is made that could not be used.
    function test_no_root_yet() external {
        vm.prank(_senderCreator());
        vm.expectRevert(RootCopies.NoRoot.selector);
        factory.createAccount(KEY, 0);
    }

    /// @dev The implementation is nobody's: it takes its key from where its code holds none.
    function test_implementation() external {
        IKeystoreAccount implementation = factory.implementation();
        Holder memory alice = _holder(0xA11CE);
        Opening memory included = _include(_keyOf(alice), alice);
        _show(included.root);
        implementation.pushRoot();
        PackedUserOperation memory operation = _transfer(address(implementation));
        assertEq(FAILED, _validate(_sign(operation, alice, included)), "not Alice's");
        vm.expectRevert();
        implementation.execute(RECIPIENT, 0, "");
    }

    /// @dev The owner can stake, unlock and withdraw; others can do none of it.
    function test_stake() external {
        IStakeManager.DepositInfo memory info = entryPoint.getDepositInfo(address(factory));
        assertTrue(info.staked, "staked");
        assertEq(1 ether, info.stake, "stake");
        vm.deal(address(this), 1 ether);
        bytes memory error_ = abi.encodeWithSelector(IKeystoreAccountFactory.NotOwner.selector, address(this));
        vm.expectRevert(error_);
        factory.addStake{value: 1 ether}(1 days);
        vm.expectRevert(error_);
        factory.unlockStake();
        vm.expectRevert(error_);
        factory.withdrawStake(payable(address(this)));
        vm.startPrank(STAKER);
        factory.unlockStake();
        vm.expectRevert();
        factory.withdrawStake(payable(STAKER));
        _warp(NOW + 1 days);
        factory.withdrawStake(payable(STAKER));
        assertEq(1 ether, STAKER.balance, "withdrawn");
    }
}
