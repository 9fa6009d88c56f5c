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
	seq BIGSERIAL NOT NULL,
	topic VARCHAR(48) NOT NULL,
	key VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	body BYTEA NOT NULL,
	CONSTRAINT pk_events PRIMARY KEY (seq),
	CONSTRAINT uq_events_identity UNIQUE (identity)
)

CREATE INDEX ix_events_topic_seq ON events (topic, seq)

CREATE TABLE offsets (
	consumer VARCHAR(48) NOT NULL,
	position BIGINT NOT NULL,
	CONSTRAINT pk_offsets PRIMARY KEY (consumer)
)

CREATE TABLE inbox (
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	state VARCHAR(8) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_inbox PRIMARY KEY (consumer, identity)
)

CREATE TABLE parked (
	id BIGSERIAL NOT NULL,
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	topic VARCHAR(48) NOT NULL,
	key VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	body BYTEA NOT NULL,
	due TIMESTAMP WITH TIME ZONE,
	tries INTEGER NOT NULL,
	why VARCHAR(300) NOT NULL,
	CONSTRAINT pk_parked PRIMARY KEY (id),
	CONSTRAINT uq_parked_consumer_identity UNIQUE (consumer, identity)
)

CREATE INDEX ix_parked_consumer_due ON parked (consumer, due, id)

CREATE INDEX ix_parked_consumer_key ON parked (consumer, key, id)

CREATE TABLE dead_letters (
	id BIGSERIAL NOT NULL,
	consumer VARCHAR(48) NOT NULL,
	identity VARCHAR(160) NOT NULL,
	topic VARCHAR(48) NOT NULL,
	key VARCHAR(48) NOT NULL,
	kind VARCHAR(48) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	body BYTEA NOT NULL,
	tries INTEGER NOT NULL,
	why VARCHAR(300) NOT NULL,
	died_at TIMESTAMP WITH TIME ZONE NOT NULL,
	state VARCHAR(8) NOT NULL,
	CONSTRAINT pk_dead_letters PRIMARY KEY (id)
)

CREATE TABLE audit (
	id BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	who VARCHAR(64) NOT NULL,
	did VARCHAR(48) NOT NULL,
	object VARCHAR(96) NOT NULL,
	why VARCHAR(300) NOT NULL,
	hash BYTEA NOT NULL,
	CONSTRAINT pk_audit PRIMARY KEY (id)
)

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'audit is append-only'; END $$

CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()

CREATE TABLE leases (
	name VARCHAR(48) NOT NULL,
	holder VARCHAR(64) NOT NULL,
	until TIMESTAMP WITH TIME ZONE NOT NULL,
	term BIGINT NOT NULL,
	CONSTRAINT pk_leases PRIMARY KEY (name)
)

CREATE TABLE challenges (
	id VARCHAR(40) NOT NULL,
	customer BIGINT NOT NULL,
	action VARCHAR(16) NOT NULL,
	certificate BIGINT NOT NULL,
	session_hash BYTEA NOT NULL,
	contact_version INTEGER NOT NULL,
	mobile_hash BYTEA,
	fingerprint BYTEA NOT NULL,
	issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	tries INTEGER NOT NULL,
	most_tries INTEGER NOT NULL,
	used_at TIMESTAMP WITH TIME ZONE,
	superseded_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_challenges PRIMARY KEY (id)
)

CREATE INDEX ix_challenges_customer_issued_at ON challenges (customer, action, issued_at)

CREATE INDEX ix_challenges_mobile_hash_issued_at ON challenges (mobile_hash, issued_at)

CREATE TABLE messages (
	id VARCHAR(40) NOT NULL,
	kind VARCHAR(24) NOT NULL,
	customer BIGINT NOT NULL,
	channel VARCHAR(8) NOT NULL,
	state VARCHAR(16) NOT NULL,
	owed_at TIMESTAMP WITH TIME ZONE NOT NULL,
	claimed_at TIMESTAMP WITH TIME ZONE,
	handed_at TIMESTAMP WITH TIME ZONE,
	ended_at TIMESTAMP WITH TIME ZONE,
	carrier_id VARCHAR(200),
	code VARCHAR(16) NOT NULL,
	text_hash BYTEA NOT NULL,
	instead_of VARCHAR(40),
	renewal VARCHAR(32),
	version INTEGER NOT NULL,
	CONSTRAINT pk_messages PRIMARY KEY (id)
)

CREATE INDEX ix_messages_customer ON messages (customer)

CREATE INDEX ix_messages_renewal ON messages (renewal)

CREATE INDEX ix_messages_unreported ON messages (handed_at, id) WHERE state = 'handed over'

CREATE TABLE decisions (
	id BIGSERIAL NOT NULL,
	certificate BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	about VARCHAR(16) NOT NULL,
	what VARCHAR(32) NOT NULL,
	why VARCHAR(200) NOT NULL,
	threshold INTEGER,
	channel VARCHAR(8),
	until TIMESTAMP WITH TIME ZONE,
	message VARCHAR(40),
	renewal VARCHAR(32),
	CONSTRAINT pk_decisions PRIMARY KEY (id)
)

CREATE INDEX ix_decisions_certificate ON decisions (certificate)

