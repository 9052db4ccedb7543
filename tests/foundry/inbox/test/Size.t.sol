// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {InboxTest} from "./InboxTest.sol";

/// @notice What a chain takes as a contract's code (EIP-170), which forge does not look at.
contract SizeTest is InboxTest {
    /// @notice The inbox can be deployed.
    function test_Size() public view {
        require(address(inbox).code.length <= 24_576);
    }

}
