// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Bls} from "microrollup/Bls.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {BlsTest} from "./BlsTest.sol";

/// @notice Sets of BLS keys: who may be in one, and what such a set must bring.
contract BlsSetTest is BlsTest {
    uint256 private constant KEYS = 11;

    function setUp() public override {
        super.setUp();
        useKeys(KEYS, 6);
    }

    function wrong(uint256 present) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.WrongAggregate.selector, present);
    }

    function badKey(uint256 index) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IRollupInbox.BadKey.selector, index);
    }

    // What a batch brings.

    /// @notice With anybody absent, down to the quorum; one more is too many.
    function test_QuorumSettles() public {
        for (uint256 absent = 0; absent < 6; ++absent) {
            Proposal memory proposal = propose();
            if (absent == 0) {
                refuseRaw(
                    proposal,
                    aggregate(digestOf(proposal), 6),
                    abi.encodeWithSelector(IRollupInbox.TooFewAttestations.selector, 6, 5)
                );
            }
            settleRaw(proposal, aggregate(digestOf(proposal), absent));
            pass(1);
        }
    }

    /// @notice Whoever is said to be absent, and is not, or the other way round, spoils it.
    function test_WrongBitmap() public {
        Proposal memory proposal = propose();
        bytes memory good = aggregate(digestOf(proposal), 3);
        for (uint256 i = 0; i < KEYS; ++i) {
            bytes memory bad = bytes.concat(good);
            bad[129 + i / 8] ^= bytes1(uint8(1 << (i % 8)));
            refuseRaw(proposal, bad, wrong(i < 3 ? KEYS - 2 : KEYS - 4));
        }
        settleRaw(proposal, good);
    }

    /// @notice A bit of nobody is refused, whichever.
    function test_BitsBeyondTheKeys() public {
        Proposal memory proposal = propose();
        bytes memory good = aggregate(digestOf(proposal), 0);
        for (uint256 i = KEYS; i < 16; ++i) {
            bytes memory bad = bytes.concat(good);
            bad[130] |= bytes1(uint8(1 << (i % 8)));
            refuseRaw(
                proposal,
                bad,
                abi.encodeWithSelector(IRollupInbox.BadBitmap.selector, KEYS, bytes.concat(bad[129], bad[130]))
            );
        }
    }

    /// @notice Signature and bitmap have one length, and the byte before them is the set's.
    function test_Form() public {
        Proposal memory proposal = propose();
        bytes memory good = aggregate(digestOf(proposal), 0);
        bytes memory error = abi.encodeWithSelector(IRollupInbox.WrongAggregateLength.selector, 130, 131);
        refuseRaw(proposal, bytes.concat(good, hex"00"), error);
        refuseRaw(proposal, hex"01", abi.encodeWithSelector(IRollupInbox.WrongAggregateLength.selector, 130, 0));
        refuseRaw(proposal, "", abi.encodeWithSelector(IRollupInbox.WrongKind.selector, 1, 255));
        for (uint256 kind = 0; kind < 4; ++kind) {
            good[0] = bytes1(uint8(kind));
            if (kind != 1) refuseRaw(proposal, good, abi.encodeWithSelector(IRollupInbox.WrongKind.selector, 1, kind));
        }
    }

    /// @notice Infinity, a point beside the subgroup, coordinates above the prime and bytes in the padding are no signatures.
    function test_NoSignatures() public {
        Proposal memory proposal = propose();
        bytes memory bitmap = new bytes(2);
        bytes memory good = aggregate(digestOf(proposal), 0);
        refuseRaw(proposal, bytes.concat(hex"01", new bytes(128), bitmap), wrong(KEYS));
        string memory json = vm.readFile("../../vectors/eip-2537/add_G1_bls.json");
        bytes memory beside = vm.parseJsonBytes(json, "[2].Input"); // a point of the curve that is not in the subgroup
        bytes memory point = new bytes(128);
        for (uint256 i = 0; i < 128; ++i) {
            point[i] = beside[i];
        }
        refuseRaw(proposal, bytes.concat(hex"01", point, bitmap), wrong(KEYS));
        good[1] = 0x01;
        refuseRaw(proposal, good, wrong(KEYS));
    }

    /// @notice Any changed bit is noticed.
    function testFuzz_AnyBit(uint256 place) public {
        Proposal memory proposal = propose();
        bytes memory bad = aggregate(digestOf(proposal), 2);
        place = bound(place, 0, bad.length * 8 - 1);
        bad[place / 8] ^= bytes1(uint8(1 << (place % 8)));
        vm.prank(builder, builder);
        (bool taken,) = address(inbox).call(
            abi.encodeCall(IRollupInbox.settleCalldata, (proposal.header, proposal.claim, bad, proposal.batch))
        );
        require(!taken, "taken");
    }

    /// @notice Two keys of one holder that cancel each other vouch for nothing.
    function test_CancellingKeys() public {
        uint256[] memory pair = new uint256[](2);
        uint256 secret = secretOf(77);
        (pair[0], pair[1]) = (secret, SUBGROUP - secret);
        if (Bls.isAbove(keyOf(pair[0]), keyOf(pair[1]))) (pair[0], pair[1]) = (pair[1], pair[0]);
        useSet(setOfPages(register(pair), 2));
        Proposal memory proposal = propose();
        refuseRaw(proposal, bytes.concat(hex"01", new bytes(129)), wrong(2));
    }

    /// @notice The change from addresses to keys and back: each batch by the set of its block, none by the other.
    function test_ThereAndBack() public {
        address[] memory addresses = addressesOf(keys);
        for (uint256 round = 0; round < 2; ++round) {
            Proposal memory proposal = propose();
            bytes memory byKeys = aggregate(digestOf(proposal), 1);
            refuseRaw(proposal, ecdsa(proposal.signatures), abi.encodeWithSelector(IRollupInbox.WrongKind.selector, 1, 0));
            settleRaw(proposal, byKeys);
            useSet(setOf(addresses, 2));
            proposal = propose();
            byKeys = aggregate(digestOf(proposal), 1);
            refuseRaw(proposal, byKeys, abi.encodeWithSelector(IRollupInbox.WrongKind.selector, 0, 1));
            settleRaw(proposal, ecdsa(proposal.signatures));
            useSet(setOfPages(register(secrets), 6));
        }
    }

    // Who may be in a set.

    /// @notice Infinity, with the proof that the pairing would take.
    function test_Infinity() public {
        vm.expectRevert(badKey(0));
        inbox.registerKeys(new bytes(192), new bytes(128));
    }

    /// @notice A key twice, keys out of order; the same in order are taken.
    function test_Order() public {
        bytes memory low = keyOf(secrets[0]);
        bytes memory high = keyOf(secrets[1]);
        bytes memory proofs = bytes.concat(proofOf(secrets[0]), proofOf(secrets[1]));
        bytes memory twice = bytes.concat(proofOf(secrets[0]), proofOf(secrets[0]));
        bytes memory turned = bytes.concat(proofOf(secrets[1]), proofOf(secrets[0]));
        vm.expectRevert(badKey(1));
        inbox.registerKeys(bytes.concat(low, low), twice);
        vm.expectRevert(badKey(1));
        inbox.registerKeys(bytes.concat(high, low), turned);
        address page = inbox.registerKeys(bytes.concat(low, high), proofs);
        equal(bytes32(bytes.concat(hex"00", low)), bytes32(page.code));
    }

    /// @notice A coordinate plus the prime is another form of the same number.
    function test_NotCanonical() public {
        bytes memory key = keyOf(secrets[0]);
        bytes memory prime =
            hex"1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";
        uint256 carry = 0;
        for (uint256 i = 48; i > 0; --i) {
            uint256 added = uint256(uint8(key[i - 1])) + uint8(prime[i - 1]) + carry;
            key[i - 1] = bytes1(uint8(added));
            carry = added >> 8;
        }
        bytes memory proof = proofOf(secrets[0]);
        vm.expectRevert(badKey(0));
        inbox.registerKeys(key, proof);
    }

    /// @notice A key that is the others' sum, negated, plus one of one's own: the aggregate would be one's own alone.
    function test_RogueKey() public {
        bytes memory own = paddedOf(secretOf(99));
        (, bytes memory all) = Bls.sum(hex"ff07", register(secrets));
        bytes memory rogue = Bls.subtract(own, all);
        bytes memory proof = signWith(secretOf(99), Bls.compress(rogue), Bls.PROOF_DST);
        rogue = strip(rogue);
        vm.expectRevert(badKey(0));
        inbox.registerKeys(rogue, proof);
    }

    /// @notice Two wrong proofs whose sum is right: each is verified alone.
    function test_CancellingProofs() public {
        bytes memory found = bytes.concat(keyOf(secrets[0]), keyOf(secrets[1]));
        (bytes memory one, bytes memory two) = (proofOf(secrets[0]), proofOf(secrets[1]));
        bytes memory shift = signWith(5, "shift", Bls.PROOF_DST);
        bytes memory back = multiply(address(0x0c), shift, SUBGROUP - 1);
        (, one) = address(0x0b).staticcall(bytes.concat(one, shift));
        (, two) = address(0x0b).staticcall(bytes.concat(two, back));
        vm.expectRevert(badKey(0));
        inbox.registerKeys(found, bytes.concat(one, two));
        (one, two) = (proofOf(secrets[0]), proofOf(secrets[1]));
        vm.expectRevert(badKey(0));
        inbox.registerKeys(found, bytes.concat(two, one));
    }

    /// @notice A signature over the key in the domain of batches is no proof.
    function test_DomainsAreApart() public {
        bytes memory key = keyOf(secrets[0]);
        bytes memory proof = signWith(secrets[0], Bls.compress(paddedOf(secrets[0])), Bls.SIGNATURE_DST);
        vm.expectRevert(badKey(0));
        inbox.registerKeys(key, proof);
    }

    /// @notice None, 65, or another length of either.
    function test_Lengths() public {
        uint256[5] memory some = [uint256(0), 191, 193, 65 * 192, 192];
        uint256[5] memory proofs = [uint256(0), 128, 128, 65 * 128, 127];
        for (uint256 i = 0; i < 5; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IRollupInbox.WrongKeysLength.selector, some[i], proofs[i]));
            inbox.registerKeys(new bytes(some[i]), new bytes(proofs[i]));
        }
    }

    /// @notice A set names pages that the inbox made, in the order of their keys, none twice.
    function test_Pages() public {
        address low = registerSome(secrets, 0, 4);
        address high = registerSome(secrets, 4, KEYS);
        address[] memory pages = new address[](2);
        address[3] memory second = [low, low, owner];
        address[3] memory first = [high, low, low];
        for (uint256 i = 0; i < 3; ++i) {
            (pages[0], pages[1]) = (first[i], second[i]);
            vm.expectRevert(abi.encodeWithSelector(IRollupInbox.UnknownPage.selector, second[i]));
            vm.prank(owner);
            inbox.changeVerifiers(setOfPages(pages, 6));
        }
        (pages[0], pages[1]) = (low, high);
        for (uint256 quorum = 0; quorum < 14; ++quorum) {
            bool good = 2 * quorum > KEYS && quorum <= KEYS;
            if (!good) vm.expectRevert(abi.encodeWithSelector(IRollupInbox.BadQuorum.selector, KEYS, quorum));
            vm.prank(owner);
            inbox.changeVerifiers(setOfPages(pages, quorum));
        }
        vm.prank(owner);
        inbox.changeVerifiers(setOfPages(pages, 7));
        pass(DELAY);
        Proposal memory proposal = propose();
        settleRaw(proposal, aggregate(digestOf(proposal), 4));
    }
}

