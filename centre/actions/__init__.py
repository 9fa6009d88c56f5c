"""The centre's actions, one module each, and the answers that they give."""

from __future__ import annotations

from centre.actions.centre import Centre
from centre.actions.replies import CodeAnswer, CodeNotSent, CodeResult, CodeSent

__all__ = ["Centre", "CodeAnswer", "CodeNotSent", "CodeResult", "CodeSent"]
