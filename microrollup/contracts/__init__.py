"""The contracts on L1 as they are deployed: `RollupInbox.sol`, its compiled artifact, and the loader of artifacts."""

from microrollup.contracts.artifact import Artifact, load_artifact

__all__ = ["Artifact", "load_artifact"]
