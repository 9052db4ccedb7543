// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {ERC7739Utils} from "@openzeppelin/contracts/utils/cryptography/draft-ERC7739Utils.sol";

/// @title What the holders of an account sign for contracts, by the account's address alone
/// @notice The same digests as those of OpenZeppelin's `ERC7739`, which computes them for the contract that it is part of.
library NestedDigests {
    bytes32 private constant _DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant _NAME = keccak256("KeystoreAccount");
    bytes32 private constant _VERSION = keccak256("1");

    /// @notice What is signed of a text whose EIP-191 hash is `hash`.
    function nestPersonalSign(address account, bytes32 hash) internal view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(_DOMAIN_TYPE, _NAME, _VERSION, block.chainid, account));
        return MessageHashUtils.toTypedDataHash(domain, ERC7739Utils.personalSignStructHash(hash));
    }

    /// @notice What is signed of an app's typed data of hash `hash`, and the signature without ERC-7739's tail; zero if the tail
    /// does not describe that hash.
    function unnestTypedData(address account, bytes32 hash, bytes calldata nested)
        internal
        view
        returns (bytes32 digest, bytes calldata signature)
    {
        bytes32 appSeparator;
        bytes32 contentsHash;
        string calldata description;
        (signature, appSeparator, contentsHash, description) = ERC7739Utils.decodeTypedDataSig(nested);
        (string calldata name, string calldata type_) = ERC7739Utils.decodeContentsDescr(description);
        bool isOf = hash == MessageHashUtils.toTypedDataHash(appSeparator, contentsHash);
        if (!isOf || bytes(name).length == 0) return (0, signature);
        bytes memory domain = abi.encode(_NAME, _VERSION, block.chainid, account, bytes32(0));
        bytes32 structHash = ERC7739Utils.typedDataSignStructHash(name, type_, contentsHash, domain);
        digest = MessageHashUtils.toTypedDataHash(appSeparator, structHash);
    }
}
