// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Execution, IERC7579Execution, IERC7579ModuleConfig} from "@openzeppelin/contracts/interfaces/draft-IERC7579.sol";

/// @title Which calls of an account the outbox may make by a module
/// @notice Intents and delegates spend an account; they do not change it. An account in which others are installed is changed by
/// calls to itself and, through executors, by calls to its modules; and a delegatecall may do anything. So an operation
/// must be `execute` (ERC-7579) of single calls or a batch in the default mode, and no target may be the account, zero (which
/// accounts of ERC-7821 take for themselves) or one of its modules. A Safe obeys its fallback handler, which obeys the Safe, and
/// has modules of its own kind: those are refused too.
library OutboxCalls {
    bytes1 private constant _SINGLE = 0x00;
    bytes1 private constant _BATCH = 0x01;
    uint256 private constant _ADDRESS_BYTES = 20;
    /// @dev Selector, mode, offset and length of the bytes.
    uint256 private constant _HEAD_BYTES = 4 + 3 * 32;
    uint256 private constant _FALLBACK = 3;
    /// @dev Validators, executors, handlers, hooks, and what accounts add to them: pre-validation hooks have 8 and 9.
    uint256 private constant _LAST_TYPE = 9;
    /// @dev Where a Safe has its fallback handler.
    uint256 private constant _SAFE_HANDLER_SLOT = uint256(keccak256("fallback_manager.handler.address"));

    /// @notice Whether `callData` of an operation of `account` makes such calls only. Malformed call data may revert.
    function isHarmless(address account, bytes calldata callData) internal view returns (bool) {
        if (callData.length < _HEAD_BYTES || bytes4(callData) != IERC7579Execution.execute.selector) return false;
        bytes1 kind = callData[4];
        // After the kind and what happens to a call that fails, a mode may say that the bytes mean something else.
        if (bytes30(callData[6:36]) != 0) return false;
        bytes calldata calls = _readCalls(callData);
        address handler = _readSafeHandler(account);
        if (kind == _SINGLE) {
            if (calls.length < _ADDRESS_BYTES) return false;
            return _isOutside(account, handler, address(bytes20(calls)), _dataOf(calls));
        }
        if (kind != _BATCH) return false;
        Execution[] memory batch = abi.decode(calls, (Execution[]));
        for (uint256 i; i < batch.length; ++i) {
            if (!_isOutside(account, handler, batch[i].target, batch[i].callData)) return false;
        }
        return true;
    }

    function _readCalls(bytes calldata callData) private pure returns (bytes calldata calls) {
        uint256 start = uint256(bytes32(callData[36:68])) + 4;
        uint256 length = uint256(bytes32(callData[start:start + 32]));
        calls = callData[start + 32:start + 32 + length];
    }

    /// @dev What follows target and value of a single call.
    function _dataOf(bytes calldata calls) private pure returns (bytes memory) {
        return calls.length > _ADDRESS_BYTES + 32 ? calls[_ADDRESS_BYTES + 32:] : calls[:0];
    }

    /// @dev A fallback handler is a module for one selector, which is asked for too.
    function _isOutside(address account, address handler, address target, bytes memory data)
        private
        view
        returns (bool)
    {
        if (target == account || target == address(0) || target == handler) return false;
        // Any answer but a clear no, if the account knows Safe's question.
        if (_ask(account, abi.encodeWithSignature("isModuleEnabled(address)", target), 0) != 0) return false;
        for (uint256 kind = 1; kind <= _LAST_TYPE; ++kind) {
            bytes memory context = kind == _FALLBACK ? data : bytes("");
            try IERC7579ModuleConfig(account).isModuleInstalled(kind, target, context) returns (bool isInstalled) {
                if (isInstalled) return false;
            } catch {
                // A type that the account does not know.
            }
        }
        return true;
    }

    /// @dev Zero if the account does not answer as a Safe.
    function _readSafeHandler(address account) private view returns (address) {
        bytes memory call_ = abi.encodeWithSignature("getStorageAt(uint256,uint256)", _SAFE_HANDLER_SLOT, 1);
        // Bytes: offset, length, the word.
        return address(uint160(_ask(account, call_, 64)));
    }

    /// @dev A word of the account's answer; 0 if it gives none.
    function _ask(address account, bytes memory call_, uint256 offset) private view returns (uint256 word) {
        (bool success, bytes memory answer) = account.staticcall(call_);
        if (!success || answer.length < offset + 32) return 0;
        assembly ("memory-safe") {
            word := mload(add(add(answer, 32), offset))
        }
    }
}
