// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {ModuleBase} from "./ModuleBase.sol";

/// @notice What validation by the module costs an account that exists, at depth 30; as `AccountGasTest` has it for the keystore's
/// own accounts. The whole call `validateUserOp` to the account, its storage and the module's cold.
contract ModuleGasTest is ModuleBase {
    string private constant _GROUP = "accounts";

    function setUp() public override {
        super.setUp();
        _install();
    }

    function _measure(PackedUserOperation memory operation, string memory name) private {
        assertTrue(FAILED != _validate(operation), "code is warm");
        avm.cool(address(account));
        avm.cool(address(module));
        assertTrue(FAILED != _validate(operation), "valid");
        vm.snapshotValue(_GROUP, string.concat("module, storage cold: ", name), avm.lastCallGas().gasTotalUsed);
        vm.snapshotValue(_GROUP, string.concat("module, signature bytes: ", name), operation.signature.length);
    }

    function test_Inclusion() public {
        Opening memory opening = _include(key, alice);
        _show(opening.root);
        module.pushRoot(address(account));
        _measure(_sign(_transferOperation(), alice, opening), "inclusion, ECDSA");
    }

    function _ownerHash() private view returns (bytes32) {
        return keccak256(abi.encodePacked(_dataHash(alice), alice.vkHash));
    }

    function _push(bytes32 place, bytes32 valueHash) private returns (bytes memory openings) {
        bytes32 root;
        (root, openings) = _pair(key, alice, place, valueHash);
        _show(root);
        module.pushRoot(address(account));
    }

    function test_Intent() public {
        PackedUserOperation memory operation = _transferOperation();
        bytes32 userOpHash = entryPoint.getUserOpHash(operation);
        bytes32 valueHash =
            keccak256(abi.encode(block.chainid, account, userOpHash, uint64(1), UNTIL, _ownerHash()));
        bytes memory openings = _push(keccak256(abi.encodePacked(uint16(6), key, uint256(7))), valueHash);
        operation.signature = abi.encodePacked(uint8(3), uint16(7), uint64(1), UNTIL, openings);
        _measure(operation, "intent");
    }

    function test_Delegate() public {
        PackedUserOperation memory operation = _transferOperation();
        bytes memory signature = _sign(alice.privateKey, entryPoint.getUserOpHash(operation));
        bytes32 valueHash = keccak256(abi.encode(alice.codeHash, keccak256(alice.config), UNTIL, _ownerHash()));
        bytes memory openings = _push(keccak256(abi.encodePacked(uint16(7), key, block.chainid)), valueHash);
        operation.signature = abi.encodePacked(
            uint8(4), alice.codeHash, uint16(20), alice.config, uint16(65), signature, uint8(0), UNTIL, openings
        );
        _measure(operation, "delegate, ECDSA");
    }
}
