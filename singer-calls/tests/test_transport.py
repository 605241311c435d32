"""An answer belongs to its request, and what could not have left is never held."""

from __future__ import annotations

import asyncio
import gzip
import random
import select
import socket
from collections import Counter

import pytest
from wire import SECRET, abort, answer, delivery, listening, post, request, transport

from singer_calls.deliver import transport as module
from singer_calls.deliver.delivery import Response
from singer_calls.deliver.outcome import Accepted, Fatal, Rejected, Retry, Unknown
from singer_calls.deliver.statuses import COMMON, read_response

CALLS = 600
STATUSES = (201, 403, 503, 422)


def outcome(answer):
    """As a vendor's table would."""
    if answer.status == 201:
        return Accepted()
    if answer.status == 403:
        return Rejected("refused")
    return read_response(COMMON, answer, 0.0)


def due(number):
    """The vendor's answer to a call, and what it means."""
    status = STATUSES[number % len(STATUSES)]
    return status, type(outcome(Response(status)))


def idle(reader, writer):
    """Whether no byte of a request has come, neither read nor waiting."""
    if writer.is_closing():
        return False
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    return not reader._buffer and not poll.poll(0)


class Noise:
    """A server that answers each call as is due, and more often than asked.

    Attributes:
        made: How often which noise was made.
    """

    def __init__(self, kinds):
        self.kinds = kinds
        self.made = Counter()
        self.dice = random.Random(7)  # noqa: S311 - the same noise each time

    def now(self, kind):
        happens = kind in self.kinds and self.dice.random() < 0.3
        self.made[kind] += happens
        return happens

    async def serve(self, reader, writer):
        last = b""
        while not await self.idles(reader, writer) and (came := await request(reader)):
            if last and self.now("last again"):
                writer.write(last)
            if last and self.now("ended when asked again"):
                abort(writer)
                return
            last = answer(due(int(came[1]))[0])
            await self.answers(writer, last)
            if b"connection: close" in came[0].lower():
                return

    async def idles(self, reader, writer):
        """Do something while nothing is asked; true for an end."""
        if self.now("unasked"):
            await asyncio.sleep(self.dice.random() / 500)
            if idle(reader, writer):  # else it would not be unasked
                writer.write(answer(self.dice.choice((201, 403, 408, 503))))
        if self.now("closed"):
            await asyncio.sleep(self.dice.random() / 500)
            if idle(reader, writer):
                # At once: a transport's close would let the loop turn before.
                writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                return True
        return False

    async def answers(self, writer, due_now):
        if self.now("late"):
            await asyncio.sleep(0.002)
        writer.write(due_now)
        if self.now("doubled"):
            writer.write(due_now)
        if self.now("doubled later"):
            await asyncio.sleep(0)
            writer.write(due_now)


async def deliver(noise, **options):
    """What became of many calls: how many outcomes were not the due ones, and of which kind."""
    wrong = Counter()
    numbers = iter(range(CALLS))
    async with (
        listening(noise.serve) as port,
        transport(url := f"http://127.0.0.1:{port}", **options) as vendor,
    ):

        async def worker():
            for number in numbers:
                became = await vendor.post(delivery(url, str(number).encode()), outcome)
                if type(became) is not due(number)[1]:
                    wrong[type(became)] += 1
                await asyncio.sleep(noise.dice.random() / 1000)

        await asyncio.gather(*(worker() for _ in range(4)))
    return wrong


ON_THE_LINE = ["doubled", "doubled later", "last again", "unasked", "late"]
ENDS = ["closed", "ended when asked again"]


@pytest.mark.parametrize(
    "kinds", [ON_THE_LINE, ENDS, ON_THE_LINE + ENDS], ids=["more", "less", "all"]
)
def test_every_answer_belongs_to_its_request(kinds):
    """Doubled, late, shifted and unasked ones count for nothing; nor do ends between calls."""
    noise = Noise(kinds)
    assert asyncio.run(deliver(noise)) == {}
    assert noise.made["unasked" if kinds is not ENDS else "closed"]


def test_a_kept_connection_costs_what_its_setting_says():
    """Nobody can tell the last answer, sent again, from this call's; an end then is unknown."""
    noise = Noise(["last again"])
    wrong = asyncio.run(deliver(noise, keep_connections=True))
    assert noise.made["last again"]
    assert wrong[Accepted]
    assert wrong[Retry]
    ends = asyncio.run(deliver(Noise(["ended when asked again"]), keep_connections=True))
    assert set(ends) == {Unknown}


def test_a_kept_connection_is_left_once_anything_came_unasked():
    """Doubled answers and strays that are there before the next call do no harm."""
    noise = Noise(["doubled", "doubled later", "closed"])
    assert asyncio.run(deliver(noise, keep_connections=True)) == {}
    assert noise.made["doubled later"]


