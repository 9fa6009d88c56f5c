CREATE TABLE accounts (
	id VARCHAR(48) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	posted BIGINT NOT NULL,
	pending_debits BIGINT NOT NULL,
	pending_credits BIGINT NOT NULL,
	may_overdraw BOOLEAN NOT NULL,
	CONSTRAINT pk_accounts PRIMARY KEY (id),
	CONSTRAINT ck_accounts_kind CHECK (kind IN ('asset','liability','income')),
	CONSTRAINT ck_accounts_pending CHECK (pending_debits >= 0 AND pending_credits >= 0),
	CONSTRAINT ck_accounts_available CHECK (may_overdraw OR (kind = 'asset' AND posted - pending_credits >= 0) OR (kind <> 'asset' AND -posted - pending_debits >= 0))
)

CREATE TABLE events (
	seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	topic VARCHAR(48) NOT NULL,
	"key" VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	at DATETIME NOT NULL,
	body BLOB NOT NULL,
	CONSTRAINT uq_events_identity UNIQUE (identity)
)

CREATE INDEX ix_events_topic_seq ON events (topic, seq)

CREATE TABLE offsets (
	consumer VARCHAR(48) NOT NULL,
	position INTEGER NOT NULL,
	CONSTRAINT pk_offsets PRIMARY KEY (consumer)
)

CREATE TABLE inbox (
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	state VARCHAR(8) NOT NULL,
	at DATETIME NOT NULL,
	CONSTRAINT pk_inbox PRIMARY KEY (consumer, identity)
)
 WITHOUT ROWID

CREATE TABLE parked (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	topic VARCHAR(48) NOT NULL,
	"key" VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	at DATETIME NOT NULL,
	body BLOB NOT NULL,
	due DATETIME,
	tries INTEGER NOT NULL,
	why VARCHAR(300) NOT NULL,
	CONSTRAINT uq_parked_consumer_identity UNIQUE (consumer, identity)
)

CREATE INDEX ix_parked_consumer_due ON parked (consumer, due, id)

CREATE INDEX ix_parked_consumer_key ON parked (consumer, "key", id)

CREATE TABLE dead_letters (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	topic VARCHAR(48) NOT NULL,
	"key" VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	at DATETIME NOT NULL,
	body BLOB NOT NULL,
	tries INTEGER NOT NULL,
	why VARCHAR(300) NOT NULL,
	died_at DATETIME NOT NULL,
	state VARCHAR(8) NOT NULL
)

CREATE TABLE audit (
	id INTEGER NOT NULL,
	at DATETIME NOT NULL,
	who VARCHAR(64) NOT NULL,
	did VARCHAR(48) NOT NULL,
	object VARCHAR(96) NOT NULL,
	why VARCHAR(300) NOT NULL,
	hash BLOB NOT NULL,
	CONSTRAINT pk_audit PRIMARY KEY (id)
)

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END

CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END

CREATE TABLE leases (
	name VARCHAR(48) NOT NULL,
	holder VARCHAR(64) NOT NULL,
	until DATETIME NOT NULL,
	term INTEGER NOT NULL,
	CONSTRAINT pk_leases PRIMARY KEY (name)
)

CREATE TABLE challenges (
	id VARCHAR(40) NOT NULL,
	customer INTEGER NOT NULL,
	action VARCHAR(16) NOT NULL,
	certificate INTEGER NOT NULL,
	session_hash BLOB NOT NULL,
	contact_version INTEGER NOT NULL,
	mobile_hash BLOB,
	fingerprint BLOB NOT NULL,
	issued_at DATETIME NOT NULL,
	expires_at DATETIME NOT NULL,
	tries INTEGER NOT NULL,
	most_tries INTEGER NOT NULL,
	used_at DATETIME,
	superseded_at DATETIME,
	CONSTRAINT pk_challenges PRIMARY KEY (id)
)

CREATE INDEX ix_challenges_customer_issued_at ON challenges (customer, action, issued_at)

CREATE INDEX ix_challenges_mobile_hash_issued_at ON challenges (mobile_hash, issued_at)

CREATE TABLE messages (
	id VARCHAR(40) NOT NULL,
	kind VARCHAR(24) NOT NULL,
	customer INTEGER NOT NULL,
	channel VARCHAR(8) NOT NULL,
	state VARCHAR(16) NOT NULL,
	owed_at DATETIME NOT NULL,
	claimed_at DATETIME,
	handed_at DATETIME,
	ended_at DATETIME,
	carrier_id VARCHAR(200),
	code VARCHAR(16) NOT NULL,
	text_hash BLOB NOT NULL,
	instead_of VARCHAR(40),
	renewal VARCHAR(32),
	version INTEGER NOT NULL,
	CONSTRAINT pk_messages PRIMARY KEY (id)
)

CREATE INDEX ix_messages_customer ON messages (customer)

