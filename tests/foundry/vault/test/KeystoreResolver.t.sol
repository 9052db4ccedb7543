// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {LibClone} from "solady/src/utils/LibClone.sol";
import {Trees} from "./Trees.sol";
import {Paths} from "keystore-test/Paths.sol";
import {VaultBase} from "./VaultBase.sol";
import {VaultVm} from "./VaultVm.sol";

interface IKeystoreResolver {
    struct Chain {
        uint256 coinType;
        address factory;
        address implementation;
    }

    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callback, bytes extraData);

    function resolve(bytes calldata name, bytes calldata data) external view returns (bytes memory);
    function resolveWithProof(bytes calldata response, bytes calldata extraData) external view returns (bytes memory);
    function supportsInterface(bytes4 id) external view returns (bool);
}

/// @notice Names below `keys.example.eth`, and gateways of every kind.
contract KeystoreResolverTest is VaultBase {
    using Trees for Trees.Tree;

    bytes private constant PARENT = "\x04keys\x07example\x03eth\x00";
    uint256 private constant OWN_TYPE = 999_999_999;
    uint256 private constant OPTIMISM = 0x8000000a;
    uint256 private constant BITCOIN = 0;
    address private constant FACTORY = address(0xFAC);
    address private constant IMPLEMENTATION = address(0x1397);

    IKeystoreResolver private resolver;
    bytes32 private parent;

    function setUp() public override {
        super.setUp();
        parent = _node(_node(_node(0, "eth"), "example"), "keys");
        IKeystoreResolver.Chain[] memory chains = new IKeystoreResolver.Chain[](2);
        chains[0] = IKeystoreResolver.Chain(60, FACTORY, IMPLEMENTATION);
        chains[1] = IKeystoreResolver.Chain(OPTIMISM, FACTORY, IMPLEMENTATION);
        string[] memory urls = new string[](1);
        urls[0] = "https://node.example/ens/{sender}/{data}.json";
        bytes memory arguments = abi.encode(inbox, parent, OWN_TYPE, chains, urls);
        resolver = IKeystoreResolver(_deploy(abi.encodePacked(_load("KeystoreResolver"), arguments)));
        _setAccount(_named("alice"));
        _settle();
    }

    function _node(bytes32 above, string memory label) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(above, keccak256(bytes(label))));
    }

    function _named(string memory label) private view returns (Account memory account) {
        account = _accountOf(ALICE);
        account.key = _node(parent, label);
    }

    function _name(string memory label) private pure returns (bytes memory) {
        return abi.encodePacked(uint8(bytes(label).length), label, PARENT);
    }

    function _addressQuery(string memory label) private view returns (bytes memory) {
        return abi.encodeWithSignature("addr(bytes32)", _node(parent, label));
    }

    function _coinQuery(string memory label, uint256 coinType) private view returns (bytes memory) {
        return abi.encodeWithSignature("addr(bytes32,uint256)", _node(parent, label), coinType);
    }

    function _textQuery(string memory label, string memory record) private view returns (bytes memory) {
        return abi.encodeWithSignature("text(bytes32,string)", _node(parent, label), record);
    }

    function _textPlace(string memory label, string memory record) private view returns (bytes32) {
        return keccak256(abi.encodePacked(_node(parent, label), record));
    }

    /// @notice What the resolver asks the gateway, and what it wants back with the answer.
    function _ask(bytes memory name, bytes memory data) private view returns (uint16 silo, bytes32 place, bytes memory extra) {
        (bool success, bytes memory answer) =
            address(resolver).staticcall(abi.encodeCall(resolver.resolve, (name, data)));
        assertFalse(success, "it asks");
        assertEq(bytes32(IKeystoreResolver.OffchainLookup.selector), bytes32(bytes4(answer)), "a gateway");
        assembly ("memory-safe") {
            mstore(add(answer, 4), sub(mload(answer), 4))
            answer := add(answer, 4)
        }
        (address sender,, bytes memory question, bytes4 callback, bytes memory extraData) =
            abi.decode(answer, (address, string[], bytes, bytes4, bytes));
        assertEq(address(resolver), sender, "in its own name");
        assertEq(bytes32(resolver.resolveWithProof.selector), bytes32(callback), "to be called back");
        extra = extraData;
        assembly ("memory-safe") {
            silo := mload(add(question, 36))
            place := mload(add(question, 68))
        }
    }

    function _present(bytes32 place, bytes memory value) private view returns (bytes memory) {
        return abi.encode(true, value, tree.include(place));
    }

    function _absent(bytes32 place) private view returns (bytes memory) {
        return abi.encode(false, "", tree.exclude(place));
    }

    /// @notice An honest gateway, and the resolver's last word.
    function _resolve(string memory label, bytes memory data, bytes memory value) private view returns (bytes memory) {
        (uint16 silo, bytes32 key, bytes memory extra) = _ask(_name(label), data);
        bytes32 place = _place(silo, key);
        bytes memory response = tree.places[place] != 0 ? _present(place, value) : _absent(place);
        return resolver.resolveWithProof(response, extra);
    }

    function _value(string memory label) private view returns (bytes memory) {
        Account memory account = _named(label);
        return abi.encodePacked(keccak256(account.data), keccak256(account.vk));
    }

    function _expectedAddress(string memory label) private view returns (address) {
        return LibClone.predictDeterministicAddress(
            IMPLEMENTATION, abi.encodePacked(_node(parent, label)), bytes32(0), FACTORY
        );
    }

    function test_Addresses() public view {
        bytes memory value = _value("alice");
        address expected = _expectedAddress("alice");
        assertEq(abi.encode(expected), _resolve("alice", _addressQuery("alice"), value), "ether");
        bytes memory packed = abi.encode(abi.encodePacked(expected));
        assertEq(packed, _resolve("alice", _coinQuery("alice", OPTIMISM), value), "another chain");
        assertEq(packed, _resolve("alice", _coinQuery("alice", 60), value), "ether by its number");
        packed = abi.encode(abi.encodePacked(_node(parent, "alice")));
        assertEq(packed, _resolve("alice", _coinQuery("alice", OWN_TYPE), value), "the key itself");
        packed = resolver.resolve(_name("alice"), _coinQuery("alice", BITCOIN));
        assertEq(abi.encode(bytes("")), packed, "a chain that is not listed");
    }

    /// @notice The next to register it would own what was sent.
    function test_UnregisteredIsNothing() public view {
        assertEq(abi.encode(address(0)), _resolve("bob", _addressQuery("bob"), ""), "no address");
        assertEq(abi.encode(bytes("")), _resolve("bob", _coinQuery("bob", OWN_TYPE), ""), "no key");
        assertEq(abi.encode(""), _resolve("bob", _textQuery("bob", "url"), ""), "no text");
        // Names that cannot be registered are other names than those that look like them.
        assertEq(abi.encode(address(0)), _resolve("Alice", _addressQuery("Alice"), ""), "upper case");
        string memory cyrillic = unicode"аlice";
        assertEq(abi.encode(address(0)), _resolve(cyrillic, _addressQuery(cyrillic), ""), "another alphabet");
    }

    function test_Texts() public {
        bytes32 place = _place(12, _textPlace("alice", "url"));
        tree.set(place, keccak256(abi.encode("https://alice.example")));
        _settle();
        bytes memory value = abi.encode("https://alice.example");
        assertEq(value, _resolve("alice", _textQuery("alice", "url"), value), "as it was set");
        assertEq(abi.encode(""), _resolve("alice", _textQuery("alice", "avatar"), ""), "another record");
        tree.set(place, keccak256(""));
        _settle();
        assertEq(abi.encode(""), _resolve("alice", _textQuery("alice", "url"), ""), "deleted");
    }

    function test_RefuseOtherNames() public {
        bytes memory query = _addressQuery("alice");
        bytes[7] memory names = [
            abi.encodePacked("\x03sub", _name("alice")),
            PARENT,
            abi.encodePacked("\x05alice\x03eth\x00"),
            abi.encodePacked("\x05alice", PARENT, hex"00"),
            abi.encodePacked("\x05alice\x04keys\x07example\x03eth"),
            bytes("\x00"),
            bytes("")
        ];
        for (uint256 i; i < names.length; ++i) {
            _refuse(bytes4(keccak256("WrongName(bytes)")));
            resolver.resolve(names[i], query);
        }
        // A query for another name than the one that is resolved.
        bytes memory name = _name("alice");
        bytes memory other = _addressQuery("bob");
        _refuse(bytes4(keccak256("WrongName(bytes)")));
        resolver.resolve(name, other);
        _refuse(bytes4(keccak256("WrongName(bytes)")));
        resolver.resolve(name, hex"3b3b57de");
        other = abi.encodeWithSignature("contenthash(bytes32)", _node(parent, "alice"));
        _refuse(bytes4(keccak256("UnsupportedResolverProfile(bytes4)")));
        resolver.resolve(name, other);
    }

    function _refuseAnswer(bytes memory response, bytes memory extra) private {
        vm.expectRevert(bytes4(keccak256("WrongAnswer()")));
        resolver.resolveWithProof(response, extra);
    }

    /// @notice A gateway that lies, answers for another name, or from another time.
    function test_RefuseLies() public {
        _setAccount(_named("carol"));
        _settle();
        bytes32 alice = _place(0, _node(parent, "alice"));
        bytes32 bob = _place(0, _node(parent, "bob"));
        bytes32 carol = _place(0, _node(parent, "carol"));
        bytes memory value = _value("alice");
        (,, bytes memory extra) = _ask(_name("alice"), _addressQuery("alice"));
        (,, bytes memory bobExtra) = _ask(_name("bob"), _addressQuery("bob"));
        _refuseAnswer(_absent(alice), extra);
        _refuseAnswer(_absent(bob), extra);
        _refuseAnswer(_present(carol, value), extra);
        _refuseAnswer(_present(alice, ""), extra);
        _refuseAnswer(_present(alice, abi.encodePacked(value, hex"00")), extra);
        _refuseAnswer(_present(alice, value), bobExtra);
        bytes memory old = _present(alice, value);
        resolver.resolveWithProof(old, extra);
        tree.set(keccak256("somebody else's change"), bytes32(0));
        _settle();
        _refuseAnswer(old, extra);
        resolver.resolveWithProof(_present(alice, value), extra);
        vm.expectRevert();
        resolver.resolveWithProof("", extra);
        vm.expectRevert();
        resolver.resolveWithProof(hex"00", extra);
    }

    function test_Interfaces() public view {
        assertTrue(resolver.supportsInterface(0x9061b923), "ENSIP-10");
        assertTrue(resolver.supportsInterface(0x01ffc9a7), "ERC-165");
        assertTrue(resolver.supportsInterface(0x3b3b57de), "addr");
        assertTrue(resolver.supportsInterface(0xf1cb7e06), "addr of a coin type");
        assertTrue(resolver.supportsInterface(0x59d1d43c), "text");
        assertFalse(resolver.supportsInterface(0xffffffff), "nothing else");
    }

    // Gas: execution of calls that nobody sends

    function _keepGas(string memory name, bytes memory call_, bytes memory response) private {
        vm.cool(address(resolver));
        vm.cool(address(inbox));
        (bool success,) = address(resolver).staticcall(call_);
        VaultVm(address(vm)).snapshotGasLastCall("vault", name);
        assertTrue(success == (response.length != 0), "an answer to an answer, a question to a question");
        vm.snapshotValue("vault", string.concat(name, ": bytes"), response.length);
    }

    function test_GasOfTheQuestion() public {
        _keepGas("resolve", abi.encodeCall(resolver.resolve, (_name("alice"), _addressQuery("alice"))), "");
    }

    function _grow(Paths.Leaf memory leaf) private returns (Paths.Path memory path) {
        bytes32 hash = Paths.hash(leaf);
        path = Paths.grow(hash, 30, uint64(uint256(hash)), hash);
        _pass(1);
        _settleRoot(path.root, inbox.queueLength());
    }

    function _measureAnswer(string memory name, bool exists, bytes memory value, bytes memory proof) private {
        (,, bytes memory extra) = _ask(_name("alice"), _addressQuery("alice"));
        bytes memory response = abi.encode(exists, value, proof);
        _keepGas(name, abi.encodeCall(resolver.resolveWithProof, (response, extra)), response);
    }

    function test_GasOfAnAnswer() public {
        bytes memory value = _value("alice");
        bytes32 place = _place(0, _node(parent, "alice"));
        Paths.Leaf memory leaf = Paths.Leaf(1, 1, place, 0, 0, keccak256(value));
        Paths.Path memory path = _grow(leaf);
        _measureAnswer("resolveWithProof, present", true, value, Paths.packInclusion(leaf, path));
    }

    function test_GasOfAnAbsence() public {
        bytes32 place = _place(0, _node(parent, "alice"));
        Paths.Leaf memory low = Paths.Leaf(1, 1, bytes32(uint256(place) - 7), 0, 0, keccak256("a neighbour"));
        Paths.Path memory path = _grow(low);
        _measureAnswer("resolveWithProof, absent", false, "", Paths.packExclusion(low, path));
    }
}
