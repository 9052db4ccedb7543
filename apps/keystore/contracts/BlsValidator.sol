// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IValidator} from "./IValidator.sol";

/// @title One BLS12-381 key, or several that sign as one, by the precompiles of EIP-2537
/// @notice `config` is the key, a point of G1, `x 48 | y 48`; `signature` is a point of G2, `x0 48 | x1 48 | y0 48 | y1 48`, over
/// the hash itself. The ciphersuite is that of the kernel's scheme 5, with proofs of possession: a key that is the sum of others
/// is as good as the proofs that were checked before they were added (`microrollup.crypto.signatures.bls`), or one of them
/// could have been chosen to cancel the rest. Without the precompiles (Prague) everything is a no.
contract BlsValidator is IValidator {
    bytes private constant DST = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";
    uint8 private constant DST_BYTES = 43;

    address private constant MODEXP = address(0x05);
    address private constant G2ADD = address(0x0d);
    address private constant PAIRING = address(0x0f);
    address private constant MAP_TO_G2 = address(0x11);
    /// @dev The precompile burns what it is given for what is not a point, so it is given a bounded part; two pairs take 102,900.
    uint256 private constant PAIRING_GAS = 200_000;

    /// @dev The field's prime, in two words.
    uint256 private constant PRIME_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant PRIME_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @dev G1's generator, negated.
    bytes private constant NEGATED_GENERATOR =
        hex"0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
        hex"00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca";

    /// @inheritdoc IValidator
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external view returns (bool) {
        if (config.length != 96 || signature.length != 192) return false;
        // Zeros are infinity, to which the pairing says yes together with a signature that is infinity.
        if (bytes32(config) | bytes32(config[32:]) | bytes32(config[64:]) == 0) return false;
        bytes memory input = bytes.concat(
            NEGATED_GENERATOR, _pad(signature[:96]), _pad(signature[96:]), _pad(config), _hashToG2(hash)
        );
        (bool known, bytes memory answer) = PAIRING.staticcall{gas: PAIRING_GAS}(input);
        if (!known) {
            // No points, or too little gas: pairs of infinity need as much.
            (known,) = PAIRING.staticcall{gas: PAIRING_GAS}(new bytes(input.length));
            if (!known) _endSilently();
            return false;
        }
        return answer.length == 32 && uint256(bytes32(answer)) == 1;
    }

    /// @dev Two coordinates with EIP-2537's padding.
    function _pad(bytes calldata pair) private pure returns (bytes memory) {
        return bytes.concat(bytes16(0), pair[:48], bytes16(0), pair[48:]);
    }

    /// @dev RFC 9380's `BLS12381G2_XMD:SHA-256_SSWU_RO_` of 32 bytes: 256 bytes in eight words, then two elements of the field's extension.
    function _hashToG2(bytes32 message) private view returns (bytes memory) {
        bytes32 first = sha256(abi.encodePacked(new bytes(64), message, hex"010000", DST, DST_BYTES));
        bytes32[8] memory words;
        words[0] = sha256(abi.encodePacked(first, uint8(1), DST, DST_BYTES));
        for (uint256 i = 1; i < 8; ++i) {
            words[i] = sha256(abi.encodePacked(first ^ words[i - 1], uint8(i + 1), DST, DST_BYTES));
        }
        bytes memory one = bytes.concat(_reduce(words[0], words[1]), _reduce(words[2], words[3]));
        bytes memory other = bytes.concat(_reduce(words[4], words[5]), _reduce(words[6], words[7]));
        return _call(G2ADD, bytes.concat(_call(MAP_TO_G2, one), _call(MAP_TO_G2, other)));
    }

    /// @dev 64 bytes as an element of the field.
    function _reduce(bytes32 high, bytes32 low) private view returns (bytes memory) {
        return _call(
            MODEXP,
            abi.encodePacked(uint256(64), uint256(1), uint256(64), high, low, uint8(1), PRIME_HIGH, PRIME_LOW)
        );
    }

    /// @dev For inputs that the precompile takes.
    function _call(address precompile, bytes memory input) private view returns (bytes memory answer) {
        bool known;
        (known, answer) = precompile.staticcall(input);
        if (!known) _endSilently();
    }

    /// @dev As where the gas runs out: a no would be an answer, with which estimates, which look for the least gas, would be content.
    function _endSilently() private pure {
        assembly ("memory-safe") {
            revert(0, 0)
        }
    }
}
