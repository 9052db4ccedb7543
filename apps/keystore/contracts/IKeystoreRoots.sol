// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The keystore's settled state roots, as one chain knows them
/// @notice A root is worth something together with a time: the latest L1 block at which the inbox was shown to hold it. An
/// idle keystore keeps its root, and showing it again moves its time on. How long ago L1 took it, which is how old a change
/// may be that the keystore has acknowledged and L1 does not know, is another time: `settledAt`.
interface IKeystoreRoots {
    /// @notice The inbox was shown to hold `root`, of the rollup's block `height`, at L1 time `l1Time` (seconds).
    event RootShown(bytes32 indexed root, uint64 indexed height, uint64 l1Time);
    /// @notice The hash of an L1 block is kept, for proofs that arrive when the chain has moved on.
    event BlockHashRecorded(uint64 indexed number, bytes32 blockHash);

    /// @notice What was shown is older than what is known, by height or by L1 time.
    error StaleRoot(uint64 knownHeight, uint64 knownTime, uint64 height, uint64 l1Time);
    /// @notice What was shown carries an L1 time that has not come yet.
    error FutureRoot(uint64 latestTime, uint64 l1Time);
    /// @notice Another root is known at this very height: L1 has contradicted itself, and nothing is taken from it.
    error ConflictingRoot(uint64 height, bytes32 known, bytes32 found);
    /// @notice No tree has this root.
    error ZeroRoot();
    /// @notice The caller does not speak for the broadcaster on L1.
    error UnknownMessenger(address caller);
    /// @notice This chain is not L1: the inbox is not here, and cannot be read.
    error NoInbox();
    /// @notice This chain does not expose L1's block hashes, so that nothing can be proven against them.
    error NoL1Block();
    /// @notice The header is not that of the L1 block whose hash this chain exposes, or has recorded, at that number.
    error WrongBlockHash(bytes32 expected, bytes32 found);
    /// @notice A proof does not lead from the block's state root to the inbox's storage.
    error BadProof();

    /// @notice The newest root, when L1 was last shown to hold it, and when L1 took it; zeros before the first.
    function latest() external view returns (bytes32 root, uint64 height, uint64 l1Time, uint64 settledAt);

    /// @notice The latest L1 time at which a root was shown to be the inbox's; 0 if never, or if it left the history.
    function shownAt(bytes32 root) external view returns (uint64 l1Time);

    /// @notice The time of the block of this chain in which another root took the place of `root`; 0 if `root` is the newest,
    /// was never shown, or left the history.
    function replacedAt(bytes32 root) external view returns (uint64 time);
}