/// @notice Vectors that four libraries agree on, and EIP-2537's own.
contract BlsVectorsTest is BlsTest {
    function load(string memory name) private view returns (string memory) {
        return vm.readFile(string.concat("../../vectors/", name, ".json"));
    }

    function at(string memory json, uint256 index, string memory member) private pure returns (bytes memory) {
        return vm.parseJsonBytes(json, string.concat("[", vm.toString(index), "].", member));
    }

    /// @notice Hashing to the curve, keys, signatures, proofs and their sums are those of the libraries.
    function test_FourLibraries() public view {
        string memory json = load("bls");
        bytes memory message = vm.parseJsonBytes(json, ".message");
        bytes memory hashed = Bls.hashToG1(message, Bls.SIGNATURE_DST);
        equal(keccak256(vm.parseJsonBytes(json, ".hashToG1.eip2537")), keccak256(hashed));
        uint256 total = 0;
        for (uint256 i = 0; i < 4; ++i) {
            string memory signer = string.concat(".signers[", vm.toString(i), "]");
            uint256 secret = vm.parseJsonUint(json, string.concat(signer, ".sk"));
            total = addmod(total, secret, SUBGROUP);
            bytes memory key = paddedOf(secret);
            bytes memory compressed = vm.parseJsonBytes(json, string.concat(signer, ".minSig.pk"));
            equal(keccak256(compressed), keccak256(Bls.compress(key)));
            require(Bls.isSigned(message, Bls.SIGNATURE_DST, key, signWith(secret, message, Bls.SIGNATURE_DST)), "signature");
            require(Bls.isSigned(compressed, Bls.PROOF_DST, key, proofOf(secret)), "proof");
            require(!Bls.isSigned(compressed, Bls.SIGNATURE_DST, key, proofOf(secret)), "domain");
            require(abscissa(vm.parseJsonBytes(json, string.concat(signer, ".minSig.sig"))) == abscissa(strip(signWith(secret, message, Bls.SIGNATURE_DST))), "abscissa");
        }
        bytes memory sum = vm.parseJsonBytes(json, ".aggregate.sig1.eip2537");
        equal(keccak256(sum), keccak256(signWith(total, message, Bls.SIGNATURE_DST)));
        equal(keccak256(vm.parseJsonBytes(json, ".aggregate.apk2.eip2537")), keccak256(paddedOf(total)));
        require(Bls.isSigned(message, Bls.SIGNATURE_DST, paddedOf(total), sum), "aggregate");
    }

    /// @dev The first 48 bytes without the flags.
    function abscissa(bytes memory point) private pure returns (bytes32) {
        bytes memory x = new bytes(48);
        for (uint256 i = 0; i < 48; ++i) {
            x[i] = point[i];
        }
        x[0] &= 0x1f;
        return keccak256(x);
    }

    /// @notice The precompiles that the library calls give what the EIP says, and fail where it says so.
    function test_Precompiles() public view {
        verifyAll("eip-2537/add_G1_bls", 0x0b, 9);
        verifyAll("eip-2537/add_G2_bls", 0x0d, 9);
        verifyAll("eip-2537/map_fp_to_G1_bls", 0x10, 5);
        verifyAll("eip-2537/pairing_check_bls", 0x0f, 15);
        string memory json = load("eip-2537/fail-pairing_check_bls");
        for (uint256 i = 1; i < 25; ++i) {
            (bool known,) = address(0x0f).staticcall{gas: 1_000_000}(at(json, i, "Input"));
            require(!known, "taken");
        }
    }

    function verifyAll(string memory name, uint160 precompile, uint256 count) private view {
        string memory json = load(name);
        for (uint256 i = 0; i < count; ++i) {
            (bool known, bytes memory answer) = address(precompile).staticcall(at(json, i, "Input"));
            require(known, name);
            equal(keccak256(at(json, i, "Expected")), keccak256(answer));
        }
    }

    /// @notice Compressed keys carry the sign of y: a key and its negative differ in that bit alone.
    function test_Compression() public view {
        for (uint256 i = 0; i < 8; ++i) {
            bytes memory one = Bls.compress(paddedOf(secretOf(i)));
            bytes memory two = Bls.compress(paddedOf(SUBGROUP - secretOf(i)));
            equal(0x20, uint8(one[0] ^ two[0]));
            (one[0], two[0]) = (0, 0);
            equal(keccak256(one), keccak256(two));
        }
    }
}
