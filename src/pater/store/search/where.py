"""All conditions of a search as SQL: who may be seen, chains, `_has`, and what binds to persons.

Every row that takes part in a search (matches, the far ends of chains and of `_has`, included
resources) is written through `Where.text`, which holds the scope's persons and what they hold
back: a withheld person or record is invisible everywhere, totals included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from pater.fhir.definitions import (
    TYPE_NUMBER,
    compartment,
    element_table,
    search_parameters,
)
from pater.fhir.search import contained
from pater.fhir.search.narrowing import Narrowing
from pater.fhir.search.query import Chain, CompositeTerm, Condition, ReferenceTerm, TokenTerm
from pater.store.beside import Given
from pater.store.database import Record
from pater.store.read import COLUMNS
from pater.store.search.errors import too_costly
from pater.store.search.families import with_families
from pater.store.search.narrow import narrowed
from pater.store.search.recheck import Recheck, is_cut
from pater.store.search.rows import Reader, indexed
from pater.store.search.sql import (
    FALSE,
    Args,
    by_words,
    condition_hashes,
    condition_sql,
    side_rows,
    words_first,
)
from pater.store.tokens import present_hash, reference_hash
from pater.store.veils import Veils, shown_clauses

ROW = ", ".join(f"r.{column}" for column in COLUMNS.split(", "))
"""The columns that `read.to_stored` needs, of the resource row called `r`."""
CHAIN_LIMIT = 2000
"""Resources that the far end of a chain may match before it is joined or refused."""

# Of what a chain leads to; a merged Patient stands for the one it leads to.
_PLAIN = "r.id, r.person"
PATIENTS = "coalesce(survivor_of(r.id), r.id) as id, r.person"
# Two names of one element wherever a type has both.
_OWNERS = frozenset({"patient", "subject"})


@dataclass(frozen=True, slots=True)
class Ends:
    """The Patients (id, person) whom an exact condition on Patients means, looked up before."""

    condition: Condition
    found: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose records a search may see.

    `persons` None = everybody's; otherwise only rows of exactly these persons take part, where
    person 0 stands for what belongs to nobody (organisations, code systems …): of these types
    only when `ownerless` names them. Resources of `exclude_types` take no part at all. With
    `together`, included resources are of persons among the matches, or of nobody. Of the types
    that `narrow` names only what meets it takes part. What `veils` hold back of a person's record
    takes no part in anything. `apart` names types of which other persons than `persons` take part.
    `ends` saves looking them up once more. `given` is what has to be so for anything to be found.
    """

    persons: frozenset[int] | None = None
    exclude_types: frozenset[str] = frozenset()
    ownerless: frozenset[str] | None = None
    together: bool = False
    narrow: Narrowing | None = None
    veils: Veils = ()
    apart: tuple[tuple[str, frozenset[int]], ...] = ()
    ends: Ends | None = None
    given: Given | None = None

    def persons_of(self, type_: str) -> frozenset[int] | None:
        """The persons whose resources of a type take part; None = everybody's."""
        persons = dict(self.apart).get(type_, self.persons) if self.apart else self.persons
        if persons is None or self.ownerless is None or type_ in self.ownerless:
            return persons
        return persons - {0}

    @property
    def seen(self) -> frozenset[int] | None:
        """All persons of whom anything may take part; None = anybody."""
        if self.persons is None or not self.apart:
            return self.persons
        return self.persons.union(*(whose for _, whose in self.apart))

    def beside(self, persons: Iterable[int]) -> Scope:
        """The scope of what is included beside matches of these persons."""
        if not self.together:
            return self
        near = frozenset(persons) | {0}
        return replace(
            self,
            persons=near if self.persons is None else near & self.persons,
            apart=tuple((type_, near & whose) for type_, whose in self.apart),
        )


