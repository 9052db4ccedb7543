// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ArbitrumExitOrigin} from "keystore/ArbitrumExitOrigin.sol";
import {ArbitrumSettler} from "keystore/ArbitrumSettler.sol";
import {DestinationSettler} from "keystore/DestinationSettler.sol";
import {IArbitrumBridge} from "keystore/IArbitrumExits.sol";
import {Output} from "keystore/IERC7683.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IMessageOrigin} from "keystore/IMessengers.sol";
import {IOrderVerdicts} from "keystore/IOrderVerdicts.sol";
import {KeystoreOrder} from "keystore/OrderLeaves.sol";
import {OrderVerdicts} from "keystore/OrderVerdicts.sol";
import {SettlerBase} from "keystore/SettlerBase.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {CallbackToken, FeeToken} from "./Tokens.sol";
import {OrdersBase} from "./OrdersBase.sol";
import {Trees} from "./Trees.sol";

/// @notice Arbitrum's bridge and outbox in one, and its precompile.
contract ArbitrumExit {
    address public activeOutbox;
    address public l2ToL1Sender;
    address private _from;
    bytes private _message;
    address private _destination;

    function sendTxToL1(address destination, bytes calldata message) external payable returns (uint256) {
        (_from, _destination, _message) = (msg.sender, destination, message);
        return 0;
    }

    function relay(ArbitrumExit from) external {
        (address sender, address destination, bytes memory message) = from.read();
        (activeOutbox, l2ToL1Sender) = (address(this), sender);
        (bool success,) = destination.call(message);
        (activeOutbox, l2ToL1Sender) = (address(0), address(0));
        require(success, "relay");
    }

    function read() external view returns (address, address, bytes memory) {
        return (_from, _destination, _message);
    }
}

