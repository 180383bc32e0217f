"""How names are compared when somebody searches."""

import unicodedata


def fold(text: str) -> str:
    """Without case, accents and other marks, and whatever way its letters are composed: what people type is found."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
