// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {EnsRegistry} from "./EnsRegistry.sol";

interface IExtendedResolver {
    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory);
}

/// @title A Universal Resolver for tests
/// @notice The interface that viem 2.29 and ethers 6.17 call, written anew, since no package that npm has ships the bytecode of
/// ENS's own. As there, what a resolver asks of gateways goes through a batch gateway, which both clients are themselves.
/// Resolvers without wildcards are not served.
contract UniversalResolver {
    struct Query {
        address sender;
        string[] urls;
        bytes data;
    }

    struct HttpErrorItem {
        uint16 status;
        string message;
    }

    struct ResolverInfo {
        bytes name;
        uint256 offset;
        bytes32 node;
        address resolver;
        bool extended;
    }

    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callback, bytes extraData);
    error ResolverNotFound();
    error ResolverError(bytes returnData);
    error HttpError(HttpErrorItem[] errors);

    bytes4 private constant _BATCH_HTTP_ERROR = bytes4(keccak256("HttpError(uint16,string)"));

    EnsRegistry public immutable registry;

    constructor(EnsRegistry registry_) {
        registry = registry_;
    }

    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory, address) {
        string[] memory gateways = new string[](1);
        gateways[0] = "x-batch-gateway:true";
        return _resolve(name, data, gateways);
    }

    function resolve(bytes calldata name, bytes calldata data, string[] memory gateways)
        external
        view
        returns (bytes memory, address)
    {
        return _resolve(name, data, gateways);
    }

    function requireResolver(bytes calldata name) external view returns (ResolverInfo memory) {
        (address resolver, uint256 offset) = _find(name);
        return ResolverInfo(name, offset, _computeNode(name, 0), resolver, true);
    }

    function resolveCallback(bytes calldata response, bytes calldata extraData)
        external
        view
        returns (bytes memory, address)
    {
        (address resolver, bytes4 callback, bytes memory extra) = abi.decode(extraData, (address, bytes4, bytes));
        (bool[] memory failures, bytes[] memory responses) = abi.decode(response, (bool[], bytes[]));
        if (failures[0]) _fail(responses[0]);
        (bool done, bytes memory answer) =
            resolver.staticcall(abi.encodeWithSelector(callback, responses[0], extra));
        if (!done) revert ResolverError(answer);
        return (abi.decode(answer, (bytes)), resolver);
    }

    function _resolve(bytes calldata name, bytes calldata data, string[] memory gateways)
        private
        view
        returns (bytes memory, address)
    {
        (address resolver,) = _find(name);
        (bool done, bytes memory answer) = resolver.staticcall(abi.encodeCall(IExtendedResolver.resolve, (name, data)));
        if (done) return (abi.decode(answer, (bytes)), resolver);
        if (bytes4(answer) != OffchainLookup.selector) revert ResolverError(answer);
        (address sender, string[] memory urls, bytes memory callData, bytes4 callback, bytes memory extra) =
            abi.decode(_skipSelector(answer), (address, string[], bytes, bytes4, bytes));
        if (sender != resolver) revert ResolverError(answer);
        Query[] memory queries = new Query[](1);
        queries[0] = Query(sender, urls, callData);
        revert OffchainLookup(
            address(this),
            gateways,
            abi.encodeWithSignature("query((address,string[],bytes)[])", queries),
            this.resolveCallback.selector,
            abi.encode(resolver, callback, extra)
        );
    }

    function _fail(bytes memory failure) private pure {
        if (bytes4(failure) != _BATCH_HTTP_ERROR) revert ResolverError(failure);
        (uint16 status, string memory message) = abi.decode(_skipSelector(failure), (uint16, string));
        HttpErrorItem[] memory items = new HttpErrorItem[](1);
        items[0] = HttpErrorItem(status, message);
        revert HttpError(items);
    }

    /// @dev The resolver of the name, or of the nearest name above it that has one.
    function _find(bytes calldata name) private view returns (address resolver, uint256 offset) {
        while (name[offset] != 0) {
            resolver = registry.resolver(_computeNode(name, offset));
            if (resolver != address(0)) return (resolver, offset);
            offset += 1 + uint8(name[offset]);
        }
        revert ResolverNotFound();
    }

    function _computeNode(bytes calldata name, uint256 offset) private pure returns (bytes32) {
        uint256 size = uint8(name[offset]);
        if (size == 0) return 0;
        uint256 next = offset + 1 + size;
        return keccak256(abi.encodePacked(_computeNode(name, next), keccak256(name[offset + 1:next])));
    }

    function _skipSelector(bytes memory data) private pure returns (bytes memory rest) {
        rest = new bytes(data.length - 4);
        for (uint256 i; i < rest.length; ++i) {
            rest[i] = data[i + 4];
        }
    }
}
