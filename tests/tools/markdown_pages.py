"""Reads Markdown pages as far as the documentation tests need: links, headings' anchors, and command blocks.

Not a Markdown parser: it knows fenced blocks, inline code, `[text](target)` links and `#` headings, the forms
that our pages use. Anchors follow the rule of the usual hosting sites: lower case, spaces to hyphens,
punctuation dropped.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(
    r"^(?P<ticks>`{3,})(?P<kind>[\w-]*)[^\n]*\n(?P<body>.*?)^(?P=ticks)\s*$", re.MULTILINE | re.DOTALL
)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(?P<title>.+?)\s*#*$", re.MULTILINE)
SHELL = ("sh", "bash", "shell", "console")


@dataclass(frozen=True, slots=True)
class Link:
    """A link: its line in the page and its target as written."""

    line: int
    target: str


def prose(text: str) -> str:
    """The page without fenced blocks and inline code; line numbers stay."""

    def blank(match: re.Match[str]) -> str:
        return "\n" * match.group(0).count("\n")

    return CODE.sub("", FENCE.sub(blank, text))


def links(text: str) -> Iterator[Link]:
    """Every link of the page's prose."""
    plain = prose(text)
    for match in LINK.finditer(plain):
        yield Link(plain.count("\n", 0, match.start()) + 1, match.group("target"))


def anchors(text: str) -> set[str]:
    """The anchors that the page's headings make."""
    titles = (match.group("title") for match in HEADING.finditer(FENCE.sub("", text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text: str) -> Iterator[tuple[int, str]]:
    """Every command line of the page's shell blocks, with its line; continuation lines are joined, prompts
    dropped.
    """
    for match in FENCE.finditer(text):
        if match.group("kind") not in SHELL:
            continue
        first = text.count("\n", 0, match.start("body")) + 1
        pending, start = "", first
        for number, line in enumerate(match.group("body").splitlines(), start=first):
            start = start if pending else number
            pending += line.strip().removeprefix("$ ")
            if pending.endswith("\\"):
                pending = pending[:-1]
                continue
            if pending and not pending.startswith("#"):
                yield start, pending
            pending = ""
