"""Vote and commit arithmetic agrees with etcd-io/raft's tables, and with its definition."""

import re
from itertools import combinations

import pytest
from golden import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from consensus.quorum import VoteResult, committed, majority, survives, vote_result

_CASE = re.compile(
    r"^(committed|vote)(?: cfg=\(([^)]*)\) (?:idx|votes)=\(([^)]*)\))?\n----\n(.*?)(?:\n\n|\Z)",
    re.MULTILINE | re.DOTALL,
)
_RESULTS = {"VoteWon": VoteResult.WON, "VoteLost": VoteResult.LOST, "VotePending": VoteResult.PENDING}


def _cases(name: str) -> list[tuple[list[str], list[str], str]]:
    """Voters, values, and the last line of the expected output, for every case of a file."""
    text = (GOLDEN / "raft-etcd" / name).read_text(encoding="utf-8")
    cases = []
    for _, voters, values, output in _CASE.findall(text):
        split = [[part.strip() for part in field.split(",") if part.strip()] for field in (voters, values)]
        cases.append((split[0], split[1], output.strip().splitlines()[-1]))
    assert len(cases) == text.count("\n----\n")
    return cases


@pytest.mark.parametrize(("voters", "values", "expected"), _cases("majority_commit.txt"))
def test_commit_index_agrees_with_the_table(voters: list[str], values: list[str], expected: str) -> None:
    """The index that a majority holds is etcd's; an empty set of voters is refused here."""
    match = {voter: int(value) for voter, value in zip(voters, values, strict=True) if value != "_"}
    if not voters:
        with pytest.raises(AssertionError):
            committed(voters, match)
        return
    assert committed(sorted(set(voters)), match) == int(expected)


@pytest.mark.parametrize(("voters", "values", "expected"), _cases("majority_vote.txt"))
def test_vote_result_agrees_with_the_table(voters: list[str], values: list[str], expected: str) -> None:
    """Won, lost and pending are etcd's; an empty set of voters is refused here."""
    votes = {voter: value == "y" for voter, value in zip(voters, values, strict=True) if value != "_"}
    if not voters:
        with pytest.raises(AssertionError):
            vote_result(voters, votes)
        return
    assert vote_result(voters, votes) is _RESULTS[expected]


@pytest.mark.parametrize("count", range(1, 10))
def test_two_majorities_meet(count: int) -> None:
    """Majorities of one set share a member, and so do those of two sets that differ by one member."""
    voters = range(count)
    for one in combinations(voters, majority(count)):
        for other in combinations(voters, majority(count)):
            assert set(one) & set(other)
        for bigger in combinations(range(count + 1), majority(count + 1)):
            assert set(one) & set(bigger)


@given(st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 9)))
def test_committed_is_the_highest_index_that_a_majority_holds(match: dict[str, int]) -> None:
    """By definition: enough voters hold it, and not enough hold the next one."""
    voters = list("abcde")
    index = committed(voters, match)
    assert sum(match.get(v, 0) >= index for v in voters) >= majority(5)
    assert sum(match.get(v, 0) > index for v in voters) < majority(5)


def test_strangers_do_not_count() -> None:
    """Answers of others than the voters change nothing."""
    assert vote_result(["a", "b", "c"], {"x": True, "y": True, "z": True}) is VoteResult.PENDING
    assert committed(["a", "b", "c"], {"x": 9, "y": 9, "a": 1}) == 0


@pytest.mark.parametrize(
    ("count", "against", "left"), [(1, 0, True), (3, 1, True), (3, 2, False), (4, 2, False), (5, 2, True)]
)
def test_survives(count: int, against: int, left: bool) -> None:
    """A majority remains as long as fewer than half say no."""
    assert survives([str(n) for n in range(count)], against) is left
