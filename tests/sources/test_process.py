"""Children of all manners: obedient, deaf, silent, talkative, fertile."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastrelay.config import Failover
from fastrelay.demo import demo_clip
from fastrelay.errors import ConnectError, EndOfStreamError, FormatError, SourceError, StallError
from fastrelay.sources import process
from fastrelay.sources.base import Source
from fastrelay.sources.process import open_process

PATIENT = Failover(first_byte_timeout=15.0, stall_timeout=15.0)
PACKET = "b'\\x47\\x01\\x00\\x10' + b'x' * 184"


def python(code: str) -> str:
    code = f"import os, signal, sys, time; out = sys.stdout.buffer; {code}"
    return shlex.join([sys.executable, "-S", "-E", "-c", code])


def endless(before: str = "") -> str:
    return python(f"{before}\nwhile True: out.write(({PACKET}) * 10); out.flush(); time.sleep(0.005)")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether it runs; a zombie of someone else's does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def our_zombies() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(path.parent.name)
    return found


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def descriptors_at_rest() -> int:
    """What is open while no child runs: the loop's first child makes it open pipes for signals, for good."""
    with pytest.raises(ConnectError):
        await open_process("true", PATIENT)
    return descriptors()


def written(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def failure(source: Source) -> SourceError:
    with pytest.raises(SourceError) as caught:
        async with asyncio.timeout(20):
            while True:
                await source.read()
    return caught.value


async def test_what_it_writes_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a clip.ts"
    path.write_bytes(demo_clip())
    source = await open_process(f"cat '{path}'", PATIENT)
    assert (source.kind, source.paced, source.lost) == ("exec", True, 0)
    data = b""
    with pytest.raises(EndOfStreamError, match="cat ended with exit status 0"):
        async with asyncio.timeout(20):
            while chunk := await source.read():
                data += chunk.data
    assert data == demo_clip()
    await source.close()


async def test_status_and_last_words_are_told_without_credentials() -> None:
    says = "sys.stderr.write('progress\\rerror: http://user:hunter2@host/live is gone\\n\\n')"
    source = await open_process(python(f"out.write(({PACKET}) * 20); out.flush(); {says}; sys.exit(3)"), PATIENT)
    error = await failure(source)
    await source.close()
    assert isinstance(error, EndOfStreamError)
    assert "ended with exit status 3: error: http://" in str(error)
    assert "hunter2" not in str(error) and "progress" not in str(error)


async def test_standard_error_is_read_and_bounded() -> None:
    floods = "sys.stderr.write('secret' * 500_000 + '\\nthe end'); sys.stderr.flush()"
    source = await open_process(python(f"out.write(({PACKET}) * 20); out.flush(); {floods}"), PATIENT)
    assert str(await failure(source)).endswith("exit status 0: the end")
    await source.close()
    only_one_line = "sys.stderr.write('x' * 9000)"
    with pytest.raises(ConnectError) as caught:
        await open_process(python(only_one_line), PATIENT)
    assert str(caught.value).endswith("exit status 0")


async def test_a_signal_is_named() -> None:
    source = await open_process(python(f"out.write(({PACKET}) * 20); out.flush(); os.kill(os.getpid(), 9)"), PATIENT)
    assert "was killed by SIGKILL" in str(await failure(source))
    await source.close()


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        ("/no/such/program -x", ConnectError, "cannot start program: No such file"),
        ("/etc/passwd", ConnectError, "cannot start passwd: Permission denied"),
        ("cat 'open quote", ConnectError, "cannot be read: No closing quotation"),
        ("   ", ConnectError, "empty"),
        (python("sys.exit('no signal')"), ConnectError, "exit status 1: no signal"),
        (python("print('usage: me'); sys.exit(2)"), ConnectError, "exit status 2"),
        (python("print('<html>' * 9000)"), FormatError, "a web page"),
        (python("print('#EXTM3U\\n#EXTINF:3,\\n1.ts')"), FormatError, "HLS playlist"),
    ],
)
async def test_what_cannot_work_is_explained(command: str, error: type[SourceError], text: str) -> None:
    before = await descriptors_at_rest()
    with pytest.raises(error, match=text):
        await open_process(command, PATIENT)
    await until(lambda: descriptors() == before)
    assert not our_zombies()


async def test_there_is_no_shell(tmp_path: Path) -> None:
    with pytest.raises((ConnectError, FormatError)):
        await open_process(f"echo $HOME > {tmp_path}/proof; touch {tmp_path}/proof", PATIENT)
    assert written(tmp_path / "proof") == ""


