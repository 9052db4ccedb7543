// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IEntryPoint} from "@account-abstraction/contracts/interfaces/IEntryPoint.sol";
import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {IUcmtAccount, IUcmtAccountFactory} from "./IUcmtAccount.sol";
import {UcmtBase} from "./UcmtBase.sol";

/// @title Accounts under the published EntryPoint 0.8
abstract contract AccountBase is UcmtBase {
    string private constant _ENTRY_POINT_ARTIFACT =
        "../node_modules/@account-abstraction/contracts/artifacts/EntryPoint.json";
    address payable internal constant BUNDLER = payable(address(0xB0D1E8));
    address payable internal constant RECIPIENT = payable(address(0x8EC191E27));
    uint256 internal constant ALICE = 0xA11CE;
    uint256 internal constant BOB = 0xB0B;

    IEntryPoint internal entryPoint;
    IUcmtAccountFactory internal factory;
    bytes internal aliceNode;
    bytes internal bobNode;
    Tree internal tree;

    function setUp() public virtual override {
        super.setUp();
        bytes memory code = vm.parseJsonBytes(vm.readFile(_ENTRY_POINT_ARTIFACT), ".bytecode");
        address created;
        assembly ("memory-safe") {
            created := create(0, add(code, 0x20), mload(code))
        }
        entryPoint = IEntryPoint(created);
        factory = IUcmtAccountFactory(_create("UcmtAccountFactory", abi.encode(entryPoint, keystore)));
        address verifier = _create("UcmtEcdsaVerifier", abi.encode(keystore));
        aliceNode = abi.encodePacked(verifier, vm.addr(ALICE));
        bobNode = abi.encodePacked(verifier, vm.addr(BOB));
        tree = _grow(aliceNode, bobNode, "c", "d");
    }

    function _createAccount(bytes32 refHash, uint256 salt) internal returns (IUcmtAccount account) {
        vm.prank(address(entryPoint.senderCreator()));
        account = factory.createAccount(refHash, salt);
        vm.deal(address(account), 10 ether);
    }

    /// @notice A signature with the proof of a node of the tree.
    function _proven(uint256 index, bytes memory data) internal view returns (bytes memory) {
        return abi.encode(_encodeProof(tree, index), tree.nodes[index], data);
    }

    /// @notice A signature by a registered node.
    function _cached(uint256 index, bytes memory data) internal view returns (bytes memory) {
        return abi.encode("", abi.encode(tree.leaves[index]), data);
    }

    /// @notice An operation that sends one wei, not signed yet.
    function _transfer(address account) internal view returns (PackedUserOperation memory operation) {
        operation.sender = account;
        operation.nonce = entryPoint.getNonce(account, 0);
        operation.callData = abi.encodeWithSignature("execute(address,uint256,bytes)", RECIPIENT, 1, "");
        operation.accountGasLimits = bytes32(uint256(2_000_000) << 128 | 200_000);
        operation.preVerificationGas = 50_000;
        operation.gasFees = bytes32(uint256(1 gwei) << 128 | 1 gwei);
    }

    function _encodeHandle(PackedUserOperation memory operation) internal pure returns (bytes memory) {
        PackedUserOperation[] memory operations = new PackedUserOperation[](1);
        operations[0] = operation;
        return abi.encodeCall(IEntryPoint.handleOps, (operations, BUNDLER));
    }

    function _handle(PackedUserOperation memory operation) internal {
        PackedUserOperation[] memory operations = new PackedUserOperation[](1);
        operations[0] = operation;
        avm.prank(BUNDLER, BUNDLER);
        entryPoint.handleOps(operations, BUNDLER);
    }

    /// @notice The operation is taken, and its transfer arrives.
    function _accept(PackedUserOperation memory operation) internal {
        uint256 balance = RECIPIENT.balance;
        _handle(operation);
        assertEq(balance + 1, RECIPIENT.balance, "the transfer arrived");
    }
}
