-- Version 1 of the store. A later version is another file; this one never changes.

-- Every price ever seen, imported or typed in. Rows are added, never changed but for their state.
create table observation (
    id          integer primary key,
    -- When this program took it in, RFC 3339 in UTC.
    taken       text not null,
    -- Key of the source: toppreise-cli, toppreise, import, manual.
    source      text not null,
    region      text not null,
    -- Catalog id; null while nobody has said what the product is.
    item        text,
    variant     text,
    product     text not null,
    part_number text,
    -- Hundredths of the currency.
    amount      integer not null check (amount > 0),
    amount_high integer check (amount_high > amount),
    currency    text not null,
    condition   text not null,
    kind        text not null,
    vat         text not null,
    shop        text not null,
    date        text not null,
    link        text,
    note        text,
    -- accepted: counts as a price. held: waits for a decision. refused: kept, never used.
    state       text not null check (state in ('accepted', 'held', 'refused')),
    -- Why it is held or refused.
    reason      text,
    -- Items it may be, when nobody could tell: ids, one a line.
    candidates  text not null default ''
);
create index observation_item on observation (item, variant, date);
create index observation_state on observation (state);
-- The same offer read twice on one day is one observation.
create unique index observation_once on observation (
    source, region, product, shop, condition, kind, currency, amount, date, ifnull(link, '')
);

-- What people decided a product is: its exact name, part number or page number.
create table alias (
    spelling text primary key,
    item     text not null,
    variant  text,
    taken    text not null
);

create table rate (
    date   text not null,
    base   text not null,
    quote  text not null,
    rate   real not null check (rate > 0),
    source text not null,
    taken  text not null,
    primary key (date, base, quote, source)
);

-- Electricity tariffs: price per kWh in the currency of the region.
create table tariff (
    region       text not null,
    municipality integer not null,
    year         integer not null,
    category     text not null,
    operator     text not null,
    per_kwh      real not null check (per_kwh > 0),
    taken        text not null,
    primary key (region, municipality, year, category, operator)
);

-- Pages fetched, so that nothing is asked for twice within a week.
create table page (
    address text primary key,
    taken   text not null,
    body    text not null
);

-- When a site was last asked, and until when it wants to be left alone.
create table site (
    host         text primary key,
    -- Milliseconds since 1970: the turn of the last request.
    asked        integer,
    paused_until text
);
