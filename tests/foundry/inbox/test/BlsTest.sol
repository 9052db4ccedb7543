// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Bls} from "microrollup/Bls.sol";
import {IRollupInbox} from "microrollup/IRollupInbox.sol";
import {InboxTest} from "./InboxTest.sol";

/// @notice BLS keys in software, upon the precompiles that multiply, and an inbox whose verifiers have them.
abstract contract BlsTest is InboxTest {
    uint256 internal constant SUBGROUP = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;
    uint256 internal constant PAGE = 64;
    /// @dev G2's generator.
    bytes internal constant GENERATOR =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
        hex"000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

    /// @dev In the order of their keys on chain.
    uint256[] internal secrets;

    function secretOf(uint256 index) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("bls", index))) % SUBGROUP;
    }

    function multiply(address precompile, bytes memory point, uint256 scalar) internal view returns (bytes memory) {
        (bool known, bytes memory product) = precompile.staticcall(bytes.concat(point, bytes32(scalar)));
        require(known, "precompile");
        return product;
    }

    /// @notice 256 bytes.
    function paddedOf(uint256 secret) internal view returns (bytes memory) {
        return multiply(address(0x0e), GENERATOR, secret);
    }

    /// @notice 192 bytes.
    function keyOf(uint256 secret) internal view returns (bytes memory) {
        return strip(paddedOf(secret));
    }

    function strip(bytes memory padded) internal pure returns (bytes memory stripped) {
        stripped = new bytes(padded.length / 4 * 3);
        for (uint256 i = 0; i < padded.length / 64; ++i) {
            for (uint256 j = 0; j < 48; ++j) {
                stripped[48 * i + j] = padded[64 * i + 16 + j];
            }
        }
    }

    function signWith(uint256 secret, bytes memory message, bytes memory dst) internal view returns (bytes memory) {
        return multiply(address(0x0c), Bls.hashToG1(message, dst), secret);
    }

    function proofOf(uint256 secret) internal view returns (bytes memory) {
        return signWith(secret, Bls.compress(paddedOf(secret)), Bls.PROOF_DST);
    }

    /// @notice So many secrets, in the order of their keys.
    function sortSecrets(uint256 count) internal view returns (uint256[] memory sorted) {
        sorted = new uint256[](count);
        bytes[] memory found = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes memory key = keyOf(secretOf(i));
            uint256 place = i;
            for (; place > 0 && Bls.isAbove(found[place - 1], key); --place) {
                (found[place], sorted[place]) = (found[place - 1], sorted[place - 1]);
            }
            (found[place], sorted[place]) = (key, secretOf(i));
        }
    }

    /// @notice Register the keys of some secrets in pages of 64.
    function register(uint256[] memory some) internal returns (address[] memory pages) {
        pages = new address[]((some.length + PAGE - 1) / PAGE);
        for (uint256 page = 0; page < pages.length; ++page) {
            uint256 end = PAGE * (page + 1) < some.length ? PAGE * (page + 1) : some.length;
            pages[page] = registerSome(some, PAGE * page, end);
        }
    }

    function registerSome(uint256[] memory some, uint256 start, uint256 end) internal returns (address) {
        (bytes memory found, bytes memory proofs) = (new bytes(0), new bytes(0));
        for (uint256 i = start; i < end; ++i) {
            found = bytes.concat(found, keyOf(some[i]));
            proofs = bytes.concat(proofs, proofOf(some[i]));
        }
        return inbox.registerKeys(found, proofs);
    }

    function setOfPages(address[] memory pages, uint256 quorum)
        internal
        pure
        returns (IRollupInbox.VerifierSet memory)
    {
        return IRollupInbox.VerifierSet(1, pages, quorum, new IRollupInbox.Rule[](0));
    }

    /// @notice From now on so many keys are the verifiers.
    function useKeys(uint256 count, uint256 quorum) internal {
        secrets = sortSecrets(count);
        useSet(setOfPages(register(secrets), quorum));
    }

    function useSet(IRollupInbox.VerifierSet memory set) internal {
        vm.prank(owner);
        inbox.changeVerifiers(set);
        pass(DELAY);
    }

    /// @notice What all keys but the first `absent` sign, as the inbox takes it.
    function aggregate(bytes32 digest, uint256 absent) internal view returns (bytes memory) {
        bytes memory bitmap = new bytes((secrets.length + 7) / 8);
        uint256 secret = 0;
        for (uint256 i = 0; i < secrets.length; ++i) {
            if (i < absent) bitmap[i / 8] |= bytes1(uint8(1 << (i % 8)));
            else secret = addmod(secret, secrets[i], SUBGROUP);
        }
        return bytes.concat(hex"01", signWith(secret, abi.encode(digest), Bls.SIGNATURE_DST), bitmap);
    }

    function settleRaw(Proposal memory proposal, bytes memory signatures) internal {
        vm.prank(builder, builder);
        inbox.settleCalldata(proposal.header, proposal.claim, signatures, proposal.batch);
    }

    function refuseRaw(Proposal memory proposal, bytes memory signatures, bytes memory error) internal {
        vm.expectRevert(error);
        settleRaw(proposal, signatures);
    }
}
