"""The HTTP client and continuous TS over it, against a real server that misbehaves."""

import asyncio
import gc
import socket
import ssl
import subprocess
import weakref
from pathlib import Path

import pytest

from fastrelay import __version__
from fastrelay.config import Failover, Sources
from fastrelay.errors import (
    ConnectError,
    EndOfStreamError,
    FormatError,
    SourceError,
    SourceRefusedError,
    StallError,
    StatusError,
)
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.base import Source
from fastrelay.sources.http import HttpClient
from fastrelay.sources.open import Opener
from tests.sources.origin import Call, Handler, open_descriptors, origin, packets

DEFAULT = Failover()
LOOPBACK = ("127.0.0.0/8",)
QUICK = Failover(connect_timeout=0.5, first_byte_timeout=0.3, stall_timeout=0.3)  # for what is slower in any case


def opener(failover: Failover = DEFAULT, networks: tuple[str, ...] = LOOPBACK, user_agent: str | None = None) -> Opener:
    return Opener(failover, AddressPolicy(networks), user_agent)


async def refused(url: str, kind: type[SourceError], text: str, it: Opener | None = None) -> None:
    with pytest.raises(kind, match=text):
        await (it or opener()).open(url, trusted=False)


async def stream(call: Call) -> None:
    """Endless packets, 20 at a time."""
    await call.start()
    first = 0
    while True:
        await call.send(packets(20, first=first))
        first += 20
        await asyncio.sleep(0.002)


def redirect(to: str, status: str = "302 Found") -> Handler:
    async def handler(call: Call) -> None:
        await call.answer(b"moved", status, Location=to)

    return handler


