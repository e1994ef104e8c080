"""A catalogue over HTTP."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gingham.cli.console import say
from gingham.cli.options import FolderArgument, IndexOption, app
from gingham.errors import InputError, require_extra
from gingham.store.files import refusals

if TYPE_CHECKING:
    from gingham.service.oidc.login import Oidc

SECRET_VARIABLE = "GINGHAM_OIDC_SECRET"  # noqa: S105
"""Never an argument, which other users of the machine may see."""


@app.command()
def serve(
    catalogue: FolderArgument,
    host: Annotated[
        str,
        typer.Option(
            help="Where to listen. Beyond 127.0.0.1, a key is needed: see `gingham keys add`."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only",
            help="Refuse whatever would change the catalogue; other processes may change it.",
        ),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Answer only for this host name, as behind a proxy; repeat for more. Default: any "
            "name if --host is not this machine alone.",
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A copy of a catalogue's keys.json to use instead of its own."
        ),
    ] = None,
    index: IndexOption = None,
    webhook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="POST signed JSON there when an attribute or its tags change."
        ),
    ] = None,
    webhook_secret_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Holds the secret that signs what --webhook posts."),
    ] = None,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line of JSON for each request to stderr.")
    ] = False,
    oidc_issuer: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Let people log in with this issuer of OpenID Connect, too."
        ),
    ] = None,
    oidc_client_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of this server, as registered there.")
    ] = None,
    oidc_secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Holds the secret of that client. Default: the environment variable "
            "GINGHAM_OIDC_SECRET; without either, the client is a public one.",
        ),
    ] = None,
    oidc_audience: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also take access tokens of the issuer for this audience in place of keys.",
        ),
    ] = None,
    oidc_role_claim: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The claim that names the roles; a dot leads into an object."
        ),
    ] = "roles",
    oidc_default_role: Annotated[
        str | None,
        typer.Option(
            metavar="ROLE",
            help="Of those for whom that claim names no role: reader, editor or admin. Default: "
            "they are refused.",
        ),
    ] = None,
    oidc_callback: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where browsers reach /v1/session/oidc/callback. Default: on the host that they "
            "ask, over https except on this machine.",
        ),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Serve a catalogue over HTTP and as a web page, until Ctrl-C or SIGTERM.

    If the catalogue has keys, every request needs one. Without keys, only this machine can ask.
    With --oidc-issuer and --oidc-client-id people can log in, too.

    While it is served no other process can change the catalogue, unless it is served with
    --read-only: then what others change is seen by the next request. What was accepted is finished
    before the server stops.
    """
    modules = ("fastapi", "python_multipart", "prometheus_client", "uvicorn")
    require_extra("service", *modules, purpose="gingham serve")
    from gingham.service.access import Access
    from gingham.service.app import create_app
    from gingham.service.keys import FILE, KeyFile, KeyRing
    from gingham.service.libraries import missing
    from gingham.service.limits import DEFAULT_LIMITS
    from gingham.service.serve import address_of, listen, run
    from gingham.service.served import ServedCatalogue
    from gingham.service.webhook import Webhook
    from gingham.store.site import folder_of

    if os.path.isfile(catalogue):  # noqa: PTH113
        raise InputError(f'"{catalogue}" is a file: give the folder of the catalogue')
    if keys is not None and not keys.is_file():
        raise InputError(f'"{keys}" is not a file: give the keys.json of a catalogue to --keys')
    if (webhook is None) != (webhook_secret_file is None):
        raise InputError("give --webhook and --webhook-secret-file together")
    hook = None
    if webhook is not None and webhook_secret_file is not None:
        hook = Webhook.read(webhook, webhook_secret_file)
    ring = KeyRing(KeyFile(keys or folder_of(catalogue) / FILE))
    oidc = _oidc(
        oidc_issuer,
        oidc_client_id,
        secret_file=oidc_secret_file,
        audience=oidc_audience,
        role_claim=oidc_role_claim,
        default_role=oidc_default_role,
        callback=oidc_callback,
    )
    access = Access(ring, host=host, allowed_hosts=allowed_host or (), oidc=oidc)
    with listen(host, port) as listening, ServedCatalogue.open(catalogue, index=index) as shop:
        if not read_only:
            shop.hold(address_of(listening))
        say(f"{catalogue} is served at {address_of(listening)}; Ctrl-C stops")
        if (how := missing()) is not None:
            say(how)
        elif open_page:
            typer.launch(address_of(listening))
        made = create_app(
            shop,
            access=access,
            read_only=read_only,
            webhook=hook,
            access_log=sys.stderr if access_log else None,
        )
        run(made, listening, DEFAULT_LIMITS)


def _oidc(
    issuer: str | None,
    client_id: str | None,
    *,
    secret_file: Path | None,
    audience: str | None,
    role_claim: str,
    default_role: str | None,
    callback: str | None,
) -> Oidc | None:
    """Make what lets people log in with an issuer.

    Raises
    ------
    InputError
        If what is given does not go together, or cannot be used.
    MissingExtraError
        If the extra is not installed.
    """
    if issuer is None or client_id is None:
        given = (issuer, client_id, secret_file, audience, default_role, callback)
        if any(one is not None for one in given):
            raise InputError("give --oidc-issuer and --oidc-client-id together to log people in")
        return None
    require_extra("oidc", "authlib", purpose="gingham serve --oidc-issuer")
    from gingham.service.caller import ROLES
    from gingham.service.oidc.login import Oidc
    from gingham.service.oidc.tokens import RoleRule

    role = next((role for role in ROLES if role == default_role), None)
    if role != default_role:
        raise InputError(
            f"role {default_role!r} of --oidc-default-role: give {', '.join(ROLES[:-1])} or "
            f"{ROLES[-1]}"
        )
    secret = os.environ.get(SECRET_VARIABLE) or None
    if secret_file is not None:
        with refusals(secret_file):
            secret = secret_file.read_text(encoding="utf-8", errors="replace").strip()
        if not secret:
            raise InputError(f'"{secret_file}" is empty: write the secret of the client into it')
    rule = RoleRule(role_claim, role)
    return Oidc(issuer, client_id, secret, audience=audience, rule=rule, callback=callback)
