"""Holds every state machine: its states, the allowed transitions, and who makes each of them."""

from __future__ import annotations

from schema.state_machine import Machine, State, steps

# --- certificate ----------------------------------------------------------------------------------


class CertificateState(State):
    PENDING = "pending", "Issued, and not yet proven to be in its customer's hands."
    ACTIVE = "active", "In force."
    SUSPENDED = "suspended", "On hold at the CA at a person's wish; it may be resumed."
    SUPERSEDED = "superseded", "Replaced by a newer certificate of its slot that is proven."
    REVOKED = "revoked", "Revoked at the CA for good."
    EXPIRED = "expired", "Past its renewal window without a renewal."


_C = CertificateState
CERTIFICATE = Machine(
    name="certificate",
    states=_C,
    initial=(_C.PENDING, _C.ACTIVE, _C.SUSPENDED, _C.SUPERSEDED, _C.REVOKED, _C.EXPIRED),
    open=frozenset({_C.PENDING, _C.ACTIVE, _C.SUSPENDED}),
    transitions=steps(
        _C,
        "pending -> active | customer page renew | machine consumer records",
        "pending -> revoked | machine consumer revocation | staff certificates revoke",
        "active -> superseded | machine consumer records | staff import certificates",
        "active -> suspended | customer page ending | staff certificates suspend",
        "active -> revoked | customer page ending | staff certificates revoke",
        "active -> expired | machine job leave | staff import certificates",
        "suspended -> active | staff certificates resume",
        "suspended -> revoked | customer page ending | staff certificates revoke",
        "suspended -> superseded | staff import certificates",
        "suspended -> expired | staff import certificates",
        "superseded -> revoked | machine consumer revocation | staff certificates revoke",
        "expired -> suspended | staff certificates suspend",
        "expired -> revoked | staff certificates revoke",
    ),
)


# --- renewal --------------------------------------------------------------------------------------


class RenewalState(State):
    REQUESTED = "requested", "Reserved; the customer's confirmation is waited for."
    CONFIRMED = "confirmed", "Confirmed; the fee is being secured."
    FEE_HELD = "fee held", "The fee is held, was paid before, or there is none."
    SENT_TO_CA = "sent to CA", "The CA is being asked to issue."
    ISSUED = "issued", "The CA has issued; the customer or the station has yet to collect."
    DELIVERED = "delivered", "Collected; the new key has yet to sign the challenge."
    ACTIVATED = "activated", "The new certificate is proven and in force; fee and old one follow."
    DONE = "done", "Everything is settled."
    REFUSED = "refused", "The bank, the CA, the token or a rule has said no."
    ABANDONED = "abandoned", "Its customer declined or did not finish."


_R = RenewalState
RENEWAL = Machine(
    name="renewal",
    states=_R,
    initial=(_R.REQUESTED,),
    open=frozenset(
        {
            _R.REQUESTED,
            _R.CONFIRMED,
            _R.FEE_HELD,
            _R.SENT_TO_CA,
            _R.ISSUED,
            _R.DELIVERED,
            _R.ACTIVATED,
        }
    ),
    transitions=steps(
        _R,
        "requested -> confirmed | customer page renew | machine consumer records",
        "requested -> refused | machine consumer records | staff renewals end",
        "requested -> abandoned | customer page renew | machine job tend | staff renewals decline",
        "confirmed -> fee held | machine consumer billing",
        "confirmed -> refused | machine consumer billing | staff renewals settle",
        "fee held -> sent to CA | machine consumer issuance",
        "fee held -> refused | machine consumer issuance | staff renewals settle",
        "sent to CA -> issued | machine consumer issuance",
        "sent to CA -> refused | machine consumer issuance | staff renewals settle",
        "issued -> delivered | customer page renew",
        "issued -> activated | customer page renew | machine consumer records",
        "issued -> refused | machine consumer revocation | staff renewals end",
        "issued -> abandoned | customer page renew | machine job tend | staff renewals decline",
        "delivered -> activated | customer page renew | machine consumer records",
        "delivered -> refused | machine consumer revocation | staff renewals end",
        "delivered -> abandoned | customer page renew | machine job tend | staff renewals decline",
        "activated -> done | machine consumer records | staff renewals settle",
    ),
)


