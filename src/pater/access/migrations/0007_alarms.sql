-- Who asked for more people in vain than care needs.
create table probing_alarm (
    at           timestamptz not null,
    kind         text        not null, -- alarm, stopped
    agent_kind   text        not null,
    agent        text        not null, -- account or client
    agent_name   text        not null,
    role         text        not null,
    organization text        not null,
    source       text        not null, -- network address
    people       int         not null  -- different people of whom nothing was shown
);

-- the newest first, for the operator; and what is old goes
create index probing_alarm_at on probing_alarm (at);
-- one row in an hour for each who asks, whichever process counts
create index probing_alarm_agent on probing_alarm (agent, agent_kind, kind, at);
