"""Liveness and readiness over the life of a server."""

import json

from fastrelay.endpoints.health import Health
from fastrelay.wire.request import Request

REQUEST = Request("GET", "/readyz", "/readyz", {}, {}, ("127.0.0.1", 1), ("127.0.0.1", 2))


def state(health: Health) -> tuple[int, str, int]:
    ready = health.readyz(REQUEST)
    body = json.loads(ready.body)
    return ready.status, body.get("status") or body["error"]["code"], health.livez(REQUEST).status


def test_starting_ready_draining() -> None:
    health = Health()
    assert state(health) == (503, "starting", 200)
    health.ready()
    assert state(health) == (200, "ready", 200)
    health.drain()
    assert state(health) == (503, "draining", 200)
    health.ready()
    assert state(health) == (503, "draining", 200)


def test_nobody_may_keep_the_answer() -> None:
    health = Health()
    assert ("Cache-Control", "no-store") in health.livez(REQUEST).headers
    assert ("Cache-Control", "no-store") in health.readyz(REQUEST).headers