def test_connections_are_kept_only_if_asked_for():
    """And then they carry more than one call."""

    async def connections(**options):
        opened = Counter()

        async def serve(reader, writer):
            while await request(reader):
                opened[writer] += 1
                writer.write(answer())

        async with (
            listening(serve) as port,
            transport(url := f"http://127.0.0.1:{port}", **options) as vendor,
        ):
            for _ in range(5):
                await vendor.post(delivery(url), outcome)
        return sorted(opened.values())

    assert asyncio.run(connections()) == [1] * 5
    assert asyncio.run(connections(keep_connections=True)) == [5]


def test_a_connection_that_waited_too_long_carries_no_call(monkeypatch):
    """Gateways end those that ask nothing, perhaps just now."""
    monkeypatch.setattr(module, "_FRESH_SECONDS", 0.05)

    async def used():
        ages = []

        async def serve(reader, writer):
            since = asyncio.get_running_loop().time()
            if await request(reader):
                ages.append(asyncio.get_running_loop().time() - since)
                writer.write(answer())

        async with listening(serve) as port, transport(url := f"http://127.0.0.1:{port}") as vendor:
            for _ in range(3):
                assert isinstance(await vendor.post(delivery(url), lambda _: Accepted()), Accepted)
                await asyncio.sleep(0.1)
        return ages

    assert max(asyncio.run(used())) < 0.05


CUTS = {
    "ended": lambda status: answer(status, b"x" * 99)[:-50],
    "no body": lambda status: answer(status, b"x" * 99)[:-99],
    "in the head": lambda status: answer(status)[:-8],
    "chunk": lambda status: _chunked(status) + b"5\r\nab",
    "no last chunk": lambda status: _chunked(status) + b"5\r\nabcde\r\n",
    "no chunk": lambda status: _chunked(status) + b"zz\r\n",
    "br": lambda status: answer(status, b"\x0b\x02\x80{}\x03", "Content-Encoding: br"),
    "not gzip": lambda status: answer(status, b"{}", "Content-Encoding: gzip"),
    "cut gzip": lambda status: answer(
        status, gzip.compress(b"{}", mtime=0)[:-4], "Content-Encoding: gzip"
    ),
    "too long": lambda status: answer(status, b"x" * 100_000),
}


def _chunked(status):
    return f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


CUT_STATUSES = (200, 201, 302, 400, 401, 403, 404, 409, 429, 500, 503, 600)


@pytest.mark.parametrize("end", ["closed", "reset", "silence"])
def test_the_status_decides_although_the_body_is_cut(end):
    """Held would be a call of which the vendor has said what became of it."""
    timeout = 5 if end == "silence" else 30  # a busy machine connects to so many in seconds

    async def serve(reader, writer):
        if (came := await request(reader)) is None:
            return
        cut, status = came[1].decode().split(":")
        writer.write(CUTS[cut](int(status)))
        await writer.drain()
        await asyncio.sleep(20 if end == "silence" else 0.002)
        if end == "reset":
            abort(writer)

    async def told(cut):
        async with (
            listening(serve) as port,
            transport(url := f"http://127.0.0.1:{port}", timeout=timeout) as vendor,
        ):
            bodies = [f"{cut}:{status}".encode() for status in CUT_STATUSES]
            return await asyncio.gather(
                *(vendor.post(delivery(url, body), lambda answer: answer) for body in bodies)
            )

    async def all_told():
        return dict(zip(CUTS, await asyncio.gather(*map(told, CUTS)), strict=True))

    for cut, answers in asyncio.run(all_told()).items():
        assert [one.status for one in answers] == list(CUT_STATUSES), cut
        assert not any(one.whole for one in answers), cut


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (answer(201, b"abc"), 201, b"abc"),
        (answer(204, b""), 204, b""),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", 200, b"abc"),
        (b"HTTP/1.0 200 OK\r\n\r\nabc", 200, b"abc"),
        (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na", 200, b"a"),
        (_chunked(200) + b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", 200, b"abc"),
        (b"HTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n" + answer(422), 422, b"{}"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + answer(422), 422, b"{}"),
        (answer(200, gzip.compress(b"{}", mtime=0), "content-encoding: GZIP"), 200, b"{}"),
        (answer(600), 600, b"{}"),
        (answer(999), 999, b"{}"),
        (answer(302, b"", "Location: /elsewhere"), 302, b""),
    ],
)
@pytest.mark.parametrize("pieces", [1, 5000])
def test_an_answer_is_whole_however_it_is_framed(sent, status, body, pieces):
    """By length, by chunks, by the end; in one piece or byte by byte; never along a redirect."""
    requests = []

    async def serve(reader, writer):
        if (came := await request(reader)) is None:
            return
        requests.append(came)
        for at in range(0, len(sent), len(sent) // pieces + 1):
            writer.write(sent[at : at + len(sent) // pieces + 1])
            await asyncio.sleep(0)

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}")

    came = asyncio.run(told())
    assert (came.status, came.body, came.whole) == (status, body, True)
    assert came.headers.get("RETRY-AFTER") is None
    assert len(requests) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 0 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"<html>no HTTP</html>",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200_000,
        b"HTTP/1.1 200 OK\r\n" + b"X-More: more\r\n" * 20_000,
    ],
)
def test_what_is_no_answer_leaves_the_call_unknown(sent):
    """The request left; nothing says what became of it."""

    async def serve(reader, writer):
        await request(reader)
        writer.write(sent)
        await writer.drain()

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}")

    assert isinstance(asyncio.run(told()), Unknown)


