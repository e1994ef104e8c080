"""Connections to checked addresses only: a name is looked up once, checked, and connected to so."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from gingham.errors import ImageError

Address = IPv4Address | IPv6Address
Allowed = Callable[[Address], bool]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Say whether an address is of the public internet, as is one that it carries inside."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.is_site_local:
            return False
        inside = [address.sixtofour, *(address.teredo or ())]
        if not all(is_public(one) for one in inside if one is not None):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def pool_manager(allowed: Allowed, seconds: float, **settings: Any) -> PoolManager:
    """Make what opens connections.

    Parameters
    ----------
    allowed : says which addresses may be connected to. It is asked for each connection, so also
        after each redirect, and of the very address that is connected to.
    seconds : in which a server must have sent the head of its answer.
    settings : see `urllib3.PoolManager`.
    """

    class Http(CheckedConnection, HTTPConnection):
        pass

    class Https(CheckedConnection, HTTPSConnection):
        pass

    Http.allowed = Https.allowed = staticmethod(allowed)
    Http.seconds = Https.seconds = seconds
    manager = PoolManager(**settings)
    manager.pool_classes_by_scheme = {
        "http": type("HttpPool", (HTTPConnectionPool,), {"ConnectionCls": Http}),
        "https": type("HttpsPool", (HTTPSConnectionPool,), {"ConnectionCls": Https}),
    }
    return manager


class CheckedConnection(HTTPConnection):
    """A connection to an address that was checked, with an end to every answer."""

    allowed: Allowed
    seconds: float
    opened: Any

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        last: Exception | None = None
        for address in self._addresses(name):
            # Not the name, which might be looked up again, and lead elsewhere.
            self._dns_host = str(address)
            try:
                return super()._new_conn()
            except (ConnectTimeoutError, NewConnectionError) as error:
                last = error
            finally:
                self._dns_host = name
        assert last is not None
        raise last

    def _addresses(self, name: str) -> list[Address]:
        try:
            found = socket.getaddrinfo(name.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(name, self, reason) from None
        addresses = dict.fromkeys(
            ipaddress.ip_address(str(place[0]).partition("%")[0]) for *_, place in found
        )
        usable = [address for address in addresses if self.allowed(address)]
        if not usable:
            raise ImageError(
                f"{name} leads to {next(iter(addresses))}, an address that is not public: check "
                "it, or give --allow-private-addresses"
            )
        return usable

    def getresponse(self) -> Any:
        """Read the head of an answer, in bounded time."""
        self.opened = self.sock
        with self.ended():
            response: Any = super().getresponse()
        # The body of a redirect or a refusal may be endless: it is not read to its end.
        response.drain_conn = response.close
        return response

    @contextmanager
    def ended(self) -> Iterator[None]:
        """End the connection if what is read meanwhile takes longer than `seconds`.

        Each byte that drips in begins a new wait, and some reads end at what a server sends only.

        Raises
        ------
        ImageError
            If it took longer: what was read may look whole.
        """
        late = threading.Event()

        def end() -> None:
            late.set()
            with suppress(OSError):
                self.opened.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self.seconds, end)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        if late.is_set():
            raise ImageError(f"it took more than {self.seconds:g} seconds")
