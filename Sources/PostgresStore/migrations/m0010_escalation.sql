-- Each open alert has a timer that tells the next of its chain, and each acknowledged red one that brings it back. Those
-- that are there when this is installed get theirs now. Patients of whom a list was told have alerts without a word of
-- their own; what is for information is nobody's to answer.
INSERT INTO homeward.timer (kind, subject, due_at, payload)
SELECT 'escalation', a.id::text,
    now() + CASE a.severity WHEN 'red' THEN interval '15 minutes' ELSE interval '4 hours' END
        -- Not all at once: the newest first.
        + interval '2 seconds' * (row_number() OVER (ORDER BY a.raised_at DESC) - 1),
    jsonb_strip_nulls(jsonb_build_object('type', a.subject_type, 'code', nullif(a.subject, ''),
        'revision', (SELECT max(e.revision) FROM homeward.alert_event e
            WHERE e.alert = a.id AND e.transition IN ('opened', 'worsened', 'reopened'))))
FROM homeward.alert a
WHERE a.state = 'open' AND (a.severity = 'red' OR a.severity = 'amber' AND a.rule <> 'missed-reading')
ON CONFLICT DO NOTHING;

INSERT INTO homeward.timer (kind, subject, due_at, payload)
SELECT 'acknowledgement-end', a.id::text, now() + interval '1 hour',
    jsonb_strip_nulls(jsonb_build_object('type', a.subject_type, 'code', nullif(a.subject, '')))
FROM homeward.alert a
WHERE a.state = 'acknowledged' AND a.severity = 'red'
ON CONFLICT DO NOTHING;