class OldState(State):
    """What has become of the certificate that a renewal replaces."""

    NONE = "none", "There is none: the first certificate, or the first after one that has ended."
    UNTOUCHED = "untouched", "The new certificate is not proven, or the old one was not looked at."
    TO_REVOKE = "to revoke", "The CA, or a person at another CA, is to revoke it."
    REVOKED = "revoked", "It is revoked."
    KEPT = "kept", "It is kept until it expires."


OLD = Machine(
    name="old certificate",
    states=OldState,
    initial=(OldState.UNTOUCHED, OldState.NONE),
    open=frozenset({OldState.UNTOUCHED, OldState.TO_REVOKE}),
    transitions=steps(
        OldState,
        "untouched -> kept | machine consumer revocation | staff renewals settle",
        "untouched -> to revoke | machine consumer revocation",
        "untouched -> revoked | staff renewals settle",
        "to revoke -> revoked | machine consumer revocation | staff tasks done | "
        "staff renewals settle",
        "to revoke -> kept | staff renewals settle",
    ),
)


# --- fee ------------------------------------------------------------------------------------------


class FeeState(State):
    NONE = "none", "The product has no fee."
    QUOTED = "quoted", "The amount is fixed; nothing was asked of the bank."
    HOLDING = "holding", "The bank is being asked to hold it, or its answer was lost."
    HELD = "held", "The bank holds it."
    CAPTURED = "captured", "Charged, after delivery."
    VOIDED = "voided", "The hold was released."
    DECLINED = "declined", "Not held: the bank declined, or there is no account."
    PREPAID = "prepaid", "An entitlement that was paid before is reserved for it."
    CONSUMED = "consumed", "The entitlement is used up."
    WAIVED = "waived", "Delivered, and not charged: a person has settled it so."


_F = FeeState
FEE = Machine(
    name="fee",
    states=_F,
    initial=(_F.NONE, _F.QUOTED),
    open=frozenset({_F.QUOTED, _F.HOLDING, _F.HELD, _F.PREPAID}),
    transitions=steps(
        _F,
        "quoted -> holding | machine consumer billing",
        "quoted -> prepaid | machine consumer billing",
        "quoted -> declined | machine consumer billing | staff renewals settle",
        "holding -> held | machine consumer billing | staff renewals settle",
        "holding -> declined | machine consumer billing | staff renewals settle",
        "held -> captured | machine consumer billing | staff renewals settle",
        "held -> voided | machine consumer billing | staff renewals settle",
        "held -> waived | staff renewals settle",
        "prepaid -> consumed | machine consumer billing",
        "prepaid -> waived | staff renewals settle",
    ),
)


# --- payment --------------------------------------------------------------------------------------


class PaymentState(State):
    ASKED = "asked", "The bank is being asked to debit it."
    PAID = "paid", "Debited; the next renewal of its certificate may use it."
    REFUSED = "refused", "Not debited."
    RESERVED = "reserved", "A renewal that is under way uses it."
    CONSUMED = "consumed", "Used up by a renewal."
    TO_REFUND = "to refund", "No renewal can use it any more: the bank is being asked to pay back."
    REFUNDED = "refunded", "Paid back."


_P = PaymentState
PAYMENT = Machine(
    name="payment",
    states=_P,
    initial=(_P.ASKED,),
    open=frozenset({_P.ASKED, _P.PAID, _P.RESERVED, _P.TO_REFUND}),
    transitions=steps(
        _P,
        "asked -> paid | machine consumer billing | staff payments settle",
        "asked -> refused | machine consumer billing | staff payments settle",
        "paid -> reserved | customer page renew | staff renewals start",
        "paid -> to refund | machine job tend | staff payments settle",
        "reserved -> consumed | machine consumer billing",
        "reserved -> paid | machine consumer records | staff renewals end",
        "to refund -> refunded | machine consumer billing | staff payments settle",
    ),
)


# --- message --------------------------------------------------------------------------------------


