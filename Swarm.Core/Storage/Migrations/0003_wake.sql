-- The recipient's side: archive and delete (ASP §9.1), mutes (ASP §10.7), wake (ASP §11).

alter table deliveries add column if not exists archived_at timestamptz;
alter table deliveries add column if not exists deleted_at timestamptz;
