// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IMessageOrigin} from "keystore/IMessengers.sol";
import {GaslessCrossChainOrder, OnchainCrossChainOrder, Output} from "keystore/IERC7683.sol";
import {KeystoreOrder} from "keystore/OrderLeaves.sol";
import {KeystoreRoots} from "keystore/KeystoreRoots.sol";
import {OpStackSettler} from "keystore/OpStackSettler.sol";
import {OrderVerdicts} from "keystore/OrderVerdicts.sol";
import {OriginSettler} from "keystore/OriginSettler.sol";
import {OpStackBridge} from "keystore-test/Bridges.sol";
import {PlainToken} from "./Tokens.sol";
import {EscapeBase} from "./EscapeBase.sol";
import {Trees} from "./Trees.sol";

/// @notice A chain's view of L1; the tests show roots themselves.
contract ShownRoots {
    address public inbox;
    address public l1Block;
    mapping(bytes32 root => uint64) public shownAt;
    mapping(uint64 number => bytes32) public getBlockHash;

    constructor(address inbox_) {
        (inbox, l1Block) = (inbox_, address(this));
    }

    function show(bytes32 root) external {
        shownAt[root] = uint64(block.timestamp);
    }

    function know(uint64 number, bytes32 blockHash) external {
        getBlockHash[number] = blockHash;
    }

    function hideL1() external {
        l1Block = address(0);
    }
}

/// @notice A settler and the vault on one chain, with a bridge between that the tests work by hand.
abstract contract OrdersBase is EscapeBase {
    using Trees for Trees.Tree;

    uint256 internal constant USER_KEY = 0x05E8;
    bytes32 internal constant ORDER = keccak256("an order out of the keystore");
    address internal user = vm.addr(USER_KEY);
    OpStackBridge internal bridge;
    OpStackSettler internal settler;
    OrderVerdicts internal verdicts;
    ShownRoots internal roots;
    PlainToken internal token;

    function setUp() public virtual override {
        super.setUp();
        roots = new ShownRoots(address(inbox));
        token = new PlainToken();
        vm.deal(user, 100 ether);
        _provide(address(token), user, 1_000);
        _provide(address(token), BOB, 1_000);
    }

    /// @dev Before the vault, since the vault names it; and the settler before that.
    function _deployVerdicts() internal override returns (address) {
        bridge = new OpStackBridge();
        settler = OpStackSettler(_deploy(abi.encodePacked(_load("OpStackSettler"), abi.encode(bridge))));
        OrderVerdicts.Source[] memory sources = new OrderVerdicts.Source[](1);
        address origin = _deploy(abi.encodePacked(_load("OpStackOrigin"), abi.encode(bridge, settler)));
        sources[0] = OrderVerdicts.Source(uint64(block.chainid), IMessageOrigin(origin));
        verdicts = OrderVerdicts(_deploy(abi.encodePacked(_load("OrderVerdicts"), abi.encode(sources))));
        return address(verdicts);
    }

    /// @notice Somebody has so much more, and lets the settler take it.
    function _provide(address token_, address holder, uint256 amount) internal {
        PlainToken(token_).mint(holder, amount);
        vm.prank(holder);
        PlainToken(token_).approve(address(settler), type(uint256).max);
    }

    // Into the keystore

    function _deadline() internal view returns (uint32) {
        return uint32(block.timestamp + 1 hours);
    }

    function _data(address input, uint256 amount) internal view returns (OriginSettler.KeystoreOrderData memory) {
        return OriginSettler.KeystoreOrderData(
            KeystoreRoots(address(roots)), rollupId, input, amount, keccak256("to"), address(token), 95
        );
    }

    function _onchain(OriginSettler.KeystoreOrderData memory data)
        internal
        view
        returns (OnchainCrossChainOrder memory)
    {
        return OnchainCrossChainOrder(_deadline(), settler.ORDER_DATA_TYPE(), abi.encode(data));
    }

    function _gasless(OriginSettler.KeystoreOrderData memory data, uint256 nonce)
        internal
        view
        returns (GaslessCrossChainOrder memory)
    {
        return GaslessCrossChainOrder(
            address(settler),
            user,
            nonce,
            block.chainid,
            uint32(block.timestamp + 60),
            _deadline(),
            settler.ORDER_DATA_TYPE(),
            abi.encode(data)
        );
    }

    /// @notice The id of the user's first order of its kind, and what is held for it; by the documents.
    function _held(address input, uint256 amount, uint256 nonce)
        internal
        view
        returns (bytes32 orderId, OriginSettler.Held memory held)
    {
        orderId = keccak256(abi.encode(block.chainid, settler, user, nonce));
        bytes32 fillId = keccak256(
            abi.encode(orderId, settler, block.chainid, keccak256("to"), token, uint256(95), _deadline())
        );
        held = OriginSettler.Held(
            user, input, amount, KeystoreRoots(address(roots)), fillId, uint64(_deadline())
        );
    }

    function _open(address input, uint256 amount)
        internal
        returns (bytes32 orderId, OriginSettler.Held memory held)
    {
        (orderId, held) = _held(input, amount, 1 << 255);
        OnchainCrossChainOrder memory order = _onchain(_data(input, amount));
        vm.prank(user);
        settler.open{value: input == ETHER ? amount : 0}(order);
    }

    /// @notice The rollup has executed a fill, and the chain was shown its root.
    function _setFill(bytes32 fillId, address claimant, uint64 time) internal returns (bytes32 root) {
        tree.set(_place(9, fillId), keccak256(abi.encode(claimant, time)));
        root = _settle();
        roots.show(root);
    }

    // Out of the keystore

    function _outputs(uint256 amount) internal view returns (Output[] memory outputs) {
        outputs = new Output[](1);
        outputs[0] = Output(_word(address(token)), amount, _word(ALICE), block.chainid);
    }

    function _word(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    function _order(bytes32 key, Output[] memory outputs) internal view returns (KeystoreOrder memory) {
        return KeystoreOrder(
            key, ETHER, 7, uint64(block.chainid), keccak256(abi.encode(outputs)), uint64(_deadline())
        );
    }

    function _hashOrder(KeystoreOrder memory order) internal pure returns (bytes32) {
        return keccak256(
            abi.encode(
                order.key,
                order.token,
                order.amount,
                order.chainId,
                order.outputHash,
                order.fillDeadline,
                uint8(1)
            )
        );
    }

    function _setOrder(bytes32 id, KeystoreOrder memory order) internal {
        tree.set(_place(8, id), _hashOrder(order));
    }

    function _fill(bytes32 id, KeystoreOrder memory order, Output[] memory outputs, address claimant) internal {
        vm.prank(BOB);
        settler.fill(id, abi.encode(order, outputs), abi.encode(claimant));
    }
}
