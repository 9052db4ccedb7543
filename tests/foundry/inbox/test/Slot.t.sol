// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IBatchVerifier} from "microrollup/IBatchVerifier.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {BlsTest} from "./BlsTest.sol";
import {EnclaveAdapter, HostileVerifier, RiscZeroAdapter, Sp1Adapter, VendorMock} from "./Slot.sol";

/// @notice Contracts that verify proofs beside the verifiers' signatures: what counts, what does not, what they cannot do.
contract SlotTest is BlsTest {
    uint8 private constant COUNT = 0;
    uint8 private constant REQUIRE = 1;

    HostileVerifier private hostile = new HostileVerifier();

    function one(IRollupInbox.Rule memory rule) private pure returns (IRollupInbox.Rule[] memory rules) {
        rules = new IRollupInbox.Rule[](1);
        rules[0] = rule;
    }

    function noProofs() private pure returns (IRollupInbox.Proof[] memory) {
        return new IRollupInbox.Proof[](0);
    }

    function proofOfRule(uint8 rule, bytes memory proof) private pure returns (IRollupInbox.Proof[] memory proofs) {
        proofs = new IRollupInbox.Proof[](1);
        proofs[0] = IRollupInbox.Proof(rule, proof);
    }

    function withProofs(bytes memory signatures, IRollupInbox.Proof[] memory proofs) private pure returns (bytes memory) {
        return bytes.concat(hex"02", abi.encode(signatures, proofs));
    }

    function setWith(uint256 quorum, IRollupInbox.Rule[] memory rules)
        private
        view
        returns (IRollupInbox.VerifierSet memory)
    {
        return IRollupInbox.VerifierSet(0, addressesOf(keys), quorum, rules);
    }

    function signedBy(Proposal memory proposal, uint256 count) private view returns (bytes memory joined) {
        for (uint256 i = 0; i < count; ++i) {
            joined = bytes.concat(joined, sign(keys[i], digestOf(proposal)));
        }
        return ecdsa(joined);
    }

    function unmet(uint256 rule, address verifier) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.RuleUnmet.selector, rule, verifier);
    }

    function tooFew(uint256 quorum, uint256 found) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, quorum, found);
    }

    // The vendors' interfaces.

    /// @notice A proof counts for the statement and the code that it is of, and for nothing else.
    function test_RiscZero() public {
        bytes32 imageId = keccak256("image");
        counts(address(new RiscZeroAdapter(new VendorMock(), STF_ID, imageId)), imageId, 0);
    }

    function test_Sp1() public {
        bytes32 programVKey = keccak256("program");
        counts(address(new Sp1Adapter(new VendorMock(), STF_ID, programVKey)), programVKey, 1);
    }

    function test_Enclave() public {
        counts(address(new EnclaveAdapter(vm.addr(77), STF_ID)), 0, 2);
    }

    function prove(bytes32 statement, bytes32 program, uint256 vendor) private pure returns (bytes memory) {
        if (vendor == 0) return abi.encode(program, sha256(abi.encodePacked(statement)));
        if (vendor == 1) return abi.encode(program, abi.encodePacked(statement));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(77, statement);
        return abi.encode(r, s, v);
    }

    function counts(address adapter, bytes32 program, uint256 vendor) private {
        useSet(setWith(4, one(IRollupInbox.Rule(COUNT, adapter, 2))));
        Proposal memory proposal = propose();
        bytes memory proof = prove(digestOf(proposal), program, vendor);
        bytes memory two = signedBy(proposal, 2);
        refuseRaw(proposal, withProofs(two, noProofs()), tooFew(4, 2));
        refuseRaw(proposal, withProofs(signedBy(proposal, 1), proofOfRule(0, proof)), tooFew(4, 3));
        bytes memory other = prove(keccak256("other"), program, vendor);
        refuseRaw(proposal, withProofs(two, proofOfRule(0, other)), unmet(0, adapter));
        bytes memory good = withProofs(two, proofOfRule(0, proof));
        proposal.header.stateRoot = keccak256("wrong"); // neither signatures nor proof are of this
        vm.prank(builder, builder);
        (bool taken,) = address(inbox).call(
            abi.encodeCall(IRollupInbox.settleCalldata, (proposal.header, proposal.claim, good, proposal.batch))
        );
        require(!taken, "taken");
        proposal = propose();
        settleRaw(proposal, good);
    }

    /// @notice With another code in force, the adapter of the old one says no.
    function test_CodeAndProgramAreOne() public {
        address adapter = address(new EnclaveAdapter(vm.addr(77), STF_ID));
        useSet(setWith(4, one(IRollupInbox.Rule(COUNT, adapter, 2))));
        vm.prank(owner);
        inbox.announceCode(keccak256("next"));
        pass(DELAY + 2);
        Proposal memory proposal = propose();
        proposal.header.stfId = keccak256("next");
        bytes memory proof = prove(digestOf(proposal), 0, 2);
        refuseRaw(proposal, withProofs(signedBy(proposal, 2), proofOfRule(0, proof)), unmet(0, adapter));
    }

    // Rules.

    /// @notice What is required counts nothing, and without it nothing settles.
    function test_Require() public {
        useSet(setWith(2, one(IRollupInbox.Rule(REQUIRE, address(hostile), 0))));
        Proposal memory proposal = propose();
        refuseRaw(proposal, withProofs(signedBy(proposal, 3), noProofs()), unmet(0, address(hostile)));
        refuseRaw(proposal, withProofs(signedBy(proposal, 1), proofOfRule(0, "")), tooFew(2, 1));
        settleRaw(proposal, withProofs(signedBy(proposal, 2), proofOfRule(0, "")));
    }

    /// @notice BLS keys and proofs together.
    function test_KeysAndProofs() public {
        secrets = sortSecrets(5);
        IRollupInbox.VerifierSet memory set = setOfPages(register(secrets), 5);
        set.rules = one(IRollupInbox.Rule(COUNT, address(hostile), 2));
        useSet(set);
        Proposal memory proposal = propose();
        refuseRaw(proposal, withProofs(aggregate(digestOf(proposal), 2), noProofs()), tooFew(5, 3));
        refuseRaw(
            proposal, aggregate(digestOf(proposal), 0), abi.encodeWithSelector(IRollupInbox.WrongKind.selector, 2, 1)
        );
        settleRaw(proposal, withProofs(aggregate(digestOf(proposal), 2), proofOfRule(0, "")));
    }

    /// @notice Proofs come once each, in the order of the rules, for rules that exist, in one encoding.
    function test_Form() public {
        IRollupInbox.Rule[] memory rules = new IRollupInbox.Rule[](2);
        HostileVerifier second = new HostileVerifier();
        (address low, address high) = address(hostile) < address(second)
            ? (address(hostile), address(second))
            : (address(second), address(hostile));
        (rules[0], rules[1]) = (IRollupInbox.Rule(COUNT, low, 1), IRollupInbox.Rule(COUNT, high, 1));
        useSet(setWith(4, rules));
        Proposal memory proposal = propose();
        bytes memory two = signedBy(proposal, 2);
        IRollupInbox.Proof[] memory proofs = new IRollupInbox.Proof[](2);
        uint8[3] memory first = [uint8(0), 1, 2];
        uint8[3] memory next = [uint8(0), 0, 0];
        uint8[3] memory named = [uint8(0), 0, 2];
        for (uint256 i = 0; i < 3; ++i) {
            (proofs[0], proofs[1]) = (IRollupInbox.Proof(first[i], ""), IRollupInbox.Proof(next[i], ""));
            refuseRaw(
                proposal, withProofs(two, proofs), abi.encodeWithSelector(IRollupInbox.UnknownRule.selector, named[i])
            );
        }
        (proofs[0], proofs[1]) = (IRollupInbox.Proof(0, ""), IRollupInbox.Proof(1, ""));
        bytes memory good = withProofs(two, proofs);
        bytes memory error = abi.encodeWithSelector(IRollupInbox.WrongEncoding.selector);
        refuseRaw(proposal, bytes.concat(good, hex"00"), error);
        refuseRaw(proposal, bytes.concat(good, new bytes(32)), error);
        settleRaw(proposal, good);
    }

    /// @notice Weights by which two quorums could share nothing, or a proof alone be one, are refused.
    function test_Weights() public {
        address verifier = address(hostile);
        announce(4, one(IRollupInbox.Rule(COUNT, verifier, 2)), 0);
        announce(3, one(IRollupInbox.Rule(COUNT, verifier, 2)), 0);
        announce(2, one(IRollupInbox.Rule(COUNT, verifier, 1)), 4); // half of all
        announce(3, one(IRollupInbox.Rule(COUNT, verifier, 3)), 3); // the proof alone
        announce(5, one(IRollupInbox.Rule(COUNT, verifier, 1)), 4); // more than there is
        announce(3, one(IRollupInbox.Rule(COUNT, verifier, 0)), 3);
        announce(2, one(IRollupInbox.Rule(REQUIRE, verifier, 1)), 3);
        announce(2, one(IRollupInbox.Rule(REQUIRE, verifier, 0)), 0);
        announce(2, one(IRollupInbox.Rule(2, verifier, 0)), 3);
        announce(2, one(IRollupInbox.Rule(REQUIRE, address(0), 0)), 3);
        announce(3, one(IRollupInbox.Rule(COUNT, verifier, type(uint256).max)), 3);
        IRollupInbox.Rule[] memory rules = new IRollupInbox.Rule[](5);
        for (uint160 i = 0; i < 5; ++i) {
            rules[i] = IRollupInbox.Rule(REQUIRE, address(i + 1), 0);
        }
        announce(2, rules, 3);
        rules = new IRollupInbox.Rule[](4);
        for (uint160 i = 0; i < 4; ++i) {
            rules[i] = IRollupInbox.Rule(REQUIRE, address(i + 1), 0);
        }
        announce(2, rules, 0);
        rules[3].verifier = address(3);
        announce(2, rules, 3);
    }

    /// @dev `total` is what the error says; 0 for none.
    function announce(uint256 quorum, IRollupInbox.Rule[] memory rules, uint256 total) private {
        IRollupInbox.VerifierSet memory set = setWith(quorum, rules);
        if (total > 0) vm.expectRevert(abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, total, quorum));
        vm.prank(owner);
        inbox.changeVerifiers(set);
    }

    // Hostile verifiers.

    /// @notice Whatever it answers but its selector in 32 bytes is a no, and costs at most the gas cap.
    function test_HostileAnswers() public {
        useSet(setWith(2, one(IRollupInbox.Rule(REQUIRE, address(hostile), 0))));
        Proposal memory proposal = propose();
        bytes memory signatures = withProofs(signedBy(proposal, 2), proofOfRule(0, "proof"));
        hostile.setCall(
            abi.encodeCall(IRollupInbox.settleCalldata, (proposal.header, proposal.claim, signatures, proposal.batch))
        );
        for (uint256 way = 1; way <= uint256(type(HostileVerifier.Way).max); ++way) {
            hostile.setWay(HostileVerifier.Way(way));
            uint256 before = gasleft();
            refuseRaw(proposal, signatures, unmet(0, address(hostile)));
            require(before - gasleft() < 1_600_000, "gas");
        }
        hostile.setWay(HostileVerifier.Way.Yes);
        settleRaw(proposal, signatures);
    }

    /// @notice A call to no code succeeds, and counts nothing.
    function test_NoCode() public {
        useSet(setWith(2, one(IRollupInbox.Rule(REQUIRE, stranger, 0))));
        Proposal memory proposal = propose();
        refuseRaw(proposal, withProofs(signedBy(proposal, 3), proofOfRule(0, "")), unmet(0, stranger));
    }

    /// @notice It changes its mind: from then on nothing settles, until its removal holds, after the owner's delay.
    function test_ChangesItsMind() public {
        useSet(setWith(2, one(IRollupInbox.Rule(REQUIRE, address(hostile), 0))));
        Proposal memory proposal = propose();
        settleRaw(proposal, withProofs(signedBy(proposal, 2), proofOfRule(0, "")));
        hostile.setWay(HostileVerifier.Way.Revert);
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addressesOf(keys), 2));
        pass(DELAY - 1);
        proposal = propose();
        refuseRaw(proposal, withProofs(signedBy(proposal, 3), proofOfRule(0, "")), unmet(0, address(hostile)));
        pass(1);
        proposal = propose();
        settleRaw(proposal, signedBy(proposal, 2));
    }

    /// @notice Where it only counts, it stops nothing that has enough signatures.
    function test_CountingStopsNothing() public {
        useSet(setWith(3, one(IRollupInbox.Rule(COUNT, address(hostile), 2))));
        hostile.setWay(HostileVerifier.Way.BurnGas);
        Proposal memory proposal = propose();
        settleRaw(proposal, withProofs(signedBy(proposal, 3), noProofs()));
    }

    /// @notice With less gas than it may use, it is not asked.
    function test_TooLittleGas() public {
        useSet(setWith(2, one(IRollupInbox.Rule(REQUIRE, address(hostile), 0))));
        Proposal memory proposal = propose();
        bytes memory input = abi.encodeCall(
            IRollupInbox.settleCalldata,
            (proposal.header, proposal.claim, withProofs(signedBy(proposal, 2), proofOfRule(0, "")), proposal.batch)
        );
        vm.prank(builder, builder);
        (bool taken, bytes memory error) = address(inbox).call{gas: 1_000_000}(input);
        require(!taken && bytes4(error) == IRollupInbox.TooLittleGas.selector, "gas");
        vm.prank(builder, builder);
        (taken,) = address(inbox).call{gas: 1_200_000}(input);
        require(taken, "enough");
    }

    /// @notice While a proof is required, or would be again, somebody owns the inbox.
    function test_NeedsOwner() public {
        IRollupInbox.VerifierSet memory requiring =
            setWith(2, one(IRollupInbox.Rule(REQUIRE, address(hostile), 0)));
        vm.prank(owner);
        inbox.changeVerifiers(requiring);
        pass(1);
        bytes memory error = abi.encodeWithSelector(IRollupInbox.NeedsOwner.selector);
        vm.expectRevert(error);
        vm.prank(owner);
        inbox.changeOwner(address(0));
        vm.prank(owner);
        inbox.changeVerifiers(setOf(addressesOf(keys), 2));
        pass(1);
        vm.prank(owner);
        inbox.changeOwner(address(0));
        pass(1);
        vm.expectRevert(error); // the set before would be in force then
        vm.prank(owner);
        inbox.cancel(IRollupInbox.Announcement.Verifiers);
        pass(DELAY);
        equal(address(0), inbox.owner());
        equal(0, inbox.verifiers().rules.length);
    }
}
