// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IVaultBridge} from "keystore/IVaultBridge.sol";
import {CallbackToken} from "./Tokens.sol";
import {EscapeBase} from "./EscapeBase.sol";

/// @notice Calls somebody whenever it is paid; keeps why that failed.
contract Recipient is IVaultBridge {
    address private _target;
    bytes private _call;
    bytes public answer;

    function callBack(address target, bytes calldata call_) external {
        (_target, _call) = (target, call_);
    }

    function bridgeWithdrawal(address, address, uint256, bytes calldata) external payable {
        _callBack();
    }

    receive() external payable {
        _callBack();
    }

    function _callBack() private {
        bool success;
        (success, answer) = _target.call(_call);
        require(!success, "the lock is open");
    }
}

/// @notice From within whatever calls out, no function that moves money or decides about it can be entered.
contract ReentrancyTest is EscapeBase {
    CallbackToken private token;
    Recipient private recipient;
    bytes32 private root;
    bytes[] private entries;

    function setUp() public override {
        super.setUp();
        token = new CallbackToken();
        recipient = new Recipient();
        _fund(address(token), address(vault), 100);
        _fillVault(100);
        _setWithdrawal(keccak256("ether"), ETHER, address(recipient), 5);
        _setWithdrawal(keccak256("token"), address(token), BOB, 5);
        _leave(_accountOf(ALICE), 5);
        root = inbox.settled().stateRoot;
        vault.checkpoint();
        entries.push(abi.encodeCall(vault.checkpoint, ()));
        entries.push(abi.encodeCall(vault.freeze, ()));
        entries.push(
            abi.encodeCall(vault.deposit, (address(token), root, 1, BOB, rollupId, UNREGISTERED))
        );
        entries.push(
            abi.encodeCall(
                vault.depositWithPermit, (address(token), root, 1, BOB, rollupId, UNREGISTERED, 0, 0, root, root)
            )
        );
        bytes memory proof = _include(_withdrawalPlace(ETHER, keccak256("ether")));
        bytes32 id = keccak256("ether");
        entries.push(abi.encodeCall(vault.claim, (root, id, ETHER, address(recipient), 5, proof)));
        entries.push(
            abi.encodeCall(vault.claimLeaf, (root, _withdrawalPlace(ETHER, id), address(recipient), 5, proof))
        );
        entries.push(abi.encodeCall(vault.claimTo, (root, id, ETHER, 5, proof, address(recipient), "")));
        entries.push(abi.encodeCall(vault.reclaim, (0, deposits[0], root, proof)));
        Account memory account = _accountOf(ALICE);
        entries.push(
            abi.encodeCall(vault.escape, (account.key, ETHER, BOB, 5, _opening(account), proof, CALLER))
        );
    }

    function _armed(uint256 index) private returns (bytes memory) {
        token.callBack(address(vault), entries[index]);
        recipient.callBack(address(vault), entries[index]);
        return abi.encodePacked(IKeystoreVault.Reentered.selector);
    }

    function test_WithinDeposit() public {
        token.mint(ALICE, 100);
        vm.prank(ALICE);
        token.approve(address(vault), 100);
        for (uint256 i; i < entries.length; ++i) {
            bytes memory error = _armed(i);
            vm.expectRevert(error);
            _tryDeposit(ALICE, address(token), root, 5);
        }
    }

    function test_WithinClaimOfTokens() public {
        bytes memory proof = _include(_withdrawalPlace(address(token), keccak256("token")));
        for (uint256 i; i < entries.length; ++i) {
            bytes memory error = _armed(i);
            vm.expectRevert(error);
            vault.claim(root, keccak256("token"), address(token), BOB, 5, proof);
            vm.prank(BOB);
            vm.expectRevert(error);
            vault.claimTo(root, keccak256("token"), address(token), 5, proof, address(recipient), "");
        }
    }

    /// @notice A recipient of ether swallows why he failed, and is paid once.
    function test_WithinClaimOfEther() public {
        bytes memory proof = _include(_withdrawalPlace(ETHER, keccak256("ether")));
        uint256 snapshot = avm.snapshotState();
        for (uint256 i; i < entries.length; ++i) {
            bytes memory error = _armed(i);
            vault.claim(root, keccak256("ether"), ETHER, address(recipient), 5, proof);
            assertEq(error, recipient.answer(), "closed");
            assertEq(5, address(recipient).balance, "once");
            avm.revertToState(snapshot);
            _armed(i);
            vm.prank(address(recipient));
            vault.claimTo(root, keccak256("ether"), ETHER, 5, proof, address(recipient), "");
            assertEq(error, recipient.answer(), "closed to a bridge");
            avm.revertToState(snapshot);
        }
    }

    function test_WithinReclaim() public {
        token.callBack(address(0), "");
        _fund(address(token), ALICE, 5);
        uint64 id = _depositAs(ALICE, address(token), root, 5);
        _settle();
        bytes32 later = inbox.settled().stateRoot;
        bytes memory proof = _exclude(_place(10, bytes32(uint256(id))));
        for (uint256 i; i < entries.length; ++i) {
            bytes memory error = _armed(i);
            vm.expectRevert(error);
            vault.reclaim(id, deposits[id], later, proof);
        }
    }

    function test_WithinEscape() public {
        Account memory account = _accountOf(ALICE);
        IKeystoreVault.Opening memory opening = _opening(account);
        bytes memory proof = _include(_balancePlace(ETHER, account.key));
        uint256 snapshot = avm.snapshotState();
        for (uint256 i; i < entries.length; ++i) {
            bytes memory error = _armed(i);
            vm.prank(ALICE);
            vault.escape(account.key, ETHER, address(recipient), 5, opening, proof, CALLER);
            assertEq(error, recipient.answer(), "closed");
            avm.revertToState(snapshot);
        }
    }
}