@dataclass(slots=True)
class Where:
    """Conditions joined by AND; `persons` = the only persons that can match, None = any.

    `exact`: one of the clauses means few rows whoever they belong to, and is where to begin.
    """

    clauses: list[str] = field(default_factory=list)
    persons: frozenset[int] | None = None
    exact: bool = False
    veils: Veils = ()

    def bind(self, persons: frozenset[int]) -> None:
        """Let only these persons match."""
        self.persons = persons if self.persons is None else self.persons & persons

    @property
    def empty(self) -> bool:
        """Whether nothing can match."""
        return FALSE in self.clauses or (self.persons is not None and not self.persons)

    def text(self, type_: str, args: Args, row: str) -> str:
        """The whole WHERE text for rows of one type, deleted ones left out."""
        number = args.add(TYPE_NUMBER[type_], "smallint")
        if self.exact and (self.persons is None or 0 in self.persons):
            # Nobody's rows (directories) may be as many as everybody's. The deleted have no tokens.
            # Written so, the type offers no index walk by which a plan made without the values
            # could look for the needle in the whole haystack.
            parts = [f"{row}.type + 0 = {number}"]
        else:
            parts = [f"{row}.type = {number}", f"not {row}.deleted"]
        if self.persons is not None:
            parts.append(f"{row}.person = any({args.add(sorted(self.persons), 'bigint[]')})")
        veiled = shown_clauses(self.veils, args, row, type_=type_, persons=self.persons)
        return " and ".join(parts + self.clauses + veiled)


@lru_cache(maxsize=256)
def owner_params(type_: str) -> frozenset[str]:
    """The reference parameters that name the Patient whose person owns a resource of the type."""
    # Whom a resource is about decides whose it is, before all other parameters; but only an
    # element that occurs once does so for every Patient it can name (not an Account's subjects).
    if _OWNERS.isdisjoint(compartment("Patient").get(type_, ())):
        return frozenset()
    single = any(
        element.maximum == 1 and element.path in (f"{type_}.patient", f"{type_}.subject")
        for element in element_table(type_)
    )
    return _OWNERS if single else frozenset()


async def build_where(
    reader: Reader, scope: Scope, type_: str, conditions: Sequence[Condition], args: Args, row: str
) -> Where:
    """The conditions of one type's rows called `row`; looks up the far ends of chains first.

    Raises SearchError for what the index cannot answer within its bounds.
    """
    where = Where(persons=scope.persons_of(type_), veils=scope.veils)
    if type_ in scope.exclude_types:
        where.clauses.append(FALSE)
    where.clauses += narrowed(scope.narrow, type_, args, row)
    every: list[int] = []
    for condition in _parted(conditions):
        if where.empty:
            return where
        if condition.kind == "chain":
            await _chain(reader, scope, type_, condition, args, row, where)
        elif condition.kind == "has":
            await _has(reader, scope, type_, condition, args, row, where)
        elif hashes := _single_hash(type_, condition):
            every.extend(hashes)
            where.exact = where.exact or identifies(condition)
        else:
            where.clauses.append(condition_sql(type_, condition, args, row))
        if condition.kind == "reference":
            await _bind_patients(reader, type_, condition, args, where)
    if where.persons is None:
        words = [each for each in conditions if by_words(each)]
        where.clauses += [words_first(type_, each, args, row) for each in words]
    if every:
        where.clauses.insert(0, f"{row}.tokens @> {args.add(every, 'bigint[]')}")
    return where


def _parted(conditions: Sequence[Condition]) -> Iterator[Condition]:
    """The conditions; of a composite one without alternatives its parts, each by its own index."""
    for condition in conditions:
        if condition.kind == "composite" and len(condition.values) == 1:
            for value in condition.values:
                if isinstance(value, CompositeTerm):
                    yield from value.parts
        else:
            yield condition


async def find(reader: Reader, scope: Scope, chain: Chain, columns: str) -> list[Record]:
    """Columns (a constant) of the resources that a chain's far end means, unordered.

    When there are more than CHAIN_LIMIT, one more than that comes back.
    """
    args = Args()
    where = await build_where(reader, scope, chain.type, (chain.condition,), args, "r")
    if where.empty:
        return []
    text = where.text(chain.type, args, "r")
    recheck = Recheck((chain.condition,), chain.type, scope.narrow)
    cut = is_cut(chain.condition) or recheck.parts
    sql = (
        f"select {ROW if cut else columns} from resource r where {text}"  # noqa: S608
        f" limit {args.add(CHAIN_LIMIT + 1, 'int')}"
    )
    rows = await reader.fetch(sql, *args.values, kept=where.exact)
    if not cut or len(rows) > CHAIN_LIMIT:
        return rows
    stored = await reader.stored(rows)
    return [row for row, each in zip(rows, stored, strict=True) if recheck.holds(each)]


def identifies(condition: Condition) -> bool:
    """Whether a token condition with one value names one resource or a few, by its business id."""
    return (
        condition.param == "identifier"
        and condition.kind == "token"
        and all(isinstance(v, TokenTerm) and v.system and v.code for v in condition.values)
    )


