// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {IRootReceiver} from "keystore/IRootReceiver.sol";
import {AccountRoots} from "keystore/AccountRoots.sol";
import {AccountBase} from "./AccountBase.sol";
import {IKeystoreAccount} from "./IKeystoreAccount.sol";

/// @dev The account's copies of roots: pushed by anybody, only from this chain's roots, only forwards, each for its time.
contract AccountRootsTest is AccountBase {
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

    /// @dev A rotation wins at once for the new key, and against the old one when the grace has passed.
    function test_rotation() external {
        _refuse(_signedTransfer(account, next, rotated));
        _show(rotated.root);
        _refuse(_signedTransfer(account, next, rotated));
        vm.prank(address(0x57A46E8));
        account.pushRoot();
        _accept(_signedTransfer(account, next, rotated));
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW + GRACE);
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW + GRACE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
        _accept(_signedTransfer(account, next, rotated));
    }

    /// @dev Only the root before serves on: the second newer root ends the first one's grace.
    function test_two_roots_back() external {
        _show(keccak256("a root of other accounts"));
        account.pushRoot();
        _accept(_signedTransfer(account, alice, included));
        _show(rotated.root);
        account.pushRoot();
        _refuse(_signedTransfer(account, alice, included));
        _accept(_signedTransfer(account, next, rotated));
    }

    /// @dev A root is believed for seven days after it was last shown on L1, and shown again for seven more.
    function test_stale_root() external {
        uint256 shownAt = NOW - 60;
        _warp(shownAt + MAX_AGE);
        _accept(_signedTransfer(account, alice, included));
        _warp(shownAt + MAX_AGE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
        account.pushRoot();
        _refuseAsOutdated(_signedTransfer(account, alice, included));
        _show(included.root);
        account.pushRoot();
        _accept(_signedTransfer(account, alice, included));
        _warp(shownAt + 2 * MAX_AGE - 59);
        _accept(_signedTransfer(account, alice, included));
        _warp(shownAt + 2 * MAX_AGE - 58);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
    }

    /// @dev A stale root that is replaced gets no grace beyond its own end.
    function test_stale_root_gets_no_grace() external {
        _warp(NOW - 60 + MAX_AGE - 5);
        _show(rotated.root);
        account.pushRoot();
        _warp(NOW - 60 + MAX_AGE);
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW - 60 + MAX_AGE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
    }

    /// @dev An attacker's root is no root: this chain's roots do not take it, and accounts take theirs only.
    function test_attackers_root() external {
        Holder memory mallory = _holder(0xBAD);
        Opening memory hers = _include(key, mallory);
        IRootReceiver receiver = IRootReceiver(address(roots));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(this)));
        receiver.receiveRoot(hers.root, 99, uint64(NOW));
        account.pushRoot();
        _refuse(_signedTransfer(account, mallory, hers));
        (bytes32 root,,, bytes32 previous,) = account.getRoots();
        assertEq(included.root, root, "the root stays");
        assertEq(bytes32(0), previous, "pushing the same root again makes no previous one");
    }

    /// @dev However roots and pushes follow each other: heights never fall, nothing outlives its window, and no root but the
    /// last two pushed opens anything.
    function testFuzz_pushes(uint256 seed) external {
        bytes32 last = included.root;
        uint256 previousUntil;
        for (uint256 i; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _warp(time + seed % 2 days);
            bytes32 root = seed >> 128 & 1 == 0 ? last : keccak256(abi.encode(seed));
            (,, AccountRoots.Window memory before,,) = account.getRoots();
            _show(root);
            account.pushRoot();
            if (root != last) {
                previousUntil = time + GRACE < before.validUntil ? time + GRACE : before.validUntil;
                (,,, bytes32 previous, AccountRoots.Window memory window) = account.getRoots();
                assertEq(last, previous, "the one before");
                assertEq(previousUntil, window.validUntil, "its end");
            }
            (bytes32 now_,, AccountRoots.Window memory present,,) = account.getRoots();
            assertEq(root, now_, "the newest");
            assertEq(time - 60 + MAX_AGE, present.validUntil, "seven days");
            last = root;
        }
    }
}
