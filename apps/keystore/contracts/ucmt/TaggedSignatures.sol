// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {UcmtVerifier} from "./UcmtVerifier.sol";

/// @title Verifiers of signatures that have no length of their own: a tag tells them from a user operation
abstract contract TaggedSignatures is UcmtVerifier {
    /// @notice What comes before signatures that are not in a user operation. An encoded operation begins with a zero.
    bytes1 public constant SIGNATURES_ONLY_TAG = 0xff;

    /// @dev The encoded signatures of either form, in the user operation without the tag.
    function _getSignatures(bytes calldata data) internal pure returns (bytes memory) {
        if (data.length > 0 && data[0] == SIGNATURES_ONLY_TAG) return data[1:];
        return _getOperationSignature(data);
    }
}
