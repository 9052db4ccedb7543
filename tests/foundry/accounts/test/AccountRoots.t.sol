// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {IRootReceiver} from "keystore/IRootReceiver.sol";
import {AccountRoots} from "keystore/AccountRoots.sol";
import {RootCopies} from "keystore/RootCopies.sol";
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

    function _foreign(uint256 number) private pure returns (bytes32) {
        return keccak256(abi.encode("a root of other accounts", number));
    }

    function _showAndPush(bytes32 root) private {
        _show(root);
        vm.prank(address(0xBAD));
        account.pushRoot();
    }

    /// @dev Four foreign roots within a minute, each pushed by a stranger: what was signed against the first serves its 15 minutes.
    function test_fifteen_minutes_hold_whatever_arrives() external {
        for (uint256 i; i < 4; ++i) {
            _accept(_signedTransfer(account, alice, included));
            _showAndPush(_foreign(i));
            _warp(time + 12);
        }
        for (uint256 i = 4; i < 9; ++i) {
            _show(_foreign(i));
            vm.expectRevert(abi.encodeWithSelector(RootCopies.TooSoon.selector, uint40(NOW + GRACE)));
            account.pushRoot();
        }
        _warp(NOW + GRACE);
        vm.expectRevert(abi.encodeWithSelector(RootCopies.TooSoon.selector, uint40(NOW + GRACE)));
        account.pushRoot();
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW + GRACE + 1);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
        account.pushRoot();
        _refuse(_signedTransfer(account, alice, included));
    }

    /// @dev All four entries of the ring serve, each to its own end.
    function test_ring_of_four_roots() external {
        Opening[5] memory openings;
        openings[0] = included;
        for (uint256 i = 1; i < 5; ++i) {
            openings[i] = _include(key, alice, DEPTH - i);
            _warp(NOW + i * 60);
            _showAndPush(openings[i].root);
        }
        for (uint256 i; i < 5; ++i) {
            _accept(_signedTransfer(account, alice, openings[i]));
        }
        (bytes32 root,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(openings[4].root, root, "the present one");
        for (uint256 i; i < 4; ++i) {
            assertEq(openings[3 - i].root >> 40, bytes32(replaced[i].root) >> 40, "the newest first");
            assertEq(NOW + (4 - i) * 60 + GRACE, replaced[i].validUntil, "until");
        }
        for (uint256 i; i < 4; ++i) {
            _warp(NOW + (i + 1) * 60 + GRACE);
            _accept(_signedTransfer(account, alice, openings[i]));
            _warp(time + 1);
            _refuseAsOutdated(_signedTransfer(account, alice, openings[i]));
        }
        _accept(_signedTransfer(account, alice, openings[4]));
    }

    /// @dev A thief fills the ring before the rotation arrives: the retired key lives 30 minutes after that, and no second more.
    function test_retired_key_lives_at_most_thirty_minutes() external {
        for (uint256 i; i < 4; ++i) {
            _showAndPush(_include(key, alice, DEPTH - 1 - i).root);
        }
        Opening memory last = _include(key, alice, DEPTH - 4);
        _accept(_signedTransfer(account, alice, _remembering(last)));
        uint256 settled = time;
        _show(rotated.root);
        vm.expectRevert(abi.encodeWithSelector(RootCopies.TooSoon.selector, uint40(settled + GRACE)));
        account.pushRoot();
        _warp(settled + GRACE + 1);
        account.pushRoot();
        _accept(_signedTransfer(account, next, rotated));
        _warp(settled + 2 * GRACE + 1);
        _accept(_signedTransfer(account, alice, last));
        _accept(_signedTransfer(account, alice, _cached()));
        _warp(settled + 2 * GRACE + 2);
        _refuseAsOutdated(_signedTransfer(account, alice, last));
        _refuseAsOutdated(_signedTransfer(account, alice, _cached()));
        _accept(_signedTransfer(account, next, rotated));
    }

    /// @dev Whatever a thief does after the push, with memory, further roots and pushes: 15 minutes, not one second more.
    function testFuzz_nothing_prolongs_the_grace(uint256 seed) external {
        if (seed & 1 == 1) _accept(_signedTransfer(account, alice, _remembering(included)));
        _showAndPush(rotated.root);
        uint256 end = time + GRACE;
        for (uint256 i; i < 8; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _warp(time + seed % 4 minutes);
            if (time > end) break;
            uint256 what = (seed >> 64) % 4;
            if (what == 0) {
                _show(keccak256(abi.encode(seed)));
            } else if (what == 1) {
                try account.pushRoot() {} catch {}
            } else {
                _validate(_signedTransfer(account, alice, what == 2 ? _remembering(included) : _cached()));
            }
        }
        _warp(end + 1);
        Opening[3] memory all = [included, _cached(), _remembering(included)];
        for (uint256 i; i < 3; ++i) {
            uint256 answer = _validate(_signedTransfer(account, alice, all[i]));
            uint256 until = uint48(answer >> 160);
            assertTrue(uint160(answer) == 1 || until < time, "the retired key is dead");
        }
    }

    /// @dev A root that comes back and is replaced again serves by its newer entry.
    function test_root_that_comes_back() external {
        _showAndPush(_foreign(1));
        _warp(NOW + 60);
        _showAndPush(included.root);
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW + 120);
        _showAndPush(_foreign(2));
        _warp(NOW + 120 + GRACE);
        _accept(_signedTransfer(account, alice, included));
        _warp(NOW + 121 + GRACE);
        _refuseAsOutdated(_signedTransfer(account, alice, included));
    }

    /// @dev Every bit of a replaced root that is kept counts.
    function test_every_bit_of_a_replaced_root_counts() external {
        _showAndPush(_foreign(1));
        (,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        bytes32 word = bytes32(replaced[0].root) | bytes32(uint256(replaced[0].validUntil));
        bytes32 slot;
        while (vm.load(address(account), slot) != word) {
            slot = bytes32(uint256(slot) + 1);
        }
        PackedUserOperation memory operation = _signedTransfer(account, alice, included);
        for (uint256 bit = 40; bit < 256; ++bit) {
            vm.store(address(account), slot, word ^ bytes32(1 << bit));
            assertEq(FAILED, _validate(operation), "another root");
        }
        vm.store(address(account), slot, word);
        assertTrue(FAILED != _validate(operation), "the root");
    }

    /// @dev A keystore that does not settle keeps the old key alive for as long as L1 is shown to hold the old root. No account
    /// can end that; but how long ago L1 took the root is told with it.
    function test_unsettled_rotation_is_told_by_its_age() external {
        for (uint256 week = 1; week <= 52; ++week) {
            _warp(NOW + week * 7 days - 120);
            _showSettled(included.root, 1, time, NOW - 60);
            account.pushRoot();
            _accept(_signedTransfer(account, alice, included));
        }
        (,, uint64 l1Time, uint64 settledAt) = roots.latest();
        assertEq(time, l1Time, "shown just now");
        assertEq(NOW - 60, settledAt, "settled a year ago");
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
        receiver.receiveRoot(hers.root, 99, uint64(NOW), uint64(NOW));
        account.pushRoot();
        _refuse(_signedTransfer(account, mallory, hers));
        (bytes32 root,,, AccountRoots.Replaced[4] memory replaced) = account.getRoots();
        assertEq(included.root, root, "the root stays");
        assertEq(0, replaced[0].validUntil, "pushing the same root again replaces none");
    }

    /// @dev However roots and pushes follow each other: a push over a live entry is refused, and else the ring holds the last
    /// four, each with its own end, never changed later.
    function testFuzz_pushes(uint256 seed) external {
        bytes32[] memory pushed = new bytes32[](17);
        uint256[] memory ends = new uint256[](17);
        uint256 count;
        pushed[0] = included.root;
        for (uint256 i; i < 16; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            _warp(time + seed % (seed >> 255 == 0 ? 10 minutes : 5 days));
            bytes32 root = seed >> 128 & 3 == 0 ? pushed[count] : keccak256(abi.encode(seed));
            (,, AccountRoots.Window memory before,) = account.getRoots();
            uint256 end = time + GRACE < before.validUntil ? time + GRACE : before.validUntil;
            _show(root);
            if (root != pushed[count] && end >= time) {
                if (count >= 4 && ends[count - 4] >= time) {
                    vm.expectRevert(abi.encodeWithSelector(RootCopies.TooSoon.selector, uint40(ends[count - 4])));
                    account.pushRoot();
                    continue;
                }
                ends[count++] = end;
                pushed[count] = root;
            } else {
                pushed[count] = root;
            }
            account.pushRoot();
            (bytes32 present,, AccountRoots.Window memory window, AccountRoots.Replaced[4] memory replaced) =
                account.getRoots();
            assertEq(root, present, "the newest");
            assertEq(time - 60 + MAX_AGE, window.validUntil, "seven days");
            for (uint256 age; age < 4 && age < count; ++age) {
                assertEq(pushed[count - 1 - age] >> 40, bytes32(replaced[age].root) >> 40, "the one before");
                assertEq(ends[count - 1 - age], replaced[age].validUntil, "its end");
            }
        }
    }
}
