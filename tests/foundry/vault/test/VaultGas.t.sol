// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {Paths} from "keystore-test/Paths.sol";
import {PlainToken} from "./Tokens.sol";
import {EscapeBase} from "./EscapeBase.sol";
import {VaultVm} from "./VaultVm.sol";

/// @notice Execution gas with cold storage and proofs of depth 30, without the transaction's 21,000 and its calldata. A test
/// a figure, so that nothing was written before. Beside it the calldata's bytes and the slots that are new.
contract VaultGasTest is EscapeBase {
    uint256 private constant DEPTH = 30;
    bytes32 private constant ID = keccak256("a withdrawal");
    uint256 private constant KEY = 0xBEEF;
    PlainToken private token;

    function setUp() public override {
        super.setUp();
        token = new PlainToken();
        _fund(address(token), ALICE, 10 ether);
        _fund(address(token), address(vault), 10 ether);
        _fillVault(10 ether);
        token.mint(BOB, 1);
        _depositAs(BOB, ETHER, ID, 1);
        _depositAs(ALICE, address(token), ID, 1);
        _pass(1);
    }

    function _cool() private {
        vm.cool(address(vault));
        vm.cool(address(inbox));
        vm.cool(address(token));
        vm.cool(escapeVerifier);
    }

    function _measure(string memory name, address caller, uint256 value, bytes memory call_) private {
        _cool();
        uint256 snapshot = avm.snapshotState();
        vm.prank(caller);
        (bool success,) = address(vault).call{value: value}(call_);
        VaultVm(address(vm)).snapshotGasLastCall("vault", name);
        assertTrue(success, "the call that is measured");
        avm.revertToState(snapshot);
        _keepCosts("vault", name, caller, address(vault), value, call_);
    }

    function _leaf(bytes32 place, bytes32 valueHash) private pure returns (Paths.Leaf memory) {
        return Paths.Leaf(1, 1, place, 0, 0, valueHash);
    }

    /// @notice The root over two leaves that are each other's sibling, and their proofs.
    function _grow(Paths.Leaf memory left, Paths.Leaf memory right)
        private
        pure
        returns (bytes32 root, bytes memory leftProof, bytes memory rightProof)
    {
        (bytes32 leftHash, bytes32 rightHash) = (Paths.hash(left), Paths.hash(right));
        bytes32 node = keccak256(abi.encodePacked(leftHash, rightHash));
        Paths.Path memory path = Paths.grow(node, DEPTH - 1, uint64(uint256(node)), node);
        leftProof = abi.encodePacked(path.isLeft << 1, left.nextPrefix, left.nextKey, rightHash, path.siblings);
        rightProof = abi.encodePacked(path.isLeft << 1 | 1, right.nextPrefix, right.nextKey, leftHash, path.siblings);
        root = path.root;
    }

    function _growAndSettle(Paths.Leaf memory left, Paths.Leaf memory right)
        private
        returns (bytes32 root, bytes memory leftProof, bytes memory rightProof)
    {
        (root, leftProof, rightProof) = _grow(left, right);
        _settleRoot(root, inbox.queueLength());
        vault.checkpoint();
    }

    function test_DepositEther() public {
        bytes memory call_ =
            abi.encodeCall(vault.deposit, (ETHER, ID, 1 ether, ALICE, rollupId, UNREGISTERED));
        _measure("deposit, ether", ALICE, 1 ether, call_);
    }

    function test_DepositToken() public {
        bytes memory call_ =
            abi.encodeCall(vault.deposit, (address(token), ID, 1 ether, ALICE, rollupId, UNREGISTERED));
        _measure("deposit, ERC-20", ALICE, 0, call_);
    }

    function test_DepositRegistered() public {
        Account memory account = _accountOf(ALICE);
        bytes memory hashes = abi.encodePacked(keccak256(account.data), keccak256(account.vk));
        Paths.Leaf memory leaf = _leaf(_place(0, account.key), keccak256(hashes));
        (bytes32 root, bytes memory proof,) = _growAndSettle(leaf, _leaf(ID, ID));
        bytes memory registration = abi.encodePacked(hex"00", root, hashes, proof);
        bytes memory call_ =
            abi.encodeCall(vault.deposit, (ETHER, account.key, 1 ether, ALICE, rollupId, registration));
        _measure("deposit, ether, to an account that is shown", ALICE, 1 ether, call_);
    }

    function test_Checkpoint() public {
        _settleRoot(ID, 2);
        _measure("checkpoint", STRANGER, 0, abi.encodeCall(vault.checkpoint, ()));
    }

    function test_ClaimEther() public {
        bytes32 valueHash = keccak256(abi.encodePacked(BOB, uint256(1 ether)));
        (bytes32 root, bytes memory proof,) = _growAndSettle(_leaf(_place(3, ID), valueHash), _leaf(ID, ID));
        _measure("claim, ether", STRANGER, 0, abi.encodeCall(vault.claim, (root, ID, ETHER, BOB, 1 ether, proof)));
    }

    function test_ClaimToken() public {
        bytes32 valueHash = keccak256(abi.encode(token, BOB, 1 ether));
        (bytes32 root, bytes memory proof,) = _growAndSettle(_leaf(_place(5, ID), valueHash), _leaf(ID, ID));
        bytes memory call_ = abi.encodeCall(vault.claim, (root, ID, address(token), BOB, 1 ether, proof));
        _measure("claim, ERC-20", STRANGER, 0, call_);
    }

    function test_Reclaim() public {
        _settle(2);
        bytes32 root = vault.checkpoint();
        bytes memory proof = _exclude(_place(10, bytes32(0)));
        IKeystoreVault.Deposit memory paid = deposits[0];
        bytes memory call_ = abi.encodeCall(vault.reclaim, (0, paid, root, proof));
        _measure("reclaim, ether, depth 0", STRANGER, 0, call_);
    }

    function test_Freeze() public {
        _pass(SILENCE);
        _measure("freeze", STRANGER, 0, abi.encodeCall(vault.freeze, ()));
    }

    function _escapeOnce(Account memory account, bytes memory authorization, string memory name) private {
        _measure(name, ALICE, 0, _prepareEscape(account, authorization));
    }

    function _prepareEscape(Account memory account, bytes memory authorization) private returns (bytes memory) {
        bytes memory value = abi.encodePacked(keccak256(account.data), keccak256(account.vk));
        (bytes32 root, bytes memory openingProof, bytes memory proof) = _grow(
            _leaf(_place(0, account.key), keccak256(value)),
            _leaf(_place(1, account.key), keccak256(abi.encode(1 ether)))
        );
        _settleRoot(root, 2);
        _silence(SILENCE);
        vault.freeze();
        IKeystoreVault.Opening memory opening =
            IKeystoreVault.Opening(account.data, account.vk, false, 0, openingProof);
        return abi.encodeCall(
            vault.escape, (account.key, ETHER, BOB, 1 ether, opening, proof, authorization)
        );
    }

    function test_EscapeByCaller() public {
        _escapeOnce(_accountOf(ALICE), CALLER, "escape, the caller is the vk");
    }

    function test_EscapeByEcdsa() public {
        Account memory account = _accountOf(vm.addr(KEY));
        _escapeOnce(account, _signed(_sign(KEY, _digest(account.key, ETHER, BOB))), "escape, ECDSA");
    }

    function test_EscapeByP256() public {
        Account memory account = _accountOf(_senderOf(abi.encodePacked(uint8(1), _pointOf(KEY))));
        _escapeOnce(account, _signed(_p256(KEY, _digest(account.key, ETHER, BOB))), "escape, P-256");
    }

    function test_EscapeByPasskey() public {
        Account memory account = _accountOf(_senderOf(abi.encodePacked(uint8(2), _pointOf(KEY))));
        _escapeOnce(account, _signed(_assertion(KEY, _digest(account.key, ETHER, BOB))), "escape, passkey");
    }
}
