"""What of a URL may be shown to people: in answers, logs, events and the texts of errors."""

import re
from urllib.parse import unquote

HIDDEN = "***"
_PUNCTUATION = ".,:;)]}"
"""Of the message around a URL, where it stands at the end."""

_ROUNDS = 4
"""What is left of a made-up text may look like another URL, with something to hide of its own."""

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
_ODD_USERINFO = re.compile(r"[^/?#@\[]*:(?!\d*(?:[/?#]|$)).*@")
_AFTER_AUTHORITY = re.compile(r"[/?#&]")
_AFTER_PATH = re.compile(r"[?#]")
_NUMBERED = re.compile(r"\d+(?:\.\w+)?\W*")

# A part of a path whose successor is a credential, whatever that looks like.
_SECRET_WORDS = frozenset(
    {
        *("access_token", "apikey", "api_key", "auth", "hash", "hmac", "jwt", "pass", "passwd", "password", "secret"),
        *("session", "sessionid", "sid", "sig", "sign", "signature", "tkn", "token", "usertoken"),
    }
)

# What could be a token of unknown form: a MAC address, or a word that is long enough. Escapes stand between words.
_TOKEN = re.compile(
    r"(?<![\w+-])(?:[0-9A-Fa-f]{2}(?::|%3[Aa])){5}[0-9A-Fa-f]{2}(?![\w+-])"
    r"|%[0-9A-Fa-f]{2}|(?<![\w+-])([\w+-]{16,}+)(?:(?:=|%3[Dd]){1,2}(?![\w+=%-]))?",
    re.ASCII,
)
_UUID = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEX = re.compile(r"(?=[0-9]*[A-Fa-f])(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{16,}")
_JOINT = re.compile(r"[-_+]")
_RUN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

# Xtream Codes paths: this many credentials follow the word.
_XTREAM = {"live": 2, "movie": 2, "series": 2, "timeshift": 2, "timeshifts": 2, "hlsr": 3}
_NOT_A_USER = frozenset((*_XTREAM, "hls", "dash", "stream", "streams", "vod", "video", "channel", "segments"))


def redact(text: str) -> str:
    """Hide every credential of the URLs in `text`, which may be one URL or a whole message. Idempotent, never raises.

    Hidden are userinfo, values of token-like query keys, user and password in the paths of Xtream URLs, header suffixes
    except the harmless ones, and what looks like a token behind the host (see `_is_token`); each is replaced by `***`.
    """
    for _ in range(_ROUNDS):
        shown = _redact(text)
        if shown == text:
            break
        text = shown
    return text


def _redact(text: str) -> str:
    text = _ENCODED_URL.sub(_encoded, text)
    text = _URL.sub(_url, text)
    text = _FIELD.sub(rf"\1\2{HIDDEN}", text)
    return _pairs(text)


def _encoded(match: re.Match[str]) -> str:
    """A URL inside a URL, percent-encoded: all of it goes if any of it would."""
    plain = unquote(match[0])
    return match[0] if _redact(plain) == plain else HIDDEN


def _url(match: re.Match[str]) -> str:
    scheme, rest = match[1], match[2]
    if not scheme:  # before udp and rtp groups it is the multicast source's address
        odd = _ODD_USERINFO.match(rest) or _USERINFO.match(rest)
        rest = f"{HIDDEN}@{rest[odd.end() :]}" if odd else rest
    authority = _AFTER_AUTHORITY.search(rest)
    if authority is None:
        return f"{scheme}://{rest}"
    host, local = rest[: authority.start()], _TOKEN.sub(_token, rest[authority.start() :])
    behind = _AFTER_PATH.search(local)
    end = behind.start() if behind else len(local)
    # Tokens come first: what they leave is what is seen when the text is looked at again.
    return f"{scheme}://{host}{_xtream(_named(local[:end]))}{local[end:]}"


def _token(match: re.Match[str]) -> str:
    word = match[1]
    if word is None:
        return match[0] if match[0].startswith("%") and len(match[0]) == 3 else HIDDEN
    return HIDDEN if _is_token(word) else match[0]


def _is_token(word: str) -> bool:
    """Whether these 16 characters or more are a UUID, 16 digits of hex, or letters and digits that make no words: with
    no joint between them, or, as base64url has them, 20 or more in both cases."""
    pieces = _JOINT.split(word)
    if _UUID.search(word) or any(len(piece) >= 16 and (_HEX.fullmatch(piece) or _jumbled([piece])) for piece in pieces):
        return True
    return len(word) >= 20 and word.upper() != word != word.lower() and _jumbled(pieces)


def _jumbled(pieces: list[str]) -> bool:
    """Whether upper case, lower case and digits take turns more than once in 5 characters: of the names in public lists
    hardly one does (`RealAmericasVoice`, `video0s976556`), of random letters and digits nearly all do."""
    turns = sum(len(_RUN.findall(piece)) - 1 for piece in pieces if piece)
    return 5 * turns > sum(map(len, pieces))


def _named(path: str) -> str:
    """`/token/SECRET/index.m3u8` and the like; a file behind such a word is none."""
    parts = path.split("/")
    for at in range(1, len(parts)):
        value = parts[at].rstrip(_PUNCTUATION)
        is_file = at == len(parts) - 1 and "." in value
        if parts[at - 1].lower() in _SECRET_WORDS and value and not is_file:
            parts[at] = HIDDEN + parts[at][len(value) :]
    return "/".join(parts)


def _xtream(path: str) -> str:
    """`/live/USER/PASS/123.ts` (movie, series, timeshift likewise) and `/USER/PASS/123.ts`; ids start with a digit, or
    are hidden already."""
    parts = path.split("/")
    last_id = max((at for at, part in enumerate(parts) if part[:1].isdigit()), default=0)
    last_id = len(parts) - 1 if parts[-1].startswith(HIDDEN) else last_id
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
            kept = value[0].rstrip(_PUNCTUATION)
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
    # Akamai's fields have a tilde between them.
    return _VALUE if name.rpartition("~")[2] in _SECRET_KEYS or _SECRET_PARTS.search(name) else None
