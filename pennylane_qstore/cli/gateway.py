"""The commands ``qstore gateway`` and ``qstore gateway tokens``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pennylane_qstore.bench.text import aligned
from pennylane_qstore.cli.output import Json, show, time_text, typed_errors
from pennylane_qstore.cli.serve import Runs, serve_until_stopped

if TYPE_CHECKING:
    from pennylane_qstore.gateway.tokens import Tokens

gateway = typer.Typer(
    help="Serve IonQ's API to many clients, with one key, one ledger and one budget."
)
tokens = typer.Typer(help="Tokens of the gateway's users.", no_args_is_help=True)
gateway.add_typer(tokens, name="tokens")

LedgerFile = Annotated[
    Path | None, typer.Option(help="Ledger file; by default gateway.sqlite3 in the data folder.")
]
User = Annotated[str, typer.Argument(help="Name of the user.")]


@gateway.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8124,
    host: Annotated[
        str, typer.Option(help="Address; beyond loopback only with a certificate.")
    ] = "127.0.0.1",
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate and chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate (PEM).")] = None,
    ledger: LedgerFile = None,
    base_url: Annotated[str | None, typer.Option(help="URL of the service.")] = None,
    budget_usd: Annotated[
        float | None, typer.Option(min=0, help="Limit of everybody, in US dollars.")
    ] = None,
    user_budget_usd: Annotated[
        float | None, typer.Option(min=0, help="Limit of each user, in US dollars.")
    ] = None,
    run_budget_usd: Annotated[
        float | None, typer.Option(min=0, help="Limit of each run of a user (jobs of one name).")
    ] = None,
    window_s: Annotated[
        float, typer.Option(min=0, help="Seconds in which paid jobs are merged; 0: not at all.")
    ] = 0.25,
    retry_window_s: Annotated[
        float, typer.Option(min=0, help="Seconds in which an equal request may be a retry.")
    ] = 60.0,
    max_open: Annotated[int, typer.Option(min=1, help="Jobs on their way at most.")] = 2000,
    on_ambiguous: Annotated[
        str, typer.Option(help="Jobs that may exist unseen: raise, or resubmit.")
    ] = "raise",
    runs: Runs = None,
) -> None:
    """Serve IonQ's API; the key is read from IONQ_API_KEY, clients bring tokens."""
    if context.invoked_subcommand is not None:
        return
    from pennylane_qstore.gateway.gateway import Gateway
    from pennylane_qstore.gateway.store import Limits

    with typed_errors():
        server = Gateway(
            base_url=base_url,
            ledger=ledger,
            host=host,
            port=port,
            tls_cert=tls_cert,
            tls_key=tls_key,
            limits=Limits(budget_usd, user_budget_usd, run_budget_usd),
            window_s=window_s,
            retry_window_s=retry_window_s,
            max_open=max_open,
            on_ambiguous=on_ambiguous,
            runs=runs or (),
        )
        users = len({entry.user for entry in server.tokens.entries() if entry.revoked_at is None})
        hint = f"{users} user(s)" if users else "no users yet: `qstore gateway tokens create NAME`"
        serve_until_stopped(
            server,
            lambda: f"Gateway to IonQ on {server.url} ({hint}).\nJobs of all users: {server.page}",
        )


@tokens.command()
@typed_errors()
def create(
    user: User,
    budget_usd: Annotated[
        float | None, typer.Option(min=0, help="The user's own limit, in US dollars.")
    ] = None,
    ledger: LedgerFile = None,
    as_json: Json = False,
) -> None:
    """Create a token and print it, for this once; earlier ones stay valid."""
    token = _tokens(ledger).create(user, budget_usd)
    show(as_json, {"user": user, "token": token}, [token])


@tokens.command()
@typed_errors()
def revoke(user: User, ledger: LedgerFile = None, as_json: Json = False) -> None:
    """Revoke all tokens of a user."""
    count = _tokens(ledger).revoke(user)
    show(as_json, {"user": user, "revoked": count}, [f"{count} token(s) of {user} revoked."])


@tokens.command("list")
@typed_errors()
def list_tokens(ledger: LedgerFile = None, as_json: Json = False) -> None:
    """List tokens by the beginning of their hash, oldest first, and what their users spent."""
    entries: list[dict[str, Any]] = [
        {
            "user": entry.user,
            "sha256": entry.sha256,
            "created": time_text(entry.created_at),
            "revoked": "valid" if entry.revoked_at is None else time_text(entry.revoked_at),
            "spent_usd": entry.spent_usd,
            "budget_usd": entry.budget_usd,
        }
        for entry in _tokens(ledger).entries()
    ]
    rows = [["user", "sha256", "created", "revoked", "spent", "own limit"]]
    for *texts, spent, limit in map(dict.values, entries):
        rows.append([*texts, f"${spent:,.2f}", "" if limit is None else f"${limit:,.2f}"])
    show(as_json, entries, [*aligned(rows, left=4), f"{len(entries)} token(s)."])


def _tokens(ledger: Path | None) -> Tokens:
    from pennylane_qstore.gateway.gateway import gateway_path
    from pennylane_qstore.gateway.tokens import Tokens
    from pennylane_qstore.ionq.ledger.ledger import Ledger

    return Tokens(Ledger(ledger or gateway_path()))
