// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "../../../microrollup/contracts/IRollupInbox.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";

/// @title Axiom's L1 contract, as its SDK calls it, over a vault and its inbox
/// @notice Names, argument order, types and value rules are those of `AxiomKeystoreRollup`, as far as they have a
/// meaning here. Axiom's sequence of L1 batches is the inbox's queue, each batch one transaction: index, nonce and
/// commitment of a transaction are its place in the queue and the queue's hash up to and with it. So a node knows them
/// without reading this contract, and every deposit into the vault has them, by whichever way it came. The index of a
/// finalized batch is the height of its last block.
interface IAxiomBridge {
    /// @notice Axiom's transaction types, in its numbering.
    enum TransactionType {
        Deposit,
        Withdraw,
        Update
    }

    /// @notice What is to be sent. `data` of a deposit is `amount 32 | keystore address 32`, or the address alone; of
    /// the others it is the RLP list, without what precedes it in the transaction.
    struct L1InitiatedTransaction {
        TransactionType txType;
        bytes data;
    }

    /// @notice What an output root is the hash of. `withdrawalsRoot` is the state root too; `lastValidBlockhash` is of
    /// the block's seven words, see `recordBatch`.
    struct OutputRootPreimage {
        bytes32 stateRoot;
        bytes32 withdrawalsRoot;
        bytes32 lastValidBlockhash;
    }

    /// @notice A withdrawal's leaf.
    struct WithdrawalArgs {
        bytes32 imtKey;
        bytes1 nextDummyByte;
        bytes32 nextImtKey;
        uint256 withdrawalAmount;
        address to;
    }

    /// @notice A transaction is in the inbox's queue; `txHash` is that of its bytes, by which a node finds it.
    event L1TransactionInitiated(
        uint256 indexed l1BatchIndex,
        bytes32 l1BatchCommitment,
        uint256 l1BatchInclusionBlock,
        uint256 l1InitiatedNonce,
        bytes32 txHash
    );
    /// @notice A withdrawal was paid under the output root of batch `batchNumber`.
    event WithdrawalFinalized(uint256 indexed batchNumber, address indexed to, uint256 withdrawAmount);
    /// @notice The output root of the batch that ends at height `batchIndex` can be shown from now on.
    event BatchRecorded(
        uint256 indexed batchIndex, bytes32 indexed outputRoot, bytes32 blockHash, bytes32 lastValidBlockhash
    );
    /// @notice The fees that had come in were paid out.
    event FeesCollected(address indexed to, uint256 amount);

    /// @notice The ether is not exactly the fee, or, of a deposit, not more than it, or not the fee and the amount that
    /// `data` names.
    error InvalidMsgValue();
    /// @notice Of a deposit, `data` has 32 or 64 bytes.
    error InvalidDepositData(uint256 length);
    /// @notice The withdrawal's leaf is not in the tree of the state root.
    error InvalidWithdrawalProof();
    /// @notice The three words do not hash to the output root that was recorded for the batch, or none was.
    error WithdrawalsRootVerificationFailed();
    /// @notice The withdrawal was paid, here or by the vault itself.
    error WithdrawalAlreadyClaimed();
    /// @notice The header is not of the block that the inbox holds, whose hash is `expected`.
    error NotTheHead(bytes32 expected, bytes32 found);
    /// @notice Fees with nobody to get them.
    error NoFeeRecipient();

    /// @notice Send a transaction through L1, which the operator cannot keep out. Deposit: `msg.value` is fee and
    /// amount, and the vault pays the amount back to the caller if it is not credited. Others: `msg.value` is the fee.
    /// The rollup judges whether it is a transaction; the fee is gone if it is not.
    function initiateL1Transaction(L1InitiatedTransaction calldata _tx) external payable;

    /// @notice Have the vault pay a withdrawal of ether, under the output root of a recorded batch. Anybody may.
    /// `isLeft` has bit i set where sibling i, from the leaf upwards, stands on the left.
    function finalizeWithdrawal(
        uint256 batchIndex,
        OutputRootPreimage calldata outputRootPreimage,
        WithdrawalArgs calldata withdrawalArgs,
        bytes32[] calldata proof,
        uint256 isLeft
    ) external;

    /// @notice Record the output root of the block that the inbox holds, and its state root in the vault. Anybody may,
    /// again and again. The output root is `keccak256(stateRoot | stateRoot | hash)`, all words of 32 bytes, where hash
    /// is `keccak256(height | timestamp | parentHash | sequencerKeystoreAddress | stateRoot | stateRoot |
    /// actionsRoot)`.
    function recordBatch(IRollupInbox.Header calldata header) external returns (bytes32 outputRoot);

    /// @notice Send the fees that have come in to the recipient. Anybody may.
    function collectFees() external;

    /// @notice What the newest recorded batch gave; zero before the first. It is in storage slot
    /// 0xc94330da5d5688c06df0ade6bfd773c87249c0b9f38b25021e2c16ab9672d000, where Axiom's readers on other chains prove
    /// it.
    function latestOutputRoot() external view returns (bytes32);
    /// @notice The output root of the batch that ends at this height; zero if it was not recorded.
    function outputRootAt(uint256 batchIndex) external view returns (bytes32);
    /// @notice The fee of an L1-initiated transaction, in wei.
    function l1InitiatedFee(TransactionType txType) external view returns (uint256);
    /// @notice How many entries the queue has; the next transaction's nonce.
    function l1BatchCount() external view returns (uint256);
    /// @notice The L1 block of an entry of the queue: blocks of the rollup whose origin has reached it begin with the
    /// entry.
    function l1BatchInclusionBlock(uint256 index) external view returns (uint32);
    /// @notice Whether the withdrawal at this place in the tree was paid. Axiom asks by the leaf's hash, which changes
    /// with its neighbour; the place does not.
    function isWithdrawalClaimed(bytes32 imtKey) external view returns (bool);
    /// @notice The fourth of a block's seven words: 12 zero bytes and the builder of the genesis.
    function sequencerKeystoreAddress() external view returns (bytes32);
    function vault() external view returns (IKeystoreVault);
}
