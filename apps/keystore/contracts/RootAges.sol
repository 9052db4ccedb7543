// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title How long a root of the keystore is believed
library RootAges {
    /// @notice Seconds after L1 was last shown to hold it.
    uint256 internal constant MAX_ROOT_AGE = 7 days;
    /// @notice Seconds after another root took its place.
    uint256 internal constant GRACE_SECONDS = 15 minutes;

    /// @notice Until when a root serves that L1 was last shown to hold at `shownAt` and that was replaced at `replacedAt`
    /// (seconds).
    function getGraceEnd(uint256 replacedAt, uint256 shownAt) internal pure returns (uint40) {
        uint256 graceEnd = replacedAt + GRACE_SECONDS;
        uint256 windowEnd = shownAt + MAX_ROOT_AGE;
        return SafeCast.toUint40(graceEnd < windowEnd ? graceEnd : windowEnd);
    }
}
