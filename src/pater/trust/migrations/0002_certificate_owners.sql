-- Which organisation looks after a certificate: the one it names, or that which ordered it for one
-- of its people.

alter table ca_certificate add column owner text not null default '';  -- IČO; '' = nobody's

update ca_certificate set owner = substr(holder, 5) where holder like 'ico:%';

-- the certificates of one organisation, newest first
create index ca_certificate_owner on ca_certificate (owner, ordered desc, serial)
    where owner <> '';
