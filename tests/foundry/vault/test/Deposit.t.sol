// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {CallbackToken, FeeToken, IMintable, PlainToken, SilentToken} from "./Tokens.sol";
import {VaultBase} from "./VaultBase.sol";

/// @notice What is paid in, and what the rollup hears of it.
contract DepositTest is VaultBase {
    bytes32 private constant KEY = keccak256("somebody's key");
    bytes32 private constant DEPOSIT_TYPE = 0x5e533adfce3cddfc7746f3efafed4e027a1bdf11ad7ff1c9b1f50c27ef91cc1e;

    /// @notice The entry of the queue is the action, byte for byte, in the vault's name.
    function _expectQueued(uint64 id, address token, uint256 amount) private {
        bytes memory payload = abi.encodePacked(hex"00", DEPOSIT_TYPE, abi.encode(id, token, KEY, amount));
        vm.expectCall(address(inbox), abi.encodeCall(inbox.force, (payload)));
    }

    function test_Ether(uint96 amount) public {
        amount = uint96(bound(amount, 1, 100 ether));
        _expectQueued(0, ETHER, amount);
        assertEq(0, _depositAs(ALICE, ETHER, KEY, amount), "the first id");
        bytes memory payload = abi.encodePacked(hex"00", DEPOSIT_TYPE, abi.encode(0, ETHER, KEY, amount));
        bytes32 expected = keccak256(abi.encode(bytes32(0), vault, block.number, keccak256(payload)));
        assertEq(expected, inbox.queueHash(1), "sent by the vault itself");
        assertEq(amount, address(vault).balance, "it is here");
        assertEq(1, _depositAs(ALICE, ETHER, KEY, 1), "the next id");
        IKeystoreVault.Deposit memory kept = IKeystoreVault.Deposit(ETHER, 1, ALICE, 1);
        assertEq(keccak256(abi.encode(kept)), vault.getDepositHash(1), "what, who gets it back, and the queue's entry");
    }

    function test_Tokens() public {
        address[4] memory tokens = [
            address(new PlainToken()),
            address(new SilentToken()),
            address(new FeeToken()),
            address(new CallbackToken())
        ];
        for (uint64 i; i < 4; ++i) {
            _fund(tokens[i], ALICE, 1_000);
            uint256 received = i == 2 ? 990 : 1_000;
            _expectQueued(i, tokens[i], received);
            _depositAs(ALICE, tokens[i], KEY, 1_000);
            assertEq(received, _holding(tokens[i], address(vault)), "what has arrived is what is credited");
            assertEq(keccak256(abi.encode(deposits[i])), vault.getDepositHash(i), "and what is paid back");
        }
    }

    function _permitAs(uint256 key, PlainToken token, uint256 amount) private view returns (uint8, bytes32, bytes32) {
        address payer = vm.addr(key);
        bytes32 type_ = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        bytes32 struct_ =
            keccak256(abi.encode(type_, payer, vault, amount, token.nonces(payer), block.timestamp));
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", token.DOMAIN_SEPARATOR(), struct_)));
    }

    function test_Permit() public {
        PlainToken token = new PlainToken();
        address payer = vm.addr(7);
        token.mint(payer, 300);
        (uint8 v, bytes32 r, bytes32 s) = _permitAs(7, token, 100);
        _depositPermitted(payer, token, v, r, s);
        // Somebody uses the signature first: the allowance is there all the same.
        (v, r, s) = _permitAs(7, token, 100);
        vm.prank(STRANGER);
        token.permit(payer, address(vault), 100, block.timestamp, v, r, s);
        _depositPermitted(payer, token, v, r, s);
        // A signature that is nobody's gives no allowance.
        vm.prank(payer);
        vm.expectRevert();
        vault.depositWithPermit(address(token), KEY, 100, payer, rollupId, UNREGISTERED, block.timestamp, v, r, s);
        assertEq(200, token.balanceOf(address(vault)), "two deposits");
    }

    function _depositPermitted(address payer, PlainToken token, uint8 v, bytes32 r, bytes32 s) private {
        vm.prank(payer);
        vault.depositWithPermit(address(token), KEY, 100, payer, rollupId, UNREGISTERED, block.timestamp, v, r, s);
    }

    function test_Registered() public {
        Account memory account = _accountOf(ALICE);
        _setAccount(account);
        bytes32 root = _settle();
        bytes memory proof = _include(_place(0, account.key));
        bytes memory head = abi.encodePacked(hex"00", root, keccak256(account.data), keccak256(account.vk));
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, account.key, 1, ALICE, rollupId, abi.encodePacked(head, proof));
        // A key with a typing error is not that of the account.
        bytes32 typo = bytes32(uint256(account.key) ^ 1);
        _refuseRegistration(typo, abi.encodePacked(head, proof));
        _refuseRegistration(account.key, "");
        _refuseRegistration(account.key, hex"02");
        _refuseRegistration(account.key, hex"0101");
        _refuseRegistration(account.key, head);
        bytes memory unknown =
            abi.encodePacked(hex"00", keccak256("root"), keccak256(account.data), keccak256(account.vk), proof);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.UnknownRoot.selector, keccak256("root")));
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, account.key, 1, ALICE, rollupId, unknown);
    }

    function _refuseRegistration(bytes32 key, bytes memory registration) private {
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.NotRegistered.selector, key));
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, key, 1, ALICE, rollupId, registration);
    }

    function test_RefuseOtherAmounts() public {
        address token = address(new PlainToken());
        _fund(token, ALICE, 10);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.WrongValue.selector, 2, 1));
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, KEY, 2, ALICE, rollupId, UNREGISTERED);
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.WrongValue.selector, 0, 1));
        vm.prank(ALICE);
        vault.deposit{value: 1}(token, KEY, 1, ALICE, rollupId, UNREGISTERED);
        vm.expectRevert(IKeystoreVault.NothingPaid.selector);
        _tryDeposit(ALICE, ETHER, KEY, 0);
        vm.expectRevert(IKeystoreVault.NothingPaid.selector);
        _tryDeposit(ALICE, token, KEY, 0);
        vm.expectRevert();
        _tryDeposit(ALICE, token, KEY, 11);
        vm.expectRevert();
        _tryDeposit(ALICE, STRANGER, KEY, 1); // no token there
        (bool success,) = address(vault).call{value: 1}("");
        assertFalse(success, "ether without a deposit");
    }

    function test_RefuseAnotherRollup() public {
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.WrongRollup.selector, rollupId, keccak256("other")));
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, KEY, 1, ALICE, keccak256("other"), UNREGISTERED);
        vm.expectRevert(IKeystoreVault.ZeroAddress.selector);
        vm.prank(ALICE);
        vault.deposit{value: 1}(ETHER, KEY, 1, address(0), rollupId, UNREGISTERED);
    }
}
