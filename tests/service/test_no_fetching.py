"""The service fetches nothing for a caller, whatever is a URL in what it is sent."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from serving import client, make

URL = "http://127.0.0.1:{}/a.jpg"


def test_no_url_that_a_caller_sends_is_asked_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap, make(tmp_path, each=4) as shop:
        trap.settimeout(0.5)
        url = URL.format(trap.getsockname()[1])
        csv = f"image,colour\n{url},red\n".encode()
        with client(shop) as http:
            for path in ("/v1/search", "/v1/predict", "/v1/images", "/v1/explain"):
                for field in ("image", "images", "id", "url", "like"):
                    assert http.post(path, data={field: url}).status_code >= 400
                    http.post(path, files={field: ("t.csv", csv, "text/csv")})
                assert http.post(path, json={"image": url, "url": url}).status_code >= 400
                assert http.get(path, params={"image": url, "id": url}).status_code >= 400
            assert http.get(f"/v1/images/{url}").status_code == 404
        with pytest.raises(TimeoutError):
            trap.accept()
    assert not [one for one in threading.enumerate() if one.name.startswith("download")]
