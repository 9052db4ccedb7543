// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {AccountERC7579} from "@openzeppelin/contracts/account/extensions/draft-AccountERC7579.sol";
import {IEntryPoint, PackedUserOperation} from "@openzeppelin/contracts/interfaces/IERC4337.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignerECDSA} from "@openzeppelin/contracts/utils/cryptography/signers/SignerECDSA.sol";

/// @notice OpenZeppelin's modular account, as somebody has it who has not heard of the keystore: with one key of its own.
contract ModularAccount is AccountERC7579, SignerECDSA, EIP712 {
    IEntryPoint private immutable _entryPoint;

    constructor(address entryPoint_, address owner) SignerECDSA(owner) EIP712("ModularAccount", "1") {
        _entryPoint = IEntryPoint(entryPoint_);
    }

    function entryPoint() public view override returns (IEntryPoint) {
        return _entryPoint;
    }

    function _rawSignatureValidation(bytes32 hash, bytes calldata signature)
        internal
        view
        override(AccountERC7579, SignerECDSA)
        returns (bool)
    {
        return SignerECDSA._rawSignatureValidation(hash, signature);
    }
}

/// @notice A module that does nothing, of one type.
contract IdleModule {
    uint256 private immutable _type;
    uint256 public count;

    constructor(uint256 type_) {
        _type = type_;
    }

    function isModuleType(uint256 type_) external view returns (bool) {
        return type_ == _type;
    }

    function onInstall(bytes calldata) external {}
    function onUninstall(bytes calldata) external {}

    function touch() external {
        ++count;
    }
}

interface IModularAccount {
    function installModule(uint256 type_, address module, bytes calldata data) external;
    function uninstallModule(uint256 type_, address module, bytes calldata data) external;
    function execute(bytes32 mode, bytes calldata calls) external payable;
    function isModuleInstalled(uint256 type_, address module, bytes calldata context) external view returns (bool);
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4);
}

interface IKeystoreModule {
    function pushRoot(address account) external;
    function keyOf(address account) external view returns (bytes32);
    function isInitialized(address account) external view returns (bool);
    function isModuleType(uint256 type_) external view returns (bool);
    function onInstall(bytes calldata data) external;
    function onUninstall(bytes calldata data) external;
    function getRemembered(address account) external view returns (bytes27 dataHash, uint40 validUntil);
    function isValidSignatureWithSender(address sender, bytes32 hash, bytes calldata signature)
        external
        view
        returns (bytes4);
    function validateUserOp(PackedUserOperation calldata operation, bytes32 hash) external returns (uint256);
}
