// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";
import {Validators} from "./Validators.sol";

/// @title What a vault keeps, the inbox it belongs to, and the roots it has recorded
abstract contract VaultRoots is IKeystoreVault {
    using SafeERC20 for IERC20;

    /// @dev In the queue an action of the rollup begins with it.
    bytes1 internal constant _FORMAT = 0x00;

    /// @notice Who binds the vault, which is all that he can do.
    address public immutable maker;
    /// @notice keccak256 of the inbox's creation code, without its arguments.
    bytes32 public immutable inboxCodeHash;

    /// @inheritdoc IKeystoreVault
    IRollupInbox public inbox;
    /// @inheritdoc IKeystoreVault
    uint64 public depositCount;
    /// @dev In the word of the inbox, which every call reads.
    bool internal _isLocked;
    /// @inheritdoc IKeystoreVault
    bytes32 public rollupId;
    /// @inheritdoc IKeystoreVault
    bytes32 public depositTarget;
    /// @inheritdoc IKeystoreVault
    bytes32 public frozenRoot;
    /// @inheritdoc IKeystoreVault
    mapping(bytes32 treeKey => bool) public isPaid;
    mapping(bytes32 root => Checkpoint) internal _checkpoints;
    /// @dev A hash, because three words of storage would cost each deposit 44,000 gas more.
    mapping(uint64 id => bytes32) internal _deposits;

    modifier locked() {
        if (_isLocked) revert Reentered();
        _isLocked = true;
        _;
        _isLocked = false;
    }

    constructor(address maker_, bytes32 inboxCodeHash_) {
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

    /// @inheritdoc IKeystoreVault
    function checkpoint() external locked returns (bytes32 root) {
        _verifyOpen();
        return _record();
    }

    /// @inheritdoc IKeystoreVault
    function getCheckpoint(bytes32 root) external view returns (Checkpoint memory) {
        return _checkpoints[root];
    }

    /// @dev A root that came back is recorded with its latest place: the same state, and more of the queue taken.
    function _record() internal returns (bytes32 root) {
        IRollupInbox.Settled memory settled = inbox.settled();
        root = settled.stateRoot;
        // Each has its size from the inbox's own storage.
        Checkpoint memory found = Checkpoint(
            uint64(settled.height), uint32(settled.forcedCount), uint40(settled.timestamp), uint40(block.number)
        );
        _checkpoints[root] = found;
        emit Recorded(root, found.height, found.forcedCount, found.timestamp);
    }

    function _verifyOpen() internal view {
        if (address(inbox) == address(0)) revert NotBound();
        if (frozenRoot != 0) revert VaultFrozen(frozenRoot);
    }

    function _verifyRecorded(bytes32 root) internal view {
        if (_checkpoints[root].recordedAt == 0) revert UnknownRoot(root);
    }

    function _markPaid(bytes32 treeKey) internal {
        if (isPaid[treeKey]) revert AlreadyPaid(treeKey);
        isPaid[treeKey] = true;
    }

    function _pay(address token, address to, uint256 amount) internal {
        if (token == address(0)) Address.sendValue(payable(to), amount);
        else IERC20(token).safeTransfer(to, amount);
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
