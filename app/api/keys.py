"""API keys: who calls, by `Authorization: Bearer KEY` (RFC 6750). Only the keys' hashes are kept."""

import hmac
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256

from app.errors import Unauthorized

_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_HASHED = re.compile(rf"(?:({_NAME.pattern}):)?sha256:([0-9a-f]{{64}})", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"[\w.~+/-]+=*", re.ASCII)  # what a bearer token may consist of


class Keys:
    """The keys that a server takes. Without any, everybody may call, and owns all that there is.

    An entry is `NAME:sha256:HEX` or `sha256:HEX`, the SHA-256 of a key, or a key itself. Its owner is NAME, which may
    have several keys, or else the first 16 digits of the hash.

    Raises:
        ValueError: an entry is none of these, or a key is there twice. The message does not repeat it.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._owners = [_read(number, entry) for number, entry in enumerate(entries, 1)]
        if len({digest for digest, _ in self._owners}) < len(entries):
            raise ValueError("GRADSTEP_API_KEYS: a key is there twice")

    @property
    def needed(self) -> bool:
        """Whether calls about sessions need a key."""
        return bool(self._owners)

    def owner_of(self, authorization: str | None) -> str:
        """Whose key an `Authorization` header has; empty where no key is needed. Raises Unauthorized."""
        if not self._owners:
            return ""
        if authorization is None:
            raise Unauthorized("this server wants an API key, sent as Authorization: Bearer KEY")
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("takes an API key as Authorization: Bearer KEY, and no other scheme")
        given, owner = sha256(key.strip().encode()).digest(), None
        for digest, name in self._owners:  # all of them: the time says nothing of where one matched
            if hmac.compare_digest(digest, given):
                owner = name
        if owner is None:
            raise Unauthorized("this server does not know this API key")
        return owner


def _read(number: int, entry: str) -> tuple[bytes, str]:
    """The hash of an entry's key, and its owner."""
    if hashed := _HASHED.fullmatch(entry):
        name, digits = hashed[1], hashed[2].lower()
    elif _KEY.fullmatch(entry):
        name, digits = None, sha256(entry.encode()).hexdigest()
    else:
        raise ValueError(
            f"GRADSTEP_API_KEYS: entry {number} takes NAME:sha256:HEX with 64 hexadecimal digits, sha256:HEX, or a key "
            "itself, of letters, digits and - . _ ~ + /"
        )
    return bytes.fromhex(digits), name or digits[:16]


def new_key(name: str) -> tuple[str, str]:
    """A key that nobody can guess, and the entry for a server to know it by.

    Raises:
        ValueError: the name has other than letters, digits and - . _, or more than 64 of them.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("takes a name of 1 to 64 letters, digits and - . _")
    key = secrets.token_urlsafe(32)
    return key, f"{name}:sha256:{sha256(key.encode()).hexdigest()}"
