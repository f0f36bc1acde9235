"""The words of a report, Czech and English, one entry for each thing that can be said."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pater.trust.seal.model import Sub, Text

OF: Final[dict[Sub, Text]] = {
    Sub.FORMAT_FAILURE: Text(
        "Pečeť nemá stavbu, jakou má její formát mít.",
        "The seal is not built as its format demands.",
    ),
    Sub.HASH_FAILURE: Text(
        "Obsah byl po zapečetění změněn.", "The content was changed after it was sealed."
    ),
    Sub.SIG_CRYPTO_FAILURE: Text(
        "Podpis nesouhlasí s klíčem z certifikátu.",
        "The signature does not agree with the key of the certificate.",
    ),
    Sub.REVOKED: Text(
        "Pečeť vznikla až po zneplatnění certifikátu.",
        "The seal was made after its certificate was revoked.",
    ),
    Sub.EXPIRED: Text(
        "Pečeť vznikla až po konci platnosti certifikátu.",
        "The seal was made after its certificate expired.",
    ),
    Sub.NOT_YET_VALID: Text(
        "Pečeť je starší než platnost jejího certifikátu.",
        "The seal is older than the validity of its certificate.",
    ),
    Sub.SIG_CONSTRAINTS_FAILURE: Text(
        "Pečeť nesplňuje, co je od ní žádáno.", "The seal does not meet what is asked of it."
    ),
    Sub.CHAIN_CONSTRAINTS_FAILURE: Text(
        "Řetězec certifikátů nesplňuje pravidla.",
        "The chain of certificates does not keep the rules.",
    ),
    Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE: Text(
        "Řetězec certifikátů nelze ověřit.", "The chain of certificates cannot be validated."
    ),
    Sub.CRYPTO_CONSTRAINTS_FAILURE: Text(
        "Byl použit algoritmus nebo klíč, který už není bezpečný.",
        "An algorithm or a key was used that is not safe any more.",
    ),
    Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: Text(
        "Certifikát používá algoritmus nebo klíč, který už není bezpečný.",
        "A certificate uses an algorithm or a key that is not safe any more.",
    ),
    Sub.TIMESTAMP_ORDER_FAILURE: Text(
        "Časová razítka nejdou po sobě.", "The time stamps are not in order."
    ),
    Sub.NO_SIGNING_CERTIFICATE_FOUND: Text(
        "Certifikát, na který se pečeť odvolává, v ní není.",
        "The certificate that the seal names is not in it.",
    ),
    Sub.NO_CERTIFICATE_CHAIN_FOUND: Text(
        "Od certifikátu nevede cesta k žádné uznané autoritě.",
        "No path leads from the certificate to an authority that is trusted here.",
    ),
    Sub.REVOKED_NO_POE: Text(
        "Certifikát byl zneplatněn a nic nedokládá, že pečeť vznikla dřív.",
        "The certificate was revoked, and nothing shows that the seal was made before.",
    ),
    Sub.REVOKED_CA_NO_POE: Text(
        "Certifikát autority byl zneplatněn a nic nedokládá, že pečeť vznikla dřív.",
        "The certificate of an authority was revoked, and nothing shows that the seal was"
        " made before.",
    ),
    Sub.OUT_OF_BOUNDS_NO_POE: Text(
        "Platnost certifikátu skončila a nic nedokládá, že pečeť vznikla dřív.",
        "The certificate has expired, and nothing shows that the seal was made before.",
    ),
    Sub.NO_POE: Text(
        "Nic nedokládá, kdy tu pečeť už byla.", "Nothing shows when the seal already was."
    ),
    Sub.TRY_LATER: Text(
        "Není známo, zda certifikát nebyl zneplatněn; zkuste to později.",
        "It is not known whether the certificate was revoked; try later.",
    ),
    Sub.SIGNED_DATA_NOT_FOUND: Text(
        "Zapečetěný obsah tu není.", "What was sealed is not there."
    ),
    Sub.GENERIC: Text("Pečeť nelze ověřit.", "The seal cannot be validated."),
}  # fmt: skip

GOOD: Final[dict[str, Text]] = {
    "structure": Text("Stavba pečeti je správná.", "The seal is built as its format demands."),
    "content": Text("Obsah nebyl změněn.", "The content was not changed."),
    "signature": Text("Podpis souhlasí.", "The signature agrees."),
    "certificate": Text(
        "Pečeť nese certifikát, na který se odvolává.",
        "The certificate that the seal names is in it.",
    ),
    "path": Text(
        "Certifikát a autority nad ním v rozhodné době platily.",
        "The certificate and the authorities above it were valid at the time that counts.",
    ),
    "algorithms": Text("Algoritmy a klíče jsou bezpečné.", "Algorithms and keys are safe."),
}


def stamp_good(time: datetime) -> Text:
    """A time stamp that can be believed."""
    return Text(
        f"Časové razítko z {time:%d. %m. %Y %H:%M:%S} UTC platí.",
        f"The time stamp of {time:%Y-%m-%d %H:%M:%S} UTC is good.",
    )


def stamp_bad(sub: Sub) -> Text:
    """A time stamp that shows nothing, and why."""
    why = OF[sub]
    return Text(f"Časové razítko neplatí: {why.cs}", f"The time stamp is not good: {why.en}")


STAMP_OTHER: Final = Text(
    "Časové razítko je nad něčím jiným.", "The time stamp is over something else."
)
STAMP_UNREADABLE: Final = Text(
    "Časové razítko nelze přečíst nebo jeho podpis nesouhlasí.",
    "A time stamp cannot be read, or its signature does not agree.",
)
