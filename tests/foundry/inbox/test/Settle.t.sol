// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Where a batch stands: submitter, height, parent, time, data.
contract SettleTest is InboxTest {
    uint256 private constant BATCH_LIMIT = 6 * 31 * 4096;

    /// @notice A batch becomes the head, and its event tells all that a reader needs.
    function test_Settles() public {
        Proposal memory proposal = propose();
        proposal.header.height = 7; // seven blocks
        attest(proposal);
        vm.expectEmit(address(inbox));
        emit IRollupInbox.BatchSettled(
            1, 7, builder, proposal.claim.dataHash, false, proposal.header, ecdsa(proposal.signatures)
        );
        settle(proposal);
        equal(
            keccak256(
                abi.encode(
                    7,
                    keccak256(abi.encode(proposal.header)),
                    proposal.header.stateRoot,
                    proposal.header.timestamp,
                    0,
                    proposal.header.l1Origin,
                    block.number,
                    block.timestamp
                )
            ),
            keccak256(abi.encode(inbox.settled()))
        );
        settle(propose());
        equal(8, inbox.settled().height);
    }

    /// @notice The same batch again is refused: the height is the cursor.
    function test_HeightGap_Again() public {
        Proposal memory proposal = propose();
        settle(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.HeightGap.selector, 1, 2, 1));
    }

    /// @notice A batch that begins too high or too low is refused.
    function test_HeightGap() public {
        settle(propose());
        Proposal memory proposal = propose();
        proposal.header.height = 3;
        for (uint256 first = 1; first < 4; ++first) {
            proposal.claim.firstHeight = first;
            attest(proposal);
            if (first != 2) refuse(proposal, abi.encodeWithSelector(IRollupInbox.HeightGap.selector, 1, first, 3));
        }
        proposal.claim.firstHeight = 2;
        attest(proposal);
        settle(proposal);
    }

    /// @notice Above the greatest height nothing fits.
    function test_HeightGap_Large() public {
        Proposal memory proposal = propose();
        proposal.header.height = (1 << 64) - 1;
        attest(proposal);
        settle(proposal);
        equal((1 << 64) - 1, inbox.settled().height);
        pass(1);
        Proposal memory beyond = propose();
        beyond.header.height = (1 << 64) - 1;
        attest(beyond);
        refuse(
            beyond,
            abi.encodeWithSelector(IRollupInbox.HeightGap.selector, (1 << 64) - 1, 1 << 64, (1 << 64) - 1)
        );
    }

    /// @notice Every number of a header is below 2^64: what readers cannot decode must not settle, whoever attests it.
    function testFuzz_HeaderOutOfRange(uint256 place, uint256 value) public {
        uint256[6] memory words = [uint256(1), 3, 5, 6, 8, 9];
        uint256 word = words[place % 6];
        value |= 1 << (64 + value % 192);
        Proposal memory proposal = propose();
        IRollupInbox.Header memory header = proposal.header;
        assembly ("memory-safe") {
            mstore(add(header, mul(word, 32)), value)
        }
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.HeaderOutOfRange.selector, word));
        header.timestamp = 1 << 64; // of several the first one is named
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.HeaderOutOfRange.selector, word == 1 ? 1 : 3));
    }

    /// @notice What no other rule bounds may be the greatest number of 64 bits.
    function test_HeaderInRange() public {
        Proposal memory proposal = propose();
        proposal.header.firstSeq = type(uint64).max;
        proposal.header.actionCount = type(uint64).max;
        attest(proposal);
        settle(proposal);
        equal(keccak256(abi.encode(proposal.header)), inbox.settled().blockHash);
    }

    /// @notice A batch upon another block than the settled one is refused.
    function test_WrongParent() public {
        settle(propose());
        Proposal memory proposal = propose();
        bytes32 settled = proposal.claim.parentHash;
        proposal.claim.parentHash = keccak256("fork");
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.WrongParent.selector, settled, keccak256("fork")));
        proposal.claim.parentHash = settled;
        attest(proposal);
        settle(proposal);
    }

    /// @notice A header of another rollup is refused, although the quorum signed it.
    function test_WrongRollupId() public {
        Proposal memory proposal = propose();
        bytes32 id = proposal.header.rollupId;
        proposal.header.rollupId = keccak256("other");
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.WrongRollupId.selector, id, keccak256("other")));
    }

    /// @notice A header of another code is refused, although the quorum signed it.
    function test_WrongStfId() public {
        Proposal memory proposal = propose();
        proposal.header.stfId = keccak256("other code");
        attest(proposal);
        refuse(
            proposal, abi.encodeWithSelector(IRollupInbox.WrongStfId.selector, STF_ID, keccak256("other code"))
        );
        proposal.header.stfId = STF_ID;
        attest(proposal);
        settle(proposal);
    }

    /// @notice Time does not go back; it may stand still.
    function test_StaleTimestamp() public {
        settle(propose());
        uint256 settled = inbox.settled().timestamp;
        Proposal memory proposal = propose();
        proposal.header.timestamp = settled - 1;
        attest(proposal);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.StaleTimestamp.selector, settled, settled - 1));
        proposal.header.timestamp = settled;
        attest(proposal);
        settle(proposal);
    }

    /// @notice A block may be as new as the settling L1 block, not newer.
    function test_FutureTimestamp() public {
        Proposal memory proposal = propose();
        proposal.header.timestamp = block.timestamp + 1;
        attest(proposal);
        refuse(
            proposal,
            abi.encodeWithSelector(IRollupInbox.FutureTimestamp.selector, block.timestamp, block.timestamp + 1)
        );
        proposal.header.timestamp = block.timestamp;
        attest(proposal);
        settle(proposal);
    }

    function checkOrigins(uint256 lowest) private {
        Proposal memory proposal = propose();
        for (uint256 i = 0; i < 2; ++i) {
            proposal.header.l1Origin = i == 0 ? lowest - 1 : block.number;
            attest(proposal);
            refuse(
                proposal,
                abi.encodeWithSelector(
                    IRollupInbox.BadOrigin.selector, lowest, block.number - 1, proposal.header.l1Origin
                )
            );
        }
        proposal.header.l1Origin = lowest;
        attest(proposal);
        settle(proposal);
    }

    /// @notice The origin does not go back, and lies below the settling block.
    function test_BadOrigin() public {
        settle(propose());
        pass(5);
        checkOrigins(inbox.settled().l1Origin);
    }

    /// @notice The origin is at most two days old.
    function test_BadOrigin_Old() public {
        pass(20_000);
        checkOrigins(block.number - ORIGIN_AGE);
    }

    /// @notice Only the builder submits, until it has been silent for a day; then anybody, with a quorum as before.
    function test_NotBuilder() public {
        pass(SILENCE - 10); // the inbox was created ten blocks before
        Proposal memory proposal = propose();
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NotBuilder.selector, builder, stranger));
        settleAs(stranger, proposal);
        pass(1);
        bytes memory signatures = proposal.signatures;
        proposal.signatures = "";
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, 2, 0));
        settleAs(stranger, proposal);
        proposal.signatures = signatures;
        settleAs(stranger, proposal);
        proposal = propose();
        vm.expectRevert(abi.encodeWithSelector(IRollupInbox.NotBuilder.selector, builder, stranger));
        settleAs(stranger, proposal);
        settle(proposal);
    }

    /// @notice Other data than what was attested is refused, of whatever length.
    function test_WrongData() public {
        Proposal memory proposal = propose();
        bytes32 attested = proposal.claim.dataHash;
        bytes memory batch = proposal.batch;
        bytes[3] memory others = [bytes("other"), bytes(""), bytes.concat(batch, hex"00")];
        for (uint256 i = 0; i < 3; ++i) {
            proposal.batch = others[i];
            refuse(
                proposal, abi.encodeWithSelector(IRollupInbox.WrongData.selector, hashBatch(others[i]), attested)
            );
        }
        proposal.batch = batch;
        settle(proposal);
    }

    /// @notice An attested header with other data: who claims the hash of those instead has no signatures for it.
    function test_AttestedHeaderWithOtherData() public {
        Proposal memory proposal = propose();
        proposal.batch = "other";
        proposal.claim.dataHash = hashBatch("other");
        refuse(proposal, foreign(signerOf(digestOf(proposal), proposal.signatures)));
    }

    /// @notice A batch in up to six blobs is settled with the hash over all of them.
    function test_SettlesBlobs() public {
        for (uint256 count = 1; count <= 6; ++count) {
            Proposal memory proposal = proposeBlobs(count);
            vm.expectEmit(address(inbox));
            emit IRollupInbox.BatchSettled(
                count, count, builder, proposal.claim.dataHash, true, proposal.header, ecdsa(proposal.signatures)
            );
            settleBlobs(proposal);
        }
    }

    /// @notice Seven blobs are more than a batch has.
    function test_BatchTooLarge_Blobs() public {
        Proposal memory proposal = proposeBlobs(7);
        refuseBlobs(
            proposal, abi.encodeWithSelector(IRollupInbox.BatchTooLarge.selector, BATCH_LIMIT, 7 * 31 * 4096)
        );
    }

    /// @notice The largest batch is taken from calldata; a byte more is refused.
    function test_BatchTooLarge() public {
        Proposal memory proposal = propose();
        proposal.batch = new bytes(BATCH_LIMIT + 1);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.BatchTooLarge.selector, BATCH_LIMIT, BATCH_LIMIT + 1));
        proposal.batch = new bytes(BATCH_LIMIT);
        proposal.claim.dataHash = hashBatch(proposal.batch);
        attest(proposal);
        settle(proposal);
    }

    /// @notice One blob missing, one too many, two swapped or none: refused.
    function test_WrongBlobs() public {
        Proposal memory proposal = proposeBlobs(3);
        bytes32[] memory hashes = makeBlobs(3);
        (hashes[0], hashes[1]) = (hashes[1], hashes[0]);
        bytes32[][3] memory others = [makeBlobs(2), makeBlobs(4), hashes];
        for (uint256 i = 0; i < 3; ++i) {
            vm.blobhashes(others[i]);
            refuseBlobs(
                proposal,
                abi.encodeWithSelector(
                    IRollupInbox.WrongData.selector, hashBlobs(others[i]), proposal.claim.dataHash
                )
            );
        }
        vm.blobhashes(new bytes32[](0));
        refuseBlobs(proposal, abi.encodeWithSelector(IRollupInbox.NoBlobs.selector));
        vm.blobhashes(makeBlobs(3));
        settleBlobs(proposal);
    }

    /// @notice A batch attested for blobs and settled as calldata, byte for byte the hashes, is refused.
    function test_BlobsAsCalldata() public {
        Proposal memory proposal = proposeBlobs(2);
        proposal.batch = abi.encodePacked(makeBlobs(2));
        refuse(
            proposal,
            abi.encodeWithSelector(
                IRollupInbox.WrongData.selector, hashBatch(proposal.batch), proposal.claim.dataHash
            )
        );
        settleBlobs(proposal);
    }

    /// @notice And the reverse: attested as calldata, settled with blobs of those very hashes.
    function test_CalldataAsBlobs() public {
        Proposal memory proposal = proposeBlobs(2);
        proposal.batch = abi.encodePacked(makeBlobs(2));
        proposal.claim.dataHash = hashBatch(proposal.batch);
        attest(proposal);
        refuseBlobs(
            proposal,
            abi.encodeWithSelector(
                IRollupInbox.WrongData.selector, hashBlobs(makeBlobs(2)), proposal.claim.dataHash
            )
        );
        settle(proposal);
    }

    /// @notice Each word of the header is under the block hash: changed after signing, it is refused.
    function testFuzz_HeaderIsAttested(uint256 word, uint256 bit) public {
        Proposal memory proposal = propose();
        IRollupInbox.Header memory header = proposal.header;
        word = bound(word, 0, 13);
        uint256 mask = 1 << (bit % 256);
        assembly ("memory-safe") {
            let place := add(header, mul(word, 32))
            mstore(place, xor(mload(place), mask))
        }
        bytes32 before = keccak256(abi.encode(inbox.settled()));
        vm.expectRevert();
        settle(proposal);
        equal(before, keccak256(abi.encode(inbox.settled())));
    }

    /// @notice Whatever heights and times an attested chain has, the head is the last header.
    function testFuzz_Settles(uint64 height, uint256 timestamp, uint256 origin, uint256 gap) public {
        for (uint256 i = 0; i < 3; ++i) {
            pass(bound(gap, 1, 9_000));
            IRollupInbox.Settled memory settled = inbox.settled();
            if (settled.height == type(uint64).max) return;
            Proposal memory proposal = propose();
            proposal.header.height = bound(height, settled.height + 1, type(uint64).max);
            proposal.header.timestamp = bound(timestamp, settled.timestamp, block.timestamp);
            uint256 lowest = settled.l1Origin;
            if (lowest + ORIGIN_AGE < block.number) lowest = block.number - ORIGIN_AGE;
            proposal.header.l1Origin = bound(origin, lowest, block.number - 1);
            attest(proposal);
            settle(proposal);
            settled = inbox.settled();
            equal(keccak256(abi.encode(proposal.header)), settled.blockHash);
            equal(proposal.header.height, settled.height);
            equal(proposal.header.timestamp, settled.timestamp);
            equal(proposal.header.l1Origin, settled.l1Origin);
            equal(proposal.header.stateRoot, settled.stateRoot);
            equal(block.number, settled.l1Number);
        }
    }
}
