"""What tokens of an issuer say, once their signature and their claims have been checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.claims import JWTClaims
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError

from gingham.service.access import unknown_token
from gingham.service.caller import ROLES, Caller, Role
from gingham.service.oidc.issuer import Issuer
from gingham.service.problems import ROLE, ProblemError

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""All are asymmetric: what verifies a token cannot make one."""

LEEWAY = 60
"""Seconds by which the clocks of the issuer and of this machine may differ."""

_LONGEST = 16 << 10
_ACCESS_TYPES = ("at+jwt", "application/at+jwt")


@dataclass(frozen=True)
class RoleRule:
    """Which role a token gives.

    Attributes
    ----------
    claim : the name of the claim with roles; if there is none of that name, parts between dots
        lead to one.
    default : of those without a role; None: they are refused.
    """

    claim: str = "roles"
    default: Role | None = None

    def role(self, claims: Mapping[str, Any]) -> Role | None:
        """Give the highest role that claims name."""
        found: Any = claims
        for part in [self.claim] if self.claim in claims else self.claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        named = found.split() if isinstance(found, str) else found
        there = named if isinstance(named, Sequence) else ()
        return next((role for role in reversed(ROLES) if role in there), self.default)


class Tokens:
    """Checks tokens of one issuer.

    Parameters
    ----------
    issuer : who signs them.
    client_id : of this server, for whom ID tokens are.
    audience : for whom access tokens are; None: none is accepted.
    rule : says which roles they give.
    """

    def __init__(
        self, issuer: Issuer, client_id: str, audience: str | None, rule: RoleRule
    ) -> None:
        self._issuer = issuer
        self._client = client_id
        self._audience = audience
        self._rule = rule

    async def prepare(self, token: str) -> None:
        """Ask the issuer for the key of a token, if that is not known and not asked too often."""
        try:
            header = _header(token)
        except (JoseError, ValueError, RecursionError):
            return
        await self._issuer.know(header.get("kid"))

    def log_in(self, token: str, nonce: str, access_token: str | None) -> Caller:
        """Tell who has logged in.

        Parameters
        ----------
        token : an ID token.
        nonce : that the login was begun with.
        access_token : that came with it.

        Raises
        ------
        ProblemError
            If the token is not for this login, or gives no role.
        """
        found = self._verify(token)
        params = {"nonce": nonce, "client_id": self._client, "access_token": access_token}
        options = self._options(self._client)
        return self._caller(_validated(CodeIDToken(found.claims, found.header, options, params)))

    def caller(self, token: str) -> Caller:
        """Tell who sends an access token.

        Raises
        ------
        ProblemError
            If it is not for this server, or gives no role.
        """
        if self._audience is None:
            raise unknown_token("this server takes no tokens: send a key, or log in on the page")
        found = self._verify(token)
        # An ID token says who somebody is to the page, not that a program may act for them.
        kind = str(found.header.get("typ", "")).lower()
        if kind not in _ACCESS_TYPES and (
            self._audience == self._client or "nonce" in found.claims or "at_hash" in found.claims
        ):
            raise unknown_token("this is not an access token: send one whose type is at+jwt")
        options = self._options(self._audience)
        return self._caller(_validated(JWTClaims(found.claims, found.header, options)))

    def _options(self, audience: str) -> Any:
        return {
            "iss": {"essential": True, "value": self._issuer.url},
            "aud": {"essential": True, "value": audience},
            "sub": {"essential": True},
            "exp": {"essential": True},
        }

    def _verify(self, token: str) -> jwt.Token:
        """Check the signature alone."""
        try:
            kid = _header(token).get("kid")
            key = self._issuer.key(kid)
            if key is None:
                if self._issuer.in_trouble:
                    raise self._issuer.away()
                raise unknown_token("the token is signed with a key that its issuer does not name")
            return jwt.decode(token, key, algorithms=ALGORITHMS)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise unknown_token(
                "the token cannot be read, or its signature is not the issuer's"
            ) from None

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        name = _name(claims)
        role = self._rule.role(claims)
        if role is None:
            raise ProblemError(
                ROLE,
                f"no role here is given to {name}: let whoever runs the issuer put reader, "
                f"editor or admin into the claim {self._rule.claim}",
            )
        return Caller(name, role)


def _header(token: str) -> Mapping[str, Any]:
    if len(token) > _LONGEST:
        raise ValueError(len(token))
    header: Mapping[str, Any] = jws.extract_compact(token.encode("ascii")).headers()
    if not isinstance(header.get("kid", ""), str):
        raise ValueError(header["kid"])
    return header


def _validated(claims: Any) -> Mapping[str, Any]:
    try:
        claims.validate(leeway=LEEWAY)
    except ExpiredTokenError:
        raise unknown_token("the token has expired: get a new one of its issuer") from None
    except (InvalidClaimError, MissingClaimError) as error:
        raise unknown_token(
            f"the token is not for this server, or not yet: its claim {error.claim!a} is wrong or "
            "missing"
        ) from None
    except (JoseError, ValueError, TypeError):
        raise unknown_token("the claims of the token cannot be used") from None
    return dict(claims)


def _name(claims: Mapping[str, Any]) -> str:
    """Name somebody: as they like, and with what only the issuer gives; no key is named so."""
    liked = claims.get("preferred_username") or claims.get("email") or claims.get("client_id")
    liked = liked if isinstance(liked, str) and liked.isprintable() else "user"
    return f"{liked[:64]}~{hashlib.sha256(str(claims['sub']).encode()).hexdigest()[:8]}"
