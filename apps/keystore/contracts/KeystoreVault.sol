// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {EscapeVerifier} from "./EscapeVerifier.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";
import {IOrderVerdicts} from "./IOrderVerdicts.sol";
import {IVaultBridge} from "./IVaultBridge.sol";
import {KeystoreOrder, OrderLeaves} from "./OrderLeaves.sol";
import {StateVerifier} from "./StateVerifier.sol";
import {Validators} from "./Validators.sol";
import {VaultEscape} from "./VaultEscape.sol";
import {VaultLeaves} from "./VaultLeaves.sol";
import {VaultOrders} from "./VaultOrders.sol";

/// @title The money of one Keystore+ on L1
/// @notice No owner, no upgrade, no pause. Those who can settle a root of their choice (a quorum of verifiers; an owner of the
/// inbox after three days) can take what is here; nobody else can. One lock covers everything that moves money or reads what
/// decides about it: a token or recipient that calls back finds it closed.
contract KeystoreVault is IKeystoreVault, VaultEscape, VaultOrders {
    using SafeERC20 for IERC20;

    /// @notice So many L1 blocks (12 days) the oldest entry of the queue must have waited: no idle rollup is ever frozen, and
    /// blobs are there for six days more.
    uint256 public constant ESCAPE_SILENCE_BLOCKS = 86_400;

    /// @dev The types of the rollup's actions; in the queue an action begins with format 0.
    bytes32 private constant _DEPOSIT =
        keccak256("Deposit(uint64 id,address token,bytes32 key,uint256 amount,uint64 nonce)");
    bytes32 private constant _FREEZE = keccak256("Freeze(uint64 nonce)");
    bytes32 private constant _END_ORDER =
        keccak256("EndOrder(bytes32 orderId,bool filled,address claimant,uint64 nonce)");
    bytes1 private constant _FORMAT = 0x00;

    bytes1 private constant _UNREGISTERED = 0x01;
    /// @dev Flag, root, and the account's two hashes.
    uint256 private constant _REGISTRATION_BYTES = 97;

    /// @notice Who binds the vault, which is all that he can do.
    address public immutable maker;
    /// @notice keccak256 of the inbox's creation code, without its arguments.
    bytes32 public immutable inboxCodeHash;

    /// @inheritdoc IKeystoreVault
    IRollupInbox public inbox;
    /// @inheritdoc IKeystoreVault
    uint64 public depositCount;
    /// @dev In the word of the inbox, which every call reads.
    bool private _isLocked;
    /// @inheritdoc IKeystoreVault
    bytes32 public rollupId;
    /// @inheritdoc IKeystoreVault
    bytes32 public depositTarget;
    /// @inheritdoc IKeystoreVault
    bytes32 public frozenRoot;
    /// @inheritdoc IKeystoreVault
    mapping(bytes32 treeKey => bool) public isPaid;
    mapping(bytes32 root => Checkpoint) private _checkpoints;
    /// @dev A hash, because three words of storage would cost each deposit 44,000 gas more.
    mapping(uint64 id => bytes32) private _deposits;

    modifier locked() {
        if (_isLocked) revert Reentered();
        _isLocked = true;
        _;
        _isLocked = false;
    }

    constructor(address maker_, bytes32 inboxCodeHash_, EscapeVerifier verifier_, IOrderVerdicts verdicts_)
        VaultEscape(verifier_)
        VaultOrders(verdicts_)
    {
        maker = maker_;
        inboxCodeHash = inboxCodeHash_;
    }

    /// @inheritdoc IKeystoreVault
    function bind(
        bytes calldata creationCode,
        IRollupInbox.Genesis calldata genesis,
        IRollupInbox.Domain calldata domain,
        address owner,
        bytes32 stfId
    ) external {
        if (msg.sender != maker) revert NotMaker(msg.sender);
        if (address(inbox) != address(0)) revert AlreadyBound();
        if (keccak256(creationCode) != inboxCodeHash) revert WrongInboxCode(inboxCodeHash, keccak256(creationCode));
        bytes32 id = _computeRollupId(genesis);
        bytes32 codeHash = keccak256(abi.encodePacked(creationCode, abi.encode(genesis, domain, owner, stfId)));
        address found = Create2.computeAddress(id, codeHash, Validators.DEPLOYER);
        if (found.code.length == 0) revert NoInbox(found);
        inbox = IRollupInbox(found);
        rollupId = id;
        depositTarget = owner == address(0) ? id : keccak256(abi.encode(id, found));
        emit Bound(found, id);
    }

    // Paying in.

    /// @inheritdoc IKeystoreVault
    function deposit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration
    ) external payable locked returns (uint64 id) {
        return _deposit(token, key, amount, refundTo, target, registration);
    }

    /// @inheritdoc IKeystoreVault
    function depositWithPermit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external locked returns (uint64 id) {
        // Anybody may have used the signature first: then the allowance is there.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _deposit(token, key, amount, refundTo, target, registration);
    }

    function _deposit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration
    ) private returns (uint64 id) {
        _verifyOpen();
        if (target != depositTarget) revert WrongRollup(depositTarget, target);
        if (refundTo == address(0)) revert ZeroAddress();
        _verifyRegistration(key, registration);
        uint256 received = _take(token, amount);
        id = depositCount++;
        uint256 entry =
            inbox.force(abi.encodePacked(_FORMAT, abi.encode(_DEPOSIT, id, token, key, received)));
        _deposits[id] = keccak256(abi.encode(Deposit(token, received, refundTo, entry)));
        emit Deposited(id, token, key, received, refundTo, entry);
    }

    function _verifyRegistration(bytes32 key, bytes calldata registration) private view {
        if (registration.length == 1 && registration[0] == _UNREGISTERED) return;
        if (registration.length < _REGISTRATION_BYTES || registration[0] != 0) revert NotRegistered(key);
        bytes32 root = bytes32(registration[1:33]);
        _verifyRecorded(root);
        bool isThere = VaultLeaves.isAccount(
            root, key, bytes32(registration[33:65]), bytes32(registration[65:97]), registration[97:]
        );
        if (!isThere) revert NotRegistered(key);
    }

    /// @dev Gives what has arrived, which is less than `amount` where the token takes a fee.
    function _take(address token, uint256 amount) private returns (uint256 received) {
        uint256 value = token == address(0) ? amount : 0;
        if (msg.value != value) revert WrongValue(value, msg.value);
        received = amount;
        if (token != address(0)) {
            uint256 before = IERC20(token).balanceOf(address(this));
            IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
            received = IERC20(token).balanceOf(address(this)) - before;
        }
        if (received == 0) revert NothingPaid();
    }

    // Roots.

    /// @inheritdoc IKeystoreVault
    function checkpoint() external locked returns (bytes32 root) {
        _verifyOpen();
        return _record();
    }

    /// @dev A root that came back is recorded with its latest place: the same state, and more of the queue taken.
    function _record() private returns (bytes32 root) {
        IRollupInbox.Settled memory settled = inbox.settled();
        root = settled.stateRoot;
        // Each has its size from the inbox's own storage.
        Checkpoint memory found = Checkpoint(
            uint64(settled.height), uint32(settled.forcedCount), uint40(settled.timestamp), uint40(block.number)
        );
        _checkpoints[root] = found;
        emit Recorded(root, found.height, found.forcedCount, found.timestamp);
    }

    function _verifyOpen() private view {
        if (address(inbox) == address(0)) revert NotBound();
        if (frozenRoot != 0) revert VaultFrozen(frozenRoot);
    }

    function _verifyRecorded(bytes32 root) private view {
        if (_checkpoints[root].recordedAt == 0) revert UnknownRoot(root);
    }

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

    /// @inheritdoc IKeystoreVault
    function reclaim(uint64 id, Deposit calldata paid, bytes32 root, bytes calldata proof) external locked {
        if (_deposits[id] != keccak256(abi.encode(paid))) revert NoDeposit(id);
        _verifyRecorded(root);
        uint256 taken = _checkpoints[root].forcedCount;
        // Whatever the queue still held when the vault was frozen is credited nowhere that counts.
        if (taken <= paid.entry && root != frozenRoot) revert DepositPending(paid.entry, taken);
        if (!StateVerifier.isExcluded(root, VaultLeaves.computeDepositKey(id), proof)) revert WrongProof();
        delete _deposits[id];
        emit Reclaimed(id, paid.token, paid.refundTo, paid.amount);
        _pay(paid.token, paid.refundTo, paid.amount);
    }

    function _markPaid(bytes32 treeKey) private {
        if (isPaid[treeKey]) revert AlreadyPaid(treeKey);
        isPaid[treeKey] = true;
    }

    function _pay(address token, address to, uint256 amount) private {
        if (token == address(0)) Address.sendValue(payable(to), amount);
        else IERC20(token).safeTransfer(to, amount);
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

    // What anybody can ask.

    /// @inheritdoc IKeystoreVault
    function getCheckpoint(bytes32 root) external view returns (Checkpoint memory) {
        return _checkpoints[root];
    }

    /// @inheritdoc IKeystoreVault
    function getDepositHash(uint64 id) external view returns (bytes32) {
        return _deposits[id];
    }

    function _computeRollupId(IRollupInbox.Genesis calldata genesis) private pure returns (bytes32) {
        return keccak256(
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
    }
}
