"""How many OCSP answers a second are served on kept connections, from two cores."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from bench.figures import Figure, at_least, median
from renewal.gateways.ca.embedded.adapter import EmbeddedCa
from simulation.trial import open_trial
from xuqi.serving.http import Limits, listening
from xuqi.serving.public_site import PublicSite, application

GOAL = 2_000  #: answers a second
CONNECTIONS = 8
CERTIFICATES = 200
METHOD = (
    "OCSP: {answers} answers of {certificates} certificates, asked by POST without a nonce on "
    "{connections} kept connections by a process of its own over loopback, {rounds} rounds; the "
    "median. An answer is signed once and kept until half of its life is over or a certificate "
    "changes. Server and client share the machine's cores."
)


def figures(*, answers: int, rounds: int = 3) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        trial = open_trial(Path(folder) / "bank", port=0)
        app, ca = trial.app, trial.app.gateways.ca
        assert isinstance(ca, EmbeddedCa)
        site = PublicSite(store=app.store, public=app.settings.public, ca=ca, token=None)
        limits = Limits(requests_per_second=1_000_000)
        with listening(application(site), "127.0.0.1", 0, limits=limits) as port:
            rates = [_rate(port, _questions(ca), answers) for _ in range(rounds)]
        app.store.close()
    method = METHOD.format(
        answers=answers, certificates=CERTIFICATES, connections=CONNECTIONS, rounds=rounds
    )
    what = "OCSP answers on kept connections"
    return [at_least(what, median(rates), "answers/s", GOAL, method=method)]


def _questions(ca: EmbeddedCa) -> list[str]:
    issuer = x509.load_der_x509_certificate(ca.issuing_certificate)
    found = []
    for listed, _ in zip(ca.certificates(), range(CERTIFICATES), strict=False):
        leaf = x509.load_der_x509_certificate(listed.certificate)
        asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, SHA256()).build()
        found.append(asked.public_bytes(Encoding.DER).hex())
    return found


def _rate(port: int, questions: list[str], answers: int) -> float:
    told = json.dumps({"port": port, "questions": questions, "answers": answers})
    asked = subprocess.run(
        [sys.executable, "-m", "bench.ocsp_client", str(CONNECTIONS)],
        input=told.encode(),
        capture_output=True,
        check=True,
    )
    return float(asked.stdout)
