// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice Who signed, for what, in which form.
contract AttestationTest is InboxTest {
    function malleable(bytes memory signature) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.MalleableSignature.selector, signature);
    }

    /// @notice The batch is refused if the first verifier signed `digest` instead; with the right one it is taken.
    function refuseSigned(Proposal memory proposal, bytes32 digest) private {
        bytes memory wrong = sign(keys[0], digest);
        proposal.signatures = bytes.concat(wrong, sign(keys[1], digest));
        refuse(proposal, foreign(signerOf(digestOf(proposal), wrong)));
        attest(proposal);
        settle(proposal);
    }

    /// @notice Signatures come in any order, and all three may come.
    function test_AnyOrder() public {
        Proposal memory proposal = propose();
        bytes32 digest = digestOf(proposal);
        proposal.signatures = bytes.concat(sign(keys[2], digest), sign(keys[0], digest), sign(keys[1], digest));
        settle(proposal);
    }

    /// @notice One of three is too few, none too; two are enough.
    function test_TooFewAttestations() public {
        Proposal memory proposal = propose();
        proposal.signatures = "";
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, 2, 0));
        proposal.signatures = sign(keys[1], digestOf(proposal));
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, 2, 1));
        attest(proposal);
        settle(proposal);
    }

    /// @notice One signature repeated is no quorum, nor is another signature of the same key.
    function test_DuplicateAttester() public {
        Proposal memory proposal = propose();
        bytes memory one = sign(keys[1], digestOf(proposal));
        proposal.signatures = bytes.concat(one, one);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.DuplicateAttester.selector, vm.addr(keys[1])));
        attest(proposal);
        proposal.signatures = bytes.concat(proposal.signatures, one);
        refuse(proposal, abi.encodeWithSelector(IRollupInbox.DuplicateAttester.selector, vm.addr(keys[1])));
    }

    /// @notice A stranger's signature spoils a batch, even beside a quorum; strange comes before duplicate.
    function test_ForeignAttester() public {
        Proposal memory proposal = propose();
        uint256 key = uint256(keccak256("stranger"));
        bytes memory strange = sign(key, digestOf(proposal));
        bytes memory good = proposal.signatures;
        proposal.signatures = bytes.concat(good, strange);
        refuse(proposal, foreign(stranger));
        proposal.signatures = bytes.concat(strange, strange);
        refuse(proposal, foreign(stranger));
        proposal.signatures = good;
        settle(proposal);
    }

    /// @notice The second form of a signature, the other v, another length: each is refused by name.
    function test_MalleableSignature() public {
        Proposal memory proposal = propose();
        bytes32 digest = digestOf(proposal);
        bytes memory good = sign(keys[0], digest);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[1], digest);
        bytes memory high = abi.encodePacked(r, bytes32(ORDER - uint256(s)), uint8(55 - v));
        bytes[7] memory bad = [
            high,
            abi.encodePacked(r, s, v - 27),
            abi.encodePacked(r, s, uint8(29)),
            abi.encodePacked(r, s),
            abi.encodePacked(bytes32(0), s, v),
            abi.encodePacked(r, bytes32(0), v),
            abi.encodePacked(bytes32(ORDER), s, v)
        ];
        for (uint256 i = 0; i < bad.length; ++i) {
            proposal.signatures = bytes.concat(good, bad[i]);
            refuse(proposal, malleable(bad[i]));
        }
        proposal.signatures = bytes.concat(good, abi.encodePacked(r, s, v), hex"00");
        refuse(proposal, malleable(hex"00"));
        proposal.signatures = bytes.concat(good, abi.encodePacked(r, s, v));
        settle(proposal);
    }

    /// @notice Attested for another inbox with the same verifiers and the same rollup id.
    function test_OtherInbox() public {
        IRollupInbox other = deploy(makeGenesis(), makeDomain(), owner);
        equal(other.rollupId(), inbox.rollupId());
        require(other.domainSeparator() != inbox.domainSeparator());
        Proposal memory proposal = propose();
        refuseSigned(proposal, digestOf(domainOf("microrollup", block.chainid, address(other)), proposal));
    }

    /// @notice Attested for the inbox of the same address on another chain.
    function test_OtherChain() public {
        Proposal memory proposal = propose();
        refuseSigned(proposal, digestOf(domainOf("microrollup", 1, address(inbox)), proposal));
    }

    /// @notice After a fork that takes another chain id, attestations of the old chain hold there no more.
    function test_ForkedChain() public {
        Proposal memory proposal = propose();
        bytes memory wrong = proposal.signatures;
        vm.chainId(4242);
        equal(domainOf("microrollup", 4242, address(inbox)), inbox.domainSeparator());
        bytes32 digest = digestOf(domainOf("microrollup", 4242, address(inbox)), proposal);
        refuse(proposal, foreign(signerOf(digest, wrong)));
        proposal.signatures = bytes.concat(sign(keys[0], digest), sign(keys[1], digest));
        settle(proposal);
    }

    /// @notice Attested in another protocol's domain.
    function test_OtherDomainName() public {
        Proposal memory proposal = propose();
        refuseSigned(proposal, digestOf(domainOf("macrorollup", block.chainid, address(inbox)), proposal));
    }

    /// @notice Attested for another rollup's header with otherwise equal words.
    function test_OtherRollup() public {
        Proposal memory proposal = propose();
        bytes32 id = proposal.header.rollupId;
        proposal.header.rollupId = keccak256("other");
        bytes32 digest = digestOf(proposal);
        proposal.header.rollupId = id;
        refuseSigned(proposal, digest);
    }

    /// @notice The text of the EIP-712 type is that of the Python verifiers: the domain separator is as computed here.
    function test_DomainSeparator() public view {
        equal(domainOf("microrollup", block.chainid, address(inbox)), inbox.domainSeparator());
    }

    /// @notice Any bit flipped in any signature refuses the batch.
    function testFuzz_FlippedBit(uint256 place) public {
        Proposal memory proposal = propose();
        place = bound(place, 0, proposal.signatures.length * 8 - 1);
        proposal.signatures[place / 8] ^= bytes1(uint8(1 << (place % 8)));
        vm.expectRevert();
        settle(proposal);
        equal(0, inbox.settled().height);
    }

    /// @notice Bytes that nobody signed settle nothing.
    function testFuzz_Garbage(bytes calldata signatures) public {
        Proposal memory proposal = propose();
        proposal.signatures = signatures;
        vm.expectRevert();
        settle(proposal);
        equal(0, inbox.settled().height);
    }

    /// @notice For any set and any choice of signers: settled exactly if the distinct ones are a quorum.
    function testFuzz_Quorum(uint256 count, uint256 quorum, uint256 chosen) public {
        count = bound(count, 1, 12);
        keys = sortKeys(count);
        IRollupInbox.Genesis memory genesis = makeGenesis();
        genesis.quorum = bound(quorum, count / 2 + 1, count);
        inbox = deploy(genesis, makeDomain(), owner);
        pass(1);
        Proposal memory proposal = propose();
        bytes32 digest = digestOf(proposal);
        proposal.signatures = "";
        uint256 found = 0;
        for (uint256 i = count; i > 0; --i) {
            if (chosen >> i & 1 == 0) continue;
            proposal.signatures = bytes.concat(proposal.signatures, sign(keys[i - 1], digest));
            ++found;
        }
        if (found < genesis.quorum) {
            refuse(
                proposal, abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, genesis.quorum, found)
            );
        } else {
            settle(proposal);
        }
    }
}
