// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreRoots} from "keystore/IKeystoreRoots.sol";
import {IMessageOrigin, IMessageSender} from "keystore/IMessengers.sol";
import {IRootReceiver} from "keystore/IRootReceiver.sol";
import {KeystoreBroadcaster} from "keystore/KeystoreBroadcaster.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {MessageSender} from "keystore/MessageSender.sol";
import {OpStackSender} from "keystore/OpStackSender.sol";
import {IRollupInbox} from "microrollup/contracts/IRollupInbox.sol";

import {Base} from "./Base.sol";
import {ArbitrumBridge, OpStackBridge} from "./Bridges.sol";

/// @title From the inbox through the bridges into the mirrors, and what strangers can do on the way
contract BroadcasterTest is Base {
    uint256 internal constant FEE = 1_000 + 300_000 * 2;
    bytes32 internal constant ROOT = keccak256("root");
    /// @dev What Arbitrum adds to a contract's address.
    uint160 internal constant ALIAS = uint160(0x1111000000000000000000000000000000001111);
    address internal constant REFUND_TO = address(0xfee);

    OpStackBridge internal opBridge = new OpStackBridge();
    ArbitrumBridge internal arbitrumBridge = new ArbitrumBridge();
    IRollupInbox internal inbox;
    KeystoreBroadcaster internal broadcaster;
    IMessageSender internal opSender;
    IMessageSender internal arbitrumSender;
    KeystoreRoots internal opRoots;
    KeystoreRoots internal arbitrumRoots;

    function setUp() external {
        vm.warp(1_700_000_000);
        vm.roll(1_000);
        address[] memory verifiers = new address[](1);
        verifiers[0] = address(0x1234);
        bytes memory arguments = abi.encode(
            IRollupInbox.Genesis("keystore", block.chainid, 1, ROOT, 0, address(this), verifiers, 1, 1, 0),
            IRollupInbox.Domain("keystore", "1", block.chainid, address(0)),
            address(0),
            keccak256("stf")
        );
        bytes memory inboxCode = _read("../../../microrollup/contracts/artifacts/RollupInbox.json");
        inbox = IRollupInbox(_create(bytes.concat(inboxCode, arguments)));
        broadcaster = KeystoreBroadcaster(_create("KeystoreBroadcaster", abi.encode(inbox)));
        opSender = IMessageSender(_create("OpStackSender", abi.encode(broadcaster)));
        arbitrumSender = IMessageSender(_create("ArbitrumSender", abi.encode(broadcaster)));
        opRoots = _createRoots(address(inbox), _create("OpStackOrigin", abi.encode(opBridge, opSender)));
        arbitrumRoots = _createRoots(address(inbox), _create("ArbitrumOrigin", abi.encode(arbitrumSender)));
    }

    function _createRoots(address inbox_, address origin) private returns (KeystoreRoots) {
        return KeystoreRoots(_create("KeystoreRoots", abi.encode(inbox_, origin, address(0))));
    }

    function toOpStack() internal view returns (KeystoreBroadcaster.Delivery memory) {
        return through(opBridge, opRoots);
    }

    function through(OpStackBridge bridge, KeystoreRoots roots)
        internal
        view
        returns (KeystoreBroadcaster.Delivery memory)
    {
        return KeystoreBroadcaster.Delivery(opSender, address(roots), 0, abi.encode(bridge, uint32(200_000)));
    }

    function toArbitrum() internal view returns (KeystoreBroadcaster.Delivery memory) {
        bytes memory parameters =
            abi.encode(arbitrumBridge, uint256(1_000), uint256(300_000), uint256(2), REFUND_TO);
        return KeystoreBroadcaster.Delivery(arbitrumSender, address(arbitrumRoots), FEE, parameters);
    }

    function toBoth() internal view returns (KeystoreBroadcaster.Delivery[] memory deliveries) {
        deliveries = new KeystoreBroadcaster.Delivery[](2);
        (deliveries[0], deliveries[1]) = (toOpStack(), toArbitrum());
    }

    function only(KeystoreBroadcaster.Delivery memory one)
        internal
        pure
        returns (KeystoreBroadcaster.Delivery[] memory deliveries)
    {
        deliveries = new KeystoreBroadcaster.Delivery[](1);
        deliveries[0] = one;
    }

    function redeem(address caller) internal returns (bool success, bytes memory answer) {
        (, address to,,,,,,, bytes memory data) = arbitrumBridge.ticket();
        vm.prank(caller);
        return to.call(data);
    }

    function aliased(address sender) internal pure returns (address) {
        unchecked {
            return address(uint160(sender) + ALIAS);
        }
    }

    function assertHolds(KeystoreRoots roots, bytes32 root, uint256 height, uint256 l1Time) internal view {
        (bytes32 foundRoot, uint64 foundHeight, uint64 foundTime,) = roots.latest();
        assertEq(root, foundRoot, "root");
        assertEq(height, foundHeight, "height");
        assertEq(l1Time, foundTime, "L1 time");
    }

    /// @dev Anybody may: here an account without any role.
    function test_one_transaction_reaches_two_chains() external {
        address anybody = address(0xa11);
        vm.deal(anybody, FEE);
        vm.prank(anybody);
        (bytes32 root, uint64 height, uint64 l1Time) = broadcaster.broadcast{value: FEE}(toBoth());
        assertEq(ROOT, root, "root");
        assertEq(0, height, "height");
        assertEq(block.timestamp, l1Time, "L1 time");
        assertEq(0, address(broadcaster).balance + address(arbitrumSender).balance, "what stays");
        (address sender, address to, uint256 value,, address refundTo, address cancelBy,,,) = arbitrumBridge.ticket();
        assertEq(address(arbitrumSender), sender, "sender");
        assertEq(address(arbitrumRoots), to, "to");
        assertEq(FEE, value, "value");
        assertTrue(refundTo == REFUND_TO && cancelBy == REFUND_TO, "whose rest");
        (,,, uint32 minGasLimit) = opBridge.messages(0);
        assertEq(200_000, minGasLimit, "gas limit");

        opBridge.relay(0);
        assertHolds(opRoots, ROOT, 0, block.timestamp);
        (bool success,) = redeem(aliased(address(arbitrumSender)));
        assertTrue(success, "redeemed");
        assertHolds(arbitrumRoots, ROOT, 0, block.timestamp);
    }

    /// @dev The storage words are the ones that `RollupInbox` documents.
    function test_a_later_root_and_an_idle_one() external {
        broadcaster.broadcast(only(toOpStack()));
        vm.store(address(inbox), bytes32(uint256(0)), keccak256("next"));
        uint256 settledAt = block.timestamp - 5;
        vm.store(address(inbox), bytes32(uint256(1)), bytes32(settledAt << 216 | 8));
        vm.warp(block.timestamp + 12);
        broadcaster.broadcast(only(toOpStack()));
        vm.warp(block.timestamp + 86_400);
        broadcaster.broadcast(only(toOpStack()));
        opBridge.relay(0);
        opBridge.relay(1);
        assertHolds(opRoots, keccak256("next"), 8, block.timestamp - 86_400);
        opBridge.relay(2);
        assertHolds(opRoots, keccak256("next"), 8, block.timestamp);
        (,,, uint64 foundSettledAt) = opRoots.latest();
        assertEq(settledAt, foundSettledAt, "settled at");
        vm.expectRevert(
            abi.encodeWithSelector(
                IKeystoreRoots.StaleRoot.selector,
                uint64(8),
                uint64(block.timestamp),
                uint64(0),
                uint64(block.timestamp - 86_412)
            )
        );
        opBridge.relay(0);
    }

    /// @dev On L1 itself the roots have the inbox for their source: no bridge and no proof, and anybody may.
    function test_roots_on_l1_read_the_inbox() external {
        vm.prank(address(0xa11));
        opRoots.readInbox();
        assertHolds(opRoots, ROOT, 0, block.timestamp);
        uint256 settledAt = block.timestamp + 7;
        vm.store(address(inbox), bytes32(uint256(0)), keccak256("next"));
        vm.store(address(inbox), bytes32(uint256(1)), bytes32(settledAt << 216 | 8));
        vm.warp(block.timestamp + 12);
        opRoots.readInbox();
        assertHolds(opRoots, keccak256("next"), 8, block.timestamp);
        (,,, uint64 foundSettledAt) = opRoots.latest();
        assertEq(settledAt, foundSettledAt, "settled at");
        assertEq(block.timestamp, opRoots.replacedAt(ROOT), "the first one's time is over");
        vm.warp(block.timestamp + 1 days);
        opRoots.readInbox();
        assertHolds(opRoots, keccak256("next"), 8, block.timestamp);
    }

    /// @dev Where the inbox is not, nothing is read: neither at an account without code nor where no inbox was named.
    function test_without_the_inbox_nothing_is_read() external {
        address[2] memory none = [address(0x1B0), address(0)];
        for (uint256 i; i < 2; ++i) {
            KeystoreRoots roots = _createRoots(none[i], address(0));
            vm.expectRevert(IKeystoreRoots.NoInbox.selector);
            roots.readInbox();
        }
    }

    function test_a_message_of_another_sender_on_l1_is_refused() external {
        bytes memory message = abi.encodeCall(IRootReceiver.receiveRoot, (keccak256("forged"), 9, 1, 1));
        opBridge.sendMessage(address(opRoots), message, 200_000);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(opBridge)));
        opBridge.relay(0);
        assertHolds(opRoots, 0, 0, 0);
    }

    function test_a_call_outside_of_a_relay_is_refused() external {
        vm.prank(address(opBridge));
        vm.expectRevert(OpStackBridge.NoRelay.selector);
        opRoots.receiveRoot(keccak256("forged"), 9, 1, 1);
        vm.prank(address(opSender));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(opSender)));
        opRoots.receiveRoot(keccak256("forged"), 9, 1, 1);
    }

    function testFuzz_only_the_alias_is_believed(address caller) external {
        broadcaster.broadcast{value: FEE}(only(toArbitrum()));
        if (caller == aliased(address(arbitrumSender))) return;
        (bool success, bytes memory answer) = redeem(caller);
        assertFalse(success, "redeemed");
        assertEq(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, caller), answer, "error");
        (success,) = redeem(address(arbitrumSender));
        assertFalse(success, "without the alias");
    }

    /// @dev The alias wraps around at 2^160, as Arbitrum's does.
    function test_the_alias_wraps_around() external {
        address high = address(type(uint160).max);
        IMessageOrigin origin = IMessageOrigin(_create("ArbitrumOrigin", abi.encode(high)));
        assertTrue(origin.isBroadcaster(address(uint160(0x1111000000000000000000000000000000001110))), "wrapped");
        assertFalse(origin.isBroadcaster(high), "itself");
    }

    /// @dev On the L2 the adapter's address stands for the truth of what it sends.
    function test_senders_take_messages_of_the_broadcaster_only() external {
        bytes memory message = abi.encodeCall(IRootReceiver.receiveRoot, (keccak256("forged"), 9, 1, 1));
        IMessageSender[2] memory senders = [opSender, arbitrumSender];
        for (uint256 i; i < 2; ++i) {
            vm.expectRevert(abi.encodeWithSelector(MessageSender.NotBroadcaster.selector, address(this)));
            senders[i].send(address(opRoots), message, abi.encode(opBridge, uint32(200_000)));
        }
    }

    /// @dev Each chain has its own bridge on L1, while the origins on all of them name one sender: else the origins, and with
    /// them roots and accounts, had another address on each.
    function test_one_sender_of_a_kind_serves_all_its_chains() external {
        OpStackBridge otherBridge = new OpStackBridge();
        KeystoreRoots otherRoots = _createRoots(address(inbox), _create("OpStackOrigin", abi.encode(otherBridge, opSender)));
        KeystoreBroadcaster.Delivery[] memory deliveries = new KeystoreBroadcaster.Delivery[](2);
        (deliveries[0], deliveries[1]) = (toOpStack(), through(otherBridge, otherRoots));
        broadcaster.broadcast(deliveries);
        opBridge.relay(0);
        assertHolds(opRoots, ROOT, 0, block.timestamp);
        assertHolds(otherRoots, 0, 0, 0);
        otherBridge.relay(0);
        assertHolds(otherRoots, ROOT, 0, block.timestamp);

        ArbitrumBridge otherInbox = new ArbitrumBridge();
        deliveries = only(toArbitrum());
        deliveries[0].parameters = abi.encode(otherInbox, uint256(1_000), uint256(300_000), uint256(2), REFUND_TO);
        broadcaster.broadcast{value: FEE}(deliveries);
        (address sender, address to,,,,,,,) = otherInbox.ticket();
        assertEq(address(arbitrumSender), sender, "the sender whose alias is believed");
        assertEq(address(arbitrumRoots), to, "to");
    }

    /// @dev A bridge of the caller's invention is told the truth, and says nothing on a chain with a bridge of its own: what
    /// it would do in the sender's name it does in its own.
    function test_a_bridge_of_the_callers_invention_reaches_nobody() external {
        LyingBridge liar = new LyingBridge(opBridge);
        broadcaster.broadcast(only(through(OpStackBridge(address(liar)), opRoots)));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(opBridge)));
        opBridge.relay(0);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreRoots.UnknownMessenger.selector, address(liar)));
        liar.forge(opRoots);
        assertHolds(opRoots, 0, 0, 0);
    }

    /// @dev Where no bridge is, nothing is sent, rather than lost.
    function test_a_bridge_that_is_not_there_is_refused() external {
        vm.expectRevert();
        broadcaster.broadcast(only(through(OpStackBridge(address(0xb)), opRoots)));
    }

    /// @dev A broadcaster of somebody's own, over an inbox of his own, is not the one that the adapters know.
    function test_a_foreign_broadcaster_reaches_nobody() external {
        KeystoreBroadcaster foreign = KeystoreBroadcaster(_create("KeystoreBroadcaster", abi.encode(inbox)));
        vm.expectRevert(abi.encodeWithSelector(MessageSender.NotBroadcaster.selector, address(foreign)));
        foreign.broadcast(only(toOpStack()));
    }

    function test_the_value_is_what_the_deliveries_are_paid() external {
        uint256[3] memory values = [FEE - 1, FEE + 1, 0];
        for (uint256 i; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(KeystoreBroadcaster.WrongValue.selector, FEE, values[i]));
            broadcaster.broadcast{value: values[i]}(toBoth());
        }
        KeystoreBroadcaster.Delivery[] memory deliveries = only(toOpStack());
        deliveries[0].value = 1;
        vm.expectRevert(abi.encodeWithSelector(OpStackSender.ValueNotTaken.selector, 1));
        broadcaster.broadcast{value: 1}(deliveries);
        deliveries = only(toArbitrum());
        deliveries[0].value = FEE - 1;
        vm.expectRevert(abi.encodeWithSelector(ArbitrumBridge.InsufficientValue.selector, FEE, FEE - 1));
        broadcaster.broadcast{value: FEE - 1}(deliveries);
    }

    /// @dev A sender of the caller's invention enters again; all that it can send is the truth, for its own money.
    function test_entering_again_gains_nothing() external {
        Reentrant reentrant = new Reentrant(broadcaster);
        KeystoreBroadcaster.Delivery[] memory deliveries = toBoth();
        reentrant.prepare(only(toOpStack()));
        deliveries[0] = KeystoreBroadcaster.Delivery(reentrant, address(this), 5, "");
        broadcaster.broadcast{value: FEE + 5}(deliveries);
        opBridge.relay(0);
        assertHolds(opRoots, ROOT, 0, block.timestamp);
        assertEq(5, address(reentrant).balance, "its own delivery's value");
        assertEq(0, address(broadcaster).balance, "what stays");
    }
}

