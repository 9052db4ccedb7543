// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PaymasterSigner} from "@openzeppelin/contracts/account/paymaster/extensions/PaymasterSigner.sol";
import {IEntryPoint} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";

/// @title Pays for the operations that its signer names (ERC-4337)
/// @notice The data of an operation's paymaster is `validAfter 6 | validUntil 6 | signature 65`: OpenZeppelin's typed data
/// `UserOperationRequest`, in the domain `{SigningPaymaster, 1, chain id, this}`, by one Ethereum key. It reads no storage in
/// validation, so it needs no stake (ERC-7562). Anybody deposits for it in the entry point; its owner takes deposits out.
contract SigningPaymaster is PaymasterSigner {
    /// @notice Only the owner may take deposits out.
    error NotOwner(address sender);

    address public immutable signer;
    address public immutable owner;
    IEntryPoint private immutable _ENTRY_POINT;

    constructor(IEntryPoint entryPoint_, address signer_, address owner_) EIP712("SigningPaymaster", "1") {
        (_ENTRY_POINT, signer, owner) = (entryPoint_, signer_, owner_);
    }

    /// @notice The only entry point for whose operations it pays.
    function entryPoint() public view override returns (IEntryPoint) {
        return _ENTRY_POINT;
    }

    /// @notice Take `value` wei of the deposit out.
    function withdraw(address payable to, uint256 value) external {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _withdraw(to, value);
    }

    /// @dev In the one form with low s and v 27 or 28.
    function _rawSignatureValidation(bytes32 hash, bytes calldata signature) internal view override returns (bool) {
        (address found, ECDSA.RecoverError error,) = ECDSA.tryRecoverCalldata(hash, signature);
        return error == ECDSA.RecoverError.NoError && found == signer;
    }
}
