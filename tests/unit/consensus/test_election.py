"""Who may campaign, who votes for whom, and which answers count."""

import pytest
from consensus_stage import Stage

from consensus import election, messages
from consensus.invariants import Watch
from consensus.types import Role

HASH = bytes(32)


def follower(last: int = 1) -> Stage:
    """Three nodes with one committed entry; time has passed, so that nobody feels led."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    for n in range(last - 1):
        stage.propose("1", str(n))
        stage.settle()
    stage["2"].now += 500
    stage.log.clear()
    return stage


def ask(
    stage: Stage, term: int, last_index: int, last_term: int, *, sender: str = "3", transfer: bool = False
) -> bool:
    """Ask node 2 for its vote; True when it gives it."""
    stage.step(messages.RequestVote(sender, "2", term, last_index, last_term, HASH, transfer))
    answers = [m for m in stage["2"].core.replica.outbox if isinstance(m, messages.VoteAnswer)]
    return bool(answers) and answers[-1].granted


@pytest.mark.parametrize(
    ("last_index", "last_term", "granted"),
    [(1, 1, True), (2, 1, True), (0, 0, False), (9, 0, False), (0, 2, True)],
)
def test_a_vote_needs_a_log_at_least_as_good(last_index: int, last_term: int, granted: bool) -> None:
    """Paper 5.4.1."""
    assert ask(follower(), 3, last_index, last_term) is granted


def test_one_vote_per_term() -> None:
    """The same candidate may ask again, another one may not; a new term is a new vote."""
    stage = follower()
    assert ask(stage, 3, 1, 1)
    assert ask(stage, 3, 1, 1)
    assert not ask(stage, 3, 5, 2, sender="1")
    assert ask(stage, 4, 5, 2, sender="1")


def test_no_vote_for_a_second_leader_of_a_term() -> None:
    """A node that follows a leader in this term has nothing to give, even if it never voted in it."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    r = stage["2"].core.replica
    r.vote = None
    stage["2"].watch = Watch(r)
    stage.step(messages.RequestVote("3", "2", 1, 9, 0, HASH, transfer=False))
    assert [type(m) for m in r.outbox] == [messages.VoteAnswer]
    assert not r.outbox[0].granted  # type: ignore[union-attr]
    assert r.vote is None


def test_loyalty_to_a_living_leader_and_its_one_exception() -> None:
    """A campaign is ignored, its term too, while the leader is alive; unless the leader asked for it."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    assert not ask(stage, 9, 9, 8)
    assert stage["2"].core.status().term == 1
    assert ask(stage, 9, 9, 8, transfer=True)


def test_a_leader_is_always_led() -> None:
    """It steps down by check-quorum or by a higher term from those who left it, not by a campaign."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage["1"].now += 10_000
    stage.step(messages.RequestVote("3", "1", 9, 9, 8, HASH, transfer=False))
    assert stage["1"].core.status().role is Role.LEADER


def test_pre_votes_count_only_for_the_question_asked() -> None:
    """An answer about another term elects nobody."""
    stage = follower()
    core = stage["2"].core
    core.campaign(stage["2"].now, 0)
    stage.step(messages.PreVoteAnswer("3", "2", 1, 1, granted=True, wall_ms=0))
    assert core.status().role is Role.PRE_CANDIDATE
    stage.step(messages.PreVoteAnswer("3", "2", 1, 2, granted=True, wall_ms=0))
    assert core.status().role is Role.CANDIDATE


def test_refused_pre_votes_end_the_campaign_or_teach_the_term() -> None:
    """Two refusals of three; or one from a node that is further."""
    stage = follower()
    core = stage["2"].core
    core.campaign(stage["2"].now, 0)
    for sender in "13":
        stage.step(messages.PreVoteAnswer(sender, "2", 1, 2, granted=False, wall_ms=0))
    assert core.status().role is Role.FOLLOWER
    core.campaign(stage["2"].now, 0)
    stage.step(messages.PreVoteAnswer("3", "2", 7, 2, granted=False, wall_ms=0))
    assert (core.status().role, core.status().term) == (Role.FOLLOWER, 7)


def test_votes_of_another_term_do_not_count() -> None:
    """A late answer to an older campaign elects nobody."""
    stage = follower()
    core = stage["2"].core
    for _ in range(2):
        core.campaign(stage["2"].now, 0)
        stage.step(messages.PreVoteAnswer("3", "2", 1, core.status().term + 1, granted=True, wall_ms=0))
        stage.ready("2")
        stage.sync("2")
    assert (core.status().role, core.status().term) == (Role.CANDIDATE, 3)
    stage.step(messages.VoteAnswer("3", "2", 2, granted=True, last_index=1, last_hash=HASH, wall_ms=0))
    assert core.status().role is Role.CANDIDATE
    stage.step(messages.VoteAnswer("3", "2", 3, granted=True, last_index=1, last_hash=HASH, wall_ms=0))
    assert core.status().role is Role.LEADER


def test_the_own_vote_counts_when_it_is_durable() -> None:
    """Two of three votes, but one's own is only in memory: no leader."""
    stage = follower()
    core = stage["2"].core
    core.campaign(stage["2"].now, 0)
    stage.step(messages.PreVoteAnswer("3", "2", 1, 2, granted=True, wall_ms=0))
    stage.ready("2")
    stage.step(messages.VoteAnswer("3", "2", 2, granted=True, last_index=1, last_hash=HASH, wall_ms=0))
    assert core.status().role is Role.CANDIDATE
    stage.sync("2")
    assert core.status().role is Role.LEADER


def test_nobody_campaigns_who_is_no_voter() -> None:
    """However long it hears nothing."""
    stage = Stage(["1", "2"], voters=["2"])
    assert not election.may_campaign(stage["1"].core.replica)
    stage.tick("1", 10_000)
    assert stage["1"].core.status().role is Role.FOLLOWER


def test_timeout_now_is_obeyed_only_from_ones_leader() -> None:
    """Another node cannot make this one campaign."""
    stage = Stage(["1", "2", "3"])
    stage.elect("1")
    stage.step(messages.TimeoutNow("3", "2", 1))
    assert stage["2"].core.status().role is Role.FOLLOWER
    stage.step(messages.TimeoutNow("1", "2", 1))
    assert stage["2"].core.status().role is Role.CANDIDATE
