"""Which records go into the next envelope."""

import ledger_world as world
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.anchoring import Piece
from gateway.domain.queueing import Queue, Work, sources_of
from ledger.record import encode_leaves, leaf_slices


def work(batch: int, numbers: list[int], source: str = "CRM", position: int = 0) -> Work:
    """Return a piece whose leaves are made of `numbers`."""
    leaves = encode_leaves(
        "BROKER",
        commitments=[world.seed("leaf", number) for number in numbers],
        sources=[source] * len(numbers),
        source_seqs=[None] * len(numbers),
        templates=["T-1"] * len(numbers),
        template_versions=[1] * len(numbers),
    )
    return Work(Piece(batch, position, len(numbers)), leaves, sources_of(leaves))


def batches(works: list[Work]) -> list[int]:
    """Return the batch ids of works."""
    return [one.piece.batch_id for one in works]


def test_small_pieces_are_merged_up_to_the_limit() -> None:
    """One envelope holds as many pieces as fit; a piece that does not fit is cut, and its rest goes next."""
    queue = Queue()
    queue.add([work(1, [1, 2]), work(2, [3, 4, 5]), work(3, [6])])
    taken = queue.take(4, now_s=0.0)
    assert [one.piece for one in taken] == [Piece(1, 0, 2), Piece(2, 0, 2)]
    queue.release(taken)
    rest = queue.take(4, now_s=0.0)
    assert [one.piece for one in rest] == [Piece(2, 2, 1), Piece(3, 0, 1)]
    assert leaf_slices(rest[0].leaves) == leaf_slices(work(2, [5]).leaves)
    assert queue.records == 0


def test_a_source_in_flight_holds_its_later_pieces_back() -> None:
    """The second envelope may carry other sources only, so that nothing overtakes within a source."""
    queue = Queue()
    queue.add([work(1, [1], "CRM"), work(2, [2], "CRM"), work(3, [3], "WECOM")])
    first = queue.take(1, now_s=0.0)
    second = queue.take(5, now_s=0.0)
    assert (batches(first), batches(second)) == ([1], [3])
    assert queue.take(5, now_s=0.0) == []
    queue.release(first)
    assert batches(queue.take(5, now_s=0.0)) == [2]


def test_a_pause_holds_its_source_back_but_no_other() -> None:
    """A piece that waits blocks what came later from its source; other sources go on."""
    queue = Queue()
    waiting = work(1, [1], "CRM")
    queue.add([work(2, [2], "CRM"), work(3, [3], "WECOM")])
    queue.put_back([Work(waiting.piece, waiting.leaves, waiting.sources, not_before_s=5.0)])
    assert queue.next_time_s(0.0) == 5.0
    taken = queue.take(5, now_s=0.0)
    assert batches(taken) == [3]
    queue.release(taken)
    assert batches(queue.take(5, now_s=5.0)) == [1, 2]
    assert queue.next_time_s(5.0) is None


def test_the_same_leaf_never_stands_twice_in_an_envelope() -> None:
    """A repeated leaf waits until the envelope that holds it is answered."""
    queue = Queue()
    queue.add([work(1, [1, 2]), work(2, [2, 3])])
    first = queue.take(10, now_s=0.0)
    assert batches(first) == [1]
    queue.release(first)
    assert batches(queue.take(10, now_s=0.0)) == [2]


def test_a_piece_alone_travels_alone() -> None:
    """Neither joins others nor is joined."""
    queue = Queue()
    lonely = work(2, [2], "WECOM")
    queue.add(
        [
            work(1, [1]),
            Work(lonely.piece, lonely.leaves, lonely.sources, alone=True),
            work(3, [3], "PUSH.SMS"),
        ]
    )
    assert batches(queue.take(10, now_s=0.0)) == [1, 3]
    assert batches(queue.take(10, now_s=0.0)) == [2]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "take", "answer", "send back"]), st.integers(0, 2), st.integers(1, 4)),
    max_size=40,
)


@given(STEPS)
def test_order_per_source_holds_and_nothing_is_lost(steps: list[tuple[str, int, int]]) -> None:
    """However envelopes are answered or sent back, each source's records settle once and in their order."""
    queue = Queue()
    flying: list[list[Work]] = []
    accepted: list[tuple[bytes, bytes]] = []
    settled: list[tuple[bytes, bytes]] = []
    number = batch = 0

    def pairs(works: list[Work]) -> list[tuple[bytes, bytes]]:
        return [(leaf[61:85], leaf[13:45]) for one in works for leaf in leaf_slices(one.leaves)]

    for step, choice, size in [*steps, *[("take", 0, 1), ("answer", 0, 1)] * 200]:
        if step == "add":
            batch += 1
            one = work(batch, list(range(number, number + size)), ("CRM", "WECOM", "PUSH.SMS")[choice])
            number += size
            queue.add([one])
            accepted += pairs([one])
        elif step == "take" and len(flying) < 2:
            taken = queue.take(3, now_s=0.0)
            if taken:
                flying.append(taken)
        elif flying:
            works = flying.pop(choice % len(flying))
            queue.release(works)
            if step == "answer":
                settled += pairs(works)
            else:
                queue.put_back(works)
    assert sorted(settled) == sorted(accepted)
    for source in {source for source, _ in accepted}:
        assert [p for p in settled if p[0] == source] == [p for p in accepted if p[0] == source]
    assert queue.records == 0
    assert not queue.in_flight