def _single_hash(type_: str, condition: Condition) -> list[int]:
    """The token of a condition with one single value, so that several become one `@>`."""
    if condition.kind not in ("token", "reference", "uri"):
        return []
    if condition.modifier in ("not", "missing", "text"):
        return []
    hashes = condition_hashes(type_, condition)
    return hashes if len(hashes) == 1 else []


async def _bind_patients(
    reader: Reader, type_: str, condition: Condition, args: Args, where: Where
) -> None:
    """`patient=123` names a person: then that person's part of the table is all there is to read.

    A Patient that is not here names nobody; the reference token alone then decides. One that was
    merged is told to the reader: the search begins anew with the one it leads to. A person known
    from before is confirmed by the statement itself: it gives nothing when that was wrong.
    """
    terms = [v for v in condition.values if isinstance(v, ReferenceTerm)]
    if condition.modifier in ("not", "missing", "identifier", "text") or not terms:
        return
    ids = {term.id for term in terms if term.id is not None and term.types == ("Patient",)}
    if len(ids) < len(terms) or condition.param not in owner_params(type_):
        return
    number = TYPE_NUMBER["Patient"]
    if len(ids) == 1:
        [patient] = ids
        person = reader.person_of(patient)
        if person is not None:
            whose = args.add(person, "bigint")
            where.bind(frozenset({person}))
            where.clauses.append(
                f"exists (select from resource o where o.type = {args.add(number, 'smallint')}"
                f" and o.id = {args.add(patient, 'text')} and o.person = {whose})"
            )
            return
    rows = await reader.fetch(
        "select r.id, r.person, survivor_of(r.id) as survivor from resource r"
        " where r.type = $1::smallint and r.id = any($2)",
        number,
        sorted(ids),
        kept=True,
    )
    found = {row["id"]: row["person"] for row in rows}
    reader.led |= {row["id"]: (row["survivor"],) for row in rows if row["survivor"]}
    if found.keys() == ids:
        # of a merged Patient as well: whose records are meant is looked up there (`searching`)
        reader.learn(found)
        where.bind(frozenset(found.values()))


async def _chain(
    reader: Reader, scope: Scope, type_: str, condition: Condition, args: Args, row: str,
    where: Where,
) -> None:  # fmt: skip
    """The far end first. Few targets: their reference tokens (and persons, for co-location).

    Many Patients by the parameter that owns the record: joined by person. Many of anything else
    is refused: reference tokens are hashes, so no join by them exists.
    """
    hashes: list[int] = []
    persons: set[int] | None = set()
    either: list[str] = []
    owned = condition.param in owner_params(type_) and any(
        chain.type == "Patient" for chain in condition.chain
    )
    for chain in condition.chain:
        owner = chain.type == "Patient" and condition.param in owner_params(type_)
        rows = _known(scope, chain)
        if rows is None:
            columns = PATIENTS if chain.type == "Patient" else _PLAIN
            rows = await find(reader, scope, chain, columns)
        if len(rows) <= CHAIN_LIMIT:
            ids = {row["id"] for row in rows}
            if chain.type == "Patient" and (not owner or is_cut(chain.condition)):
                ids = await with_families(reader, ids)
            hashes += [reference_hash(type_, condition.param, chain.type, each) for each in ids]
            if owner and persons is not None:
                persons.update(r["person"] for r in rows)
            elif rows:
                persons = None
        elif owner and not is_cut(chain.condition):
            joined = await _same_person(reader, scope, chain, args, row)
            either.append(_and(_names_patient(type_, condition.param, args, row), joined))
            persons = None
        else:
            raise too_costly(
                f"the chain over {condition.param} means more than {CHAIN_LIMIT} resources of"
                f" type {chain.type}: narrow it"
            )
    inside = [] if owned else await _inside(reader, scope, type_, condition, hashes)
    if hashes:
        either.append(f"{row}.tokens && {args.add(hashes, 'bigint[]')}")
        persons = persons if owned else None
    if inside:
        either.append(f"{row}.rid = any({args.add(inside, 'bigint[]')})")
    where.clauses.append(_or(either))
    if persons is not None and not inside:
        where.bind(frozenset(persons))


