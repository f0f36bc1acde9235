-- Subscriptions: what each asks for, the numbered events of each, and how far they are delivered.

-- One row a Subscription resource, written in its transaction. `owner*`, `purpose`, `strength` and
-- `scopes` are the rights it was made with; what is left of them is looked up at each delivery.
-- `headers` are sealed. `started` is the transaction since which writes are events.
create table subscription (
    id         text collate "C" primary key,
    state      text not null,
    revision   bigint not null,
    started    xid8 not null default pg_current_xact_id(),
    owner_kind text not null,
    owner      text not null,
    purpose    text not null,
    strength   int not null,
    scopes     text[] not null,
    asked      text not null,
    topic      text not null,
    channel    text not null,
    headers    bytea,
    ends       timestamptz,
    heartbeat  int not null,
    events     bigint not null default 0,
    delivered  bigint not null default 0,
    failures   int not null default 0,
    error      text not null default '',
    sent       timestamptz,
    due        timestamptz,
    lease      bigint not null default 0,
    leased     timestamptz
);
-- the deliverers' look, several times a second
create index subscription_due on subscription (due) where due is not null;
-- $status of all that one caller has
create index subscription_owner on subscription (owner, owner_kind, id);
-- what has to be read again when an operator changes a topic
create index subscription_topic_of on subscription (topic) where topic <> '';
create sequence subscription_revision;

-- What happened, once for each subscriber; a number is given once and never again.
create table subscription_event (
    subscription text collate "C" not null,
    number       bigint not null,
    at           timestamptz not null,
    type         smallint not null,
    id           text collate "C" not null,
    version      int not null,
    method       text not null,
    primary key (subscription, number)
);
-- maintenance: old events go
create index subscription_event_at on subscription_event (at);

-- Topics that operators wrote as Basic resources.
create table subscription_topic (
    url        text primary key,
    id         text collate "C" not null,
    definition text not null
);
create index subscription_topic_id on subscription_topic (id);
