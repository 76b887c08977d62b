"""What may be believed about the chain."""

from gateway.domain.finality import Checkpoint, Range, Relation, Unproven, join_ranges, relate

A = Checkpoint(10, b"a" * 32, b"note a")


def test_how_checkpoints_relate() -> None:
    """Larger is newer, smaller is older; equal sizes agree or contradict each other."""
    assert relate(None, A) is Relation.NEWER
    assert relate(A, Checkpoint(11, b"b" * 32, b"")) is Relation.NEWER
    assert relate(A, Checkpoint(9, b"b" * 32, b"")) is Relation.OLDER
    assert relate(A, Checkpoint(10, b"a" * 32, b"other signatures")) is Relation.SAME
    assert relate(A, Checkpoint(10, b"b" * 32, b"")) is Relation.CONTRADICTS


def test_adjacent_runs_are_proved_as_one_range() -> None:
    """Runs that follow each other in the tree join; gaps part them."""
    runs = [Unproven(2, 0, 5, 15), Unproven(1, 0, 5, 10), Unproven(3, 0, 1, 30)]
    assert join_ranges(runs, 100) == [Range(10, 10, (runs[1], runs[0])), Range(30, 1, (runs[2],))]


def test_ranges_have_a_limit() -> None:
    """A range stops growing at the limit; a single longer run stays whole."""
    runs = [Unproven(n, 0, 4, 4 * n) for n in range(1, 4)] + [Unproven(9, 0, 50, 16)]
    assert [one.count for one in join_ranges(runs, 8)] == [8, 4, 50]


def test_two_references_of_one_leaf_are_proved_each() -> None:
    """Runs at the same place stand in ranges of their own."""
    runs = [Unproven(1, 0, 1, 7), Unproven(2, 3, 1, 7), Unproven(2, 4, 1, 8)]
    found = join_ranges(runs, 100)
    assert sum(one.count for one in found) == 3
    assert [run for one in found for run in one.runs] == runs
