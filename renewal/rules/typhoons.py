"""Lists the days on which a county closed its offices because of a typhoon."""

from __future__ import annotations

from datetime import date
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: County -> days without work, as the county announced them (天然災害停止上班及上課情形,
#: published by the Directorate-General of Personnel Administration, www.dgpa.gov.tw).
#: They are announced on the eve: an installation adds its own to this sample.
TYPHOON_DAYS: Final[Mapping[str, frozenset[date]]] = MappingProxyType(
    {
        "嘉義縣": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
        "臺南市": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
        "高雄市": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
        "屏東縣": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
        "花蓮縣": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
        "臺東縣": frozenset({date(2023, 9, 4), date(2024, 10, 1)}),
    }
)
