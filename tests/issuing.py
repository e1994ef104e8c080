"""An issuer of OpenID Connect on loopback, for the tests of logins."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")
pytest.importorskip("authlib", reason="the extra oidc is not installed")

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import RSAKey

SHOP, API = "shop", "https://shop.example.org/api"
SECRET = "s3cret of the client"


class FakeIssuer:
    """An issuer whose endpoints are served, and that signs what it is told to."""

    def __init__(self) -> None:
        self.rsa = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}, private=True)
        self.keys: list[Any] = [self.rsa]
        self.url = ""
        self.user: dict[str, Any] = {}
        self.overrides: dict[str, Any] = {}
        self.metadata: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.broken = False
        self.app = FastAPI()
        self.app.add_api_route("/.well-known/openid-configuration", self.discovery)
        self.app.add_api_route("/jwks", self.jwks)
        self.app.add_api_route("/authorize", self.authorize)
        self.app.add_api_route("/token", self.token, methods=["POST"])

    def reset(self) -> None:
        self.keys = [self.rsa]
        self.user = {"sub": "248289761001", "preferred_username": "ann", "roles": ["editor"]}
        self.overrides, self.metadata, self.asked, self.broken = {}, {}, [], False

    def discovery(self) -> Response:
        self.asked.append("discovery")
        if self.broken:
            return Response(status_code=500)
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
        }
        return JSONResponse(said | self.metadata)

    def jwks(self) -> Response:
        self.asked.append("jwks")
        return JSONResponse({"keys": [key.as_dict(private=False) for key in self.keys]})

    def authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        assert given["response_type"] == "code"
        assert given["code_challenge_method"] == "S256"
        assert {"openid"} <= set(given["scope"].split())
        code = f"code{len(self.codes)}"
        self.codes[code] = given
        back = {"code": code, "state": given["state"], "iss": self.url, "session_state": "x"}
        return RedirectResponse(f"{given['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        self.asked.append("token")
        if self.broken:
            return Response(status_code=503)
        given = {name: one[0] for name, one in parse_qs((await request.body()).decode()).items()}
        begun = self.codes.pop(given["code"], None)
        challenge = hashlib.sha256(given["code_verifier"].encode()).digest()
        if (
            begun is None
            or begun["redirect_uri"] != given["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != begun["code_challenge"]
            or self.client_of(request, given) != (SHOP, SECRET)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        claims = {"aud": SHOP, "nonce": begun["nonce"]} | self.overrides
        return JSONResponse(
            {
                "token_type": "Bearer",
                "access_token": "opaque",
                "id_token": self.sign(**claims),
            }
        )

    @staticmethod
    def client_of(request: Request, given: dict[str, str]) -> tuple[str, str]:
        _, _, basic = request.headers.get("authorization", "").partition(" ")
        if not basic:
            return given["client_id"], given.get("client_secret", "")
        name, _, secret = base64.b64decode(basic).decode().partition(":")
        return name, secret

    def sign(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign claims of the user; None leaves one out."""
        now = int(time.time())
        said = {"iss": self.url, "iat": now, "exp": now + 300, **self.user, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        key = key or self.rsa
        header = {"alg": "RS256", "kid": key.kid} | (header or {})
        token: str = jwt.encode(header, said, key, algorithms=[header["alg"]])
        return token

    def access(self, **claims: Any) -> str:
        return self.sign(header={"typ": "at+jwt"}, **{"aud": API, **claims})
