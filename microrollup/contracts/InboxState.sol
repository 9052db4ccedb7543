// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attestations} from "./Attestations.sol";
import {IRollupInbox} from "./IRollupInbox.sol";
import {Schedule} from "./Schedule.sol";
import {VerifierSets} from "./VerifierSets.sol";

/// @title What an inbox keeps, and how it begins
/// @notice Storage that others prove against L1's state root (`eth_getProof`). It stays where it is:
///
///     slot 0   stateRoot     bytes32   the last settled block's state root; at first the genesis's
///     slot 1   height        uint64    bits   0 ..  63   the last settled block's height
///              forcedCount   uint32    bits  64 ..  95   forced actions taken up to it
///              timestamp     uint40    bits  96 .. 135   its own time, in seconds
///              l1Origin      uint40    bits 136 .. 175   L1 block up to which it read this inbox
///              l1Number      uint40    bits 176 .. 215   L1 block in which it was settled
///              l1Time        uint40    bits 216 .. 255   time of that L1 block, in seconds
///     slot 2   blockHash     bytes32   the last settled block's hash
///
/// What the domain of the wallets' actions costs: with `verifyingContract` zero, which is for demonstrations and for
/// actions that were signed before the inbox had an address, an action is good in every rollup with that domain.
abstract contract InboxState is IRollupInbox {
    using Schedule for Schedule.Changes;

    /// @dev Stands for the inbox itself in the domain that the constructor takes.
    address private constant THIS_INBOX = address(type(uint160).max);

    struct Head {
        uint64 height;
        uint32 forcedCount;
        uint40 timestamp;
        uint40 l1Origin;
        uint40 l1Number;
        uint40 l1Time;
    }

    /// @dev `queueHash` covers the queue up to this entry, so it is `queueHash(index + 1)`.
    struct Entry {
        bytes32 queueHash;
        uint40 inclusionBlock;
        uint40 voidAnnounced;
        uint40 voidedFrom;
    }

    bytes32 internal _stateRoot;
    Head internal _head;
    bytes32 internal _blockHash;
    Schedule.Changes internal _builder;
    /// @dev Each value is a contract whose code holds a set: one access whatever the number of its members.
    Schedule.Changes internal _verifiers;
    Schedule.Changes internal _owner;
    Entry[] internal _queue;
    /// @dev Its values are in `_codes`, because an `stfId` fills a word.
    Schedule.Changes internal _code;
    /// @dev L1 block from which it is in force -> `stfId`; of block 0 it is `stfId`.
    mapping(uint256 effective => bytes32) internal _codes;
    /// @dev The last settled block's; zero while it is `stfId`, so that an inbox without upgrades stores nothing.
    bytes32 internal _settledCode;
    /// @dev Of BLS keys, whose proofs of possession were right.
    mapping(address page => bool) internal _pages;

    /// @inheritdoc IRollupInbox
    bytes32 public immutable rollupId;
    /// @inheritdoc IRollupInbox
    bytes32 public immutable stfId;
    /// @inheritdoc IRollupInbox
    uint256 public immutable createdAt;
    uint256 internal immutable _chainId;
    bytes32 internal immutable _domainSeparator;
    /// @dev The genesis names no builder, so there never is one.
    bool internal immutable _isBased;

    /// @param genesis The preimage of the rollup id.
    /// @param domain Under which wallets sign actions; its contract is this one (`0xff…ff`, because this address depends on
    /// these arguments), or zero (see above).
    /// @param firstOwner Who may void and change; zero for nobody, ever.
    /// @param firstStfId Which code executes until the owner announces another.
    /// @dev Nothing here depends on who creates the inbox, so with CREATE2 its address says what it is: no key puts another
    /// contract there, on this chain or on any other.
    constructor(Genesis memory genesis, Domain memory domain, address firstOwner, bytes32 firstStfId) {
        if (genesis.l1ChainId != block.chainid) revert WrongChain(block.chainid, genesis.l1ChainId);
        if (domain.verifyingContract == THIS_INBOX) domain.verifyingContract = address(this);
        if (domain.verifyingContract != address(this) && domain.verifyingContract != address(0)) {
            revert WrongDomain(address(this), domain.verifyingContract);
        }
        _verifiers.newest.value = VerifierSets.store(
            VerifierSet(uint8(VerifierSets.ECDSA), genesis.verifiers, genesis.quorum, new Rule[](0)), _pages
        );
        if (genesis.genesisTime > block.timestamp) revert FutureTimestamp(block.timestamp, genesis.genesisTime);
        if (genesis.l1Start >= block.number) revert BadOrigin(0, block.number - 1, genesis.l1Start);

        rollupId = _computeRollupId(genesis);
        stfId = firstStfId;
        createdAt = block.number;
        _chainId = block.chainid;
        _domainSeparator = Attestations.computeDomainSeparator();
        _isBased = genesis.builder == address(0);
        _builder.newest.value = genesis.builder;
        _owner.newest.value = firstOwner;

        Header memory header;
        header.rollupId = rollupId;
        header.timestamp = genesis.genesisTime;
        header.l1Origin = genesis.l1Start;
        header.stateRoot = genesis.stateRoot;
        header.metadataRoot = genesis.metadataRoot;
        _stateRoot = genesis.stateRoot;
        _blockHash = keccak256(abi.encode(header));
        _head = Head(
            0, 0, uint40(genesis.genesisTime), uint40(genesis.l1Start), uint40(block.number), uint40(block.timestamp)
        );
        emit RollupCreated(rollupId, _blockHash, genesis, domain, firstOwner, firstStfId);
    }

    /// @inheritdoc IRollupInbox
    function domainSeparator() public view returns (bytes32) {
        return block.chainid == _chainId ? _domainSeparator : Attestations.computeDomainSeparator();
    }

    /// @inheritdoc IRollupInbox
    function settled() external view returns (Settled memory) {
        Head memory head = _head;
        return Settled({
            height: head.height,
            blockHash: _blockHash,
            stateRoot: _stateRoot,
            timestamp: head.timestamp,
            forcedCount: head.forcedCount,
            l1Origin: head.l1Origin,
            l1Number: head.l1Number,
            l1Time: head.l1Time
        });
    }

    function _verifyHasBuilder() internal view {
        if (_isBased) revert Based();
    }

    function _computeRollupId(Genesis memory genesis) internal pure returns (bytes32) {
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
