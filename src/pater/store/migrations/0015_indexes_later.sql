-- Indexes that a load of millions dropped, and how each is made again when all is loaded. While
-- there is one, what it served is slow.
create table index_later (
    name       text primary key,
    definition text not null
);
