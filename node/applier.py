"""The one way in which a committed block becomes part of what this node holds: at run, at restart, for an
observer.

Why one: if restarting took another path than running, a restart could end somewhere else. The fold itself is
the ledger's (`Chain.apply`); here its result goes into the derived store, in groups, before anybody hears of
it.

Rules kept here
- Only entries that the node's own chain store has synced come in; the caller sees to that.
- Whoever is told of a block (submitters, cosigner, doors) is told after the derived store has it, so that
  positions and proofs can be asked for at once.
- A committed body that breaks a rule of the chain is `RuleBrokenError`: the blocks before it are applied, it
  is not, and the node halts.

Refuses: undoing. What is applied is committed.
"""

from collections.abc import Sequence
from typing import Protocol

from ledger.body import Body
from ledger.chain import AppliedBlock, Chain, VerifiedBody
from ledger.errors import LedgerError
from node.errors import NodeError

Step = tuple[int, int, Body | VerifiedBody]  # height, term, body


class BlockSink(Protocol):
    """The writing side of the derived store."""

    def write(self, blocks: list[AppliedBlock]) -> None:
        """Take applied blocks in rising height."""


class RuleBrokenError(NodeError):
    """A committed body breaks a rule of the chain. `height` says which, `broken` how."""

    def __init__(self, height: int, broken: LedgerError) -> None:
        """Name the block and keep the ledger's own error."""
        super().__init__("E_COMMITTED_RULE", f"committed block {height} breaks a rule: {broken}")
        self.height = height
        self.broken = broken


class Applier:
    """Owned by the loop's thread, together with `chain`."""

    def __init__(self, chain: Chain, derived: BlockSink) -> None:
        """`chain` stands where `derived` does."""
        self.chain = chain
        self._derived = derived

    def apply(self, steps: Sequence[Step]) -> list[AppliedBlock]:
        """Apply committed bodies in order, and write them to the derived store as one group.

        Raises RuleBrokenError for the first that may not be; those before it are applied and written all the
        same, and nobody is told of them: a halted node has no more to say.
        """
        blocks: list[AppliedBlock] = []
        broken: RuleBrokenError | None = None
        for height, term, body in steps:
            try:
                blocks.append(self.chain.apply(height, term, body))
            except LedgerError as error:
                broken = RuleBrokenError(height, error)
                break
        if blocks:
            self._derived.write(blocks)
        if broken is not None:
            raise broken
        return blocks
