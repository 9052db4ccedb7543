// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Attestations} from "./Attestations.sol";
import {ForcedQueue} from "./ForcedQueue.sol";
import {IRollupInbox} from "./IRollupInbox.sol";
import {InboxState} from "./InboxState.sol";
import {Schedule} from "./Schedule.sol";
import {VerifierSets} from "./VerifierSets.sol";

/// @title The inbox of one rollup on L1
/// @notice The rules, their order and their errors are those of the Python module `microrollup.settlement.inbox`.
/// Nothing here can be upgraded, no value is held, and what is called are precompiles and, without the right to change anything, the
/// verifiers of proofs that the owner announced; so nobody can enter it again while it works.
contract RollupInbox is ForcedQueue {
    using Schedule for Schedule.Changes;

    /// @dev Two days of 12-second blocks: so far behind the settling transaction a settled L1 origin may lie.
    uint256 private constant MAX_ORIGIN_AGE_BLOCKS = 14_400;
    /// @dev A day: after so many L1 blocks without a batch anybody may submit one.
    uint256 private constant BUILDER_SILENCE_BLOCKS = 7_200;
    /// @dev What a blob of 4,096 field elements carries, at 31 bytes each.
    uint256 private constant BLOB_BYTES = 31 * 4096;
    uint256 private constant MAX_BATCH_BYTES = 6 * BLOB_BYTES;
    uint256 private constant HEADER_BYTES = 14 * 32;
    /// @dev Of a based rollup, which publishes nothing.
    bytes32 private constant BASED_DATA_HASH = keccak256(hex"04");

    constructor(Genesis memory genesis, Domain memory domain, address firstOwner, bytes32 firstStfId)
        InboxState(genesis, domain, firstOwner, firstStfId)
    {}

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
}
