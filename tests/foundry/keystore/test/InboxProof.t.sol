// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {Base} from "./Base.sol";
import {L1BlockTwin} from "./Bridges.sol";

/// @title The inbox's storage, proven against L1's block hash
/// @notice The proofs are those of a real inbox in anvil (`python tests/support/inbox_twin.py`).
contract InboxProofTest is Base {
    struct Case {
        uint64 number;
        bytes32 blockHash;
        bytes header;
        bytes[] accountProof;
        bytes[] rootProof;
        bytes[] headProof;
        bytes32 root;
        uint64 height;
        uint64 l1Time;
        uint64 settledAt;
    }

    string internal json = vm.readFile("fixtures/inbox.json");
    L1BlockTwin internal l1Block = new L1BlockTwin();
    KeystoreRoots internal roots;

    function setUp() external {
        vm.warp(2_000_000_000);
        roots = _createRoots(vm.parseJsonAddress(json, ".inbox"));
    }

    function _createRoots(address inbox) private returns (KeystoreRoots) {
        return KeystoreRoots(_create("KeystoreRoots", abi.encode(inbox, address(0), l1Block)));
    }

    function read(string memory name) internal view returns (Case memory c) {
        string memory path = string.concat(".", name, ".");
        c.number = uint64(vm.parseJsonUint(json, string.concat(path, "number")));
        c.blockHash = vm.parseJsonBytes32(json, string.concat(path, "blockHash"));
        c.header = vm.parseJsonBytes(json, string.concat(path, "header"));
        c.accountProof = vm.parseJsonBytesArray(json, string.concat(path, "accountProof"));
        c.rootProof = vm.parseJsonBytesArray(json, string.concat(path, "rootProof"));
        c.headProof = vm.parseJsonBytesArray(json, string.concat(path, "headProof"));
        c.root = vm.parseJsonBytes32(json, string.concat(path, "root"));
        c.height = uint64(vm.parseJsonUint(json, string.concat(path, "height")));
        c.l1Time = uint64(vm.parseJsonUint(json, string.concat(path, "l1Time")));
        c.settledAt = uint64(vm.parseJsonUint(json, string.concat(path, "settledAt")));
    }

    function reach(Case memory c) internal {
        l1Block.set(c.number, c.l1Time, c.blockHash);
    }

    function prove(Case memory c) public {
        roots.proveRoot(c.number, c.header, c.accountProof, c.rootProof, c.headProof);
    }

    function assertLatest(Case memory c) internal view {
        (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt) = roots.latest();
        assertEq(c.root, root, "root");
        assertEq(c.height, height, "height");
        assertEq(c.l1Time, l1Time, "L1 time");
        assertEq(c.settledAt, settledAt, "settled at");
    }

    /// @dev The genesis's root begins with three zero bytes, which the trie drops.
    function test_what_the_inbox_holds_is_taken() external {
        string[4] memory names = ["genesis", "first", "second", "idle"];
        for (uint256 i; i < names.length; ++i) {
            Case memory c = read(names[i]);
            reach(c);
            prove(c);
            assertLatest(c);
        }
        assertEq(0, uint256(read("genesis").root) >> 232, "leading zeros");
        assertEq(read("idle").l1Time, roots.shownAt(read("second").root), "the idle root's time moved on");
        assertTrue(read("idle").l1Time > read("second").l1Time, "later");
        assertEq(read("second").settledAt, read("idle").settledAt, "and the time of its settlement did not");
    }

    function test_the_gas_of_a_proof() external {
        Case memory c = read("second");
        reach(c);
        bytes memory call_ =
            abi.encodeCall(roots.proveRoot, (c.number, c.header, c.accountProof, c.rootProof, c.headProof));
        vm.cool(address(roots));
        vm.cool(address(l1Block));
        vm.snapshotValue("roots", "proveRoot.gas", _gasOf(address(roots), call_));
        vm.snapshotValue("roots", "proveRoot.bytes", call_.length);
    }

    function test_an_older_block_is_stale() external {
        Case memory c = read("second");
        reach(c);
        prove(c);
        Case memory older = read("first");
        reach(older);
        vm.expectRevert(
            abi.encodeWithSelector(IKeystoreRoots.StaleRoot.selector, c.height, c.l1Time, older.height, older.l1Time)
        );
        prove(older);
    }

    function test_a_block_of_the_future_is_refused() external {
        Case memory c = read("first");
        reach(c);
        vm.warp(c.l1Time - 1);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.FutureRoot.selector, c.l1Time - 1, c.l1Time));
        prove(c);
        vm.warp(c.l1Time);
        prove(c);
        assertLatest(c);
    }

    function test_a_recorded_block_is_good_when_the_chain_has_moved_on() external {
        Case memory c = read("first");
        reach(c);
        vm.expectEmit(address(roots));
        emit IKeystoreRoots.BlockHashRecorded(c.number, c.blockHash);
        roots.recordBlockHash();
        Case memory unrecorded = read("second");
        reach(unrecorded);
        reach(read("idle"));
        prove(c);
        assertLatest(c);
        vm.expectRevert(
            abi.encodeWithSelector(IKeystoreRoots.WrongBlockHash.selector, bytes32(0), unrecorded.blockHash)
        );
        prove(unrecorded);
    }

    function test_a_recorded_block_gives_way_to_one_that_comes_later() external {
        Case memory c = read("first");
        reach(c);
        roots.recordBlockHash();
        bytes32 other = keccak256("another block");
        l1Block.set(c.number + uint64(roots.BLOCK_HASHES()), c.l1Time + 3072, other);
        roots.recordBlockHash();
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.WrongBlockHash.selector, other, c.blockHash));
        prove(c);
    }

    /// @dev A number that is neither the present one nor recorded has no hash; or that of a recorded block 256 before it, which
    /// only that block's own header has.
    function test_the_hash_of_a_number() external {
        Case memory c = read("first");
        reach(c);
        assertEq(c.blockHash, roots.getBlockHash(c.number), "the present block");
        assertEq(bytes32(0), roots.getBlockHash(c.number + 1), "a later one");
        assertEq(bytes32(0), roots.getBlockHash(c.number - 1), "an earlier one");
        roots.recordBlockHash();
        l1Block.set(c.number + 1, c.l1Time + 12, keccak256("the next block"));
        assertEq(c.blockHash, roots.getBlockHash(c.number), "recorded");
        assertEq(keccak256("the next block"), roots.getBlockHash(c.number + 1), "the present block");
        assertEq(c.blockHash, roots.getBlockHash(c.number + uint64(roots.BLOCK_HASHES())), "its place in the ring");
    }

    function test_another_blocks_header_is_refused() external {
        Case memory c = read("first");
        reach(c);
        Case memory other = read("second");
        c.header = other.header;
        vm.expectRevert(
            abi.encodeWithSelector(IKeystoreRoots.WrongBlockHash.selector, c.blockHash, other.blockHash)
        );
        prove(c);
    }

    /// @dev Account, slots and roots of one block under another's header, one piece at a time.
    function test_proofs_of_another_block_are_refused() external {
        for (uint256 piece; piece < 3; ++piece) {
            Case memory c = read("first");
            Case memory other = read("second");
            reach(c);
            if (piece == 0) c.accountProof = other.accountProof;
            else if (piece == 1) c.rootProof = other.rootProof;
            else c.headProof = other.headProof;
            vm.expectRevert(IKeystoreRoots.BadProof.selector);
            prove(c);
        }
    }

    /// @dev The same code and storage layout at another address.
    function test_another_inbox_is_refused() external {
        Case memory c = read("stranger");
        reach(c);
        vm.expectRevert(IKeystoreRoots.BadProof.selector);
        prove(c);
        roots = _createRoots(address(1));
        c = read("first");
        reach(c);
        vm.expectRevert(IKeystoreRoots.BadProof.selector);
        prove(c);
    }

    function test_slots_do_not_swap() external {
        Case memory c = read("first");
        reach(c);
        (c.rootProof, c.headProof) = (c.headProof, c.rootProof);
        vm.expectRevert(IKeystoreRoots.BadProof.selector);
        prove(c);
    }

    function test_missing_and_surplus_nodes_are_refused() external {
        for (uint256 piece; piece < 6; ++piece) {
            Case memory c = read("first");
            reach(c);
            bytes[] memory nodes = piece % 3 == 0 ? c.accountProof : piece % 3 == 1 ? c.rootProof : c.headProof;
            bytes[] memory changed = new bytes[](piece < 3 ? nodes.length - 1 : nodes.length + 1);
            for (uint256 i; i < changed.length; ++i) {
                changed[i] = nodes[i < nodes.length ? i : nodes.length - 1];
            }
            if (piece % 3 == 0) c.accountProof = changed;
            else if (piece % 3 == 1) c.rootProof = changed;
            else c.headProof = changed;
            vm.expectRevert(IKeystoreRoots.BadProof.selector);
            prove(c);
        }
    }

    function testFuzz_one_changed_byte_is_refused(uint256 piece, uint256 node, uint256 at, uint8 mask) external {
        Case memory c = read("second");
        reach(c);
        bytes memory target;
        if (piece % 4 == 0) target = c.header;
        else if (piece % 4 == 1) target = c.accountProof[node % c.accountProof.length];
        else if (piece % 4 == 2) target = c.rootProof[node % c.rootProof.length];
        else target = c.headProof[node % c.headProof.length];
        target[at % target.length] ^= bytes1(mask == 0 ? 1 : mask);
        try this.prove(c) {
            assertTrue(false, "accepted");
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            bytes4 expected =
                piece % 4 == 0 ? IKeystoreRoots.WrongBlockHash.selector : IKeystoreRoots.BadProof.selector;
            assertEq(bytes32(expected), bytes32(selector), "error");
        }
        (bytes32 root,,,) = roots.latest();
        assertEq(bytes32(0), root, "nothing was taken");
    }
}
