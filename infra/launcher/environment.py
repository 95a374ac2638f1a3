"""The settings of a one-machine installation: made at the first run, kept in `.palabre/env`."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from dotenv import dotenv_values

from infra.errors import InfraError
from infra.launcher.table import SERVICES
from infra.processes import free_port

#: Random values that only this installation knows.
SECRETS = (
    "PALABRE_ACCOUNTS_PEPPER",
    "PALABRE_REPORTS_SECRET",
    "PALABRE_VOTING_SECRET",
    "PALABRE_GATEWAY_SECRET",
    *(f"PALABRE_{name.upper()}_DATABASE_PASSWORD" for name in (*SERVICES, "gateway")),
)

#: Short names a person may type before `make run`, the setting each stands for, its default.
#: Decided anew at every start, so that leaving one out means the default again.
PER_RUN = {
    "EVENTS": ("PALABRE_EVENTS", "embedded"),
    "PORT": ("PALABRE_GATEWAY_PORT", "8000"),
    "DEMO": ("PALABRE_DEMO", "1"),
}

#: Settings written once; a person may change them in the file.
DEFAULTS = {"PALABRE_ENV": "demo", "PALABRE_SMS": "console"}


def read_env(path: Path) -> dict[str, str]:
    """Return the settings in a file of `NAME=value` lines; none when there is no file."""
    if not path.exists():
        return {}
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def write_env(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by its owner only: it holds secrets."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    lines = ["# Made by `palabre up`; holds secrets.\n"]
    lines += [f"{name}={value}\n" for name, value in sorted(values.items())]
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)
    draft.replace(path)


def prepare(home: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings for a start in `home`; `given` is the environment, which wins.

    Secrets and ports are kept from the last run; a port that somebody took is changed.
    """
    settings = DEFAULTS | read_env(home / "env")
    settings |= {name: value for name, value in given.items() if name.startswith("PALABRE_")}
    for short, (name, default) in PER_RUN.items():
        settings[name] = given.get(short) or given.get(name) or default
    if settings["PALABRE_EVENTS"] not in ("embedded", "kafka"):
        raise InfraError(f"EVENTS is embedded or kafka, not {settings['PALABRE_EVENTS']!r}")
    public = settings["PALABRE_GATEWAY_PORT"]
    if not (public.isascii() and public.isdigit() and 0 < int(public) < 65536):
        raise InfraError(f"PORT is a number from 1 to 65535, not {public!r}")
    for name in SECRETS:
        settings.setdefault(name, secrets.token_hex(32))
    settings.setdefault("PALABRE_MEDIA_DIR", str(home / "media"))
    settings.setdefault("PALABRE_ACCOUNTS_SIGNING_KEY_FILE", str(home / "accounts-signing-key.pem"))
    make_signing_key(Path(settings["PALABRE_ACCOUNTS_SIGNING_KEY_FILE"]))
    taken = {int(public)}
    for service in SERVICES:
        prefix = f"PALABRE_{service.upper()}"
        port = free_port(int(settings.get(f"{prefix}_PORT", 0)) or None, avoid=taken)
        taken.add(port)
        settings |= {f"{prefix}_PORT": str(port), f"{prefix}_URL": f"http://127.0.0.1:{port}"}
    settings["PALABRE_GATEWAY_URL"] = f"http://127.0.0.1:{public}"
    return settings


def make_signing_key(path: Path) -> None:
    """Make the Ed25519 key that signs tokens, unless it is there."""
    if path.exists():
        return
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
