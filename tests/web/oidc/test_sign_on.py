"""Log-ins with an issuer that is honest, and with one that lies in every way there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import OctKey, RSAKey

from renewal.secret import Secret
from tests.scenario.stores import NOON
from tests.servers.oidc_issuer import CLIENT, EC, FOREIGN, RSA, SECRET, local_issuer
from web.oidc.issuer import ASKED_AT_MOST_EVERY, KEPT, SPARED, OidcIssuer
from web.oidc.provider import OidcProvider, SignOnError, SignOnFault
from web.oidc.sign_on import ANSWERED_WITHIN, Pending, SignedOn, SignOn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.oidc_issuer import LocalIssuer

BACK = "http://testserver/login/bank/back"
MINUTE = timedelta(minutes=1)


@dataclass
class OwnClock:
    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


@dataclass
class Peer:
    """An issuer, our side of it, and a browser between them."""

    issuer: LocalIssuer
    clock: OwnClock
    ours: SignOn = field(init=False)

    def __post_init__(self) -> None:
        self.ours = SignOn(
            provider=OidcProvider(
                issuer=self.issuer.url, client=CLIENT, secret=Secret(SECRET.encode())
            ),
            issuer=OidcIssuer(self.issuer.url, self.clock),
            clock=self.clock,
        )

    def asked(self) -> tuple[dict[str, str], Pending]:
        """Begin, and bring back what the issuer answers."""
        where, pending = self.ours.begin(BACK)
        back = httpx.get(where).headers["Location"]
        return dict(parse_qsl(urlsplit(back).query)), pending

    def log_in(self) -> SignedOn:
        answer, pending = self.asked()
        return self.ours.finish(answer, pending, BACK)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[LocalIssuer, OwnClock]]:
    clock = OwnClock()
    with local_issuer(clock.now) as issuer:
        yield issuer, clock


@pytest.fixture
def peer(running: tuple[LocalIssuer, OwnClock]) -> Peer:
    issuer, clock = running
    issuer.honest()
    clock.at = NOON
    return Peer(issuer, clock)


@pytest.mark.parametrize(("alg", "key"), [("RS256", RSA), ("ES256", EC)])
def test_whom_the_issuer_has_logged_in_is_known_by_their_claims(
    peer: Peer, alg: str, key: object
) -> None:
    peer.issuer.alg, peer.issuer.key = alg, key
    peer.issuer.who = {"sub": "4711", "customer_number": "C-1"}

    signed = peer.log_in()

    assert (signed.claims["sub"], signed.claims["customer_number"]) == ("4711", "C-1")


def seconds(off: float) -> int:
    return int(NOON.timestamp() + off)


LIES: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "somebody else's"},
    "no nonce": {"nonce": None},
    "for another client": {"aud": "other"},
    "for two, and authorized for the other": {"aud": [CLIENT, "other"], "azp": "other"},
    "for two, and not said for whom": {"aud": [CLIENT, "other"]},
    "no audience": {"aud": None},
    "of another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "expired a second beyond the skew": {"exp": seconds(-61)},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "issued after the skew": {"iat": seconds(61)},
    "issued long before we asked": {"iat": seconds(-61)},
    "not valid yet": {"nbf": seconds(61)},
    "of another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "nobody": {"sub": None},
    "an empty subject": {"sub": ""},
    "a subject that is too long": {"sub": "x" * 256},
    "too long": {"note": "x" * 17_000},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_says_anything_else_logs_nobody_in(peer: Peer, lie: str) -> None:
    peer.issuer.says = LIES[lie]

    with pytest.raises(SignOnError) as refused:
        peer.log_in()

    assert refused.value.fault is SignOnFault.UNTRUSTED


@pytest.mark.parametrize("said", [{"exp": seconds(-59)}, {"iat": seconds(59)}, {"aud": [CLIENT]}])
def test_a_clock_that_is_wrong_by_less_than_a_minute_is_borne(
    peer: Peer, said: dict[str, Any]
) -> None:
    peer.issuer.says = said

    assert peer.log_in().claims["sub"] == "4711"


def test_a_token_without_signature_logs_nobody_in(peer: Peer) -> None:
    peer.issuer.unsigned = True
    peer.issuer.published = {"id_token_signing_alg_values_supported": ["RS256", "none"]}

    with pytest.raises(SignOnError, match="alg"):
        peer.log_in()


def test_a_mac_by_our_own_secret_logs_nobody_in(peer: Peer) -> None:
    peer.issuer.published = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    peer.issuer.alg, peer.issuer.key = "HS256", OctKey.import_key(SECRET, {"kid": "rsa-1"})

    with pytest.raises(SignOnError, match="alg"):
        peer.log_in()


@pytest.mark.parametrize("name", ["foreign", "rsa-1"])
def test_a_key_that_the_issuer_does_not_publish_logs_nobody_in(peer: Peer, name: str) -> None:
    peer.issuer.key = RSAKey.import_key(FOREIGN.as_dict(private=True) | {"kid": name})

    with pytest.raises(SignOnError) as refused:
        peer.log_in()

    assert refused.value.fault is SignOnFault.UNTRUSTED


def test_an_answer_to_another_question_is_not_ours(peer: Peer) -> None:
    answer, _ = peer.asked()
    _, other = peer.asked()

    with pytest.raises(SignOnError) as refused:
        peer.ours.finish(answer, other, BACK)

    assert refused.value.fault is SignOnFault.NOT_OURS


def test_a_code_that_was_stolen_is_worth_nothing_without_our_verifier(peer: Peer) -> None:
    answer, _ = peer.asked()
    mine, pending = peer.asked()

    with pytest.raises(SignOnError) as refused:
        peer.ours.finish({**mine, "code": answer["code"]}, pending, BACK)

    assert refused.value.fault is SignOnFault.UNTRUSTED


@pytest.mark.parametrize("late", [ANSWERED_WITHIN + timedelta(seconds=1), -MINUTE])
def test_an_answer_after_ten_minutes_is_too_late(peer: Peer, late: timedelta) -> None:
    answer, pending = peer.asked()

    peer.clock.at += late

    with pytest.raises(SignOnError) as refused:
        peer.ours.finish(answer, pending, BACK)
    assert refused.value.fault is SignOnFault.NOT_OURS


@pytest.mark.parametrize("named", ["https://evil.example", ""])
def test_an_answer_of_another_issuer_gets_no_code_of_this_one(peer: Peer, named: str) -> None:
    peer.issuer.answers = {"iss": named}
    answer, pending = peer.asked()
    if not named:
        answer.pop("iss", None)

    with pytest.raises(SignOnError, match="another issuer"):
        peer.ours.finish(answer, pending, BACK)


def test_whom_the_issuer_declines_is_not_logged_in(peer: Peer) -> None:
    answer, pending = peer.asked()

    with pytest.raises(SignOnError) as refused:
        peer.ours.finish({**answer, "error": "access_denied"}, pending, BACK)

    assert refused.value.fault is SignOnFault.DECLINED


def test_keys_are_kept_and_read_anew_after_a_rotation(peer: Peer) -> None:
    peer.log_in()
    peer.issuer.asked.clear()
    peer.log_in()
    kept = peer.issuer.asked.count("/jwks")
    fresh = RSAKey.generate_key(2048, {"kid": "rsa-2"})
    peer.issuer.key, peer.issuer.keys = fresh, [fresh]

    peer.clock.at += ASKED_AT_MOST_EVERY
    peer.log_in()

    assert (kept, peer.issuer.asked.count("/jwks")) == (0, 1)


def test_made_up_key_names_do_not_have_us_ask_without_end(peer: Peer) -> None:
    peer.issuer.key = FOREIGN
    for _ in range(3):
        with pytest.raises(SignOnError):
            peer.log_in()

    assert peer.issuer.asked.count("/jwks") >= 1
    peer.issuer.asked.clear()
    with pytest.raises(SignOnError):
        peer.log_in()
    assert peer.issuer.asked.count("/jwks") == 0


def test_a_key_that_was_withdrawn_is_not_taken_for_longer_than_an_hour(peer: Peer) -> None:
    peer.log_in()
    peer.issuer.keys = [EC]

    peer.clock.at += KEPT

    with pytest.raises(SignOnError):
        peer.log_in()


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 7},
    ],
)
def test_a_document_that_leads_elsewhere_is_not_used(
    peer: Peer, published: dict[str, object]
) -> None:
    peer.issuer.published = published

    with pytest.raises(SignOnError) as refused:
        peer.ours.begin(BACK)

    assert refused.value.fault is SignOnFault.UNAVAILABLE


def test_an_issuer_that_does_not_answer_is_asked_once_and_not_by_every_log_in(peer: Peer) -> None:
    peer.issuer.published = {"jwks_uri": 7}
    peer.issuer.asked.clear()
    for _ in range(3):
        with pytest.raises(SignOnError):
            peer.ours.begin(BACK)
    asked = len(peer.issuer.asked)

    peer.issuer.honest()
    peer.clock.at += SPARED
    peer.log_in()

    assert asked == 1


def test_what_goes_wrong_is_told_without_any_value_that_came_in(peer: Peer) -> None:
    peer.issuer.says = {"nonce": "a-canary", "iss": "a-canary"}

    with pytest.raises(SignOnError) as refused:
        peer.log_in()

    assert "canary" not in str(refused.value)
    assert SECRET not in repr(peer.ours)
