"""A server that does what the kit expects of the real one, and nothing else: for the kit's own tests."""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml


class _Handler(BaseHTTPRequestHandler):
    asked = 0

    def _answer(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        _Handler.asked += 1
        self._answer({"clients": _Handler.asked, "environment": sorted(os.environ), "path": self.path})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"method": self.command, "body": json.loads(body)})

    do_PUT = do_POST  # noqa: N815 - the name http.server calls

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the overridden method
        pass


def main() -> None:
    config = yaml.safe_load(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    if config.get("broken"):
        sys.exit("broken: unknown key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    exit_status = config.get("exit_status", 0)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"info listening on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    print(json.dumps(config), file=sys.stderr, flush=True)
    server.serve_forever()
    sys.exit(exit_status)


if __name__ == "__main__":
    main()