async def collect(source: Source, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = await source.read()
        assert chunk is not None and not chunk.discontinuity
        data += chunk.data
    return data


async def test_bytes_come_through_unchanged_and_complete() -> None:
    async with origin({"/x.ts": stream}) as it:
        source = await opener().open(it.url("/x.ts"), trusted=False)
        data = await collect(source, 200_000)
        assert data == packets(len(data) // 188 + 1)[: len(data)]
        assert (source.kind, source.paced, source.lost) == ("ts", True, 0)
        await source.close()


async def test_close_really_closes_while_the_stream_runs() -> None:
    async with origin({"/x.ts": stream}) as it:
        before = open_descriptors()
        source = await opener().open(it.url("/x.ts"), trusted=False)
        assert it.connections == 1
        await source.close()
        await source.close()
        # The server's side of this same process goes when it is told: two descriptors came, both are gone.
        await it.until(lambda: it.connections == 0)
        assert open_descriptors() <= before


async def test_a_reader_that_pauses_holds_the_sender_back() -> None:
    sent = 0

    async def flood(call: Call) -> None:
        nonlocal sent
        await call.start()
        while True:
            await call.send(bytes(188 * 1000) if sent else packets(1000))
            sent += 188_000

    async with origin({"/x.ts": flood}) as it:
        source = await opener().open(it.url("/x.ts"), trusted=False)
        stopped_at = -1
        async with asyncio.timeout(30):
            while stopped_at != sent:  # until a whole half second passes in which nothing more can be sent
                stopped_at = sent
                await asyncio.sleep(0.5)
        assert sent < 64 << 20
        await collect(source, 8 << 20)
        assert sent > stopped_at
        await source.close()


async def test_request_headers() -> None:
    async with origin({"/x.ts": stream}) as it:
        plain = await opener().open(it.url("/x.ts"), trusted=False)
        configured = await opener(user_agent="Box/1").open(it.url("/x.ts"), trusted=False)
        suffix = "|user-agent=Foo%20(bar)&Referer=http://bar/&X-Key=a"
        given = await opener(user_agent="Box/1").open(it.url("/x.ts") + suffix, trusted=False)
        for source in (plain, configured, given):
            await source.close()
        agents = [call.headers["user-agent"] for call in it.calls]
        assert agents == [f"fastrelay/{__version__}", "Box/1", "Foo (bar)"]
        assert it.calls[2].headers["referer"] == "http://bar/" and it.calls[2].headers["x-key"] == "a"
        assert all(call.headers["accept-encoding"] == "identity" for call in it.calls)


async def test_the_url_is_sent_as_it_is_written_and_its_userinfo_as_a_header() -> None:
    async with origin({"/a%2Fb/%7Ec": stream}) as it:
        url = it.url("/a%2Fb/%7Ec?sig=a%2Bb%3D&x=y+z#part").replace("//", "//us%40er:p%3Aw@")
        source = await opener().open(url, trusted=False)
        await source.close()
        assert it.paths() == ["/a%2Fb/%7Ec?sig=a%2Bb%3D&x=y+z"]
        assert it.calls[0].headers["authorization"] == "Basic dXNAZXI6cDp3"  # us@er:p:w


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_redirects_are_followed_on_connections_that_do_not_linger(status: str) -> None:
    async with origin({"/a": redirect("b?x=1", status), "/b": stream}) as it:
        source = await opener().open(it.url("/a"), trusted=False)
        assert it.paths() == ["/a", "/b?x=1"]
        await it.until(lambda: it.connections == 1)
        await source.close()


async def test_five_redirects_are_followed_and_no_more() -> None:
    chain: dict[str, Handler | bytes] = {f"/{n}": redirect(f"/{n + 1}") for n in range(6)}
    async with origin({**chain, "/5": stream, "/loop": redirect("/loop")}) as it:
        await (await opener().open(it.url("/0"), trusted=False)).close()
        await refused(it.url("/loop"), StatusError, "redirected more than 5 times")
        assert it.paths().count("/loop") == 6


async def test_a_redirect_to_another_origin_takes_no_secrets_along() -> None:
    suffix = "|Authorization=Bearer s&Cookie=a=b&X-Key=k&User-Agent=Foo&Referer=http://bar/"
    async with origin({"/x": stream}) as other, origin({"/b": redirect(other.url("/x"))}) as it:
        it.routes["/a"] = redirect("/b")
        source = await opener().open(it.url("/a") + suffix, trusted=False)
        await source.close()
        assert all(call.headers["authorization"] == "Bearer s" and call.headers["x-key"] == "k" for call in it.calls)
        (call,) = other.calls
        assert not {"authorization", "cookie", "x-key"} & set(call.headers)
        assert (call.headers["user-agent"], call.headers["referer"]) == ("Foo", "http://bar/")


@pytest.mark.parametrize(
    ("to", "text"),
    [
        ("file:///etc/passwd", "'file' is not allowed"),
        ("exec:id", "'exec' is not allowed"),
        ("udp://@239.1.1.1:5000", "'udp' is not allowed"),
        ("ftp://h/x", "'ftp' is not allowed"),
        ("http://169.254.169.254/latest/", "metadata"),
        ("http://[::ffff:169.254.169.254]/", "metadata"),
        ("http://[::1]/", "loopback"),
        ("http://224.0.0.1/", "multicast"),
        ("http://0.0.0.0/", "unspecified"),
        ("http://2852039166/", "not a valid name or address"),
        ("http://[::1/", "it is not valid"),
    ],
)
async def test_redirects_are_checked_at_every_hop(to: str, text: str) -> None:
    async with origin({"/a": redirect(to)}) as it:
        await refused(it.url("/a"), SourceRefusedError, text)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.0.0.1", "2130706433", "127.1"])
async def test_loopback_is_refused_by_name_and_by_literal_and_never_dialled(host: str) -> None:
    async with origin({"/x": stream}) as it:
        url = f"http://{host}:{it.port}/x"
        await refused(url, SourceRefusedError, "loopback|not a valid name", opener(networks=Sources().allow_networks))
        assert it.accepted == 0


async def test_exactly_the_checked_address_is_dialled() -> None:
    """A name that resolves to an allowed and a refused address is dialled at the allowed one only."""
    async with origin({"/x": stream}) as it:
        source = await opener(networks=("127.0.0.1/32",)).open(f"http://localhost:{it.port}/x", trusted=False)
        await source.close()
        assert it.accepted == 1
        await refused(f"http://localhost:{it.port}/x", SourceRefusedError, "loopback", opener(networks=("::1/128",)))
        assert it.accepted == 1


async def test_own_listener_is_refused() -> None:
    async with origin({"/x": stream}) as it:
        policy = AddressPolicy(("127.0.0.0/8",))
        policy.forbid_listener("0.0.0.0", it.port)
        guarded = Opener(Failover(), policy, None)
        await refused(it.url("/x"), SourceRefusedError, "own listener", guarded)
        assert it.accepted == 0


async def test_upstream_sockets_notice_a_dead_peer() -> None:
    async with origin({"/x": stream}) as it:
        client = HttpClient(it.url(), (), policy=AddressPolicy(LOOPBACK), failover=Failover())
        reply = await client.get(it.url("/x"))
        (sock,) = client._sockets
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
        await reply.abort()
        await client.close()


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "500 Oops", "302 Found"])
async def test_other_statuses_are_errors(status: str) -> None:
    async def handler(call: Call) -> None:
        await call.answer(b"no", status)

    async with origin({"/x": handler}) as it:
        await refused(it.url("/x?token=secret"), StatusError, rf"token=\*\*\*: .*status {status[:3]}")
        await it.until(lambda: it.connections == 0)


