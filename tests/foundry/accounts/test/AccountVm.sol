// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Vm} from "keystore-test/Vm.sol";

/// @title Further cheat codes, for tests of accounts
interface AccountVm is Vm {
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    struct SignedDelegation {
        uint8 v;
        bytes32 r;
        bytes32 s;
        uint64 nonce;
        address implementation;
    }

    function signAndAttachDelegation(address implementation, uint256 privateKey)
        external
        returns (SignedDelegation memory);
    function chainId(uint256 newChainId) external;
    function prank(address sender, address origin) external;
    function cool(address account) external;
    function lastCallGas() external view returns (Gas memory);
    function snapshotState() external returns (uint256);
    function revertToState(uint256 id) external returns (bool);
    function setEvmVersion(string calldata evm) external;
    function getEvmVersion() external view returns (string memory);
    function signP256(uint256 privateKey, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
    function publicKeyP256(uint256 privateKey) external pure returns (uint256 x, uint256 y);
}
