// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attestations} from "./Attestations.sol";
import {IRollupInbox} from "./IRollupInbox.sol";
import {Schedule} from "./Schedule.sol";
import {VerifierSets} from "./VerifierSets.sol";

/// @title The inbox of one rollup on L1
/// @notice The rules, their order and their errors are those of the Python module `microrollup.settlement.inbox`.
/// Nothing here can be upgraded, no value is held, and what is called are precompiles and, without the right to change anything, the
/// verifiers of proofs that the owner announced; so nobody can enter it again while it works.
///
/// Storage that others prove against L1's state root (`eth_getProof`). It stays where it is:
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
contract RollupInbox is IRollupInbox {
    using Schedule for Schedule.Changes;

    /// @dev Two days of 12-second blocks: so far behind the settling transaction a settled L1 origin may lie.
    uint256 private constant MAX_ORIGIN_AGE_BLOCKS = 14_400;
    /// @dev A day: after so many L1 blocks without a batch anybody may submit one.
    uint256 private constant BUILDER_SILENCE_BLOCKS = 7_200;
    /// @dev Three days, longer than an origin's age: who builds on a permitted origin knows all that is in force there.
    uint256 private constant CHANGE_DELAY_BLOCKS = 21_600;
    /// @dev Six days: so long after its inclusion an entry is safe from its owner, however early the void is announced.
    uint256 private constant VOID_AGE_BLOCKS = 43_200;
    /// @dev An hour: what takes effect so soon cannot be cancelled any more, so that no builder is surprised.
    uint256 private constant CANCEL_MARGIN_BLOCKS = 300;
    uint256 private constant MAX_FORCED_PER_BLOCK = 64;
    uint256 private constant MAX_PAYLOAD_BYTES = 8192;
    /// @dev What a blob of 4,096 field elements carries, at 31 bytes each.
    uint256 private constant BLOB_BYTES = 31 * 4096;
    uint256 private constant MAX_BATCH_BYTES = 6 * BLOB_BYTES;
    uint256 private constant HEADER_BYTES = 14 * 32;
    /// @dev Of a based rollup, which publishes nothing.
    bytes32 private constant BASED_DATA_HASH = keccak256(hex"04");
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

    bytes32 private _stateRoot;
    Head private _head;
    bytes32 private _blockHash;
    Schedule.Changes private _builder;
    /// @dev Each value is a contract whose code holds a set: one access whatever the number of its members.
    Schedule.Changes private _verifiers;
    Schedule.Changes private _owner;
    Entry[] private _queue;
    /// @dev Its values are in `_codes`, because an `stfId` fills a word.
    Schedule.Changes private _code;
    /// @dev L1 block from which it is in force -> `stfId`; of block 0 it is `stfId`.
    mapping(uint256 effective => bytes32) private _codes;
    /// @dev The last settled block's; zero while it is `stfId`, so that an inbox without upgrades stores nothing.
    bytes32 private _settledCode;
    /// @dev Of BLS keys, whose proofs of possession were right.
    mapping(address page => bool) private _pages;

    /// @inheritdoc IRollupInbox
    bytes32 public immutable rollupId;
    /// @inheritdoc IRollupInbox
    bytes32 public immutable stfId;
    /// @inheritdoc IRollupInbox
    uint256 public immutable createdAt;
    uint256 private immutable _chainId;
    bytes32 private immutable _domainSeparator;
    /// @dev The genesis names no builder, so there never is one.
    bool private immutable _isBased;

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

    // Settling.

    /// @inheritdoc IRollupInbox
    function settleBlobs(Header calldata header, Claim calldata claim, bytes calldata signatures) external {
        _verifyHasBuilder();
        Head memory head = _head;
        _verifySubmitter(head);
        _settle(head, header, claim, signatures, _computeBlobDataHash(), true);
    }

    /// @inheritdoc IRollupInbox
    function settleCalldata(
        Header calldata header,
        Claim calldata claim,
        bytes calldata signatures,
        bytes calldata batch
    ) external {
        Head memory head = _head;
        bytes32 dataHash = BASED_DATA_HASH;
        if (_isBased) {
            if (batch.length != 0) revert Based();
        } else {
            if (msg.sender != tx.origin || msg.sender.code.length != 0) revert NotTopLevel(msg.sender);
            _verifySubmitter(head);
            if (batch.length > MAX_BATCH_BYTES) revert BatchTooLarge(MAX_BATCH_BYTES, batch.length);
            dataHash = keccak256(abi.encodePacked(uint8(1), batch));
        }
        _settle(head, header, claim, signatures, dataHash, false);
    }

    function _settle(
        Head memory head,
        Header calldata header,
        Claim calldata claim,
        bytes calldata signatures,
        bytes32 dataHash,
        bool inBlobs
    ) private {
        _verifyRange(header);
        _verifyPlace(head, header);
        _verifyTime(head, header);
        _verifyForced(head, header);
        _verifyClaim(head, header, claim, dataHash);
        bytes32 blockHash = _computeBlockHash(header);
        bytes32 digest = Attestations.computeDigest(domainSeparator(), claim, header, blockHash);
        VerifierSets.verify(VerifierSets.load(_verifiers.at(block.number)), header.stfId, digest, signatures);

        _stateRoot = header.stateRoot;
        _blockHash = blockHash;
        // Each of these was compared with a number that fits.
        _head = Head(
            uint64(header.height),
            uint32(header.forcedCount),
            uint40(header.timestamp),
            uint40(header.l1Origin),
            uint40(block.number),
            uint40(block.timestamp)
        );
        emit BatchSettled(claim.firstHeight, header.height, msg.sender, dataHash, inBlobs, header, signatures);
    }

    function _verifyHasBuilder() private view {
        if (_isBased) revert Based();
    }

    function _verifySubmitter(Head memory head) private view {
        address current = _builder.at(block.number);
        if (msg.sender != current && block.number - head.l1Number <= BUILDER_SILENCE_BLOCKS) {
            revert NotBuilder(current, msg.sender);
        }
    }

    /// @dev Every word but the `bytes32` ones is below 2^64: what is settled must be what every reader can decode.
    function _verifyRange(Header calldata header) private pure {
        uint256 numbers = header.height | header.timestamp | header.l1Origin | header.forcedCount | header.firstSeq
            | header.actionCount;
        if (numbers <= type(uint64).max) return;
        uint256[6] memory found = [
            header.height, header.timestamp, header.l1Origin, header.forcedCount, header.firstSeq, header.actionCount
        ];
        uint8[6] memory words = [1, 3, 5, 6, 8, 9];
        uint256 i = 0;
        while (found[i] <= type(uint64).max) ++i;
        revert HeaderOutOfRange(words[i]);
    }

    function _verifyPlace(Head memory head, Header calldata header) private {
        if (header.rollupId != rollupId) revert WrongRollupId(rollupId, header.rollupId);
        _verifyCode(header);
        if (header.height <= head.height) {
            revert HeightGap(head.height, uint256(head.height) + 1, header.height);
        }
    }

    /// @dev The code of the settled block, or the one in force at the origin; which of the two, verifiers judge: only they
    /// see whether an upgrade succeeded.
    function _verifyCode(Header calldata header) private {
        bytes32 found = header.stfId;
        bytes32 before = _settledCode;
        if (found == (before == 0 ? stfId : before)) return;
        bytes32 expected = codeAt(header.l1Origin);
        if (found != expected) revert WrongStfId(expected, found);
        _settledCode = found;
    }

    function _verifyTime(Head memory head, Header calldata header) private view {
        if (header.timestamp < head.timestamp) revert StaleTimestamp(head.timestamp, header.timestamp);
        if (header.timestamp > block.timestamp) revert FutureTimestamp(block.timestamp, header.timestamp);
        uint256 lowest = head.l1Origin;
        if (!_isBased && block.number > lowest + MAX_ORIGIN_AGE_BLOCKS) lowest = block.number - MAX_ORIGIN_AGE_BLOCKS;
        if (header.l1Origin < lowest || header.l1Origin >= block.number) {
            revert BadOrigin(lowest, block.number - 1, header.l1Origin);
        }
    }

    /// @dev A batch may stop at 64 entries, since one block takes no more, although more are due. Of a based rollup it takes
    /// one at least; how many follow from the origin, verifiers judge.
    function _verifyForced(Head memory head, Header calldata header) private view {
        uint256 taken = header.forcedCount;
        uint256 length = _queue.length;
        if (taken > length) revert UnknownEntry(length, taken);
        bool tooFew = taken < head.forcedCount || (_isBased && taken == head.forcedCount);
        if (!_isBased && !tooFew && taken < length && taken < head.forcedCount + MAX_FORCED_PER_BLOCK) {
            tooFew = _queue[taken].inclusionBlock <= header.l1Origin;
        }
        if (tooFew) revert ForcedSkipped(head.forcedCount, taken, header.l1Origin);
        bytes32 expected = taken == 0 ? bytes32(0) : _queue[taken - 1].queueHash;
        if (header.forcedHash != expected) revert WrongForcedHash(expected, header.forcedHash);
    }

    function _verifyClaim(Head memory head, Header calldata header, Claim calldata claim, bytes32 dataHash)
        private
        view
    {
        if (claim.firstHeight != uint256(head.height) + 1) {
            revert HeightGap(head.height, claim.firstHeight, header.height);
        }
        if (claim.parentHash != _blockHash) revert WrongParent(_blockHash, claim.parentHash);
        if (claim.dataHash != dataHash) revert WrongData(dataHash, claim.dataHash);
    }

    function _computeBlockHash(Header calldata header) private pure returns (bytes32 blockHash) {
        // `abi.encode(header)` is the bytes in the calldata: fourteen full words.
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, header, HEADER_BYTES)
            blockHash := keccak256(free, HEADER_BYTES)
        }
    }

    /// @dev All blobs of the transaction, so that a reader need not be told which ones.
    function _computeBlobDataHash() private view returns (bytes32) {
        if (blobhash(0) == 0) revert NoBlobs();
        bytes memory hashes = hex"02";
        uint256 count = 0;
        for (bytes32 hash = blobhash(0); hash != 0; hash = blobhash(count)) {
            hashes = bytes.concat(hashes, hash);
            ++count;
        }
        if (count * BLOB_BYTES > MAX_BATCH_BYTES) revert BatchTooLarge(MAX_BATCH_BYTES, count * BLOB_BYTES);
        return keccak256(hashes);
    }

    // The queue of forced actions.

    /// @inheritdoc IRollupInbox
    function force(bytes calldata payload) external returns (uint256 index) {
        return _force(payload);
    }

    /// @inheritdoc IRollupInbox
    function forceMany(bytes[] calldata payloads) external returns (uint256 index) {
        index = _queue.length;
        for (uint256 i = 0; i < payloads.length; ++i) {
            _force(payloads[i]);
        }
    }

    function _force(bytes calldata payload) private returns (uint256 index) {
        if (payload.length > MAX_PAYLOAD_BYTES) revert PayloadTooLarge(MAX_PAYLOAD_BYTES, payload.length);
        index = _queue.length;
        // What `Head.forcedCount` can hold: years of all of Ethereum's gas.
        if (index == type(uint32).max) revert UnknownEntry(index, index);
        bytes32 hash = keccak256(abi.encode(queueHash(index), msg.sender, block.number, keccak256(payload)));
        _queue.push(Entry(hash, uint40(block.number), 0, 0));
        emit ActionForced(index, msg.sender, block.number, payload, hash);
    }

    // What the owner announces.

    /// @inheritdoc IRollupInbox
    function void(uint256 index) external returns (uint256 effectiveBlock) {
        _verifyHasBuilder();
        effectiveBlock = _verifyOwner();
        Entry storage voided = _getEntry(index);
        uint256 known = _getVoid(voided);
        if (known != 0) revert AlreadyVoided(index, known);
        uint256 earliest = voided.inclusionBlock + VOID_AGE_BLOCKS;
        if (effectiveBlock < earliest) effectiveBlock = earliest;
        voided.voidAnnounced = uint40(block.number);
        voided.voidedFrom = uint40(effectiveBlock);
        emit ActionVoided(index, effectiveBlock);
    }

    /// @inheritdoc IRollupInbox
    function changeVerifiers(VerifierSet calldata set) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        address pointer = VerifierSets.store(set, _pages);
        if (!_isOwnerLeaving()) _verifiers.announce(pointer, effectiveBlock);
        emit VerifiersChanged(effectiveBlock, VerifierSets.computeId(set), set);
    }

    /// @inheritdoc IRollupInbox
    function registerKeys(bytes calldata keys, bytes calldata proofs) external returns (address page) {
        page = VerifierSets.register(keys, proofs);
        _pages[page] = true;
        emit KeysRegistered(page, keys);
    }

    /// @inheritdoc IRollupInbox
    function changeBuilder(address next) external returns (uint256 effectiveBlock) {
        _verifyHasBuilder();
        effectiveBlock = _verifyOwner();
        if (next == address(0)) revert ZeroBuilder();
        if (!_isOwnerLeaving()) _builder.announce(next, effectiveBlock);
        emit BuilderChanged(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function announceCode(bytes32 next) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        if (next == 0) revert ZeroCode();
        if (!_isOwnerLeaving()) {
            _code.announce(address(0), effectiveBlock);
            _codes[effectiveBlock] = next;
        }
        emit CodeAnnounced(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function changeOwner(address next) external returns (uint256 effectiveBlock) {
        effectiveBlock = _verifyOwner();
        if (!_isOwnerLeaving()) {
            _owner.announce(next, effectiveBlock);
            // What was announced earlier in this very block would come into force together with the new owner.
            if (_verifiers.newest.effective == effectiveBlock) _verifiers.takeBack();
            if (_builder.newest.effective == effectiveBlock) _builder.takeBack();
            if (_code.newest.effective == effectiveBlock) _code.takeBack();
            if (next == address(0)) _verifyOwnerless();
        }
        emit OwnerChanged(effectiveBlock, next);
    }

    /// @inheritdoc IRollupInbox
    function cancel(Announcement kind) external returns (uint256 effectiveBlock) {
        _verifyOwner();
        Schedule.Changes storage changes =
            kind == Announcement.Verifiers ? _verifiers : kind == Announcement.Builder ? _builder : _code;
        effectiveBlock = changes.newest.effective;
        _verifyCancel(uint256(kind), effectiveBlock);
        changes.takeBack();
        if (_isOwnerLeaving() && _owner.newest.value == address(0)) _verifyOwnerless();
        emit AnnouncementCancelled(kind, effectiveBlock);
    }

    /// @inheritdoc IRollupInbox
    function cancelVoid(uint256 index) external returns (uint256 effectiveBlock) {
        _verifyOwner();
        Entry storage voided = _getEntry(index);
        effectiveBlock = _getVoid(voided);
        _verifyCancel(index, effectiveBlock);
        voided.voidedFrom = 0;
        emit VoidCancelled(index, effectiveBlock);
    }

    /// @dev The newest set is the one that stays when nobody is the owner.
    function _verifyOwnerless() private view {
        if (VerifierSets.needsOwner(_verifiers.newest.value)) revert NeedsOwner();
    }

    function _verifyCancel(uint256 what, uint256 effectiveBlock) private view {
        if (effectiveBlock <= block.number) revert NothingPending(what);
        if (effectiveBlock <= block.number + CANCEL_MARGIN_BLOCKS) revert CancelledTooLate(effectiveBlock, block.number);
    }

    /// @dev Whether another owner is announced, which nothing can stop: what this one announces from then on would take
    /// effect in the other's first three days, so it never does. That goes for yet another owner too: the first stands.
    function _isOwnerLeaving() private view returns (bool) {
        return _owner.newest.effective > block.number;
    }

    /// @dev From when an entry is voided; 0 if it is not, or if its void ends with the owner who announced it.
    function _getVoid(Entry storage voided) private view returns (uint256 voidedFrom) {
        voidedFrom = voided.voidedFrom;
        if (voidedFrom == 0) return 0;
        uint256 next = _owner.findNext(voided.voidAnnounced);
        if (next != 0 && next <= voidedFrom) return 0;
    }

    /// @dev Gives the block from which what the owner announces now is in force. Zero owns nothing, even where a
    /// simulated call may come from it.
    function _verifyOwner() private view returns (uint256) {
        address current = owner();
        if (msg.sender != current || current == address(0)) revert NotOwner(current, msg.sender);
        return block.number + CHANGE_DELAY_BLOCKS;
    }

    // What anybody can ask.

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

    /// @inheritdoc IRollupInbox
    function owner() public view returns (address) {
        return _owner.at(block.number);
    }

    /// @inheritdoc IRollupInbox
    function codeAt(uint256 number) public view returns (bytes32) {
        uint256 effective = _code.findEffective(number);
        return effective == 0 ? stfId : _codes[effective];
    }

    /// @inheritdoc IRollupInbox
    function builder() external view returns (address) {
        return _builder.at(block.number);
    }

    /// @inheritdoc IRollupInbox
    function verifiers() external view returns (VerifierSet memory set) {
        return VerifierSets.load(_verifiers.at(block.number)).set;
    }

    /// @inheritdoc IRollupInbox
    function queueLength() external view returns (uint256) {
        return _queue.length;
    }

    /// @inheritdoc IRollupInbox
    function queueHash(uint256 index) public view returns (bytes32) {
        if (index > _queue.length) revert UnknownEntry(_queue.length, index);
        return index == 0 ? bytes32(0) : _queue[index - 1].queueHash;
    }

    /// @inheritdoc IRollupInbox
    function entry(uint256 index) external view returns (uint256 inclusionBlock, uint256 voidedFrom) {
        Entry storage found = _getEntry(index);
        return (found.inclusionBlock, _getVoid(found));
    }

    function _getEntry(uint256 index) private view returns (Entry storage) {
        if (index >= _queue.length) revert UnknownEntry(_queue.length, index);
        return _queue[index];
    }

    // The rollup's identity.

    function _computeRollupId(Genesis memory genesis) private pure returns (bytes32) {
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