async def silent(call: Call) -> None:
    await call.gone()


async def head_only(call: Call) -> None:
    await call.start()
    await call.gone()


async def slow_head(call: Call) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100:
        await call.send(bytes((byte,)))
        await asyncio.sleep(0.02)


async def reset(call: Call) -> None:
    call.reset()


async def not_http(call: Call) -> None:
    await call.send(b"SSH-2.0-x\r\n\r\n")
    call.writer.close()


@pytest.mark.parametrize(
    ("handler", "kind", "text"),
    [
        (silent, StallError, "no answer within 0.3 s"),
        (slow_head, StallError, "no answer within 0.3 s"),
        (head_only, StallError, "too few bytes"),
        (reset, ConnectError, "closed before an answer"),
        (not_http, FormatError, "not HTTP"),
        (b"<html>Please log in</html>", FormatError, "answered with a web page"),
        (b"", FormatError, "an empty body"),
        (b'{"error": "no"}', FormatError, "JSON"),
        (b"#EXTM3U\n#EXTINF:-1,A\nhttp://h/\n", FormatError, "list of channels"),
    ],
)
async def test_opening_fails_with_the_reason(handler: Handler | bytes, kind: type[SourceError], text: str) -> None:
    async with origin({"/x": handler}) as it:
        started = asyncio.get_running_loop().time()
        await refused(
            it.url("/x"),
            kind,
            text,
            opener(Failover(first_byte_timeout=0.3, stall_timeout=0.3)) if kind is StallError else None,
        )
        assert asyncio.get_running_loop().time() - started < DEFAULT.connect_timeout
        await it.until(lambda: it.connections == 0)


async def test_refused_and_unresolved() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        await refused(f"http://127.0.0.1:{free.getsockname()[1]}/", ConnectError, "Connection refused")
    await refused("http://nothing.invalid/", ConnectError, "cannot be resolved")


async def test_a_connection_that_is_never_accepted_times_out() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        await refused(
            f"http://127.0.0.1:{full.getsockname()[1]}/", ConnectError, "no connection within 0.5 s", opener(QUICK)
        )
        for filler in fillers:
            filler.close()


