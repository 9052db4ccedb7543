// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount, IKeystoreAccountFactory} from "./IKeystoreAccount.sol";

/// @dev A factory for EntryPoint 0.9, whose published code ignores the `initCode` of an account that is there already: anybody
/// may make accounts, so that others can verify signatures by deploying first (ERC-6492), and nobody spoils an operation.
contract OpenFactoryTest is AccountBase {
    string private constant _ARTIFACT = "../node_modules/account-abstraction-0.9/artifacts/EntryPoint.json";

    Holder internal bob;
    Opening internal excluded;
    address internal account;
    IKeystoreAccountFactory internal closed;

    function setUp() public override {
        super.setUp();
        closed = factory;
        entryPoint = IEntryPoint(_deploy(vm.parseJsonBytes(vm.readFile(_ARTIFACT), ".bytecode")));
        factory = IKeystoreAccountFactory(_deploy(_factoryCode()));
        bob = _holder(0xB0B);
        excluded = _exclude(bob);
        _show(excluded.root);
        account = factory.getAccount(_keyOf(bob));
        vm.deal(account, 1 ether);
    }

    function _deployment() private view returns (PackedUserOperation memory operation) {
        operation = _transfer(account);
        operation.initCode = _initCode(_keyOf(bob), excluded.root);
        return _sign(operation, bob, excluded);
    }

    function test_open_by_the_entry_point() external view {
        assertTrue(factory.isOpen(), "0.9");
        assertFalse(closed.isOpen(), "0.8");
    }

    /// @dev As with 0.8, an operation makes its account and acts.
    function test_deployment() external {
        _accept(_deployment());
        assertTrue(account.code.length != 0, "made");
    }

    /// @dev A stranger who makes the account first does not spoil the operation that was signed to make it.
    function test_front_run() external {
        PackedUserOperation memory operation = _deployment();
        vm.prank(address(0xF807));
        assertEq(account, factory.createAccount(_keyOf(bob), excluded.root), "made by a stranger");
        _accept(operation);
    }

    /// @dev With 0.8 it would be spoiled, which is why that factory is closed.
    function test_front_run_of_the_closed_factory() external {
        vm.prank(address(0xF807));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreAccountFactory.NotSenderCreator.selector, address(0xF807)));
        closed.createAccount(_keyOf(bob), excluded.root);
    }

    /// @dev ERC-6492: whom the signature is shown deploys the account by the call that comes with it, and asks it.
    function test_signature_of_an_undeployed_account() external {
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("KeystoreAccount"),
                keccak256("1"),
                block.chainid,
                account
            )
        );
        bytes32 structHash = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        bytes memory inner = _sign(0xB0B, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
        bytes memory factoryCalldata = abi.encodeCall(factory.createAccount, (_keyOf(bob), excluded.root));
        vm.prank(address(0x6492));
        (bool success,) = address(factory).call(factoryCalldata);
        assertTrue(success, "deployed by the verifier");
        bytes4 answer = IKeystoreAccount(payable(account)).isValidSignature(hash, _encode(bob, excluded, inner));
        assertEq(bytes4(0x1626ba7e), answer, "the holder's");
        answer = IKeystoreAccount(payable(account)).isValidSignature(~hash, _encode(bob, excluded, inner));
        assertEq(bytes4(0xffffffff), answer, "another text");
    }
}
