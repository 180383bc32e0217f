"""What a relay's name and output path may be, the same in the file and over the API."""

import re

MAX_NAME = 200
MAX_OUTPUT_PATH = 64
MAX_SOURCES = 16

# Letters are ASCII: the path is typed with a remote control, and it must look the same in every URL and log. Without
# slash, dot and colon no path can collide with `/stream/{path}.ts`, `/stream/{path}/hls` or the ids of channels, so
# no name has to be reserved.
_OUTPUT_PATH = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_OUTPUT_PATH}}}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def check_output_path(text: str) -> None:
    """Raises ValueError that says what an output path is."""
    if not _OUTPUT_PATH.fullmatch(text):
        raise ValueError(f"expected 1 to {MAX_OUTPUT_PATH} letters (a-z, A-Z), digits, '-' or '_', nothing else")


def check_name(text: str) -> None:
    """Raises ValueError that says what a name is."""
    if not text.strip() or len(text) > MAX_NAME:
        raise ValueError(f"expected a name of 1 to {MAX_NAME} characters")
    if _UNPRINTABLE.search(text):
        raise ValueError("expected a name without control characters and line breaks")
