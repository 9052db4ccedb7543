// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title BLS12-381 with keys in G2 and signatures in G1
/// @notice The proof-of-possession ciphersuite of draft-irtf-cfrg-bls-signature ("minimal-signature-size") upon the precompiles
/// of EIP-2537. The Python module is `microrollup.crypto.bls_shares`. A key in storage is 192 bytes, the coordinates x0, x1, y0, y1 of 48
/// bytes each, in EIP-2537's order without its padding; a signature is EIP-2537's 128 bytes of a point of G1.
library Bls {
    uint256 internal constant KEY_BYTES = 192;
    uint256 internal constant SIGNATURE_BYTES = 128;
    /// @dev A point of G2, padded.
    uint256 private constant POINT_BYTES = 256;

    /// @dev The same for both: 43 bytes, which hashing puts after the text.
    bytes internal constant SIGNATURE_DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    bytes internal constant PROOF_DST = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    uint8 private constant DST_BYTES = 43;

    address private constant MODEXP = address(0x05);
    address private constant G1ADD = address(0x0b);
    uint256 private constant G2ADD = 0x0d;
    address private constant PAIRING = address(0x0f);
    address private constant MAP_TO_G1 = address(0x10);

    /// @dev The field's prime, in the two words of a padded coordinate.
    uint256 private constant PRIME_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant PRIME_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;
    /// @dev (p - 1) / 2: a coordinate above it is the larger of the two that have its square.
    uint256 private constant HALF_HIGH = 0x0d0088f51cbff34d258dd3db21a5d66b;
    uint256 private constant HALF_LOW = 0xb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555;

    /// @dev G2's generator, negated.
    bytes private constant NEGATED_GENERATOR =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
        hex"0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
        hex"000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bcb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa"
        hex"0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed";

    /// @notice Whether the key, a padded point of G2, made a signature over a text. False as well for what is not a point of
    /// the subgroup in its one encoding. Infinity is a point to the precompile: the caller refuses that key.
    function isSigned(bytes memory message, bytes memory dst, bytes memory key, bytes memory signature)
        internal
        view
        returns (bool)
    {
        (bool known, bytes memory answer) =
            PAIRING.staticcall(bytes.concat(hashToG1(message, dst), key, signature, NEGATED_GENERATOR));
        return known && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }

    /// @notice RFC 9380's `BLS12381G1_XMD:SHA-256_SSWU_RO_` of a text: a padded point of G1.
    function hashToG1(bytes memory message, bytes memory dst) internal view returns (bytes memory) {
        bytes32 first = sha256(abi.encodePacked(new bytes(64), message, hex"008000", dst, DST_BYTES));
        bytes32[4] memory words;
        words[0] = sha256(abi.encodePacked(first, uint8(1), dst, DST_BYTES));
        for (uint256 i = 1; i < 4; ++i) {
            words[i] = sha256(abi.encodePacked(first ^ words[i - 1], uint8(i + 1), dst, DST_BYTES));
        }
        return _call(G1ADD, bytes.concat(_map(words[0], words[1]), _map(words[2], words[3])));
    }

    /// @dev 64 bytes as an element of the field, and that as a point.
    function _map(bytes32 high, bytes32 low) private view returns (bytes memory) {
        bytes memory reduced = _call(
            MODEXP,
            abi.encodePacked(uint256(64), uint256(1), uint256(64), high, low, uint8(1), PRIME_HIGH, PRIME_LOW)
        );
        return _call(MAP_TO_G1, reduced);
    }

    /// @dev For inputs that the precompile takes.
    function _call(address precompile, bytes memory input) private view returns (bytes memory) {
        (bool known, bytes memory answer) = precompile.staticcall(input);
        require(known);
        return answer;
    }

    /// @notice The sum of some keys, padded: of those whose bit is set, key i being the bit `1 << (i % 8)` of byte i / 8. Infinity
    /// is zeros. The keys are those of the pages, one page after the other.
    /// @param pages Contracts whose code is a byte and then keys, all points of the subgroup.
    /// @return count How many bits are set.
    function sum(bytes memory bitmap, address[] memory pages) internal view returns (uint256 count, bytes memory total) {
        total = new bytes(POINT_BYTES);
        assembly ("memory-safe") {
            // Two padded points, of which the first is the sum so far, and a key as it is stored.
            let points := mload(0x40)
            let key := add(points, 512)
            mstore(0x40, add(key, 192))
            calldatacopy(points, calldatasize(), 512)
            let page := pages // where the present page's address stands; at first before all
            let from := 0 // the index of its first key
            let end := 0 // and of that after its last one
            let length := mload(bitmap)
            for { let at := 0 } lt(at, length) { at := add(at, 1) } {
                let bits := byte(0, mload(add(add(bitmap, 32), at)))
                for { let i := mul(at, 8) } bits { i := add(i, 1) bits := shr(1, bits) } {
                    if iszero(and(bits, 1)) { continue }
                    for {} iszero(lt(i, end)) {} {
                        page := add(page, 32)
                        from := end
                        end := add(from, div(extcodesize(mload(page)), 192))
                    }
                    extcodecopy(mload(page), key, add(1, mul(192, sub(i, from))), 192)
                    mcopy(add(points, 272), key, 48)
                    mcopy(add(points, 336), add(key, 48), 48)
                    mcopy(add(points, 400), add(key, 96), 48)
                    mcopy(add(points, 464), add(key, 144), 48)
                    if iszero(staticcall(gas(), G2ADD, points, 512, points, 256)) { revert(0, 0) }
                    count := add(count, 1)
                }
            }
            mcopy(add(total, 32), points, 256)
        }
    }

    /// @notice A padded point of G2 without another one.
    function subtract(bytes memory point, bytes memory other) internal view returns (bytes memory) {
        bytes memory negated = bytes.concat(other);
        _negate(negated, 160);
        _negate(negated, 224);
        return _call(address(uint160(G2ADD)), bytes.concat(point, negated));
    }

    /// @dev Replace the padded coordinate that begins `offset` bytes from the array's own beginning by p minus it; 0 stays.
    function _negate(bytes memory point, uint256 offset) private pure {
        assembly ("memory-safe") {
            let place := add(point, offset)
            let high := mload(place)
            let low := mload(add(place, 32))
            if or(high, low) {
                mstore(place, sub(sub(PRIME_HIGH, high), gt(low, PRIME_LOW)))
                mstore(add(place, 32), sub(PRIME_LOW, low))
            }
        }
    }

    /// @notice A key of 192 bytes with EIP-2537's padding.
    function pad(bytes memory key) internal pure returns (bytes memory padded) {
        padded = new bytes(POINT_BYTES);
        assembly ("memory-safe") {
            mcopy(add(padded, 48), add(key, 32), 48)
            mcopy(add(padded, 112), add(key, 80), 48)
            mcopy(add(padded, 176), add(key, 128), 48)
            mcopy(add(padded, 240), add(key, 176), 48)
        }
    }

    /// @notice The 96 bytes that stand for a padded key other than infinity: x1, x0, with the flags of the usual encoding.
    function compress(bytes memory padded) internal pure returns (bytes memory compressed) {
        compressed = new bytes(96);
        bool isLarger;
        assembly ("memory-safe") {
            mcopy(add(compressed, 32), add(padded, 112), 48)
            mcopy(add(compressed, 80), add(padded, 48), 48)
            let high := mload(add(padded, 224))
            let low := mload(add(padded, 256))
            if iszero(or(high, low)) {
                high := mload(add(padded, 160))
                low := mload(add(padded, 192))
            }
            isLarger := or(gt(high, HALF_HIGH), and(eq(high, HALF_HIGH), gt(low, HALF_LOW)))
        }
        compressed[0] |= isLarger ? bytes1(0xa0) : bytes1(0x80);
    }

    /// @notice Whether a stored key comes after another one.
    function isAbove(bytes memory key, bytes memory other) internal pure returns (bool) {
        for (uint256 at = 32; at <= KEY_BYTES; at += 32) {
            uint256 one;
            uint256 two;
            assembly ("memory-safe") {
                one := mload(add(key, at))
                two := mload(add(other, at))
            }
            if (one != two) return one > two;
        }
        return false;
    }

    /// @notice Whether all bytes are zero, as of infinity.
    function isInfinity(bytes memory point) internal pure returns (bool) {
        return keccak256(point) == keccak256(new bytes(point.length));
    }
}
