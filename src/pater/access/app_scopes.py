"""What of the scopes that an app asks for it can be given: the registered, and the role's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlencode

from pater.access.scopes import LETTERS, Scope, ScopeError, covers, parse_scope

# What a scope says that is not about records (SMART App Launch 2.2, sections 3.0.3 to 3.0.5).
OPENID: Final = "openid"
FHIR_USER: Final = "fhirUser"
PROFILE: Final = "profile"
LAUNCH: Final = "launch"
LAUNCH_PATIENT: Final = "launch/patient"
OFFLINE: Final = "offline_access"
ONLINE: Final = "online_access"
PLAIN: Final = frozenset({OPENID, FHIR_USER, PROFILE, LAUNCH, LAUNCH_PATIENT, OFFLINE, ONLINE})

# The most an app may do for a person of a role. Apps only read, and own no subscriptions: those
# would go on when the app is gone.
ROLE_SCOPES: Final[Mapping[str, tuple[str, ...]]] = {
    "patient": ("patient/*.rs",),
    "clinician": ("user/*.rs", "patient/*.rs"),
}
_SAFE: Final = "!$'()*,-./:;@_~|"


def is_known(text: str) -> bool:
    """Whether an app can be registered with this scope."""
    if text in PLAIN:
        return True
    try:
        return parse_scope(text).context in ("patient", "user")
    except ScopeError:
        return False


def grantable(
    wanted: Iterable[str], registered: tuple[str, ...], role: str, *, patient: bool
) -> tuple[str, ...]:
    """Which scopes an app can be given, in the order of its wishes; unknown ones fall away.

    `patient` says whether there is a record that scopes of `patient/` would speak of. A wish that
    goes too far is cut down to what is left of it (SMART 2.2, 3.0.2: fewer may be granted).
    """
    found: dict[str, None] = {}
    for text in wanted:
        if text in PLAIN:
            if text in registered and (patient or text not in (LAUNCH, LAUNCH_PATIENT)):
                found[text] = None
            continue
        try:
            scope = parse_scope(text)
        except ScopeError:
            continue
        if scope.context == "system" or (scope.context == "patient" and not patient):
            continue
        held = [each for each in registered if each not in PLAIN]
        for part in meet(text, held):
            found.update(dict.fromkeys(meet(part, ROLE_SCOPES.get(role, ()))))
    return tuple(found)


def meet(wanted: str, held: Iterable[str]) -> list[str]:
    """What is in the wanted scope and in the held ones: itself where they cover it, or parts."""
    held = list(held)
    if covers(held, wanted):
        return [wanted]
    want = parse_scope(wanted)
    letters: dict[tuple[str, tuple[tuple[str, str], ...]], set[str]] = {}
    for text in held:
        have = parse_scope(text)
        if have.context != want.context:
            continue
        if "*" not in (have.type, want.type) and have.type != want.type:
            continue
        both = set(have.letters) & set(want.letters)
        if both:
            type_ = want.type if have.type == "*" else have.type
            arguments = tuple(sorted({*have.arguments, *want.arguments}))
            letters.setdefault((type_, arguments), set()).update(both)
    parts: list[str] = []
    for (type_, arguments), some in letters.items():
        given = "".join(letter for letter in LETTERS if letter in some)
        text = written(Scope(want.context, type_, given, arguments))
        try:
            parse_scope(text)
        except ScopeError:
            continue  # e.g. too many arguments together: then it is not given
        parts.append(text)
    return parts


def written(scope: Scope) -> str:
    """The scope as text (SMART 2)."""
    query = "?" + urlencode(scope.arguments, safe=_SAFE) if scope.arguments else ""
    return f"{scope.context}/{scope.type}.{scope.letters}{query}"
