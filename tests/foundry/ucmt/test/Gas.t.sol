// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {PackedUserOperation} from "@account-abstraction/contracts/interfaces/PackedUserOperation.sol";
import {UpdateAction, ValidateAction} from "keystore/ucmt/IUserConfigKeystore.sol";
import {AccountBase} from "./AccountBase.sol";
import {IUcmtAccount, IUcmtAccountFactory} from "./IUcmtAccount.sol";

/// @dev What it costs, on Stackup's own case: a tree of 32 nodes, the node of 62 bytes, its verifier answering at once. A figure
/// is the gas of the whole call, with what it costs to touch the keystore, and all storage cold; where Stackup's
/// snapshot has the storage warm, since it registers in the same transaction, there are both. In snapshots/ucmt.json.
contract GasTest is AccountBase {
    bytes32 private constant _REF_HASH = 0x919c2e64fdfe95a09781da7a31cec323904edeece2aadab9db2809401f24feb1;
    bytes32 private constant _NEXT_HASH = 0xb13960137758ce826ea70bb3d7d699c7f81f467610baf36babb5902b08d98529;
    bytes private constant _NODE =
        hex"217c31512a2fc94b172b5ef447d1deca0abf0c34a47ae671572752b2eafbb25ce40f59229f25811cfae1c253226d6b08cbecfd13e8b413cdbe616886c94b";
    bytes private constant _DATA = hex"7b41359034736ce7bb5277e09979f3b337";
    bytes private constant _PROOF = abi.encodePacked(
        uint256(0x20),
        uint256(5),
        hex"d75925ab1c24fe4af10b28baa7b632d28a52ffc73eae1a386152fd44e805fe15",
        hex"bfc020b001604c83cdaf1759486f5d4547d89278b8e90ee2e49cc9b8576cf3ee",
        hex"ecd6bb55e8f496defad7865a73041e22a4a761938c6638e288e8380768e99c19",
        hex"f8a598929a6ff9a031bc9727bf8536a590d1dc764fe678d5595f8459221a8e25",
        hex"b0cf634098ce6f594f969fdde6243f10810a5a2817676821356a9aba230baf01"
    );
    bytes private constant _NEXT_PROOF = abi.encodePacked(
        uint256(0x20),
        uint256(5),
        hex"9ee4edde6a7fd03851aab27a77e7a3fb77f2fdfde7c4dfbfaf5dcae99698f684",
        hex"e999f6e618762b50b717ff1809f6c86d7e15753ba2f792fb16c6262373c10b7a",
        hex"09a2e71e783ee4e7550de83552c555c04bb81384f4299a087bded32e5d6e0586",
        hex"e18e4b59fe0f576bd444f3e6f496020239e4b6391c703c15ae2538c358a2baac",
        hex"8cdc539d55721a221aa7a351817962aa7f35639d126c1860936cedbc1de9796c"
    );
    uint256 private constant _NONCE = 779254045811195516568393371847926550426994733077148739871778103143432192;

    function setUp() public override {
        super.setUp();
        // Returns a word of zeros for 12 gas, where Stackup's snapshot mocks the call.
        vm.etch(address(bytes20(_NODE)), hex"60205ff3");
    }

    function _measure(string memory name, address target, bytes memory call_) private {
        bool success;
        uint256 used;
        assembly ("memory-safe") {
            let before := gas()
            success := call(gas(), target, 0, add(call_, 0x20), mload(call_), 0, 0)
            used := sub(before, gas())
        }
        assertTrue(success, name);
        vm.snapshotValue("ucmt", name, used);
    }

    function _cool() private {
        avm.cool(address(keystore));
        avm.cool(address(bytes20(_NODE)));
    }

    function _register() private {
        keystore.registerNode(_REF_HASH, abi.decode(_PROOF, (bytes32[])), _NODE);
    }

    function _validation(bool registered) private pure returns (bytes memory) {
        ValidateAction memory action = ValidateAction(_REF_HASH, keccak256(hex"deadbeef"), _PROOF, _NODE, _DATA);
        if (registered) (action.proof, action.node) = ("", abi.encode(keccak256(_NODE)));
        return abi.encodeWithSignature("validate((bytes32,bytes32,bytes,bytes,bytes))", action);
    }

    function _updating(bool registered) private view returns (bytes memory) {
        UpdateAction memory action;
        (action.refHash, action.nextHash, action.nonce) = (_REF_HASH, _NEXT_HASH, _NONCE);
        (action.account, action.proof, action.node) = (address(this), _PROOF, _NODE);
        (action.data, action.nextProof) = (_DATA, _NEXT_PROOF);
        if (registered) (action.proof, action.node) = ("", abi.encode(keccak256(_NODE)));
        return abi.encodeCall(keystore.handleUpdates, (_list(action)));
    }

    function test_register() external {
        bytes memory call_ = abi.encodeCall(keystore.registerNode, (_REF_HASH, abi.decode(_PROOF, (bytes32[])), _NODE));
        _cool();
        _measure("1. registerNode", address(keystore), call_);
        _cool();
        _measure("1. registerNode, again", address(keystore), call_);
    }

    function test_validate_with_proof() external {
        bytes memory call_ = _validation(false);
        _cool();
        _measure("2. validate (with proof)", address(keystore), call_);
    }

    function test_validate_without_proof() external {
        _register();
        bytes memory call_ = _validation(true);
        _measure("3. validate (without proof)", address(keystore), call_);
        _cool();
        _measure("3. validate (without proof), storage cold", address(keystore), call_);
    }

    function test_update_with_proof() external {
        bytes memory call_ = _updating(false);
        _cool();
        _measure("4. handleUpdates (with proof)", address(keystore), call_);
    }

    function test_update_without_proof() external {
        _register();
        bytes memory call_ = _updating(true);
        _measure("5. handleUpdates (without proof)", address(keystore), call_);
    }

    function test_update_without_proof_cold() external {
        _register();
        bytes memory call_ = _updating(true);
        _cool();
        _measure("5. handleUpdates (without proof), storage cold", address(keystore), call_);
    }

    // Operations, with the real ECDSA verifier

    function _measureOperation(string memory name, PackedUserOperation memory operation) private {
        bytes memory call_ = _encodeHandle(operation);
        address[6] memory touched = [
            address(entryPoint), operation.sender, address(factory), address(factory.implementation()),
            address(keystore), address(bytes20(aliceNode))
        ];
        for (uint256 i; i < 6; ++i) {
            avm.cool(touched[i]);
        }
        avm.prank(BUNDLER, BUNDLER);
        _measure(name, address(entryPoint), call_);
    }

    function test_operations() external {
        address account = factory.getAddress(tree.root, 0);
        vm.deal(account, 10 ether);
        PackedUserOperation memory operation = _transfer(account);
        bytes memory creation = abi.encodeCall(IUcmtAccountFactory.createAccount, (tree.root, 0));
        operation.initCode = abi.encodePacked(factory, creation);
        operation.signature = _proven(0, _sign(ALICE, entryPoint.getUserOpHash(operation)));
        _measureOperation("handleOps: account made, node registered", operation);
        for (uint256 i; i < 3; ++i) {
            operation = _transfer(account);
            uint256 key = i == 2 ? BOB : ALICE;
            bytes memory data = _sign(key, entryPoint.getUserOpHash(operation));
            operation.signature = i == 0 ? _cached(0, data) : _proven(i - 1, data);
            string[3] memory names = ["registered node", "proof again", "another node's first use"];
            _measureOperation(string.concat("handleOps: ", names[i]), operation);
        }
    }
}