/// @notice Orders from the keystore to an L2: filled and told there, believed and ended on L1; each refusal with its attack.
contract OrdersOutTest is OrdersBase {
    using Trees for Trees.Tree;

    address private constant CLAIMANT = address(0xC1A1);
    Output[] private outputs;
    KeystoreOrder private order;
    Account private owner;

    function setUp() public override {
        super.setUp();
        owner = _accountOf(ALICE);
        outputs.push(Output(_word(address(token)), 95, _word(ALICE), block.chainid));
        order = _order(owner.key, outputs);
        _setOrder(ORDER, order);
        _setAccount(owner);
        _fillVault(7);
    }

    function _refuseFill(KeystoreOrder memory wanted, Output[] memory paid, uint256 value, bytes4 selector) private {
        _refuse(selector);
        vm.prank(BOB);
        settler.fill{value: value}(ORDER, abi.encode(wanted, paid), abi.encode(CLAIMANT));
    }

    function _close() private {
        settler.close(ORDER, order, address(verdicts));
        bridge.relay(0);
    }

    function _end(bytes32 root) private {
        vault.endOrder(ORDER, order, root, _include(_place(8, ORDER)));
    }

    // On the L2

    function test_Fill() public {
        _fill(ORDER, order, outputs, CLAIMANT);
        assertEq(95, token.balanceOf(ALICE), "paid");
        assertEq(CLAIMANT, settler.getClaimant(ORDER, _hashOrder(order)), "and known");
        _refuseFill(order, outputs, 0, DestinationSettler.AlreadyFilled.selector);
    }

    /// @notice Several outputs, ether among them; the filler pays himself.
    function test_FillSeveral() public {
        outputs.push(Output(0, 2 ether, _word(CLAIMANT), block.chainid));
        outputs.push(Output(_word(address(token)), 5, _word(BOB), block.chainid));
        order = _order(owner.key, outputs);
        _refuseFill(order, outputs, 1 ether, SettlerBase.WrongValue.selector);
        vm.prank(BOB);
        settler.fill{value: 2 ether}(ORDER, abi.encode(order, outputs), abi.encode(CLAIMANT));
        assertEq(2 ether, CLAIMANT.balance, "ether");
        assertEq(905, token.balanceOf(BOB), "95 are gone");
    }

    function test_RefuseOtherFills() public {
        Output[] memory less = _outputs(94);
        _refuseFill(order, less, 0, DestinationSettler.WrongOutputs.selector);
        _refuseFill(_order(owner.key, new Output[](0)), new Output[](0), 0, DestinationSettler.WrongOutputs.selector);
        Output[] memory many = new Output[](17);
        _refuseFill(_order(owner.key, many), many, 0, DestinationSettler.WrongOutputs.selector);
        KeystoreOrder memory other = order;
        other.chainId += 1;
        _refuseFill(other, outputs, 0, SettlerBase.WrongChain.selector);
        Output[] memory elsewhere = _outputs(95);
        elsewhere[0].chainId += 1;
        _refuseFill(_order(owner.key, elsewhere), elsewhere, 0, SettlerBase.WrongChain.selector);
        elsewhere = _outputs(95);
        elsewhere[0].recipient |= bytes32(uint256(1) << 160);
        _refuseFill(_order(owner.key, elsewhere), elsewhere, 0, DestinationSettler.WrongOutputs.selector);
        elsewhere = _outputs(95);
        elsewhere[0].recipient = 0;
        _refuseFill(_order(owner.key, elsewhere), elsewhere, 0, SettlerBase.ZeroAddress.selector);
        _refuse(SettlerBase.ZeroAddress.selector);
        settler.fill(ORDER, abi.encode(order, outputs), abi.encode(address(0)));
        vm.warp(order.fillDeadline + 1);
        _refuseFill(order, outputs, 0, SettlerBase.BadDeadline.selector);
        vm.warp(order.fillDeadline);
        _fill(ORDER, order, outputs, CLAIMANT);
    }

    function test_RefuseTokensThatTakeAFee() public {
        FeeToken fee = new FeeToken();
        _provide(address(fee), BOB, 1_000);
        Output[] memory paid = _outputs(100);
        paid[0].token = _word(address(fee));
        _refuseFill(_order(owner.key, paid), paid, 0, SettlerBase.LessArrived.selector);
    }

    function test_Reentrancy() public {
        CallbackToken callback = new CallbackToken();
        _provide(address(callback), BOB, 1_000);
        Output[] memory paid = _outputs(100);
        paid[0].token = _word(address(callback));
        callback.callBack(address(settler), abi.encodeCall(settler.close, (ORDER, order, address(verdicts))));
        _refuseFill(_order(owner.key, paid), paid, 0, SettlerBase.Reentered.selector);
        callback.callBack(
            address(settler), abi.encodeCall(settler.fill, (ORDER, abi.encode(order, outputs), abi.encode(CLAIMANT)))
        );
        _refuseFill(_order(owner.key, paid), paid, 0, SettlerBase.Reentered.selector);
    }

    /// @notice A fill of an invention, for the order's id, is known by another hash: the right one still finds its place free.
    function test_OccupiedByAWrongFill() public {
        Output[] memory little = _outputs(1);
        KeystoreOrder memory invented = _order(owner.key, little);
        _fill(ORDER, invented, little, STRANGER);
        settler.close(ORDER, invented, address(verdicts));
        bridge.relay(0);
        bytes32 root = _settle();
        bytes memory proof = _include(_place(8, ORDER));
        _refuse(IKeystoreVault.WrongProof.selector);
        vault.endOrder(ORDER, invented, root, proof);
        _refuse(IKeystoreVault.NoVerdict.selector);
        vault.endOrder(ORDER, order, root, proof);
        _fill(ORDER, order, outputs, CLAIMANT);
    }

    /// @notice An earlier deadline of somebody's invention says nothing about the order.
    function test_ClosedByAnInventedDeadline() public {
        KeystoreOrder memory invented = order;
        invented.fillDeadline = uint64(block.timestamp - 1);
        settler.close(ORDER, invented, address(verdicts));
        bridge.relay(0);
        bytes32 root = _settle();
        bytes memory proof = _include(_place(8, ORDER));
        _refuse(IKeystoreVault.NoVerdict.selector);
        vault.endOrder(ORDER, order, root, proof);
    }

    function test_Close() public {
        _refuse(DestinationSettler.StillOpen.selector);
        settler.close(ORDER, order, address(verdicts));
        _fill(ORDER, order, outputs, CLAIMANT);
        settler.close(ORDER, order, address(verdicts));
        _refuse(DestinationSettler.AlreadyClosed.selector);
        settler.close(ORDER, order, address(verdicts));
        KeystoreOrder memory other = order;
        other.chainId += 1;
        _refuse(SettlerBase.WrongChain.selector);
        settler.close(ORDER, other, address(verdicts));
        settler.close(ORDER, order, STRANGER);
    }

    // On L1

    function test_EndFilled() public {
        _fill(ORDER, order, outputs, CLAIMANT);
        bytes32 root = _settle();
        _close();
        uint256 entry = inbox.queueLength();
        bytes32 type_ = keccak256("EndOrder(bytes32 orderId,bool filled,address claimant,uint64 nonce)");
        bytes memory payload = abi.encodePacked(hex"00", abi.encode(type_, ORDER, true, CLAIMANT));
        vm.expectCall(address(inbox), abi.encodeCall(inbox.force, (payload)));
        _end(root);
        assertEq(entry + 1, inbox.queueLength(), "the rollup will hear");
    }

    function test_EndUnfilled() public {
        bytes32 root = _settle();
        vm.warp(order.fillDeadline + 1);
        _close();
        bytes32 type_ = keccak256("EndOrder(bytes32 orderId,bool filled,address claimant,uint64 nonce)");
        bytes memory payload = abi.encodePacked(hex"00", abi.encode(type_, ORDER, false, address(0)));
        vm.expectCall(address(inbox), abi.encodeCall(inbox.force, (payload)));
        _end(root);
    }

    /// @notice Nobody's word but the settler's, over its chain's bridge; the first one stays.
    function test_RefuseOthersVerdicts() public {
        bytes32 hash = _hashOrder(order);
        uint64 here = uint64(block.chainid);
        _refuse(IOrderVerdicts.UnknownMessenger.selector);
        verdicts.receiveVerdict(here, ORDER, hash, STRANGER);
        vm.prank(address(settler));
        _refuse(IOrderVerdicts.UnknownMessenger.selector);
        verdicts.receiveVerdict(here, ORDER, hash, STRANGER);
        bytes memory call_ = abi.encodeCall(verdicts.receiveVerdict, (here, ORDER, hash, STRANGER));
        vm.prank(STRANGER);
        bridge.sendMessage(address(verdicts), call_, 0);
        _refuse(IOrderVerdicts.UnknownMessenger.selector);
        bridge.relay(0);
        // Of another chain than the settler's.
        call_ = abi.encodeCall(verdicts.receiveVerdict, (here + 1, ORDER, hash, STRANGER));
        vm.prank(address(settler));
        bridge.sendMessage(address(verdicts), call_, 0);
        _refuse(IOrderVerdicts.UnknownMessenger.selector);
        bridge.relay(1);
        _fill(ORDER, order, outputs, CLAIMANT);
        settler.close(ORDER, order, address(verdicts));
        bridge.relay(2);
        call_ = abi.encodeCall(verdicts.receiveVerdict, (here, ORDER, hash, address(0)));
        vm.prank(address(settler));
        bridge.sendMessage(address(verdicts), call_, 0);
        bridge.relay(3);
        (bool isKnown, address claimant) = verdicts.getVerdict(here, ORDER, hash);
        assertTrue(isKnown && claimant == CLAIMANT, "the first word stays");
    }

    function test_OneSettlerAChain() public {
        OrderVerdicts.Source[] memory sources = new OrderVerdicts.Source[](2);
        sources[0] = OrderVerdicts.Source(10, IMessageOrigin(STRANGER));
        sources[1] = OrderVerdicts.Source(10, IMessageOrigin(BOB));
        _refuse(IOrderVerdicts.ChainTwice.selector);
        new OrderVerdicts(sources);
    }

    function test_RefuseOtherOrders() public {
        _fill(ORDER, order, outputs, CLAIMANT);
        bytes32 root = _settle();
        _close();
        bytes memory proof = _include(_place(8, ORDER));
        _refuse(IKeystoreVault.WrongProof.selector);
        vault.endOrder(keccak256("another"), order, root, proof);
        _refuse(IKeystoreVault.UnknownRoot.selector);
        vault.endOrder(ORDER, order, keccak256("a root"), proof);
        KeystoreOrder memory more = abi.decode(abi.encode(order), (KeystoreOrder));
        more.amount += 1;
        _refuse(IKeystoreVault.WrongProof.selector);
        vault.endOrder(ORDER, more, root, proof);
        _end(root);
    }

    // Without an operator

    function _escapeOrder(address to, bytes memory authorization) private {
        bytes memory proof = _include(_place(8, ORDER));
        vault.escapeOrder(ORDER, order, proof, to, _opening(owner), authorization);
    }

    function test_RefuseBeforeTheFreeze() public {
        _settle();
        IKeystoreVault.Opening memory opening = _opening(owner);
        bytes memory proof = _include(_place(8, ORDER));
        vm.prank(ALICE);
        _refuse(IKeystoreVault.NotFrozen.selector);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
    }

    function _freeze() private {
        _settle();
        _silence(SILENCE);
        vault.freeze();
    }

    /// @notice A filler whose message comes late is paid, whatever the owner wants.
    function test_EscapeOfAFilledOrder() public {
        _fill(ORDER, order, outputs, CLAIMANT);
        _freeze();
        IKeystoreVault.Opening memory opening = _opening(owner);
        bytes memory proof = _include(_place(8, ORDER));
        vm.prank(ALICE);
        _refuse(IKeystoreVault.OrderPending.selector);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
        _close();
        bytes32 root = vault.frozenRoot();
        _refuse(IKeystoreVault.VaultFrozen.selector);
        vault.endOrder(ORDER, order, root, proof);
        vm.prank(ALICE);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
        assertEq(7, CLAIMANT.balance, "the filler has it");
        _refuse(IKeystoreVault.AlreadyPaid.selector);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
    }

    /// @notice Nobody filled: the owner has it back by his own word, at once where the settler says so, else two weeks later.
    function test_EscapeOfAnUnfilledOrder() public {
        _freeze();
        vm.warp(order.fillDeadline + 14 days);
        IKeystoreVault.Opening memory opening = _opening(owner);
        bytes memory proof = _include(_place(8, ORDER));
        vm.prank(ALICE);
        _refuse(IKeystoreVault.OrderPending.selector);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
        uint256 snapshot = avm.snapshotState();
        vm.warp(order.fillDeadline + 14 days + 1);
        _refuse(IKeystoreVault.NotAuthorized.selector);
        vault.escapeOrder(ORDER, order, proof, STRANGER, opening, CALLER);
        uint256 before = BOB.balance;
        vm.prank(ALICE);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
        assertEq(before + 7, BOB.balance, "back");
        avm.revertToState(snapshot);
        _close();
        vm.prank(ALICE);
        vault.escapeOrder(ORDER, order, proof, BOB, opening, CALLER);
        assertEq(before + 7, BOB.balance, "at once");
    }

    /// @notice Ended in the queue, escaped after the freeze, and executed by an operator who comes back: paid once.
    function test_EndedAndEscaped() public {
        _fill(ORDER, order, outputs, CLAIMANT);
        bytes32 root = _settle();
        _close();
        _end(root);
        _pass(SILENCE);
        vault.freeze();
        _escapeOrder(BOB, "");
        tree.set(_place(8, ORDER), keccak256("ended"));
        _setWithdrawal(ORDER, ETHER, CLAIMANT, 7);
        _settle(inbox.queueLength());
        _refuse(IKeystoreVault.VaultFrozen.selector);
        vault.checkpoint();
        bytes memory proof = _include(_withdrawalPlace(ETHER, ORDER));
        root = tree.getRoot();
        _refuse(IKeystoreVault.UnknownRoot.selector);
        vault.claim(root, ORDER, ETHER, CLAIMANT, 7, proof);
        assertEq(7, CLAIMANT.balance, "once");
    }

    function test_AVaultWithoutSettlers() public {
        bytes memory arguments = abi.encode(MAKER, keccak256(_inboxCode()), escapeVerifier, address(0));
        vault = IKeystoreVault(_deploy(abi.encodePacked(_load("KeystoreVault"), arguments), keccak256("without")));
        inbox = IRollupInbox(_deploy(_inboxInit(_genesis()), _computeRollupId(_genesis())));
        rollupId = inbox.rollupId();
        _bind();
        bytes32 root = _settle();
        bytes memory proof = _include(_place(8, ORDER));
        _refuse(IKeystoreVault.NoVerdict.selector);
        vault.endOrder(ORDER, order, root, proof);
    }

    // Arbitrum

    function test_Arbitrum() public {
        vm.etch(address(100), type(ArbitrumExit).runtimeCode);
        ArbitrumExit here = new ArbitrumExit();
        ArbitrumSettler there = ArbitrumSettler(_deploy(_load("ArbitrumSettler")));
        address origin = _deploy(abi.encodePacked(_load("ArbitrumExitOrigin"), abi.encode(here, there)));
        OrderVerdicts.Source[] memory sources = new OrderVerdicts.Source[](1);
        sources[0] = OrderVerdicts.Source(uint64(block.chainid), IMessageOrigin(origin));
        OrderVerdicts told = new OrderVerdicts(sources);
        vm.warp(order.fillDeadline + 1);
        there.close(ORDER, order, address(told));
        here.relay(ArbitrumExit(address(100)));
        (bool isKnown, address claimant) = told.getVerdict(uint64(block.chainid), ORDER, _hashOrder(order));
        assertTrue(isKnown && claimant == address(0), "not filled");
        vm.prank(STRANGER);
        ArbitrumExit(address(100))
            .sendTxToL1(
                address(told),
                abi.encodeCall(told.receiveVerdict, (uint64(block.chainid), ORDER, bytes32(0), STRANGER))
            );
        vm.expectRevert(bytes("relay"));
        here.relay(ArbitrumExit(address(100)));
        assertTrue(!ArbitrumExitOrigin(origin).isBroadcaster(address(here)), "nothing is executed now");
        assertTrue(!ArbitrumExitOrigin(origin).isBroadcaster(STRANGER), "nor by anybody else");
        assertEq(address(here), address(IArbitrumBridge(ArbitrumExitOrigin(origin).bridge())), "its bridge");
    }
}
