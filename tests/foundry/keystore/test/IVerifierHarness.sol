// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

// The harness's artifact, compiled as what users deploy.
string constant HARNESS = "harness/artifacts/VerifierHarness.json";

/// @title The verifier, and what its libraries cost: `harness/VerifierHarness.sol`
interface IVerifierHarness {
    function computeTreeKey(bytes32 key) external pure returns (bytes32);
    function computeValueHash(bytes32 dataHash, bytes32 vkHash) external pure returns (bytes32);
    function isIncluded(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        pure
        returns (bool);
    function isExcluded(bytes32 root, bytes32 treeKey, bytes calldata proof) external pure returns (bool);
    function isAuthoritative(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        pure
        returns (bool);
    function measureInclusion(bytes32 root, bytes32 treeKey, bytes32 valueHash, bytes calldata proof)
        external
        view
        returns (bool accepted, uint256 gas);
    function measureExclusion(bytes32 root, bytes32 treeKey, bytes calldata proof)
        external
        view
        returns (bool accepted, uint256 gas);
    function measureAxiom(bytes32 root, bytes32 keystoreAddress, bytes calldata encoded)
        external
        view
        returns (bool accepted, uint256 gas);
}
