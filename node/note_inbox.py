"""Notes that have arrived and wait to be judged: a queue per sender, so that none can push out another's.

Why: finality must not hang on everybody behaving. A peer that floods the channel, or sends what is not
true, costs its own notes, not those of the others, and not the loop's time.

Rules kept here
- At most `QUEUE_MAX` notes of one sender wait; its own oldest give way.
- A turn takes a few notes of every sender.
- A sender whose notes were rejected `STRIKES_MAX` times is not listened to for `MUTE_S`. What he signed
  meanwhile is not lost: his newest note is sent again while it is not final.

Refuses: reading notes; judging is `gathering`'s.
"""

from collections import deque
from typing import Final

QUEUE_MAX: Final = 512
PER_TURN: Final = 64
STRIKES_MAX: Final = 50
MUTE_S: Final = 5.0


class NoteInbox:
    """Owned by the attestor. Senders are authenticated nodes, so their number is bounded by governance."""

    __slots__ = ("_muted_until", "_queues", "_strikes")

    def __init__(self) -> None:
        """Nothing has arrived."""
        self._queues: dict[str, deque[bytes]] = {}
        self._strikes: dict[str, int] = {}
        self._muted_until: dict[str, float] = {}

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return any(self._queues.values())

    def put(self, sender: str, raw: bytes, now: float) -> bool:
        """Keep a note; False when its sender is not listened to at the moment."""
        if now < self._muted_until.get(sender, now):
            return False
        self._queues.setdefault(sender, deque(maxlen=QUEUE_MAX)).append(raw)
        return True

    def take(self) -> list[tuple[str, bytes]]:
        """Remove and return a turn's notes: a few of every sender, in order of arrival each."""
        found = []
        for sender, queue in self._queues.items():
            found += [(sender, queue.popleft()) for _ in range(min(PER_TURN, len(queue)))]
        return found

    def strike(self, sender: str, now: float) -> bool:
        """Count a rejection; True when it was one too many, and the sender is muted from now on."""
        strikes = self._strikes.get(sender, 0) + 1
        self._strikes[sender] = strikes % STRIKES_MAX
        if strikes < STRIKES_MAX:
            return False
        self._muted_until[sender] = now + MUTE_S
        self._queues.pop(sender, None)
        return True
