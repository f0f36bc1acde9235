"""Rules of single resource types that neither structure nor invariants say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pater.fhir.validation.rules.bundles import bundle_rules
from pater.fhir.validation.rules.conformance import (
    canonical_rules,
    search_parameter_rules,
    structure_definition_rules,
)
from pater.fhir.validation.rules.identity import duplicate_ids
from pater.fhir.validation.rules.measures import measure_report_rules, measure_rules
from pater.fhir.validation.rules.questionnaires import questionnaire_rules
from pater.fhir.validation.rules.responses import response_rules
from pater.fhir.validation.rules.terminology import (
    code_system_rules,
    concept_map_rules,
    value_set_rules,
)
from pater.fhir.validation.rules.vital_signs import vital_sign_rules
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Findings

Rule = Callable[[Run, dict[str, Any], Frame], Findings]

GENERAL: tuple[Rule, ...] = (duplicate_ids,)
"""Rules of every resource."""

RESOURCE_RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "Bundle": (bundle_rules,),
        "CodeSystem": (canonical_rules, code_system_rules),
        "ConceptMap": (canonical_rules, concept_map_rules),
        "Measure": (canonical_rules, measure_rules),
        "MeasureReport": (measure_report_rules,),
        "Observation": (vital_sign_rules,),
        "Questionnaire": (canonical_rules, questionnaire_rules),
        "QuestionnaireResponse": (response_rules,),
        "SearchParameter": (canonical_rules, search_parameter_rules),
        "StructureDefinition": (canonical_rules, structure_definition_rules),
        "ValueSet": (canonical_rules, value_set_rules),
    }
)
"""Resource type → its rules."""