async def test_standard_input_is_empty() -> None:
    source = await open_process(python(f"assert sys.stdin.read() == ''; out.write(({PACKET}) * 20)"), PATIENT)
    await source.close()


async def test_silence_is_a_stall_at_first_and_later() -> None:
    with pytest.raises(StallError, match=r"sleep wrote nothing for 0\.1 s"):
        await open_process("sleep 60", Failover(first_byte_timeout=0.1))
    assert not our_zombies()
    speaks = python(f"out.write(({PACKET}) * 20); out.flush(); sys.stderr.write('waiting\\n'); time.sleep(60)")
    source = await open_process(speaks, Failover(first_byte_timeout=15, stall_timeout=0.3))
    error = await failure(source)
    assert isinstance(error, StallError) and "wrote nothing for 0.3 s: waiting" in str(error)
    await source.close()


async def test_an_unread_child_waits_instead_of_filling_memory(tmp_path: Path) -> None:
    count = tmp_path / "count"
    writes = f"n = 0\nwhile True: n += os.write(1, ({PACKET}) * 100); open({str(count)!r}, 'w').write(str(n))"
    source = await open_process(python(writes), PATIENT)
    sizes = ["-", ""]

    def stands_still() -> bool:
        sizes.append(written(count))
        return len(sizes) > 40 and len(set(sizes[-30:])) == 1

    await until(stands_still)
    unread = int(sizes[-1])
    assert unread < 3 << 20
    read = 0
    async with asyncio.timeout(30):
        while read < 2 * unread:
            chunk = await source.read()
            assert chunk is not None
            read += len(chunk.data)
    await source.close()


async def test_closing_ends_it_and_leaves_nothing() -> None:
    before = await descriptors_at_rest()
    for _ in range(3):
        source = await open_process(endless(), PATIENT)
        await source.read()
        await source.close()
        await source.close()
    await until(lambda: descriptors() == before)
    assert not our_zombies()


async def test_a_child_deaf_to_sigterm_is_killed_after_the_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE", 0.3)
    pid = tmp_path / "pid"
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(pid)!r}, 'w').write(str(os.getpid()))"
    source = await open_process(endless(deaf), PATIENT)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await source.close()
    assert loop.time() - begun >= 0.3
    assert not alive(int(written(pid)))
    assert not our_zombies()


async def test_sigterm_comes_first(tmp_path: Path) -> None:
    note = tmp_path / "note"
    tidy = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(note)!r}, 'w').write('tidied up'), os._exit(0)))"
    source = await open_process(endless(tidy), PATIENT)
    await source.close()
    assert written(note) == "tidied up"


async def test_the_whole_group_goes(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    family = (
        f"child = os.fork() or os.fork()\n"
        f"deaf = child == 0 and signal.signal(signal.SIGTERM, signal.SIG_IGN) is not None\n"
        f"os.write(os.open({str(pids)!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND), b'%d\\n' % os.getpid())\n"
        f"if deaf: time.sleep(60)"
    )
    source = await open_process(endless(family), PATIENT)
    await until(lambda: len(written(pids).split()) == 3)
    members = [int(pid) for pid in written(pids).split()]
    assert all(alive(pid) for pid in members)
    await source.close()
    await until(lambda: not any(alive(pid) for pid in members))


async def test_one_who_left_the_group_cannot_hold_us(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    deserter = (
        f"child = os.fork()\n"
        f"if child == 0: os.setsid(); open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    before = await descriptors_at_rest()
    source = await open_process(endless(deserter), PATIENT)
    await until(lambda: bool(written(pid)))
    await source.close()
    await until(lambda: descriptors() == before)
    os.kill(int(written(pid)), signal.SIGKILL)


async def test_a_cancelled_close_still_kills(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(pid)!r}, 'w').write(str(os.getpid()))"
    source = await open_process(endless(deaf), PATIENT)
    closing = asyncio.create_task(source.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await until(lambda: not alive(int(written(pid))))


async def test_it_dies_with_us_when_we_are_killed_hard(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    child = endless(f"open({str(pid)!r}, 'w').write(str(os.getpid()))")
    parent = (
        "import asyncio, uvloop\n"
        "from fastrelay.config import Failover\n"
        "from fastrelay.sources.process import open_process\n"
        "async def main():\n"
        f"    source = await open_process({child!r}, Failover(first_byte_timeout=15))\n"
        "    while True: await source.read()\n"
        "uvloop.run(main())"
    )
    relay = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stderr=subprocess.DEVNULL)
    await until(lambda: bool(written(pid)))
    assert alive(int(written(pid)))
    await asyncio.sleep(0.1)
    relay.kill()
    await relay.wait()
    await until(lambda: not alive(int(written(pid))))
