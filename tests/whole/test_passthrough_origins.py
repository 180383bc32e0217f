"""HLS passed through to players in web pages of other origins: whatever is answered there, they can read it."""

import pytest

from tests.kit.behaviours import live
from tests.kit.origin import Origin
from tests.kit.position_coded import PositionCoded
from tests.whole.channel import PATH, channels

PAGE = "https://tv.example"


async def test_what_is_not_served_there_is_told_to_players_in_pages_of_other_origins() -> None:
    async with Origin() as origin, channels((origin.route("/ts", live(PositionCoded())),)) as server:
        for path in (PATH, f"{PATH}/some-name"):
            moved = await server.get(f"{path}/?token=x", Origin=PAGE)
            assert (moved.status, moved.headers["location"]) == (308, f"{path}?token=x")
            refused = await server.post(path, Origin=PAGE)
            assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
            unknown = await server.get(f"{PATH}/a/b", Origin=PAGE)
            assert (unknown.status, unknown.json()["error"]["code"]) == (404, "not_found")
            for reply in (moved, refused, unknown):
                assert reply.headers["access-control-allow-origin"] == "*"
                assert reply.headers["access-control-expose-headers"] == "*"
        assert origin.requests("/ts") == 0


@pytest.mark.parametrize("path", ["/api/proxy/channel/1/", "/api/proxy/channel/1/x"])
async def test_beside_it_nothing_is_open_to_other_origins(path: str) -> None:
    async with channels() as server:
        reply = await server.get(path, Origin=PAGE)
        assert reply.status in (308, 404)
        assert "access-control-allow-origin" not in reply.headers
