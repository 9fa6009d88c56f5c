"""Customers, their enrolments and their certificates."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from schema.states import CertificateState
from schema.tables.types import BigKey, UtcDateTime, metadata

#: ``*_sealed`` is personal data under AES-GCM; ``*_hash`` is its keyed hash, for look-up.
customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", BigKey, primary_key=True),
    sa.Column("reference_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("id_number_sealed", sa.LargeBinary, nullable=False),
    sa.Column("id_number_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name_sealed", sa.LargeBinary, nullable=False),
    sa.Column("mobile_sealed", sa.LargeBinary),
    sa.Column("mobile_hash", sa.LargeBinary, index=True),
    sa.Column("mail_sealed", sa.LargeBinary),
    sa.Column("mail_hash", sa.LargeBinary, index=True),
    sa.Column("mobile_bad", sa.String(64)),  # why the number is not used any more
    sa.Column("mail_bad", sa.String(64)),
    sa.Column("locale", sa.String(8), nullable=False),
    sa.Column("opted_out", sa.Boolean, nullable=False),
    sa.Column("contact_version", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("mobile_bad_until", UtcDateTime),  # none: until somebody opens it
    sa.Column("mail_bad_until", UtcDateTime),
    sa.Column("codes_bad", sa.String(64)),  # why the number gets no codes; reminders stand apart
    sa.Column("codes_bad_until", UtcDateTime),
    sa.Column("reference_sealed", sa.LargeBinary),  # the bank's own customer number
)

#: Where a customer was reached before: kept until that address has been told of the change.
replaced_addresses = sa.Table(
    "replaced_addresses",
    metadata,
    sa.Column("customer", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("contact_version", sa.Integer, primary_key=True),  # which of the changes it was
    sa.Column("channel", sa.String(8), primary_key=True),  # sms | mail
    sa.Column("address_sealed", sa.LargeBinary, nullable=False),
    sa.Column("address_hash", sa.LargeBinary, nullable=False),
    sa.Column("replaced_at", UtcDateTime, nullable=False, index=True),
)

#: A new mobile number, to which codes will go once a second person has confirmed it.
contact_edits = sa.Table(
    "contact_edits",
    metadata,
    sa.Column("customer", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("mobile_sealed", sa.LargeBinary, nullable=False),
    sa.Column("seen", sa.String(32), nullable=False),  # names this edit; random
    sa.Column("made_by", sa.String(64), nullable=False),
    sa.Column("why", sa.String(300), nullable=False),
    sa.Column("made_at", UtcDateTime, nullable=False),
)

enrolments = sa.Table(
    "enrolments",
    metadata,
    sa.Column("customer", sa.ForeignKey("customers.id"), primary_key=True),
    sa.Column("product", sa.String(64), primary_key=True),
    sa.Column("customer_class", sa.SmallInteger, nullable=False),
    sa.Column("operator", sa.String(32), nullable=False),  # user | administrator | SUPER001 ...
    sa.Column("branch", sa.String(16)),
    sa.Column("account_sealed", sa.LargeBinary),
    sa.Column("version", sa.Integer, nullable=False),
)

certificates = sa.Table(
    "certificates",
    metadata,
    sa.Column("id", BigKey, primary_key=True),
    sa.Column("customer", sa.ForeignKey("customers.id"), index=True),
    sa.Column("product", sa.String(64), nullable=False),
    sa.Column("slot", sa.String(96), nullable=False),
    sa.Column("token_serial", sa.String(64)),
    sa.Column("issuer_hash", sa.LargeBinary, nullable=False),
    sa.Column("serial", sa.String(64), nullable=False),  # hex, lower case
    sa.Column("spki_sha256", sa.LargeBinary, nullable=False),
    sa.Column("certificate_sha256", sa.LargeBinary, nullable=False),
    sa.Column("not_before", UtcDateTime, nullable=False),
    sa.Column("not_after", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("renewal", sa.String(32)),  # the renewal that made it
    sa.Column("der_sealed", sa.LargeBinary, nullable=False),
    sa.Column("announced_at", UtcDateTime),  # entered its window
    sa.Column("left_at", UtcDateTime),  # left it un-renewed
    sa.Column("told", sa.Integer),  # the last threshold told, in days left
    sa.Column("remind_at", UtcDateTime),  # when the next one is owed
    sa.Column("changes", sa.Integer, nullable=False),  # how often a person has changed its state
    sa.Column("version", sa.Integer, nullable=False),
    # Its signature was verified when it came in; none: it came in before that was asked for.
    sa.Column("verified", sa.Boolean),
    sa.UniqueConstraint("issuer_hash", "serial"),
    sa.CheckConstraint(CertificateState.check(), name="state"),
)

sa.Index("ix_certificates_serial", certificates.c.serial)
# A public key is certified once, whoever asks.
sa.Index("ix_certificates_spki", certificates.c.spki_sha256)
sa.Index("ix_certificates_slot", certificates.c.slot)
# I2: at most one in force in a slot, whatever the code believes.
sa.Index(
    "uq_certificates_slot_in_force",
    certificates.c.slot,
    unique=True,
    sqlite_where=certificates.c.state.in_(("active", "suspended")),
    postgresql_where=certificates.c.state.in_(("active", "suspended")),
)

# SQLite, without figures of what is in a column, would take it where another is far better.
sa.Index("ix_certificates_state_postgresql", certificates.c.state, certificates.c.id).ddl_if(
    dialect="postgresql"
)
_rests = sa.or_(
    customers.c.mobile_bad.is_not(None),
    customers.c.mail_bad.is_not(None),
    customers.c.codes_bad.is_not(None),
)
sa.Index("ix_customers_resting", customers.c.id, sqlite_where=_rests, postgresql_where=_rests)

_covered = ("customer", "version")


def _scan_index(name: str, *columns: sa.Column[Any], unless: sa.Column[Any] | None = None) -> None:
    """
    A partial covering index of what is active, and where ``unless`` is not set yet.

    PostgreSQL covers by INCLUDE. SQLite does so by further key columns, and by those of the
    condition too, which it looks at again.
    """
    first = columns[0] if unless is None else unless
    set_yet = first.is_not(None) if unless is None else first.is_(None)
    where = sa.and_(certificates.c.state == "active", set_yet)
    covered = [certificates.c[name] for name in _covered]
    looked_at = [certificates.c.state, *(() if unless is None else (unless,))]
    sa.Index(f"{name}_sqlite", *columns, *covered, *looked_at, sqlite_where=where).ddl_if(
        dialect="sqlite"
    )
    sa.Index(
        f"{name}_postgresql", *columns, postgresql_where=where, postgresql_include=list(_covered)
    ).ddl_if(dialect="postgresql")


_c = certificates.c
_of_product = (_c.product, _c.not_after, _c.id)
_scan_index("ix_certificates_to_announce", *_of_product, unless=_c.announced_at)
_scan_index("ix_certificates_to_leave", *_of_product, unless=_c.left_at)
_scan_index("ix_certificates_to_remind", _c.remind_at, _c.id)
