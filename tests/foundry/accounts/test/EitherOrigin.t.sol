// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {IMessageOrigin} from "keystore/IMessengers.sol";
import {IRootReceiver} from "keystore/IRootReceiver.sol";
import {OneOrigin, OpStackBridge} from "keystore-test/Bridges.sol";
import {Validation} from "./Validation.sol";

/// @dev Roots that take messages from bridges of either kind: whichever the chain has, and nobody else.
contract EitherOriginTest is Validation {
    address internal constant SENDER = address(0x5E4DE8);
    address internal constant SENDER_ALIAS = address(uint160(SENDER) + uint160(0x1111000000000000000000000000000000001111));

    OpStackBridge internal bridge;
    IRootReceiver internal roots;

    function setUp() external {
        vm.warp(1_800_000_000);
        bridge = new OpStackBridge();
        address opStack = _deploy(abi.encodePacked(_load("OpStackOrigin"), abi.encode(bridge, SENDER)));
        address arbitrum = _deploy(abi.encodePacked(_load("ArbitrumOrigin"), abi.encode(SENDER)));
        address either = _deploy(abi.encodePacked(_load("EitherOrigin"), abi.encode(opStack, arbitrum)));
        roots = IRootReceiver(
            _deploy(abi.encodePacked(_load("KeystoreRoots"), abi.encode(address(1), either, address(0))))
        );
    }

    function _send(address sender) private {
        vm.prank(sender);
        bridge.sendMessage(
            address(roots), abi.encodeCall(roots.receiveRoot, (keccak256("by messenger"), 1, 1_700_000_000, 1)), 100_000
        );
    }

    function test_by_messenger() external {
        _send(SENDER);
        bridge.relay(0);
        assertEq(uint256(1_700_000_000), IKeystoreRoots(address(roots)).shownAt(keccak256("by messenger")), "shown");
        _send(address(this));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(bridge)));
        bridge.relay(1);
    }

    function test_by_alias() external {
        vm.prank(SENDER_ALIAS);
        roots.receiveRoot(keccak256("by alias"), 2, 1_700_000_000, 1);
        vm.prank(SENDER);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, SENDER));
        roots.receiveRoot(keccak256("without alias"), 3, 1_700_000_000, 1);
    }

    function testFuzz_strangers(address caller) external {
        vm.assume(caller != SENDER_ALIAS && caller != address(bridge));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, caller));
        roots.receiveRoot(keccak256("a stranger's"), 3, 1_700_000_000, 1);
    }

    /// @dev Without bridges there is nobody to take a message from.
    function test_neither() external {
        IMessageOrigin nobody = new OneOrigin(address(0xB0B));
        address either = _deploy(abi.encodePacked(_load("EitherOrigin"), abi.encode(nobody, nobody)));
        assertFalse(IMessageOrigin(either).isBroadcaster(SENDER_ALIAS), "not known here");
        assertTrue(IMessageOrigin(either).isBroadcaster(address(0xB0B)), "known here");
    }
}