def _known(scope: Scope, chain: Chain) -> list[Any] | None:
    """The far end of a chain as `find` would find it, where it was looked up before."""
    ends = scope.ends
    if ends is None or chain.type != "Patient" or chain.condition != ends.condition:
        return None
    if scope.narrow is not None or "Patient" in scope.exclude_types:
        return None
    persons = scope.persons_of("Patient")
    return [
        {"id": id_, "person": person}
        for id_, person in ends.found
        if persons is None or person in persons
    ]


async def _inside(
    reader: Reader, scope: Scope, type_: str, condition: Condition, hashes: list[int]
) -> list[int]:
    """The far end may be a contained resource (R4 3.1.1.5.8): appends the tokens that its
    container then has, and gives the rows whose texts, dates or amounts are those of one.

    What the far end is not, or lacks, and what only its body can tell, is not asked of contained
    resources; nor, as they belong to nobody, of the Patient who owns a record.
    """
    found: list[int] = []
    for chain in condition.chain:
        far = chain.condition
        negative = far.modifier in ("not", "missing", "text")
        if negative or is_cut(far) or far.source is not None or scope.narrow is not None:
            continue
        if chain.type in scope.exclude_types:
            continue
        for each in contained.inside(far, chain.type, condition.param):
            if far.kind in ("token", "reference", "uri"):
                hashes += condition_hashes(type_, each)
            elif far.kind in ("string", "date", "number", "quantity"):
                args = Args()
                sql = side_rows(type_, each, args, CHAIN_LIMIT + 1)
                rows = await reader.fetch(sql, *args.values)
                if len(rows) > CHAIN_LIMIT:
                    raise too_costly(
                        f"the chain over {condition.param} means more than {CHAIN_LIMIT} contained"
                        f" resources of type {chain.type}: narrow it"
                    )
                found += [row["rid"] for row in rows]
    return found


async def _has(
    reader: Reader, scope: Scope, type_: str, condition: Condition, args: Args, row: str,
    where: Where,
) -> None:  # fmt: skip
    """Resources of the searched type that the far end refers to.

    A Patient that owns the far end: joined by person. Else the ids that the (few) far ends name.
    """
    either: list[str] = []
    for chain in condition.chain:
        owner = type_ == "Patient" and condition.param in owner_params(chain.type)
        if owner and not is_cut(chain.condition):
            either.append(
                await _same_person(reader, scope, chain, args, row, param=condition.param)
            )
            continue
        rows = await find(reader, scope, chain, ROW)
        if len(rows) > CHAIN_LIMIT:
            raise too_costly(
                f"_has over {chain.type}:{condition.param} means more than {CHAIN_LIMIT}"
                " resources: narrow it"
            )
        ids = {
            ref.id
            for stored in await reader.stored(rows)
            for ref in indexed(stored).references
            if ref.param == condition.param and ref.type == type_ and ref.id is not None
        }
        if type_ == "Patient":
            ids = await with_families(reader, ids)
        if ids:
            either.append(f"{row}.id = any({args.add(sorted(ids), 'text[]')})")
    where.clauses.append(_or(either))


async def _same_person(
    reader: Reader, scope: Scope, chain: Chain, args: Args, row: str, param: str = ""
) -> str:
    """A resource of the chain's far end exists in the compartment of the row's person.

    With `param` the far end must name a Patient by it (a subject may also be a group).
    """
    far = args.alias()
    inner = await build_where(reader, scope, chain.type, (chain.condition,), args, far)
    if inner.empty:
        return FALSE
    if param:
        inner.clauses.append(_names_patient(chain.type, param, args, far))
    return (
        f"exists (select from resource {far} where {far}.person = {row}.person"
        f" and {far}.person <> 0 and {inner.text(chain.type, args, far)})"
    )


def _names_patient(type_: str, param: str, args: Args, row: str) -> str:
    """The reference names a Patient: a row has a token for having the parameter at all."""
    # `patient` is by definition `subject` where that is a Patient.
    told = "patient" if "patient" in search_parameters(type_) else param
    return f"{row}.tokens @> {args.add([present_hash(type_, told)], 'bigint[]')}"


def _and(one: str, other: str) -> str:
    return FALSE if FALSE in (one, other) else f"({one} and {other})"


def _or(alternatives: Iterable[str]) -> str:
    texts = [text for text in alternatives if text != FALSE]
    if not texts:
        return FALSE
    return texts[0] if len(texts) == 1 else "(" + " or ".join(texts) + ")"
