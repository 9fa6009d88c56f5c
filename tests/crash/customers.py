"""The customers of the small bank: what each wants, does and sees, kept in files on their side."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from centre.actions import CodeNotSent, CodeResult, CodeSent
from renewal.errors import NotNowError
from renewal.rules.proof import confirmation
from renewal.store import renewals as queries
from schema.policy import Storage
from schema.reasons import RefusalReason
from simulation.client import BrowserKey
from token_station.errors import TokenError
from token_station.piv.session import open_token
from token_station.simulator.reader import SimulatedReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from renewal.db.rows import Renewal
    from tests.crash.world import World

PIN = "135790"
ENDED = ("done", "refused", "abandoned")
ROUNDS = 4  #: of three guesses
CODE = re.compile(r"驗證碼(\d+)，")


@dataclass(frozen=True, kw_only=True)
class Person:
    number: int  #: also of the certificate
    product: str
    days: int  #: until the certificate ends
    wants: str  #: to renew, to pay and forget, to decline at the last moment, or nothing
    role: str = "administrator"
    reachable: bool = True

    @property
    def mobile(self) -> str | None:
        return f"+88691200000{self.number}" if self.reachable else None

    @property
    def mail(self) -> str | None:
        return f"customer{self.number}@example.test" if self.reachable else None

    @property
    def token(self) -> str:
        return f"029dc2d{self.number}"


CUSTOMERS = (
    Person(number=1, product="securities-browser", days=18, wants="to renew"),
    Person(number=2, product="corporate-token", days=18, wants="to renew"),
    Person(number=3, product="cooperative-card", days=18, wants="to renew"),
    Person(number=4, product="corporate-token", days=3, wants="to pay and forget"),
    Person(number=5, product="cooperative-card", days=18, wants="to decline"),
    Person(number=6, product="securities-browser", days=18, wants="nothing"),
)


class Sees(Protocol):
    def __call__(self, name: str) -> list[dict[str, Any]]: ...


class Side:
    """One customer's own side. What is done is in the file before the next thing is begun."""

    def __init__(self, world: World, person: Person) -> None:
        self.world, self.person = world, person
        self._path: Path = world.home / "customers" / f"{person.number}.json"
        self.knows: dict[str, Any] = json.loads(self._path.read_text())
        self.wants = person.wants

    def remember(self, **news: object) -> None:
        self.knows.update(news)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.knows))
        fresh.replace(self._path)

    def note(self, did: str, result: str = "ok", *, serial: str = "") -> None:
        self.world.saw.append(
            customer=self.person.number,
            certificate=serial or serial_of(self.old),
            did=did,
            result=result,
            mobile=self.person.mobile,
            mail=self.person.mail,
            product=self.person.product,
        )

    @property
    def old(self) -> bytes:
        return bytes.fromhex(self.knows["certificates"][0])

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        key = load_pem_private_key(self.knows["keys"][-1].encode(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

    # --- what they do ---------------------------------------------------------------------------

    def go_on(self) -> bool:
        """Do the next thing, if there is one to do now; say whether there was."""
        acts: dict[str, Callable[[], bool]] = {
            "to renew": self._renews,
            "to pay and forget": self._pays,
            "to decline": self._declines,
            "to guess": self._guesses,
            "nothing": lambda: False,
        }
        return acts[self.wants]()

    def _renews(self) -> bool:
        if self.knows.get("proved"):
            return False
        if self.world.policy(self.person).storage is Storage.BROWSER:
            return self._renews_in_browser()
        if self.person.product == "corporate-token" and not self._has_paid():
            return self._pays()
        return self._asks() or self._brings_token() or self._looks_at_token()

    def _asks(self) -> bool:
        if "renewal" in self.knows:
            return False
        renewal = self._renewal()
        if renewal is None:
            with self.world.killer.watching("centre.request"):
                branch = None if self._in_browser else self.world.branch
                answer = self.world.app.centre.request(self.person.number, branch=branch)
            if isinstance(answer, RefusalReason):
                self.note("asked", answer.value)
                return False
            renewal = answer
        self.note("asked", renewal.id)
        self.remember(renewal=renewal.id)
        return True

    @property
    def _in_browser(self) -> bool:
        return self.world.policy(self.person).storage is Storage.BROWSER

    def _renewal(self) -> Renewal | None:
        """What the centre's page shows of their renewal."""
        with self.world.app.store.snapshot() as look:
            found = queries.of_certificate(look, self.person.number)
            return found[-1] if found else None

    def _state(self) -> str:
        renewal = self._renewal()
        return renewal.state if renewal else ""

    # --- in the browser -------------------------------------------------------------------------

    def _renews_in_browser(self) -> bool:
        return self._asks() or self._confirms() or self._collects() or self._proves()

    def _confirms(self) -> bool:
        if self.knows.get("confirmed"):
            return False
        if self._state() != "requested":  # it was, and the answer was lost with the page
            self.note("coded", "right")
            self.remember(confirmed=True)
            return True
        challenge = self.knows.get("challenge")
        code = self._code_for(challenge) if challenge else None
        if code is None:
            return self._asks_for_code(challenge)
        return self._enters(str(challenge), code)

    def _asks_for_code(self, challenge: str | None) -> bool:
        now = self.world.clock.now()
        if challenge and now < datetime.fromisoformat(self.knows["expires"]):
            return False
        with self.world.killer.watching("centre.send_code"):
            sent = self.world.app.centre.send_code(
                self.person.number, action="renew", session="the page"
            )
        assert isinstance(sent, CodeSent), sent.why if isinstance(sent, CodeNotSent) else ""
        expires = (now + timedelta(seconds=sent.seconds)).isoformat()
        self.remember(challenge=sent.challenge, expires=expires)
        return True

    def _guesses(self) -> bool:
        """Guess until no new code is sent any more; then try the right one, and go away."""
        if self.knows.get("gone"):
            return False
        if self._asks():
            return True
        challenge = self.knows.get("challenge")
        code = self._code_for(challenge) if challenge else None
        if code is None:
            return not challenge and self._asks_to_guess()
        if self.knows.get("rounds", 0) == ROUNDS:
            self._enters(str(challenge), code)
            self.remember(gone=True)
            return True
        for guess in range(int(code) + 1, int(code) + 4):
            self._enters(str(challenge), f"{guess % 10_000:04}")
        self.remember(rounds=self.knows.get("rounds", 0) + 1, challenge=None)
        return True

    def _asks_to_guess(self) -> bool:
        sent = self.world.app.centre.send_code(
            self.person.number, action="renew", session="the page"
        )
        if isinstance(sent, CodeNotSent):
            self.world.app.centre.decline(self.knows["renewal"])
            self.note("declined", sent.why.stored())
            self.remember(gone=True)
        else:
            self.remember(challenge=sent.challenge)
        return True

    def _code_for(self, challenge: str) -> str | None:
        for line in self.world.outside("sms"):
            found = CODE.search(line["body"])
            if found and line["ref"].startswith(challenge):
                return found[1]
        return None

    def _enters(self, challenge: str, code: str) -> bool:
        keys = self.knows["keys"]
        if len(keys) == 1:
            self.remember(keys=[*keys, pem(ec.generate_private_key(ec.SECP256R1()))])
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        csr = builder.sign(self.key, SHA256()).public_bytes(Encoding.DER)
        with self.world.killer.watching("centre.confirm"):
            answer = self.world.app.centre.confirm(
                self.knows["renewal"],
                challenge=challenge,
                code=code,
                session="the page",
                csr=csr,
                approval=self._approval(csr),
                terms=b"terms",
            )
        self.note("coded", answer.result.value)
        if answer.result is CodeResult.RIGHT:
            self.remember(confirmed=True)
        else:
            self.remember(challenge=None)
        return True

    def _approval(self, csr: bytes) -> bytes:
        """By the present key, the first of those on file."""
        with self.world.app.store.snapshot() as look:
            challenge = look.renewals.get(self.knows["renewal"]).challenge
        present = load_pem_private_key(self.knows["keys"][0].encode(), None)
        assert isinstance(present, ec.EllipticCurvePrivateKey)
        content = confirmation(self.knows["renewal"], challenge, csr)
        return BrowserKey(present).approval(content, self.old)

    def _collects(self) -> bool:
        if len(self.knows["certificates"]) > 1:
            return False
        with self.world.killer.watching("centre.collect"):
            der = self.world.app.centre.collect(self.knows["renewal"])
        if der is None:
            return False
        self.note("received", serial=serial_of(der))
        self.remember(certificates=[*self.knows["certificates"], der.hex()])
        return True

    def _proves(self) -> bool:
        if len(self.knows["certificates"]) == 1:
            return False
        renewal = self._renewal()
        assert renewal is not None
        signature = self.key.sign(renewal.challenge, ec.ECDSA(SHA256()))
        self.note("proved", serial=serial_of(self.newest))
        try:
            with self.world.killer.watching("centre.prove"):
                self.world.app.centre.prove(renewal.id, signature)
        except NotNowError as error:  # never, but for a mutant
            self.note("proved", str(error), serial=serial_of(self.newest))
        self.remember(proved=True)
        return True

    @property
    def newest(self) -> bytes:
        return bytes.fromhex(self.knows["certificates"][-1])

    # --- with a token ---------------------------------------------------------------------------

    def _brings_token(self) -> bool:
        wanted = {"requested", "issued", "delivered", "confirmed", "fee held", "sent to CA"}
        if self._state() not in wanted or self.world.is_in_reader(self.person):
            return False
        self.world.insert(self.person)
        self.note("brought_token")
        return True

    def _looks_at_token(self) -> bool:
        """Once the centre says that it is in force: what is on the token now?"""
        if self._state() not in {"activated", "done"}:
            return False
        self.world.pull(self.person)
        reader = SimulatedReader("at home")
        reader.insert(self.world.card(self.person))
        session = open_token(reader, self.world.app.keys.tokens.value)
        [new] = [one.der for one in session.certificates() if one.der != self.old]
        reader.pull()
        self.note("received", serial=serial_of(new))
        self.note("proved", serial=serial_of(new))
        self.remember(certificates=[*self.knows["certificates"], new.hex()], proved=True)
        return True

    def _declines(self) -> bool:
        """Change their mind when the certificate is there; the token was taken home before."""
        if self.knows.get("declined"):
            return False
        if self._asks():
            return True
        if self._state() == "requested":
            return self._brings_token()
        if self._state() not in {"issued", *ENDED}:
            return False
        try:
            with self.world.killer.watching("centre.decline"):
                self.world.app.centre.decline(self.knows["renewal"])
        except NotNowError:
            assert self._state() == "abandoned"  # the answer was lost: they have declined before
        self.note("declined")
        self.remember(declined=True)
        return True

    # --- paying ---------------------------------------------------------------------------------

    def _pays(self) -> bool:
        if "payment" in self.knows:
            return False
        with self.world.killer.watching("centre.pay"):
            answer = self.world.app.centre.pay(self.person.number)
        payment = f"P{self.person.number:08d}-01"
        if isinstance(answer, CodeNotSent):
            assert answer.why.code is RefusalReason.ALREADY_PAID
        else:
            payment = answer.id
        self.note("paid", payment)
        self.remember(payment=payment)
        return True

    def _has_paid(self) -> bool:
        if "payment" not in self.knows:
            return False
        with self.world.app.store.snapshot() as look:
            return look.payments.get(self.knows["payment"]).state in {
                "paid",
                "reserved",
                "consumed",
            }

    # --- signing --------------------------------------------------------------------------------

    def use(self) -> None:
        """
        Sign with the newest certificate that is valid today, and check it as its receiver would.
        """
        now = self.world.clock.now()
        for der in map(bytes.fromhex, reversed(self.knows["certificates"])):
            one = x509.load_der_x509_certificate(der)
            if one.not_valid_before_utc <= now <= one.not_valid_after_utc:
                self.note("used", self._try(der, one), serial=serial_of(der))
                return

    def _try(self, der: bytes, certificate: x509.Certificate) -> str:
        serial = certificate.serial_number
        for line in self.world.outside("ca"):
            if int(line["serial"], 16) == serial and line["op"] == "revoke":
                return "revoked"
        if self._in_browser:
            at = self.knows["certificates"].index(der.hex())
            key = load_pem_private_key(self.knows["keys"][at].encode(), None)
            return "ok" if spki(key) == spki(certificate) else "another key"
        reader = SimulatedReader("at home")
        reader.insert(self.world.card(self.person))
        try:
            session = open_token(reader, self.world.app.keys.tokens.value)
            for one in session.certificates():
                if one.der == der:
                    session.sign(one.key_slot, b"an order", pin=PIN)
                    return "ok"
        except TokenError as error:
            return str(error)
        finally:
            reader.pull()
        return "it is not on the token"


def serial_of(der: bytes) -> str:
    return f"{x509.load_der_x509_certificate(der).serial_number:x}"


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode()


def spki(holder: Any) -> bytes:  # noqa: ANN401 - whatever has a public key
    der: bytes = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return der
