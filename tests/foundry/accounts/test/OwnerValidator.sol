// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice The validator (ERC-7579) that an account has before it hears of the keystore: one Ethereum key each.
contract OwnerValidator {
    mapping(address account => address) public ownerOf;

    function onInstall(bytes calldata data) external {
        ownerOf[msg.sender] = address(bytes20(data));
    }

    function onUninstall(bytes calldata) external {
        delete ownerOf[msg.sender];
    }

    function isModuleType(uint256 type_) external pure returns (bool) {
        return type_ == 1;
    }

    function isInitialized(address account) external view returns (bool) {
        return ownerOf[account] != address(0);
    }

    function validateUserOp(PackedUserOperation calldata operation, bytes32 hash) external view returns (uint256) {
        (address signer,,) = ECDSA.tryRecoverCalldata(hash, operation.signature);
        return signer != address(0) && signer == ownerOf[msg.sender] ? 0 : 1;
    }

    function isValidSignatureWithSender(address, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        (address signer,,) = ECDSA.tryRecoverCalldata(hash, signature);
        return signer != address(0) && signer == ownerOf[msg.sender] ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
