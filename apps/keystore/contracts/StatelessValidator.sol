// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC7913SignatureVerifier} from "@openzeppelin/contracts/interfaces/IERC7913.sol";
import {IValidator} from "./IValidator.sol";

/// @title A validator by the interfaces of others
/// @notice ERC-7780's stateless validator and ERC-7913's verifier, over any validator of the keystore: the data, and the key, are its
/// `config`. Anything malformed is a no.
contract StatelessValidator is IERC7913SignatureVerifier {
    bytes4 private constant NO = 0xffffffff;

    IValidator public immutable validator;

    constructor(IValidator validator_) {
        validator = validator_;
    }

    /// @notice ERC-7780: whether `signature` is by those whom `data` names, over `hash`.
    function validateSignatureWithData(bytes32 hash, bytes calldata signature, bytes calldata data)
        external
        view
        returns (bool)
    {
        return validator.validate(hash, signature, data);
    }

    /// @inheritdoc IERC7913SignatureVerifier
    function verify(bytes calldata key, bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        if (key.length == 0) return NO;
        return validator.validate(hash, signature, key) ? IERC7913SignatureVerifier.verify.selector : NO;
    }
}
