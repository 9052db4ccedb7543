// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IKeystoreVault} from "keystore/IKeystoreVault.sol";
import {FeeToken, PlainToken} from "./Tokens.sol";
import {Validation} from "accounts-test/Validation.sol";
import {IAxiomBridge} from "keystore/IAxiomBridge.sol";
import {BridgeBase} from "./BridgeBase.sol";
import {Trees} from "./Trees.sol";

/// @notice Everybody at once: payers, an operator who credits or rejects, falls silent and comes back, and whoever claims,
/// reclaims and escapes, also for the second time, by the vault or by Axiom's bridge; and a model that says what must come of it.
contract Crowd is BridgeBase {
    using Trees for Trees.Tree;

    enum Fate {
        Queued,
        Credited,
        Rejected,
        Reclaimed
    }

    struct Paid {
        uint256 token;
        uint256 holder;
        uint256 amount;
        Fate fate;
    }

    struct Withdrawal {
        uint256 token;
        uint256 amount;
        bool isClaimed;
    }

    uint256 private constant _HOLDERS = 3;
    uint256 public constant TOKENS = 3;
    address[TOKENS] public tokens;
    uint256[_HOLDERS][TOKENS] private _balances;
    bool[_HOLDERS][TOKENS] private _hasEscaped;
    Paid[] private _paid;
    Withdrawal[] private _withdrawals;
    bool private _isFrozen;
    /// How often each thing has happened: a run in which none escapes shows nothing.
    uint256[8] public counts;
    /// @notice Ether that nobody paid in: contracts that destroy themselves may send it.
    uint256 public gifts;
    uint256 public fees;

    constructor() {
        setUp();
        tokens = [ETHER, address(new PlainToken()), address(new FeeToken())];
        for (uint256 i; i < _HOLDERS; ++i) {
            _setAccount(_holder(i));
        }
        _settleAndRecord();
    }

    function _holder(uint256 holder) private pure returns (Account memory) {
        return _accountOf(address(uint160(0x1000 + holder)));
    }

    /// @notice What the vault owes by the model.
    function owed(uint256 token) external view returns (uint256 sum) {
        for (uint256 i; i < _HOLDERS; ++i) {
            if (!_hasEscaped[token][i]) sum += _balances[token][i];
        }
        for (uint256 i; i < _withdrawals.length; ++i) {
            if (_withdrawals[i].token == token && !_withdrawals[i].isClaimed) sum += _withdrawals[i].amount;
        }
        for (uint256 i; i < _paid.length; ++i) {
            bool isOpen = _paid[i].fate == Fate.Queued || _paid[i].fate == Fate.Rejected;
            if (_paid[i].token == token && isOpen) sum += _paid[i].amount;
        }
    }

    function held(uint256 token) external view returns (uint256) {
        return _holding(tokens[token], address(vault)) - (token == 0 ? gifts : 0);
    }

    function heldByBridge() external view returns (uint256) {
        return address(bridge).balance;
    }

    // What may happen

    function payIn(uint256 token, uint256 holder, uint256 amount) external {
        if (_isFrozen) return;
        (token, holder, amount) = (token % TOKENS, holder % _HOLDERS, bound(amount, 1, 1e30));
        _fund(tokens[token], ALICE, amount);
        uint64 id = _depositAs(ALICE, tokens[token], _holder(holder).key, amount);
        assertEq(_paid.length, id, "ids count up");
        _paid.push(Paid(token, holder, deposits[id].amount, Fate.Queued));
    }

    function payInByBridge(uint256 holder, uint256 amount) external {
        if (_isFrozen) return;
        (holder, amount) = (holder % _HOLDERS, bound(amount, 1, 1e30));
        _fund(ETHER, ALICE, amount + DEPOSIT_FEE);
        (uint64 id, uint256 entry) = (vault.depositCount(), inbox.queueLength());
        bytes memory data = abi.encodePacked(amount, _holder(holder).key);
        _initiate(ALICE, IAxiomBridge.TransactionType.Deposit, data, amount + DEPOSIT_FEE);
        fees += DEPOSIT_FEE;
        deposits[id] = IKeystoreVault.Deposit(ETHER, amount, ALICE, entry);
        assertEq(_paid.length, id, "the same ids");
        _paid.push(Paid(0, holder, amount, Fate.Queued));
    }

    function give(uint256 amount) external {
        amount = bound(amount, 1, 1e30);
        gifts += amount;
        _fillVault(amount);
    }

    function collect() external {
        bridge.collectFees();
        fees = 0;
    }

    /// @notice The operator takes the queue, and credits what `seed` says.
    function operate(uint256 seed) public {
        if (_isFrozen) return;
        for (uint256 i; i < _paid.length; ++i) {
            if (_paid[i].fate != Fate.Queued) continue;
            bool isCredited = (seed >> (i % 256)) & 3 != 0;
            _paid[i].fate = isCredited ? Fate.Credited : Fate.Rejected;
            if (!isCredited) continue;
            _credit(uint64(i), _holder(_paid[i].holder).key);
            _add(_paid[i].token, _paid[i].holder, _paid[i].amount);
            ++counts[0];
        }
        _settleAndRecord();
    }

    function _add(uint256 token, uint256 holder, uint256 amount) private {
        _balances[token][holder] += amount;
        _setBalance(tokens[token], _holder(holder).key, _balances[token][holder]);
    }

    function moveInside(uint256 token, uint256 from, uint256 to, uint256 amount) external {
        if (_isFrozen) return;
        (token, from, to) = (token % TOKENS, from % _HOLDERS, to % _HOLDERS);
        amount = bound(amount, 0, _balances[token][from]);
        _balances[token][from] -= amount;
        _add(token, from, 0);
        _add(token, to, amount);
        operate(amount);
    }

    function withdraw(uint256 token, uint256 holder, uint256 amount) external {
        if (_isFrozen) return;
        (token, holder) = (token % TOKENS, holder % _HOLDERS);
        if (_balances[token][holder] == 0) return;
        amount = bound(amount, 1, _balances[token][holder]);
        _balances[token][holder] -= amount;
        _add(token, holder, 0);
        _setWithdrawal(bytes32(_withdrawals.length), tokens[token], BOB, amount);
        _withdrawals.push(Withdrawal(token, amount, false));
        operate(amount);
    }

    function claim(uint256 which, uint256 way) external {
        if (_withdrawals.length == 0) return;
        which %= _withdrawals.length;
        Withdrawal storage found = _withdrawals[which];
        address token = tokens[found.token];
        bytes32 root = tree.getRoot();
        bytes32 place = _withdrawalPlace(token, bytes32(which));
        way = token == ETHER ? way % 3 : 0;
        address target = address(way == 2 ? address(bridge) : address(vault));
        bytes memory call_ = way == 2
            ? _finalizeCall(head.height, place, BOB, found.amount)
            : way == 1
                ? abi.encodeCall(vault.claimLeaf, (root, place, BOB, found.amount, _include(place)))
                : abi.encodeCall(vault.claim, (root, bytes32(which), token, BOB, found.amount, _include(place)));
        _try(target, STRANGER, call_, !found.isClaimed);
        if (!found.isClaimed) ++counts[way == 2 ? 6 : 1];
        found.isClaimed = true;
    }

    /// @notice A balance is not a withdrawal, and the bridge does not pay it.
    function finalizeBalance(uint256 token, uint256 holder) external {
        (token, holder) = (token % TOKENS, holder % _HOLDERS);
        bytes32 place = _balancePlace(tokens[token], _holder(holder).key);
        if (tree.places[place] == 0) return;
        uint256 amount = _balances[token][holder];
        _try(address(bridge), STRANGER, _finalizeCall(head.height, place, BOB, amount), false);
        ++counts[7];
    }

    function reclaim(uint256 which) external {
        if (_paid.length == 0) return;
        which %= _paid.length;
        Paid storage found = _paid[which];
        bytes memory proof = _exclude(_place(10, bytes32(which)));
        bool isDue = found.fate == Fate.Rejected || (found.fate == Fate.Queued && _isFrozen);
        _try(address(vault), STRANGER, abi.encodeCall(vault.reclaim, (uint64(which), deposits[uint64(which)], tree.getRoot(), proof)), isDue);
        if (!isDue) return;
        found.fate = Fate.Reclaimed;
        ++counts[2];
    }

    function escape(uint256 token, uint256 holder) external {
        (token, holder) = (token % TOKENS, holder % _HOLDERS);
        Account memory account = _holder(holder);
        uint256 amount = _balances[token][holder];
        bytes32 place = _balancePlace(tokens[token], account.key);
        if (tree.places[place] == 0) return;
        bool isDue = amount != 0 && !_hasEscaped[token][holder] && (_isFrozen || vault.getSilence() >= SILENCE);
        bytes memory call_ = abi.encodeCall(
            vault.escape, (account.key, tokens[token], BOB, amount, _opening(account), _include(place), CALLER)
        );
        _try(address(vault), address(bytes20(account.vk)), call_, isDue);
        if (!isDue) return;
        _isFrozen = true;
        _hasEscaped[token][holder] = true;
        ++counts[3];
    }

    function freeze() external {
        bool isDue = !_isFrozen && vault.getSilence() >= SILENCE;
        _try(address(vault), STRANGER, abi.encodeCall(vault.freeze, ()), isDue);
        if (isDue) _isFrozen = true;
        if (isDue) ++counts[4];
    }

    function record() external {
        _try(address(vault), STRANGER, abi.encodeCall(vault.checkpoint, ()), !_isFrozen);
    }

    /// @notice Mostly too short a time; then again nobody needs to hurry.
    function fallSilent(uint256 blocks) external {
        _silence(blocks % 4 == 0 ? SILENCE : bound(blocks, 1, SILENCE / 2));
        ++counts[5];
    }

    function _try(address target, address caller, bytes memory call_, bool isDue) private {
        vm.prank(caller);
        (bool success,) = target.call(call_);
        assertEq(isDue, success, "what is due, and nothing else");
    }
}

