// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IKeystoreVault} from "./IKeystoreVault.sol";
import {StateVerifier} from "./StateVerifier.sol";
import {VaultLeaves} from "./VaultLeaves.sol";
import {VaultRoots} from "./VaultRoots.sol";

/// @title Paying in
/// @notice A deposit is a forced action of the rollup; what the rollup did not take comes back.
abstract contract VaultDeposits is VaultRoots {
    using SafeERC20 for IERC20;

    /// @dev The type of the rollup's action.
    bytes32 private constant _DEPOSIT =
        keccak256("Deposit(uint64 id,address token,bytes32 key,uint256 amount,uint64 nonce)");
    bytes1 private constant _UNREGISTERED = 0x01;
    /// @dev Flag, root, and the account's two hashes.
    uint256 private constant _REGISTRATION_BYTES = 97;

    /// @inheritdoc IKeystoreVault
    function deposit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration
    ) external payable locked returns (uint64 id) {
        return _deposit(token, key, amount, refundTo, target, registration);
    }

    /// @inheritdoc IKeystoreVault
    function depositWithPermit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external locked returns (uint64 id) {
        // Anybody may have used the signature first: then the allowance is there.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _deposit(token, key, amount, refundTo, target, registration);
    }

    /// @inheritdoc IKeystoreVault
    function reclaim(uint64 id, Deposit calldata paid, bytes32 root, bytes calldata proof) external locked {
        if (_deposits[id] != keccak256(abi.encode(paid))) revert NoDeposit(id);
        _verifyRecorded(root);
        uint256 taken = _checkpoints[root].forcedCount;
        // Whatever the queue still held when the vault was frozen is credited nowhere that counts.
        if (taken <= paid.entry && root != frozenRoot) revert DepositPending(paid.entry, taken);
        if (!StateVerifier.isExcluded(root, VaultLeaves.computeDepositKey(id), proof)) revert WrongProof();
        delete _deposits[id];
        emit Reclaimed(id, paid.token, paid.refundTo, paid.amount);
        _pay(paid.token, paid.refundTo, paid.amount);
    }

    /// @inheritdoc IKeystoreVault
    function getDepositHash(uint64 id) external view returns (bytes32) {
        return _deposits[id];
    }

    function _deposit(
        address token,
        bytes32 key,
        uint256 amount,
        address refundTo,
        bytes32 target,
        bytes calldata registration
    ) private returns (uint64 id) {
        _verifyOpen();
        if (target != depositTarget) revert WrongRollup(depositTarget, target);
        if (refundTo == address(0)) revert ZeroAddress();
        _verifyRegistration(key, registration);
        uint256 received = _take(token, amount);
        id = depositCount++;
        uint256 entry =
            inbox.force(abi.encodePacked(_FORMAT, abi.encode(_DEPOSIT, id, token, key, received)));
        _deposits[id] = keccak256(abi.encode(Deposit(token, received, refundTo, entry)));
        emit Deposited(id, token, key, received, refundTo, entry);
    }

    function _verifyRegistration(bytes32 key, bytes calldata registration) private view {
        if (registration.length == 1 && registration[0] == _UNREGISTERED) return;
        if (registration.length < _REGISTRATION_BYTES || registration[0] != 0) revert NotRegistered(key);
        bytes32 root = bytes32(registration[1:33]);
        _verifyRecorded(root);
        bool isThere = VaultLeaves.isAccount(
            root, key, bytes32(registration[33:65]), bytes32(registration[65:97]), registration[97:]
        );
        if (!isThere) revert NotRegistered(key);
    }

    /// @dev Gives what has arrived, which is less than `amount` where the token takes a fee.
    function _take(address token, uint256 amount) private returns (uint256 received) {
        uint256 value = token == address(0) ? amount : 0;
        if (msg.value != value) revert WrongValue(value, msg.value);
        received = amount;
        if (token != address(0)) {
            uint256 before = IERC20(token).balanceOf(address(this));
            IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
            received = IERC20(token).balanceOf(address(this)) - before;
        }
        if (received == 0) revert NothingPaid();
    }
}
