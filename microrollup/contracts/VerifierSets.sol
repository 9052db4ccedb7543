// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SSTORE2} from "solady/src/utils/SSTORE2.sol";

import {Attestations} from "./Attestations.sol";
import {Bls} from "./Bls.sol";
import {IBatchVerifier} from "./IBatchVerifier.sol";
import {IRollupInbox} from "./IRollupInbox.sol";

/// @title Sets of verifiers
/// @notice What a set may be, and whether a batch brings enough of it; the rules of the Python module `microrollup.settlement.quorum`.
library VerifierSets {
    uint256 internal constant ECDSA = 0;
    uint256 internal constant BLS = 1;
    /// @dev Of signatures only: what a set with rules brings, around those of its own kind.
    uint256 internal constant RULES = 2;
    /// @dev A rule: the proof counts as so many verifiers, or it must be there and counts nothing.
    uint256 internal constant COUNT = 0;
    uint256 internal constant REQUIRE = 1;

    uint256 private constant MAX_ADDRESSES = 256;
    uint256 private constant MAX_KEYS = 512;
    uint256 private constant MAX_KEYS_OF_A_PAGE = 64;
    uint256 private constant MAX_RULES = 4;
    uint256 private constant VERIFY_GAS = 1_000_000;
    /// @dev Where the inner signatures begin in the body of kind 2: two heads and a length before them, the kind before all.
    uint256 private constant INNER_OFFSET = 1 + 3 * 32;

    /// @dev The code at an announced address. `count` is how many verifiers there are; `sum` is the sum of their keys.
    struct Stored {
        IRollupInbox.VerifierSet set;
        uint256 count;
        bytes sum;
    }

    /// @notice Put a set where `load` finds it, if it is a good one whose pages are all registered.
    function store(IRollupInbox.VerifierSet memory set, mapping(address page => bool) storage pages)
        internal
        returns (address)
    {
        Stored memory stored;
        stored.set = set;
        if (set.kind == BLS) _sumPages(stored, pages);
        else stored.count = set.members.length;
        _verifyQuorum(stored);
        return SSTORE2.write(abi.encode(stored));
    }

    function load(address pointer) internal view returns (Stored memory) {
        return abi.decode(SSTORE2.read(pointer), (Stored));
    }

    /// @notice What tells a set from any other.
    function computeId(IRollupInbox.VerifierSet memory set) internal pure returns (bytes32) {
        return keccak256(abi.encode(set.kind, set.members, set.quorum, set.rules));
    }

    /// @notice Whether a proof is required of each batch: only an owner can take that back.
    function needsOwner(address pointer) internal view returns (bool) {
        IRollupInbox.Rule[] memory rules = load(pointer).set.rules;
        for (uint256 i = 0; i < rules.length; ++i) {
            if (rules[i].kind == REQUIRE) return true;
        }
        return false;
    }

    // What a set may be.

    /// @dev The addresses ascend strictly from above zero, so none is listed twice, and a failed recovery is none of them. The
    /// quorum is more than half of all that can count, so two quorums share something that counts.
    function _verifyQuorum(Stored memory stored) private pure {
        IRollupInbox.VerifierSet memory set = stored.set;
        uint256 total = stored.count;
        bool good = set.kind <= BLS && total <= (set.kind == BLS ? MAX_KEYS : MAX_ADDRESSES) && total > 0
            && set.rules.length <= MAX_RULES && set.quorum <= type(uint32).max;
        address lower = address(0);
        for (uint256 i = 0; good && set.kind == ECDSA && i < total; ++i) {
            good = set.members[i] > lower;
            lower = set.members[i];
        }
        lower = address(0);
        for (uint256 i = 0; good && i < set.rules.length; ++i) {
            IRollupInbox.Rule memory rule = set.rules[i];
            good = rule.verifier > lower
                && (rule.kind == COUNT ? rule.weight > 0 && rule.weight < set.quorum : rule.kind == REQUIRE && rule.weight == 0);
            lower = rule.verifier;
            if (good) total += rule.weight;
        }
        if (!good || set.quorum > total || 2 * set.quorum <= total) revert IRollupInbox.BadQuorum(total, set.quorum);
    }

    /// @dev The keys ascend over all pages, so that no key is there twice.
    function _sumPages(Stored memory stored, mapping(address page => bool) storage pages) private view {
        address[] memory members = stored.set.members;
        bytes memory last = new bytes(Bls.KEY_BYTES);
        for (uint256 i = 0; i < members.length; ++i) {
            if (!pages[members[i]]) revert IRollupInbox.UnknownPage(members[i]);
            bytes memory keys = SSTORE2.read(members[i]);
            if (!Bls.isAbove(_slice(keys, 0, Bls.KEY_BYTES), last)) revert IRollupInbox.UnknownPage(members[i]);
            last = _slice(keys, keys.length - Bls.KEY_BYTES, Bls.KEY_BYTES);
            stored.count += keys.length / Bls.KEY_BYTES;
            if (stored.count > MAX_KEYS) revert IRollupInbox.BadQuorum(stored.count, stored.set.quorum);
        }
        bytes memory all = new bytes((stored.count + 7) / 8);
        for (uint256 i = 0; i < stored.count; ++i) {
            all[i / 8] |= bytes1(uint8(1 << (i % 8)));
        }
        (, stored.sum) = Bls.sum(all, members);
    }

    /// @notice Make a page of keys in ascending order, each with the proof that somebody has its secret.
    function register(bytes calldata keys, bytes calldata proofs) internal returns (address page) {
        uint256 count = keys.length / Bls.KEY_BYTES;
        if (
            count == 0 || count > MAX_KEYS_OF_A_PAGE || keys.length != count * Bls.KEY_BYTES
                || proofs.length != count * Bls.SIGNATURE_BYTES
        ) revert IRollupInbox.WrongKeysLength(keys.length, proofs.length);
        bytes memory last = new bytes(Bls.KEY_BYTES);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory key = keys[i * Bls.KEY_BYTES:(i + 1) * Bls.KEY_BYTES];
            // Zeros, which are infinity, are not above zeros.
            if (!Bls.isAbove(key, last)) revert IRollupInbox.BadKey(i);
            bytes memory padded = Bls.pad(key);
            bytes memory proof = proofs[i * Bls.SIGNATURE_BYTES:(i + 1) * Bls.SIGNATURE_BYTES];
            // One check for each: in a sum over all, wrong proofs could cancel each other.
            if (!Bls.isSigned(Bls.compress(padded), Bls.PROOF_DST, padded, proof)) revert IRollupInbox.BadKey(i);
            last = key;
        }
        return SSTORE2.write(keys);
    }

    // What a batch brings.

    /// @notice Revert unless what comes with a batch is enough of a set.
    /// @param digest What its verifiers sign, which is also the statement of proofs.
    function verify(Stored memory stored, bytes32 stfId, bytes32 digest, bytes calldata signatures) internal view {
        IRollupInbox.VerifierSet memory set = stored.set;
        uint256 found = 0;
        if (set.rules.length > 0) {
            bytes calldata body = _open(RULES, signatures);
            (bytes memory inner, IRollupInbox.Proof[] memory proofs) =
                abi.decode(body, (bytes, IRollupInbox.Proof[]));
            // Readers of L1 must be able to decode what is taken here, so only one form of it is.
            if (keccak256(abi.encode(inner, proofs)) != keccak256(body)) revert IRollupInbox.WrongEncoding();
            found = _verifyProofs(set.rules, proofs, stfId, digest);
            signatures = signatures[INNER_OFFSET:INNER_OFFSET + inner.length];
        }
        bytes calldata attestations = _open(set.kind, signatures);
        found += set.kind == BLS
            ? _verifyAggregate(stored, digest, attestations)
            : Attestations.verify(digest, attestations, set.members);
        if (found < set.quorum) revert IRollupInbox.TooFewAttestations(set.quorum, found);
    }

    /// @dev What comes after the byte that says what it is.
    function _open(uint256 kind, bytes calldata signatures) private pure returns (bytes calldata body) {
        uint256 found = signatures.length == 0 ? type(uint8).max : uint8(signatures[0]);
        if (found != kind) revert IRollupInbox.WrongKind(kind, found);
        return signatures[1:];
    }

    /// @dev One signature by all but those whose bits are set. The pairing refuses a signature that is not a point of the subgroup.
    function _verifyAggregate(Stored memory stored, bytes32 digest, bytes calldata body) private view returns (uint256) {
        uint256 length = Bls.SIGNATURE_BYTES + (stored.count + 7) / 8;
        if (body.length != length) revert IRollupInbox.WrongAggregateLength(length, body.length);
        bytes memory absent = body[Bls.SIGNATURE_BYTES:];
        uint256 spare = 8 * absent.length - stored.count;
        if (uint8(absent[absent.length - 1]) >> (8 - spare) != 0) revert IRollupInbox.BadBitmap(stored.count, absent);
        bytes memory key = stored.sum;
        (uint256 missing, bytes memory total) = Bls.sum(absent, stored.set.members);
        if (missing > 0) key = Bls.subtract(key, total);
        if (
            Bls.isInfinity(key)
                || !Bls.isSigned(abi.encode(digest), Bls.SIGNATURE_DST, key, body[:Bls.SIGNATURE_BYTES])
        ) revert IRollupInbox.WrongAggregate(stored.count - missing);
        return stored.count - missing;
    }

    /// @dev The weight of the proofs, each for another rule, in the order of the rules; a rule that requires one has it.
    function _verifyProofs(
        IRollupInbox.Rule[] memory rules,
        IRollupInbox.Proof[] memory proofs,
        bytes32 stfId,
        bytes32 statement
    ) private view returns (uint256 weight) {
        uint256 next = 0;
        for (uint256 i = 0; i < rules.length; ++i) {
            if (next == proofs.length || proofs[next].rule != i) {
                if (rules[i].kind == REQUIRE) revert IRollupInbox.RuleUnmet(i, rules[i].verifier);
                continue;
            }
            if (!_isProven(rules[i].verifier, stfId, statement, proofs[next].proof)) {
                revert IRollupInbox.RuleUnmet(i, rules[i].verifier);
            }
            weight += rules[i].weight;
            ++next;
        }
        if (next != proofs.length) revert IRollupInbox.UnknownRule(proofs[next].rule);
    }

    /// @dev A caller with too little gas is told so; what the verifier does with enough of it is its own affair. A call to no code
    /// succeeds, and what comes back may be as long as gas allows: 32 bytes of it are looked at.
    function _isProven(address verifier, bytes32 stfId, bytes32 statement, bytes memory proof)
        private
        view
        returns (bool proven)
    {
        if (verifier.code.length == 0) return false;
        bytes memory input = abi.encodeCall(IBatchVerifier.verify, (stfId, statement, proof));
        bytes32 expected = IBatchVerifier.verify.selector;
        uint256 needed = VERIFY_GAS * 64 / 63 + 10_000;
        if (gasleft() < needed) revert IRollupInbox.TooLittleGas(needed, gasleft());
        assembly ("memory-safe") {
            proven := staticcall(VERIFY_GAS, verifier, add(input, 32), mload(input), 0, 32)
            proven := and(proven, and(eq(returndatasize(), 32), eq(mload(0), expected)))
        }
    }

    function _slice(bytes memory from, uint256 start, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(from, 32), start), length)
        }
    }
}
