// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title Something else than a verifier's key that vouches for a batch
/// @notice An adapter to a proof system or to attested hardware. What it says yes to is fixed when it is created: pairs of an
/// `stfId` and what executes that code (RISC Zero's image id, SP1's verification key, an enclave's measurements). So new code needs a
/// new adapter, announced for the same L1 block.
interface IBatchVerifier {
    /// @notice This function's selector, as 32 bytes exactly, if the proof shows that executing the code on the batch gives what
    /// `statement` says, the EIP-712 digest of its `BatchAttestation`; the 32 bytes of the statement are the whole public output of what
    /// was proven. Anything else, a revert, or more than 1,000,000 gas is a no.
    function verify(bytes32 stfId, bytes32 statement, bytes calldata proof) external view returns (bytes4);
}
