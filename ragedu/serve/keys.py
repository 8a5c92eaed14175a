"""The key that clients send, and where a service may do without one."""

from __future__ import annotations

import os

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAKE_A_KEY = "make a key with  python -c 'import secrets; print(secrets.token_urlsafe())'  and set RAGEDU_API_KEY to it"


def key_from_environment() -> str:
    """RAGEDU_API_KEY. Raises ValueError, which says how to make one, where it is missing or bad."""
    if not (key := os.environ.get("RAGEDU_API_KEY")):
        raise ValueError(f"the environment has no RAGEDU_API_KEY: {MAKE_A_KEY}")
    return check_key(key)


def check_key(key: str) -> str:
    """The key, if it is long enough and a header can carry it. Raises ValueError, which does not contain the key."""
    if len(key) < 16 or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"the API key must have 16 or more ASCII characters and no blank: {MAKE_A_KEY}")
    return key
