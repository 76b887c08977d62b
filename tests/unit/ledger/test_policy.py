"""Policies are those of C2SP tlog-policy, strictly; the chain's own text comes out of `render_policy`."""

import re
from itertools import combinations
from typing import Any

import pytest
from golden import load
from mutations import mutations
from tlog_world import INSTITUTIONS, cosigner_key, log_key, policy_text, seed, witness_name

from ledger import ed25519
from ledger.errors import PolicyError
from ledger.note import ED25519, ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE, VerifierKey, format_vkey
from ledger.policy import (
    GROUPS_MAX,
    LOGS_MAX,
    POLICY_BYTES_MAX,
    WITNESSES_MAX,
    Group,
    parse_policy,
    render_policy,
    satisfied,
)

FORMATS: dict[str, Any] = load("checkpoint/transparency-dev-formats.json")


def vkey(label: object, kind: int = ED25519_COSIGNATURE) -> str:
    """A made-up vkey."""
    return format_vkey(VerifierKey(f"name-{label}", kind, ed25519.public_key(seed("policy", str(label)))))


def witnesses(*names: str) -> str:
    """Witness lines."""
    return "".join(f"witness {name} {vkey(name)}\n" for name in names)


def code_of(text: str | bytes) -> str:
    """The code with which a text is refused."""
    with pytest.raises(PolicyError) as caught:
        parse_policy(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    return caught.value.code


SPECIFICATION_EXAMPLE = (
    f"log {vkey('log', ED25519)}\n\n"
    + witnesses("X1", "X2", "X3")
    + "group X-witnesses 2 X1 X2 X3\n\n"
    + witnesses("Y1", "Y2", "Y3")
    + "group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


def test_specifications_example() -> None:
    """Two of the X and one of the Y: exactly the sets that the document's text describes."""
    policy = parse_policy(SPECIFICATION_EXAMPLE.encode())
    names = [witness.name for witness in policy.witnesses]
    for count in range(len(names) + 1):
        for chosen in combinations(names, count):
            x = sum(name.startswith("X") for name in chosen)
            y = sum(name.startswith("Y") for name in chosen)
            assert satisfied(policy, chosen) == (x >= 2 and y >= 1)


def test_names_that_no_witness_bears_count_for_nothing() -> None:
    """Neither a stranger's nor a group's name helps."""
    policy = parse_policy(SPECIFICATION_EXAMPLE.encode())
    assert not satisfied(policy, ["X1", "stranger", "X-witnesses", "Y-witnesses", "X-and-Y"])


def test_quorum_none_and_a_single_witness() -> None:
    """`none` asks for nothing; a witness may be the quorum itself, and be in a group as well."""
    assert satisfied(parse_policy(b"quorum none\n"), [])
    policy = parse_policy((witnesses("w", "v") + "group g any w v\nquorum w\n").encode())
    assert satisfied(policy, ["w"])
    assert not satisfied(policy, ["v"])


@pytest.mark.parametrize("text", FORMATS["policies_ok"])
def test_published_policies_in_our_terms(text: str) -> None:
    """What that corpus accepts breaks three rules of tlog-policy: log keys for witnesses, doubled keys, and
    comments behind a line. So each is refused, and accepted once its keys are cosigner keys of their own and
    comments stand alone.
    """
    assert code_of(text) in {"E_POLICY_KEY_TYPE", "E_POLICY_LINE"}
    numbers = iter(range(100))
    proper = re.sub(r"\S+\+[0-9a-f]{8}\+\S+", lambda _: vkey(next(numbers)), text)
    if "#comment\nwitness" in proper or "#comment\n  witness" in proper:
        assert code_of(proper) == "E_POLICY_LINE"
    policy = parse_policy(re.sub(r"(witness.*?)\s+#comment", r"\1", proper).encode())
    assert [group.name for group in policy.groups] == ["g1"]
    assert policy.quorum == "g1"
    assert all(witness.url for witness in policy.witnesses)


@pytest.mark.parametrize("case", FORMATS["policies_bad"], ids=lambda case: case["error_about"])
def test_published_bad_policies(case: dict[str, str]) -> None:
    """What the corpus refuses is refused, also with every line ended."""
    code_of(case["policy"])
    code_of(case["policy"] + "\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "E_POLICY_QUORUM"),
        ("quorum none", "E_POLICY_TEXT"),
        ("quorum none\r\n", "E_POLICY_TEXT"),
        ("\x0bquorum none\n", "E_POLICY_TEXT"),
        ("# \x7f\nquorum none\n", "E_POLICY_TEXT"),
        ("quorum\n", "E_POLICY_LINE"),
        ("quorum none none\n", "E_POLICY_LINE"),
        ("quorum none\nquorum none\n", "E_POLICY_QUORUM"),
        ("quorum x\n", "E_POLICY_QUORUM"),
        ("Quorum none\n", "E_POLICY_LINE"),
        ("from 0\nquorum none\n", "E_POLICY_LINE"),
        ("quorum\u00a0none\n", "E_POLICY_LINE"),
        ("log\nquorum none\n", "E_POLICY_LINE"),
        (f"log {vkey(1, ED25519)} url more\nquorum none\n", "E_POLICY_LINE"),
        (f"log {vkey(1)}\nquorum none\n", "E_POLICY_KEY_TYPE"),
        (f"log {vkey(1, ED25519)[:-1]}\nquorum none\n", "E_POLICY_KEY"),
        (f"witness w {vkey(1, ED25519)}\nquorum w\n", "E_POLICY_KEY_TYPE"),
        (f"witness {vkey(1)}\nquorum none\n", "E_POLICY_LINE"),
        (f"witness none {vkey(1)}\nquorum none\n", "E_POLICY_NAME"),
        (f"witness a+b {vkey(1)}\nquorum none\n", "E_POLICY_NAME"),
        (f"witness a\u2003b {vkey(1)}\nquorum none\n", "E_POLICY_NAME"),
        (f"witness \udcff {vkey(1)}\nquorum none\n", "E_POLICY_NAME"),
        (f"witness {'a' * 256} {vkey(1)}\nquorum none\n", "E_POLICY_NAME"),
        (f"witness w {vkey(1)}\nwitness w {vkey(2)}\nquorum w\n", "E_POLICY_DUPLICATE"),
        (f"witness w {vkey(1)}\nwitness v {vkey(1)}\nquorum w\n", "E_POLICY_DUPLICATE"),
        (f"log {vkey(1, ED25519)}\nlog {vkey(1, ED25519)}\nquorum none\n", "E_POLICY_DUPLICATE"),
        (f"log {vkey(1, ED25519)}\nwitness w {vkey(1)}\nquorum w\n", "E_POLICY_DUPLICATE"),
        (witnesses("w") + "group w any w\nquorum w\n", "E_POLICY_DUPLICATE"),
        (witnesses("w") + "group none any w\nquorum w\n", "E_POLICY_NAME"),
        (witnesses("w") + "group g\nquorum w\n", "E_POLICY_LINE"),
        (witnesses("w") + "group g any\nquorum w\n", "E_POLICY_LINE"),
        (witnesses("w") + "group g 1 none\nquorum w\n", "E_POLICY_MEMBER"),
        (witnesses("w") + "group g any g\nquorum g\n", "E_POLICY_MEMBER"),
        (witnesses("w") + "group g any w w\nquorum g\n", "E_POLICY_MEMBER"),
        (witnesses("w") + "group g any w\ngroup h any w\nquorum g\n", "E_POLICY_MEMBER"),
        (witnesses("w") + "group g any h\n" + witnesses("h") + "quorum g\n", "E_POLICY_MEMBER"),
        (witnesses("w") + "group g 0 w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "group g 2 w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "group g 01 w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "group g +1 w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "group g 1.0 w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "group g ALL w\nquorum g\n", "E_POLICY_THRESHOLD"),
        (witnesses("w") + "quorum g\ngroup g any w\n", "E_POLICY_QUORUM"),
        ("#" * (POLICY_BYTES_MAX + 1), "E_POLICY_SIZE"),
    ],
)
def test_other_texts_are_refused(text: str, code: str) -> None:
    """Each broken rule has its code."""
    assert code_of(text) == code


def test_a_message_names_the_line() -> None:
    """Whoever writes a policy is told where it is wrong."""
    with pytest.raises(PolicyError, match="line 3 begins with none of"):
        parse_policy(b"# one\n\nthree\n")


def test_white_space_comments_and_opaque_octets_are_allowed_where_the_document_says() -> None:
    """Tabs, runs of spaces, comment lines, urls, and octets that are not UTF-8 in comments and urls."""
    text = f" \t# caf\udce9 {vkey(1)}\n\n\twitness\tw   {vkey(1)}  caf\udce9 \n  quorum  w\t\n"
    policy = parse_policy(text.encode("utf-8", "surrogateescape"))
    assert (policy.witnesses[0].name, policy.witnesses[0].url) == ("w", "caf\udce9")


def test_words_of_the_format_may_be_names() -> None:
    """Only `none` is taken; other words mean what their place says."""
    policy = parse_policy((witnesses("all", "quorum") + "group any all all quorum\nquorum any\n").encode())
    assert policy.groups == (Group("any", 2, ("all", "quorum")),)


def test_witness_of_an_unsupported_type_never_counts() -> None:
    """A policy may name an ML-DSA-44 witness; this program cannot count it, so `all` fails closed."""
    key = format_vkey(VerifierKey("pq", ML_DSA_44_COSIGNATURE, bytes(1312)))
    policy = parse_policy((witnesses("w") + f"witness pq {key}\ngroup g all w pq\nquorum g\n").encode())
    assert not policy.witnesses[1].key.supported
    assert not satisfied(policy, ["w"])


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (LOGS_MAX, lambda n: f"log {vkey(n, ED25519)}\n"),
        (WITNESSES_MAX, lambda n: witnesses(f"w{n}")),
        (GROUPS_MAX, lambda n: f"group g{n} any {'w' if n == 0 else f'g{n - 1}'}\n"),
    ],
)
def test_limits(limit: int, line: Any) -> None:
    """As many as the limit are taken, at least the 32 of the specification; one more is refused."""
    assert limit >= 32
    text = witnesses("w") if "group" in line(0) else ""
    text += "".join(line(number) for number in range(limit))
    parse_policy((text + "quorum none\n").encode())
    assert code_of(text + line(limit) + "quorum none\n") == "E_POLICY_LIMIT"


