-- Since when a reader has been online or offline: the broker says a retained status again at each connect, which is
-- no news.
ALTER TABLE homeward.device_status ADD COLUMN since timestamptz;
UPDATE homeward.device_status SET since = received_at;
ALTER TABLE homeward.device_status ALTER COLUMN since SET NOT NULL;

-- What was refused of one reader, for the triage state of its patient.
CREATE INDEX quarantine_device ON homeward.quarantine (device, received_at);
