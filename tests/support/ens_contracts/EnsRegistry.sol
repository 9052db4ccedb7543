// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @notice Of ENS's registry: which resolver a name has.
contract EnsRegistry {
    mapping(bytes32 node => address) public resolver;

    function setResolver(bytes32 node, address resolver_) external {
        resolver[node] = resolver_;
    }
}
