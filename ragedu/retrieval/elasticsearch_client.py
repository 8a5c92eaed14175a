"""The way to an Elasticsearch server: with whose credentials, and what to do when it fails."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ragedu.corpus import shorten

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch


def connect(url: str, timeout: float, ca_certs: str | None) -> Elasticsearch:
    """A client for the server, with the credentials of the environment. Nothing is sent yet.

    Raises ModuleNotFoundError where the client is not installed, ValueError where credentials would be shown, saved or
    sent unencrypted.
    """
    try:
        from elasticsearch import Elasticsearch
    except ModuleNotFoundError:
        raise ModuleNotFoundError("this needs the client: run  pip install 'ragedu[elasticsearch]'") from None
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "the URL must not hold user and password, which would be shown and saved: set ELASTICSEARCH_USER and "
            "ELASTICSEARCH_PASSWORD, or ELASTICSEARCH_API_KEY"
        )
    options = credentials()
    if options and parts.scheme == "http" and not is_here(url):
        raise ValueError(
            f"{url} is not encrypted, and your credentials could be read on the way: write https://, or take "
            "ELASTICSEARCH_… out of the environment"
        )
    if ca_certs is not None:
        options["ca_certs"] = ca_certs
    # The client tries again where a connection breaks, and logs each time with a traceback. Where nobody has asked for
    # logs, Python would print that; what is wrong in the end is told by the error.
    logging.getLogger("elastic_transport").addHandler(logging.NullHandler())
    return Elasticsearch(url, request_timeout=timeout, **options)


def credentials() -> dict[str, Any]:
    """The credentials of the environment, as arguments of the client; none where none are set."""
    key, user, password = (os.environ.get(f"ELASTICSEARCH_{name}") for name in ("API_KEY", "USER", "PASSWORD"))
    if key:
        return {"api_key": key}
    if bool(user) != bool(password):
        raise ValueError("set both ELASTICSEARCH_USER and ELASTICSEARCH_PASSWORD, or ELASTICSEARCH_API_KEY")
    return {"basic_auth": (user, password)} if user else {}


def is_here(url: str) -> bool:
    """Whether the server is on this machine."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.\d+){3}", host) is not None


def no_index(url: str, index: str) -> ValueError:
    return ValueError(f"{url} has no index {index!r} (any more): call fit(corpus) to make it")


@contextmanager
def explained(url: str, index: str, timeout: float) -> Iterator[None]:
    """The client's errors as ones that say what to do. None of them has credentials in it."""
    import elasticsearch as es

    try:
        yield
    except es.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise ConnectionError(
                f"no encrypted connection to {url} could be made ({_reason(error)}): does it speak https?"
            ) from None
        raise ConnectionError(
            f"the certificate of {url} is not trusted ({_reason(error)}): give ca_certs=, the file of the "
            "authority that signed it"
        ) from None
    except es.ConnectionTimeout:
        raise TimeoutError(
            f"{url} did not answer within {timeout:g} seconds: look at the server, or raise timeout=…; "
            "a fit that was interrupted goes on where it stopped"
        ) from None
    except es.ConnectionError as error:
        raise ConnectionError(
            f"there is no server at {url} ({_reason(error)}): start it, or correct the URL; "
            "a fit that was interrupted goes on where it stopped"
        ) from None
    except es.AuthenticationException:
        raise PermissionError(
            f"{url} does not accept the credentials: set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USER and "
            "ELASTICSEARCH_PASSWORD, before the retriever is made"
        ) from None
    except es.AuthorizationException:
        raise PermissionError(f"these credentials may not do this with {index!r} on {url}: ask for the right") from None
    except es.NotFoundError:
        raise no_index(url, index) from None
    except es.ApiError as error:
        raise RuntimeError(f"the server {url} refused: {_reason(error)}") from None
    except es.TransportError as error:
        raise RuntimeError(f"{url} gave no answer that can be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return shorten(str(error), 200)