CREATE INDEX ix_messages_renewal ON messages (renewal)

CREATE INDEX ix_messages_unreported ON messages (handed_at, id) WHERE state = 'handed over'

CREATE TABLE decisions (
	id INTEGER NOT NULL,
	certificate INTEGER NOT NULL,
	at DATETIME NOT NULL,
	about VARCHAR(16) NOT NULL,
	what VARCHAR(32) NOT NULL,
	why VARCHAR(200) NOT NULL,
	threshold INTEGER,
	channel VARCHAR(8),
	until DATETIME,
	message VARCHAR(40),
	renewal VARCHAR(32),
	CONSTRAINT pk_decisions PRIMARY KEY (id)
)

CREATE INDEX ix_decisions_certificate ON decisions (certificate)

CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END

CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions is append-only'); END

CREATE TABLE customers (
	id INTEGER NOT NULL,
	reference_hash BLOB NOT NULL,
	id_number_sealed BLOB NOT NULL,
	id_number_hash BLOB NOT NULL,
	name_sealed BLOB NOT NULL,
	mobile_sealed BLOB,
	mobile_hash BLOB,
	mail_sealed BLOB,
	mail_hash BLOB,
	mobile_bad VARCHAR(64),
	mail_bad VARCHAR(64),
	locale VARCHAR(8) NOT NULL,
	opted_out BOOLEAN NOT NULL,
	contact_version INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT pk_customers PRIMARY KEY (id),
	CONSTRAINT uq_customers_reference_hash UNIQUE (reference_hash),
	CONSTRAINT uq_customers_id_number_hash UNIQUE (id_number_hash)
)

CREATE INDEX ix_customers_mail_hash ON customers (mail_hash)

CREATE INDEX ix_customers_mobile_hash ON customers (mobile_hash)

CREATE TABLE transfers (
	id VARCHAR(64) NOT NULL,
	kind VARCHAR(8) NOT NULL,
	debit VARCHAR(48) NOT NULL,
	credit VARCHAR(48) NOT NULL,
	amount BIGINT NOT NULL,
	"of" VARCHAR(64),
	ref VARCHAR(32) NOT NULL,
	answer VARCHAR(8) NOT NULL,
	why VARCHAR(16) NOT NULL,
	at DATETIME NOT NULL,
	nth INTEGER NOT NULL,
	CONSTRAINT pk_transfers PRIMARY KEY (id),
	CONSTRAINT ck_transfers_kind CHECK (kind IN ('hold','post','void','direct','refund')),
	CONSTRAINT ck_transfers_answer CHECK (answer IN ('ok','refused')),
	CONSTRAINT ck_transfers_amount CHECK (amount > 0),
	CONSTRAINT ck_transfers_two_sides CHECK (debit <> credit),
	CONSTRAINT ck_transfers_of CHECK (kind IN ('hold','direct') OR of IS NOT NULL),
	CONSTRAINT fk_transfers_debit FOREIGN KEY(debit) REFERENCES accounts (id),
	CONSTRAINT fk_transfers_credit FOREIGN KEY(credit) REFERENCES accounts (id)
)

CREATE INDEX ix_transfers_of ON transfers ("of")

CREATE INDEX ix_transfers_ref ON transfers (ref)

CREATE UNIQUE INDEX uq_transfers_of_ended ON transfers ("of") WHERE "of" IS NOT NULL AND answer = 'ok'

CREATE TRIGGER transfers_no_update BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END

CREATE TRIGGER transfers_no_delete BEFORE DELETE ON transfers BEGIN SELECT RAISE(ABORT, 'transfers is append-only'); END

CREATE TABLE enrolments (
	customer INTEGER NOT NULL,
	product VARCHAR(64) NOT NULL,
	customer_class SMALLINT NOT NULL,
	operator VARCHAR(32) NOT NULL,
	branch VARCHAR(16),
	account_sealed BLOB,
	version INTEGER NOT NULL,
	CONSTRAINT pk_enrolments PRIMARY KEY (customer, product),
	CONSTRAINT fk_enrolments_customer FOREIGN KEY(customer) REFERENCES customers (id)
)

CREATE TABLE certificates (
	id INTEGER NOT NULL,
	customer INTEGER,
	product VARCHAR(64) NOT NULL,
	slot VARCHAR(96) NOT NULL,
	token_serial VARCHAR(64),
	issuer_hash BLOB NOT NULL,
	serial VARCHAR(64) NOT NULL,
	spki_sha256 BLOB NOT NULL,
	certificate_sha256 BLOB NOT NULL,
	not_before DATETIME NOT NULL,
	not_after DATETIME NOT NULL,
	state VARCHAR(16) NOT NULL,
	renewal VARCHAR(32),
	der_sealed BLOB NOT NULL,
	announced_at DATETIME,
	left_at DATETIME,
	told INTEGER,
	remind_at DATETIME,
	changes INTEGER NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT pk_certificates PRIMARY KEY (id),
	CONSTRAINT uq_certificates_issuer_hash_serial UNIQUE (issuer_hash, serial),
	CONSTRAINT ck_certificates_state CHECK (state IN ('pending','active','suspended','superseded','revoked','expired')),
	CONSTRAINT fk_certificates_customer FOREIGN KEY(customer) REFERENCES customers (id)
)