@pytest.mark.parametrize("status", [0, 99, 600, 601, 999, 1000, -1])
def test_every_status_has_an_outcome(status):
    """Also those that HTTP doesn't have."""
    assert isinstance(read_response(COMMON, Response(status), 0.0), Unknown)


def test_a_table_that_fails_leaves_the_call_unknown():
    """The request left: its call has an outcome, and the run goes on."""

    async def serve(reader, writer):
        await request(reader)
        writer.write(answer(200, b"\xff"))

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}", classify=lambda a: a.body.decode())

    assert asyncio.run(told()) == Unknown("the answer could not be read (UnicodeDecodeError)")


def test_an_answer_that_began_before_the_request_was_written_belongs_to_nobody():
    """It is another request's, or the vendor can't have read this one."""

    async def serve(reader, writer):
        await reader.readexactly(1)
        writer.write(answer(201))
        await asyncio.sleep(5)

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}", body=b"x" * 2**25, classify=outcome)

    assert asyncio.run(told()) == Unknown("an answer came before the request was written whole")


def test_a_run_that_may_not_send_writes_no_byte():
    """It is asked right before the first one, once for each request."""
    bytes_seen = []

    async def serve(reader, _writer):
        bytes_seen.append(await reader.read(1))

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}", may_send=lambda: False)

    assert isinstance(asyncio.run(told()), Retry)
    assert set(bytes_seen) <= {b""}


def test_headers_are_asked_for_each_request():
    """A token can be renewed in the middle of a run."""
    seen = []
    tokens = iter(["first", "second"])

    async def serve(reader, writer):
        if came := await request(reader):
            seen.append(came[0].decode())
            writer.write(answer())

    async def told():
        async with (
            listening(serve) as port,
            transport(
                url := f"http://127.0.0.1:{port}", headers=lambda: {"Authorization": next(tokens)}
            ) as vendor,
        ):
            for _ in range(2):
                await vendor.post(delivery(url), outcome)
        return port

    port = asyncio.run(told())
    assert [head.split("Authorization: ")[1].split("\r")[0] for head in seen] == ["first", "second"]
    assert seen[0].startswith(f"POST /calls?a=b HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")
    assert "Content-Type: text/plain\r\nContent-Length: 4\r\nConnection: close\r\n" in seen[0]


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b", "a\x7f"])
def test_a_line_break_in_a_header_is_never_sent(value):
    """It names the header and not its value."""

    async def serve(reader, _writer):
        assert await request(reader) is None

    async def told():
        async with listening(serve) as port:
            return await post(f"http://127.0.0.1:{port}", headers=lambda: {"Authorization": value})

    became = asyncio.run(told())
    assert isinstance(became, Fatal)
    assert "Authorization" in became.reason
    assert value not in became.reason


def test_a_connection_on_which_something_came_carries_no_call():
    """Servers answer 408 to one that asks nothing: another is taken, and that call has not left."""
    on_the_first = []

    async def serve(reader, writer):
        if not on_the_first:
            on_the_first.append(None)
            writer.write(answer(408))
            on_the_first.append(await reader.read())
        elif await request(reader):
            writer.write(answer(201))

    async def told():
        async with listening(serve) as port, transport(url := f"http://127.0.0.1:{port}") as vendor:
            await vendor._make_ready()
            for _ in range(20):  # turns of the loop, in which the 408 comes in
                await asyncio.sleep(0)
            return await vendor.post(delivery(url), outcome)

    assert asyncio.run(told()) == Accepted()
    assert on_the_first == [None, b""]


def test_what_the_system_would_not_take_has_not_left():
    """The connection broke between the last look and the first byte."""

    async def serve(reader, _writer):
        assert not await reader.read()

    async def told():
        async with listening(serve) as port, transport(url := f"http://127.0.0.1:{port}") as vendor:
            await vendor._make_ready()
            (ready,) = vendor._ready
            ready._transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            return await vendor.post(delivery(url), outcome)

    assert asyncio.run(told()) == Retry("the connection broke before the call was sent")


def test_credentials_stay_out_of_what_is_told():
    """No repr of a transport, a connection or a delivery holds them."""
    assert SECRET not in repr(transport("http://127.0.0.1:1"))
