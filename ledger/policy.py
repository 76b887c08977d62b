"""Trust policies: which logs, which witnesses, and which sets of witnesses are enough.

Why a standard text file: an auditor or a court must be able to read whom it trusts, and use another program
than ours with the same file.

Rules kept here:
- Lines ``log vkey [url]``, ``witness name vkey [url]``, ``group name all|any|k member...``, one ``quorum
  name|none``; items parted by spaces and tabs; comment lines begin with `#`; every line ends with a newline.
- A name is defined once and before it is used, and is a member of at most one group; `none` is nobody's name.
- Logs have log keys (type 0x01, 0x06), witnesses cosigner keys (0x04, 0x06). No public key stands twice in
  the file, under whatever name, type or role.
- A witness whose key type this program cannot check never counts: the quorum fails closed.

Source: C2SP tlog-policy. Stricter than it: names are key names (no `+`, no Unicode white space), logs and
witnesses may not share a key. Octets that are not UTF-8 may stand in comments and URLs and are kept as they
are. Refuses: includes, defaults, unknown keywords, trailing comments, anything beyond the limits below.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, PolicyError
from ledger.note import (
    ED25519,
    ED25519_COSIGNATURE,
    ML_DSA_44_COSIGNATURE,
    VerifierKey,
    format_vkey,
    parse_vkey,
)
from ledger.spelling import is_name

POLICY_BYTES_MAX: Final = 1 << 20
LOGS_MAX: Final = 256
WITNESSES_MAX: Final = 256
GROUPS_MAX: Final = 256
"""C2SP demands at least 32 of each."""

NONE: Final = "none"
INSTITUTIONS_GROUP: Final = "institutions"

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_LOG_KINDS: Final = (ED25519, ML_DSA_44_COSIGNATURE)
_WITNESS_KINDS: Final = (ED25519_COSIGNATURE, ML_DSA_44_COSIGNATURE)


@dataclass(frozen=True, slots=True)
class Log:
    """A log that is accepted: its key's name is the origin of its checkpoints."""

    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A cosigner under the name that groups use for it."""

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Satisfied when at least `threshold` (1 .. number of members) of its members are."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that kept every rule. `quorum` is a witness, a group, or `none`; groups stand in order of
    definition.
    """

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def keys(self) -> tuple[VerifierKey, ...]:
        """Return all keys, of logs and witnesses, as known keys for opening a note."""
        return (*(log.key for log in self.logs), *(witness.key for witness in self.witnesses))


