"""`gingham.connect`: a catalogue that a server holds, with the methods of `gingham.Catalogue`."""

from __future__ import annotations

import os

from gingham.client.connection import Connection
from gingham.client.upkeep import RemoteUpkeep

KEY_VARIABLE = "GINGHAM_KEY"


class RemoteCatalogue(RemoteUpkeep):
    """A catalogue that `gingham serve` holds; made by `gingham.connect`, and a context manager.

    Its methods are those of `gingham.Catalogue` with the same arguments, results and errors. Images
    given by a path, as bytes or open files are read here and uploaded; ids are sent as ids. What
    needs the catalogue's folder says so. Threads may call all methods together.
    """


def connect(url: str, *, key: str | None = None, timeout: float | None = None) -> RemoteCatalogue:
    """Use a catalogue that a server holds.

    Parameters
    ----------
    url : `http://host:port` or `https://host`, with the prefix of its path if there is one.
    key : as `gingham keys add` printed it; by default that in the environment variable GINGHAM_KEY,
        if there is one. It is sent to this address only: redirects are not followed.
    timeout : seconds to wait for an answer; None: somewhat longer than a server works on one, 70 s
        for what only reads, and 610 s for changes.

    Raises
    ------
    InputError
        If the address, the key or the timeout cannot be used.
    ServerError
        If there is no server of gingham, or it refuses the key.
    """
    key = (os.environ.get(KEY_VARIABLE) or None) if key is None else key
    made = RemoteCatalogue(Connection(url, key, timeout))
    try:
        len(made)
    except BaseException:
        made.close()
        raise
    return made
