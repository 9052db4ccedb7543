// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {IDestinationSettler, Output} from "./IERC7683.sol";
import {IOrderVerdicts} from "./IOrderVerdicts.sol";
import {KeystoreOrder, OrderLeaves} from "./OrderLeaves.sol";
import {SettlerBase} from "./SettlerBase.sol";

/// @title Orders from the keystore to an L2
/// @notice A filler pays here, and the settler tells L1 so over the chain's own bridge, or, after the deadline, that nobody
/// did. It knows an order by its id and the hash of its leaf together, and cannot know whether there is such an order: a fill
/// of an invention occupies a place that nobody asks for, since the vault on L1 compares the leaf.
abstract contract DestinationSettler is IDestinationSettler, SettlerBase {
    event Filled(bytes32 indexed orderId, bytes32 indexed orderHash, address indexed claimant, address filler);
    /// @notice L1 will hear how the order ended; claimant zero: nobody filled.
    event Closed(bytes32 indexed orderId, bytes32 indexed orderHash, address claimant, address receiver);

    /// @notice What the filler would pay is not what the order asks for.
    error WrongOutputs();
    /// @notice Somebody has filled the order.
    error AlreadyFilled(bytes32 orderId);
    /// @notice The order may yet be filled.
    error StillOpen(uint256 fillDeadline);
    /// @notice This receiver has been told.
    error AlreadyClosed(bytes32 orderId);

    /// @notice An order asks for so many payments at most.
    uint256 public constant MAX_OUTPUTS = 16;

    mapping(bytes32 place => address) private _claimants;
    mapping(bytes32 place => mapping(address receiver => bool)) private _isTold;

    /// @inheritdoc IDestinationSettler
    /// @dev `originData`: `abi.encode(KeystoreOrder, Output[])`; `fillerData`: `abi.encode(address claimant)`, who is paid on L1.
    function fill(bytes32 orderId, bytes calldata originData, bytes calldata fillerData)
        external
        payable
        locked
    {
        (KeystoreOrder memory order, Output[] memory outputs) =
            abi.decode(originData, (KeystoreOrder, Output[]));
        address claimant = abi.decode(fillerData, (address));
        if (claimant == address(0)) revert ZeroAddress();
        _verifyChain(order.chainId);
        if (block.timestamp > order.fillDeadline) revert BadDeadline(order.fillDeadline);
        if (outputs.length == 0 || outputs.length > MAX_OUTPUTS) revert WrongOutputs();
        if (keccak256(abi.encode(outputs)) != order.outputHash) revert WrongOutputs();
        bytes32 orderHash = OrderLeaves.hashOpen(order);
        bytes32 place = _locate(orderId, orderHash);
        if (_claimants[place] != address(0)) revert AlreadyFilled(orderId);
        _claimants[place] = claimant;
        emit Filled(orderId, orderHash, claimant, msg.sender);
        _payOutputs(outputs);
    }

    function _payOutputs(Output[] memory outputs) private {
        uint256 value;
        for (uint256 i; i < outputs.length; ++i) {
            if (outputs[i].token == 0) value += outputs[i].amount;
        }
        if (msg.value != value) revert WrongValue(value, msg.value);
        for (uint256 i; i < outputs.length; ++i) {
            Output memory output = outputs[i];
            _verifyChain(output.chainId);
            if (uint256(output.token) >> 160 != 0 || uint256(output.recipient) >> 160 != 0) revert WrongOutputs();
            address to = address(uint160(uint256(output.recipient)));
            if (to == address(0)) revert ZeroAddress();
            address token = address(uint160(uint256(output.token)));
            if (token == address(0)) Address.sendValue(payable(to), output.amount);
            else _move(token, msg.sender, to, output.amount);
        }
    }

    /// @notice Tell a contract on L1 how an order ended: filled, or, after the deadline, not. Once for each receiver; anybody may.
    function close(bytes32 orderId, KeystoreOrder calldata order, address receiver) external locked {
        _verifyChain(order.chainId);
        bytes32 orderHash = OrderLeaves.hashOpen(order);
        bytes32 place = _locate(orderId, orderHash);
        address claimant = _claimants[place];
        if (claimant == address(0) && block.timestamp <= order.fillDeadline) revert StillOpen(order.fillDeadline);
        if (_isTold[place][receiver]) revert AlreadyClosed(orderId);
        _isTold[place][receiver] = true;
        emit Closed(orderId, orderHash, claimant, receiver);
        _tell(
            receiver,
            abi.encodeCall(
                IOrderVerdicts.receiveVerdict, (uint64(block.chainid), orderId, orderHash, claimant)
            )
        );
    }

    /// @notice Who is paid on L1 for an order of this id whose open leaf has this hash; zero while nobody has filled it.
    function getClaimant(bytes32 orderId, bytes32 orderHash) external view returns (address) {
        return _claimants[_locate(orderId, orderHash)];
    }

    /// @dev Send a call to L1 over the chain's own bridge, in this contract's name.
    function _tell(address receiver, bytes memory message) internal virtual;

    function _verifyChain(uint256 chainId) private view {
        if (chainId != block.chainid) revert WrongChain(block.chainid, chainId);
    }

    function _locate(bytes32 orderId, bytes32 orderHash) private pure returns (bytes32) {
        return keccak256(abi.encode(orderId, orderHash));
    }
}