def ending(how: str) -> Handler:
    async def handler(call: Call) -> None:
        data = packets(40)
        if how == "length":
            await call.answer(data)
        elif how == "short":
            await call.answer(data, Content_Length=str(len(data) + 1))
            call.writer.close()
        elif how == "chunked":
            await call.start(Transfer_Encoding="chunked")
            await call.send(f"{len(data):x}\r\n".encode() + data)
            await asyncio.sleep(0.05)
            await call.send(b"\r\nzz\r\n")
        else:
            await call.start()
            await call.send(data)
            await (call.gone() if how == "silence" else asyncio.sleep(0.05))
            if how == "reset":
                call.reset()
            elif how == "eof":
                call.writer.close()

    return handler


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        *(("length", EndOfStreamError), ("short", EndOfStreamError), ("chunked", EndOfStreamError)),
        *(("eof", EndOfStreamError), ("reset", EndOfStreamError), ("silence", StallError)),
    ],
)
async def test_a_live_stream_that_ends_or_stalls_has_failed(how: str, kind: type[SourceError]) -> None:
    async with origin({"/x": ending(how)}) as it:
        source = await opener(Failover(stall_timeout=0.3) if how == "silence" else DEFAULT).open(
            it.url("/x"), trusted=False
        )
        with pytest.raises(kind):
            await collect(source, 1 << 20)
        await source.close()
        await it.until(lambda: it.connections == 0)


async def test_a_pause_of_the_reader_is_no_stall() -> None:
    async with origin({"/x": stream}) as it:
        source = await opener(Failover(stall_timeout=0.4)).open(it.url("/x"), trusted=False)
        await asyncio.sleep(0.8)
        await collect(source, 100_000)
        await source.close()


async def test_cookies_of_one_source_are_its_own() -> None:
    async def handler(call: Call) -> None:
        await call.answer(b"", "302 Found", Location="/x", Set_Cookie="id=1; Path=/")

    async with origin({"/a": handler, "/x": stream}) as it:
        both = opener()
        for path in ("/a", "/x"):
            await (await both.open(it.url(path), trusted=False)).close()
        assert [call.headers.get("cookie") for call in it.calls] == [None, "id=1", None]


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with origin({"/x": stream}) as it:
        await (await opener().open(it.url("/x"), trusted=False)).close()
        assert it.paths() == ["/x"]


async def test_a_cancelled_open_leaves_nothing_behind() -> None:
    async with origin({"/x": silent}) as it:
        task = asyncio.create_task(opener(Failover()).open(it.url("/x"), trusted=False))
        await it.until(lambda: len(it.calls) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await it.until(lambda: it.connections == 0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([*command.split(), *names], cwd=folder, check=True, capture_output=True)
    return folder


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


async def test_a_certificate_nobody_vouches_for_is_refused(certificate: Path) -> None:
    async with origin({"/x": stream}, ssl=tls(certificate)) as it:
        await refused(f"https://localhost:{it.port}/x", ConnectError, "certificate is not valid")


async def test_tls_connections_are_closed_at_once(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with origin({"/x": stream}, ssl=tls(certificate)) as it:
        source = await opener().open(f"https://localhost:{it.port}/x", trusted=False)
        await collect(source, 50_000)
        await source.close()
        await it.until(lambda: it.connections == 0, seconds=1)


async def test_local_schemes_need_trust() -> None:
    for url in ("file:///etc/passwd", "exec:id"):
        await refused(url, SourceRefusedError, "operator's config only")
    await refused("gopher://h/", SourceRefusedError, "'gopher' is not supported")


async def test_a_kept_connection_does_not_hold_on_to_its_replies() -> None:
    async def handler(call: Call) -> None:
        await call.answer(Content_Length=str(10 * 188))
        await asyncio.sleep(0.02)
        await call.send(packets(10))

    async with origin({"/x": handler}) as it:
        client = HttpClient(it.url(), (), policy=AddressPolicy(LOOPBACK), failover=DEFAULT)
        replies: weakref.WeakSet[object] = weakref.WeakSet()
        for _ in range(5):
            reply = await client.get(it.url("/x"))
            assert await reply.read_all(1 << 20, 5) == packets(10)
            reply.done()
            replies.add(reply)
        del reply
        gc.collect()
        assert it.accepted == 1 and not replies
        await client.close()
        await it.until(lambda: it.connections == 0)