class MessageState(State):
    CLAIMED = "claimed", "About to be handed over; one process has it."
    HANDED_OVER = "handed over", "A carrier has taken it."
    DELIVERED = "delivered", "The carrier says that it arrived."
    UNDELIVERED = "undelivered", "The carrier refused it, or says that it did not arrive."
    UNCERTAIN = "uncertain", "The carrier has taken it and has said nothing for too long."
    SUPPRESSED = "suppressed", "Withdrawn before it was handed over: it had become pointless."


_M = MessageState
MESSAGE = Machine(
    name="message",
    states=_M,
    initial=(_M.CLAIMED,),
    open=frozenset({_M.CLAIMED, _M.HANDED_OVER}),
    transitions=steps(
        _M,
        "claimed -> handed over | machine consumer reminders | staff messages settle",
        "claimed -> undelivered | machine consumer reminders | staff messages settle",
        "claimed -> suppressed | machine consumer reminders",
        "claimed -> delivered | machine job delivery_receipts",
        "handed over -> delivered | machine job delivery_receipts",
        "handed over -> undelivered | machine job delivery_receipts | staff messages settle",
        "handed over -> uncertain | machine job delivery_receipts",
        "uncertain -> delivered | machine job delivery_receipts",
        "uncertain -> undelivered | machine job delivery_receipts",
    ),
)


# --- one-time code --------------------------------------------------------------------------------


class CodeState(State):
    """Read from a challenge's times and tries; there is no column of it."""

    ISSUED = "issued", "It may be entered."
    USED = "used", "It was entered and is used up."
    EXPIRED = "expired", "Its time is over."
    SUPERSEDED = "superseded", "A newer one of the same customer has taken its place."
    LOCKED = "locked", "Too many wrong entries."


CODE = Machine(
    name="one-time code",
    states=CodeState,
    initial=(CodeState.ISSUED,),
    open=frozenset({CodeState.ISSUED}),
    transitions=steps(
        CodeState,
        "issued -> used | customer code enter",
        "issued -> locked | customer code enter",
        "issued -> superseded | customer code send",
        "issued -> expired | machine clock",
    ),
)


# --- token job ------------------------------------------------------------------------------------


class TokenJobState(State):
    """What a station's journal has of a job. A word in -ing was begun, and may have been done."""

    WAITING = "waiting for token", "The job has come; its token is in no reader."
    SEEN = "token seen", "The token with the certificate in force is in a reader."
    PREPARING = "preparing", "A blank token is being given its serial."
    MARKED = "serial given", "The blank token has its serial, and is known by it."
    SETTING_PUK = "setting PUK", "The token's unblocking code is being set."
    PREPARED = "prepared", "The token has its own management key and unblocking code."
    PIN_SET = "PIN set", "The holder of a new token has set its PIN."
    PIN_VERIFIED = "PIN verified", "The customer's PIN was right."
    MAKING_KEY = "making key", "The token is being told to make a key."
    KEY_MADE = "key made", "The new key is on the token."
    REQUEST_SIGNED = "request signed", "The request is signed by the new key, and by the old."
    REQUEST_SENT = "request sent", "The centre has the request."
    CERTIFICATE_RECEIVED = "certificate received", "The new certificate has come."
    WRITING = "writing", "The certificate is being written."
    WRITTEN = "written, read back", "What was read back is what was written."
    PROVEN = "proven", "The new key has signed the challenge."
    DECLINING = "declining", "It cannot be done here, and the centre may not have heard it yet."
    DONE = "done", "The centre has the proof."
    ENDED = "ended", "The job is over without effect."


_T = TokenJobState
_T_OPEN = tuple(state for state in _T if state not in {_T.DONE, _T.ENDED})
TOKEN_JOB = Machine(
    name="token job",
    states=_T,
    initial=(_T.WAITING,),
    open=frozenset(_T_OPEN),
    transitions=steps(
        _T,
        "waiting for token -> token seen | staff station",
        "token seen -> PIN verified | staff station",
        "PIN verified -> making key | staff station",
        "making key -> key made | staff station",
        "key made -> request signed | staff station",
        "request signed -> request sent | staff station",
        "request sent -> certificate received | staff station",
        "certificate received -> writing | staff station",
        "writing -> written, read back | staff station",
        "written, read back -> proven | staff station",
        "proven -> done | staff station",
        # A token that was made ready before is asked again from where the key or proof is known.
        "making key -> request signed | staff station",
        # A blank token is prepared first; its holder sets the PIN.
        "waiting for token -> preparing | staff station",
        "preparing -> serial given | staff station",
        "serial given -> setting PUK | staff station",
        "setting PUK -> prepared | staff station",
        "prepared -> PIN set | staff station",
        "PIN set -> making key | staff station",
        *(
            f"{state} -> declining | staff station"
            for state in _T_OPEN
            if state not in {_T.PROVEN, _T.DECLINING}
        ),
        "declining -> ended | staff station | staff renewals end",
        *(
            f"{state} -> ended | staff renewals end"
            for state in _T_OPEN
            if state is not _T.DECLINING
        ),
    ),
)


