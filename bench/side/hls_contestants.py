"""Who else serves HLS: nginx, with the same playlist and segment as files with sendfile, and with fastrelay's own
through its cache; and the floor (see hls_floor.py).
"""

import sys
from pathlib import Path

from bench.side.contestants import ROOT, Contestant, Serving, Stage, started
from bench.side.process import free_port

STATIC = "/static"
CACHED = "/cached"
"""Where the files are, and where the cache is in front of fastrelay."""

# One process, as one worker is: what it uses of its core is what it costs.
_CONFIG = """\
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
    types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }}
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
    keepalive_requests 1000000000; open_file_cache max=100; open_file_cache_valid 60s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_cache_path {folder}/cache keys_zone=hls:10m;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location /static/ {{ root {folder}; }}
        location /cached/ {{
            proxy_pass http://127.0.0.1:{origin_port}/; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_cache hls; proxy_cache_key $uri; proxy_cache_lock on;
            proxy_ignore_headers Cache-Control Vary; proxy_cache_valid 200 1s;
            location ~ \\.ts$ {{
                rewrite ^/cached/(.*)$ /$1 break;
                proxy_pass http://127.0.0.1:{origin_port}; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_cache hls; proxy_cache_key $uri; proxy_cache_valid 200 10m; proxy_ignore_headers Cache-Control;
            }}
        }}
    }}
}}
"""


def start_nginx(stage: Stage) -> Serving:
    """`stage.origin_port` is fastrelay's. Files are put into `stage.folder / "static"`."""
    port = free_port()
    (stage.folder / "static").mkdir()
    config = stage.folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=stage.folder, port=port, origin_port=stage.origin_port))
    return started(stage, ["nginx", "-c", str(config), "-p", str(stage.folder)], port)


def start_floor(stage: Stage) -> Serving:
    """With the files of nginx, whose folder is `stage.folder`."""
    port = free_port()
    command = [sys.executable, str(ROOT / "bench/side/hls_floor.py"), str(port), str(stage.folder / "static")]
    return started(stage, command, port)


NGINX = Contestant("nginx", start_nginx, "nginx", ("nginx-light",), version=("nginx", "-v"))
WRK = Contestant("wrk", start_nginx, "wrk", ("wrk",), version=("wrk", "-v"))
"""Who asks for playlists: no contestant, but as much to be installed."""


def put(folder: Path, name: str, data: bytes) -> str:
    """A file for nginx; its path there."""
    (folder / "static" / name).write_bytes(data)
    return f"{STATIC}/{name}"
