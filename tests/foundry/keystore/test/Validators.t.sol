// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IValidator} from "keystore/IValidator.sol";
import {StatelessValidator} from "keystore/StatelessValidator.sol";
import {Base} from "./Base.sol";

/// @notice One-time signatures, and validators by the interfaces of others.
contract ValidatorsTest is Base {
    bytes32 private constant SEED = keccak256("seed");
    bytes4 private constant NO = 0xffffffff;

    IValidator private winternitz = _createValidator("WinternitzValidator");

    function _createValidator(string memory name) private returns (IValidator) {
        return IValidator(_create(_load(name)));
    }

    function _createStateless(IValidator validator) private returns (StatelessValidator) {
        return StatelessValidator(_create("StatelessValidator", abi.encode(validator)));
    }

    function digitsOf(bytes32 hash) private pure returns (uint256[67] memory digits) {
        uint256 checksum = 0;
        for (uint256 i = 0; i < 64; ++i) {
            digits[i] = uint8(hash[i / 2]) >> (i % 2 == 0 ? 4 : 0) & 15;
            checksum += 15 - digits[i];
        }
        (digits[64], digits[65], digits[66]) = (checksum >> 8, checksum >> 4 & 15, checksum & 15);
    }

    function climb(uint256 chain, uint256 end) private pure returns (bytes32 value) {
        value = keccak256(abi.encode("secret", chain));
        for (uint256 step = 0; step < end; ++step) {
            value = keccak256(abi.encodePacked(SEED, uint8(chain), uint8(step), value));
        }
    }

    function sign(bytes32 hash) private pure returns (bytes memory signature) {
        uint256[67] memory digits = digitsOf(hash);
        for (uint256 i = 0; i < 67; ++i) {
            signature = bytes.concat(signature, climb(i, digits[i]));
        }
    }

    function configOf() private pure returns (bytes memory) {
        bytes memory tops = abi.encodePacked(SEED);
        for (uint256 i = 0; i < 67; ++i) {
            tops = bytes.concat(tops, climb(i, 15));
        }
        return abi.encodePacked(SEED, keccak256(tops));
    }

    /// @notice A hash that was signed, at either end of the digits, and none beside it; for less than 170,000 gas.
    function test_Winternitz() public view {
        bytes memory config = configOf();
        bytes32[3] memory hashes = [bytes32(0), bytes32(type(uint256).max), keccak256("hash")];
        for (uint256 i = 0; i < 3; ++i) {
            bytes memory signature = sign(hashes[i]);
            uint256 before = gasleft();
            require(winternitz.validate(hashes[i], signature, config), "signed");
            require(before - gasleft() < 170_000, "gas");
            require(!winternitz.validate(bytes32(uint256(hashes[i]) ^ 1), signature, config), "another hash");
            require(!winternitz.validate(bytes32(uint256(hashes[i]) ^ 1 << 255), signature, config), "another hash");
            signature[66 * 32] ^= 0x01;
            require(!winternitz.validate(hashes[i], signature, config), "damaged");
        }
    }

    /// @notice Other lengths, and another seed or root, are a no.
    function test_WinternitzForms() public view {
        bytes32 hash = keccak256("hash");
        bytes memory signature = sign(hash);
        bytes memory config = configOf();
        require(!winternitz.validate(hash, bytes.concat(signature, hex"00"), config), "longer");
        require(!winternitz.validate(hash, "", config), "empty");
        require(!winternitz.validate(hash, signature, bytes.concat(config, hex"00")), "config");
        require(!winternitz.validate(hash, signature, ""), "no config");
        for (uint256 i = 0; i < 64; i += 31) {
            config[i] ^= 0x80;
            require(!winternitz.validate(hash, signature, config), "another key");
            config[i] ^= 0x80;
        }
        require(winternitz.validate(hash, signature, config), "signed");
    }

    /// @notice By ERC-7780 and ERC-7913, each validator says what it says by its own interface.
    function test_Stateless() public {
        bytes32 hash = keccak256("hash");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(7, hash);
        both(_createValidator("ECDSAValidator"), hash, abi.encodePacked(r, s, v), abi.encodePacked(vm.addr(7)));
        both(winternitz, hash, sign(hash), configOf());
        string[3] memory others = ["MultisigValidator", "P256Validator", "WebAuthnValidator"];
        for (uint256 i = 0; i < 3; ++i) {
            StatelessValidator stateless = _createStateless(_createValidator(others[i]));
            require(!stateless.validateSignatureWithData(hash, hex"01", hex"02"), "garbage");
            require(stateless.verify(hex"02", hash, hex"01") == NO, "garbage");
        }
    }

    function both(IValidator validator, bytes32 hash, bytes memory signature, bytes memory config) private {
        StatelessValidator stateless = _createStateless(validator);
        require(stateless.validateSignatureWithData(hash, signature, config), "ERC-7780");
        require(stateless.verify(config, hash, signature) == StatelessValidator.verify.selector, "ERC-7913");
        require(!stateless.validateSignatureWithData(keccak256("other"), signature, config), "ERC-7780, another hash");
        require(stateless.verify(config, keccak256("other"), signature) == NO, "ERC-7913, another hash");
        require(stateless.verify("", hash, signature) == NO, "no key");
    }
}
