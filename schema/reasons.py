"""Holds every "why" as a code with parameters; its sentences stand in templates/."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a parameter may be; anything else is no data for a sentence.
Parameter = str | int


class ReasonCode(StrEnum):
    """A code; its value is stored, and ``parameters`` are the names that its sentence uses."""

    _value_: str
    parameters: tuple[str, ...]

    def __new__(cls, value: str, *parameters: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.parameters = parameters
        return member

    def why(self, **parameters: Parameter) -> Reason:
        """
        Raises:
            TypeError: these are not the parameters of this code.
        """
        return Reason(self, parameters)


@dataclass(frozen=True)
class Reason:
    """One "why": a code and what its sentence is filled with. No personal data, no secret."""

    code: ReasonCode
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.code, tuple(sorted(self.parameters.items()))))

    def __post_init__(self) -> None:
        if set(self.parameters) != set(self.code.parameters):
            raise TypeError(
                f"{self.code.value} takes {', '.join(self.code.parameters) or 'no parameters'},"
                f" not {', '.join(self.parameters) or 'none'}"
            )

    def as_json(self) -> str | None:
        """The parameters alone, for a table that has a column of them."""
        return _as_json(self.parameters) if self.parameters else None

    def stored(self, at_most: int = 200) -> str:
        """
        The text that is kept: the code, and its parameters as JSON behind it.

        Where it is longer than its column, the longest parameter is cut.
        """
        if not self.parameters:
            return self.code.value
        # PostgreSQL takes no half of a surrogate pair, and outside systems may say anything.
        json_text = _as_json(self.parameters).encode(errors="replace").decode()
        text = f"{self.code.value} {json_text}"
        if len(text) <= at_most:
            return text
        longest = max(self.parameters, key=lambda name: len(str(self.parameters[name])))
        # By half of what is too much: an escaped letter takes two.
        cut = (len(text) - at_most) // 2 + 1
        shorter = str(self.parameters[longest]).rstrip("…")[:-cut] + "…"
        return Reason(self.code, {**self.parameters, longest: shorter}).stored(at_most)


def _as_json(parameters: Mapping[str, Parameter]) -> str:
    return json.dumps(dict(parameters), ensure_ascii=False, sort_keys=True)


class RefusalReason(ReasonCode):
    """Why something that a customer or a member of staff asked for is not done."""

    # of a renewal
    REVOKED = "certificate_revoked"
    SUPERSEDED = "certificate_superseded"
    SUSPENDED = "certificate_suspended"
    NOT_ACTIVE = "certificate_not_active"
    WRONG_OPERATOR = "wrong_operator"
    UNDER_WAY = "renewal_under_way"
    NOT_YET = "window_not_open"
    EXPIRED = "certificate_expired"
    WINDOW_OVER = "window_closed"
    FEE_NOT_PAID = "fee_not_paid"
    NO_CERTIFICATE_HERE = "no_certificate_here"
    NOT_VERIFIED = "issuer_not_verified"
    NO_BRANCH = "branch_missing"
    NO_OTHER_BRANCH = "no_other_branch"
    ON_NO_TOKEN = "certificate_not_on_token"
    TOKEN_IN_USE = "token_in_use"
    TOKEN_NOT_ASSIGNED = "token_not_assigned"
    UNKNOWN_BRANCH = "branch_unknown", "branch", "known"
    # of an application
    APPLY_AT_BRANCH = "apply_at_branch"
    NO_ACCOUNT = "product_without_account"
    HAS_CERTIFICATE = "certificate_there_already"
    # of a step of a renewal
    WRONG_STATE = "renewal_in_other_state", "renewal_state"
    BELONGS_TO_STATION = "renewal_belongs_to_station"
    IN_PROGRESS = "renewal_in_progress", "renewal_state"
    IN_FORCE = "renewal_in_force"
    FEE_CANNOT_BECOME = "fee_cannot_become", "fee_state", "allowed"
    NO_ENTITLEMENT = "entitlement_missing"
    NOT_GIVEN_UP = "machine_still_at_it"
    OWN_EDIT = "own_edit"
    NO_EDIT_WAITS = "no_edit_waits"
    OTHER_EDIT = "other_edit"
    TASK_ENDED = "task_ended"
    NOTHING_CHANGED = "nothing_changed"
    NO_SUCH_NUMBER = "number_too_large"
    NOT_FOUND = "not_found", "key"
    CANNOT_BECOME = "cannot_become", "wanted"
    TOKEN_CANNOT_BECOME = "token_cannot_become", "token_state", "wanted_state"
    USER_CODE = "user_code_malformed"
    RECORDED_ALREADY = "recorded_already"
    # of a one-time code
    CODE_UNAVAILABLE = "code_unavailable"
    NO_MOBILE = "code_no_mobile"
    CODES_STOPPED = "codes_stopped"
    CODES_REST = "codes_resting", "code"
    CODE_WRONG = "code_wrong", "tries_left"
    CODE_EXPIRED = "code_expired"
    CODE_LOCKED = "code_locked"
    CODES_IN_TEN_MINUTES = "codes_in_ten_minutes"
    CODES_TODAY = "codes_today"
    CODES_FROM_ADDRESSES = "codes_from_addresses"
    CODES_TO_RANGE = "codes_to_range"
    # of a payment
    NOT_PREPAID = "fee_not_prepaid"
    ALREADY_PAID = "fee_already_paid"
    NO_PAYER = "fee_without_payer"
    # of a revocation
    REVOCATION_LIMIT = "revocation_limit"
    CERTIFICATE_STATE = "certificate_in_other_state", "certificate_state"
    # of what was handed in
    BACKUP_UNREADABLE = "backup_unreadable"
    RELAY_AT_WORK = "relay_at_work"
    RECONCILING = "reconciling"


class RequestReason(ReasonCode):
    """Why a certificate request (PKCS#10) cannot be used."""

    TOO_LONG = "request_too_long", "limit"
    UNREADABLE = "request_unreadable"
    NOT_BASE64 = "request_not_base64"
    OTHER_PEM = "request_other_pem"
    VERSION = "request_version", "command"
    NAMED = "request_with_subject", "command"
    UNSIGNED = "request_unsigned"
    HASH = "request_hash", "allowed"
    KEY_UNREADABLE = "request_key_unreadable"
    KEY_FOREIGN = "request_key_foreign"
    KEY_NOT_ACCEPTED = "request_key_not_accepted", "kind", "accepted"
    CURVE = "request_curve", "curve"
    KEY_SHORT = "request_key_short", "bits", "least"
    EXPONENT = "request_exponent", "least"
    SMALL_FACTOR = "request_key_small_factor"
    CLOSE_PRIMES = "request_key_close_primes"
    ROCA = "request_key_roca"
    KEY_USED = "request_key_used"
    NO_NAME = "request_without_name"


class ProofReason(ReasonCode):
    """Why a proof of a renewal does not hold."""

    SIGNATURE = "proof_signature"
    NOT_BASE64 = "proof_not_base64"
    NOT_CMS = "proof_not_cms"
    NOT_SIGNED_DATA = "proof_not_signed_data"
    CARRIES_CERTIFICATES = "proof_carries_certificates"
    SIGNERS = "proof_signers", "count"
    SIGNER_NOT_NAMED = "proof_signer_not_named"
    OTHER_SIGNER = "proof_other_signer"
    NOT_DATA = "proof_not_data"
    OTHER_CONTENT = "proof_other_content"
    ATTRIBUTE_REPEATED = "proof_attribute_repeated", "attribute"
    NO_CONTENT_TYPE = "proof_no_content_type"
    OTHER_CERTIFICATE = "proof_other_certificate"
    DIGEST = "proof_digest"
    ALGORITHM = "proof_algorithm"
    CERTIFICATE = "proof_certificate", "detail"
    KEY_KIND = "proof_key_kind"
    OLD_STATE = "proof_certificate_state", "certificate_state"
    ISSUER_NOT_VERIFIED = "proof_issuer_not_verified"


class StatementReason(ReasonCode):
    """Why the statement of a station is false."""

    UNKNOWN_KEY = "statement_unknown_key"
    OTHER_BRANCH = "statement_other_branch"
    SIGNATURE = "statement_signature"
    NOT_AT_BRANCH = "statement_not_at_branch"
    OTHER_TOKEN = "statement_other_token"
    OTHER_TIME = "statement_other_time"


class TokenReason(ReasonCode):
    """Why a token cannot be used or was not written."""

    NO_READER = "token_not_found"
    NO_PROGRAM = "token_program_missing"
    OTHER_TOKEN = "token_other"
    BROWSER_BLOCKED = "token_browser_blocked"
    PIN_WRONG = "pin_wrong", "tries_left"
    PIN_LAST_TRY = "pin_last_try"
    PIN_BLOCKED = "pin_blocked"
    WRONG_TOKEN = "token_wrong"
    FULL = "token_full"
    PULLED = "token_pulled"
    READ_BACK = "token_read_back"
    NOT_ON_TOKEN = "token_without_certificate"
    SLOTS_UNREADABLE = "token_slots_unreadable", "slots"
    SLOT_TAKEN = "token_slot_taken", "slot", "detail"
    SLOT_KEPT = "token_slot_kept", "slot"
    KEY_COPIED = "token_key_does_not_sign", "slot", "status"
    HOLDS_UNREADABLE = "token_holds_unreadable"
    HOLDS_CERTIFICATE = "token_holds_foreign_certificate"
    HOLDS_KEY = "token_holds_foreign_key"
    HOLDS_OTHER_KEY = "token_holds_other_key"
    JOB_CHALLENGE = "token_job_challenge"
    JOB_ALGORITHM = "token_job_algorithm", "algorithm", "allowed"
    MOVED = "token_moved", "token_state"
    NOT_BLANK_SERIAL = "token_not_blank_serial", "serial"
    NOT_BLANK_CERTIFICATE = "token_not_blank_certificate", "slot"
    NOT_BLANK_KEY = "token_not_blank_key", "slot"
    NOT_BLANK_MANAGEMENT_KEY = "token_not_blank_management_key"
    NOT_BLANK_PIN = "token_not_blank_pin"
    NOT_BLANK_PUK = "token_not_blank_puk"
    NOT_GENUINE_KEY = "token_not_genuine_key", "slot"
    NOT_GENUINE_ISSUER = "token_not_genuine_issuer", "slot"
    NOT_GENUINE_SERIAL = "token_not_genuine_serial", "slot"
    NOT_GENUINE_NOTHING = "token_not_genuine_nothing"
    NO_WRITE_KEY = "token_without_write_key"
    # what an error of the token is, where nothing more is known
    FAILED = "token_failed"
    UNSUPPORTED = "token_unsupported"
    MAKES_NO_KEY = "token_makes_no_key"
    NO_SERIAL = "token_no_serial"
    CERTIFICATE_TOO_LARGE = "token_certificate_too_large", "bytes", "limit"
    NOT_BLANK = "token_not_blank"
    NO_FREE_SLOT = "token_no_free_slot"
    NOT_AUTHORIZED = "token_management_key"
    KEY_MISMATCH = "token_key_mismatch"
    MALFORMED = "token_answer_malformed"
    ANSWERED_STATUS = "token_answered_status", "status"
    REMOVED = "token_removed"
    READER_GONE = "token_reader_gone"
    READER_BUSY = "token_reader_busy"
    MODULE = "token_module"
    PIN_FORMAT = "pin_format"
    PUK_WRONG = "puk_wrong", "tries_left"
    PUK_BLOCKED = "puk_blocked"
    NOT_FOR_US = "token_sealed_for_other"
    CANNOT = "token_cannot", "detail"  # rows of stations before 0.2 have it; none is made now


class EndReason(ReasonCode):
    """Why a renewal has ended without effect."""

    DECLINED_BY_CUSTOMER = "declined_by_customer"
    NOT_FINISHED = "not_finished_in_time"
    ENDED_BY_STAFF = "ended_by_staff", "note"
    MOVED_TO_BRANCH = "moved_to_branch", "branch"
    SETTLED_BY_STAFF = "settled_by_staff", "note"
    FEE_DECLINED = "fee_declined"
    DECLINED_BY_CA = "declined_by_ca"
    CERTIFICATE_SUSPENDED = "ended_suspended"
    CERTIFICATE_REVOKED = "ended_revoked"
    TOKEN_REFUSED = "ended_token_refused", "detail"
    TOKEN_DECLINED = "ended_token_declined", "detail"
    NOT_RENEWED = "not_renewed_in_time"
    DONE = "renewal_done"


class SuppressionReason(ReasonCode):
    """Why a message that was owed is not sent."""

    RENEWED = "already_renewed"
    REVOKED = "reminder_revoked"
    SUSPENDED = "reminder_suspended"
    UNDER_WAY = "reminder_renewal_under_way"
    PAID = "reminder_paid"
    WINDOW_OVER = "reminder_window_closed"
    OPTED_OUT = "opted_out"
    NO_CONTACT = "no_contact"
    BAD_CONTACT = "bad_contact"
    NO_CHANNEL_LEFT = "no_channel_left"
    NO_ADDRESS = "no_address_usable"
    COLLECTED = "collected_meanwhile"
    INVITATION_OVER = "invitation_taken_up_or_over"
    RENEWED_MEANWHILE = "renewed_meanwhile"
    MOOT = "moot_by_now"
    CLOSED_LONG_AGO = "window_closed_long_ago"
    NO_CUSTOMER = "no_customer_known"
    CODE_TOO_LATE = "code_too_late"
    CODE_LOCKED = "code_has_no_tries"
    CONTACT_CHANGED = "contact_changed"


class DeferralReason(ReasonCode):
    """Why something that is owed waits."""

    SMS_CAP = "one_sms_a_day"
    QUIET_HOURS = "quiet_hours"
    PHONE_OFF = "phone_off"
    NO_POLICY = "no_policy_for_product"
    NEW_BEGINS_LATER = "new_certificate_begins_later"
    TO_BE_VOIDED = "hold_to_be_voided"
    CAN_WAIT = "notice_can_wait"
    CA_ANSWERS_LATER = "ca_answers_later"
    BEING_FOUND_OUT = "outcome_being_found_out"
    FIRST_DAYS = "first_days"


class DeliveryReason(ReasonCode):
    """What a carrier said of a message, or did not say."""

    CARRIER_CODE = "carrier_code", "code"
    UNREPORTED = "unreported"
    AWAY = "away"


class FeeReason(ReasonCode):
    """Why a fee stands as it does."""

    AMOUNT = "fee_amount", "amount"
    NO_ACCOUNT = "fee_no_account"
    BANK_DECLINED = "fee_bank_declined", "detail"
    CERTIFICATE_STATE = "fee_certificate_state", "certificate_state"
    PAID_TOO_LATE = "fee_paid_too_late"
    NOT_RENEWED = "fee_not_renewed"
    CERTIFICATE_REVOKED = "fee_certificate_revoked"
    REFUND_BY_STAFF = "fee_refund_by_staff", "note"
    BOOKING_FAULTY = "fee_booking_faulty", "detail"
    HOLD_NOT_ENDED = "fee_hold_not_ended", "operation", "detail"
    NOT_PAID_BACK = "fee_not_paid_back", "detail"
    ACCOUNT_GONE = "fee_account_of_hold_gone"
    NO_ENTITLEMENT = "fee_entitlement_not_on_record"


class CaReason(ReasonCode):
    """Why the CA was asked, or what it said."""

    UNTIL_EXPIRY = "kept_until_expiry"
    SAID = "ca_said", "detail"
    REQUEST_FAULTY = "ca_request_faulty", "detail"
    ANSWERED_NO_CERTIFICATE = "ca_answered_no_certificate"
    ANSWERED_OTHER_KEY = "ca_answered_other_key", "serial"
    ANSWERED_OTHER_USAGE = "ca_answered_other_usage"
    ANSWERED_OTHER_SUBJECT = "ca_answered_other_subject"
    ANSWERED_OTHER_VALIDITY = "ca_answered_other_validity"
    CERTIFICATE_STATE = "ca_certificate_state", "certificate_state"
    PASSED_ON = "suspension_passed_on"
    PASSED_DOWN = "suspension_passed_down"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    SUPERSEDED = "superseded"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    UNSPECIFIED = "unspecified"
    OTHER_CA = "issued_by_other_ca"
    DONE_ELSEWHERE = "done_at_other_ca", "note"
    CHANGE_REFUSED = "ca_refused_change", "change", "detail"


class CallReason(ReasonCode):
    """What came of a call to a customer, as the person has noted it."""

    REACHED = "call_reached", "note"
    NOT_REACHED = "call_not_reached", "note"
    LATER = "call_later", "note"
    DECLINED = "call_declined", "note"
    WRONG_NUMBER = "call_wrong_number", "note"


class OutcomeReason(ReasonCode):
    """Why an event waits at its consumer, or was given up."""

    # of the runner of consumers
    AWAY = "outside_system_away", "detail"
    REFUSED = "outside_system_refused", "detail"
    UNSURE = "outcome_unsure", "detail"
    FAILED = "handling_failed", "detail"
    NOT_RECORDED = "carried_out_not_recorded", "detail"
    CHANGED_MEANWHILE = "changed_by_another_writer", "detail"
    NOT_BEGUN = "not_begun_in_time"
    UNREADABLE = "event_unreadable", "detail"
    BLOCKED_ON_KEY = "behind_earlier_event"
    SENT_AGAIN = "sent_again_by_staff", "letter"
    # of the relay
    NO_TOPIC = "topic_not_declared", "topic"
    TOO_LARGE = "event_too_large", "bytes", "limit"
    # of the consumers
    NOT_FOR_CONSUMER = "event_not_for_consumer", "event", "consumer"
    PARTLY_MOOT = "message_partly_moot"
    OTHER_CHANNEL = "by_other_channel"
    NO_REQUEST = "request_not_on_record"
    UNSIGNED = "statement_unsigned"
    FALSE_STATEMENT = "statement_false", "detail"
    FALSE_JOB = "token_job_false", "branch"
    ON_NO_TOKEN = "certificate_on_no_token"
    OTHER_CERTIFICATE = "station_wrote_other_certificate"
    BEING_FOUND_OUT = "declined_while_in_state", "renewal_state"


class ImportReason(ReasonCode):
    """What an import has changed, and why."""

    NEWER_CERTIFICATE = "newer_certificate_imported"
    NO_CUSTOMER = "import_without_customer"


class ReadingReason(ReasonCode):
    """Why bytes are no certificate, or none that a certain key has signed."""

    ENDS_EARLY = "der_ends_early"
    FOREIGN_TAG = "der_foreign_tag"
    FOREIGN_LENGTH = "der_foreign_length"
    INDEFINITE = "der_indefinite_length"
    NESTED = "der_nested_too_deeply"
    NOT_X509 = "not_x509"
    NOT_X509_BECAUSE = "not_x509_because", "detail"
    BYTES_FOLLOW = "not_x509_bytes_follow"
    NO_END = "validity_without_end"
    NO_TIME = "validity_no_time"
    NO_YEAR = "validity_no_year"
    UNREADABLE = "signed_unreadable"
    TWO_ALGORITHMS = "signed_two_algorithms"
    NO_WHOLE_BYTES = "signed_no_whole_bytes"
    CAN_BE_FORGED = "signed_by_md5_or_sha1"
    SHORT_KEY = "signed_by_short_key", "bits"
    OTHER_KIND = "signed_by_other_kind"
    OTHER_KEY = "signed_by_other_key"


class FindingReason(ReasonCode):
    """What a person must know about a file to import, or about one row of it."""

    # where it stands
    LINE = "finding_line", "line"
    ENTRY = "finding_entry", "entry"
    LINE_AND_ENTRY = "finding_line_and_entry", "line", "entry"
    # of a file
    CANNOT_READ = "finding_cannot_read", "detail"
    CANNOT_WRITE = "finding_cannot_write", "detail"
    MISSING = "finding_file_missing"
    DENIED = "finding_file_denied"
    EXISTS = "finding_file_exists"
    IS_LINK = "finding_file_link"
    IS_FOLDER = "finding_file_folder"
    OS_ERROR = "finding_os_error", "error"
    NOT_REGULAR = "finding_not_regular"
    EMPTY = "finding_empty"
    NO_HEADING = "finding_no_heading", "columns"
    UNKNOWN_COLUMN = "finding_unknown_column", "column", "columns"
    COLUMN_TWICE = "finding_column_twice", "columns"
    COLUMN_MISSING = "finding_column_missing", "columns"
    FIRST_LINE = "finding_first_line", "detail"
    IS_EXCEL = "finding_is_excel"
    IS_OLD_EXCEL = "finding_is_old_excel"
    IS_COMPRESSED = "finding_is_compressed"
    IS_UTF16 = "finding_is_utf16"
    IS_KEY_STORE = "finding_is_key_store"
    IS_WEB_PAGE = "finding_is_web_page"
    IS_PDF = "finding_is_pdf"
    IS_SSH_KEY = "finding_is_ssh_key"
    IS_PKCS12 = "finding_is_pkcs12"
    IS_PRIVATE_KEY = "finding_is_private_key"
    IS_CRL = "finding_is_crl"
    IS_REQUEST = "finding_is_request"
    IS_PUBLIC_KEY = "finding_is_public_key"
    NO_WORKBOOK = "finding_no_workbook"
    UNPACKS = "finding_unpacks", "bytes"
    SHEET_EMPTY = "finding_sheet_empty"
    # of a line
    LINE_TOO_LONG = "finding_line_too_long"
    LINE_NUL = "finding_line_nul"
    LINE_ENCODING = "finding_line_encoding", "encoding"
    QUOTE_OPEN = "finding_quote_open"
    QUOTE_MIDDLE = "finding_quote_middle"
    CELL_TOO_LONG = "finding_cell_too_long"
    LINE_BREAK = "finding_line_break"
    CELLS = "finding_cells", "count", "heading"
    UNTITLED = "finding_untitled", "column"
    # of a block that should be a certificate
    BLOCK_NO_END = "finding_block_no_end"
    BLOCK_END_ALONE = "finding_block_end_alone"
    BLOCK_MARK = "finding_block_mark"
    BLOCK_LABEL = "finding_block_label", "label"
    TOO_LONG = "finding_too_long", "limit"
    NOT_BASE64 = "finding_not_base64"
    NEITHER_FORM = "finding_neither_form"
    HOLDS_NONE = "finding_holds_none"
    SERIAL_TOO_LONG = "finding_serial_too_long", "limit"
    # of a cell
    LEFT_OUT = "finding_left_out", "detail"
    ROUNDED = "finding_rounded"
    TOKEN_FORM = "finding_token_form"
    STATE_FORM = "finding_state_form"
    DAY_FORM = "finding_day_form"
    SERIAL_FORM = "finding_serial_form"
    REFERENCE_FORM = "finding_reference_form"
    ID_FORM = "finding_id_form"
    ID_CHECK_DIGIT = "finding_id_check_digit"
    NAME_LENGTH = "finding_name_length", "limit"
    NAME_UNPRINTABLE = "finding_name_unprintable"
    OWN_CHARACTER = "finding_own_character"
    NO_NUMBER = "finding_no_number"
    NOBODYS_NUMBER = "finding_nobodys_number"
    LANDLINE = "finding_landline"
    NO_MAIL = "finding_no_mail"
    MAIL_TOO_LONG = "finding_mail_too_long"
    LOCALE_FORM = "finding_locale_form"
    YES_OR_NO = "finding_yes_or_no"
    CLASS_FORM = "finding_class_form"
    BRANCH_FORM = "finding_branch_form"
    ACCOUNT_FORM = "finding_account_form"
    OPERATOR_FORM = "finding_operator_form", "limit"
    PRODUCT_NEEDED = "finding_product_needed"
    NEEDED_FOR = "finding_needed_for", "product"
    OTHER_ROLE = "finding_other_role", "role"
    NO_SUCH_PRODUCT = "finding_no_such_product", "known"
    # of a customer
    SHARED_MOBILE = "finding_shared_mobile"
    SHARED_MAIL = "finding_shared_mail"
    OTHER_THAN_LINE = "finding_other_than_line", "line"
    ID_OF_LINE = "finding_id_of_line", "line"
    ID_OF_ANOTHER = "finding_id_of_another"
    ID_CHANGED = "finding_id_changed"
    # of a certificate
    NOT_ON_FILE = "finding_not_on_file"
    ID_AND_REFERENCE = "finding_id_and_reference"
    SLIPPED = "finding_slipped"
    NO_CUSTOMER = "finding_no_customer"
    NO_TOKEN = "finding_no_token"
    NOT_ENROLLED = "finding_not_enrolled"
    OTHER_ISSUER = "finding_other_issuer"
    NOT_VERIFIED = "finding_not_verified"
    OTHER_NAME = "finding_other_name"
    OTHER_TOKEN = "finding_other_token"
    OTHER_STATE = "finding_other_state"
    PRODUCT_UNSAID = "finding_product_unsaid"
    SEVERAL_PRODUCTS = "finding_several_products"
    NO_PRODUCT = "finding_no_product"
    RENEWAL_UNDER_WAY = "finding_renewal_under_way"
    SERIAL_TAKEN = "finding_serial_taken"
    SERIAL_DIFFERS = "finding_serial_differs"
    OTHER_PRODUCT = "finding_other_product"
    OTHER_CUSTOMER = "finding_other_customer"
    WITH_OTHER_TOKEN = "finding_with_other_token"
    HANDED_OVER = "finding_handed_over"
    # of a trust anchor
    NOT_SIGNED = "finding_not_signed", "detail"
    ISSUER_UNKNOWN = "finding_issuer_unknown"
    NO_ANCHOR = "finding_no_anchor"
    NO_CA_CERTIFICATE = "finding_no_ca_certificate"
    NOT_A_CA = "finding_not_a_ca"


class ImportedChange(ReasonCode):
    """What of a customer on file an import has made another."""

    MOBILE_ADDED = "mobile added"
    MOBILE_REPLACED = "mobile replaced"
    MOBILE_TAKEN_AWAY = "mobile taken away"
    MAIL_ADDED = "mail added"
    MAIL_REPLACED = "mail replaced"
    MAIL_TAKEN_AWAY = "mail taken away"
    NAME = "name changed"
    LOCALE = "locale changed"
    OPTED_OUT = "opted_out changed"


class SettingReason(ReasonCode):
    """Why a setting, or what it points at, cannot be used; what to do stands beside each."""

    UNKNOWN = "setting_unknown", "known"
    UNKNOWN_SECRET = "setting_unknown_secret", "known"
    NO_CHOICE = "setting_no_choice", "known"
    NO_NAME = "setting_no_name", "limit"
    NO_NUMBER = "setting_no_number", "least", "most"
    NO_URL = "setting_no_url"
    NO_NETWORK = "setting_no_network"
    NO_DATE = "setting_no_date"
    NO_GO_LIVE = "setting_no_go_live"
    NO_DATABASE = "setting_no_database", "like"
    NO_DRIVER = "setting_no_driver", "module", "target"
    NO_LOG = "setting_no_log"
    NO_SERVER = "setting_no_server"
    NO_BROKER = "setting_no_broker"
    PART_NO_NAME = "setting_part_no_name", "part"
    PART_UNKNOWN = "setting_part_unknown", "part", "known"
    PART_TWICE = "setting_part_twice", "part"
    PART_NO_FILE = "setting_part_no_file", "part"
    PART_UNREADABLE = "setting_part_unreadable", "part"
    SASL = "setting_sasl"
    KAFKA_ONLY = "setting_kafka_only"
    NO_BANK_FOLDER = "setting_no_bank_folder", "folder"
    BANK_DATA = "setting_bank_data", "first", "where", "more"
    INVENTED = "setting_invented", "where", "keys", "real", "trial"
    THERE_ALREADY = "setting_there_already"
    NO_SECRET = "setting_no_secret", "component", "secret", "file"
    CANNOT_READ = "setting_cannot_read", "file", "detail"
    SECRET_MISSING = "setting_secret_missing", "file"
    KEY_TOO_SHORT = "setting_key_too_short", "file", "bytes", "least"
    TOKEN_KEY_LENGTH = "setting_token_key_length", "file", "bytes"
    SAME_KEYS = "setting_same_keys", "first", "second"
    NOT_SET = "setting_not_set", "file"
    FILE_UNREADABLE = "setting_file_unreadable", "file"
    FILE_EMPTY = "setting_file_empty", "file"
    FILE_OPEN = "setting_file_open", "file"
    CANNOT_BE_MADE = "setting_cannot_be_made", "detail"
    OPEN_TO_OTHERS = "setting_open_to_others"
    TABLES = "setting_tables", "detail"
    OTHER_COLUMNS_KEY = "setting_other_columns_key"
    NO_HOME = "setting_no_home"
    NO_PROFILE = "setting_no_profile", "product", "profile", "known"
    TOO_LONG = "setting_too_long", "product", "days", "profile", "most"
    NO_POLICY = "setting_no_policy", "files"
    NO_RELAY = "setting_no_relay"
    NO_READER = "setting_no_reader", "folder"
    STATION_FILE = "setting_station_file", "detail"
    NO_STATION_KEY = "setting_no_station_key"
    OTHER_STATION_KEY = "setting_other_station_key"
    SCHEME = "setting_scheme", "known"
    LIKE = "setting_like", "like"
    CLEAR_PASSWORD = "setting_clear_password"
    PASSWORD_IN_URL = "setting_password_in_url"
    NO_SENDER = "setting_no_sender"
    SENDER_UNFIT = "setting_sender_unfit"
    SENDER_WRITES_NOTHING = "setting_sender_writes_nothing"
    NO_MAILDIR = "setting_no_maildir"
    NO_CA = "setting_no_ca"
    NO_CORE_BANKING = "setting_no_core_banking"
    CA_LOCKED = "setting_ca_locked", "detail"
    CA_NAME_CHANGED = "setting_ca_name_changed", "file", "folder"
    CA_NAME = "setting_ca_name", "detail"
    TWILIO_ACCOUNT = "setting_twilio_account"
    TWILIO_SERVICES = "setting_twilio_services"
    NO_PUBLIC_URL = "setting_no_public_url"
    POLICY = "setting_policy", "file", "field", "detail"
    TEXT = "setting_text", "detail"
    NEEDED = "setting_needed", "needs"
    NOT_HTTPS = "setting_not_https"
    NO_OPENID = "setting_no_openid"
    NO_ROLES = "setting_no_roles", "known"
    ISSUER_AWAY = "setting_issuer_away", "detail"
    ISSUER_SIGNS = "setting_issuer_signs", "known"
    CARRIER_AWAY = "setting_carrier_away", "detail"
    CARRIER_REFUSES = "setting_carrier_refuses", "detail"
    NO_EFFECT = "setting_no_effect", "other"
    BRANCH_UNKNOWN = "setting_branch_unknown", "branch"
    NO_TRUST = "setting_no_trust", "file"
    BRANCHES_UNKNOWN = "setting_branches_unknown", "branches"
    KEY_NO_EFFECT = "setting_key_no_effect", "product", "key"
    DATABASE_AWAY = "setting_database_away"
    POOLER = "setting_pooler"
    PRODUCT_WITHOUT_POLICY = "setting_product_without_policy", "count", "product"
    LOG_AWAY = "setting_log_away", "detail"


class RunReason(ReasonCode):
    """Why a row, an item or a whole bulk run goes no further."""

    # of a row of its file
    ROW_UNREADABLE = "run_row_unreadable", "detail"
    NOTHING_NAMED = "run_row_names_nothing"
    NUMBER_UNREADABLE = "run_number_unreadable"
    DATE_UNREADABLE = "run_date_unreadable"
    NO_CERTIFICATE = "run_no_certificate"
    AMBIGUOUS = "run_ambiguous", "count"
    END_DIFFERS = "run_end_differs", "on_file"
    ROW_REPEATED = "run_row_repeated", "first"
    # of an item
    IN_OTHER_RUN = "run_in_other_run", "run"
    SKIPPED = "run_item_skipped", "note"
    ITEM_CANCELLED = "run_item_cancelled"
    ITEM_BROKE = "run_item_broke", "detail"
    NO_POLICY = "run_no_policy", "product"
    NOT_FINISHED = "run_item_not_finished"
    # of a run
    SAME_FILE = "run_same_file", "run"
    OTHER_FILE = "run_other_file"
    NOTHING_TO_DO = "run_nothing_to_do"
    OTHER_STATE = "run_in_other_state", "run_state"
    OWN_RUN = "run_own"
    APPROVED_TWICE = "run_approved_by_same_person"
    APPROVAL_EXPIRED = "run_approval_expired"
    MANIFEST_CHANGED = "run_manifest_changed"
    TOO_MANY_FAILURES = "run_too_many_failures", "failed", "begun"
    PAUSED_BY_STAFF = "run_paused_by_staff", "note"
    CANCELLED_BY_STAFF = "run_cancelled_by_staff", "note"
    REJECTED = "run_rejected", "note"
    DAY_UNREADABLE = "run_day_unreadable"
    HOURS_UNREADABLE = "run_hours_unreadable"
    NOTHING_TO_RETRY = "run_nothing_to_retry"


class ReconcileReason(ReasonCode):
    """How our books differ from those of an outside system."""

    BANK_DID_MORE = "bank_did_more"
    BANK_DID_LESS = "bank_did_less"
    BANK_KNOWS_MORE = "bank_knows_more"
    CA_NOT_USABLE = "ca_not_usable"
    CA_NO_ROW = "ca_no_row"
    CA_ANOTHER_RENEWAL = "ca_another_renewal"
    CA_TWICE = "ca_twice"
    CA_OTHER_STATE = "ca_other_state"
    CA_OTHER_REASON = "ca_other_reason"
    CARRIER_KNOWS_THE_END = "carrier_knows_the_end"
    CARRIER_KNOWS_NOTHING = "carrier_knows_nothing"
    TOKEN_NEVER_READ = "token_never_read"
    TOKEN_HOLDS_ANOTHER = "token_holds_another"
    NOT_ASKED = "outside_system_not_asked"


class StatedReason(ReasonCode):
    """What a person has written, or a program of the version before."""

    PURPOSE = "purpose", "purpose"
    NOTE = "note", "note"
    TEXT = "text", "text"


class DecisionKind(StrEnum):
    """What was decided about a certificate: ``about`` and ``what`` are the columns that keep it."""

    REMINDER_CLAIMED = "reminder/claimed"
    REMINDER_MERGED = "reminder/merged"
    REMINDER_SENT = "reminder/sent"
    REMINDER_DELIVERED = "reminder/delivered"
    REMINDER_UNDELIVERED = "reminder/undelivered"
    REMINDER_UNCERTAIN = "reminder/uncertain"
    REMINDER_FAILED = "reminder/failed"
    REMINDER_TRIED_AGAIN = "reminder/tried again"
    REMINDER_CARRIER_AWAY = "reminder/carrier away"
    REMINDER_SUPPRESSED = "reminder/suppressed"
    REMINDER_DEFERRED = "reminder/deferred"
    REMINDER_BRANCH_CALL = "reminder/branch call"
    REMINDER_BY_INVITATION = "reminder/by invitation"
    REMINDER_BY_OLD_SYSTEM = "reminder/by old system"
    APPLICATION_MADE = "renewal/applied for"
    RENEWAL_REQUESTED = "renewal/requested"
    RENEWAL_INVITED = "renewal/invited"
    RENEWAL_REFUSED = "renewal/refused"
    RENEWAL_CONFIRMED = "renewal/confirmed"
    RENEWAL_DELIVERED = "renewal/delivered"
    RENEWAL_ACTIVATED = "renewal/activated"
    RENEWAL_DONE = "renewal/done"
    RENEWAL_ABANDONED = "renewal/abandoned"
    RENEWAL_WINDOW_LEFT = "renewal/window left"
    CODE_REQUESTED = "code/requested"
    CODE_REFUSED = "code/refused"
    CODE_SENT = "code/sent"
    CODE_FAILED = "code/failed"
    CODE_NOT_SENT = "code/not sent"
    CODE_DROPPED = "code/dropped"
    CODE_WRONG = "code/wrong"
    CODE_USED = "code/used"
    FEE_PAYMENT_ASKED = "fee/payment asked"
    FEE_PAID = "fee/paid"
    FEE_PAYMENT_DECLINED = "fee/payment declined"
    FEE_ENTITLEMENT_USED = "fee/entitlement used"
    FEE_HOLDING = "fee/holding"
    FEE_HELD = "fee/held"
    FEE_NOT_HELD = "fee/not held"
    FEE_DECLINED = "fee/declined"
    FEE_CAPTURED = "fee/captured"
    FEE_VOIDED = "fee/voided"
    FEE_CONSUMED = "fee/consumed"
    FEE_WAIVED = "fee/waived"
    FEE_TO_REFUND = "fee/to refund"
    FEE_REFUNDED = "fee/refunded"
    CA_ASKED_TO_ISSUE = "CA/asked to issue"
    CA_ISSUED = "CA/issued"
    CA_ISSUED_IN_VAIN = "CA/issued in vain"
    CA_REFUSED = "CA/refused"
    CA_WRONG_ANSWER = "CA/wrong answer"
    CA_KEPT = "CA/kept"
    CA_REVOKED = "CA/revoked"
    CA_SUSPENDED = "CA/suspended"
    CA_RESUMED = "CA/resumed"
    CA_SUSPEND_ASKED = "CA/suspend asked"
    CA_RESUME_ASKED = "CA/resume asked"
    CA_REVOKE_ASKED = "CA/revoke asked"
    CA_SUSPEND_PASSED_ON = "CA/suspend passed on"
    CA_SUSPEND_REFUSED = "CA/suspend refused"
    CA_RESUME_REFUSED = "CA/resume refused"
    CA_REVOKE_REFUSED = "CA/revoke refused"
    CA_TASK_OPENED = "CA/task opened"
    CA_TASK_DONE = "CA/task done"
    IMPORT_NO_REMINDERS = "import/no reminders"
    IMPORT_SUPERSEDED = "import/superseded"
    IMPORT_EXPIRED = "import/expired"
    TOKEN_REQUEST_SIGNED = "token/request signed"
    TOKEN_REFUSED = "token/refused"
    TOKEN_WRITTEN = "token/written, read back"
    TOKEN_NOT_PROVEN = "token/not proven"
    TOKEN_DECLINED = "token/declined"
    TOKEN_MOVED = "token/moved"
    STATEMENT_MADE = "statement/made"
    RECORDING_DUE = "recording/due"
    RECORDING_OVERDUE = "recording/overdue"
    RECORDING_RECORDED = "recording/recorded"
    NOTICE_SENT = "notice/sent"
    NOTICE_FAILED = "notice/failed"
    NOTICE_SUPPRESSED = "notice/suppressed"
    NOTICE_NOT_SENT = "notice/not sent"
    NOTICE_BRANCH_CALL = "notice/branch call"
    CALL_TRIED = "call/tried"
    CALL_ENDED = "call/ended"
    CALL_TO_BE_FOUND = "call/number to be found"
    CALL_NUMBER_FOUND = "call/number found"

    @property
    def about(self) -> str:
        return self.value.partition("/")[0]

    @property
    def what(self) -> str:
        return self.value.partition("/")[2]


REASONS: tuple[type[ReasonCode], ...] = (
    RefusalReason,
    RequestReason,
    ProofReason,
    StatementReason,
    TokenReason,
    EndReason,
    SuppressionReason,
    DeferralReason,
    DeliveryReason,
    FeeReason,
    CaReason,
    CallReason,
    OutcomeReason,
    ImportReason,
    ReadingReason,
    FindingReason,
    ImportedChange,
    SettingReason,
    RunReason,
    ReconcileReason,
    StatedReason,
)

#: Every code there is, by what is stored of it.
CODES: dict[str, ReasonCode] = {code.value: code for kind in REASONS for code in kind}


_R, _T, _E, _B = RefusalReason, TokenReason, EndReason, RunReason
#: What a customer or a clerk reads, and can name at the help desk; the same in every language.
ERROR_CODES: Mapping[ReasonCode, str] = {
    _R.NOT_YET: "E4101",
    _R.EXPIRED: "E4102",
    _R.SUSPENDED: "E4103",
    _E.CERTIFICATE_SUSPENDED: "E4103",
    _R.REVOKED: "E4104",
    _E.CERTIFICATE_REVOKED: "E4104",
    _R.SUPERSEDED: "E4109",
    _R.NOT_ACTIVE: "E4110",
    _R.WRONG_OPERATOR: "E4105",
    _R.UNDER_WAY: "E4106",
    _R.IN_PROGRESS: "E4106",
    _R.NO_CERTIFICATE_HERE: "E4107",
    _R.WINDOW_OVER: "E4108",
    _R.APPLY_AT_BRANCH: "E4113",
    _R.NO_ACCOUNT: "E4114",
    _R.HAS_CERTIFICATE: "E4115",
    _R.CODE_WRONG: "E4203",
    _R.CODE_EXPIRED: "E4204",
    _R.CODE_LOCKED: "E4205",
    _R.CODES_IN_TEN_MINUTES: "E4206",
    _R.CODES_TODAY: "E4206",
    _R.CODES_FROM_ADDRESSES: "E4206",
    _R.CODES_TO_RANGE: "E4206",
    _R.NO_MOBILE: "E4208",
    _R.CODES_REST: "E4208",
    _R.CODES_STOPPED: "E4201",
    _R.BACKUP_UNREADABLE: "E4301",
    _T.NO_READER: "E4401",
    _T.NO_PROGRAM: "E4402",
    _T.OTHER_TOKEN: "E4403",
    _T.BROWSER_BLOCKED: "E4404",
    _R.REVOCATION_LIMIT: "E4501",
    _R.FEE_NOT_PAID: "E4601",
    _E.FEE_DECLINED: "E4602",
    _R.ALREADY_PAID: "E4604",
    _R.NOT_PREPAID: "E4605",
    DeferralReason.BEING_FOUND_OUT: "E4603",
    _E.DECLINED_BY_CA: "E4701",
    _T.PIN_WRONG: "E5101",
    _T.PIN_LAST_TRY: "E5102",
    _T.PIN_BLOCKED: "E5103",
    _T.WRONG_TOKEN: "E5201",
    _T.FULL: "E5202",
    _T.PULLED: "E5203",
    _T.READ_BACK: "E5204",
    _B.ROW_UNREADABLE: "V101",
    _B.NOTHING_NAMED: "V102",
    _B.NUMBER_UNREADABLE: "V103",
    _B.DATE_UNREADABLE: "V104",
    _B.NO_CERTIFICATE: "V105",
    _B.AMBIGUOUS: "V106",
    _B.END_DIFFERS: "V107",
    _B.ROW_REPEATED: "V108",
    _B.IN_OTHER_RUN: "R401",
    _B.ITEM_BROKE: "R402",
    _B.NOT_FINISHED: "R403",
}
