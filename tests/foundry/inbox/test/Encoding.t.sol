// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Encodings of a call that `abi.encode` does not give. What is taken here, readers of L1 must be able to read:
/// `test_calldata_as_the_inbox_reads_them` in `tests/settlement/test_ethereum_answers.py` has the same forms.
contract EncodingTest is InboxTest {
    /// @dev Words before that of the batch's offset: the header's, the claim's, and the offset of the signatures.
    uint256 private constant BATCH_WORD = 14 + 3 + 1;

    function encode(Proposal memory proposal) private pure returns (bytes memory) {
        return abi.encodeCall(
            IRollupInbox.settleCalldata, (proposal.header, proposal.claim, ecdsa(proposal.signatures), proposal.batch)
        );
    }

    function send(bytes memory data) private returns (bool done) {
        vm.prank(builder, builder);
        (done,) = address(inbox).call(data);
    }

    function point(bytes memory data, uint256 offset) private pure {
        assembly ("memory-safe") {
            mstore(add(add(data, 36), mul(BATCH_WORD, 32)), offset)
        }
    }

    function cut(bytes memory data, uint256 bytes_) private pure {
        assembly ("memory-safe") {
            mstore(data, sub(mload(data), bytes_))
        }
    }

    function checkSettles(bytes memory data) private {
        uint256 height = inbox.settled().height;
        require(send(data), "taken");
        equal(height + 1, inbox.settled().height);
    }

    /// @notice Padding that is not zero, or is not there.
    function test_Padding() public {
        bytes memory data = encode(propose());
        data[data.length - 1] = 0x01;
        checkSettles(data);
        Proposal memory proposal = propose();
        data = encode(proposal);
        uint256 padding = 32 - proposal.batch.length % 32;
        cut(data, padding);
        bytes memory shorter = bytes.concat(data);
        cut(shorter, 1);
        require(!send(shorter), "a byte of the batch is missing");
        checkSettles(data);
    }

    /// @notice Bytes that nobody asks for, and a batch that stands behind them.
    function test_MoreBytes() public {
        checkSettles(bytes.concat(encode(propose()), new bytes(5_000)));
        Proposal memory proposal = propose();
        bytes memory data = encode(proposal);
        uint256 offset = data.length - 4;
        data = bytes.concat(data, abi.encode(proposal.batch.length), proposal.batch);
        point(data, offset);
        checkSettles(data);
    }

    /// @notice A batch that stands in the heads: the length is the word of `actionCount`.
    function test_Overlap() public {
        Proposal memory proposal = propose();
        proposal.header.actionCount = 64;
        proposal.batch = abi.encode(proposal.header.actionsRoot, proposal.header.receiptsRoot);
        proposal.claim.dataHash = hashBatch(proposal.batch);
        attest(proposal);
        bytes memory data = encode(proposal);
        point(data, 9 * 32);
        checkSettles(data);
    }

    /// @notice Offsets and lengths that lead out of the call, as far as sums that overflow, are refused.
    function test_OutOfBounds() public {
        bytes memory data = encode(propose());
        uint256 end = data.length - 4;
        uint256[6] memory offsets =
            [end, end - 31, type(uint64).max, uint256(1) << 255, type(uint256).max - 31, type(uint256).max];
        for (uint256 i = 0; i < offsets.length; ++i) {
            bytes memory changed = bytes.concat(data);
            point(changed, offsets[i]);
            require(!send(changed), "refused");
        }
        uint256[4] memory lengths = [end, type(uint64).max, uint256(1) << 255, type(uint256).max];
        for (uint256 i = 0; i < lengths.length; ++i) {
            bytes memory changed = bytes.concat(data, abi.encode(lengths[i]));
            point(changed, end);
            require(!send(changed), "refused");
        }
        checkSettles(data);
    }
}
