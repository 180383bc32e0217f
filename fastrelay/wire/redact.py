"""What of a URL may be shown to people: in answers, logs, events and the texts of errors."""

import re
from urllib.parse import unquote

HIDDEN = "***"

# Query keys (and header names) whose value is a credential: whole names, and parts that give any name away.
# `mac` is what Stalker portals log in with; `st` is nginx's secure_link; `policy` and `key-pair-id` are
# CloudFront's; `hdn*` is Akamai's, `wmsauthsign` Nimble's. Hiding too much costs a little readability only.
_SECRET_KEYS = frozenset(
    {
        *("hash", "hmac", "jwt", "key", "key-pair-id", "login", "mac", "md5", "pass", "pin", "policy", "pw", "pwd"),
        *("sid", "sig", "sign", "st", "tk", "tkn", "user", "usr", "verify"),
    }
)
_SECRET_PARTS = re.compile(
    r"token|auth|secret|passw|passwd|pwd|signature|session|cookie|credential|username|userid|user_id|user-id"
    r"|(?:api|access|private|stream|license)[_-]?key|hdn(?:ts|ea|tl)"
)
# Headers of a suffix whose values may be seen; any other could be somebody's key.
_OPEN_HEADERS = frozenset({"accept", "accept-language", "icy-metadata", "origin", "pragma", "referer", "user-agent"})

_PAIR = re.compile(r"(?<![\w.%\[\]~$-])([\w.%\[\]~$-]++)=")
_VALUE = re.compile(r"[^\s&\"'<>#|]*")
_SUFFIX_VALUE = re.compile(r"[^&|\"'<>\r\n]*")
_FIELD = re.compile(
    r"(?i)(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]*(?:token|key|auth)[\w-]*)(:\s*)[^\r\n\"'<>|&]+"
)
# Up to the next "://", so that a URL behind another one (in its path, in a query) is seen as well.
_URL = re.compile(r"(?i)((?:udp|rtp)?)://((?:(?!://)[^\s\"'<>|])+)")
_ENCODED_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,20}%3a(?:%2f|/){2}[^\s&\"'<>|]+")
_USERINFO = re.compile(r"[^/?#]+@")
# A slash or question mark in a password makes the "port" something that is no number.
_ODD_USERINFO = re.compile(r"[^/@\[]*:(?!\d*(?:[/?#]|$)).*@")
_AFTER_AUTHORITY = re.compile(r"[/?#]")
_AFTER_PATH = re.compile(r"[?#]")
_NUMBERED = re.compile(r"\d+(?:\.\w+)?\W*")

# Xtream Codes paths: this many credentials follow the word.
_XTREAM = {"live": 2, "movie": 2, "series": 2, "timeshift": 2, "timeshifts": 2, "hlsr": 3}
_NOT_A_USER = frozenset((*_XTREAM, "hls", "dash", "stream", "streams", "vod", "video", "channel", "segments"))


def redact(text: str) -> str:
    """Hide every credential of the URLs in `text`, which may be one URL or a whole message. Idempotent, never raises.

    Hidden are userinfo, values of token-like query keys, user and password in the paths of Xtream URLs, and header
    suffixes except the harmless ones; each is replaced by `***`.
    """
    text = _ENCODED_URL.sub(_encoded, text)
    text = _URL.sub(_url, text)
    text = _FIELD.sub(rf"\1\2{HIDDEN}", text)
    return _pairs(text)


def _encoded(match: re.Match[str]) -> str:
    """A URL inside a URL, percent-encoded: all of it goes if any of it would."""
    plain = unquote(match[0])
    return match[0] if redact(plain) == plain else HIDDEN


def _url(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    if not scheme:  # before udp and rtp groups it is the multicast source's address
        odd = _ODD_USERINFO.match(rest) or _USERINFO.match(rest)
        rest = f"{HIDDEN}@{rest[odd.end() :]}" if odd else rest
    authority = _AFTER_AUTHORITY.search(rest)
    if authority is None or authority[0] != "/":
        return f"{scheme}://{rest}"
    behind = _AFTER_PATH.search(rest)
    end = behind.start() if behind else len(rest)
    return f"{scheme}://{rest[: authority.start()]}{_xtream(rest[authority.start() : end])}{rest[end:]}"


def _xtream(path: str) -> str:
    """`/live/USER/PASS/123.ts` (movie, series, timeshift likewise) and `/USER/PASS/123.ts`; ids start with a digit."""
    parts = path.split("/")
    last_id = max((at for at, part in enumerate(parts) if part[:1].isdigit()), default=0)
    for at, word in enumerate(parts):
        count = _XTREAM.get(word.lower(), 0)
        if count and at + count < last_id:
            return "/".join([*parts[: at + 1], *[HIDDEN] * count, *parts[at + 1 + count :]])
    plain = len(parts) == 4 and all(parts[1:3]) and _NUMBERED.fullmatch(parts[3]) is not None
    if plain and parts[1].lower() not in _NOT_A_USER:
        return f"/{HIDDEN}/{HIDDEN}/{parts[3]}"
    return path


def _pairs(text: str) -> str:
    """Hide the values of `key=value`, in queries, fragments, path parameters, header suffixes and plain text."""
    out: list[str] = []
    done = 0
    while match := _PAIR.search(text, done):
        pattern = _hides(match, text)
        end = match.end()
        if pattern is not None:
            value = pattern.match(text, end)
            assert value is not None
            kept = value[0].rstrip(".,:;)]}")  # punctuation of the message around the URL
            out += [text[done:end], HIDDEN if kept else ""]
            done = end + len(kept)
        else:
            out.append(text[done:end])
            done = end
    out.append(text[done:])
    return "".join(out)


def _hides(match: re.Match[str], text: str) -> re.Pattern[str] | None:
    """How far the value of this key is hidden, or None when it may be seen."""
    name = unquote(match[1]).strip("-[]$").lower()
    line = max(text.rfind("\n", 0, match.start()), 0)
    before = text[match.start() - 1 : match.start()]
    # Values in a suffix may hold spaces, so what ends there is a matter of "&" only.
    suffix = before == "|" or (before == "&" and "|" in text[line : match.start()])
    if suffix and name not in _OPEN_HEADERS:
        return _SUFFIX_VALUE
    return _VALUE if name in _SECRET_KEYS or _SECRET_PARTS.search(name) else None
