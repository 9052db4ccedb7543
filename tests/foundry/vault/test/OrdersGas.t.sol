// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {GaslessCrossChainOrder, OnchainCrossChainOrder, Output} from "keystore/IERC7683.sol";
import {KeystoreOrder} from "keystore/OrderLeaves.sol";
import {OriginSettler} from "keystore/OriginSettler.sol";
import {OrdersBase} from "./OrdersBase.sol";
import {VaultVm} from "./VaultVm.sol";

/// @notice Execution gas with cold storage, without the transaction's 21,000 and its calldata; proofs of a small tree. A test a
/// figure, so that nothing was written before.
contract OrdersGasTest is OrdersBase {
    address private constant CLAIMANT = address(0xC1A1);

    function _measure(string memory name, address caller, address target, uint256 value, bytes memory call_) private {
        vm.cool(address(settler));
        vm.cool(address(token));
        vm.cool(address(roots));
        vm.cool(address(vault));
        vm.cool(address(inbox));
        vm.cool(address(verdicts));
        vm.cool(address(bridge));
        vm.prank(caller);
        (bool success,) = target.call{value: value}(call_);
        VaultVm(address(vm)).snapshotGasLastCall("orders", name);
        assertTrue(success, "the call that is measured");
    }

    function test_Open() public {
        OnchainCrossChainOrder memory order = _onchain(_data(address(token), 100));
        _measure("open, tokens", user, address(settler), 0, abi.encodeCall(settler.open, (order)));
    }

    function test_OpenEther() public {
        OnchainCrossChainOrder memory order = _onchain(_data(ETHER, 100));
        _measure("open, ether", user, address(settler), 100, abi.encodeCall(settler.open, (order)));
    }

    function test_OpenFor() public {
        GaslessCrossChainOrder memory order = _gasless(_data(address(token), 100), 7);
        bytes memory signature = _sign(USER_KEY, settler.hashOrder(order));
        bytes memory call_ = abi.encodeCall(settler.openFor, (order, signature, ""));
        _measure("openFor, tokens", STRANGER, address(settler), 0, call_);
    }

    function test_Claim() public {
        (bytes32 orderId, OriginSettler.Held memory held) = _open(address(token), 100);
        bytes32 root = _setFill(held.fillId, CLAIMANT, 5);
        bytes memory proof = _include(_place(9, held.fillId));
        bytes memory call_ = abi.encodeCall(settler.claim, (orderId, held, CLAIMANT, 5, root, proof));
        _measure("claim, tokens", STRANGER, address(settler), 0, call_);
    }

    function test_Out() public {
        Output[] memory outputs = _outputs(95);
        KeystoreOrder memory order = _order(keccak256("owner"), outputs);
        _setOrder(ORDER, order);
        bytes32 root = _settle();
        bytes memory call_ =
            abi.encodeCall(settler.fill, (ORDER, abi.encode(order, outputs), abi.encode(CLAIMANT)));
        _measure("fill, tokens", BOB, address(settler), 0, call_);
        call_ = abi.encodeCall(settler.close, (ORDER, order, address(verdicts)));
        _measure("close, the bridge's own aside", BOB, address(settler), 0, call_);
        _measure("verdict on L1", BOB, address(bridge), 0, abi.encodeCall(bridge.relay, (0)));
        call_ = abi.encodeCall(vault.endOrder, (ORDER, order, root, _include(_place(8, ORDER))));
        _measure("endOrder", BOB, address(vault), 0, call_);
    }
}
