"""`xuqi ca`: the revocation list, and the state of one certificate as the CA answers it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xuqi.cli.context import REFUSED, CliContext, as_json, cli

if TYPE_CHECKING:
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa


@click.group("ca", help="憑證廢止清冊與線上狀態。\n\nThe CRL and the online status.")
def command() -> None:
    pass


@command.command(help="寫出最新的廢止清冊。\n\nWrite the newest revocation list.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--root", is_flag=True, help="根憑證機構的 / of the root")
@click.option("--pem", is_flag=True, help="PEM（預設 DER） / PEM instead of DER")
@as_json
@cli
def crl(context: CliContext, file: Path, *, root: bool, pem: bool, as_json: bool) -> None:
    from cryptography import x509  # noqa: PLC0415 - help needs none
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    ca = _embedded(context)
    found = x509.load_der_x509_crl(ca.root_crl() if root else ca.crl())
    _replace(file, found.public_bytes(Encoding.PEM if pem else Encoding.DER))
    values = {
        "file": str(file),
        "entries": len(found),
        "this_update": found.last_update_utc,
        "next_update": found.next_update_utc,
    }
    line = context.lang.pick(f"{file}：{len(found)} 筆", f"{file}: {len(found)} entries")
    context.print_result(values, [line], as_json=as_json)


@command.command(
    help="向線上狀態服務詢問一個序號（十六進位）。\n\n"
    "Ask the OCSP responder about a serial (hex).\n\n"
    "結束代碼 / exit code: 0 good, 1 otherwise."
)
@click.argument("serial")
@as_json
@cli
@click.pass_context
def ocsp(ctx: click.Context, context: CliContext, serial: str, *, as_json: bool) -> None:
    try:
        number = int(serial.replace(":", ""), 16)
    except ValueError as error:
        raise click.BadParameter(f"{serial!r} is no serial in hex", param_hint="SERIAL") from error
    values = _ask(_embedded(context), number)
    zh = {"GOOD": "有效", "REVOKED": "已廢止或暫禁", "UNKNOWN": "不是這個機構簽發的"}
    line = context.lang.pick(zh[values["status"]], values["status"].lower())
    if values["reason"]:
        line += f" ({values['reason']}, {values['revoked_at']})"
    context.print_result(values, [line], as_json=as_json)
    if values["status"] != "GOOD":
        ctx.exit(REFUSED)


@command.group(help="根憑證機構的金鑰離線保存。\n\nThe root's key, which can be kept offline.")
def root() -> None:
    pass


@root.command(
    help="把根金鑰取出到新檔案（仍以密語加密）；之後清冊要用 `ca root sign` 簽署。\n\n"
    "Take the root's key out into a new file, encrypted as it is; its list is signed by "
    "`ca root sign` from then on."
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@cli
def export(context: CliContext, file: Path) -> None:
    from renewal.errors import XuqiError  # noqa: PLC0415 - help needs none

    ca = _embedded(context)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(ca.root_key())
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise XuqiError(f"{file}: cannot be written: {error.strerror}") from error
    ca.take_root_key()  # only when the file is there for good
    context.say(
        f"根金鑰已在 {file}，這裡不再有：請移到離線保存",
        f"the root's key is in {file} and no longer here: keep it offline",
    )


@root.command(
    help="以離線的根金鑰簽署新的根清冊。\n\nSign a new list of the root with its offline key."
)
@click.argument("key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@cli
def sign(context: CliContext, key: Path) -> None:
    from cryptography import x509  # noqa: PLC0415 - help needs none

    made = x509.load_der_x509_crl(_embedded(context).sign_root_crl(key.read_bytes()))
    until = made.next_update_utc
    context.say(f"新的根清冊有效到 {until}", f"the root's new list is good until {until}")


def _replace(file: Path, content: bytes) -> None:
    """
    Put a whole file in its place: half a list is never read, and a link is not followed.
    """
    from renewal.errors import XuqiError  # noqa: PLC0415 - help needs none

    fresh = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as out:
            out.write(content)
        fresh.replace(file)
    except OSError as error:
        raise XuqiError(f"{file}: cannot be written: {error.strerror}") from error


def _ask(ca: EmbeddedCa, number: int) -> dict[str, Any]:
    """Ask as anybody would: by a question and a signed answer (RFC 6960)."""
    from cryptography import x509  # noqa: PLC0415 - help needs none
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415
    from cryptography.x509 import ocsp as protocol  # noqa: PLC0415

    issuer = x509.load_der_x509_certificate(ca.issuing_certificate)
    name = hashlib.sha256(issuer.subject.public_bytes()).digest()
    builder = protocol.OCSPRequestBuilder().add_certificate_by_hash(
        name, _key_hash(issuer), number, SHA256()
    )
    answer = protocol.load_der_ocsp_response(ca.ocsp(builder.build().public_bytes(Encoding.DER)))
    reason = answer.revocation_reason
    return {
        "serial": f"{number:x}",
        "status": answer.certificate_status.name,
        "reason": reason.value if reason else None,
        "revoked_at": answer.revocation_time_utc,
        "this_update": answer.this_update_utc,
        "next_update": answer.next_update_utc,
    }


def _key_hash(issuer: Any) -> bytes:  # noqa: ANN401 - an x509.Certificate, imported above
    """The hash of the key's bits alone, without tag, length and algorithm (RFC 6960, 4.1.1)."""
    from asn1crypto.keys import PublicKeyInfo  # noqa: PLC0415 - help needs none
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(bytes(PublicKeyInfo.load(spki)["public_key"])).digest()


def _embedded(context: CliContext) -> EmbeddedCa:
    from renewal.errors import XuqiError  # noqa: PLC0415 - help needs none
    from renewal.gateways.ca.embedded.adapter import EmbeddedCa  # noqa: PLC0415

    ca = context.app.gateways.ca
    if not isinstance(ca, EmbeddedCa):
        raise XuqiError("the CA is outside: it publishes its own CRL and answers OCSP itself")
    return ca
