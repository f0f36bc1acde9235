"""The seal key that an operator names in the settings, wherever it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx

from pater.trust.seal import keys, remote_key
from pater.trust.seal.model import SealError, SealKey, Text
from pater.trust.seal.own import Own
from pater.trust.seal.token_key import SCHEME, Place, TokenKey, pin_of


def password_of(password: str, file: str) -> str:
    """The password: the text itself, else the first line of a file. Raises SealError."""
    if password or not file:
        return password
    try:
        return Path(file).expanduser().read_text("utf-8").partition("\n")[0].strip("\r")
    except (OSError, ValueError) as error:
        raise SealError(
            "key",
            Text(f"Soubor s heslem {file} nelze číst.", f"The password file {file} is unreadable."),
        ) from error


async def key_of(
    address: str, password: str, own: Own, new_client: Callable[[], httpx.AsyncClient]
) -> SealKey:
    """The key at an address. Raises SealError.

    Empty: certified by our own authority. `pkcs11:…`: in a token. `csc+https://…#credential`: at
    a remote provider, `password` being `client:secret`. Else the path of a PEM or PKCS #12 file.
    """
    if not address:
        return await own.key()
    if address.startswith(SCHEME):
        place = Place.of(address)
        return await asyncio.to_thread(TokenKey.at, place, pin_of(place, password))
    if address.startswith(remote_key.SCHEME):
        provider = remote_key.Provider.of(address, password, new_client)
        return await remote_key.RemoteKey.at(provider)
    return await asyncio.to_thread(_of_file, address, password)


def _of_file(address: str, password: str) -> SealKey:
    return keys.of_file(Path(address).expanduser(), password.encode() if password else None)
