// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {PlainToken} from "./Tokens.sol";
import {BridgeBase} from "./BridgeBase.sol";

/// @notice Takes ether, if it has the gas to write about it.
contract Scribe {
    mapping(uint256 => uint256) private _pages;
    uint256 private _count;

    receive() external payable {
        for (uint256 i; i < 3; ++i) {
            _pages[_count++] = msg.value;
        }
    }
}

/// @notice What strangers do to what is not theirs: pay it out with too little gas, before the owner, or in pieces; send ether
/// where none is expected. Money is paid in full to whom it belongs, or stays where it is.
contract GriefingTest is BridgeBase {
    bytes32 private constant ID = keccak256("a withdrawal");
    Scribe private scribe;

    function setUp() public override {
        super.setUp();
        scribe = new Scribe();
    }

    /// @dev Calls with so much gas: nothing, or all of it; and then all of it with enough.
    function _starve(address target, bytes memory call_, bytes32 place, uint256 allowance) private {
        allowance = bound(allowance, 20_000, 250_000);
        vm.prank(STRANGER);
        (bool success,) = target.call{gas: allowance}(call_);
        assertEq(success ? 3 ether : 0, address(scribe).balance, "all or nothing");
        if (place != 0) assertEq(success, vault.isPaid(place), "and so it is marked");
        if (success) return;
        (success,) = target.call(call_);
        assertTrue(success, "still there");
        assertEq(3 ether, address(scribe).balance, "all of it");
    }

    function test_StarvedClaim(uint256 allowance, bool byBridge) public {
        _fillVault(3 ether);
        _setWithdrawal(ID, ETHER, address(scribe), 3 ether);
        uint256 batchIndex = _settleAndRecord();
        bytes32 place = _place(3, ID);
        if (byBridge) {
            _starve(address(bridge), _finalizeCall(batchIndex, place, address(scribe), 3 ether), place, allowance);
            return;
        }
        bytes memory proof = _include(place);
        bytes memory call_ =
            abi.encodeCall(vault.claim, (head.stateRoot, ID, ETHER, address(scribe), 3 ether, proof));
        _starve(address(vault), call_, place, allowance);
    }

    function test_StarvedReclaim(uint256 allowance) public {
        bytes32 target = vault.depositTarget();
        vm.prank(ALICE);
        vault.deposit{value: 3 ether}(ETHER, ID, 3 ether, address(scribe), target, UNREGISTERED);
        bytes32 root = _settle();
        IKeystoreVault.Deposit memory paid = IKeystoreVault.Deposit(ETHER, 3 ether, address(scribe), 0);
        bytes memory call_ = abi.encodeCall(vault.reclaim, (0, paid, root, _exclude(_place(10, 0))));
        _starve(address(vault), call_, 0, allowance);
    }

    /// @notice An exit lets anybody start an escape.
    function test_StarvedEscape(uint256 allowance) public {
        Account memory account = _accountOf(ALICE);
        _setExit(account.key, address(0), address(scribe), 1);
        _leave(account, 3 ether);
        vault.freeze();
        bytes memory exit_ =
            abi.encodePacked(hex"03", address(0), address(scribe), uint64(1), _include(_place(11, account.key)));
        bytes32 place = _balancePlace(ETHER, account.key);
        bytes memory call_ = abi.encodeCall(
            vault.escape,
            (account.key, ETHER, address(scribe), 3 ether, _opening(account), _include(place), exit_)
        );
        _starve(address(vault), call_, place, allowance);
    }

    /// @dev Push the heir's address, and destroy oneself: a creation code that nobody can refuse ether from.
    function _force(address heir, uint256 amount) private {
        bytes memory code = abi.encodePacked(hex"73", heir, hex"ff");
        assembly ("memory-safe") {
            pop(create(amount, add(code, 32), mload(code)))
        }
    }

    /// @notice Forced ether belongs to nobody in the vault, and to the fees' recipient in the bridge; no deposit, claim or fee counts
    /// it.
    function test_ForcedEther() public {
        _force(address(vault), 5);
        _force(address(bridge), 7);
        _depositAs(ALICE, ETHER, ID, 1 ether);
        assertEq(1 ether, deposits[0].amount, "what was paid in");
        _initiate(ALICE, IAxiomBridge.TransactionType.Deposit, abi.encodePacked(ID), 1 ether + DEPOSIT_FEE);
        assertEq(2 ether + 5, address(vault).balance, "beside it");
        assertEq(DEPOSIT_FEE + 7, address(bridge).balance, "beside the fee");
        bridge.collectFees();
        assertEq(DEPOSIT_FEE + 7, COLLECTOR.balance, "for who gets the fees");
    }

    /// @notice Tokens that somebody sends to the vault are no deposit, and the next depositor is not credited with them.
    function test_SentTokens() public {
        PlainToken token = new PlainToken();
        token.mint(address(vault), 100);
        _fund(address(token), ALICE, 10);
        _depositAs(ALICE, address(token), ID, 10);
        assertEq(10, deposits[0].amount, "what arrived in the call");
    }

    /// @notice A stranger who claims first sends the money where the withdrawal says: the owner's own way, into a bridge, is gone,
    /// the money is not.
    function test_ClaimedBeforeTheOwner() public {
        _fillVault(3 ether);
        _setWithdrawal(ID, ETHER, BOB, 3 ether);
        bytes32 root = _settle();
        bytes memory proof = _include(_place(3, ID));
        vm.prank(STRANGER);
        vault.claim(root, ID, ETHER, BOB, 3 ether, proof);
        assertEq(1_003 ether, BOB.balance, "it is his");
        vm.expectRevert(abi.encodeWithSelector(IKeystoreVault.AlreadyPaid.selector, _place(3, ID)));
        vm.prank(BOB);
        vault.claimTo(root, ID, ETHER, 3 ether, proof, address(scribe), "");
    }
}