CREATE FUNCTION decisions_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'decisions is append-only'; END $$

CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions FOR EACH STATEMENT EXECUTE FUNCTION decisions_is_append_only()

CREATE TABLE customers (
	id BIGSERIAL NOT NULL,
	reference_hash BYTEA NOT NULL,
	id_number_sealed BYTEA NOT NULL,
	id_number_hash BYTEA NOT NULL,
	name_sealed BYTEA NOT NULL,
	mobile_sealed BYTEA,
	mobile_hash BYTEA,
	mail_sealed BYTEA,
	mail_hash BYTEA,
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
	at TIMESTAMP WITH TIME ZONE NOT NULL,
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

CREATE FUNCTION transfers_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = 'transfers is append-only'; END $$

CREATE TRIGGER transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION transfers_is_append_only()

CREATE TABLE enrolments (
	customer BIGINT NOT NULL,
	product VARCHAR(64) NOT NULL,
	customer_class SMALLINT NOT NULL,
	operator VARCHAR(32) NOT NULL,
	branch VARCHAR(16),
	account_sealed BYTEA,
	version INTEGER NOT NULL,
	CONSTRAINT pk_enrolments PRIMARY KEY (customer, product),
	CONSTRAINT fk_enrolments_customer FOREIGN KEY(customer) REFERENCES customers (id)
)

CREATE TABLE certificates (
	id BIGSERIAL NOT NULL,
	customer BIGINT,
	product VARCHAR(64) NOT NULL,
	slot VARCHAR(96) NOT NULL,
	token_serial VARCHAR(64),
	issuer_hash BYTEA NOT NULL,
	serial VARCHAR(64) NOT NULL,
	spki_sha256 BYTEA NOT NULL,
	certificate_sha256 BYTEA NOT NULL,
	not_before TIMESTAMP WITH TIME ZONE NOT NULL,
	not_after TIMESTAMP WITH TIME ZONE NOT NULL,
	state VARCHAR(16) NOT NULL,
	renewal VARCHAR(32),
	der_sealed BYTEA NOT NULL,
	announced_at TIMESTAMP WITH TIME ZONE,
	left_at TIMESTAMP WITH TIME ZONE,
	told INTEGER,
	remind_at TIMESTAMP WITH TIME ZONE,
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

CREATE INDEX ix_certificates_to_announce_postgresql ON certificates (product, not_after, id) INCLUDE (customer, version) WHERE state = 'active' AND announced_at IS NULL

CREATE INDEX ix_certificates_to_leave_postgresql ON certificates (product, not_after, id) INCLUDE (customer, version) WHERE state = 'active' AND left_at IS NULL

CREATE INDEX ix_certificates_to_remind_postgresql ON certificates (remind_at, id) INCLUDE (customer, version) WHERE state = 'active' AND remind_at IS NOT NULL

CREATE UNIQUE INDEX uq_certificates_slot_in_force ON certificates (slot) WHERE state IN ('active', 'suspended')

CREATE TABLE payments (
	id VARCHAR(32) NOT NULL,
	customer BIGINT NOT NULL,
	certificate BIGINT NOT NULL,
	amount INTEGER NOT NULL,
	pays_for VARCHAR(32) NOT NULL,
	state VARCHAR(16) NOT NULL,
	renewal VARCHAR(32),
	asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
	version INTEGER NOT NULL,
	CONSTRAINT pk_payments PRIMARY KEY (id),
	CONSTRAINT fk_payments_customer FOREIGN KEY(customer) REFERENCES customers (id),
	CONSTRAINT fk_payments_certificate FOREIGN KEY(certificate) REFERENCES certificates (id),
	CONSTRAINT uq_payments_renewal UNIQUE (renewal)
)

CREATE INDEX ix_payments_certificate ON payments (certificate)

CREATE TABLE renewals (
	id VARCHAR(32) NOT NULL,
	certificate BIGINT NOT NULL,
	customer BIGINT NOT NULL,
	product VARCHAR(64) NOT NULL,
	slot VARCHAR(96) NOT NULL,
	state VARCHAR(16) NOT NULL,
	branch VARCHAR(16),
	requested_at TIMESTAMP WITH TIME ZONE NOT NULL,
	moved_at TIMESTAMP WITH TIME ZONE NOT NULL,
	terms_sha256 BYTEA,
	csr BYTEA,
	spki_sha256 BYTEA,
	proof BYTEA,
	challenge BYTEA NOT NULL,
	new_certificate BIGINT,
	not_before TIMESTAMP WITH TIME ZONE,
	not_after TIMESTAMP WITH TIME ZONE,
	fee_amount INTEGER NOT NULL,
	fee_state VARCHAR(16) NOT NULL,
	fee_account_sealed BYTEA,
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
	certificate BIGINT NOT NULL,
	threshold INTEGER NOT NULL,
	channel VARCHAR(8) NOT NULL,
	message VARCHAR(40) NOT NULL,
	CONSTRAINT pk_told PRIMARY KEY (certificate, threshold, channel),
	CONSTRAINT fk_told_certificate FOREIGN KEY(certificate) REFERENCES certificates (id)
)

CREATE INDEX ix_told_message ON told (message)
