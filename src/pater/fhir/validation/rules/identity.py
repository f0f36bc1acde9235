"""Rules of every resource: ids of elements are unique, contained resources are referred to."""

from __future__ import annotations

import re
from typing import Any

from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

_LINK = re.compile(r"""(?:src|href)\s*=\s*["']#([^"']+)["']""")


def duplicate_ids(run: Run, resource: dict[str, Any], frame: Frame) -> Findings:
    """Ids given twice within one resource: of elements, and of contained resources; what is
    inside these has its own."""
    out: list[Finding] = []
    inside: set[str] = set()
    contained = resource.get("contained")
    for place, each in enumerate(contained if type(contained) is list else ()):
        ident = each.get("id") if type(each) is dict else None
        if isinstance(ident, str):
            if ident in inside:
                text = "Another contained resource has this id."
                out.append(Finding(f".contained[{place}].id", "business-rule", text))
            inside.add(ident)
    if resource.get("resourceType") == "StructureDefinition":
        return out or None  # its snapshot and its differential name the same elements
    seen: set[str] = set()
    open_: list[tuple[str, Any]] = [
        (f".{key}", value) for key, value in resource.items() if key != "contained"
    ]
    for path, value in open_:  # grows while it is walked
        if type(value) is list:
            open_ += [(f"{path}[{place}]", each) for place, each in enumerate(value)]
        elif type(value) is dict and "resourceType" not in value:
            ident = value.get("id")
            if isinstance(ident, str):
                if ident in seen:
                    out.append(Finding(f"{path}.id", "business-rule", "This id is given twice."))
                if " " in ident:  # R4 section 2.27.1
                    out.append(
                        Finding(f"{path}.id", "value", "The id of an element has no blanks.")
                    )
                seen.add(ident)
            open_ += [(f"{path}.{key}", each) for key, each in value.items()]
    return out or None


def linked_from_text(resource: dict[str, Any]) -> set[str]:
    """The ids that narratives of a resource link to (`<img src="#id">`)."""
    out: set[str] = set()
    open_: list[Any] = [resource]
    for value in open_:  # grows while it is walked
        if type(value) is list:
            open_ += value
        elif type(value) is dict:
            div = value.get("div")
            if isinstance(div, str):
                out.update(_LINK.findall(div))
            open_ += [each for each in value.values() if type(each) in (dict, list)]
    return out
