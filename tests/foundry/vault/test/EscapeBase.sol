// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {VaultBase} from "./VaultBase.sol";

/// @title Accounts with money in a vault whose operator is gone
abstract contract EscapeBase is VaultBase {
    bytes internal constant CALLER = hex"00";

    /// @notice The account has so much ether, the operator is silent long enough, and the vault can pay.
    function _leave(Account memory account, uint256 amount) internal {
        _setAccount(account);
        _setBalance(ETHER, account.key, amount);
        _fillVault(amount);
        _settle();
        _silence(SILENCE);
    }

    function _escape(Account memory account, address to, uint256 amount, bytes memory authorization) internal {
        _escape(account, _opening(account), to, amount, authorization);
    }

    function _escape(
        Account memory account,
        IKeystoreVault.Opening memory opening,
        address to,
        uint256 amount,
        bytes memory authorization
    ) internal {
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        vault.escape(account.key, ETHER, to, amount, opening, proof, authorization);
    }

    function _accept(Account memory account, address to, uint256 amount, bytes memory authorization) internal {
        uint256 before = to.balance;
        _escape(account, to, amount, authorization);
        assertEq(before + amount, to.balance, "the money has escaped");
    }

    function _refuseEscape(Account memory account, address to, uint256 amount, bytes memory authorization) internal {
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NotAuthorized.selector, account.key));
        vault.escape(account.key, ETHER, to, amount, opening, proof, authorization);
    }

    // Signatures

    function _domainSeparator() private view returns (bytes32) {
        bytes32 type_ = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        return keccak256(abi.encode(type_, keccak256("KeystoreVault"), keccak256("1"), block.chainid, vault));
    }

    function _digest(bytes32 key, address token, address to) internal view returns (bytes32) {
        bytes32 type_ = keccak256("Escape(bytes32 key,address token,address to)");
        bytes32 struct_ = keccak256(abi.encode(type_, key, token, to));
        return keccak256(abi.encodePacked(hex"1901", _domainSeparator(), struct_));
    }

    function _memberDigest(bytes32 key, address to, address group) internal view returns (bytes32) {
        bytes32 type_ = keccak256("Escape(bytes32 key,address token,address to,address sender)");
        bytes32 struct_ = keccak256(abi.encode(type_, key, ETHER, to, group));
        return keccak256(abi.encodePacked(hex"1901", _domainSeparator(), struct_));
    }

    function _senderOf(bytes memory head) internal pure returns (address) {
        return address(uint160(uint256(keccak256(head))));
    }

    function _p256(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), _pointOf(privateKey), _signP256(privateKey, digest));
    }

    function _clientData(string memory type_, bytes32 digest) internal pure returns (bytes memory) {
        string memory challenge = Base64.encodeURL(abi.encodePacked(digest));
        return bytes(
            string.concat(
                '{"type":"', type_, '","challenge":"', challenge, '","origin":"https://wallet.example"}'
            )
        );
    }

    /// @notice A passkey's assertion as the rollup stores it.
    function _assertion(uint256 privateKey, uint8 flags, bytes memory clientData) internal pure returns (bytes memory) {
        bytes memory authenticatorData = abi.encodePacked(sha256("wallet.example"), flags, uint32(7));
        bytes32 signed = sha256(abi.encodePacked(authenticatorData, sha256(clientData)));
        return abi.encodePacked(
            uint8(2),
            _pointOf(privateKey),
            _signP256(privateKey, signed),
            uint16(authenticatorData.length),
            authenticatorData,
            uint16(clientData.length),
            clientData
        );
    }

    function _assertion(uint256 privateKey, bytes32 digest) internal pure returns (bytes memory) {
        return _assertion(privateKey, USER_PRESENT | USER_VERIFIED, _clientData("webauthn.get", digest));
    }

    function _signed(bytes memory signature) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), signature);
    }
}
