// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// @title The keystore's settled state roots, as one L2 knows them
/// @notice A root is worth something together with a time: the latest L1 block at which the inbox was shown to hold it. An
/// idle keystore keeps its root, and whoever shows it again moves its time on.
interface IKeystoreRoots {
    /// @notice The inbox was shown to hold `root`, of the rollup's block `height`, at L1 time `l1Time` (seconds).
    event RootShown(bytes32 indexed root, uint64 indexed height, uint64 l1Time);

    /// @notice What was shown is older than what is known: by height, or by L1 time, or another root at a known height.
    error StaleRoot(uint64 knownHeight, uint64 knownTime, uint64 height, uint64 l1Time);
    /// @notice What was shown carries an L1 time that has not come yet.
    error FutureRoot(uint64 latestTime, uint64 l1Time);
    /// @notice Neither a messenger of this contract nor, through it, the broadcaster on L1.
    error UnknownMessenger(address caller);
    /// @notice The header is not that of the L1 block whose hash this chain exposes.
    error WrongBlockHash(bytes32 expected, bytes32 found);
    /// @notice The proof does not lead from the block's state root to the inbox's storage.
    error BadProof();

    /// @notice The newest root; zeros before the first.
    function latest() external view returns (bytes32 root, uint64 height, uint64 l1Time);

    /// @notice The latest L1 time at which a root was shown to be the inbox's; 0 if never, or if it left the history.
    function shownAt(bytes32 root) external view returns (uint64 l1Time);
}
