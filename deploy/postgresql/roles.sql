-- Who may do what in the database. Run it as the tables' owner after `xuqi db upgrade`; running it
-- again is harmless, also while processes are at work: it is one transaction. The roles cannot log
-- in: each login of a process is made a member of one.
--
--   CREATE ROLE web_login LOGIN PASSWORD '...' IN ROLE xuqi_web;
--
-- The owner of the tables migrates and does nothing else: an owner may do anything to its tables.

BEGIN;

DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['xuqi_web', 'xuqi_workers', 'xuqi_relay', 'xuqi_readonly'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        END IF;
    END LOOP;
END $$;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, xuqi_web, xuqi_workers, xuqi_relay, xuqi_readonly;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM PUBLIC, xuqi_web, xuqi_workers, xuqi_relay, xuqi_readonly;
GRANT USAGE ON SCHEMA public TO xuqi_web, xuqi_workers, xuqi_relay, xuqi_readonly;

-- Each process sees at its start whether the tables are as it knows them.
GRANT SELECT ON alembic_version TO xuqi_web, xuqi_workers, xuqi_relay, xuqi_readonly;

-- What faces the Internet: the customer's own matters and the carrier's callbacks. Not the books,
-- not the audit trail, not what consumers have made of the log; a line of the log only added.
GRANT SELECT ON customers, enrolments, told TO xuqi_web;
GRANT UPDATE (
    mobile_bad, mobile_bad_until, mail_bad, mail_bad_until, codes_bad, codes_bad_until, version
) ON customers TO xuqi_web;
GRANT SELECT, INSERT, UPDATE ON alarms, clock_marks, lanes TO xuqi_web;
GRANT SELECT, UPDATE ON certificates, messages TO xuqi_web;
GRANT SELECT, INSERT, UPDATE ON challenges, payments, renewals TO xuqi_web;
GRANT SELECT, INSERT ON decisions TO xuqi_web;
GRANT SELECT (seq, identity), INSERT ON events TO xuqi_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions, throttles TO xuqi_web;
GRANT SELECT, INSERT, UPDATE ON credentials, key_copies TO xuqi_web;
GRANT SELECT, INSERT ON agreements, recordings TO xuqi_web;
-- Stations over HTTPS: whose key it is, and one that enrols itself by its branch's code.
GRANT SELECT, INSERT ON stations TO xuqi_web;
GRANT SELECT, UPDATE (used_by) ON station_codes TO xuqi_web;
-- An application gives the certificate to come its number.
GRANT USAGE ON SEQUENCE
    agreements_id_seq, certificates_id_seq, decisions_id_seq, events_seq_seq
TO xuqi_web;

-- Consumers, the scheduler, and staff at the command line. What is append-only is only added to.
GRANT SELECT, INSERT, UPDATE ON
    accounts, alarms, certificates, challenges, clock_marks, contact_edits, credentials, customers, dead_letter_edits, dead_letters,
    emergency_accounts, enrolments, inbox, key_copies, lanes, leases, messages, offsets, parked,
    payments, reconciliations, recordings, renewals, replaced_addresses, run_items, runs, saved_views, sessions, staff, station_codes, stations, tasks,
    throttles, token_holds, tokens, told TO xuqi_workers;
GRANT DELETE ON contact_edits, dead_letter_edits, parked, replaced_addresses, saved_views, sessions, throttles, token_holds, told TO xuqi_workers;
GRANT SELECT, INSERT ON agreements, audit, decisions, differences, events, run_findings, transfers
    TO xuqi_workers;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO xuqi_workers;

-- The relay from the outbox to Kafka, that of the stations' topics included: the log, its own
-- place in it, and what it gives up. No customer, no certificate.
GRANT SELECT, INSERT ON events TO xuqi_relay;
GRANT SELECT, INSERT, UPDATE ON offsets TO xuqi_relay;
GRANT SELECT, UPDATE, DELETE ON parked TO xuqi_relay;
GRANT INSERT ON dead_letters TO xuqi_relay;
GRANT USAGE ON SEQUENCE events_seq_seq, dead_letters_id_seq TO xuqi_relay;

-- Whoever looks: personal data is sealed in its columns, and the key is not in the database.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO xuqi_readonly;
REVOKE ALL ON credentials, emergency_accounts, sessions, staff FROM xuqi_readonly;

COMMIT;
