// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "solady/src/utils/ECDSA.sol";
import {TaggedSignatures} from "./TaggedSignatures.sol";
import {UcmtVerifier} from "./UcmtVerifier.sol";

/// @title m of n Ethereum keys
/// @notice `config` is `abi.encode(uint8 threshold, address[] owners)`, the owners strictly ascending, 1 <= threshold <= n <= 255.
/// Signatures are `abi.encode(SignerData[])`, at most 255, each over the message as EIP-191 wraps it. An owner counts once,
/// however often the index comes. A signature of somebody else counts for nothing; one that recovers nobody reverts.
contract UcmtMultisigVerifier is TaggedSignatures {
    /// @notice A signature and whose it is: a position among the owners.
    struct SignerData {
        uint8 index;
        bytes signature;
    }

    /// @notice Nobody would have to sign.
    error ZeroThresholdNotAllowed();
    /// @notice There are fewer owners than the threshold, or more than 255.
    error InvalidNumberOfOwners();
    /// @notice An owner is not above the one before.
    error OwnersUnsortedOrHasDuplicates();
    /// @notice There are more than 255 signatures.
    error MaxSignaturesExceeded();

    constructor(address keystore_) UcmtVerifier(keystore_) {}

    function _isSigned(bytes32 message, bytes calldata data, bytes calldata config) internal view override returns (bool) {
        (uint8 threshold, address[] memory owners) = abi.decode(config, (uint8, address[]));
        _checkConfig(threshold, owners);
        SignerData[] memory signatures = abi.decode(_getSignatures(data), (SignerData[]));
        if (signatures.length > type(uint8).max) revert MaxSignaturesExceeded();
        bytes32 hash = ECDSA.toEthSignedMessageHash(message);
        uint256 seen; // A bit per owner.
        uint256 count;
        for (uint256 i; i < signatures.length; ++i) {
            uint256 index = signatures[i].index;
            // A repeated index costs a recovery too: the gas is that of as many signatures from different owners, which is
            // how wallets estimate it before anybody signed.
            bool valid = ECDSA.recover(hash, signatures[i].signature) == owners[index];
            if (valid && seen >> index & 1 == 0) {
                seen |= 1 << index;
                ++count;
            }
        }
        return count >= threshold;
    }

    function _checkConfig(uint256 threshold, address[] memory owners) private pure {
        if (threshold == 0) revert ZeroThresholdNotAllowed();
        if (threshold > owners.length || owners.length > type(uint8).max) revert InvalidNumberOfOwners();
        for (uint256 i = 1; i < owners.length; ++i) {
            if (owners[i - 1] >= owners[i]) revert OwnersUnsortedOrHasDuplicates();
        }
    }
}
