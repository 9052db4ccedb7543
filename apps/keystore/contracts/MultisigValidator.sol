// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IValidator} from "./IValidator.sol";

/// @title m of n Ethereum keys
/// @notice `config` is `threshold 1 | owners 20n`, the owners strictly ascending, 1 <= threshold <= n <= 255. `signature` has
/// exactly `threshold` signatures of 65 bytes, in the ascending order of their signers: a signer who comes twice is out
/// of order, so no set of signatures has a second form and none counts twice.
contract MultisigValidator is IValidator {
    uint256 private constant _OWNER_BYTES = 20;
    uint256 private constant _SIGNATURE_BYTES = 65;

    /// @inheritdoc IValidator
    /// @dev A signature that is nobody's does not end it: an estimate with wrong ones pays for all of them.
    function validate(bytes32 hash, bytes calldata signature, bytes calldata config) external pure returns (bool valid) {
        if (!_isConfig(config)) return false;
        uint256 threshold = uint8(config[0]);
        if (signature.length != threshold * _SIGNATURE_BYTES) return false;
        uint256 ownerCount = config.length / _OWNER_BYTES;
        uint256 ownerIndex;
        valid = true;
        for (uint256 i; i < threshold; ++i) {
            // A malformed one is the zero address's, which signs for nobody.
            (address signer,,) =
                ECDSA.tryRecoverCalldata(hash, signature[i * _SIGNATURE_BYTES:(i + 1) * _SIGNATURE_BYTES]);
            // Owners and signers both ascend: an owner who was passed or has signed is never looked at again.
            while (ownerIndex < ownerCount && _ownerAt(config, ownerIndex) != signer) ++ownerIndex;
            if (ownerIndex == ownerCount || signer == address(0)) valid = false;
            else ++ownerIndex;
        }
    }

    /// @dev Whether a threshold that can be reached precedes owners who ascend strictly.
    function _isConfig(bytes calldata config) private pure returns (bool) {
        if (config.length % _OWNER_BYTES != 1) return false;
        uint256 ownerCount = config.length / _OWNER_BYTES;
        uint256 threshold = uint8(config[0]);
        if (threshold == 0 || threshold > ownerCount || ownerCount > type(uint8).max) return false;
        for (uint256 i = 1; i < ownerCount; ++i) {
            if (_ownerAt(config, i - 1) >= _ownerAt(config, i)) return false;
        }
        return true;
    }

    function _ownerAt(bytes calldata config, uint256 index) private pure returns (address) {
        uint256 start = 1 + index * _OWNER_BYTES;
        return address(bytes20(config[start:start + _OWNER_BYTES]));
    }
}
