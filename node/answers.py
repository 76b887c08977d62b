"""How a door that anybody may call takes questions and hands over answers: whoever takes nothing holds nothing.

Why: a stranger can ask for the largest block a thousand times and never read. What he has not taken lies in
our memory, so it is counted, by bytes, over all callers and for each host; and it is not waited for without
an end. gRPC knows neither, so each method is a stream of bytes here, even where callers see a single answer
(on the wire they are the same).

Rules kept here
- One question begins in a turn of the event loop, and one more part of a long stream (`turn`).
- A question has to arrive within `QUESTION_MAX_S` and to be a message of its kind.
- At most `UNTAKEN_MAX_BYTES` of answers wait to be taken, and at most half of that for one host; beyond it:
  E_READ_BUSY, and nothing is kept. Whose room is nearly full is refused before an answer is made.
- Whoever takes nothing for `SEND_MAX_S` loses his connection (`cut`), and with it what waits for him.
- Long streams have `STREAMS_MAX` places. When all are taken, a newcomer gets that of the oldest stream of the
  host that has the most: so nobody keeps others out by sitting there. Whoever loses his place is told so.

Refuses: knowing what is asked or answered.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message as Proto

from node import telemetry
from node.cut import cut, host_and_port
from node.doors import P, parse, peer_address
from node.errors import NodeError, ReadError
from node.turnstile import Turnstile

QUESTION_MAX_S: Final = 10.0
SEND_MAX_S: Final = 20.0
UNTAKEN_MAX_BYTES: Final = 32 * 1024 * 1024
STREAMS_MAX: Final = 128
USUAL_BYTES: Final = 1024 * 1024  # room that there has to be before an answer is made

_CODES: Final = {
    "E_READ_NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "E_READ_NOT_FINAL": grpc.StatusCode.FAILED_PRECONDITION,
    "E_READ_DAMAGED": grpc.StatusCode.DATA_LOSS,
    "E_READ_BUSY": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "E_READ_STREAMS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "E_READ_SLOW": grpc.StatusCode.DEADLINE_EXCEEDED,
}

_log = telemetry.get("answers")
_Context = grpc.aio.ServicerContext[Any, Any]
_Frames = AsyncIterator[bytes]
Handler = grpc.RpcMethodHandler  # generic to the type checker only


@dataclass(eq=False, slots=True)
class Caller:
    """One call: where it comes from, whether something waits for it, and what ends it from here."""

    context: _Context
    peer: str
    host: str
    blocked: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Answers:
    """All calls of one door. Owned by the loop's thread."""

    def __init__(self) -> None:
        """Nobody calls yet."""
        self._untaken: Counter[str] = Counter()  # bytes by host
        self._places: list[Caller] = []  # of long streams, oldest first
        self._turnstile = Turnstile()

    @property
    def streams(self) -> int:
        """Long streams that are open."""
        return len(self._places)

    def single(self, kind: type[P], answer: Callable[[P], Awaitable[Proto]]) -> "Handler[bytes, bytes]":
        """The handler of a method with one question of `kind` and one answer."""

        async def work(request: P, caller: Caller) -> None:
            self._require_room(caller, USUAL_BYTES)
            await self.send(caller, await answer(request))

        return self._handler(kind, work)

    def stream(self, kind: type[P], work: Callable[[P, Caller], Awaitable[None]]) -> "Handler[bytes, bytes]":
        """The handler of a method with one question of `kind`, whose `work` sends answers until it returns."""

        async def in_place(request: P, caller: Caller) -> None:
            self._require_room(caller, USUAL_BYTES)
            await self._in_place(caller, work(request, caller))

        return self._handler(kind, in_place)

    async def turn(self) -> None:
        """Wait until other work has had its turn."""
        await self._turnstile.wait()

    async def send(self, caller: Caller, answer: Proto) -> None:
        """Hand over one answer. Raises ReadError E_READ_BUSY, or E_READ_SLOW when the connection was cut."""
        data = answer.SerializeToString()
        del answer  # one copy is enough to wait with
        size = len(data)
        self._require_room(caller, size)
        self._untaken[caller.host] += size
        caller.blocked = True
        try:
            async with asyncio.timeout(SEND_MAX_S):
                await caller.context.write(data)
            caller.blocked = False
        except TimeoutError as error:
            _cut(caller, "E_READ_SLOW")
            raise ReadError("E_READ_SLOW", f"nothing was read for {SEND_MAX_S:g} s") from error
        finally:
            self._untaken[caller.host] -= size
            if not self._untaken[caller.host]:
                del self._untaken[caller.host]

    def _require_room(self, caller: Caller, size: int) -> None:
        total, share = self._untaken.total() + size, self._untaken[caller.host] + size
        if total > UNTAKEN_MAX_BYTES or share > UNTAKEN_MAX_BYTES // 2:
            raise ReadError("E_READ_BUSY", "too many answers wait to be taken; come back in a moment")

    def _handler(
        self, kind: type[P], work: Callable[[P, Caller], Awaitable[None]]
    ) -> "Handler[bytes, bytes]":
        async def serve(frames: _Frames, context: _Context) -> None:
            peer = peer_address(context)
            where = host_and_port(peer)
            caller = Caller(context, peer, peer if where is None else where[0])
            try:
                question = await _question(frames)
                await self.turn()
                await work(parse(kind, question), caller)
            except NodeError as error:
                await _refuse(caller, error)

        return grpc.stream_stream_rpc_method_handler(serve)

    async def _in_place(self, caller: Caller, work: Awaitable[None]) -> None:
        """Let a long stream work as long as it keeps its place."""
        self._make_place()
        self._places.append(caller)
        working = asyncio.ensure_future(work)
        waiting = asyncio.ensure_future(caller.ended.wait())
        try:
            await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                if caller.blocked:
                    _cut(caller, "E_READ_STREAMS")
                raise ReadError("E_READ_STREAMS", f"this node serves {STREAMS_MAX} streams at once")
            working.result()
        finally:
            working.cancel()
            waiting.cancel()
            if caller in self._places:
                self._places.remove(caller)

    def _make_place(self) -> None:
        if len(self._places) < STREAMS_MAX:
            return
        busiest = Counter(place.host for place in self._places).most_common(1)[0][0]
        oldest = next(place for place in self._places if place.host == busiest)
        self._places.remove(oldest)
        oldest.ended.set()


async def _question(frames: _Frames) -> bytes:
    """The one message that a caller sends. Raises ReadError E_READ_QUESTION."""
    try:
        async with asyncio.timeout(QUESTION_MAX_S):
            async for frame in frames:
                return frame
    except TimeoutError as error:
        raise ReadError("E_READ_QUESTION", "no question in time") from error
    raise ReadError("E_READ_QUESTION", "a call without a question")


def _cut(caller: Caller, code: str) -> None:
    _log.info("caller_cut", code=code, peer=caller.peer, found=cut(caller.peer))


async def _refuse(caller: Caller, error: NodeError) -> None:
    """End a call with the status of a refusal.

    An abort would wait behind what the caller does not take. So for one that is blocked only the handler
    ends; where its connection could not be cut, the status follows when it reads on.
    """
    status = _CODES.get(error.code, grpc.StatusCode.INVALID_ARGUMENT)
    if not caller.blocked:
        await caller.context.abort(status, str(error))
    caller.context.set_code(status)
    caller.context.set_details(str(error))
