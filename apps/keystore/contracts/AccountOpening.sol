// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountSignature} from "./AccountSignature.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title Under which root an opening shows that a configuration is an account's
library AccountOpening {
    /// @notice The one root under which `opening`, well-formed for `mode` (inclusion or exclusion), shows that the keystore
    /// holds `dataHash` for `key`; zero if there is none. Never reverts.
    function computeRoot(uint8 mode, bytes32 key, bytes32 dataHash, bytes calldata opening)
        internal
        pure
        returns (bytes32)
    {
        bytes32 treeKey = StateVerifier.computeTreeKey(key);
        if (mode == AccountSignature.INCLUSION) {
            bytes32 valueHash = StateVerifier.computeValueHash(dataHash, bytes32(opening));
            return StateVerifier.computeInclusionRoot(treeKey, valueHash, opening[32:]);
        }
        if (keccak256(abi.encodePacked(opening[:32], dataHash, opening[32:64])) != key) return 0;
        return StateVerifier.computeExclusionRoot(treeKey, opening[64:]);
    }
}
