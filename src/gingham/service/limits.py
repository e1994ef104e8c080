"""How much one request, and all of them together, may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gingham.backbones.runtime import cpu_count
from gingham.settings import settings

Count = Annotated[int, Field(ge=1)]


@settings
class Limits:
    """What the service accepts; beyond it a request is refused, never half done.

    Parameters
    ----------
    upload_bytes : of a body with images.
    json_bytes : of any other body.
    images : that one request may give.
    max_pixels : of an image; one with more is not decoded.
    waiting : requests that are accepted and not yet answered; one more is answered with 503.
    workers : threads that answer requests.
    receive_seconds : within which the body of a request must arrive.
    seconds : within which a request is answered; what takes longer is given up.
    change_seconds : the same for what changes the catalogue.
    session_seconds : how long a browser stays logged in.
    issued_seconds : the same where an issuer has logged it in.
    logins : that may fail within a minute from one address.
    deepest : how far down a search can be followed page by page, in results.
    """

    upload_bytes: Count = 64 << 20
    json_bytes: Count = 1 << 20
    images: Count = 16
    max_pixels: Count = 50_000_000
    waiting: Count = 64
    workers: Count = Field(default_factory=lambda: 3 * cpu_count())
    receive_seconds: Annotated[float, Field(gt=0)] = 30.0
    seconds: Annotated[float, Field(gt=0)] = 60.0
    change_seconds: Annotated[float, Field(gt=0)] = 600.0
    session_seconds: Count = 7 * 24 * 3600
    issued_seconds: Count = 12 * 3600
    logins: Count = 10
    deepest: Count = 10_000


DEFAULT_LIMITS = Limits()
