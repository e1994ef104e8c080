"""Object storage: addresses there, what lies below one, how it is read, what a refusal means."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from gingham.errors import InputError, StorageError, require_extra

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_ADDRESS = re.compile(r"(s3|gs|az)://")
_PARTS = re.compile(r"((?:s3|gs|az)://[^/\s?#@]+)(?:/(.*))?", re.DOTALL)
_WHOLE = re.compile(r"(s3|gs|az)://[^/\s?#@]+/[^?#\0]*[^/?#\0]")

_RETRIES = 10
_TIMES = 3  # an answer that breaks off is asked for so often
_RETRYING = 60.0

_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_BUCKETS = ("NoSuchBucket", "ContainerNotFound", "specified bucket does not exist")
_BUSY = ("429", "500", "502", "503", "504")
_DENIED = ("401", "403")
_UNKNOWN = ("PermissionDenied", "Unauthenticated", "credential", "169.254.169.254")
_PLACES = re.compile(r"(https?://[^/\s]+)\S*")  # names in them may be anything


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
    _require_storage()
    return _open(address, endpoint(), retrying, os.getpid())


def _require_storage() -> None:
    require_extra("storage", "obstore", purpose="object storage")


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
def refusals(address: str, *passed: type[Exception]) -> Iterator[None]:
    """Say of an object that the storage refuses it, and what to do; no message has a credential.

    Parameters
    ----------
    passed : errors to raise as they are.

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
    except passed:
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
    told = _PLACES.sub(r"\1", text)
    if status in _DENIED or (not status and any(one in told for one in _UNKNOWN)):
        return StorageError(errno.EACCES, f"the storage refuses who asks{said}", address)
    if status or "redirect" in text:
        return StorageError(errno.EPROTO, f"the storage answers with an error{said}", address)
    return StorageError(errno.EHOSTUNREACH, "the storage does not answer", address)


class ListedObject(str):
    """The address of an object that was listed, and which version of it there was.

    Attributes
    ----------
    tag : by which the storage knows the version; None if it has none.
    size : in bytes.
    """

    __slots__ = ("_written", "size", "tag")

    tag: str | None
    size: int
    _written: float

    @classmethod
    def of(cls, address: str, tag: str | None, size: int, modified: datetime) -> Self:
        """Make one of what the storage lists."""
        made = cls(address)
        made.tag, made.size, made._written = tag, size, modified.timestamp()
        return made

    @property
    def mark(self) -> bytes:
        """Tell this version of this object from all others: 32 bytes."""
        said = f"{self}\0{self.tag}\0{self.size}\0{self._written}"
        return hashlib.sha256(said.encode()).digest()


def split_address(address: str) -> tuple[str, str]:
    """Split an address into that of the bucket and the name in it, which may be empty.

    Raises
    ------
    InputError
        If it names no bucket.
    """
    found = _PARTS.fullmatch(address)
    if found is None:
        raise InputError(f"address {address!r}: expected a bucket, as in s3://bucket/photos")
    return found[1], (found[2] or "").strip("/")


def list_objects(address: str) -> Iterator[ListedObject]:
    """List the objects below an address, in order of their names, or the one that lies there.

    Raises
    ------
    InputError
        If the address names no bucket, or an object has a name that is no path.
    MissingExtraError
        If the extra `storage` is not installed.
    StorageError
        If the storage refuses; see `refusals`.
    """
    bucket, name = split_address(address)
    _require_storage()
    from obstore.exceptions import InvalidPathError

    last: ListedObject | None = None
    for left in reversed(range(_TIMES)):
        try:
            for found in _listed(bucket, name, last):
                last = found
                yield found
            return
        except InvalidPathError:
            raise InputError(
                f"{address} holds an object with `//`, `/./` or `/../` in its name: rename it, or "
                "give what lies beside it"
            ) from None
        except StorageError as error:
            if not left or error.errno != errno.EHOSTUNREACH:
                raise


def _listed(bucket: str, name: str, after: str | None) -> Iterator[ListedObject]:
    """List what lies below a name, from one address on."""
    import obstore
    from obstore.exceptions import InvalidPathError

    store, address = open_store(bucket), f"{bucket}/{name}"
    offset = None if after is None else after.removeprefix(f"{bucket}/")
    pages: Iterator[Any] = iter(obstore.list(store, name or None, offset=offset))
    there = after is not None
    while True:
        with refusals(address, InvalidPathError):
            page = next(pages, None)
        if page is None:
            break
        there = True
        yield from (_object(bucket, meta) for meta in page)
    if not there and name:
        with contextlib.suppress(FileNotFoundError), refusals(address):
            yield _object(bucket, obstore.head(store, name))


def _object(bucket: str, meta: Any) -> ListedObject:
    tag = meta.get("e_tag")
    return ListedObject.of(f"{bucket}/{meta['path']}", tag, meta["size"], meta["last_modified"])


def is_object(address: str) -> bool:
    """Say whether there is an object; one that cannot be looked at counts as there."""
    _require_storage()
    import obstore

    bucket, name = split_address(address)
    try:
        with refusals(address):
            obstore.head(open_store(bucket), name)
    except FileNotFoundError:
        return False
    except StorageError:
        pass
    return True


def read_object(address: str) -> bytes:
    """Read one object whole; of one that was listed, the version that was listed.

    Raises
    ------
    FileNotFoundError
        If there is none.
    StorageError
        If the storage refuses (see `refusals`), or there is another version by now.
    """
    _require_storage()
    import obstore
    from obstore.exceptions import PreconditionError

    bucket, name = split_address(address)
    store = open_store(bucket)
    options: Any = {}
    if isinstance(address, ListedObject) and address.tag is not None:
        options["if_match"] = address.tag
    try:
        for left in reversed(range(_TIMES)):
            with refusals(str(address)):
                got = obstore.get(store, name, options=options)
            try:
                with refusals(str(address)):
                    return bytes(got.bytes())
            except StorageError:
                if not left:
                    raise
    except PreconditionError:
        pass
    raise StorageError(errno.ESTALE, "it was replaced since it was listed", str(address))