/// @title A bridge of the caller's invention: it passes on another message than it was given, and forges one itself
contract LyingBridge {
    OpStackBridge private immutable _bridge;

    constructor(OpStackBridge bridge) {
        _bridge = bridge;
    }

    function sendMessage(address target, bytes calldata, uint32 minGasLimit) external payable {
        bytes memory message = abi.encodeCall(IRootReceiver.receiveRoot, (keccak256("forged"), 9, 1, 1));
        _bridge.sendMessage(target, message, minGasLimit);
    }

    function forge(IRootReceiver target) external {
        target.receiveRoot(keccak256("forged"), 9, 1, 1);
    }

    function xDomainMessageSender() external view returns (address) {
        return address(_bridge);
    }
}

/// @title A sender that enters the broadcaster again
contract Reentrant is IMessageSender {
    KeystoreBroadcaster private immutable _broadcaster;
    KeystoreBroadcaster.Delivery private _delivery;

    constructor(KeystoreBroadcaster broadcaster) {
        _broadcaster = broadcaster;
    }

    function prepare(KeystoreBroadcaster.Delivery[] memory deliveries) external {
        _delivery = deliveries[0];
    }

    function send(address, bytes calldata, bytes calldata) external payable {
        KeystoreBroadcaster.Delivery[] memory deliveries = new KeystoreBroadcaster.Delivery[](1);
        deliveries[0] = _delivery;
        _broadcaster.broadcast(deliveries);
    }
}