class _Draft:
    """What the lines read so far define."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self.names: set[str] = set()
        self.members: set[str] = set()
        self.publics: set[bytes] = set()
        self.lines: set[tuple[str, bytes]] = set()


def parse_policy(text: bytes) -> Policy:
    """Return the policy that a file's bytes spell.

    Raises PolicyError with the line number in its message: E_POLICY_SIZE, E_POLICY_TEXT, E_POLICY_LINE,
    E_POLICY_KEY, E_POLICY_KEY_TYPE, E_POLICY_NAME, E_POLICY_DUPLICATE, E_POLICY_MEMBER, E_POLICY_THRESHOLD,
    E_POLICY_LIMIT, E_POLICY_QUORUM.
    """
    draft = _Draft()
    for number, items in policy_lines(text):
        keyword, *arguments = items
        if keyword not in _LINES:
            raise _wrong("E_POLICY_LINE", number, "begins with none of log, witness, group and quorum")
        _LINES[keyword](draft, number, arguments)
    if draft.quorum is None:
        raise PolicyError("E_POLICY_QUORUM", "a policy has exactly one quorum line")
    return Policy(tuple(draft.logs), tuple(draft.witnesses), tuple(draft.groups), draft.quorum)


def policy_lines(text: bytes) -> Iterable[tuple[int, list[str]]]:
    """Return number (from 1) and items of each line that is neither empty nor a comment.

    Raises PolicyError E_POLICY_SIZE, E_POLICY_TEXT.
    """
    if len(text) > POLICY_BYTES_MAX:
        raise PolicyError("E_POLICY_SIZE", f"a policy has at most {POLICY_BYTES_MAX} bytes")
    # Octets from 0x80 are opaque here; surrogateescape keeps those that are not UTF-8 as they are.
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    if lines.pop():
        raise PolicyError("E_POLICY_TEXT", "the last line of a policy has no end")
    found = []
    for number, line in enumerate(lines, 1):
        if _CONTROLS.search(line):
            raise _wrong("E_POLICY_TEXT", number, "has control characters")
        items = [item for item in line.replace("\t", " ").split(" ") if item]
        if items and not items[0].startswith("#"):
            found.append((number, items))
    return found


def _log_line(draft: _Draft, number: int, items: Sequence[str]) -> None:
    if len(items) not in (1, 2):
        raise _wrong("E_POLICY_LINE", number, "is not: log <vkey> [<url>]")
    key = _key(draft, number, items[0], _LOG_KINDS)
    _below(len(draft.logs), LOGS_MAX, number)
    draft.logs.append(Log(key, *items[1:]))


def _witness_line(draft: _Draft, number: int, items: Sequence[str]) -> None:
    if len(items) not in (2, 3):
        raise _wrong("E_POLICY_LINE", number, "is not: witness <name> <vkey> [<url>]")
    _define(draft, number, items[0])
    key = _key(draft, number, items[1], _WITNESS_KINDS)
    _below(len(draft.witnesses), WITNESSES_MAX, number)
    draft.witnesses.append(Witness(items[0], key, *items[2:]))


def _group_line(draft: _Draft, number: int, items: Sequence[str]) -> None:
    if len(items) < 3:
        raise _wrong("E_POLICY_LINE", number, "is not: group <name> all|any|<k> <member>...")
    name, rule, *members = items
    for member in members:
        if member not in draft.names:
            raise _wrong("E_POLICY_MEMBER", number, "has a member that no line before defines")
        if member in draft.members:
            raise _wrong("E_POLICY_MEMBER", number, f"has the member {member}, which is in a group already")
        draft.members.add(member)
    _define(draft, number, name)
    threshold = {"all": len(members), "any": 1}.get(rule)
    if threshold is None:
        if not _THRESHOLD.fullmatch(rule) or int(rule) > len(members):
            raise _wrong(
                "E_POLICY_THRESHOLD", number, "has a threshold that is not all, any or 1 to its members"
            )
        threshold = int(rule)
    _below(len(draft.groups), GROUPS_MAX, number)
    draft.groups.append(Group(name, threshold, tuple(members)))


def _quorum_line(draft: _Draft, number: int, items: Sequence[str]) -> None:
    if len(items) != 1:
        raise _wrong("E_POLICY_LINE", number, "is not: quorum <name>|none")
    if draft.quorum is not None:
        raise _wrong("E_POLICY_QUORUM", number, "is a second quorum line")
    if items[0] != NONE and items[0] not in draft.names:
        raise _wrong("E_POLICY_QUORUM", number, "asks for something that no line before defines")
    draft.quorum = items[0]


_LINES: Final = {"log": _log_line, "witness": _witness_line, "group": _group_line, "quorum": _quorum_line}


def _define(draft: _Draft, number: int, name: str) -> None:
    if name == NONE or not is_name(name):
        raise _wrong("E_POLICY_NAME", number, "defines a name that is 'none', too long, or has '+' or spaces")
    if name in draft.names:
        raise _wrong("E_POLICY_DUPLICATE", number, f"defines {name} a second time")
    draft.names.add(name)


def _key(draft: _Draft, number: int, vkey: str, kinds: Collection[int]) -> VerifierKey:
    try:
        key = parse_vkey(vkey)
    except LedgerError as error:
        raise _wrong("E_POLICY_KEY", number, f"has a bad key: {error.message}") from error
    if key.kind not in kinds:
        raise _wrong(
            "E_POLICY_KEY_TYPE", number, f"has a key of type {key.kind:#04x}, which is for something else"
        )
    if key.public in draft.publics or (key.name, key.key_id) in draft.lines:
        raise _wrong("E_POLICY_DUPLICATE", number, "has a key that stands in the file already")
    draft.publics.add(key.public)
    draft.lines.add((key.name, key.key_id))
    return key


def _below(count: int, limit: int, number: int) -> None:
    if count >= limit:
        raise _wrong(
            "E_POLICY_LIMIT", number, f"is one more than the {limit} of its kind that a policy may have"
        )


def _wrong(code: str, number: int, words: str) -> PolicyError:
    return PolicyError(code, f"line {number} {words}")


def satisfied(policy: Policy, witnesses: Collection[str]) -> bool:
    """Return whether cosignatures of these witnesses (names) make the quorum."""
    if policy.quorum == NONE:
        return True
    good = {witness.name for witness in policy.witnesses} & set(witnesses)
    for group in policy.groups:  # members are defined before their group, so one pass suffices
        if sum(member in good for member in group.members) >= group.threshold:
            good.add(group.name)
    return policy.quorum in good


def render_policy(
    logs: Sequence[VerifierKey],
    institutions: Sequence[tuple[str, Sequence[tuple[str, VerifierKey]]]],
    quorum: int,
) -> bytes:
    """Return the canonical policy text of a chain: `quorum` of the institutions, each by any of its
    cosigners.

    `logs` in the caller's order (by node id); an institution is its name and its (witness name, cosigner key)
    pairs. Institutions and witnesses are sorted by name; institutions without a cosigner are left out, since
    they cannot sign. Raises PolicyError if the result is not a policy, for example with a quorum above the
    institutions.
    """
    able = [(name, sorted(cosigners, key=_first)) for name, cosigners in institutions if cosigners]
    able.sort(key=lambda institution: institution[0])
    lines = [f"log {format_vkey(key)}" for key in logs]
    lines += [f"witness {name} {format_vkey(key)}" for _, cosigners in able for name, key in cosigners]
    lines += [f"group {name} any {' '.join(witness for witness, _ in cosigners)}" for name, cosigners in able]
    lines.append(f"group {INSTITUTIONS_GROUP} {quorum} {' '.join(name for name, _ in able)}".rstrip())
    lines.append(f"quorum {INSTITUTIONS_GROUP}")
    text = "".join(f"{line}\n" for line in lines).encode()
    parse_policy(text)
    return text


def _first(cosigner: tuple[str, VerifierKey]) -> str:
    return cosigner[0]