def test_rendered_policy_is_the_agreed_text() -> None:
    """Logs, then witnesses, one group per institution, and a quorum that counts institutions."""
    lines = policy_text().decode().split("\n")
    assert lines[:4] == [f"log {format_vkey(log_key(one))}" for one in INSTITUTIONS]
    assert lines[4] == f"witness AUDITOR/auditor-1 {format_vkey(cosigner_key('AUDITOR'))}"
    assert lines[8:] == [
        "group AUDITOR any AUDITOR/auditor-1",
        "group BROKER any BROKER/broker-1",
        "group MARKET any MARKET/market-1",
        "group REGULATOR any REGULATOR/regulator-1",
        "group institutions 3 AUDITOR BROKER MARKET REGULATOR",
        "quorum institutions",
        "",
    ]


def test_rendered_policy_counts_institutions_not_nodes() -> None:
    """Two nodes of one institution count once; an institution without a cosigner is left out."""

    def cosigner(name: str) -> tuple[str, VerifierKey]:
        return name, VerifierKey(name, ED25519_COSIGNATURE, ed25519.public_key(seed("cosigner", name)))

    institutions = [("B", [cosigner("B/b-2"), cosigner("B/b-1")]), ("C", []), ("A", [cosigner("A/a-1")])]
    text = render_policy([log_key("BROKER")], institutions, 2)
    policy = parse_policy(text)
    assert [group.members for group in policy.groups] == [("A/a-1",), ("B/b-1", "B/b-2"), ("A", "B")]
    assert not satisfied(policy, ["B/b-1", "B/b-2"])
    assert satisfied(policy, ["B/b-2", "A/a-1"])
    assert render_policy([log_key("BROKER")], institutions[::-1], 2) == text


def test_quorum_that_nobody_can_meet_is_no_policy() -> None:
    """More institutions than there are, none at all, or no quorum: refused, not rendered."""
    for quorum in (0, len(INSTITUTIONS) + 1, -1):
        with pytest.raises(PolicyError):
            policy_text(quorum)
    with pytest.raises(PolicyError):
        render_policy([log_key("BROKER")], [], 1)


def test_every_quorum_of_the_world() -> None:
    """K of four institutions, for every K and every set."""
    for quorum in range(1, 5):
        policy = parse_policy(policy_text(quorum))
        for count in range(5):
            for chosen in combinations(INSTITUTIONS, count):
                assert satisfied(policy, list(map(witness_name, chosen))) == (count >= quorum)


def test_small_changes_never_change_a_key() -> None:
    """However a policy is changed in one place, each key that remains is one that stood there."""
    text = (f"log {vkey(0, ED25519)}\n" + witnesses("w", "v") + "group g 1 w v\nquorum g\n").encode()
    known = set(parse_policy(text).keys())
    accepted = 0
    for changed in mutations(text):
        try:
            policy = parse_policy(changed)
        except PolicyError:
            continue
        accepted += 1
        assert set(policy.keys()) <= known
    assert accepted > 20  # comments, white space and names may change
