#!/bin/sh
# Who may do what on the log. Made by `xuqi topics acl`; not to be edited.
#   BROKER=kafka.example:9092 ADMIN=owner.properties sh acls.sh
set -eu
grant() {
  kafka-acls.sh --bootstrap-server "$BROKER" --command-config "$ADMIN" --add --force \
    --allow-principal "User:$1" --operation "$2" "--$3" "$4" --resource-pattern-type "$5"
}

grant billing Describe topic '*' literal
grant billing Read group 'xuqi.billing' literal
grant billing Read topic 'payments' literal
grant billing Read topic 'renewals' literal
grant issuance Describe topic '*' literal
grant issuance Read group 'xuqi.issuance' literal
grant issuance Read topic 'renewals' literal
grant notices Describe topic '*' literal
grant notices Read group 'xuqi.notices' literal
grant notices Read topic 'certificates' literal
grant notices Read topic 'payments' literal
grant notices Read topic 'reminders' literal
grant notices Read topic 'renewals' literal
grant operator Describe group 'xuqi.' prefixed
grant operator Describe topic '*' literal
grant otp Describe topic '*' literal
grant otp Read group 'xuqi.otp' literal
grant otp Read topic 'codes' literal
grant records Describe topic '*' literal
grant records Read group 'xuqi.records' literal
grant records Read topic 'certificates' literal
grant records Read topic 'renewals' literal
grant records Read topic 'tokens' literal
grant relay Describe topic '*' literal
grant relay Write topic 'certificates' literal
grant relay Write topic 'codes' literal
grant relay Write topic 'dead-letters' literal
grant relay Write topic 'payments' literal
grant relay Write topic 'reminders' literal
grant relay Write topic 'renewals' literal
grant relay Write topic 'stations.001' literal
grant relay Write topic 'stations.002' literal
grant relay Write topic 'tokens' literal
grant reminders Describe topic '*' literal
grant reminders Read group 'xuqi.reminders' literal
grant reminders Read topic 'reminders' literal
grant revocation Describe topic '*' literal
grant revocation Read group 'xuqi.revocation' literal
grant revocation Read topic 'certificates' literal
grant revocation Read topic 'renewals' literal
grant runs Describe topic '*' literal
grant runs Read group 'xuqi.runs' literal
grant runs Read topic 'renewals' literal
grant scheduler Describe group 'xuqi.' prefixed
grant scheduler Describe topic '*' literal
grant station-001 Describe topic '*' literal
grant station-001 Read group 'xuqi.station.001' literal
grant station-001 Read topic 'stations.001' literal
grant station-001 Write topic 'tokens' literal
grant station-002 Describe topic '*' literal
grant station-002 Read group 'xuqi.station.002' literal
grant station-002 Read topic 'stations.002' literal
grant station-002 Write topic 'tokens' literal
grant web Describe topic '*' literal
grant web Read group 'xuqi.station.' prefixed
grant web Read topic 'stations.001' literal
grant web Read topic 'stations.002' literal
grant web Write topic 'tokens' literal
