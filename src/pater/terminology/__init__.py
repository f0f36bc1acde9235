"""The terminology service: code systems, value sets, concept maps, and names of codes for pages.

For the rooms above, `terminology.service.Terminology(db)` answers in process. It sees the
CodeSystem, ValueSet and ConceptMap resources of the store (exactly as they are at that moment),
what the loaders brought, and what FHIR R4 itself defines:

    terms = Terminology(db)
    await terms.expand_codes(value_set, limit=10_000)  -> frozenset[(system, code)]
    await terms.in_value_set(value_set, codes)         -> frozenset[(system, code)] of those given
    await terms.validate_code(value_set, system, code, version="", display="", language="")
                                                       -> Verdict(ok, text, display)
    await terms.known_code(system, code, version="")   -> Verdict
    await terms.descendants(system, code, limit=10_000) -> frozenset[str], the code itself included
    await terms.ancestors(system, code)                -> frozenset[str], the code itself included

`value_set` is a canonical address, `url` or `url|version`. `Verdict.ok` is None where nothing can
be said (an unknown system), `text` says why it is not True. Unknown value sets and systems raise
`issues.UnknownValueSetError` and `issues.UnknownSystemError`, too many codes
`issues.TooCostlyError`; all are `issues.TxError`. Many questions about the same definitions are
asked of one `terms.session()`, which looks each definition up once: pass it as `session=`.
"""
