-- Acts that were undone lately: whose record a token speaks of is looked up anew after each.
create index merge_undone on merge (undone) where undone is not null;
