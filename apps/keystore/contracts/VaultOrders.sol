// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "./IKeystoreVault.sol";
import {IOrderVerdicts} from "./IOrderVerdicts.sol";
import {KeystoreOrder, OrderLeaves} from "./OrderLeaves.sol";
import {StateVerifier} from "./StateVerifier.sol";

/// @title What a vault knows of orders out of the keystore: the leaf that a proof shows, and the settler's word about it
abstract contract VaultOrders {
    /// @notice So long (seconds) after an order's deadline its money escapes to its owner: a canonical bridge takes seven days.
    uint256 public constant ORDER_ESCAPE_DELAY = 14 days;

    /// @notice What settlers say, chosen when the vault was made; zero: no order ever ends.
    IOrderVerdicts public immutable verdicts;

    constructor(IOrderVerdicts verdicts_) {
        verdicts = verdicts_;
    }

    /// @dev Reverts unless the order is open under `root`.
    function _verifyOrder(bytes32 root, bytes32 orderId, KeystoreOrder calldata order, bytes calldata proof)
        internal
        pure
    {
        bytes32 place = OrderLeaves.computeOrderKey(orderId);
        if (!StateVerifier.isIncluded(root, place, OrderLeaves.hashOpen(order), proof)) {
            revert IKeystoreVault.WrongProof();
        }
    }

    /// @dev What its chain's settler has said, and who is paid.
    function _readVerdict(bytes32 orderId, KeystoreOrder calldata order)
        internal
        view
        returns (bool isKnown, address claimant)
    {
        if (address(verdicts) != address(0)) {
            return verdicts.getVerdict(order.chainId, orderId, OrderLeaves.hashOpen(order));
        }
    }
}
