// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Trees} from "vault-test/Trees.sol";
import {IdleModule, IKeystoreModule, IModularAccount, ModularAccount} from "./ModularAccount.sol";
import {ModuleBase} from "./ModuleBase.sol";

/// @notice The keystore in an account that exists: OpenZeppelin's modular account under the published entry point.
contract KeystoreModuleTest is ModuleBase {
    using Trees for Trees.Tree;

    // A life with the keystore

    /// @notice One rotation on the keystore turns the key on every chain.
    function test_InstallSignRotate() public {
        uint256[2] memory chains = [uint256(10), 8453];
        bytes[2] memory signatures;
        for (uint256 i; i < 2; ++i) {
            uint256 snapshot = avm.snapshotState();
            vm.chainId(chains[i]);
            _install();
            assertEq(key, module.keyOf(address(account)), "installed");
            _refuse(_signedBy(alice)); // no root yet
            _showTree();
            module.pushRoot(address(account));
            signatures[i] = _signedBy(alice).signature;
            _accept(_signedBy(alice));
            _refuse(_signedBy(hot));

            _setAccount(key, hot);
            _showTree();
            module.pushRoot(address(account));
            _accept(_signedBy(hot));
            // The replaced root had its grace.
            _warp(time + GRACE + 1);
            _refuseAsOutdated(_signedBy(alice));
            _accept(_signedBy(hot));
            avm.revertToState(snapshot);
        }
        vm.chainId(10);
        _installAndPush();
        PackedUserOperation memory operation = _transferOperation();
        operation.signature = signatures[1];
        _refuse(operation); // what was signed for the other chain
        operation.signature = signatures[0];
        _accept(operation);
    }

    function test_NeverRegistered() public {
        Holder memory fresh = _holder(0xF4E5);
        _byOwner(abi.encodeCall(account.installModule, (1, address(module), abi.encode(_keyOf(fresh)))));
        Opening memory opening = _exclude(fresh);
        _show(opening.root);
        module.pushRoot(address(account));
        _accept(_sign(_transferOperation(), fresh, opening));
        _refuse(_sign(_transferOperation(), alice, _exclude(alice)));
    }

    function test_Memory() public {
        _installAndPush();
        _refuse(_sign(_transferOperation(), alice, _cached()));
        _accept(_sign(_transferOperation(), alice, _remembering(_present(alice))));
        _accept(_sign(_transferOperation(), alice, _cached()));
        // What one account remembers, another does not.
        IModularAccount other = IModularAccount(address(new ModularAccount(address(entryPoint), vm.addr(OWNER))));
        (account, other) = (other, account);
        vm.deal(address(account), 10 ether);
        _install();
        module.pushRoot(address(account));
        _refuse(_sign(_transferOperation(), alice, _cached()));
    }

    function test_Uninstall() public {
        _installAndPush();
        _accept(_sign(_transferOperation(), alice, _remembering(_present(alice))));
        vm.expectRevert(abi.encodeWithSignature("AlreadySet(address)", account));
        vm.prank(address(account));
        module.onInstall(abi.encode(key));
        bytes memory call_ = abi.encodeCall(account.uninstallModule, (1, address(module), ""));
        // An account that has nothing but the keystore leaves by it.
        PackedUserOperation memory operation = _operation(call_);
        _handle(_sign(operation, alice, _present(alice)));
        assertFalse(module.isInitialized(address(account)), "without a key");
        (bytes27 remembered,) = module.getRemembered(address(account));
        assertEq(bytes32(0), bytes32(remembered), "and without memory");
        key = _keyOf(hot);
        _setAccount(key, hot);
        _showTree();
        _install();
        module.pushRoot(address(account));
        _accept(_signedBy(hot));
        vm.expectRevert(abi.encodeWithSignature("ZeroKey()"));
        module.onInstall(abi.encode(bytes32(0)));
        assertTrue(module.isModuleType(1), "a validator");
        assertFalse(module.isModuleType(2), "and nothing else");
    }

    /// @notice The module answers for whom it is asked by, and for nobody's operation but his.
    function test_RefuseForeignCallers() public {
        _installAndPush();
        PackedUserOperation memory operation = _signedBy(alice);
        bytes32 hash = entryPoint.getUserOpHash(operation);
        bytes memory call_ = abi.encodeWithSelector(IKeystoreModule.validateUserOp.selector, operation, hash);
        assertEq(FAILED, _ask(BUNDLER, call_), "somebody without a key");
        vm.prank(BUNDLER);
        module.onInstall(abi.encode(key));
        module.pushRoot(BUNDLER);
        assertEq(FAILED, _ask(BUNDLER, call_), "another account's operation");
        assertTrue(FAILED != _ask(address(account), call_), "his own");
    }

    // Intents and delegates

    function test_IntentAndDelegate() public {
        _installAndPush();
        _accept(_intended(_single(RECIPIENT, 1, "")));
        _accept(_delegated(_single(RECIPIENT, 1, "")));
        Call[] memory calls = new Call[](2);
        calls[0] = Call(BUNDLER, 1, "");
        calls[1] = Call(RECIPIENT, 1, hex"12345678");
        _accept(_delegated(abi.encodeCall(account.execute, (BATCH, abi.encode(calls)))));
    }

    /// @notice They spend the account; whatever changes it they may not do, in whichever wrapping.
    function test_RefuseChangesByTheOutbox() public {
        IdleModule executor = new IdleModule(2);
        _byOwner(abi.encodeCall(account.installModule, (2, address(executor), "")));
        IdleModule handler = new IdleModule(3);
        _byOwner(abi.encodeCall(account.installModule, (3, address(handler), abi.encodePacked(IdleModule.touch.selector))));
        _installAndPush();
        bytes memory uninstall = abi.encodeCall(account.uninstallModule, (2, address(executor), ""));
        bytes memory touch = abi.encodeCall(IdleModule.touch, ());
        Call[] memory calls = new Call[](2);
        calls[0] = Call(RECIPIENT, 1, "");
        calls[1] = Call(address(executor), 0, touch);
        Call[] memory selfCalls = new Call[](2);
        selfCalls[0] = Call(RECIPIENT, 1, "");
        selfCalls[1] = Call(address(account), 0, uninstall);
        bytes[9] memory changes = [
            uninstall,
            _single(address(account), 0, uninstall),
            _single(address(executor), 0, touch),
            _single(address(handler), 0, touch),
            _single(address(module), 0, abi.encodeCall(module.pushRoot, (address(account)))),
            abi.encodeCall(account.execute, (DELEGATECALL, abi.encodePacked(RECIPIENT))),
            abi.encodeCall(account.execute, (BATCH, abi.encode(calls))),
            abi.encodeCall(account.execute, (BATCH, abi.encode(selfCalls))),
            bytes("")
        ];
        for (uint256 i; i < changes.length; ++i) {
            uint256 snapshot = avm.snapshotState();
            _refuse(_delegated(changes[i]));
            avm.revertToState(snapshot);
            _refuse(_intended(changes[i]));
            avm.revertToState(snapshot);
        }
        // The account's own configuration may: it changes an account by its owner's word.
        PackedUserOperation memory operation = _operation(uninstall);
        _handle(_sign(operation, alice, _present(alice)));
        assertFalse(account.isModuleInstalled(2, address(executor), ""), "uninstalled");
    }

    function test_RotationEndsThem() public {
        _installAndPush();
        PackedUserOperation memory operation = _delegated(_single(RECIPIENT, 1, ""));
        _setAccount(key, hot);
        _showTree();
        module.pushRoot(address(account));
        _warp(time + GRACE + 1);
        _refuseAsOutdated(operation);
        operation.signature = abi.encodePacked(hex"84", operation.signature);
        _refuse(operation);
    }

    // Messages

    /// @notice Nested in the account's own domain, as wallets do that ask the account for it (EIP-5267).
    function _personalDigest(bytes32 hash, string memory name) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256("1"),
                block.chainid,
                account
            )
        );
        bytes32 struct_ = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }

    function _isSigned(bytes32 hash, bytes memory signature) private view returns (bool) {
        return account.isValidSignature(hash, abi.encodePacked(module, signature)) == YES;
    }

    function test_Messages() public {
        _installAndPush();
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory nested = _sign(alice.privateKey, _personalDigest(hash, "ModularAccount"));
        assertTrue(_isSigned(hash, _encode(alice, _present(alice), nested)), "nested");
        bytes memory bare = _sign(alice.privateKey, hash);
        assertFalse(_isSigned(hash, _encode(alice, _present(alice), bare)), "for every account of the signer");
        bytes memory other = _sign(alice.privateKey, _personalDigest(hash, "KeystoreModule"));
        assertFalse(_isSigned(hash, _encode(alice, _present(alice), other)), "in another domain");
        assertFalse(_isSigned(keccak256("another"), _encode(alice, _present(alice), nested)), "another message");
        bytes32 question = 0x7739773977397739773977397739773977397739773977397739773977397739;
        bytes4 answer = account.isValidSignature(question, abi.encodePacked(module));
        assertEq(bytes32(bytes4(0x77390001)), bytes32(answer), "ERC-7739");
    }

    /// @notice An app's typed data, with its own domain inside.
    function test_TypedMessages() public {
        _installAndPush();
        string memory contentsType = "Permit(address spender,uint256 amount)";
        bytes32 appDomain = keccak256("an app's domain");
        bytes32 contents = keccak256("a permit");
        bytes32 type_ = keccak256(
            abi.encodePacked(
                "TypedDataSign(Permit contents,string name,string version,uint256 chainId,address verifyingContract,bytes32 salt)",
                contentsType
            )
        );
        bytes memory domain = abi.encode(keccak256("ModularAccount"), keccak256("1"), block.chainid, account, bytes32(0));
        bytes32 struct_ = keccak256(abi.encodePacked(abi.encode(type_, contents), domain));
        bytes memory signature =
            _sign(alice.privateKey, keccak256(abi.encodePacked(hex"1901", appDomain, struct_)));
        bytes memory whole = abi.encodePacked(
            _encode(alice, _present(alice), signature),
            appDomain,
            contents,
            contentsType,
            uint16(bytes(contentsType).length)
        );
        bytes32 hash = keccak256(abi.encodePacked(hex"1901", appDomain, contents));
        assertTrue(_isSigned(hash, whole), "nested typed data");
        assertFalse(_isSigned(keccak256("another"), whole), "another hash");
    }

    /// @notice A delegate signs messages, but none by which the account asks itself for a change; an intent signs none.
    function test_MessagesOfDelegates() public {
        _installAndPush();
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes32 digest = _personalDigest(hash, "ModularAccount");
        Intent memory intent = Intent(7, block.chainid, address(account), digest, uint64(NOW - 60), UNTIL);
        _setIntent(key, alice, intent);
        _showTree();
        module.pushRoot(address(account));
        bytes memory opening = _openDelegate(key, alice, block.chainid, hot, UNTIL, _sign(hot.privateKey, digest));
        assertTrue(_isSigned(hash, opening), "asked by others");
        vm.prank(address(account));
        bytes4 answer = module.isValidSignatureWithSender(address(account), hash, opening);
        assertFalse(answer == YES, "asked by itself");
        opening = _encode(alice, _present(alice), _sign(alice.privateKey, digest));
        vm.prank(address(account));
        answer = module.isValidSignatureWithSender(address(account), hash, opening);
        assertTrue(answer == YES, "by its own configuration");
        assertFalse(_isSigned(hash, _openIntent(key, alice, intent)), "by an intent");
    }

    /// @notice The whole validation of OpenZeppelin's account with the module, as in `AccountGas`.
}
