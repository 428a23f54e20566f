"""One POST to an address that somebody else named, kept from harm.

The host is looked up once, every address it has is judged, and the connection goes to the one that
was judged: a name that points elsewhere a moment later gains nothing. No redirect is followed, no
proxy of the environment is used, and an answer is cut by size and by the clock on the wall, however
slowly it drips.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from notices.mail import one_line

CONNECT_S: Final = 5.0
ANSWER_S: Final = 10.0
TOTAL_S: Final = 15.0
"""For the whole of it; a lease lasts far longer."""
ANSWER_BYTES: Final = 16 * 1024

_TRANSLATED: Final = tuple(
    ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""Addresses of IPv6 that carry one of IPv4 inside (RFC 6052, 8215, 3056, 4380)."""


class AddressRefused(ValueError):
    """An address that nothing is sent to, whoever names it."""


class Unreachable(Exception):
    """The other side does not answer as HTTP does."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back; the body as text, cut."""

    status: int
    text: str
    retry_after: str = ""


@dataclass(frozen=True, slots=True)
class HttpRules:
    """What may be called; an installation allows its own machine for trials alone."""

    loopback: bool = False
    """Whether addresses of this machine may be called, without encryption too."""
    private: bool = False
    """Whether addresses of the own network may: for a gateway that the administrator names."""
    connect_s: float = CONNECT_S
    answer_s: float = ANSWER_S
    total_s: float = TOTAL_S
    tls: ssl.SSLContext | None = field(default=None, compare=False)


def checked_url(text: str, rules: HttpRules) -> SplitResult:
    """Return a URL in parts; refuse one that could not be called whatever its host points to."""
    if len(text) > 2000 or not text.isascii() or any(c <= " " or c == "\x7f" for c in text):
        raise AddressRefused("a URL is ASCII without spaces, up to 2000 characters")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise AddressRefused("this is not a URL") from error
    if url.scheme not in ("https", "http") or not url.hostname:
        raise AddressRefused("a URL begins with https://")
    if url.username is not None or url.password is not None or url.fragment or port == 0:
        raise AddressRefused("a URL has no user, no password and no fragment")
    if url.scheme == "http" and not (rules.private or (rules.loopback and _names_loopback(url))):
        raise AddressRefused("only https:// is called")
    return url


def checked_addresses(url: SplitResult, rules: HttpRules) -> tuple[str, ...]:
    """Return the addresses of a URL's host; refuse it where any of them may not be called."""
    assert url.hostname is not None
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"no address of {url.hostname}: {error}") from error
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
    if not addresses:
        raise Unreachable(f"no address of {url.hostname}")
    for text in addresses:
        address = ip_address(text.partition("%")[0])
        if not _may_call(address, rules):
            raise AddressRefused(f"{url.hostname} is {address}, which is not called")
    return addresses


def post(url_text: str, body: bytes, headers: dict[str, str], rules: HttpRules) -> HttpAnswer:
    """Send one POST and return the answer, whatever its status.

    Raises `AddressRefused` where it was not tried, `Unreachable` where nothing sensible came back.
    """
    url = checked_url(url_text, rules)
    addresses = checked_addresses(url, rules)
    last: Exception | None = None
    deadline = time.monotonic() + rules.total_s
    for address in addresses[:2]:  # a second one, where the first does not listen
        connection = _connection(url, address, rules)
        try:
            with contextlib.closing(connection), _watched(connection, deadline) as held:
                try:
                    connection.connect()
                except (HTTPError, OSError, ValueError) as error:
                    last = error
                    continue
                if connection.sock is not None:
                    # The connection lets go of it once the answer began; the watch must not.
                    held.append(connection.sock)
                connection.timeout = rules.answer_s
                return _exchange(connection, url, body, headers, deadline)
        except (HTTPError, OSError, ValueError) as error:
            last = error
            break  # it may have been taken: another address is not asked as well
    raise Unreachable(one_line(f"{type(last).__name__}: {last}")[:300]) from last


def _exchange(
    connection: HTTPConnection,
    url: SplitResult,
    body: bytes,
    headers: dict[str, str],
    deadline: float,
) -> HttpAnswer:
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    sent = {
        "Host": url.netloc,
        "User-Agent": "Kilokassa",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    connection.request("POST", target, body=body, headers=sent, preload_content=False)
    answer = connection.getresponse()
    content = b""
    with contextlib.suppress(HTTPError, OSError):  # the status has said what counts
        while len(content) < ANSWER_BYTES and time.monotonic() < deadline:
            part = answer.read(min(4096, ANSWER_BYTES - len(content)), decode_content=False)
            if not part:
                break
            content += part
    return HttpAnswer(
        status=answer.status,
        text=one_line(content.decode("utf-8", "replace"))[:2000],
        retry_after=(answer.headers.get("Retry-After") or "")[:100],
    )


def _connection(url: SplitResult, address: str, rules: HttpRules) -> HTTPConnection:
    if url.scheme == "http":
        return HTTPConnection(address, url.port or 80, timeout=rules.connect_s)
    return HTTPSConnection(
        address,
        url.port or 443,
        timeout=rules.connect_s,
        server_hostname=url.hostname,
        assert_hostname=url.hostname,
        cert_reqs="CERT_REQUIRED",
        ssl_context=rules.tls or ssl.create_default_context(),
    )


@contextlib.contextmanager
def _watched(connection: HTTPConnection, deadline: float) -> Iterator[list[socket.socket]]:
    """Break the connection off at the deadline: time-outs of reads begin anew with every byte."""
    held: list[socket.socket] = []

    def break_off() -> None:
        for one in (*held, connection.sock):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    watch = threading.Timer(max(0.0, deadline - time.monotonic()), break_off)
    watch.daemon = True
    watch.start()
    try:
        yield held
    finally:
        watch.cancel()


def _names_loopback(url: SplitResult) -> bool:
    if url.hostname == "localhost":
        return True
    try:
        return ip_address(url.hostname or "").is_loopback
    except ValueError:
        return False


def _may_call(address: IPv4Address | IPv6Address, rules: HttpRules) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _may_call(address.ipv4_mapped, rules)
        if any(address in network for network in _TRANSLATED):
            return False
    if address.is_loopback:
        return rules.loopback or rules.private
    if address.is_multicast or address.is_unspecified or address.is_reserved:
        return False
    if address.is_link_local:
        return False  # where clouds keep their machines' own secrets
    return rules.private or address.is_global
