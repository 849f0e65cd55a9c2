"""Detached signatures with SSH keys, which most who use git have: made and checked by ssh-keygen."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from arkor.errors import ArkorError, ConfigError

__all__ = ["KEY_ALONE", "NAMESPACE", "sign", "signature_path", "signer_of", "signing_key"]

NAMESPACE: Final = "arkor"
"""What the signature is for: one made for git or for a mail is none of an anchor."""

KEY_ALONE: Final = "key"
"""The name of a signer of whom nothing is given but a public key."""

PATIENCE: Final = 60
"""Seconds for an agent, or for a finger on a security key."""

_KEY_TYPES: Final = ("ssh-", "ecdsa-", "sk-")


def signature_path(file: Path) -> Path:
    """Where ssh-keygen writes the signature of `file`: beside it."""
    return file.with_name(f"{file.name}.sig")


def signing_key(given: Path | None = None) -> str | None:
    """The key to sign with: a path, or the text of a public key that an agent has the other of.

    `given`, else git's `user.signingkey` if that is an SSH key, else `~/.ssh/id_ed25519`; `None`
    if there is none of these. Raises `ConfigError` if `given` is not there.
    """
    if given is not None:
        if not given.expanduser().is_file():
            raise ConfigError(f"there is no key {given}", field="key")
        return str(given.expanduser())
    configured = _git_signing_key()
    if configured is not None:
        literal = configured.removeprefix("key::")
        if literal.startswith(_KEY_TYPES):
            return literal
        if Path(configured).expanduser().is_file():
            return str(Path(configured).expanduser())
    usual = Path("~/.ssh/id_ed25519").expanduser()
    there = [path for path in (usual, usual.with_name(f"{usual.name}.pub")) if path.is_file()]
    return str(there[0]) if there else None


def sign(file: Path, key: str, *, ask: bool) -> Path:
    """Sign `file` with a key of `signing_key`, and give the path of the signature.

    With `ask` ssh-keygen may ask for a passphrase at the terminal; otherwise the key has none or
    an agent has it. Raises `ArkorError` if it cannot be used.
    """
    with _key_file(key) as path:
        done = _ssh_keygen("sign", "-f", str(path), "-n", NAMESPACE, str(file), ask=ask)
    if done.returncode != 0:
        raise ArkorError(
            f"the key {key[:100]} cannot sign: {_reason(done)}; add it to an agent with "
            "`ssh-add`, or name another with --key"
        )
    return signature_path(file)


def signer_of(file: Path, signature: Path, signers: Path) -> str | None:
    """Who of `signers` has signed `file`; `None` if nobody has, or something else.

    `signers` is a file as ssh-keygen(1) has it under ALLOWED SIGNERS, or a public key alone.
    Raises `ConfigError` for a file that is not there, `ArkorError` without ssh-keygen.
    """
    for path in (file, signature, signers):
        if not path.is_file():
            raise ConfigError(f"there is no file {path}", field="signature")
    with TemporaryDirectory(prefix="arkor-") as folder:
        allowed = Path(folder) / "allowed_signers"
        allowed.write_text(_allowed(signers))
        of = ("-f", str(allowed), "-s", str(signature))
        found = _ssh_keygen("find-principals", *of)
        for who in found.stdout.decode(errors="replace").splitlines():
            done = _ssh_keygen("verify", *of, "-I", who, "-n", NAMESPACE, data=file.read_bytes())
            if done.returncode == 0:
                return who
    return None


def _allowed(signers: Path) -> str:
    text = signers.read_text(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    # A public key's own line begins with its type, where that of a signer begins with a name.
    named = (f"{KEY_ALONE} {line}" if line.startswith(_KEY_TYPES) else line for line in lines)
    return "\n".join((*named, ""))


def _git_signing_key() -> str | None:
    try:
        done = subprocess.run(
            ["git", "config", "--get", "user.signingkey"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # without git nothing is configured there
    return done.stdout.strip() or None


@contextmanager
def _key_file(key: str) -> Iterator[Path]:
    if not key.startswith(_KEY_TYPES):
        yield Path(key)
        return
    with TemporaryDirectory(prefix="arkor-") as folder:
        path = Path(folder) / "key.pub"
        path.write_text(f"{key}\n")
        yield path


def _ssh_keygen(
    action: str, *arguments: str, ask: bool = False, data: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    environ = {**os.environ, "LC_ALL": "C"}
    if not ask:
        environ["SSH_ASKPASS_REQUIRE"] = "never"
        environ.pop("DISPLAY", None)
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", action, *arguments],
            input=None if ask else data,
            stdout=subprocess.PIPE,
            stderr=None if ask else subprocess.PIPE,
            env=environ,
            # Without a terminal of its own it cannot ask, whoever is sitting there.
            start_new_session=not ask,
            timeout=None if ask else PATIENCE,
            check=False,
        )
    except FileNotFoundError as error:
        raise ArkorError(
            "ssh-keygen is not installed (Debian has it in openssh-client); without it nothing "
            "is signed, and no signature checked"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ArkorError(f"ssh-keygen did not answer within {PATIENCE} s") from error


def _reason(done: "subprocess.CompletedProcess[bytes]") -> str:
    lines = (done.stderr or b"").decode(errors="replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    last = said[-1] if said else f"ssh-keygen exited with {done.returncode}"
    return last.removeprefix("Enter passphrase: ")