contract VaultInvariantTest is Validation {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Crowd private crowd;

    function setUp() public {
        crowd = new Crowd();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(crowd);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[17] memory selectors = [
            Crowd.payIn.selector,
            Crowd.payIn.selector,
            Crowd.operate.selector,
            Crowd.moveInside.selector,
            Crowd.withdraw.selector,
            Crowd.withdraw.selector,
            Crowd.claim.selector,
            Crowd.reclaim.selector,
            Crowd.escape.selector,
            Crowd.escape.selector,
            Crowd.freeze.selector,
            Crowd.record.selector,
            Crowd.fallSilent.selector,
            Crowd.payInByBridge.selector,
            Crowd.give.selector,
            Crowd.collect.selector,
            Crowd.finalizeBalance.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(crowd), new bytes4[](selectors.length));
        for (uint256 i; i < selectors.length; ++i) {
            targets[0].selectors[i] = selectors[i];
        }
    }

    /// @notice The crowd does everything, so that the invariant below is about something.
    function test_EverythingHappens() public {
        uint256[8] memory counts;
        for (uint256 run; run < 8; ++run) {
            uint256 snapshot = avm.snapshotState();
            for (uint256 step; step < 60; ++step) {
                _step(uint256(keccak256(abi.encode(run, step))));
            }
            invariant_HoldingsAreWhatIsOwed();
            for (uint256 i; i < 8; ++i) {
                counts[i] += crowd.counts(i);
            }
            avm.revertToState(snapshot);
        }
        for (uint256 i; i < 8; ++i) {
            require(counts[i] != 0, "something never happens");
        }
    }

    function _step(uint256 seed) private {
        uint256 kind = seed % 16;
        (uint256 first, uint256 second, uint256 third) = (seed >> 16, seed >> 32, seed >> 128);
        if (kind < 2) crowd.payIn(first, second, third);
        if (kind == 2) crowd.operate(third);
        if (kind == 3) crowd.moveInside(first, second, second >> 16, third);
        if (kind == 4 || kind == 5) crowd.withdraw(first, second, third);
        if (kind == 6 || kind == 7) crowd.claim(first, second);
        if (kind == 8) crowd.reclaim(first);
        if (kind == 9) crowd.escape(first, second);
        if (kind == 10) crowd.freeze();
        if (kind == 11) crowd.fallSilent(first);
        if (kind == 12) crowd.payInByBridge(first, third);
        if (kind == 13) crowd.give(third);
        if (kind == 14) crowd.collect();
        if (kind == 15) crowd.finalizeBalance(first, second);
    }

    /// @notice What is here is what is owed, to the last unit: balances, open withdrawals and open deposits. What was never paid in
    /// comes on top, and in the bridge are the fees alone.
    function invariant_HoldingsAreWhatIsOwed() public view {
        for (uint256 i; i < crowd.TOKENS(); ++i) {
            require(crowd.held(i) == crowd.owed(i), "the vault holds more or less than it owes");
        }
        require(crowd.heldByBridge() == crowd.fees(), "the bridge holds something else than its fees");
    }
}
