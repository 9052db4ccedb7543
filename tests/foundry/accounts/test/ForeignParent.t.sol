// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {OpStackBridge} from "keystore-test/Bridges.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {AccountBase} from "./AccountBase.sol";
import {IBroadcaster} from "./IBroadcaster.sol";

/// @dev What the deployer's key would put at the inbox's address on any chain but L1.
contract FakeInbox {
    bytes32 public root;

    function set(bytes32 root_) external {
        root = root_;
    }

    function settled() external view returns (IRollupInbox.Settled memory made) {
        made.height = 1_000_000;
        made.stateRoot = root;
    }
}

/// @title Roots on a chain whose bridge leads to another chain than the inbox's
/// @notice The adapters' arguments are the same on all chains, so that roots and accounts have the same addresses. Where the
/// parent is not L1 (an L3 on Base, opBNB over BSC), whatever is at the inbox's address there is believed. With CREATE it was
/// what the key wanted that had deployed the inbox; with CREATE2 nothing can be there.
contract ForeignParentTest is AccountBase {
    address private constant PAYER = address(0xDE9107E8);
    address private constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    bytes private constant PROXY_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";
    uint256 private constant PARENT = 8453;

    bytes32 private rollupId;
    bytes private creation;
    address private inbox;

    function setUp() public override {
        super.setUp();
        vm.etch(PROXY, PROXY_CODE);
        IRollupInbox.Genesis memory genesis;
        genesis.name = "keystore";
        genesis.l1ChainId = block.chainid;
        genesis.builder = PAYER;
        genesis.verifiers = new address[](1);
        genesis.verifiers[0] = PAYER;
        genesis.quorum = 1;
        IRollupInbox.Domain memory domain =
            IRollupInbox.Domain("keystore", "1", block.chainid, address(type(uint160).max));
        rollupId = keccak256(
            abi.encode(
                genesis.name,
                genesis.l1ChainId,
                genesis.genesisTime,
                genesis.stateRoot,
                genesis.metadataRoot,
                genesis.builder,
                keccak256(abi.encode(genesis.verifiers)),
                genesis.quorum,
                genesis.l1Start,
                genesis.salt
            )
        );
        creation = abi.encodePacked(
            vm.parseJsonBytes(
                vm.readFile("../../../microrollup/contracts/artifacts/RollupInbox.json"), ".bytecode"
            ),
            abi.encode(genesis, domain, PAYER, keccak256("stf"))
        );
        inbox = address(
            uint160(uint256(keccak256(abi.encodePacked(hex"ff", PROXY, rollupId, keccak256(creation)))))
        );
    }

    function _create2() private returns (bool made) {
        vm.prank(PAYER);
        (made,) = PROXY.call(abi.encodePacked(rollupId, creation));
    }

    /// @notice On L1 the inbox is there, and its root arrives.
    function test_OnL1() external {
        (IBroadcaster broadcaster, address sender, OpStackBridge bridge) = _bridge();
        vm.roll(10);
        assertTrue(_create2(), "on L1");
        _broadcast(broadcaster, sender, bridge);
        assertEq(bytes32(0), IRollupInbox(inbox).settled().stateRoot, "the genesis of this test");
    }

    /// @notice On another parent nothing is: neither what the deployer's key deploys, nor the inbox itself; and what is not
    /// there says nothing.
    function test_OnAnotherParent() external {
        (IBroadcaster broadcaster, address sender, OpStackBridge bridge) = _bridge();
        vm.chainId(PARENT);
        vm.roll(10);
        for (uint256 i; i < 8; ++i) {
            vm.prank(PAYER);
            assertTrue(inbox != address(new FakeInbox()), "CREATE does not lead there");
        }
        assertFalse(_create2(), "and CREATE2 brings no inbox of another chain");
        assertEq(0, inbox.code.length, "nothing is there");
        vm.expectRevert();
        _broadcast(broadcaster, sender, bridge);
        (bytes32 root, uint64 height,,) = roots.latest();
        assertTrue(root == 0 && height == 0, "nothing is believed");
        vm.expectRevert(IKeystoreRoots.NoInbox.selector);
        KeystoreRoots(address(roots)).readInbox();
    }

    /// @dev Broadcaster and adapter, with the arguments that they have on every chain, and the L2's roots behind them.
    function _bridge() private returns (IBroadcaster broadcaster, address sender, OpStackBridge bridge) {
        bridge = new OpStackBridge();
        broadcaster = IBroadcaster(_deploy(abi.encodePacked(_load("KeystoreBroadcaster"), abi.encode(inbox))));
        sender = _deploy(abi.encodePacked(_load("OpStackSender"), abi.encode(broadcaster)));
        address origin = _deploy(abi.encodePacked(_load("OpStackOrigin"), abi.encode(bridge, sender)));
        bytes memory code = abi.encodePacked(_load("KeystoreRoots"), abi.encode(inbox, origin, address(0)));
        roots = IKeystoreRoots(_deploy(code));
    }

    function _broadcast(IBroadcaster broadcaster, address sender, OpStackBridge bridge) private {
        IBroadcaster.Delivery[] memory deliveries = new IBroadcaster.Delivery[](1);
        deliveries[0] = IBroadcaster.Delivery(sender, address(roots), 0, abi.encode(bridge, uint32(200_000)));
        broadcaster.broadcast(deliveries);
    }
}
