"""A process that does nothing but promise and remember, made to be killed at any moment.

Run as ``python store_child.py FOLDER SEED``: it opens the stores in FOLDER, judges its own memory, and then
writes batch after batch until somebody kills it. After each batch *and* its head slot it prints one line;
whatever stands on such a line must never be lost. It prints nothing it has not synced.

Lines: ``counter last_height last_hash commit commit_hash size root``, the last three being applied and
marked.
"""

import random
import resource
import signal
import sys
from pathlib import Path

from ledger.body import Body
from ledger.chain import Chain
from ledger.errors import StoreFatalError
from ledger.headfile import CosignMark, HeadFile, judge, read_slot, start_commit
from ledger.store_chain import ChainBatch, ChainStore, HardState
from ledger.store_derived import DerivedStore
from ledger.store_prepare import prepare

HERE = Path(__file__)
EXIT_AMNESIA = 4
EXIT_FATAL = 7
PRINTED = 7
"""Fields of a line."""


def make(folder: Path) -> None:
    """Do what `init` does: chain store first, head file last."""
    from store_world import GENESIS, INSTANCE, NODE  # noqa: PLC0415 (the parent needs only the constants)

    chain = ChainStore.create(folder / "chain", GENESIS.raw, node_id=NODE, instance=INSTANCE)
    HeadFile.create(folder / "head", chain.facts()).close()
    chain.close()


class Child:
    """The running node: stores, head file, fold; everything in one thread."""

    def __init__(self, folder: Path, seed: int) -> None:
        """Start as a node starts; exits with EXIT_AMNESIA if its memory contradicts itself."""
        from store_world import NODE, replay  # noqa: PLC0415

        self.rng = random.Random(seed)
        self.replay = replay
        self.node = NODE
        self.chain = ChainStore.open(folder / "chain", node_id=NODE)
        slot = read_slot(folder / "head")
        verdict = judge(slot, self.chain.facts())
        if slot is None or not verdict.may_promise:
            print(verdict.words, file=sys.stderr)
            sys.exit(EXIT_AMNESIA)
        self.head = HeadFile.open(folder / "head")
        self.derived: DerivedStore
        self.derived, fold, _ = prepare(folder / "derived", self.chain)
        if self.chain.hard_state().commit < start_commit(slot, 0):
            hard = self.chain.hard_state()
            commit = start_commit(slot, hard.commit)
            self.chain.write(ChainBatch(self.chain.counter() + 1, HardState(hard.term, hard.vote, commit)))
            self.head.write(self.chain.facts())
        self.fold: Chain = replay(self.chain, self.derived, fold)
        self.head.sign_mark(CosignMark(self.fold.height, self.fold.tree_size, self.fold.root))

    def bodies(self, count: int) -> list[Body]:
        """Return bodies that no earlier batch had."""
        import ledger_world as world  # noqa: PLC0415

        made = []
        for _ in range(count):
            size, first = self.rng.choice([0, 1, 3, 60]), self.rng.randrange(10**9)
            if size:
                made.append(world.envelopes_body(self.chain.chain_id, (first, size), ms=1))
            else:
                made.append(world.empty_body(ms=1))
        return made

    def batch(self) -> None:
        """Write one batch: sometimes a new term that replaces the uncommitted tail."""
        from store_world import stored  # noqa: PLC0415

        hard, last = self.chain.hard_state(), self.chain.last().height
        term, truncate, after = max(1, hard.term), None, last
        if self.rng.random() < 0.3:
            term += 1
            if last > hard.commit:
                truncate = self.rng.randrange(hard.commit + 1, last + 1)
                after = truncate - 1
        entries = stored(self.chain, self.bodies(self.rng.randrange(4)), term, after=after)
        commit = max(hard.commit, min(after, after + len(entries) - self.rng.randrange(4)))
        vote = hard.vote if term == hard.term else self.node
        new = ChainBatch(self.chain.counter() + 1, HardState(term, vote, commit), truncate, entries)
        self.chain.write(new)
        self.head.write(self.chain.facts())
        self.fold = self.replay(self.chain, self.derived, self.fold)
        self.head.sign_mark(CosignMark(self.fold.height, self.fold.tree_size, self.fold.root))
        self.tell()

    def tell(self) -> None:
        """Print what must never be lost from now on."""
        last, commit = self.chain.last(), self.fold.height
        fields = (
            self.chain.counter(),
            last.height,
            last.entry_hash.hex(),
            commit,
            self.chain.term_and_hash(commit)[1].hex(),
            self.fold.tree_size,
            self.fold.root.hex(),
        )
        print(*fields, flush=True)


def main() -> None:
    """Run until killed, or until the disk refuses (a third argument limits the size of files, in bytes)."""
    child = Child(Path(sys.argv[1]), int(sys.argv[2]))
    if len(sys.argv) > 3:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    child.tell()
    try:
        while True:
            child.batch()
    except StoreFatalError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_FATAL)


if __name__ == "__main__":
    main()
