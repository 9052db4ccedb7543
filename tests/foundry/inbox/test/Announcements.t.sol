// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice The table of cases that event index and local settlement are held against too.
contract AnnouncementsTest is InboxTest {
    string private json;
    uint256 private constant BASE = 250_000;

    function setUp() public override {
        json = vm.readFile("../../vectors/conformance/announcements.json");
    }

    function path(uint256 index, uint256 step, string memory member) private pure returns (string memory) {
        return string.concat(".cases[", vm.toString(index), "].steps[", vm.toString(step), "]", member);
    }

    function number(uint256 index, uint256 step, string memory member) private view returns (uint256) {
        return vm.parseJsonUint(json, path(index, step, member));
    }

    function addressAt(uint256 index, uint256 step, string memory member) private view returns (address) {
        return vm.parseJsonAddress(json, path(index, step, member));
    }

    function textAt(uint256 index, uint256 step, string memory member) private view returns (string memory) {
        return vm.parseJsonString(json, path(index, step, member));
    }

    function same(string memory one, string memory other) private pure returns (bool) {
        return keccak256(bytes(one)) == keccak256(bytes(other));
    }

    /// @notice The contract takes, refuses and knows what the table says, in every case.
    function test_Table() public {
        uint256 cases;
        for (; vm.keyExistsJson(json, string.concat(".cases[", vm.toString(cases), "].name")); ++cases) {
            this.run(cases);
        }
        require(cases > 20, "cases");
    }

    /// @dev From outside, so that the memory into which files are read ends with each case.
    function run(uint256 index) external {
        create(index);
        uint256 step;
        for (; vm.keyExistsJson(json, path(index, step, ".call")); ++step) {
            vm.roll(BASE + number(index, step, ".at"));
            if (same(textAt(index, step, ".call"), "see")) see(index, step);
            else act(index, step);
        }
        require(step > 1, "steps");
    }

    /// @dev The first step of each case is the first owner's, or an entry; the first owner is that of the first case.
    function create(uint256 index) private {
        vm.roll(START);
        vm.warp(START * 12);
        keys = sortKeys(3);
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.salt = bytes32(index);
        genesis.builder = addressAt(0, 3, ".builder");
        bytes32 code = vm.parseJsonBytes32(json, path(0, 3, ".code"));
        inbox = deploy(genesis, makeDomain(), addressAt(0, 0, ".by"), code);
    }

    function act(uint256 index, uint256 step) private {
        string memory error = textAt(index, step, ".error");
        vm.prank(addressAt(index, step, ".by"));
        (bool taken, bytes memory answer) = address(inbox).call(encode(index, step));
        if (bytes(error).length != 0) {
            require(!taken && bytes4(answer) == bytes4(keccak256(bytes(error))), error);
            return;
        }
        require(taken, textAt(index, step, ".call"));
        uint256 effective = number(index, step, ".effective");
        if (effective != 0) equal(BASE + effective, abi.decode(answer, (uint256)));
    }

    function encode(uint256 index, uint256 step) private view returns (bytes memory) {
        string memory call = textAt(index, step, ".call");
        uint256 argument = number(index, step, ".number");
        address account = addressAt(index, step, ".address");
        if (same(call, "force")) return abi.encodeCall(IRollupInbox.force, ("payload"));
        if (same(call, "void")) return abi.encodeCall(IRollupInbox.void, (argument));
        if (same(call, "cancelVoid")) return abi.encodeCall(IRollupInbox.cancelVoid, (argument));
        if (same(call, "changeBuilder")) return abi.encodeCall(IRollupInbox.changeBuilder, (account));
        if (same(call, "changeOwner")) return abi.encodeCall(IRollupInbox.changeOwner, (account));
        if (same(call, "changeVerifiers")) {
            return abi.encodeCall(IRollupInbox.changeVerifiers, (setOf(addressesOf(keys), argument)));
        }
        if (same(call, "announceCode")) {
            return abi.encodeCall(IRollupInbox.announceCode, (vm.parseJsonBytes32(json, path(index, step, ".code"))));
        }
        IRollupInbox.Announcement kind = IRollupInbox.Announcement.Code;
        if (same(call, "cancelVerifiers")) kind = IRollupInbox.Announcement.Verifiers;
        else if (same(call, "cancelBuilder")) kind = IRollupInbox.Announcement.Builder;
        else require(same(call, "cancelCode"), call);
        return abi.encodeCall(IRollupInbox.cancel, (kind));
    }

    function see(uint256 index, uint256 step) private view {
        equal(addressAt(index, step, ".owner"), inbox.owner());
        equal(addressAt(index, step, ".builder"), inbox.builder());
        uint256 quorum = inbox.verifiers().quorum;
        equal(number(index, step, ".quorum"), quorum);
        equal(vm.parseJsonBytes32(json, path(index, step, ".code")), inbox.codeAt(block.number));
        uint256 voids;
        for (uint256 entry; entry < inbox.queueLength(); ++entry) {
            (, uint256 from) = inbox.entry(entry);
            if (from == 0 || from > block.number) continue;
            string memory place = string.concat(".voided[", vm.toString(voids), "]");
            equal(number(index, step, place), entry);
            ++voids;
        }
        require(!vm.keyExistsJson(json, path(index, step, string.concat(".voided[", vm.toString(voids), "]"))), "void");
    }
}