class TokenState(State):
    """The life of one token."""

    IN_STOCK = "in stock", "At the branch, and nobody's."
    ASSIGNED = "assigned", "Meant for a customer who has not collected it."
    ACTIVE = "active", "In its customer's hands and in use."
    ON_HOLD = "on hold", "Reported missing; its certificates are suspended."
    LOST = "lost", "Lost for good; its certificates are revoked."
    DAMAGED = "damaged", "It does not work any more; its certificates are revoked."
    RETURNED = "returned", "Given back to the branch; its certificates are revoked."
    DESTROYED = "destroyed", "Destroyed, with a record of who did it."


_K = TokenState
TOKEN = Machine(
    name="token",
    states=_K,
    initial=(_K.IN_STOCK, _K.ACTIVE),
    open=frozenset(_K) - {_K.DESTROYED},
    transitions=steps(
        _K,
        "in stock -> assigned | staff token assign",
        "in stock -> damaged | staff token damaged",
        "in stock -> destroyed | staff token destroy",
        "assigned -> active | staff token activate",
        "assigned -> in stock | staff token return",
        "assigned -> lost | staff token lost",
        "assigned -> damaged | staff token damaged",
        "active -> on hold | staff token hold",
        "active -> lost | staff token lost",
        "active -> damaged | staff token damaged",
        "active -> returned | staff token return",
        "on hold -> active | staff token resume",
        "on hold -> lost | staff token lost",
        "on hold -> damaged | staff token damaged",
        "on hold -> returned | staff token return",
        "lost -> returned | staff token return",
        "damaged -> destroyed | staff token destroy",
        "returned -> in stock | staff token restock",
        "returned -> destroyed | staff token destroy",
    ),
)


class RecordingState(State):
    """What a branch has yet to take down after a written renewal."""

    DUE = "due", "The branch is to record the renewal and its related codes."
    OVERDUE = "overdue", "The day by which it was due has passed."
    RECORDED = "recorded", "Recorded; transfers are usable."


RECORDING = Machine(
    name="branch recording",
    states=RecordingState,
    initial=(RecordingState.DUE,),
    open=frozenset({RecordingState.DUE, RecordingState.OVERDUE}),
    transitions=steps(
        RecordingState,
        "due -> recorded | staff recordings record",
        "due -> overdue | machine job tend",
        "overdue -> recorded | staff recordings record",
    ),
)


# --- tasks of people ------------------------------------------------------------------------------


class TaskState(State):
    """Something that a person must do at another CA, because no machine of ours can."""

    OPEN = "open", "A person is to do it at the CA that issued the certificate."
    DONE = "done", "Done there, as a person has said, with the reason."
    NOT_NEEDED = "not needed", "It has become needless, as a person or a later fact has said."


TASK = Machine(
    name="task",
    states=TaskState,
    initial=(TaskState.OPEN,),
    open=frozenset({TaskState.OPEN}),
    transitions=steps(
        TaskState,
        "open -> done | staff tasks done",
        "open -> not needed | staff tasks done",
    ),
)


class DeadLetterState(State):
    OPEN = "open", "A consumer has given the event up; a person is to look at it."
    REPLAYED = "replayed", "Sent to its consumer again."
    CLOSED = "closed", "Settled by hand; it is not sent again."


