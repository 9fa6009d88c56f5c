"""Renewals, one-time codes, messages, reminder claims and decisions."""

from __future__ import annotations

import sqlalchemy as sa

from schema.states import RENEWAL, RenewalState
from schema.tables.types import BigKey, UtcDateTime, metadata

OPEN = tuple(state.value for state in RenewalState if state in RENEWAL.open)
ENDED = tuple(state.value for state in RenewalState if state in RENEWAL.ended)

renewals = sa.Table(
    "renewals",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),  # R<certificate>-<attempt>
    # The one to renew; of an application (no old one) its own, whose row comes when it is issued.
    sa.Column("certificate", BigKey, nullable=False, index=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), nullable=False, index=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("slot", sa.String(96), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("branch", sa.String(16)),  # where the token is written
    sa.Column("requested_at", UtcDateTime, nullable=False),
    sa.Column("moved_at", UtcDateTime, nullable=False),
    sa.Column("terms_sha256", sa.LargeBinary),  # the text that was agreed to
    sa.Column("csr", sa.LargeBinary),  # PKCS#10, DER
    sa.Column("spki_sha256", sa.LargeBinary, unique=True),  # a key is used once, by anybody
    sa.Column("proof", sa.LargeBinary),  # CMS by the old key, where there is one
    sa.Column("challenge", sa.LargeBinary, nullable=False),  # what the new key must sign
    sa.Column("new_certificate", sa.ForeignKey("certificates.id")),
    sa.Column("not_before", UtcDateTime),
    sa.Column("not_after", UtcDateTime),  # as asked of the CA: on record before it is asked
    sa.Column("fee_amount", sa.Integer, nullable=False),  # whole New Taiwan dollars, as quoted
    sa.Column("fee_state", sa.String(16), nullable=False),
    sa.Column("fee_account_sealed", sa.LargeBinary),  # pinned when the fee is held
    sa.Column("old_state", sa.String(16), nullable=False),  # none | untouched | to revoke | ...
    sa.Column("why", sa.String(200)),
    sa.Column("collected_told", sa.Integer),  # the last "not collected" step told, in days
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("blank_token", sa.String(64)),  # given out in the place of the old one
    sa.CheckConstraint(RenewalState.check(), name="state"),
)
_open = renewals.c.state.in_(OPEN)
sa.Index(
    "uq_renewals_slot_open",
    renewals.c.slot,
    unique=True,
    sqlite_where=_open,
    postgresql_where=_open,
)
sa.Index(
    "ix_renewals_open_moved_at",
    renewals.c.moved_at,
    renewals.c.id,
    sqlite_where=_open,
    postgresql_where=_open,
)

challenges = sa.Table(
    "challenges",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("customer", BigKey, nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("certificate", BigKey, nullable=False),
    sa.Column("session_hash", sa.LargeBinary, nullable=False),
    sa.Column("contact_version", sa.Integer, nullable=False),
    sa.Column("mobile_hash", sa.LargeBinary),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),  # HMAC of the code, never the code
    sa.Column("issued_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("most_tries", sa.Integer, nullable=False),
    sa.Column("used_at", UtcDateTime),
    sa.Column("superseded_at", UtcDateTime),
    sa.Column(
        "secret_sealed", sa.LargeBinary
    ),  # from which its digits are derived, and nothing else
    sa.Column("issued_boot", sa.String(64)),  # which start of which machine; empty: not known
    sa.Column("issued_ran", sa.BigInteger),  # microseconds since then
    sa.Index("ix_challenges_customer_issued_at", "customer", "action", "issued_at"),
    sa.Index("ix_challenges_issued_at", "issued_at"),
    sa.Index("ix_challenges_mobile_hash_issued_at", "mobile_hash", "issued_at"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("kind", sa.String(24), nullable=False),
    sa.Column("customer", BigKey, nullable=False, index=True),
    sa.Column("channel", sa.String(8), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owed_at", UtcDateTime, nullable=False),
    sa.Column("claimed_at", UtcDateTime),
    sa.Column("handed_at", UtcDateTime),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("carrier_id", sa.String(200)),
    sa.Column("code", sa.String(16), nullable=False),  # the carrier's error, or empty
    sa.Column("text_hash", sa.LargeBinary, nullable=False),
    sa.Column("instead_of", sa.String(40)),  # the message on another channel that failed
    sa.Column("renewal", sa.String(32), index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("address_hash", sa.LargeBinary),  # of where it went, as the customer's own
    sa.Column("about", sa.LargeBinary),  # the event of which a notice tells
)
sa.Index("ix_messages_owed_at", messages.c.owed_at, messages.c.id)
# SQLite, without figures of what is in a column, would take it where another is far better.
sa.Index(
    "ix_messages_state_postgresql", messages.c.state, messages.c.owed_at, messages.c.id
).ddl_if(dialect="postgresql")
_failed = messages.c.state == "undelivered"
sa.Index(
    "ix_messages_failed",
    messages.c.address_hash,
    messages.c.ended_at,
    sqlite_where=_failed,
    postgresql_where=_failed,
)
_handed = messages.c.state == "handed over"
sa.Index(
    "ix_messages_unreported",
    messages.c.handed_at,
    messages.c.id,
    sqlite_where=_handed,
    postgresql_where=_handed,
)

#: I5: a reminder for one (certificate, threshold, channel) is claimed once.
reminder_claims = sa.Table(
    "told",
    metadata,
    sa.Column("certificate", sa.ForeignKey("certificates.id"), primary_key=True),
    sa.Column("threshold", sa.Integer, primary_key=True),
    sa.Column("channel", sa.String(8), primary_key=True),
    sa.Column("message", sa.String(40), nullable=False, index=True),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("certificate", BigKey, nullable=False, index=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("about", sa.String(16), nullable=False),  # reminder | renewal | fee | CA | token ...
    sa.Column("what", sa.String(32), nullable=False),
    sa.Column("why", sa.String(200), nullable=False),
    sa.Column("threshold", sa.Integer),
    sa.Column("channel", sa.String(8)),
    sa.Column("until", UtcDateTime),
    sa.Column("message", sa.String(40)),
    sa.Column("renewal", sa.String(32)),
)
