// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {IAxiomBridge} from "./IAxiomBridge.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";

/// @title Axiom's L1 contract, as its SDK calls it, over a vault and its inbox
/// @notice It holds nothing but fees, and decides nothing about money: the vault does, by its own roots and its one
/// record of what was paid. No owner, no upgrade; the fees never change. The rollup takes L1-initiated transactions of
/// Axiom's format from this address alone, which is in its genesis.
contract AxiomBridge is IAxiomBridge {
    /// @notice How many L1 blocks pass before an entry is due. The inbox knows no such delay.
    uint256 public constant L1_INITIATION_DELAY = 0;
    /// @notice A batch's origin is not older, in L1 blocks: the inbox's `MAX_ORIGIN_AGE_BLOCKS`.
    uint256 public constant MAX_L1_ORIGIN_DELAY = 14_400;

    /// @dev In the queue an envelope begins with format 2, its name's length and its name.
    bytes7 private constant _ENVELOPE = "\x02\x05axiom";
    bytes1 private constant _IS_L1_INITIATED = 0x01;
    /// @dev The caller's word that the key need not be registered: Axiom has no other deposits.
    bytes private constant _UNREGISTERED = hex"01";
    /// @dev ERC-7201, of "axiom.storage.AxiomKeystoreRollup".
    bytes32 private constant _LATEST_OUTPUT_ROOT_SLOT =
        0xc94330da5d5688c06df0ade6bfd773c87249c0b9f38b25021e2c16ab9672d000;

    /// @inheritdoc IAxiomBridge
    IKeystoreVault public immutable vault;
    /// @inheritdoc IAxiomBridge
    bytes32 public immutable sequencerKeystoreAddress;
    /// @notice Who gets the fees.
    address public immutable feeRecipient;
    uint256 private immutable _depositFee;
    uint256 private immutable _withdrawFee;
    uint256 private immutable _updateFee;

    /// @inheritdoc IAxiomBridge
    mapping(uint256 batchIndex => bytes32) public outputRootAt;

    constructor(
        IKeystoreVault vault_,
        bytes32 sequencerKeystoreAddress_,
        address feeRecipient_,
        uint256 depositFee,
        uint256 withdrawFee,
        uint256 updateFee
    ) {
        if (feeRecipient_ == address(0) && depositFee | withdrawFee | updateFee != 0) revert NoFeeRecipient();
        vault = vault_;
        sequencerKeystoreAddress = sequencerKeystoreAddress_;
        feeRecipient = feeRecipient_;
        _depositFee = depositFee;
        _withdrawFee = withdrawFee;
        _updateFee = updateFee;
    }

    // In.

    /// @inheritdoc IAxiomBridge
    function initiateL1Transaction(L1InitiatedTransaction calldata _tx) external payable {
        IRollupInbox inbox = _getInbox();
        uint256 nonce = inbox.queueLength();
        bytes32 txHash = _tx.txType == TransactionType.Deposit
            ? _deposit(_tx.data, nonce)
            : _force(inbox, _tx.txType, _tx.data, nonce);
        emit L1TransactionInitiated(nonce, inbox.queueHash(nonce + 1), block.number, nonce, txHash);
    }

    function _deposit(bytes calldata data, uint256 nonce) private returns (bytes32 txHash) {
        if (msg.value <= _depositFee) revert InvalidMsgValue();
        uint256 amount = msg.value - _depositFee;
        if (data.length != 64 && data.length != 32) revert InvalidDepositData(data.length);
        if (data.length == 64 && uint256(bytes32(data)) != amount) revert InvalidMsgValue();
        bytes32 key = bytes32(data[data.length - 32:]);
        vault.deposit{value: amount}(address(0), key, amount, msg.sender, vault.depositTarget(), _UNREGISTERED);
        return keccak256(abi.encodePacked(TransactionType.Deposit, nonce, amount, key));
    }

    function _force(IRollupInbox inbox, TransactionType txType, bytes calldata list, uint256 nonce)
        private
        returns (bytes32 txHash)
    {
        if (msg.value != l1InitiatedFee(txType)) revert InvalidMsgValue();
        bytes32 frozenRoot = txType == TransactionType.Withdraw ? vault.frozenRoot() : bytes32(0);
        if (frozenRoot != 0) revert IKeystoreVault.VaultFrozen(frozenRoot);
        bytes memory transaction = abi.encodePacked(txType, _IS_L1_INITIATED, nonce, list);
        inbox.force(abi.encodePacked(_ENVELOPE, transaction));
        return keccak256(transaction);
    }

    /// @inheritdoc IAxiomBridge
    function collectFees() external {
        uint256 amount = address(this).balance;
        emit FeesCollected(feeRecipient, amount);
        Address.sendValue(payable(feeRecipient), amount);
    }

    // Out.

    /// @inheritdoc IAxiomBridge
    function recordBatch(IRollupInbox.Header calldata header) external returns (bytes32 outputRoot) {
        bytes32 blockHash = keccak256(abi.encode(header));
        bytes32 expected = _getInbox().settled().blockHash;
        if (blockHash != expected) revert NotTheHead(expected, blockHash);
        // A vault that is frozen takes no further root, and knows the one at which it froze. Before, a root that came back is
        // recorded again: more of the queue is taken, so more can be reclaimed.
        bool isKnown = vault.frozenRoot() != 0 && vault.getCheckpoint(header.stateRoot).recordedAt != 0;
        if (!isKnown) vault.checkpoint();
        bytes32 lastValidBlockhash = keccak256(
            abi.encode(
                header.height,
                header.timestamp,
                header.parentHash,
                sequencerKeystoreAddress,
                header.stateRoot,
                header.stateRoot,
                header.actionsRoot
            )
        );
        outputRoot = keccak256(abi.encode(header.stateRoot, header.stateRoot, lastValidBlockhash));
        outputRootAt[header.height] = outputRoot;
        assembly ("memory-safe") {
            sstore(_LATEST_OUTPUT_ROOT_SLOT, outputRoot)
        }
        emit BatchRecorded(header.height, outputRoot, blockHash, lastValidBlockhash);
    }

    /// @inheritdoc IAxiomBridge
    function finalizeWithdrawal(
        uint256 batchIndex,
        OutputRootPreimage calldata outputRootPreimage,
        WithdrawalArgs calldata withdrawalArgs,
        bytes32[] calldata proof,
        uint256 isLeft
    ) external {
        if (keccak256(abi.encode(outputRootPreimage)) != outputRootAt[batchIndex]) {
            revert WithdrawalsRootVerificationFailed();
        }
        if (vault.isPaid(withdrawalArgs.imtKey)) revert WithdrawalAlreadyClaimed();
        if (isLeft > type(uint64).max) revert InvalidWithdrawalProof();
        bytes memory packed =
            abi.encodePacked(uint64(isLeft), withdrawalArgs.nextDummyByte, withdrawalArgs.nextImtKey, proof);
        emit WithdrawalFinalized(batchIndex, withdrawalArgs.to, withdrawalArgs.withdrawalAmount);
        try vault.claimLeaf(
            outputRootPreimage.withdrawalsRoot,
            withdrawalArgs.imtKey,
            withdrawalArgs.to,
            withdrawalArgs.withdrawalAmount,
            packed
        ) {} catch (bytes memory reason) {
            if (bytes4(reason) == IKeystoreVault.WrongProof.selector) revert InvalidWithdrawalProof();
            assembly ("memory-safe") {
                revert(add(reason, 32), mload(reason))
            }
        }
    }

    // What anybody can ask.

    /// @inheritdoc IAxiomBridge
    function latestOutputRoot() external view returns (bytes32 outputRoot) {
        assembly ("memory-safe") {
            outputRoot := sload(_LATEST_OUTPUT_ROOT_SLOT)
        }
    }

    /// @inheritdoc IAxiomBridge
    function l1InitiatedFee(TransactionType txType) public view returns (uint256) {
        if (txType == TransactionType.Deposit) return _depositFee;
        return txType == TransactionType.Withdraw ? _withdrawFee : _updateFee;
    }

    /// @inheritdoc IAxiomBridge
    function l1BatchCount() external view returns (uint256) {
        return _getInbox().queueLength();
    }

    /// @inheritdoc IAxiomBridge
    function l1BatchInclusionBlock(uint256 index) external view returns (uint32) {
        (uint256 inclusionBlock,) = _getInbox().entry(index);
        return uint32(inclusionBlock);
    }

    /// @inheritdoc IAxiomBridge
    function isWithdrawalClaimed(bytes32 imtKey) external view returns (bool) {
        return vault.isPaid(imtKey);
    }

    function _getInbox() private view returns (IRollupInbox inbox) {
        inbox = vault.inbox();
        if (address(inbox) == address(0)) revert IKeystoreVault.NotBound();
    }
}
