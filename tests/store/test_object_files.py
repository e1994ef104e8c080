"""Object storage when something goes wrong: throttling, torn requests, lost answers, refusals."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
from collections.abc import Iterator
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.errors import InputError, StorageError
from gingham.object_storage import check_address
from gingham.store.object_files import MARK, WHOLE, ObjectFiles
from s3 import Proxy, files_at, new_bucket, new_files, shared, shared_bucket

BIG = random.Random(0).randbytes(3 * WHOLE + 7)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    one = Proxy(shared())
    yield one
    one.close()


@pytest.fixture
def files(proxy: Proxy, request: pytest.FixtureRequest) -> ObjectFiles:
    return files_at(f"{new_files()}", proxy.address)


def test_the_mark_of_a_write_has_a_name_that_azure_takes() -> None:
    assert MARK.isidentifier()


def first(number: int, action: str, method: str) -> tuple[list[int], object]:
    """Make a rule by which so many requests of a method fail."""
    counts = [0]

    def rule(asked: str, path: str) -> str:
        if asked != method or counts[0] >= number:
            return ""
        counts[0] += 1
        return action

    return counts, rule


def content(files: ObjectFiles, name: str) -> bytes:
    with files.open(name) as file:
        return file.read()


@pytest.mark.parametrize("action", ["503 SlowDown", "500 InternalError", "torn", "lost"])
@pytest.mark.parametrize("if_absent", [False, True])
def test_a_write_is_sent_again(
    proxy: Proxy, files: ObjectFiles, action: str, if_absent: bool
) -> None:
    counts, proxy.rule = first(2, action, "PUT")  # type: ignore[assignment]
    files.put("d/a", lambda file: file.write(BIG), if_absent=if_absent)
    assert counts == [2]
    assert content(files, "d/a") == BIG
    with pytest.raises(FileExistsError):
        files.put("d/a", lambda file: file.write(BIG), if_absent=True)


@pytest.mark.parametrize("action", ["503 SlowDown", "lost", "short"])
def test_reading_is_done_again_or_refused_never_cut_short(
    proxy: Proxy, files: ObjectFiles, action: str
) -> None:
    files.put("small", lambda file: file.write(BIG[:1000]))
    files.put("big", lambda file: file.write(BIG))
    for name, whole in (("small", BIG[:1000]), ("big", BIG)):
        _, proxy.rule = first(1, action, "GET")  # type: ignore[assignment]
        with contextlib.ExitStack() as stack:
            if action == "short":
                stack.enter_context(contextlib.suppress(StorageError))
            assert content(files, name) == whole
        assert content(files, name) == whole


def test_an_upload_that_is_cut_off_is_never_seen(proxy: Proxy, files: ObjectFiles) -> None:
    files = files_at(str(files), proxy.address, retrying=0.5)
    proxy.rule = lambda method, path: "torn" if method == "PUT" else ""
    with pytest.raises(StorageError, match="does not answer"):
        files.put("d/a", lambda file: file.write(BIG))
    assert files.list() == []
    with pytest.raises(FileNotFoundError):
        files.open("d/a")


def test_a_name_is_not_taken_for_an_answer(proxy: Proxy, files: ObjectFiles) -> None:
    named = files_at(f"{files}/credential-401-403", proxy.address, retrying=0.5)
    proxy.rule = lambda method, path: "torn" if method == "PUT" else ""
    with pytest.raises(StorageError, match="does not answer"):
        named.put("d/a", lambda file: file.write(BIG))


@pytest.mark.parametrize(
    ("action", "number", "said"),
    [
        ("503 SlowDown", errno.EBUSY, "too busy: SlowDown"),
        ("403 InvalidAccessKeyId", errno.EACCES, "refuses who asks: InvalidAccessKeyId"),
        ("403 AccessDenied", errno.EACCES, "refuses who asks: AccessDenied"),
        ("301 PermanentRedirect", errno.EPROTO, "region"),
        ("404 NoSuchBucket", errno.ENOENT, "there is no such bucket"),
    ],
)
def test_refusals_say_what_to_do_and_name_no_secret(
    proxy: Proxy, files: ObjectFiles, action: str, number: int, said: str
) -> None:
    files = files_at(str(files), proxy.address, retrying=0.5)
    proxy.rule = lambda method, path: action
    for call in (
        lambda: files.list("features/"),
        lambda: files.open("d/a"),
        lambda: files.put("d/a", lambda file: file.write(b"x")),
        lambda: files.put("d/a", lambda file: file.write(b"x"), if_absent=True),
    ):
        with pytest.raises(StorageError, match=said) as refused:
            call()
        assert refused.value.errno == number
        text = f"{refused.value!r} {refused.value}"
        assert str(files) in text
        assert "secret" not in text
        assert "Signature=" not in text
        assert refused.value.__cause__ is None


def test_a_bucket_that_is_not_there_and_a_server_that_is_not_there() -> None:
    with pytest.raises(StorageError, match="no such bucket"):
        files_at("s3://nowhere/shop").open("a")
    with pytest.raises(StorageError, match="cannot be reached"):
        files_at("s3://nowhere/shop", "http://127.0.0.1:9", retrying=0.5).list()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(BIG) + 5), st.sampled_from([0, 1, 9, 70_000, 2 * WHOLE, -1])),
        max_size=12,
    )
)
def test_any_way_of_reading_gives_the_same(steps: list[tuple[int, int]]) -> None:
    with big_files().open("big") as file:
        for start, length in steps:
            file.seek(start)
            plain = io.BytesIO(BIG)
            plain.seek(start)
            assert file.read(length) == plain.read(length)
            assert file.tell() == plain.tell()
            assert file.read(5) == plain.read(5)


def big_files() -> ObjectFiles:
    files = files_at(f"s3://{shared_bucket()}/big/shop")
    if not files.list("big"):
        files.put("big", lambda file: file.write(BIG))
    return files


def test_of_a_large_object_that_is_replaced_while_it_is_read_no_mixture_is_read() -> None:
    files = new_files()
    files.put("big", lambda file: file.write(BIG))
    with files.open("big") as file:
        assert file.read(10) == BIG[:10]
        files.put("big", lambda other: other.write(BIG[::-1]))
        file.seek(2 * WHOLE)
        with pytest.raises(StorageError, match="replaced while it was read"):
            file.read(10)
        files.delete("big")
        with pytest.raises(FileNotFoundError):
            file.read(10)


def test_a_few_rows_of_a_shard_take_a_few_requests(proxy: Proxy, files: ObjectFiles) -> None:
    columns = {f"c{number}": pa.array(range(64_000)) for number in range(20)}
    table = pa.table(columns)
    files.put("a.parquet", partial(pq.write_table, table, row_group_size=1000, compression="none"))
    proxy.seen.clear()
    with files.open("a.parquet") as file, pq.ParquetFile(file, pre_buffer=False) as shard:
        assert file.seek(0, os.SEEK_END) > 4 * WHOLE
        read = shard.read_row_group(30)
    assert read.equals(table.slice(30_000, 1000))
    assert len(proxy.seen) <= 6, proxy.seen


@pytest.mark.parametrize(
    "address",
    ["s3://", "s3://bucket", "s3://bucket/", "s3:///a", "s3://b/../c", "s3://b/a?x=1", ""],
)
def test_addresses_that_name_nothing_are_refused(address: str) -> None:
    with pytest.raises(InputError, match="expected a bucket and a name in it"):
        check_address(address)


def test_a_bucket_of_its_own_name_holds_what_was_put(proxy: Proxy) -> None:
    bucket = new_bucket(shared())
    files_at(f"s3://{bucket}/a/shop").put("d/x y", lambda file: file.write(b"1"))
    assert files_at(f"s3://{bucket}/a/shop/").list() == ["d/x y"]
    assert files_at(f"s3://{bucket}/a").list("shop/") == ["shop/d/x y"]
    assert files_at(f"s3://{bucket}/a/sh").list() == []
