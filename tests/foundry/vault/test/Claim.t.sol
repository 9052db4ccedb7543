// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {CallbackToken, FeeToken, PlainToken, SilentToken} from "./Tokens.sol";
import {Trees} from "./Trees.sol";
import {VaultBase} from "./VaultBase.sol";

/// @notice The bridge of an L2, as OP-stack has it on L1.
contract StandardBridge {
    uint256 public bridged;
    address public to;
    address public remoteToken;

    function bridgeETHTo(address to_, uint32, bytes calldata) external payable {
        (bridged, to) = (msg.value, to_);
    }

    function bridgeERC20To(address token, address remote, address to_, uint256 amount, uint32, bytes calldata) external {
        PlainToken(token).transferFrom(msg.sender, address(this), amount);
        (bridged, to, remoteToken) = (amount, to_, remote);
    }
}

/// @notice Withdrawals that the state names, each once.
contract ClaimTest is VaultBase {
    using Trees for Trees.Tree;

    bytes32 private constant ID = keccak256("a withdrawal");

    function test_Ether() public {
        _fillVault(10 ether);
        _setWithdrawal(ID, ETHER, BOB, 3 ether);
        bytes32 root = _settle();
        uint256 before = BOB.balance;
        vm.prank(STRANGER);
        _claim(root, ID, ETHER, BOB, 3 ether);
        assertEq(before + 3 ether, BOB.balance, "paid");
        assertTrue(vault.isPaid(_withdrawalPlace(ETHER, ID)), "and marked");
        _refuseAgain(root);
        // Nor does a later root pay it, under which the same leaf has another hash.
        _setWithdrawal(keccak256("another"), ETHER, BOB, 1);
        _refuseAgain(_settle());
    }

    function _refuseAgain(bytes32 root) private {
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        bytes memory error =
            abi.encodeWithSelector(IKeystoreVault.AlreadyPaid.selector, _withdrawalPlace(ETHER, ID));
        vm.expectRevert(error);
        vault.claim(root, ID, ETHER, BOB, 3 ether, proof);
        vm.expectRevert(error);
        vault.claimLeaf(root, _withdrawalPlace(ETHER, ID), BOB, 3 ether, proof);
        vm.expectRevert(error);
        vm.prank(BOB);
        vault.claimTo(root, ID, ETHER, 3 ether, proof, STRANGER, "");
    }

    /// @notice Axiom's bridge names the leaf; whoever comes first is paid, and nobody comes second.
    function test_ByTheLeafFirst() public {
        _fillVault(10 ether);
        _setWithdrawal(ID, ETHER, BOB, 3 ether);
        bytes32 root = _settle();
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        vault.claimLeaf(root, _withdrawalPlace(ETHER, ID), BOB, 3 ether, proof);
        assertEq(1_003 ether, BOB.balance, "paid");
        _refuseAgain(root);
    }

    function test_Tokens() public {
        address[4] memory tokens = [
            address(new PlainToken()),
            address(new SilentToken()),
            address(new FeeToken()),
            address(new CallbackToken())
        ];
        for (uint256 i; i < 4; ++i) {
            _fund(tokens[i], address(vault), 1_000);
            _setWithdrawal(bytes32(i), tokens[i], BOB, 500);
        }
        bytes32 root = _settle();
        for (uint256 i; i < 4; ++i) {
            _claim(root, bytes32(i), tokens[i], BOB, 500);
            assertEq(i == 2 ? 495 : 500, _holding(tokens[i], BOB), "paid");
            bytes memory proof = _include(_withdrawalPlace(tokens[i], bytes32(i)));
            _refuse(IKeystoreVault.AlreadyPaid.selector);
            vault.claim(root, bytes32(i), tokens[i], BOB, 500, proof);
        }
    }

    /// @notice An earlier root pays too: withdrawals stay.
    function test_OldRoot() public {
        _fillVault(1);
        _setWithdrawal(ID, ETHER, BOB, 1);
        bytes32 root = _settle();
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        _setWithdrawal(keccak256("another"), ETHER, BOB, 1);
        _settle();
        vault.claim(root, ID, ETHER, BOB, 1, proof);
    }

    function test_RefuseUnknownRoots() public {
        _fillVault(1);
        _setWithdrawal(ID, ETHER, BOB, 1);
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        // Another rollup's state holds the very same leaf; nobody settled it here.
        bytes32 root = tree.getRoot();
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.UnknownRoot.selector, root));
        vault.claim(root, ID, ETHER, BOB, 1, proof);
        _pass(1);
        _settle(0);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.UnknownRoot.selector, root));
        vault.claim(root, ID, ETHER, BOB, 1, proof);
        assertEq(root, vault.checkpoint(), "what the inbox holds");
        IKeystoreVault.Checkpoint memory found = vault.getCheckpoint(root);
        assertEq(1, found.height, "its height");
        assertEq(block.timestamp - 12, found.timestamp, "its time");
        vault.claim(root, ID, ETHER, BOB, 1, proof);
    }

    /// @notice Every word of the statement counts.
    function test_RefuseOtherStatements(uint256 word, bytes32 other) public {
        _fillVault(10);
        _setWithdrawal(ID, ETHER, BOB, 5);
        bytes32 root = _settle();
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        (bytes32 id, address token, address to, uint256 amount) = (ID, ETHER, BOB, 5);
        word = word % 4;
        if (word == 0) id = other;
        if (word == 1) token = address(bytes20(other));
        if (word == 2) to = address(bytes20(other));
        if (word == 3) amount = uint256(other);
        vm.assume(id != ID || token != ETHER || to != BOB || amount != 5);
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vault.claim(root, id, token, to, amount, proof);
    }

    /// @notice A leaf of each other silo, with the same key and whatever value it has, pays nothing: not by its id, and not
    /// by its place, since no other value has 52 bytes.
    function test_RefuseOtherSilos() public {
        _fillVault(10);
        bytes memory withdrawal = abi.encodePacked(BOB, uint256(5));
        for (uint16 silo; silo < 13; ++silo) {
            if (silo == 3) continue;
            tree.set(_place(silo, ID), keccak256(_valueOf(silo)));
        }
        bytes32 root = _settle();
        for (uint16 silo; silo < 13; ++silo) {
            if (silo == 3) continue;
            bytes memory proof = _include(_place(silo, ID));
            assertFalse(_valueOf(silo).length == withdrawal.length, "no other value has this length");
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.claim(root, ID, ETHER, BOB, 5, proof);
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.claimLeaf(root, _place(silo, ID), BOB, 5, proof);
            if (silo == 5) continue;
            vm.expectRevert(IKeystoreVault.WrongProof.selector);
            vault.claim(root, ID, STRANGER, BOB, 5, proof);
        }
    }

    /// @dev A value as each silo has it, as near to a withdrawal as it can be.
    function _valueOf(uint16 silo) private pure returns (bytes memory) {
        if (silo == 0) return abi.encodePacked(keccak256("data"), keccak256("vk"));
        if (silo == 1 || silo == 2 || silo == 4) return abi.encode(5);
        if (silo == 5) return abi.encode(STRANGER, BOB, 5);
        if (silo == 6) return abi.encode(1, BOB, bytes32(0), 0, 5, bytes32(0));
        if (silo == 7) return abi.encode(bytes32(0), bytes32(0), 5, bytes32(0));
        if (silo == 8) return abi.encode(ID, ETHER, 5, 1, bytes32(0), 5, 0);
        if (silo == 9) return abi.encode(BOB, 5);
        if (silo == 10) return abi.encode(ID);
        if (silo == 11) return abi.encode(BOB, BOB, 5);
        return abi.encodePacked("a text of a name");
    }

    function test_IntoABridge() public {
        address adapter = _deploy(_load("OpStackVaultBridge"));
        StandardBridge bridge = new StandardBridge();
        PlainToken token = new PlainToken();
        _fund(address(token), address(vault), 9);
        _fillVault(9);
        _setWithdrawal(ID, ETHER, BOB, 4);
        _setWithdrawal(ID, address(token), BOB, 5);
        bytes32 root = _settle();
        bytes memory proof = _include(_withdrawalPlace(ETHER, ID));
        bytes memory parameters = abi.encode(bridge, address(0x4E), ALICE, 200_000);
        // Only whom the withdrawal names says where it goes.
        vm.expectRevert(IKeystoreVault.WrongProof.selector);
        vm.prank(STRANGER);
        vault.claimTo(root, ID, ETHER, 4, proof, adapter, parameters);
        vm.prank(BOB);
        vault.claimTo(root, ID, ETHER, 4, proof, adapter, parameters);
        assertEq(4, bridge.bridged(), "ether is on its way");
        assertEq(ALICE, bridge.to(), "to whom he said");
        proof = _include(_withdrawalPlace(address(token), ID));
        vm.prank(BOB);
        vault.claimTo(root, ID, address(token), 5, proof, adapter, parameters);
        assertEq(5, token.balanceOf(address(bridge)), "so are the tokens");
        assertEq(address(0x4E), bridge.remoteToken(), "as the remote token");
        _refuse(IKeystoreVault.AlreadyPaid.selector);
        vault.claim(root, ID, address(token), BOB, 5, proof);
    }

    /// @notice Tokens, the inbox and the vault itself are no bridges: the one function that is called there is none of theirs.
    function test_BridgeIsNoToken() public {
        PlainToken token = new PlainToken();
        _fund(address(token), address(vault), 9);
        _setWithdrawal(ID, address(token), BOB, 5);
        bytes32 root = _settle();
        bytes memory proof = _include(_withdrawalPlace(address(token), ID));
        address[4] memory others = [address(token), address(inbox), address(vault), STRANGER];
        for (uint256 i; i < 4; ++i) {
            vm.expectRevert();
            vm.prank(BOB);
            vault.claimTo(root, ID, address(token), 5, proof, others[i], "");
        }
    }
}