DEAD_LETTER = Machine(
    name="dead letter",
    states=DeadLetterState,
    initial=(DeadLetterState.OPEN,),
    open=frozenset({DeadLetterState.OPEN}),
    transitions=steps(
        DeadLetterState,
        "open -> replayed | staff dead-letters replay",
        "open -> closed | staff dead-letters close",
    ),
)


# --- bulk runs ------------------------------------------------------------------------------------


class RunState(State):
    DRAFT = "draft", "A file or a filter was given; it is not checked yet."
    VALIDATED = "validated", "Checked; its maker sees counts, fees and exclusions."
    AWAITING_APPROVAL = "awaiting approval", "Submitted; a second person is to decide."
    APPROVED = "approved", "Approved; its list is frozen, and it may be started for 24 hours."
    RUNNING = "running", "Items are being renewed."
    PAUSED = "paused", "Stopped for now, by a person or after too many failures."
    COMPLETE = "complete", "Every item is in its bucket."
    CANCELLED = "cancelled", "Ended by a person; what was in hand was finished."
    FAILED = "failed", "It could not go on; every item says how far it came."


_B = RunState
RUN = Machine(
    name="bulk run",
    states=_B,
    initial=(_B.DRAFT,),
    open=frozenset(_B) - {_B.COMPLETE, _B.CANCELLED, _B.FAILED},
    transitions=steps(
        _B,
        "draft -> validated | machine run plan",
        "draft -> failed | machine run plan",
        "draft -> cancelled | staff run cancel",
        "validated -> awaiting approval | staff run submit",
        "validated -> cancelled | staff run cancel",
        "awaiting approval -> approved | staff run approve",
        "awaiting approval -> validated | staff run reject",
        "awaiting approval -> cancelled | staff run cancel",
        "approved -> running | staff run start",
        "approved -> validated | machine job runs",
        "approved -> cancelled | staff run cancel",
        "running -> paused | staff run pause | machine job runs",
        "running -> complete | machine job runs",
        "running -> cancelled | staff run cancel",
        "running -> failed | machine job runs",
        "paused -> running | staff run resume",
        "paused -> cancelled | staff run cancel",
    ),
)


class RunItemState(State):
    WAITING = "waiting", "Its turn has not come."
    IN_HAND = "in hand", "Its renewal is being made."
    HANDED_ON = "handed on", "The customer was invited, or the branch has the job."
    RENEWED = "renewed", "The new certificate is in force."
    REFUSED = "refused", "A rule, the bank or the CA has said no."
    DECLINED = "declined", "Its customer did not want it."
    FAILED = "failed", "Something broke; it may be retried."
    SKIPPED = "skipped", "A person has left it out."
    CANCELLED = "cancelled", "The run was cancelled before its turn."


_I = RunItemState
RUN_ITEM = Machine(
    name="run item",
    states=_I,
    initial=(_I.WAITING, _I.REFUSED),
    open=frozenset({_I.WAITING, _I.IN_HAND, _I.HANDED_ON}),
    transitions=steps(
        _I,
        "waiting -> in hand | machine job runs",
        "waiting -> handed on | machine job runs",
        "waiting -> refused | machine job runs",
        "waiting -> failed | machine job runs",
        "waiting -> skipped | staff run skip",
        "waiting -> cancelled | staff run cancel",
        "in hand -> handed on | machine consumer runs",
        "in hand -> refused | staff renewals end | machine consumer runs",
        "in hand -> renewed | machine consumer runs",
        "in hand -> declined | machine consumer runs",
        "in hand -> failed | machine consumer runs",
        "handed on -> refused | staff renewals end | machine consumer runs",
        "handed on -> renewed | machine consumer runs",
        "handed on -> declined | machine consumer runs",
        "handed on -> failed | machine consumer runs",
        "failed -> waiting | staff run retry",
        "failed -> skipped | staff run skip",
    ),
)


#: Every machine there is, by the name that documents, catalogues and tests use.
MACHINES: dict[str, Machine] = {
    machine.name: machine
    for machine in (
        CERTIFICATE,
        RENEWAL,
        OLD,
        FEE,
        PAYMENT,
        MESSAGE,
        CODE,
        TOKEN_JOB,
        TOKEN,
        RECORDING,
        TASK,
        DEAD_LETTER,
        RUN,
        RUN_ITEM,
    )
}
