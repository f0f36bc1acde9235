-- What the registrars' statistics ask: each looks at one span of time, or at what is open, never at
-- everybody.

-- Whom the register took in since a day. Persons come in order of time, so a range index is enough.
create index person_created on person using brin (created);
-- Persons who wait for a lasting number.
create index person_temporary on person (person) where temporary;
-- Cases by the day on which they were made.
create index match_case_made on match_case (made);
-- Acts of a span of time.
create index merge_at on merge (at);
