// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {BaseAccount} from "@account-abstraction/contracts/core/BaseAccount.sol";
import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount, IKeystoreAccountFactory} from "./IKeystoreAccount.sol";

/// @dev Who may act for an account: those whom the keystore names, for this account, chain and entry point.
contract KeystoreAccountTest is AccountBase {
    uint256 internal constant ALICE = 0xA11CE;
    uint256 internal constant MALLORY = 0xBAD;

    Holder internal alice;
    bytes32 internal key;
    Opening internal included;
    IKeystoreAccount internal account;

    function setUp() public override {
        super.setUp();
        alice = _holder(ALICE);
        key = _keyOf(alice);
        included = _include(key, alice);
        account = _create(key, included.root);
    }

    // Inclusion

    function test_included_configuration_acts() external {
        _accept(_signedTransfer(account, alice, included));
    }

    function testFuzz_any_depth(uint256 depth) external {
        depth = bound(depth, 0, 64);
        Holder memory holder = _holder(0xB0B);
        Opening memory opening = _include(_keyOf(holder), holder, depth);
        _accept(_signedTransfer(_create(_keyOf(holder), opening.root), holder, opening));
    }

    function test_strangers_signature() external {
        PackedUserOperation memory operation = _transfer(address(account));
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        operation.signature = _encode(alice, included, _sign(MALLORY, userOpHash));
        _refuse(operation);
        operation.signature = _encode(alice, included, _sign(ALICE, userOpHash));
        _accept(operation);
    }

    function test_malleable_signature() external {
        PackedUserOperation memory operation = _transfer(address(account));
        bytes memory signature = _sign(ALICE, entryPoint.getUserOpHash(operation));
        operation.signature = _encode(alice, included, _flip(signature));
        _refuse(operation);
    }

    /// @dev Mallory signs with a configuration of hers, and shows that the keystore holds Alice's.
    function test_wrong_config_for_the_hash() external {
        Holder memory mallory = _holder(MALLORY);
        _refuse(_signedTransfer(account, mallory, included));
        _refuse(_signedTransfer(account, mallory, _include(key, mallory)));
        _refuse(_signedTransfer(account, mallory, _include(_keyOf(mallory), mallory)));
    }

    /// @dev The config is Alice's, the validator is not the one that goes with it.
    function test_wrong_validator_for_the_config() external {
        _deploy(_load("MultisigValidator"));
        Holder memory other = _holder(ALICE);
        other.codeHash = keccak256(_load("MultisigValidator"));
        _refuse(_signedTransfer(account, other, included));
    }

    /// @dev Mallory's own account is in the same tree: its proof opens hers and no other one.
    function test_anothers_leaf() external {
        Holder memory mallory = _holder(MALLORY);
        Opening memory hers = _include(_keyOf(mallory), mallory);
        _show(hers.root);
        account.pushRoot();
        _refuse(_signedTransfer(account, mallory, hers));
        _accept(_signedTransfer(_create(_keyOf(mallory), hers.root), mallory, hers));
    }

    /// @dev Every byte counts but the first, whose highest bit only asks the account to remember.
    function testFuzz_one_bit_of_the_signature(uint256 seed) external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        assertTrue(FAILED != _validate(operation), "as signed");
        seed = bound(seed, 8, operation.signature.length * 8 - 1);
        operation.signature = _corrupt(operation.signature, seed);
        assertEq(FAILED, _validate(operation), "one bit");
    }

    /// @dev A malformed signature fails; it never reverts, so that it fails the same way for whoever simulates it.
    function testFuzz_garbage(bytes calldata garbage, uint8 mode) external {
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = garbage;
        assertEq(FAILED, _validate(operation), "garbage");
        operation.signature = bytes.concat(bytes1(mode), garbage);
        assertEq(FAILED, _validate(operation), "garbage behind a mode");
    }

    function testFuzz_cut(uint256 length) external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        bytes memory signature = operation.signature;
        length = bound(length, 0, signature.length - 1);
        assembly ("memory-safe") {
            mstore(signature, length)
        }
        assertEq(FAILED, _validate(operation), "cut");
    }

    function test_longer() external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        operation.signature = bytes.concat(operation.signature, hex"00");
        assertEq(FAILED, _validate(operation), "one byte more");
        operation.signature = bytes.concat(operation.signature, new bytes(31));
        assertEq(FAILED, _validate(operation), "one sibling more");
    }

    /// @dev Openings that end before their proof begins, or in its head: they fail, and nothing reverts.
    function test_short_openings() external {
        Opening memory excluded = _exclude(alice);
        for (uint256 length; length < 64 + 106; ++length) {
            for (uint8 mode; mode < 2; ++mode) {
                bytes memory opening = bytes.concat(mode == 0 ? included.data : excluded.data);
                assembly ("memory-safe") {
                    mstore(opening, length)
                }
                PackedUserOperation memory operation = _signedTransfer(account, alice, Opening(0, mode, opening));
                assertEq(FAILED, _validate(operation), "short");
            }
        }
    }

    // Exclusion

    /// @dev A key that was never registered: the account is made and acts in one operation.
    function test_never_registered() external {
        Holder memory bob = _holder(0xB0B);
        Opening memory excluded = _exclude(bob);
        _show(excluded.root);
        address counterfactual = factory.getAccount(_keyOf(bob));
        vm.deal(counterfactual, 1 ether);
        PackedUserOperation memory operation = _transfer(counterfactual);
        operation.initCode = _initCode(_keyOf(bob), excluded.root);
        _refuse(_sign(operation, _holder(MALLORY), excluded));
        assertEq(0, counterfactual.code.length, "not made");
        _accept(_sign(operation, bob, excluded));
        assertTrue(counterfactual.code.length != 0, "made");
    }

    /// @dev Salt, data and vk must be those that the key commits to.
    function test_initial_data_must_hash_to_the_key() external {
        Opening memory excluded = _exclude(alice);
        _show(excluded.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, excluded));
        Holder memory mallory = _holder(MALLORY);
        _refuse(_signedTransfer(account, mallory, excluded));
        excluded.data[0] ^= 0x01;
        _refuse(_signedTransfer(account, alice, excluded));
        excluded.data[0] ^= 0x01;
        excluded.data[32] ^= 0x01;
        _refuse(_signedTransfer(account, alice, excluded));
    }

    /// @dev A key that is in the tree is not absent: its own leaf is not below it. The same leaf, with the same path, does
    /// exclude a key above it.
    function test_registered_key_is_not_excluded() external {
        bytes memory siblings = new bytes(DEPTH * 32);
        for (uint256 i; i < siblings.length; ++i) {
            siblings[i] = included.data[32 + 41 + i];
        }
        bytes32 valueHash = keccak256(abi.encodePacked(_dataHash(alice), alice.vkHash));
        bytes memory leaf = abi.encodePacked(uint8(1), _treeKey(key), uint8(1), bytes32(type(uint256).max), valueHash);
        bytes memory proof = abi.encodePacked(bytes8(_wordAt(included.data, 32)), leaf, siblings);
        _refuse(_signedTransfer(account, alice, Opening(0, 1, abi.encodePacked(alice.salt, alice.vkHash, proof))));
        Holder memory above = _holder(0xB0B);
        while (_treeKey(_keyOf(above)) <= _treeKey(key)) {
            above.salt = bytes32(uint256(above.salt) + 1);
        }
        IKeystoreAccount other = _create(_keyOf(above), included.root);
        _accept(_signedTransfer(other, above, Opening(0, 1, abi.encodePacked(above.salt, above.vkHash, proof))));
    }

    /// @dev A key that was not registered is registered with other data, say by a guardian's vk: its first data was claimable
    /// under the older root, and is no longer once the newer one is pushed and the grace has passed.
    function test_first_data_claimed_after_it_was_changed() external {
        Holder memory bob = _holder(0xB0B);
        Opening memory excluded = _exclude(bob);
        IKeystoreAccount hers = _create(_keyOf(bob), excluded.root);
        Holder memory next = _holder(0xCAFE);
        Opening memory changed = _include(_keyOf(bob), next);
        _show(changed.root);
        _accept(_signedTransfer(hers, bob, excluded));
        hers.pushRoot();
        _accept(_signedTransfer(hers, next, changed));
        _warp(NOW + GRACE);
        _accept(_signedTransfer(hers, bob, excluded));
        _warp(NOW + GRACE + 1);
        _refuseAsOutdated(_signedTransfer(hers, bob, excluded));
        _accept(_signedTransfer(hers, next, changed));
    }

    // Replay

    function test_replay_of_an_operation() external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        _accept(operation);
        _refuse(operation, "AA25 invalid account nonce");
    }

    /// @dev One signer has two accounts; what is signed for one is nothing for the other.
    function test_replay_across_accounts() external {
        Holder memory second = _holder(ALICE);
        second.salt = bytes32(uint256(2));
        Opening memory opening = _include(_keyOf(second), second);
        IKeystoreAccount other = _create(_keyOf(second), opening.root);
        PackedUserOperation memory operation = _transfer(address(account));
        bytes memory signature = _sign(ALICE, entryPoint.getUserOpHash(operation));
        operation.sender = address(other);
        operation.signature = _encode(second, opening, signature);
        _refuse(operation);
        _accept(_signedTransfer(other, second, opening));
    }

    function test_replay_across_chains() external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        vm.chainId(10);
        _refuse(operation);
        _accept(_signedTransfer(account, alice, included));
    }

    /// @dev A second entry point of the same code: the account knows its own only, and the hashes differ.
    function test_replay_across_entry_points() external {
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        IEntryPoint own = entryPoint;
        entryPoint = _deployEntryPoint(bytes32(uint256(1)));
        assertTrue(own.getUserOpHash(operation) != entryPoint.getUserOpHash(operation), "other hashes");
        vm.expectRevert(
            abi.encodeWithSelector(
                IEntryPoint.FailedOpWithRevert.selector,
                0,
                "AA23 reverted",
                abi.encodeWithSignature("Error(string)", "account: not from EntryPoint")
            )
        );
        _handle(operation);
        bytes32 hash = own.getUserOpHash(operation);
        IKeystoreAccount twin = _accountOfEntryPoint(entryPoint);
        operation.sender = address(twin);
        assertEq(FAILED, _validate(operation), "another entry point's hash");
        vm.prank(address(own));
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "account: not from EntryPoint"));
        twin.validateUserOp(operation, hash, 0);
    }

    /// @dev The account of the same key under another entry point, by another factory.
    function _accountOfEntryPoint(IEntryPoint other) private returns (IKeystoreAccount) {
        address second = _deploy(_factoryCode());
        assertTrue(second != address(factory), "another entry point, another factory");
        vm.prank(address(other.senderCreator()));
        return IKeystoreAccount(payable(IKeystoreAccountFactory(second).createAccount(key, 0)));
    }

    // Execution

    function test_only_the_entry_point_calls() external {
        bytes memory error_ = abi.encodeWithSignature("Error(string)", "account: not from EntryPoint");
        vm.expectRevert(error_);
        account.execute(RECIPIENT, 1, "");
        vm.expectRevert(error_);
        account.executeBatch(new BaseAccount.Call[](0));
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        vm.expectRevert(error_);
        account.validateUserOp(operation, bytes32(0), 0);
        vm.prank(address(entryPoint));
        account.execute(RECIPIENT, 1, "");
        assertEq(1, RECIPIENT.balance, "called");
    }

    /// @dev A batch is done as a whole, or not at all.
    function test_batch() external {
        BaseAccount.Call[] memory calls = new BaseAccount.Call[](2);
        calls[0] = BaseAccount.Call(RECIPIENT, 2, "");
        calls[1] = BaseAccount.Call(address(account), 0, abi.encodeCall(account.pushRoot, ()));
        PackedUserOperation memory operation = _transfer(address(account));
        operation.callData = abi.encodeCall(account.executeBatch, (calls));
        _show(keccak256("a newer root"));
        _handle(_sign(operation, alice, included));
        assertEq(2, RECIPIENT.balance, "the first call");
        (bytes32 root,,,) = account.getRoots();
        assertEq(keccak256("a newer root"), root, "the second call");
        calls[1] = BaseAccount.Call(address(factory), 0, abi.encodeCall(factory.unlockStake, ()));
        operation = _transfer(address(account));
        operation.callData = abi.encodeCall(account.executeBatch, (calls));
        _handle(_sign(operation, alice, included));
        assertEq(2, RECIPIENT.balance, "the second call failed, so the first is undone");
    }

    function test_receives() external {
        (bool success,) = address(account).call{value: 1}("");
        assertTrue(success, "ether");
        assertEq(bytes32(account.onERC721Received.selector), account.onERC721Received(address(0), address(0), 1, ""), "721");
        assertEq(bytes32(account.onERC1155Received.selector), account.onERC1155Received(address(0), address(0), 1, 1, ""), "1155");
        uint256[] memory none = new uint256[](0);
        assertEq(
            bytes32(account.onERC1155BatchReceived.selector),
            account.onERC1155BatchReceived(address(0), address(0), none, none, ""),
            "1155 batch"
        );
        assertTrue(account.supportsInterface(0x150b7a02) && account.supportsInterface(0x4e2312e0), "says so");
        assertFalse(account.supportsInterface(0xffffffff), "ERC-165's own no");
    }

    /// @dev The 2,300 gas of `transfer` and `send` do not pay for a clone's first look at its implementation (2,600, EIP-2929),
    /// as with every ERC-1167 proxy; within the account's own operations, and by a call, value always arrives.
    function test_receives_by_a_stipend() external {
        vm.deal(address(this), 1 ether);
        vm.cool(address(account));
        vm.cool(address(factory.implementation()));
        assertFalse(payable(address(account)).send(1), "the implementation was not touched in this transaction");
        account.key();
        assertTrue(payable(address(account)).send(1), "it was");
    }
}
