"""Object storage: what an address there looks like, how it is opened, what a refusal means."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gingham.errors import InputError, StorageError, require_extra

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_ADDRESS = re.compile(r"(s3|gs|az)://")
_WHOLE = re.compile(r"(s3|gs|az)://[^/\s?#@]+/[^?#\0]*[^/?#\0]")

_RETRIES = 10
_RETRYING = 60.0

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_BUCKETS = ("NoSuchBucket", "ContainerNotFound", "specified bucket does not exist")
_BUSY = ("429", "500", "502", "503", "504")
_DENIED = ("401", "403", "PermissionDenied", "Unauthenticated", "credential", "169.254.169.254")


def is_object_address(place: object) -> bool:
    """Say whether something is an address in object storage, as `s3://bucket/shop` is."""
    return isinstance(place, str) and _ADDRESS.match(place) is not None


def check_address(address: str) -> str:
    """Return an address in object storage without a `/` at its end, if it is one.

    Raises
    ------
    InputError
        If it names no bucket, or nothing in it.
    """
    found = address.rstrip("/")
    if not _WHOLE.fullmatch(found) or any(x in ("", ".", "..") for x in found.split("/")[3:]):
        raise InputError(
            f"address {address!r}: expected a bucket and a name in it, as in s3://bucket/shop"
        )
    return found


def open_store(address: str, *, retrying: float = _RETRYING) -> ObjectStore:
    """Open what lies below an address; nothing is sent yet.

    Credentials, region and endpoint come from the environment and the usual files of each cloud.

    Parameters
    ----------
    retrying : seconds in which a request that the storage is too busy for is sent again, later
        and later.

    Raises
    ------
    MissingExtraError
        If the extra `storage` is not installed.
    """
    require_extra("storage", "obstore", purpose="object storage")
    return _open(address, endpoint(), retrying, os.getpid())


def endpoint() -> str:
    """Give the address of the server of S3 that the environment names; empty: Amazon's."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((found for name in names if (found := os.environ.get(name))), "")


@lru_cache(maxsize=64)
def _open(address: str, server: str, retrying: float, process: int) -> ObjectStore:
    from obstore.store import from_url

    options: dict[str, Any] = {
        "client_options": {
            "connect_timeout": timedelta(seconds=10),
            "read_timeout": timedelta(seconds=60),
            "timeout": timedelta(minutes=10),
        },
        "retry_config": {
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=retrying),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        },
    }
    if address.startswith("s3://"):
        if server:
            options["config"] = {"endpoint": server}
            options["client_options"]["allow_http"] = server.startswith("http://")
        if (provider := _usual_credentials()) is not None:
            options["credential_provider"] = provider
    return from_url(address, **options)


def _usual_credentials() -> Any | None:
    """Give what the files of the AWS command line say, where the environment says nothing."""
    said = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE")
    containers = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
    home = os.path.expanduser("~/.aws")  # noqa: PTH111
    files = [
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", os.path.join(home, "credentials")),
        os.environ.get("AWS_CONFIG_FILE", os.path.join(home, "config")),
    ]
    if any(map(os.environ.get, (*said, *containers))) or not any(map(os.path.exists, files)):
        return None
    from boto3.session import Session
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = Session()
    return None if session.get_credentials() is None else Boto3CredentialProvider(session)


@contextlib.contextmanager
def refusals(address: str) -> Iterator[None]:
    """Say of an object that the storage refuses it, and what to do; no message has a credential.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    StorageError
        For all else that goes wrong in the storage, or on the way to it, but not for what
        `gingham.store.object_files` makes of conditions that do not hold.
    """
    from obstore import exceptions

    try:
        yield
    except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
        raise
    except FileNotFoundError as error:
        if any(one in str(error) for one in _BUCKETS):
            raise _refused(str(error), address) from None
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), address) from None
    except (exceptions.BaseError, ValueError) as error:
        raise _refused(f"{type(error).__name__}: {error}", address) from None


def _refused(text: str, address: str) -> StorageError:
    """Make an error of what a library says, of which only what is known is repeated."""
    code = (_CODE.search(text) or _STATUS.search(text) or [None, ""])[1]
    status = (_STATUS.search(text) or [None, ""])[1]
    said = f": {code}" if code else ""
    if any(one in text for one in _BUCKETS):
        return StorageError(errno.ENOENT, "there is no such bucket", address)
    if status in _BUSY or code == "SlowDown":
        return StorageError(errno.EBUSY, f"the storage is too busy{said}", address)
    if status in _DENIED or (not status and any(one in text for one in _DENIED)):
        return StorageError(errno.EACCES, f"the storage refuses who asks{said}", address)
    if status or "redirect" in text:
        return StorageError(errno.EPROTO, f"the storage answers with an error{said}", address)
    return StorageError(errno.EHOSTUNREACH, "the storage does not answer", address)


def is_object(address: str) -> bool:
    """Say whether there is an object; one that cannot be looked at counts as there."""
    import obstore

    folder, _, name = check_address(address).rpartition("/")
    try:
        with refusals(address):
            obstore.head(open_store(folder), name)
    except FileNotFoundError:
        return False
    except StorageError:
        pass
    return True


def read_object(address: str) -> bytes:
    """Read one object whole.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StorageError
        If the storage refuses; see `refusals`.
    """
    import obstore

    folder, _, name = check_address(address).rpartition("/")
    store = open_store(folder)
    with refusals(address):
        return bytes(obstore.get(store, name).bytes())
