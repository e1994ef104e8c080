"""People log in with an issuer, and programs send its tokens; whatever is forged is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")
pytest.importorskip("authlib", reason="the extra oidc is not installed")

from joserfc.jwk import ECKey, RSAKey
from starlette.testclient import TestClient

from gingham.errors import InputError
from gingham.service.access import Access
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.oidc import BEGIN, CALLBACK
from gingham.service.oidc.issuer import Issuer, IssuerError, usable_keys
from gingham.service.oidc.login import Oidc
from gingham.service.oidc.tokens import RoleRule
from gingham.service.served import ServedCatalogue
from issuing import API, SECRET, SHOP, FakeIssuer
from serving import BASE, check_problem, client, listening, shared_shop

OURS = {"origin": BASE}


@pytest.fixture(scope="module")
def served() -> Iterator[FakeIssuer]:
    made = FakeIssuer()
    with listening(made.app) as address:
        made.url = address
        yield made


@pytest.fixture
def issuer(served: FakeIssuer) -> FakeIssuer:
    served.reset()
    return served


shop = shared_shop(each=2)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def oidc(issuer: FakeIssuer) -> Oidc:
    return Oidc(issuer.url, SHOP, SECRET, audience=API)


@pytest.fixture
def http(shop: ServedCatalogue, keys: KeyFile, oidc: Oidc) -> Iterator[TestClient]:
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as one:
        one.follow_redirects = False
        yield one


def begin(http: TestClient, issuer: FakeIssuer, back: str = "/") -> str:
    """Begin a login; give where the issuer sends the browser back to, as a path."""
    begun = http.get(BEGIN, params={"back": back})
    assert begun.status_code == 303, begun.text
    there = urlsplit(begun.headers["location"])
    assert f"{there.scheme}://{there.netloc}{there.path}" == f"{issuer.url}/authorize"
    with TestClient(issuer.app, base_url=issuer.url, follow_redirects=False) as browser:
        came = browser.get(f"{there.path}?{there.query}").headers["location"]
    assert came.startswith(f"{BASE}{CALLBACK}?")
    return came.removeprefix(BASE)


def who(http: TestClient, token: str | None = None) -> Any:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return http.get("/v1/session", headers=headers).json()


def ask(http: TestClient, token: str) -> Any:
    return http.get("/v1/facets", headers={"authorization": f"Bearer {token}"})


def test_a_login_ends_in_the_session_of_the_page(http: TestClient, issuer: FakeIssuer) -> None:
    nobody = who(http)
    assert nobody == {
        "caller": None,
        "role": None,
        "needs_key": True,
        "login": {"name": "127.0.0.1", "address": BEGIN},
    }
    came = begin(http, issuer, "/review?attribute=colour")
    cookie = http.cookies["gingham-login"]
    answer = http.get(came)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/review?attribute=colour"
    cookies = answer.headers.get_list("set-cookie")
    session = next(one for one in cookies if one.startswith("gingham=")).split("; ")
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={12 * 3600}"} <= set(session)
    assert "Secure" not in session
    assert "gingham-login" not in http.cookies
    assert (who(http)["caller"], who(http)["role"]) == ("ann~" + SUB, "editor")
    assert http.get("/v1/history").status_code == 200
    check_problem(http.delete("/v1/attributes/colour", headers=OURS), 403, "needs the role admin")
    check_problem(http.delete("/v1/attributes/colour"), 403, "may not send this")
    # The same answer of the issuer once more, as somebody would who has seen it.
    check_problem(http.get(came, headers={"cookie": f"gingham-login={cookie}"}), 401, "has ended")
    assert http.delete("/v1/session", headers=OURS).status_code == 204
    assert who(http) == nobody


SUB = hashlib.sha256(b"248289761001").hexdigest()[:8]


def test_the_login_cookie_comes_back_from_the_issuer_and_lets_nobody_in(
    http: TestClient, issuer: FakeIssuer
) -> None:
    cookie = http.get(BEGIN).headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=lax", f"Path={BEGIN}", "Max-Age=600"} <= set(cookie)
    secret = cookie[0].partition("=")[2]
    check_problem(http.get("/v1/facets", headers={"cookie": f"gingham={secret}"}), 401)


def test_behind_a_proxy_the_callback_is_given_and_the_cookies_are_secure(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer
) -> None:
    oidc = Oidc(issuer.url, SHOP, SECRET, callback=f"https://shop.example{CALLBACK}")
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        begun = http.get(BEGIN, follow_redirects=False)
        assert f"redirect_uri={'https%3A%2F%2Fshop.example'}" in begun.headers["location"]
        assert "Secure" in begun.headers["set-cookie"].split("; ")


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example/", "/v1/session", "javascript:x", "/\\evil", "", "["],
)
def test_after_a_login_only_our_own_page_is_shown(
    http: TestClient, issuer: FakeIssuer, back: str
) -> None:
    assert http.get(begin(http, issuer, back)).headers["location"] == "/"


def test_a_login_of_another_browser_is_refused(http: TestClient, issuer: FakeIssuer) -> None:
    came = begin(http, issuer)
    http.cookies.clear()
    check_problem(http.get(came), 401, "another browser")
    came = begin(http, issuer)
    http.cookies.clear()
    http.get(BEGIN)
    check_problem(http.get(came), 401, "another browser")
    assert who(http)["caller"] is None


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "'iss'"),
        ({"aud": "another"}, "'aud'"),
        ({"aud": [SHOP, "another"]}, "'azp'"),
        ({"aud": None}, "'aud'"),
        ({"exp": int(time.time()) - 100}, "expired"),
        ({"exp": None}, "'exp'"),
        ({"nbf": int(time.time()) + 86_400}, "'nbf'"),
        ({"nonce": "tampered"}, "'nonce'"),
        ({"nonce": None}, "'nonce'"),
        ({"sub": None}, "'sub'"),
        ({"at_hash": "wrong"}, "'at_hash'"),
    ],
)
def test_an_id_token_that_is_not_for_this_login_is_refused(
    http: TestClient, issuer: FakeIssuer, claims: dict[str, Any], said: str
) -> None:
    issuer.overrides = claims
    check_problem(http.get(begin(http, issuer)), 401, said)
    assert who(http)["caller"] is None


def test_state_code_and_issuer_are_held_against_what_was_begun(
    http: TestClient, issuer: FakeIssuer
) -> None:
    came = begin(http, issuer)
    check_problem(http.get(came.replace("state=", "state=x")), 401, "never begun")
    came = begin(http, issuer)
    check_problem(http.get(came.replace("code=", "code=x")), 401, "does not know this login")
    came = begin(http, issuer)
    check_problem(http.get(f"{came}&iss=https://evil.example"), 401, "another issuer")
    check_problem(http.get(f"{CALLBACK}?error=access_denied&state=x"), 401, "access_denied")
    problem = check_problem(http.get(f"{CALLBACK}?error=<script>"), 401, "no code")
    assert "script" not in json.dumps(problem)


def test_a_browser_is_told_in_words_what_is_wrong(http: TestClient, issuer: FakeIssuer) -> None:
    answer = http.get(f"{CALLBACK}?error=x%3Cb%3E", headers={"accept": "text/html,*/*"})
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert "The issuer has not let you in" in answer.text
    assert "style-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("user", "rule", "role"),
    [
        ({"roles": ["reader", "admin"]}, RoleRule(), "admin"),
        ({"roles": "reader other"}, RoleRule(), "reader"),
        ({"roles": ["superadmin"]}, RoleRule(), None),
        ({"roles": 17}, RoleRule(), None),
        ({"roles": {"admin": 1}}, RoleRule(), None),
        ({"roles": ["nothing"]}, RoleRule(default="reader"), "reader"),
        ({}, RoleRule(default="editor"), "editor"),
        ({"realm_access": {"roles": ["editor"]}}, RoleRule("realm_access.roles"), "editor"),
        ({"https://a.example/roles": ["admin"]}, RoleRule("https://a.example/roles"), "admin"),
        ({"realm_access": ["editor"]}, RoleRule("realm_access.roles"), None),
    ],
)
def test_roles(user: dict[str, Any], rule: RoleRule, role: str | None) -> None:
    assert rule.role(user) == role


def test_who_has_no_role_is_told_where_it_comes_from(http: TestClient, issuer: FakeIssuer) -> None:
    issuer.user |= {"roles": []}
    check_problem(http.get(begin(http, issuer)), 403, "claim roles", "ann~")
    check_problem(ask(http, issuer.access()), 403, "claim roles")


def test_an_access_token_is_a_key_of_its_role(http: TestClient, issuer: FakeIssuer) -> None:
    found = who(http, issuer.access(roles=["admin"]))
    assert (found["caller"], found["role"]) == ("ann~" + SUB, "admin")
    assert who(http, issuer.access(preferred_username=None, client_id="robot"))["caller"] == (
        "robot~" + SUB
    )
    assert who(http, issuer.access(preferred_username="a\nb"))["caller"] == "user~" + SUB
    assert ask(http, issuer.access(aud=["other", API])).status_code == 200
    assert ask(http, issuer.sign(aud=API)).status_code == 200, "an issuer that names no type"
    assert issuer.asked == ["discovery", "jwks"], "the keys are kept"


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "'iss'"),
        ({"aud": SHOP}, "'aud'"),
        ({"aud": None}, "'aud'"),
        ({"exp": int(time.time()) - 100}, "expired"),
        ({"exp": "tomorrow"}, "'exp'"),
        ({"exp": None}, "'exp'"),
        ({"nbf": int(time.time()) + 86_400}, "'nbf'"),
        ({"sub": None}, "'sub'"),
    ],
)
def test_an_access_token_that_is_not_for_this_server_is_refused(
    http: TestClient, issuer: FakeIssuer, claims: dict[str, Any], said: str
) -> None:
    answer = ask(http, issuer.access(**claims))
    check_problem(answer, 401, said)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_clocks_may_differ_by_a_minute(http: TestClient, issuer: FakeIssuer) -> None:
    now = int(time.time())
    assert ask(http, issuer.access(exp=now - 30, nbf=now + 30, iat=now + 30)).status_code == 200
    check_problem(ask(http, issuer.access(exp=now - 70)), 401)


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_signature_that_is_none_or_made_with_what_is_public_is_refused(
    http: TestClient, issuer: FakeIssuer
) -> None:
    assert ask(http, issuer.access()).status_code == 200
    _, claims, signature = issuer.access(roles=["admin"]).split(".")
    forged = [f"{part({'alg': alg, 'kid': 'first'})}.{claims}." for alg in ("none", "None", "")]
    public = issuer.rsa.as_pem(private=False)
    for secret in (public, public.strip(), json.dumps(issuer.rsa.as_dict(private=False)).encode()):
        text = f"{part({'alg': 'HS256', 'kid': 'first', 'typ': 'at+jwt'})}.{claims}"
        made = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        forged.append(f"{text}.{part(made)}")
    stranger = RSAKey.generate_key(2048, {"kid": "first"}, private=True)
    forged += [
        issuer.sign(stranger, {"typ": "at+jwt"}, aud=API),
        issuer.sign(stranger, {"typ": "at+jwt", "jku": "https://evil.example/jwks"}, aud=API),
        issuer.sign(stranger, {"typ": "at+jwt", "jwk": stranger.as_dict(private=False)}, aud=API),
        f"{part({'alg': 'RS256', 'kid': 'first'})}.{part({'sub': 'x'})}.{signature}",
        f"{part({'alg': 'RS256', 'kid': 'first', 'crit': ['x'], 'x': 1})}.{claims}.{signature}",
        f"{part(b'[' * 5000)}.{claims}.{signature}",
        f"{part({'alg': 'RS256', 'kid': ['first']})}.{claims}.{signature}",
        "a.b.c",
        "..",
        f"{'x' * 20000}.b.c",
    ]
    for token in forged:
        check_problem(ask(http, token), 401)
        assert http.get("/healthz", headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert issuer.asked == ["discovery", "jwks"]


def test_an_id_token_is_no_access_token(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer
) -> None:
    oidc = Oidc(issuer.url, SHOP, SECRET, audience=SHOP)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        check_problem(ask(http, issuer.sign(aud=SHOP, nonce="n")), 401, "no", "access token")
        check_problem(ask(http, issuer.sign(aud=SHOP)), 401, "access token")
        assert ask(http, issuer.access(aud=SHOP)).status_code == 200
    oidc = Oidc(issuer.url, SHOP, SECRET)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        check_problem(ask(http, issuer.access()), 401, "takes no tokens")


def test_unknown_keys_are_asked_for_and_not_at_will(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer
) -> None:
    now = 0.0
    oidc = Oidc(issuer.url, SHOP, audience=API, clock=lambda: now)
    second = ECKey.generate_key("P-256", {"kid": "second"}, private=True)
    token = issuer.sign(second, {"alg": "ES256", "typ": "at+jwt"}, aud=API)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        assert ask(http, issuer.access()).status_code == 200
        for _ in range(5):
            check_problem(ask(http, token), 401, "does not name")
        assert issuer.asked == ["discovery", "jwks"]
        issuer.keys = [second]
        now = 31.0
        assert ask(http, token).status_code == 200
        check_problem(ask(http, issuer.access()), 401, "does not name")
        assert issuer.asked == ["discovery", "jwks"] * 2
        # Known keys are asked for again after a while, without anybody having to wait.
        issuer.keys = [issuer.rsa]
        now = 5000.0
        until = time.monotonic() + 10
        while ask(http, token).status_code == 200:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(issuer.asked) == 6


def test_an_issuer_that_is_away_stops_neither_keys_nor_sessions_nor_known_tokens(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer
) -> None:
    secret = keys.add("bob", "reader")
    now = 0.0
    oidc = Oidc(issuer.url, SHOP, SECRET, audience=API, clock=lambda: now)
    issuer.broken = True
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        http.follow_redirects = False
        for answer in (http.get(BEGIN), ask(http, issuer.access())):
            check_problem(answer, 503, "cannot be asked", "use a key")
            assert answer.headers["retry-after"] == "5"
        assert issuer.asked == ["discovery"], "and is not asked by every request"
        assert ask(http, secret).status_code == 200
        issuer.broken, now = False, 6.0
        assert http.get(begin(http, issuer)).status_code == 303
        issuer.broken, now = True, 100.0
        assert ask(http, issuer.access()).status_code == 200
        assert who(http)["role"] == "editor"
        stranger = RSAKey.generate_key(2048, {"kid": "other"}, private=True)
        check_problem(ask(http, issuer.sign(stranger, aud=API)), 503, "cannot be asked")
        check_problem(http.get(begin(http, issuer)), 503, "cannot be asked")
    gone = Oidc("http://127.0.0.1:9", SHOP)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=gone)) as http:
        answer = http.get(BEGIN, headers={"accept": "text/html"})
        assert answer.status_code == 503
        assert "use a key" in answer.text


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"jwks_uri": "http://evil.example/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": []},
    ],
)
def test_a_discovery_document_that_cannot_be_used(
    http: TestClient, issuer: FakeIssuer, metadata: dict[str, Any]
) -> None:
    issuer.metadata = metadata
    check_problem(http.get(BEGIN), 503, "cannot be asked")


def test_a_login_takes_ten_minutes_at_most(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer
) -> None:
    now = 0.0
    oidc = Oidc(issuer.url, SHOP, SECRET, clock=lambda: now)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        http.follow_redirects = False
        came = begin(http, issuer)
        now = 600.0
        check_problem(http.get(came), 401, "has ended")


@pytest.mark.parametrize("secret", [SECRET, None])
def test_how_the_client_says_who_it_is(
    shop: ServedCatalogue, keys: KeyFile, issuer: FakeIssuer, secret: str | None
) -> None:
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    oidc = Oidc(issuer.url, SHOP, secret)
    with client(shop, access=Access(KeyRing(keys, every=0), oidc=oidc)) as http:
        http.follow_redirects = False
        answer = http.get(begin(http, issuer))
        assert answer.status_code == (303 if secret else 401)  # this issuer wants the secret


def test_without_an_issuer_there_is_nothing_to_log_in_with(
    shop: ServedCatalogue, keys: KeyFile
) -> None:
    secret = keys.add("bob", "reader")
    with client(shop, access=Access(KeyRing(keys, every=0))) as http:
        for path in (BEGIN, CALLBACK):
            check_problem(http.get(path), 404, "no issuer")
        assert who(http)["login"] is None
        check_problem(ask(http, "a.b.c"), 401, "unknown or was removed")
        assert ask(http, secret).status_code == 200


def test_an_issuer_keeps_others_out_as_keys_do(keys: KeyFile, oidc: Oidc) -> None:
    access = Access(KeyRing(keys, every=0), host="0.0.0.0", oidc=oidc)
    assert access.needs_key
    assert Access(KeyRing(keys, every=0), oidc=oidc).identify({}).caller is None


@pytest.mark.parametrize(
    "url",
    ["", "login.example", "http://login.example", "https://", "https://a@b", "https://a/#x", "["],
)
def test_an_issuer_that_cannot_be_asked_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"https://login\.example\.org"):
        Issuer(url)


def test_keys_that_cannot_sign_are_left_out() -> None:
    rsa = RSAKey.generate_key(2048, private=True).as_dict(private=False)
    there = [
        rsa | {"kid": "a"},
        rsa | {"kid": "b", "use": "enc"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "c"},
        {"kty": "RSA", "kid": "d"},
        {"kty": "new", "kid": "e"},
        "f",
    ]
    assert [key.kid for key in usable_keys({"keys": there})] == ["a"]
    for keys in ([], there[1:], 3, None):
        with pytest.raises(IssuerError):
            usable_keys({"keys": keys})
