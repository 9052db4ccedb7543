// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IRollupInbox} from "./IRollupInbox.sol";

/// @title The quorum over a batch
/// @notice EIP-712 signatures of verifiers over `BatchAttestation`, in the domain `{microrollup, 1, L1's chain id, the
/// inbox}`; the rules of the Python module `microrollup.settlement.attestation`.
library Attestations {
    bytes32 internal constant TYPE_HASH = keccak256(
        "BatchAttestation(bytes32 rollupId,uint64 firstHeight,uint64 lastHeight,bytes32 parentHash,bytes32 blockHash,bytes32 stateRoot,bytes32 dataHash)"
    );
    bytes32 internal constant DOMAIN_TYPE_HASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    /// @dev secp256k1's order, halved: above it lies the second form of every signature (EIP-2).
    uint256 internal constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 internal constant SIGNATURE_SIZE = 65;

    /// @notice The domain of attestations for this contract on the present chain.
    function computeDomainSeparator() internal view returns (bytes32) {
        return keccak256(
            abi.encode(DOMAIN_TYPE_HASH, keccak256("microrollup"), keccak256("1"), block.chainid, address(this))
        );
    }

    /// @notice What a verifier signs for the batch from `claim.firstHeight` to the header's height.
    function computeDigest(
        bytes32 domainSeparator,
        IRollupInbox.Claim calldata claim,
        IRollupInbox.Header calldata header,
        bytes32 blockHash
    ) internal pure returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                TYPE_HASH,
                header.rollupId,
                claim.firstHeight,
                header.height,
                claim.parentHash,
                blockHash,
                header.stateRoot,
                claim.dataHash
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domainSeparator, structHash));
    }

    /// @notice How many signatures there are; reverts unless every one is a distinct verifier's.
    /// @param verifiers Ascending 20-byte addresses, at most 256, so that one word has a bit for each.
    function verify(bytes32 digest, bytes calldata signatures, address[] memory verifiers)
        internal
        pure
        returns (uint256 found)
    {
        uint256 seen = 0;
        for (uint256 start = 0; start < signatures.length; start += SIGNATURE_SIZE) {
            uint256 rest = signatures.length - start;
            bytes calldata signature = signatures[start:start + (rest < SIGNATURE_SIZE ? rest : SIGNATURE_SIZE)];
            address attester = _recover(digest, signature);
            uint256 bit = 1 << _indexOf(verifiers, attester);
            if (seen & bit != 0) revert IRollupInbox.DuplicateAttester(attester);
            seen |= bit;
            ++found;
        }
    }

    /// @dev A second accepted form of a signature must not exist; what no key can have made is refused with it.
    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address attester) {
        if (signature.length == SIGNATURE_SIZE) {
            bytes32 s = bytes32(signature[32:64]);
            uint8 v = uint8(signature[64]);
            if (uint256(s) <= HALF_ORDER && (v == 27 || v == 28)) {
                attester = ecrecover(digest, v, bytes32(signature[0:32]), s);
            }
        }
        if (attester == address(0)) revert IRollupInbox.MalleableSignature(signature);
    }

    function _indexOf(address[] memory verifiers, address attester) private pure returns (uint256) {
        uint256 low = 0;
        uint256 high = verifiers.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            address verifier = verifiers[middle];
            if (verifier == attester) return middle;
            if (verifier < attester) low = middle + 1;
            else high = middle;
        }
        revert IRollupInbox.ForeignAttester(attester);
    }
}
