-- A short pending list for the tokens. Inserting the tokens of one resource after the other into
-- the GIN index costs twice as much as inserting a few hundred of them sorted. 64 kB is what two or
-- three documents bring: a search looks through it in a fraction of a millisecond (with PostgreSQL's
-- own 4 MB the first count after a burst of writes took five times as long).
alter index resource_tokens set (fastupdate = on, gin_pending_list_limit = 64);
