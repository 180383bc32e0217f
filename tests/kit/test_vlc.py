import asyncio

from tests.kit.behaviours import live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.kit.vlc import Played, play


async def test_vlc_plays_the_position_coded_stream() -> None:
    async with Origin() as origin:
        url = origin.route("/live", live(PositionCoded(), burst=3))
        assert (await asyncio.to_thread(play, url, 3)).started


def test_complaints_are_picked_out() -> None:
    played = Played("main debug: Received first picture\nts error: libdvbpsi: TS discontinuity received 3 expected 2\n")
    assert played.started and len(played.complaints) == 1
