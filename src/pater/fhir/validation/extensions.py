"""Extensions: is the definition known, may it be used here, and does the value conform to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath import EvaluationError, FhirPathError, compile_expression
from pater.fhir.fhirpath.items import Item, Scope, truth
from pater.fhir.fhirpath.types import is_a
from pater.fhir.validation.layers import Json, Node
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

if TYPE_CHECKING:
    from pater.fhir.validation.profiles import Profile
    from pater.fhir.validation.walk import Holder

CORE = "http://hl7.org/fhir/StructureDefinition/"


def check_extension(
    run: Run, item: Item, frame: Frame, holder: Holder, *, modifier: bool
) -> Findings:
    """What is wrong with one extension of a holder (R4 section 2.4.0)."""
    value: Json = item[1]
    url = value.get("url")
    if not isinstance(url, str) or not url:
        return None  # that it is missing is told by the base check
    nested = holder.kind == "Extension"
    if ":" not in url:
        if nested:
            return None  # a part of a complex extension: its definition is checked with that
        return [Finding(".url", "value", "The address of an extension is absolute.")]
    if "|" in url:
        text = "The address of an extension has no version."
        return [Finding(".url", "value", text)]
    profile = run.profiles.get(url)
    if profile is None:
        return _unknown(run, url, modifier=modifier)
    if profile.type != "Extension":
        return [Finding(".url", "value", f"{url} defines a {profile.type}, not an extension.")]
    out: list[Finding] = []
    out += _modifier(profile, url, modifier=modifier)
    out += _context(run, profile.definition, url, frame, holder)
    found = run.conforms(item, frame, profile)
    if found:
        out += found
    out += _parts(profile, value, url)
    return out or None


def _unknown(run: Run, url: str, *, modifier: bool) -> Findings:
    settings = run.settings
    if any(url.startswith(each) for each in settings.trusted_extensions):
        return None
    if modifier:
        text = f"The modifier extension {url[:200]} is not known: it may change what is said here."
        return [Finding("", "extension", text, "error")]
    text = f"The extension {url[:200]} is not known."
    return [Finding("", "extension", text, settings.unknown_extensions)]


def _modifier(profile: Profile, url: str, *, modifier: bool) -> list[Finding]:
    wanted = next(
        (node.row["isModifier"] for node in profile.stack if "isModifier" in node.row), False
    )
    if wanted is True and not modifier:
        return [Finding("", "structure", f"{url} is a modifier extension.")]
    if wanted is not True and modifier:
        return [Finding("", "structure", f"{url} is no modifier extension.")]
    return []


def _parts(profile: Profile, value: Json, url: str) -> list[Finding]:
    """Parts of a complex extension that its definition does not name."""
    known: set[str] = set()
    for node in profile.stack:
        listed = node.children.get("extension")
        if listed is not None:
            known |= {name for each in listed.slices.values() for name in _urls(each)}
    if not known:
        return []
    out: list[Finding] = []
    for place, each in enumerate(value.get("extension") or ()):
        name = each.get("url") if isinstance(each, dict) else None
        if isinstance(name, str) and ":" not in name and name not in known:
            text = f"The extension {url} has no part {name[:64]}."
            out.append(Finding(f".extension[{place}].url", "value", text))
    return out


def _urls(node: Node) -> list[str]:
    inner = node.children.get("url")
    fixed = inner.row.get("fixedUri") if inner is not None else None
    return [fixed] if isinstance(fixed, str) else [node.id.rpartition(":")[2].removesuffix("[x]")]


def _context(run: Run, definition: Json, url: str, frame: Frame, holder: Holder) -> list[Finding]:
    contexts = [each for each in definition.get("context") or () if isinstance(each, dict)]
    out: list[Finding] = []
    if contexts and not any(_allowed(run, each, frame, holder) for each in contexts):
        wanted = ", ".join(str(each.get("expression")) for each in contexts)
        text = f"The extension {url} may not be used on {holder.paths()[-1]}, only on {wanted}."
        out.append(Finding("", "structure", text))
    for rule in definition.get("contextInvariant") or ():
        if isinstance(rule, str) and _evaluate(run, rule, holder.item, frame) is False:
            text = f"The extension {url} may not be used here: {rule} does not hold."
            out.append(Finding("", "structure", text))
    return out


def _allowed(run: Run, context: Json, frame: Frame, holder: Holder) -> bool:
    expression = str(context.get("expression"))
    kind = context.get("type")
    if kind == "extension":
        around = holder if holder.kind == "Extension" else holder.above
        return (
            around is not None and around.kind == "Extension"
            and _address(around.item) == expression
        )  # fmt: skip
    if kind == "fhirpath":
        return _found(run, expression, holder, frame)
    if expression == "Element":
        return True
    if expression == "ElementDefinition.type.code":
        expression = "ElementDefinition.type"  # stands there in all published definitions
    wanted = expression.removeprefix(CORE).replace("[x]", "")
    paths = holder.paths()
    if wanted in paths:
        return True
    name = holder.kind
    if type_kind(wanted) is not None or wanted in ("Resource", "DomainResource", "BackboneElement"):
        return is_a(name, wanted)
    if "#" in wanted or wanted.startswith("http"):
        return True  # an element of a profile, or of something that is no R4 type: not decidable
    head, _, tail = wanted.partition(".")
    return head in ("Resource", "DomainResource", "CanonicalResource", "MetadataResource") and (
        not tail or any(path.partition(".")[2] == tail for path in paths)
    )


def _address(item: Item) -> Any:
    return item[1].get("url") if isinstance(item[1], dict) else None


def _found(run: Run, text: str, holder: Holder, frame: Frame) -> bool:
    """Whether a FHIRPath of the resource gives the holder itself."""
    kind = str(frame.resource.get("resourceType"))
    environment = run.environment(frame)
    start: Item = (holder.item[0] if holder.above is None else _top(holder).item[0],
                   frame.resource, None)  # fmt: skip
    environment.context = [start]
    try:
        found = compile_expression(text, kind).run([start], Scope(environment, 0, []))
        if truth(found[:1]) is True and found and isinstance(found[0][1], bool):
            return True
    except EvaluationError:
        return True
    except FhirPathError:
        return False
    wanted = holder.item
    return any(each[1] is wanted[1] and each[2] is wanted[2] for each in found)


def _top(holder: Holder) -> Holder:
    here = holder
    while here.above is not None:
        here = here.above
    return here


def _evaluate(run: Run, text: str, item: Item, frame: Frame) -> bool | None:
    environment = run.environment(frame)
    environment.context = [item]
    try:
        expression = compile_expression(text, item[0].name)
        return truth(expression.run([item], Scope(environment, 0, [])))
    except (FhirPathError, EvaluationError):
        return None
