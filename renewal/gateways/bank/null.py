"""Accepts every booking and keeps ids only, for benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from renewal.gateways.bank.port import BookingStatus

if TYPE_CHECKING:
    from renewal.gateways.bank.port import Booking


class NullBank:
    def __init__(self) -> None:
        self.booked: set[str] = set()

    def book(self, booking: Booking) -> None:
        self.booked.add(booking.id)

    def inquire(self, booking_id: str) -> BookingStatus:
        return BookingStatus.DONE if booking_id in self.booked else BookingStatus.UNKNOWN