CREATE INDEX ix_certificates_customer ON certificates (customer)

CREATE INDEX ix_certificates_serial ON certificates (serial)

CREATE INDEX ix_certificates_slot ON certificates (slot)

CREATE INDEX ix_certificates_to_announce_sqlite ON certificates (product, not_after, id, customer, version, state, announced_at) WHERE state = 'active' AND announced_at IS NULL

CREATE INDEX ix_certificates_to_leave_sqlite ON certificates (product, not_after, id, customer, version, state, left_at) WHERE state = 'active' AND left_at IS NULL

CREATE INDEX ix_certificates_to_remind_sqlite ON certificates (remind_at, id, customer, version, state) WHERE state = 'active' AND remind_at IS NOT NULL

CREATE UNIQUE INDEX uq_certificates_slot_in_force ON certificates (slot) WHERE state IN ('active', 'suspended')

CREATE TABLE payments (
	id VARCHAR(32) NOT NULL,
	customer INTEGER NOT NULL,
	certificate INTEGER NOT NULL,
	amount INTEGER NOT NULL,
	pays_for VARCHAR(32) NOT NULL,
	state VARCHAR(16) NOT NULL,
	renewal VARCHAR(32),
	asked_at DATETIME NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT pk_payments PRIMARY KEY (id),
	CONSTRAINT fk_payments_customer FOREIGN KEY(customer) REFERENCES customers (id),
	CONSTRAINT fk_payments_certificate FOREIGN KEY(certificate) REFERENCES certificates (id),
	CONSTRAINT uq_payments_renewal UNIQUE (renewal)
)

CREATE INDEX ix_payments_certificate ON payments (certificate)

CREATE TABLE renewals (
	id VARCHAR(32) NOT NULL,
	certificate INTEGER NOT NULL,
	customer INTEGER NOT NULL,
	product VARCHAR(64) NOT NULL,
	slot VARCHAR(96) NOT NULL,
	state VARCHAR(16) NOT NULL,
	branch VARCHAR(16),
	requested_at DATETIME NOT NULL,
	moved_at DATETIME NOT NULL,
	terms_sha256 BLOB,
	csr BLOB,
	spki_sha256 BLOB,
	proof BLOB,
	challenge BLOB NOT NULL,
	new_certificate INTEGER,
	not_before DATETIME,
	not_after DATETIME,
	fee_amount INTEGER NOT NULL,
	fee_state VARCHAR(16) NOT NULL,
	fee_account_sealed BLOB,
	old_state VARCHAR(16) NOT NULL,
	why VARCHAR(200),
	collected_told INTEGER,
	version INTEGER NOT NULL,
	CONSTRAINT pk_renewals PRIMARY KEY (id),
	CONSTRAINT ck_renewals_state CHECK (state IN ('requested', 'confirmed', 'fee held', 'sent to CA', 'issued', 'delivered', 'activated', 'done', 'refused', 'abandoned')),
	CONSTRAINT fk_renewals_certificate FOREIGN KEY(certificate) REFERENCES certificates (id),
	CONSTRAINT fk_renewals_customer FOREIGN KEY(customer) REFERENCES customers (id),
	CONSTRAINT uq_renewals_spki_sha256 UNIQUE (spki_sha256),
	CONSTRAINT fk_renewals_new_certificate FOREIGN KEY(new_certificate) REFERENCES certificates (id)
)

CREATE INDEX ix_renewals_certificate ON renewals (certificate)

CREATE INDEX ix_renewals_customer ON renewals (customer)

CREATE INDEX ix_renewals_open_moved_at ON renewals (moved_at, id) WHERE state IN ('requested', 'confirmed', 'fee held', 'sent to CA', 'issued', 'delivered', 'activated')

CREATE UNIQUE INDEX uq_renewals_slot_open ON renewals (slot) WHERE state IN ('requested', 'confirmed', 'fee held', 'sent to CA', 'issued', 'delivered', 'activated')

CREATE TABLE told (
	certificate INTEGER NOT NULL,
	threshold INTEGER NOT NULL,
	channel VARCHAR(8) NOT NULL,
	message VARCHAR(40) NOT NULL,
	CONSTRAINT pk_told PRIMARY KEY (certificate, threshold, channel),
	CONSTRAINT fk_told_certificate FOREIGN KEY(certificate) REFERENCES certificates (id)
)

CREATE INDEX ix_told_message ON told (message)
