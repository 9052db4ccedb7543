// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {P256} from "@openzeppelin/contracts/utils/cryptography/P256.sol";
import {WebAuthn} from "@openzeppelin/contracts/utils/cryptography/WebAuthn.sol";

/// @title Who signed an escape from the vault
/// @notice The rollup's own schemes, as far as the EVM can verify them, told apart by length and first byte:
///
///     64 or 65 bytes    secp256k1; v is 0, 1, 27 or 28
///     1 || ...          P-256:  x 32 | y 32 | r 32 | s 32
///     2 || ...          WebAuthn:  x 32 | y 32 | r 32 | s 32 | length 2 | authenticatorData | length 2 | clientDataJSON
///     4 || ...          m of n:  m 1 | n 1 | n times sender 20, ascending | m times (index 1 | length 2 | signature)
///
/// Members of a group sign the type with a further last member, the group's sender, by one of the first three schemes. Of
/// clientDataJSON the order of the members is taken for granted that browsers must keep: type, challenge, the rest.
/// Nothing is kept and nobody owns this.
contract EscapeVerifier {
    /// @notice What is signed, in the vault's domain.
    struct Statement {
        bytes32 domainSeparator;
        bytes32 key;
        address token;
        address to;
    }

    bytes32 private constant _ESCAPE = keccak256("Escape(bytes32 key,address token,address to)");
    bytes32 private constant _MEMBER_ESCAPE = keccak256("Escape(bytes32 key,address token,address to,address sender)");

    uint8 private constant _P256 = 1;
    uint8 private constant _WEB_AUTHN = 2;
    uint8 private constant _MULTI = 4;
    uint256 private constant _ECDSA_BYTES = 65;
    uint256 private constant _P256_BYTES = 129;
    /// @dev Of a group's signature: before its senders, and of each sender and part's head.
    uint256 private constant _HEAD_BYTES = 3;
    uint256 private constant _SENDER_BYTES = 20;
    /// @dev `{"type":"webauthn.get","challenge":"`: where its two members begin.
    uint256 private constant _TYPE_INDEX = 1;
    uint256 private constant _CHALLENGE_INDEX = 23;
    /// @dev Axiom takes no more signers.
    uint256 private constant _MAX_OWNERS = 50;

    /// @notice The 20-byte sender who signed the statement; zero if nobody did. Malformed signatures may revert.
    function recoverSender(Statement calldata statement, bytes calldata signature) external view returns (address) {
        bytes32 digest = _computeDigest(statement);
        if (signature.length <= _ECDSA_BYTES || uint8(signature[0]) != _MULTI) return _recoverOne(digest, signature);
        return _recoverGroup(statement, signature);
    }

    /// @notice Whether m of the owners in Axiom's key data, `0 | abi.encode(codeHash, m, owners)`, signed the statement:
    /// exactly m signatures of 65 bytes, by distinct owners. Malformed key data may revert.
    function isSignedByOwners(Statement calldata statement, bytes calldata keyData, bytes calldata signatures)
        external
        pure
        returns (bool)
    {
        if (keyData.length == 0 || keyData[0] != 0) return false;
        (, uint256 threshold, address[] memory owners) = abi.decode(keyData[1:], (bytes32, uint256, address[]));
        if (threshold == 0 || threshold > owners.length || owners.length > _MAX_OWNERS) return false;
        if (signatures.length != threshold * _ECDSA_BYTES) return false;
        bytes32 digest = _computeDigest(statement);
        uint256 seen;
        for (uint256 i; i < threshold; ++i) {
            address owner = _recoverEcdsa(digest, signatures[i * _ECDSA_BYTES:(i + 1) * _ECDSA_BYTES]);
            uint256 bit = owner == address(0) ? 0 : _findOwner(owners, owner);
            if (bit == 0 || seen & bit != 0) return false;
            seen |= bit;
        }
        return true;
    }

    /// @dev The bit of the first place at which an owner is listed; 0 if nowhere.
    function _findOwner(address[] memory owners, address owner) private pure returns (uint256) {
        for (uint256 i; i < owners.length; ++i) {
            if (owners[i] == owner) return 1 << i;
        }
        return 0;
    }

    function _computeDigest(Statement calldata statement) private pure returns (bytes32) {
        bytes32 structHash = keccak256(abi.encode(_ESCAPE, statement.key, statement.token, statement.to));
        return MessageHashUtils.toTypedDataHash(statement.domainSeparator, structHash);
    }

    function _recoverGroup(Statement calldata statement, bytes calldata signature) private view returns (address) {
        uint256 threshold = uint8(signature[1]);
        uint256 count = uint8(signature[2]);
        uint256 cursor = _HEAD_BYTES + _SENDER_BYTES * count;
        if (threshold == 0 || threshold > count || signature.length < cursor) return address(0);
        for (uint256 i = 1; i < count; ++i) {
            if (_memberAt(signature, i - 1) >= _memberAt(signature, i)) return address(0);
        }
        address sender = address(uint160(uint256(keccak256(signature[:cursor]))));
        bytes32 structHash =
            keccak256(abi.encode(_MEMBER_ESCAPE, statement.key, statement.token, statement.to, sender));
        bytes32 digest = MessageHashUtils.toTypedDataHash(statement.domainSeparator, structHash);
        uint256 lowest;
        for (uint256 i; i < threshold; ++i) {
            uint256 index = uint8(signature[cursor]);
            uint256 end = cursor + _HEAD_BYTES + uint16(bytes2(signature[cursor + 1:cursor + _HEAD_BYTES]));
            if (index < lowest || index >= count) return address(0);
            address member = _recoverOne(digest, signature[cursor + _HEAD_BYTES:end]);
            if (member == address(0) || member != _memberAt(signature, index)) return address(0);
            lowest = index + 1;
            cursor = end;
        }
        return cursor == signature.length ? sender : address(0);
    }

    function _memberAt(bytes calldata signature, uint256 index) private pure returns (address) {
        uint256 start = _HEAD_BYTES + _SENDER_BYTES * index;
        return address(bytes20(signature[start:start + _SENDER_BYTES]));
    }

    /// @dev The sender by the schemes that members of a group may use; zero if there is none.
    function _recoverOne(bytes32 digest, bytes calldata signature) private view returns (address) {
        if (signature.length <= _ECDSA_BYTES) return _recoverEcdsa(digest, signature);
        uint8 scheme = uint8(signature[0]);
        bool isValid;
        if (scheme == _P256) isValid = _isP256(digest, signature);
        else if (scheme == _WEB_AUTHN) isValid = _isAssertion(digest, signature);
        return isValid ? address(uint160(uint256(keccak256(signature[:65])))) : address(0);
    }

    function _recoverEcdsa(bytes32 digest, bytes calldata signature) private pure returns (address signer) {
        ECDSA.RecoverError error_;
        if (signature.length == 64) {
            (signer, error_,) = ECDSA.tryRecover(digest, bytes32(signature[:32]), bytes32(signature[32:64]));
        } else if (signature.length == _ECDSA_BYTES) {
            uint8 v = uint8(signature[64]);
            (signer, error_,) = ECDSA.tryRecover(
                digest, v < 27 ? v + 27 : v, bytes32(signature[:32]), bytes32(signature[32:64])
            );
        }
        if (error_ != ECDSA.RecoverError.NoError) return address(0);
    }

    function _isP256(bytes32 digest, bytes calldata signature) private view returns (bool) {
        if (signature.length != _P256_BYTES) return false;
        return P256.verify(
            digest,
            bytes32(signature[65:97]),
            bytes32(signature[97:129]),
            bytes32(signature[1:33]),
            bytes32(signature[33:65])
        );
    }

    function _isAssertion(bytes32 digest, bytes calldata signature) private view returns (bool) {
        uint256 middle = 131 + uint256(uint16(bytes2(signature[129:131])));
        uint256 end = middle + 2 + uint16(bytes2(signature[middle:middle + 2]));
        if (end != signature.length) return false;
        WebAuthn.WebAuthnAuth memory assertion = WebAuthn.WebAuthnAuth({
            r: bytes32(signature[65:97]),
            s: bytes32(signature[97:129]),
            challengeIndex: _CHALLENGE_INDEX,
            typeIndex: _TYPE_INDEX,
            authenticatorData: signature[131:middle],
            clientDataJSON: string(signature[middle + 2:])
        });
        return WebAuthn.verify({
            challenge: abi.encodePacked(digest),
            auth: assertion,
            qx: bytes32(signature[1:33]),
            qy: bytes32(signature[33:65]),
            requireUV: true
        });
    }
}
