"""Reads the differences between makes of PKCS#11 tokens."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from renewal.errors import XuqiError

SUFFIX = ".toml"


class ModelError(XuqiError):
    """The model cannot be used; the text names the file and says why."""


class TokenModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    modules: tuple[str, ...]  #: libraries; the first one that exists is loaded
    places: tuple[str, ...]  #: CKA_IDs in hex, in the order in which renewals use them
    label: str  #: of new objects, with {place}; empty: the module gives its own
    write_as: Literal["user", "so"]
    so_pin: Literal["text", "hex"] = "text"  #: how the write key is given as the officer's PIN
    pin_length: tuple[int, int]  #: least and most characters
    pin_tries: int  #: what the token has when nothing was tried: PKCS#11 tells no number
    overwrites: bool = False  #: a second certificate of an id takes the place of the first

    def __post_init__(self) -> None:
        if len(set(self.places)) < 2:  # noqa: PLR2004 - the old certificate stays beside the new one
            raise ValueError("a model needs two places at least")
        for place in self.places:
            bytes.fromhex(place)

    def module(self) -> str:
        """
        Raises:
            ModelError: none of the libraries is on this machine.
        """
        for path in self.modules:
            if Path(path).exists():
                return path
        named = ", ".join(self.modules) or "no module"
        raise ModelError(f"{self.name}: {named} is not there: install it, or name it in a model")


def names() -> list[str]:
    folder = files("token_station").joinpath("token_models")
    return sorted(one.name.removesuffix(SUFFIX) for one in folder.iterdir() if _is_toml(one.name))


def load(name_or_path: str) -> TokenModel:
    """
    Return a model of ours by its name, or a bank's own by its file.

    Raises:
        ModelError
    """
    if name_or_path in names():
        file = files("token_station").joinpath("token_models", name_or_path + SUFFIX)
        text = file.read_text(encoding="utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        raise ModelError(
            f"{name_or_path} is no token model: {', '.join(names())}, or the path of a file"
        )
    try:
        return msgspec.convert(tomllib.loads(text), TokenModel)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ModelError(f"{name_or_path}: {error}") from error


def _is_toml(name: str) -> bool:
    return name.endswith(SUFFIX)
