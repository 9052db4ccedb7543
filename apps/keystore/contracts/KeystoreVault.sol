// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EscapeVerifier} from "./EscapeVerifier.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";
import {IOrderVerdicts} from "./IOrderVerdicts.sol";
import {IVaultBridge} from "./IVaultBridge.sol";
import {KeystoreOrder, OrderLeaves} from "./OrderLeaves.sol";
import {StateVerifier} from "./StateVerifier.sol";
import {VaultDeposits} from "./VaultDeposits.sol";
import {VaultEscape} from "./VaultEscape.sol";
import {VaultLeaves} from "./VaultLeaves.sol";
import {VaultOrders} from "./VaultOrders.sol";
import {VaultRoots} from "./VaultRoots.sol";

/// @title The money of one Keystore+ on L1
/// @notice No owner, no upgrade, no pause. Those who can settle a root of their choice (a quorum of verifiers; an owner of the
/// inbox after three days) can take what is here; nobody else can. One lock covers everything that moves money or reads what
/// decides about it: a token or recipient that calls back finds it closed.
contract KeystoreVault is VaultEscape, VaultOrders, VaultDeposits {
    /// @notice So many L1 blocks (12 days) the oldest entry of the queue must have waited: no idle rollup is ever frozen, and
    /// blobs are there for six days more.
    uint256 public constant ESCAPE_SILENCE_BLOCKS = 86_400;

    /// @dev Types of the rollup's actions.
    bytes32 private constant _FREEZE = keccak256("Freeze(uint64 nonce)");
    bytes32 private constant _END_ORDER =
        keccak256("EndOrder(bytes32 orderId,bool filled,address claimant,uint64 nonce)");

    constructor(address maker_, bytes32 inboxCodeHash_, EscapeVerifier verifier_, IOrderVerdicts verdicts_)
        VaultEscape(verifier_)
        VaultOrders(verdicts_)
        VaultRoots(maker_, inboxCodeHash_)
    {}

    // Paying out.

    /// @inheritdoc IKeystoreVault
    function claim(bytes32 root, bytes32 id, address token, address to, uint256 amount, bytes calldata proof)
        external
        locked
    {
        _claim(root, VaultLeaves.computeWithdrawalKey(token, id), token, to, amount, proof);
        _pay(token, to, amount);
    }

    /// @inheritdoc IKeystoreVault
    function claimLeaf(bytes32 root, bytes32 treeKey, address to, uint256 amount, bytes calldata proof)
        external
        locked
    {
        _claim(root, treeKey, address(0), to, amount, proof);
        _pay(address(0), to, amount);
    }

    /// @inheritdoc IKeystoreVault
    function claimTo(
        bytes32 root,
        bytes32 id,
        address token,
        uint256 amount,
        bytes calldata proof,
        address bridge,
        bytes calldata parameters
    ) external locked {
        _claim(root, VaultLeaves.computeWithdrawalKey(token, id), token, msg.sender, amount, proof);
        if (token != address(0)) _pay(token, bridge, amount);
        IVaultBridge(bridge).bridgeWithdrawal{value: token == address(0) ? amount : 0}(
            msg.sender, token, amount, parameters
        );
    }

    function _claim(
        bytes32 root,
        bytes32 treeKey,
        address token,
        address to,
        uint256 amount,
        bytes calldata proof
    ) private {
        _verifyRecorded(root);
        bytes32 valueHash = VaultLeaves.computeWithdrawalHash(token, to, amount);
        if (!StateVerifier.isIncluded(root, treeKey, valueHash, proof)) revert WrongProof();
        _markPaid(treeKey);
        emit Claimed(treeKey, token, to, amount);
    }

    // Orders.

    /// @inheritdoc IKeystoreVault
    function endOrder(bytes32 orderId, KeystoreOrder calldata order, bytes32 root, bytes calldata proof)
        external
        locked
    {
        _verifyOpen();
        _verifyRecorded(root);
        _verifyOrder(root, orderId, order, proof);
        (bool isKnown, address claimant) = _readVerdict(orderId, order);
        if (!isKnown) revert NoVerdict(orderId);
        uint256 entry = inbox.force(
            abi.encodePacked(_FORMAT, abi.encode(_END_ORDER, orderId, claimant != address(0), claimant))
        );
        emit OrderEnded(orderId, claimant, entry);
    }

    // When the operator is gone.

    /// @inheritdoc IKeystoreVault
    function freeze() external locked {
        _verifyOpen();
        _freeze();
    }

    /// @inheritdoc IKeystoreVault
    function escape(
        bytes32 key,
        address token,
        address to,
        uint256 amount,
        Opening calldata opening,
        bytes calldata balanceProof,
        bytes calldata authorization
    ) external locked {
        if (address(inbox) == address(0)) revert NotBound();
        if (frozenRoot == 0) _freeze();
        if (to == address(0)) revert ZeroAddress();
        if (amount == 0) revert NothingPaid();
        bytes32 root = frozenRoot;
        _verifyHolder(root, _checkpoints[root].timestamp, key, token, to, opening, authorization);
        bytes32 treeKey = VaultLeaves.computeBalanceKey(token, key);
        if (!StateVerifier.isIncluded(root, treeKey, keccak256(abi.encode(amount)), balanceProof)) {
            revert WrongProof();
        }
        _markPaid(treeKey);
        emit Escaped(key, token, to, amount);
        _pay(token, to, amount);
    }

    /// @inheritdoc IKeystoreVault
    function escapeOrder(
        bytes32 orderId,
        KeystoreOrder calldata order,
        bytes calldata proof,
        address to,
        Opening calldata opening,
        bytes calldata authorization
    ) external locked {
        bytes32 root = frozenRoot;
        if (root == 0) revert NotFrozen();
        if (to == address(0)) revert ZeroAddress();
        _verifyOrder(root, orderId, order, proof);
        (bool isKnown, address claimant) = _readVerdict(orderId, order);
        if (claimant != address(0)) {
            to = claimant;
        } else {
            uint256 from = uint256(order.fillDeadline) + ORDER_ESCAPE_DELAY;
            if (!isKnown && block.timestamp <= from) revert OrderPending(from);
            _verifyHolder(root, _checkpoints[root].timestamp, order.key, order.token, to, opening, authorization);
        }
        _markPaid(OrderLeaves.computeOrderKey(orderId));
        emit OrderEscaped(orderId, order.token, to, order.amount);
        _pay(order.token, to, order.amount);
    }

    function _freeze() private {
        uint256 age = getSilence();
        if (age < ESCAPE_SILENCE_BLOCKS) revert OperatorAlive(age);
        bytes32 root = _record();
        frozenRoot = root;
        uint256 entry = inbox.force(abi.encodePacked(_FORMAT, _FREEZE));
        emit Frozen(root, _checkpoints[root].height, entry);
    }

    /// @inheritdoc IKeystoreVault
    function getSilence() public view returns (uint256) {
        uint256 taken = inbox.settled().forcedCount;
        if (taken == inbox.queueLength()) return 0;
        (uint256 inclusionBlock,) = inbox.entry(taken);
        return block.number - inclusionBlock;
    }
}
