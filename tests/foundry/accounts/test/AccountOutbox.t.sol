// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {Validators} from "keystore/Validators.sol";
import {Trees} from "vault-test/Trees.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";
import {OutboxTree} from "./OutboxTree.sol";

/// @notice Modes 3 and 4: operations that the keystore names, and keys that it lends.
contract AccountOutboxTest is OutboxTree {
    using Trees for Trees.Tree;

    uint64 private constant UNTIL = uint64(NOW + 1 hours);
    Holder private alice;
    Holder private hot;
    bytes32 private key;
    IKeystoreAccount private account;

    function setUp() public override {
        super.setUp();
        alice = _holder(0xA11CE);
        hot = _holder(0x407);
        key = _keyOf(alice);
        _setAccount(key, alice);
        account = _create(key, tree.getRoot());
    }

    /// @notice The account's copy is the tree as it is now.
    function _push() private {
        _showTree();
        account.pushRoot();
    }

    // Intents

    function _intentFor(PackedUserOperation memory operation) private view returns (Intent memory) {
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        return Intent(7, block.chainid, operation.sender, userOpHash, uint64(NOW - 60), UNTIL);
    }

    function _intended(Intent memory intent) private view returns (PackedUserOperation memory operation) {
        operation = _transfer(address(account));
        operation.signature = _openIntent(key, alice, intent);
    }

    function test_Intent() public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _push();
        _accept(_intended(intent));
        // The entry point's nonce is used: it executes once.
        _refuse(_intended(intent));
    }

    /// @notice Whatever the leaf says otherwise than what happens here.
    function test_RefuseOtherIntents(uint256 word) public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        Intent memory other = _intentFor(_transfer(address(account)));
        word = word % 5;
        if (word == 0) other.chainId += 1;
        if (word == 1) other.account = RECIPIENT;
        if (word == 2) other.userOpHash = keccak256("another operation");
        if (word == 3) other.validUntil += 1;
        if (word == 4) other.validAfter -= 1;
        _setIntent(key, alice, other);
        _push();
        _refuse(_intended(intent));
    }

    /// @notice The chain splits, and this side has another id: what was meant for the old one ends here.
    function test_ForkedChain() public {
        uint256 before = block.chainid;
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _setDelegate(key, alice, before, hot, UNTIL);
        _push();
        uint256 snapshot = avm.snapshotState();
        _accept(_intended(intent));
        avm.revertToState(snapshot);
        vm.chainId(before + 1);
        _refuse(_intended(intent));
        _refuse(_signedBy(hot, before, UNTIL));
        // Nor for the operation as it is hashed here.
        intent.userOpHash = entryPoint.getUserOpHash(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _push();
        _refuse(_intended(intent));
        intent.chainId = before + 1;
        _setIntent(key, alice, intent);
        _push();
        _accept(_intended(intent));
    }

    /// @notice A stranger's intent for this account lies in the stranger's slots, and in no others.
    function test_RefuseAnIntentOfAStranger() public {
        bytes32 stranger = _keyOf(hot);
        _setAccount(stranger, hot);
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(stranger, hot, intent);
        _push();
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = _openIntent(stranger, hot, intent);
        _refuse(operation);
        // Nor with this account's own inclusion before it.
        operation.signature = abi.encodePacked(
            uint8(3),
            intent.slot,
            intent.validAfter,
            intent.validUntil,
            _valueOf(alice),
            _part(tree.include(_treeKey(key))),
            _part(tree.include(_intentPlace(stranger, intent.slot)))
        );
        _refuse(operation);
    }

    function test_RefuseOutsideOfItsTime() public {
        Intent memory early = _intentFor(_transfer(address(account)));
        Intent memory late = _intentFor(_transfer(address(account)));
        (early.slot, early.validAfter) = (1, uint64(NOW + 10));
        (late.slot, late.validUntil) = (2, uint64(NOW + 20));
        _setIntent(key, alice, early);
        _setIntent(key, alice, late);
        _push();
        _refuseAsOutdated(_intended(early));
        _warp(NOW + 21);
        _refuseAsOutdated(_intended(late));
        _accept(_intended(early));
    }

    /// @notice Times beyond what the entry point can compare are none.
    function test_RefuseEndlessTimes() public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        intent.validUntil = type(uint64).max;
        _setIntent(key, alice, intent);
        intent.slot = 8;
        intent.validAfter = type(uint64).max;
        _setIntent(key, alice, intent);
        _push();
        _refuse(_intended(intent));
        (intent.slot, intent.validAfter) = (7, uint64(NOW - 60));
        _accept(_intended(intent)); // it ends with the root's window
    }

    /// @notice A rotation, a lock and a recovery change the account's value, and the intents end with it.
    function test_RotationEndsIntents() public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _push();
        uint256 snapshot = avm.snapshotState();
        _accept(_intended(intent));
        avm.revertToState(snapshot);
        _setAccount(key, hot);
        _push();
        _refuse(_intended(intent));
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = _openIntent(key, hot, intent);
        _refuse(operation);
    }

    function test_RefuseOtherModes() public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _push();
        PackedUserOperation memory operation = _intended(intent);
        operation.signature[0] = 0x83;
        _refuse(operation);
        operation.signature[0] = 0x05;
        _refuse(operation);
        operation.signature = abi.encodePacked(_openIntent(key, alice, intent), hex"00");
        _refuse(operation);
    }

    /// @notice An intent signs no message: the hash of one could be anything.
    function test_NeverForMessages() public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        bytes32 nested = _personalDigest(intent.userOpHash);
        Intent memory message = Intent(8, block.chainid, address(account), nested, uint64(NOW - 60), UNTIL);
        _setIntent(key, alice, message);
        _push();
        assertFalse(_isSigned(intent.userOpHash, _openIntent(key, alice, intent)), "by the operation's hash");
        assertFalse(_isSigned(intent.userOpHash, _openIntent(key, alice, message)), "by the message's");
    }

    /// @notice Cut off anywhere, or with any bit changed, it opens nothing and never reverts.
    function test_RefuseDamagedIntents(uint256 seed) public {
        Intent memory intent = _intentFor(_transfer(address(account)));
        _setIntent(key, alice, intent);
        _push();
        PackedUserOperation memory operation = _intended(intent);
        bytes memory whole = operation.signature;
        operation.signature = _corrupt(whole, seed);
        assertEq(FAILED, _validate(operation), "a bit");
        bytes memory cut = bytes.concat(whole);
        uint256 length = seed % whole.length;
        assembly ("memory-safe") {
            mstore(cut, length)
        }
        operation.signature = cut;
        assertEq(FAILED, _validate(operation), "a beginning");
    }

    // Delegates

    function _signedBy(Holder memory delegate, uint256 chainId, uint64 until)
        private
        view
        returns (PackedUserOperation memory operation)
    {
        operation = _transfer(address(account));
        bytes memory signature = _sign(delegate.privateKey, entryPoint.getUserOpHash(operation));
        operation.signature = _openDelegate(key, alice, chainId, delegate, until, signature);
    }

    function _signedByAll(bytes memory rest) private view returns (PackedUserOperation memory operation) {
        operation = _signedBy(hot, 0, UNTIL);
        operation.signature = abi.encodePacked(operation.signature, rest);
    }

    function test_Delegate() public {
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        _push();
        PackedUserOperation memory operation = _signedBy(hot, block.chainid, UNTIL);
        uint256 snapshot = avm.snapshotState();
        operation.signature[0] = 0x84;
        _refuse(operation);
        operation.signature[0] = 0x04;
        _accept(operation);
        avm.revertToState(snapshot);
        // Another signer, another end.
        Holder memory stranger = _holder(0xBAD);
        operation.signature = _openDelegate(
            key, alice, block.chainid, hot, UNTIL, _sign(stranger.privateKey, entryPoint.getUserOpHash(operation))
        );
        _refuse(operation);
        _refuse(_signedBy(stranger, block.chainid, UNTIL));
        _refuse(_signedBy(hot, block.chainid, UNTIL + 1));
        _warp(UNTIL + 1);
        _refuseAsOutdated(_signedBy(hot, block.chainid, UNTIL));
    }

    /// @notice A delegate is not the account: its configuration opens nothing by the account's own modes.
    function test_RefuseADelegateAsTheAccount() public {
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        _push();
        bytes memory proof = tree.include(_delegatePlace(key, block.chainid));
        Opening memory opening = Opening(tree.getRoot(), 0, abi.encodePacked(alice.vkHash, proof));
        _refuse(_signedTransfer(account, hot, opening));
        opening.data = abi.encodePacked(alice.vkHash, tree.include(_treeKey(key)));
        _refuse(_signedTransfer(account, hot, opening));
        _accept(_signedTransfer(account, alice, opening));
    }

    function test_RefuseADelegateOfAnotherChain() public {
        _setDelegate(key, alice, block.chainid + 1, hot, UNTIL);
        _push();
        PackedUserOperation memory operation = _signedBy(hot, block.chainid + 1, UNTIL);
        _refuse(operation);
    }

    function test_RotationEndsDelegates() public {
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        _setAccount(key, _holder(0xE3));
        _push();
        _refuse(_signedBy(hot, block.chainid, UNTIL));
    }

    function test_EveryChain() public {
        _setDelegate(key, alice, 0, hot, UNTIL);
        _push();
        uint256 snapshot = avm.snapshotState();
        _accept(_signedByAll(_absence(key)));
        avm.revertToState(snapshot);
        _refuse(_signedByAll(""));
        _refuse(_signedByAll(hex"00"));
        _refuse(_signedByAll(abi.encodePacked(_absence(key), hex"00")));
        bytes memory absence = _absence(key);
        absence[0] = 0x01;
        _refuse(_signedByAll(absence));
        absence[0] = 0x02;
        _refuse(_signedByAll(absence));
        // The absence of something else.
        bytes memory elsewhere = tree.exclude(_delegatePlace(key, block.chainid + 1));
        bytes memory here = tree.exclude(_delegatePlace(key, block.chainid));
        if (keccak256(elsewhere) != keccak256(here)) {
            _refuse(_signedByAll(abi.encodePacked(ABSENT, _part(elsewhere))));
        }
    }

    /// @notice An entry for this chain overrides the one for every chain: another delegate, or none, until it is deleted.
    function test_AChainOfItsOwn() public {
        Holder memory none = hot;
        none.codeHash = 0;
        _setDelegate(key, alice, 0, _holder(0x407), UNTIL);
        _setDelegate(key, alice, block.chainid, none, UNTIL);
        _push();
        hot = _holder(0x407);
        _refuse(_signedByAll(_absence(key)));
        _refuse(_signedByAll(_deletion(key)));
        // Not even if there were code that says yes where no creation code can put any.
        vm.etch(Validators.computeAddress(bytes32(0)), hex"600160005260206000f3");
        _refuse(_signedBy(none, block.chainid, UNTIL));
        tree.set(_delegatePlace(key, block.chainid), keccak256(""));
        _push();
        _refuse(_signedByAll(_absence(key)));
        _accept(_signedByAll(_deletion(key)));
    }

    /// @notice A delegate signs messages too: it is a key of the account's, for a time.
    function test_DelegateSignsMessages() public {
        _setDelegate(key, alice, block.chainid, hot, UNTIL);
        _push();
        bytes32 hash = keccak256("\x19Ethereum Signed Message:\n5hello");
        bytes memory signature = _sign(hot.privateKey, _personalDigest(hash));
        bytes memory opening = _openDelegate(key, alice, block.chainid, hot, UNTIL, signature);
        assertTrue(_isSigned(hash, opening), "by the delegate");
        assertFalse(_isSigned(keccak256("another"), opening), "and nothing else");
        _warp(UNTIL + 1);
        assertFalse(_isSigned(hash, opening), "until its time is over");
    }

    function test_RefuseDamagedDelegates(uint256 seed) public {
        _setDelegate(key, alice, 0, hot, UNTIL);
        _push();
        PackedUserOperation memory operation = _signedByAll(_absence(key));
        bytes memory whole = operation.signature;
        operation.signature = _corrupt(whole, seed);
        assertEq(FAILED, _validate(operation), "a bit");
        bytes memory cut = bytes.concat(whole);
        uint256 length = seed % whole.length;
        assembly ("memory-safe") {
            mstore(cut, length)
        }
        operation.signature = cut;
        assertEq(FAILED, _validate(operation), "a beginning");
    }

    // Messages

    function _personalDigest(bytes32 hash) private view returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("KeystoreAccount"),
                keccak256("1"),
                block.chainid,
                account
            )
        );
        bytes32 struct_ = keccak256(abi.encode(keccak256("PersonalSign(bytes prefixed)"), hash));
        return keccak256(abi.encodePacked(hex"1901", domain, struct_));
    }

    function _isSigned(bytes32 hash, bytes memory signature) private view returns (bool) {
        return account.isValidSignature(hash, signature) == 0x1626ba7e;
    }
}
