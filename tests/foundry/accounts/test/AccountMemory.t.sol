// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @dev What an account remembers saves proofs, and lives no longer than the root that it was proven against.
contract AccountMemoryTest is AccountBase {
    Holder internal alice;
    Holder internal next;
    bytes32 internal key;
    Opening internal included;
    Opening internal rotated;
    IKeystoreAccount internal account;

    function setUp() public override {
        super.setUp();
        (alice, next) = (_holder(0xA11CE), _holder(0xCAFE));
        key = _keyOf(alice);
        (included, rotated) = (_include(key, alice), _include(key, next));
        account = _create(key, included.root);
    }

    function test_remembered() external {
        _refuse(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, alice, included));
        _refuse(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _accept(_signedTransfer(account, alice, _cached()));
        _refuse(_signedTransfer(account, next, _cached()));
    }

    function test_remembered_by_exclusion() external {
        Opening memory excluded = _exclude(alice);
        _show(excluded.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, _remembering(excluded)));
        _accept(_signedTransfer(account, alice, _cached()));
    }

    /// @dev Nothing is remembered of what the proof refused, nor by ERC-1271, which only looks.
    function test_not_remembered() external {
        assertEq(FAILED, _validate(_signedTransfer(account, next, _remembering(rotated))), "no such root");
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = _encode(alice, _remembering(included), new bytes(65));
        _refuse(operation);
        (bytes27 dataHash, uint40 until) = account.getRemembered();
        assertEq(bytes32(0), dataHash, "nothing");
        assertEq(0, until, "never");
    }

    /// @dev What was shown is remembered before the signature is said to be wrong, so that an estimate pays for it: the entry
    /// point reverts it. Even where nobody would, it serves nothing without a signature.
    function test_remembering_without_a_signature() external {
        PackedUserOperation memory operation = _transfer(address(account));
        operation.signature = _encode(alice, _remembering(included), new bytes(65));
        assertEq(FAILED, _validate(operation), "no signature");
        uint256 wrong = avm.lastCallGas().gasTotalUsed;
        (bytes27 dataHash,) = account.getRemembered();
        assertTrue(bytes32(0) != dataHash, "remembered, where nobody reverts it");
        operation.signature = _encode(alice, _cached(), new bytes(65));
        _refuse(operation);
        assertTrue(wrong > 22_000, "a word of storage is in it");
    }

    /// @dev Memory has no opening and remembers nothing anew; modes that are none are none.
    function test_modes() external {
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _refuse(_signedTransfer(account, alice, Opening(0, 2, included.data)));
        _refuse(_signedTransfer(account, alice, Opening(0, 2, hex"00")));
        _refuse(_signedTransfer(account, alice, Opening(0, 0x82, "")));
        for (uint256 mode = 3; mode < 256; ++mode) {
            if (mode == 0x80 || mode == 0x81) continue;
            PackedUserOperation memory operation = _signedTransfer(account, alice, Opening(0, uint8(mode), included.data));
            assertEq(FAILED, _validate(operation), "no such mode");
        }
        _accept(_signedTransfer(account, alice, _cached()));
    }

    /// @dev Memory ends with the root it was proven against, by age.
    function test_memory_ages() external {
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _warp(NOW - 60 + MAX_AGE);
        _accept(_signedTransfer(account, alice, _cached()));
        _show(included.root);
        account.pushRoot();
        _warp(NOW - 60 + MAX_AGE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _accept(_signedTransfer(account, alice, _cached()));
    }

    /// @dev A rotation wins over memory, once the newer root is pushed and the grace has passed; further pushes give no more.
    function test_rotation_wins_over_memory() external {
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _show(rotated.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, next, rotated));
        _warp(NOW + GRACE);
        _accept(_signedTransfer(account, alice, _cached()));
        _show(keccak256("a newer root"));
        account.pushRoot();
        _warp(NOW + GRACE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, _cached()));
    }

    /// @dev During the grace the retired key can have itself remembered, until the grace's end only.
    function test_retired_key_remembered_in_its_grace() external {
        _show(rotated.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, _remembering(included)));
        _accept(_signedTransfer(account, alice, _cached()));
        _warp(NOW + GRACE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, next, _remembering(rotated)));
        _accept(_signedTransfer(account, next, _cached()));
    }

    /// @dev The proof and the wish to be remembered are not signed: who relays with a proof of the previous root, which ends
    /// with its grace, takes nothing from what the account remembers. (A rotation does, whoever relays.)
    function test_a_proof_of_the_previous_root_does_not_shorten_memory() external {
        Opening memory newer = _include(key, alice, DEPTH - 1);
        assertTrue(newer.root != included.root, "two roots with the same configuration");
        _show(newer.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, _remembering(newer)));
        (bytes27 dataHash, uint40 until) = account.getRemembered();
        assertEq(NOW - 60 + MAX_AGE, until, "with the newer root");
        _accept(_signedTransfer(account, alice, _remembering(included)));
        (bytes27 same, uint40 still) = account.getRemembered();
        assertEq(bytes32(dataHash), bytes32(same), "the same configuration");
        assertEq(until, still, "not with the older one");
        _warp(NOW + GRACE + 1);
        _accept(_signedTransfer(account, alice, _cached()));
    }

    /// @dev Every bit of the hash that is kept counts: what is remembered of one configuration opens no other one.
    function test_every_remembered_bit_counts() external {
        _accept(_signedTransfer(account, alice, _remembering(included)));
        (bytes27 dataHash, uint40 until) = account.getRemembered();
        bytes32 word = bytes32(dataHash) | bytes32(uint256(until));
        bytes32 slot;
        while (vm.load(address(account), slot) != word) {
            slot = bytes32(uint256(slot) + 1);
        }
        PackedUserOperation memory operation = _signedTransfer(account, alice, _cached());
        for (uint256 bit = 40; bit < 256; ++bit) {
            vm.store(address(account), slot, word ^ bytes32(1 << bit));
            assertEq(FAILED, _validate(operation), "another hash");
        }
        vm.store(address(account), slot, word);
        assertTrue(FAILED != _validate(operation), "the hash");
    }
}
