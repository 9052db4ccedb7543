// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {Base} from "./Base.sol";
import {OneOrigin} from "./Bridges.sol";

/// @title The order of roots: newer by height and by L1 time, never back; a bounded history
contract KeystoreRootsTest is Base {
    uint64 internal constant NOW = 1_700_000_000;
    bytes32 internal constant A = keccak256("a");
    bytes32 internal constant B = keccak256("b");
    uint64 internal constant SETTLED = NOW - 2_000;

    KeystoreRoots internal roots;

    function setUp() external {
        vm.warp(NOW);
        roots = _createRoots(address(new OneOrigin(address(this))), address(0));
    }

    function _createRoots(address origin, address l1Block) private returns (KeystoreRoots) {
        return KeystoreRoots(_create("KeystoreRoots", abi.encode(address(1), origin, l1Block)));
    }

    function assertLatest(bytes32 root, uint64 height, uint64 l1Time) internal view {
        (bytes32 foundRoot, uint64 foundHeight, uint64 foundTime, uint64 settledAt) = roots.latest();
        assertEq(root, foundRoot, "root");
        assertEq(height, foundHeight, "height");
        assertEq(l1Time, foundTime, "L1 time");
        assertEq(root == 0 ? 0 : SETTLED, settledAt, "settled at");
        assertEq(l1Time, roots.shownAt(root), "shown at");
        assertEq(0, roots.replacedAt(root), "the newest is not replaced");
    }

    function expectStale(uint64 height, uint64 l1Time) internal {
        (, uint64 knownHeight, uint64 knownTime,) = roots.latest();
        vm.expectRevert(
            abi.encodeWithSelector(IKeystoreRoots.StaleRoot.selector, knownHeight, knownTime, height, l1Time)
        );
    }

    function test_nothing_is_known_before_the_first_root() external view {
        assertLatest(bytes32(0), 0, 0);
        assertEq(0, roots.shownAt(A), "never shown");
    }

    function test_the_genesis_root_at_height_zero_is_a_root() external {
        roots.receiveRoot(A, 0, NOW, SETTLED);
        assertLatest(A, 0, NOW);
    }

    function test_a_new_root_replaces_the_last_which_stays_in_the_history() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        vm.expectEmit(address(roots));
        emit IKeystoreRoots.RootShown(B, 9, NOW - 50);
        roots.receiveRoot(B, 9, NOW - 50, SETTLED);
        assertLatest(B, 9, NOW - 50);
        assertEq(NOW - 100, roots.shownAt(A), "the last one's time");
    }

    function test_an_idle_keystores_root_is_shown_again() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        roots.receiveRoot(A, 7, NOW, SETTLED);
        assertLatest(A, 7, NOW);
        roots.receiveRoot(A, 8, NOW, SETTLED);
        assertLatest(A, 8, NOW);
    }

    function test_a_regressing_height_is_refused() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        expectStale(6, NOW);
        roots.receiveRoot(B, 6, NOW, SETTLED);
        expectStale(6, NOW);
        roots.receiveRoot(A, 6, NOW, SETTLED);
        assertLatest(A, 7, NOW - 100);
    }

    function test_a_regressing_time_is_refused() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        expectStale(8, NOW - 101);
        roots.receiveRoot(A, 8, NOW - 101, SETTLED);
        expectStale(8, NOW - 101);
        roots.receiveRoot(B, 8, NOW - 101, SETTLED);
        roots.receiveRoot(B, 8, NOW - 100, SETTLED);
        assertLatest(B, 8, NOW - 100);
    }

    /// @dev A showing of the newest root at its height that was overtaken by a later one does not fail, and changes nothing; one
    /// that is later renews it.
    function test_the_same_root_with_an_older_time_changes_nothing() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        for (uint64 older = 101; older < 104; ++older) {
            vm.recordLogs();
            roots.receiveRoot(A, 7, NOW - older, SETTLED + 1);
            assertEq(0, vm.getRecordedLogs().length, "events");
            assertLatest(A, 7, NOW - 100);
        }
        roots.receiveRoot(A, 7, NOW - 99, SETTLED);
        assertLatest(A, 7, NOW - 99);
        roots.receiveRoot(B, 8, NOW - 99, SETTLED);
        expectStale(7, NOW - 98);
        roots.receiveRoot(A, 7, NOW - 98, SETTLED);
    }

    /// @dev Each root has its own time of replacement, by this chain's clock; the newest has none, also if it came back.
    function test_when_a_root_was_replaced() external {
        roots.receiveRoot(A, 1, NOW - 100, SETTLED);
        assertEq(0, roots.replacedAt(A), "the newest");
        vm.warp(NOW + 5);
        roots.receiveRoot(A, 1, NOW, SETTLED);
        assertEq(0, roots.replacedAt(A), "shown again");
        roots.receiveRoot(B, 2, NOW, SETTLED);
        vm.warp(NOW + 9);
        roots.receiveRoot(keccak256("c"), 3, NOW, SETTLED);
        assertEq(NOW + 5, roots.replacedAt(A), "A, when B came");
        assertEq(NOW + 9, roots.replacedAt(B), "B");
        assertEq(0, roots.replacedAt(keccak256("unknown")), "an unknown one");
        vm.warp(NOW + 11);
        roots.receiveRoot(A, 4, NOW, SETTLED);
        assertLatest(A, 4, NOW);
        for (uint64 i; i < roots.HISTORY(); ++i) {
            roots.receiveRoot(bytes32(uint256(i) + 1), 5 + i, NOW, SETTLED);
        }
        assertEq(0, roots.replacedAt(A), "left the history");
        assertEq(NOW + 11, roots.replacedAt(bytes32(uint256(1))), "the oldest that is kept");
    }

    /// @dev When L1 took the newest root is told with it, and stays while it is shown again.
    function test_the_time_of_settlement() external {
        roots.receiveRoot(A, 1, NOW - 100, NOW - 150);
        roots.receiveRoot(A, 1, NOW - 50, NOW - 150);
        (,,, uint64 settledAt) = roots.latest();
        assertEq(NOW - 150, settledAt, "of the first root");
        roots.receiveRoot(B, 2, NOW - 40, NOW - 45);
        (,,, settledAt) = roots.latest();
        assertEq(NOW - 45, settledAt, "of the second root");
    }

    function test_a_future_time_is_refused() external {
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.FutureRoot.selector, NOW, NOW + 1));
        roots.receiveRoot(A, 7, NOW + 1, SETTLED);
        roots.receiveRoot(A, 7, NOW, SETTLED);
        assertLatest(A, 7, NOW);
    }

    function test_another_root_at_a_known_height_is_refused() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.ConflictingRoot.selector, 7, A, B));
        roots.receiveRoot(B, 7, NOW, SETTLED);
        assertLatest(A, 7, NOW - 100);
    }

    function test_the_same_news_twice_changes_nothing_and_does_not_fail() external {
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        vm.recordLogs();
        roots.receiveRoot(A, 7, NOW - 100, SETTLED);
        assertEq(0, vm.getRecordedLogs().length, "events");
        assertLatest(A, 7, NOW - 100);
    }

    function test_no_tree_has_the_zero_root() external {
        vm.expectRevert(IKeystoreRoots.ZeroRoot.selector);
        roots.receiveRoot(bytes32(0), 7, NOW, SETTLED);
    }

    function test_the_history_is_bounded() external {
        uint256 count = roots.HISTORY() + 10;
        for (uint256 i = 1; i <= count; ++i) {
            roots.receiveRoot(bytes32(i), uint64(i), NOW - 1000 + uint64(i), SETTLED);
        }
        for (uint256 i = 1; i <= count; ++i) {
            uint256 expected = i <= 10 ? 0 : NOW - 1000 + i;
            assertEq(expected, roots.shownAt(bytes32(i)), "shown at");
        }
    }

    /// @dev The first entry of a root leaves the history; the root itself has a later one.
    function test_a_root_that_came_back_is_kept_by_its_last_entry() external {
        uint256 size = roots.HISTORY();
        uint64 height;
        for (uint256 i; i < 2; ++i) {
            roots.receiveRoot(A, ++height, NOW - 900, SETTLED);
            roots.receiveRoot(B, ++height, NOW - 900, SETTLED);
        }
        // Entries 0 to 3 are A, B, A, B. Two more than the size: the first A and B are gone, the later ones are not.
        for (uint256 i = 4; i < size + 2; ++i) {
            roots.receiveRoot(bytes32(i), ++height, NOW, SETTLED);
        }
        assertEq(NOW - 900, roots.shownAt(A), "A's later entry");
        assertEq(NOW - 900, roots.shownAt(B), "B's later entry");
        roots.receiveRoot(bytes32(size + 2), ++height, NOW, SETTLED);
        assertEq(0, roots.shownAt(A), "A is gone");
        assertEq(NOW - 900, roots.shownAt(B), "B is not");
        roots.receiveRoot(A, ++height, NOW, SETTLED);
        assertLatest(A, height, NOW);
        assertEq(0, roots.shownAt(B), "B is gone");
    }

    /// @dev The root that comes is the very one that leaves.
    function test_a_root_may_come_back_in_its_own_place() external {
        uint256 size = roots.HISTORY();
        for (uint256 i = 1; i <= size; ++i) {
            roots.receiveRoot(bytes32(i), uint64(i), NOW, SETTLED);
        }
        roots.receiveRoot(bytes32(uint256(1)), uint64(size + 1), NOW, SETTLED);
        assertLatest(bytes32(uint256(1)), uint64(size + 1), NOW);
        assertEq(NOW, roots.shownAt(bytes32(uint256(2))), "its neighbour");
    }

    function test_only_the_messenger_is_believed() external {
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(2)));
        vm.prank(address(2));
        roots.receiveRoot(A, 7, NOW, SETTLED);
        roots = _createRoots(address(0), address(0));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(this)));
        roots.receiveRoot(A, 7, NOW, SETTLED);
    }

    function test_without_an_l1_block_nothing_is_proven() external {
        bytes[] memory none;
        vm.expectRevert(IKeystoreRoots.NoL1Block.selector);
        roots.proveRoot(7, "", none, none, none);
        vm.expectRevert(IKeystoreRoots.NoL1Block.selector);
        roots.recordBlockHash();
    }

    /// @dev For one address on all chains, the argument is OP-stack's predeploy also where the chain has none.
    function test_where_the_predeploy_is_not_there_nothing_is_proven() external {
        roots = _createRoots(address(0), 0x4200000000000000000000000000000000000015);
        bytes[] memory none;
        vm.expectRevert(IKeystoreRoots.NoL1Block.selector);
        roots.proveRoot(7, "", none, none, none);
        vm.expectRevert(IKeystoreRoots.NoL1Block.selector);
        roots.recordBlockHash();
        vm.expectRevert(IKeystoreRoots.NoL1Block.selector);
        roots.getBlockHash(7);
    }

    function measure(string memory name, bytes32 root, uint64 height, uint64 l1Time) internal {
        bytes memory call_ = abi.encodeCall(roots.receiveRoot, (root, height, l1Time, SETTLED));
        vm.cool(address(roots));
        vm.snapshotValue("roots", string.concat("receiveRoot.", name, ".gas"), _gasOf(address(roots), call_));
    }

    /// @dev All storage cold, as in a transaction of its own; without the transaction's own cost.
    function test_the_gas_of_a_root() external {
        measure("first", A, 1, NOW - 10);
        measure("next", B, 2, NOW - 9);
        measure("again", B, 2, NOW - 8);
        for (uint256 i = 3; i <= roots.HISTORY(); ++i) {
            roots.receiveRoot(bytes32(i), uint64(i), NOW - 7, SETTLED);
        }
        measure("full_history", keccak256("c"), 1_000, NOW);
    }

    /// @dev Whatever arrives, in any order: what is kept is the newest of what was taken, and nothing went back.
    function testFuzz_nothing_ever_goes_back(uint256 seed) external {
        for (uint256 i; i < 60; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (bytes32 known, uint64 height, uint64 l1Time,) = roots.latest();
            bytes32 root = bytes32(1 + seed % 5);
            uint64 newHeight = uint64(height + (seed >> 8) % 4) > 0 ? uint64(height + (seed >> 8) % 4) - 1 : 0;
            uint64 newTime = l1Time == 0 ? NOW - 500 : l1Time + uint64((seed >> 16) % 20) - 5;
            bool newer = newHeight >= height && newTime >= l1Time && newTime <= NOW;
            bool agrees = known == bytes32(0) || newHeight != height || root == known;
            bool overtaken = root == known && newHeight == height && newTime <= l1Time;
            uint64 before = roots.shownAt(root);
            try roots.receiveRoot(root, newHeight, newTime, SETTLED) {
                assertTrue(overtaken || (newer && agrees), "taken");
                assertLatest(root, newHeight, overtaken ? l1Time : newTime);
            } catch {
                assertFalse(overtaken || (newer && agrees), "refused");
                assertEq(before, roots.shownAt(root), "unchanged");
                (bytes32 still, uint64 stillHeight, uint64 stillTime,) = roots.latest();
                assertTrue(still == known && stillHeight == height && stillTime == l1Time, "as before");
            }
        }
    }
}
