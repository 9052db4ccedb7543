// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {
    FillInstruction,
    GaslessCrossChainOrder,
    IOriginSettler,
    OnchainCrossChainOrder,
    Output,
    ResolvedCrossChainOrder
} from "./IERC7683.sol";
import {InboxProof} from "./InboxProof.sol";
import {KeystoreRoots} from "./KeystoreRoots.sol";
import {OrderLeaves} from "./OrderLeaves.sol";
import {SettlerBase} from "./SettlerBase.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title Orders from an L2 into the keystore
/// @notice Tokens are locked here for who pays an account on the keystore, which no contract does: the filler signs the rollup's
/// action `Fill`. Its leaf, proven under a root that this chain was shown, pays the claimant; its absence under a root whose
/// block is later than the deadline, or in what L1 holds long after it, pays the user back. The order itself names the roots'
/// contract that it believes, so no order can touch another's money, and there is nobody who configures or owns anything.
abstract contract OriginSettler is IOriginSettler, SettlerBase, EIP712 {
    /// @notice What an order says besides its deadlines. `roots` follows from the inbox, and `rollupId` is that inbox's:
    /// a filler compares both with what it knows.
    struct KeystoreOrderData {
        KeystoreRoots roots;
        bytes32 rollupId;
        address inputToken;
        uint256 inputAmount;
        bytes32 toKey;
        address outputToken;
        uint256 outputAmount;
    }

    /// @notice What is locked, as `Locked` tells it.
    struct Held {
        address user;
        address token;
        uint256 amount;
        KeystoreRoots roots;
        bytes32 fillId;
        uint64 fillDeadline;
    }

    /// @notice The inbox in an L1 block: see `KeystoreRoots.proveRoot`.
    struct InboxInBlock {
        uint64 number;
        bytes header;
        bytes[] accountProof;
        bytes[] rootProof;
        bytes[] headProof;
    }

    /// @notice The arguments of `claim` and `refund` for an order that was opened.
    event Locked(bytes32 indexed orderId, Held held);
    event Claimed(bytes32 indexed orderId, address indexed claimant, uint64 time);
    event Refunded(bytes32 indexed orderId, address indexed user);

    /// @notice An order of this id was opened before.
    error OrderExists(bytes32 orderId);
    /// @notice No such order is open: another one, paid already, or other words than it was opened with.
    error NoOrder(bytes32 orderId);
    /// @notice The order is for another settler.
    error WrongSettler(address expected, address found);
    /// @notice Nonces of signed orders have 255 bits; the highest bit marks those of `open`.
    error BadNonce(uint256 nonce);
    /// @notice The user did not sign the order.
    error BadSignature();
    /// @notice The named contract has no roots, or its chain does not show L1's blocks: nothing could ever be paid back.
    error NoRoots(address roots);
    /// @notice The roots' contract was never shown this root, or has forgotten it.
    error UnknownRoot(bytes32 root);
    /// @notice The header is not that of the L1 block that the roots' contract knows by this number.
    error WrongBlockHash(bytes32 expected, bytes32 found);
    /// @notice The rollup's block is not later than the deadline: the order may yet be filled.
    error TooEarly(uint256 fillDeadline, uint256 timestamp);
    /// @notice The proof does not show under the root what it should.
    error WrongProof();

    /// @notice An order waits at most so long.
    uint256 public constant MAX_ORDER_TIME = 30 days;
    /// @notice So long (seconds) after an order's deadline a fill that L1 does not hold counts no more: a rollup that has ended
    /// settles no later block. A fill's sender can freeze the vault well before.
    uint256 public constant ABANDONED_AFTER = 30 days;

    bytes32 public constant ORDER_DATA_TYPE = keccak256(
        "KeystoreOrderData(address roots,bytes32 rollupId,address inputToken,uint256 inputAmount,bytes32 toKey,address outputToken,uint256 outputAmount)"
    );
    bytes32 private constant _ORDER_TYPE = keccak256(
        "GaslessCrossChainOrder(address originSettler,address user,uint256 nonce,uint256 originChainId,uint32 openDeadline,uint32 fillDeadline,bytes32 orderDataType,KeystoreOrderData orderData)KeystoreOrderData(address roots,bytes32 rollupId,address inputToken,uint256 inputAmount,bytes32 toKey,address outputToken,uint256 outputAmount)"
    );
    uint256 private constant _DATA_BYTES = 224;
    uint256 private constant _OPENED_BY_USER = 1 << 255;
    bytes32 private constant _ENDED = bytes32(uint256(1));

    /// @notice How many orders a user has opened himself.
    mapping(address user => uint256) public openCount;
    /// @dev keccak256 of what is held; `_ENDED` once it was paid.
    mapping(bytes32 orderId => bytes32) private _held;

    constructor() EIP712("KeystoreSettler", "1") {}

    // Opening

    /// @inheritdoc IOriginSettler
    /// @dev Of ether, `msg.value` is the amount; of a token, the allowance is this contract's.
    function open(OnchainCrossChainOrder calldata order) external payable locked {
        KeystoreOrderData memory data = _decode(order.orderDataType, order.orderData);
        uint256 nonce = _OPENED_BY_USER | openCount[msg.sender]++;
        _open(_resolve(msg.sender, nonce, type(uint32).max, order.fillDeadline, data), data);
    }

    /// @inheritdoc IOriginSettler
    /// @dev The user's word is EIP-712, or ERC-1271 of a contract; the tokens come by an allowance of this contract. Nothing is
    /// asked of the filler.
    function openFor(GaslessCrossChainOrder calldata order, bytes calldata signature, bytes calldata)
        external
        payable
        locked
    {
        KeystoreOrderData memory data = _verifySigned(order);
        if (block.timestamp > order.openDeadline) revert BadDeadline(order.openDeadline);
        if (data.inputToken == address(0)) revert BadOrder();
        if (!SignatureChecker.isValidSignatureNow(order.user, hashOrder(order), signature)) revert BadSignature();
        _open(_resolve(order.user, order.nonce, order.openDeadline, order.fillDeadline, data), data);
    }

    /// @notice What the user of a gasless order signs. The order data is a struct of its own, which wallets show.
    function hashOrder(GaslessCrossChainOrder calldata order) public view returns (bytes32) {
        bytes32 dataHash = keccak256(abi.encodePacked(ORDER_DATA_TYPE, order.orderData));
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    _ORDER_TYPE,
                    order.originSettler,
                    order.user,
                    order.nonce,
                    order.originChainId,
                    order.openDeadline,
                    order.fillDeadline,
                    order.orderDataType,
                    dataHash
                )
            )
        );
    }

    function _open(ResolvedCrossChainOrder memory resolved, KeystoreOrderData memory data) private {
        if (resolved.fillDeadline < block.timestamp || resolved.fillDeadline > block.timestamp + MAX_ORDER_TIME) {
            revert BadDeadline(resolved.fillDeadline);
        }
        if (data.inputAmount == 0 || data.outputAmount == 0 || data.toKey == 0) revert BadOrder();
        bytes32 orderId = resolved.orderId;
        if (_held[orderId] != 0) revert OrderExists(orderId);
        Held memory held = Held(
            resolved.user,
            data.inputToken,
            data.inputAmount,
            data.roots,
            keccak256(resolved.fillInstructions[0].originData),
            resolved.fillDeadline
        );
        _held[orderId] = keccak256(abi.encode(held));
        emit Open(orderId, resolved);
        emit Locked(orderId, held);
        uint256 value = data.inputToken == address(0) ? data.inputAmount : 0;
        if (msg.value != value) revert WrongValue(value, msg.value);
        if (value == 0) _move(data.inputToken, resolved.user, address(this), data.inputAmount);
    }

    function _verifyRoots(KeystoreRoots roots) private view {
        if (address(roots).code.length == 0 || address(roots.l1Block()).code.length == 0) {
            revert NoRoots(address(roots));
        }
    }

    // Reading

    /// @inheritdoc IOriginSettler
    /// @dev For the caller, as `open` would.
    function resolve(OnchainCrossChainOrder calldata order)
        external
        view
        returns (ResolvedCrossChainOrder memory)
    {
        uint256 nonce = _OPENED_BY_USER | openCount[msg.sender];
        return _resolve(
            msg.sender,
            nonce,
            type(uint32).max,
            order.fillDeadline,
            _decode(order.orderDataType, order.orderData)
        );
    }

    /// @inheritdoc IOriginSettler
    function resolveFor(GaslessCrossChainOrder calldata order, bytes calldata)
        external
        view
        returns (ResolvedCrossChainOrder memory)
    {
        return
            _resolve(order.user, order.nonce, order.openDeadline, order.fillDeadline, _verifySigned(order));
    }

    /// @dev The keystore is not an EVM chain: its chain id is the rollup's id, and its settler the inbox on L1. The origin data is
    /// `abi.encode(orderId, settler, chainId, toKey, token, amount, fillDeadline)`, which the filler's `Fill` repeats, and
    /// whose hash is the fill's id.
    function _resolve(
        address user,
        uint256 nonce,
        uint32 openDeadline,
        uint32 fillDeadline,
        KeystoreOrderData memory data
    ) private view returns (ResolvedCrossChainOrder memory resolved) {
        _verifyRoots(data.roots);
        bytes32 orderId = keccak256(abi.encode(block.chainid, address(this), user, nonce));
        resolved.user = user;
        resolved.originChainId = block.chainid;
        resolved.openDeadline = openDeadline;
        resolved.fillDeadline = fillDeadline;
        resolved.orderId = orderId;
        uint256 rollup = uint256(data.rollupId);
        resolved.maxSpent = new Output[](1);
        resolved.maxSpent[0] = Output(_widen(data.outputToken), data.outputAmount, data.toKey, rollup);
        resolved.minReceived = new Output[](1);
        resolved.minReceived[0] = Output(_widen(data.inputToken), data.inputAmount, 0, block.chainid);
        bytes memory originData = abi.encode(
            orderId,
            address(this),
            block.chainid,
            data.toKey,
            data.outputToken,
            data.outputAmount,
            fillDeadline
        );
        resolved.fillInstructions = new FillInstruction[](1);
        resolved.fillInstructions[0] = FillInstruction(rollup, _widen(data.roots.inbox()), originData);
    }

    function _verifySigned(GaslessCrossChainOrder calldata order)
        private
        view
        returns (KeystoreOrderData memory)
    {
        if (order.originSettler != address(this)) revert WrongSettler(address(this), order.originSettler);
        if (order.originChainId != block.chainid) revert WrongChain(block.chainid, order.originChainId);
        if (order.nonce >= _OPENED_BY_USER) revert BadNonce(order.nonce);
        return _decode(order.orderDataType, order.orderData);
    }

    /// @dev Exactly the words, so that their hash is that of the struct.
    function _decode(bytes32 orderDataType, bytes calldata orderData)
        private
        pure
        returns (KeystoreOrderData memory)
    {
        if (orderDataType != ORDER_DATA_TYPE || orderData.length != _DATA_BYTES) revert BadOrder();
        return abi.decode(orderData, (KeystoreOrderData));
    }

    // Paying out

    /// @notice Pay the claimant of a fill, at `time`, that `proof` shows under a root that this chain was shown. Anybody may.
    function claim(
        bytes32 orderId,
        Held calldata held,
        address claimant,
        uint64 time,
        bytes32 root,
        bytes calldata proof
    ) external locked {
        _end(orderId, held);
        if (held.roots.shownAt(root) == 0) revert UnknownRoot(root);
        bytes32 fillKey = OrderLeaves.computeFillKey(held.fillId);
        if (!StateVerifier.isIncluded(root, fillKey, OrderLeaves.hashFill(claimant, time), proof)) {
            revert WrongProof();
        }
        emit Claimed(orderId, claimant, time);
        _pay(held.token, claimant, held.amount);
    }

    /// @notice Pay the user back: in an L1 block that the roots' contract knows, the inbox held a state without the fill, and
    /// the rollup's block is later than the deadline, or the L1 block by more than `ABANDONED_AFTER`. Anybody may.
    function refund(
        bytes32 orderId,
        Held calldata held,
        InboxInBlock calldata inbox,
        bytes calldata proof
    ) external locked {
        _end(orderId, held);
        (bytes32 root, uint64 timestamp, uint64 l1Time) = _readInbox(held.roots, inbox);
        bool isAbandoned = l1Time > uint256(held.fillDeadline) + ABANDONED_AFTER;
        if (timestamp <= held.fillDeadline && !isAbandoned) revert TooEarly(held.fillDeadline, timestamp);
        if (!StateVerifier.isExcluded(root, OrderLeaves.computeFillKey(held.fillId), proof)) revert WrongProof();
        emit Refunded(orderId, held.user);
        _pay(held.token, held.user, held.amount);
    }

    function _end(bytes32 orderId, Held calldata held) private {
        if (_held[orderId] != keccak256(abi.encode(held))) revert NoOrder(orderId);
        _held[orderId] = _ENDED;
    }

    function _readInbox(KeystoreRoots roots, InboxInBlock calldata inbox)
        private
        view
        returns (bytes32, uint64, uint64)
    {
        bytes32 expected = roots.getBlockHash(inbox.number);
        bytes32 found = keccak256(inbox.header);
        if (found != expected) revert WrongBlockHash(expected, found);
        return InboxProof.readTimestamp(
            inbox.header, roots.inbox(), inbox.accountProof, inbox.rootProof, inbox.headProof
        );
    }

    /// @notice keccak256 of what is held for an order; 1 once it was paid, 0 before it was opened.
    function getHeldHash(bytes32 orderId) external view returns (bytes32) {
        return _held[orderId];
    }
}
