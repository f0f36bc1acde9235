"""Single search conditions as SQL over the resource table and its narrow side tables.

Everything a caller says goes into numbered arguments; the texts built here are made of constants,
table aliases and argument numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.index import MAIN_DATE, normalise
from pater.fhir.search.parameters import asked_as
from pater.fhir.search.places import cells_around
from pater.fhir.search.query import (
    CompositeTerm,
    Condition,
    DateTerm,
    MissingTerm,
    NearTerm,
    NumberTerm,
    ReferenceTerm,
    StringTerm,
    TokenTerm,
    UriTerm,
    Word,
    WordsTerm,
)
from pater.fhir.search.words import words_of
from pater.store.search.errors import not_supported
from pater.store.tokens import (
    code_hash,
    no_system_hash,
    param_number,
    present_hash,
    reference_hash,
    reference_url_hash,
    system_code_hash,
    system_hash,
    unit_hash,
    uri_below_hash,
    uri_hash,
)

STRING_LENGTH = 200
"""Characters of a normalised text that the string index keeps (see the kernel migration)."""
FALSE = "false"
# Main dates that are never longer than a year (a Period may be).
_SHORT = frozenset({("Patient", "birthdate")})
_YEAR = timedelta(days=367)
_BEGINNING = datetime(3, 1, 1, tzinfo=UTC)
NARRATIVE = "~"
"""What the words of a narrative begin with in the text index, beside the words of all text."""
_LOOKED_UP = ("in", "not-in", "above", "below")
_SIDE = {"string": "string_index", "date": "date_index", "number": "number_index",
         "quantity": "number_index"}  # fmt: skip


@dataclass(slots=True)
class Args:
    """The numbered arguments of one statement; `add` gives the text that stands for a value."""

    values: list[object] = field(default_factory=list)
    aliases: int = 0

    def add(self, value: object, cast: str) -> str:
        self.values.append(value)
        return f"${len(self.values)}::{cast}"

    def copy(self) -> Args:
        """The same arguments for a statement that begins alike."""
        return Args(list(self.values), self.aliases)

    def alias(self) -> str:
        """A table alias not yet used in this statement."""
        self.aliases += 1
        return f"t{self.aliases}"


def condition_sql(type_: str, condition: Condition, args: Args, row: str) -> str:
    """One condition that is neither a chain nor `_has`, over the resource row called `row`.

    Raises SearchError for what the index cannot answer.
    """
    if condition.modifier == "missing":
        return _missing(type_, condition, args, row)
    match condition.kind:
        case "words" | "token" | "reference" | "string" if by_words(condition):
            # A row of another version is of what was, or in a moment will be, the text.
            side = args.alias()
            return (
                f"exists (select from text_index {side} where {side}.rid = {row}.rid and"
                f" {side}.version = {row}.version and {_found_words(condition, args, side)})"
            )
        case "composite":
            return _any(
                "(" + " and ".join(condition_sql(type_, each, args, row) for each in v.parts) + ")"
                for v in condition.values
                if isinstance(v, CompositeTerm)
            )
        case "token" | "reference" | "uri" | "near":
            hashes = condition_hashes(type_, condition)
            overlap = f"{row}.tokens && {args.add(hashes, 'bigint[]')}"
            return f"not ({overlap})" if condition.modifier == "not" else overlap
        case "id":
            ids = [storable(v.code or "") for v in condition.values if isinstance(v, TokenTerm)]
            found = f"{row}.id = any({args.add(ids, 'text[]')})"
            return f"not ({found})" if condition.modifier == "not" else found
        case "lastUpdated":
            return _any(_updated(v, args, row) for v in condition.values if isinstance(v, DateTerm))
        case "date":
            return _date(type_, condition, args, row)
        case "string" | "number" | "quantity":
            side = args.alias()
            test = _side_test(condition, args, side)
            table = _SIDE[condition.kind]
            return _exists(table, side, type_, condition.param, test, args, row)
        case _:
            raise AssertionError(f"{condition.kind} is not a simple condition")


def _side_test(condition: Condition, args: Args, side: str) -> str:
    """What the rows of a side table have to meet."""
    tests = []
    for term in condition.values:
        if isinstance(term, StringTerm):
            tests.append(_string(term, condition.modifier, args, side))
        elif isinstance(term, NumberTerm):
            tests.append(_number(term, args, side))
        elif isinstance(term, DateTerm):
            tests.append(span_sql(term, f"{side}.low", f"{side}.high", args))
    return _any(tests)


def side_rows(
    type_: str, condition: Condition, args: Args, limit: int, *, once: bool = True
) -> str:
    """A statement that gives the rids whose rows of a side table meet a condition.

    Each `once`; else an index that gives them in order need not be read behind the limit.
    """
    table = _SIDE[condition.kind]
    return (
        f"select {'distinct ' if once else ''}s.rid from {table} s"  # noqa: S608 constants and argument numbers
        f" where s.type = {args.add(TYPE_NUMBER[type_], 'smallint')}"
        f" and {side_params(asked_as(type_, condition.param), args, 's')}"
        f" and {_side_test(condition, args, 's')} limit {args.add(limit, 'int')}"
    )


def led_by_low(condition: Condition) -> bool:
    """Whether an index that begins with the low end of amounts gives the rows of a condition."""
    return condition.kind in ("number", "quantity") and all(
        isinstance(term, NumberTerm) and term.prefix in ("eq", "lt", "le", "sa", "eb")
        for term in condition.values
    )


def condition_hashes(type_: str, condition: Condition) -> list[int]:
    """The tokens of which a resource must have one to meet a token, reference or uri condition."""
    hashes: list[int] = []
    for param in asked_as(type_, condition.param):
        hashes += _param_hashes(type_, param, condition)
    return hashes


def _param_hashes(type_: str, param: str, condition: Condition) -> list[int]:
    if condition.modifier == "identifier" and condition.kind == "reference":
        param += ":identifier"
    elif condition.modifier == "of-type":
        param += ":of-type"
    elif condition.kind == "token" and condition.modifier in _LOOKED_UP:
        # who asks the store has looked up what they mean before
        raise not_supported(f"{param}:{condition.modifier}")
    hashes: list[int] = []
    for value in condition.values:
        if isinstance(value, TokenTerm):
            hashes.append(token_hash(type_, param, value))
        elif isinstance(value, NearTerm):
            around = cells_around(value.latitude, value.longitude, value.metres)
            hashes += [code_hash(type_, param, cell) for cell in around]
        elif isinstance(value, ReferenceTerm):
            hashes.extend(reference_hashes(type_, param, value))
        elif isinstance(value, UriTerm):
            if condition.modifier == "below":
                hashes.append(uri_below_hash(type_, param, value.value))
            elif condition.modifier == "above":
                above = ("/".join(path) for path in _beginnings(value.value))
                hashes += [uri_hash(type_, param, each) for each in above]
            else:
                hashes.append(uri_hash(type_, param, value.value))
    return hashes


def _beginnings(uri: str) -> list[list[str]]:
    parts = uri.rstrip("/").split("/")
    return [parts[: n + 1] for n in range(len(parts))] + ([[uri]] if uri.endswith("/") else [])


def shown_words(text: str) -> tuple[Word, ...]:
    """What a text shown to people must have among its words."""
    return tuple(Word(word) for word in words_of(text))


def words_query(groups: Iterable[Sequence[Word]], mark: str) -> str:
    """The text of a tsquery. Words hold letters and digits only, so nothing needs escaping."""
    return " | ".join(
        "(" + " & ".join(
            f"{'!' if word.absent else ''}'{mark}{storable(word.text)}'{'' if word.whole else ':*'}"
            for word in group
        ) + ")"
        for group in groups
    )  # fmt: skip


def by_words(condition: Condition) -> bool:
    """Whether the text index answers a condition."""
    return condition.kind == "words" or condition.modifier == "text"


def words_first(type_: str, condition: Condition, args: Args, row: str) -> str:
    """The rows that the text index gives, as where to begin, for a search of everybody.

    PostgreSQL takes every beginning of a word for one that many texts have (2 % at least), and
    would look through a whole type for it.
    """
    side = args.alias()
    return (
        f"{row}.rid = any(array(select {side}.rid from text_index {side}"  # noqa: S608 constants
        f" where {side}.type = {args.add(TYPE_NUMBER[type_], 'smallint')}"
        f" and {_found_words(condition, args, side)}))"
    )


def _found_words(condition: Condition, args: Args, side: str) -> str:
    mark = NARRATIVE if condition.param == "_text" else ""
    groups: list[Sequence[Word]] = []
    for value in condition.values:
        if isinstance(value, WordsTerm):
            groups += value.groups
        elif isinstance(value, StringTerm):
            groups.append(shown_words(value.text))
    return f"{side}.words @@ {args.add(words_query(groups, mark), 'text')}::tsquery"


def token_hash(type_: str, param: str, term: TokenTerm) -> int:
    """The token of one of the four forms `code`, `system|code`, `system|`, `|code`."""
    if term.code is None:
        return system_hash(type_, param, term.system or "")
    if term.system is None:
        return code_hash(type_, param, term.code)
    if term.system == "":
        return no_system_hash(type_, param, term.code)
    return system_code_hash(type_, param, term.system, term.code)


def reference_hashes(type_: str, param: str, term: ReferenceTerm) -> list[int]:
    """The tokens of a reference to one resource here (of any of its types) or to a URL."""
    hashes: list[int] = []
    if term.id is not None:
        hashes.extend(reference_hash(type_, param, target, term.id) for target in term.types)
    if term.url is not None:
        hashes.append(reference_url_hash(type_, param, term.url))
    return hashes


def span_sql(term: DateTerm, low: str, high: str, args: Args) -> str:
    """A date prefix over a stored span `low`..`high`, both ends included (FHIR R4, "Prefixes").

    Where the definition leaves the index (all begin with `low`) an open side, a bound that
    follows from it is added: it changes no answer and lets the index stop.
    """
    # Every argument must stand in the statement, so only those that the prefix looks at.
    first = "" if term.prefix in ("gt", "sa") else args.add(term.low, "timestamptz")
    last = "" if term.prefix in ("lt", "eb") else args.add(term.high, "timestamptz")
    match term.prefix:
        case "eq":
            return f"({low} >= {first} and {low} <= {last} and {high} <= {last})"
        case "ne":
            return f"({low} < {first} or {high} > {last})"
        case "gt":
            return f"({high} > {last})"
        case "lt":
            return f"({low} < {first})"
        case "ge":
            return f"({high} >= {first} and ({high} > {last} or {low} >= {first}))"
        case "le":
            return f"({low} <= {last} and ({low} < {first} or {high} <= {last}))"
        case "sa":
            return f"({low} > {last})"
        case "eb":
            return f"({low} < {first} and {high} < {first})"
        case "ap":
            return f"({low} <= {last} and {high} >= {first})"


def prefix_end(text: str) -> str | None:
    """The least text greater than every text that begins with `text`; None when there is none.

    In code point order, which is the order of the C collation over UTF-8.
    """
    while text:
        code = ord(text[-1]) + 1
        if code == 0xD800:  # surrogates are no characters: the next one stands behind them
            code = 0xE000
        if code <= 0x10FFFF:
            return text[:-1] + chr(code)
        text = text[:-1]
    return None


def _string(term: StringTerm, modifier: str | None, args: Args, side: str) -> str:
    # `:exact` compares the normalised text here and the true one on the hit (see `recheck`).
    text = normalise(term.text)[:STRING_LENGTH]
    if text != storable(text):
        return FALSE
    if modifier in ("exact", "equal"):
        return f"{side}.value = {args.add(text, 'text')}"
    if modifier == "ends":
        # of a text that was cut the end is not known here
        whole = f"right({side}.value, {args.add(len(text), 'int')}) = {args.add(text, 'text')}"
        return f"({whole} or length({side}.value) = {STRING_LENGTH})"
    if modifier == "contains":
        return f"position({args.add(text, 'text')} in {side}.value) > 0"
    end = prefix_end(text)
    start = f"{side}.value >= {args.add(text, 'text')}"
    return start if end is None else f"({start} and {side}.value < {args.add(end, 'text')})"


def _number(term: NumberTerm, args: Args, side: str) -> str:
    unit = f"{side}.unit = {args.add(unit_hash(term.system, term.code), 'bigint')}"
    low, high = f"{side}.low", f"{side}.high"

    def number(value: float) -> str:
        return args.add(value, "double precision")

    match term.prefix:
        case "eq":
            # What the low end has to be follows from the rest, and is where the index can stop.
            end = number(term.high)
            test = f"{low} >= {number(term.low)} and {low} < {end} and {high} < {end}"
        case "ne":
            test = f"({low} < {number(term.low)} or {high} >= {number(term.high)})"
        case "gt":
            test = f"{high} > {number(term.value)}"
        case "lt":
            test = f"{low} < {number(term.value)}"
        case "ge":
            test = f"{high} >= {number(term.value)}"
        case "le":
            test = f"{low} <= {number(term.value)}"
        case "sa":
            test = f"{low} > {number(term.value)}"
        case "eb":
            end = number(term.value)
            test = f"{low} < {end} and {high} < {end}"
        case "ap":
            test = f"{low} <= {number(term.high)} and {high} >= {number(term.low)}"
    return f"({unit} and {test})"


def _updated(term: DateTerm, args: Args, row: str) -> str:
    return span_sql(term, f"{row}.updated", f"{row}.updated", args)


def _date(type_: str, condition: Condition, args: Args, row: str) -> str:
    terms = [v for v in condition.values if isinstance(v, DateTerm)]
    if MAIN_DATE.get(type_) == condition.param:
        spans = [span_sql(v, f"{row}.date", f"{row}.date_end", args) for v in terms]
        after = all(v.prefix in ("ge", "gt") and v.low > _BEGINNING for v in terms)
        if after and (type_, condition.param) in _SHORT:
            # It follows from the rest, and is where a walk of the index can begin.
            early = min(v.low for v in terms) - _YEAR
            spans = [f"({row}.date >= {args.add(early, 'timestamptz')} and {_any(spans)})"]
        return _any(spans)
    side = args.alias()
    test = _any(span_sql(v, f"{side}.low", f"{side}.high", args) for v in terms)
    return _exists("date_index", side, type_, condition.param, test, args, row)


def _missing(type_: str, condition: Condition, args: Args, row: str) -> str:
    wanted = any(isinstance(v, MissingTerm) and v.missing for v in condition.values)
    if condition.kind in ("id", "lastUpdated"):
        return FALSE if wanted else "true"
    if condition.kind == "date" and MAIN_DATE.get(type_) == condition.param:
        return f"{row}.date is {'' if wanted else 'not '}null"
    if table := _SIDE.get(condition.kind):
        side = args.alias()
        there = _exists(table, side, type_, condition.param, "true", args, row)
    else:
        hashes = [present_hash(type_, param) for param in asked_as(type_, condition.param)]
        sign = "@>" if len(hashes) == 1 else "&&"
        there = f"{row}.tokens {sign} {args.add(hashes, 'bigint[]')}"
    return f"not ({there})" if wanted else there


def _exists(table: str, side: str, type_: str, param: str, test: str, args: Args, row: str) -> str:
    # Not tied by `person` as well: rid says it all, and the planner would multiply the two and
    # expect one row where a thousand come.
    return (
        f"exists (select from {table} {side} where {side}.rid = {row}.rid"
        f" and {side}.type = {args.add(TYPE_NUMBER[type_], 'smallint')}"
        f" and {side_params(asked_as(type_, param), args, side)} and {test})"
    )


def side_params(params: Iterable[str], args: Args, side: str) -> str:
    """The condition of the rows of a side table that hold the values of any of these parameters."""
    numbers = [param_number(each) for each in params]
    if len(numbers) == 1:
        return f"{side}.param = {args.add(numbers[0], 'int')}"
    return f"{side}.param = any({args.add(numbers, 'int[]')})"


def storable(text: str) -> str:
    """The text without what PostgreSQL cannot hold (and the index therefore does not)."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def _any(tests: Iterable[str]) -> str:
    listed = list(tests)
    return FALSE if not listed else "(" + " or ".join(listed) + ")"
