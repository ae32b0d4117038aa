internal import Alerting
internal import Clinical
internal import Ingestion

/// What was told of while the database was away: rows of the outbox as far as they have come, once.
enum OutageWriting {
    typealias Call = (statement: Statement, parameters: PostgresParameters)

    private static let insertAliases = Statement(
        name: "insert_aliases",
        sql: """
            INSERT INTO homeward.alert_alias (alias, alert_id) SELECT * FROM unnest($1::uuid[], $2::uuid[])
            ON CONFLICT DO NOTHING
            """)

    // A row that is there and waits takes over what became of it; a settled one stays.
    private static let insertMade = Statement(
        name: "insert_made_deliveries",
        sql: """
            INSERT INTO homeward.outbox AS o (delivery_key, alert, revision, step, channel, recipient, urgent, state,
                attempts, last_error, sent_at, lease_until)
            SELECT m.delivery_key, m.alert, m.revision, m.step, m.channel, m.recipient, m.urgent, m.state, m.attempts,
                m.last_error, m.sent_at, now() + m.lease * interval '1 microsecond'
            FROM unnest($1::text[], $2::uuid[], $3::int4[], $4::int4[], $5::text[], $6::text[], $7::bool[], $8::text[],
                    $9::int4[], $10::text[], $11::timestamptz[], $12::int8[])
                AS m (delivery_key, alert, revision, step, channel, recipient, urgent, state, attempts, last_error,
                    sent_at, lease)
            ON CONFLICT (delivery_key) DO UPDATE SET state = excluded.state,
                attempts = greatest(o.attempts, excluded.attempts), last_error = excluded.last_error,
                sent_at = excluded.sent_at, lease_until = NULL
            WHERE o.state = 'pending' AND excluded.state <> 'pending'
            """)

    // As the dispatcher records: what was sent was sent; anything else counts for the newest attempt alone.
    private static let updateLate = Statement(
        name: "update_late_outcomes",
        sql: """
            UPDATE homeward.outbox o SET state = l.state, sent_at = l.sent_at,
                next_attempt_at = coalesce(now() + l.delay * interval '1 microsecond', o.next_attempt_at),
                last_error = coalesce(l.last_error, o.last_error), lease_until = NULL
            FROM unnest($1::text[], $2::int4[], $3::text[], $4::timestamptz[], $5::int8[], $6::text[])
                AS l (delivery_key, attempt, state, sent_at, delay, last_error)
            WHERE o.delivery_key = l.delivery_key AND o.state <> 'sent'
                AND (l.state = 'sent' OR (o.state = 'pending' AND o.attempts = l.attempt))
            """)

    static func calls(_ batch: CommitBatch) -> [Call] {
        var calls: [Call] = []
        if !batch.aliases.isEmpty { calls.append((insertAliases, aliasParameters(batch.aliases))) }
        if !batch.madeDeliveries.isEmpty { calls.append((insertMade, madeParameters(batch.madeDeliveries))) }
        if !batch.lateOutcomes.isEmpty { calls.append((updateLate, lateParameters(batch.lateOutcomes))) }
        if !batch.madeDeliveries.isEmpty || !batch.lateOutcomes.isEmpty {
            calls.append((OutboxWriting.notify, PostgresParameters()))
        }
        return calls
    }

    private static func aliasParameters(_ aliases: [AlertAlias]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addAlerts(of: aliases) { $0.alias }
        parameters.addAlerts(of: aliases) { $0.alert }
        return parameters
    }

    private static func madeParameters(_ deliveries: [MadeDelivery]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addTexts(of: deliveries) { $0.entry.key }
        parameters.addAlerts(of: deliveries) { $0.entry.alert }
        parameters.addNumbers(.int4, of: deliveries) { $0.entry.revision }
        parameters.addNumbers(.int4, of: deliveries) { Int32(clamping: $0.entry.step) }
        parameters.addTexts(of: deliveries) { $0.entry.channel.rawValue }
        parameters.addTexts(of: deliveries) { $0.entry.recipient.description }
        parameters.addBooleans(of: deliveries) { $0.severity == .red }
        parameters.addTexts(of: deliveries) { delivery in
            switch delivery.state {
            case .pending, .underWay, .handedOver: "pending"
            case .sent: "sent"
            case .failed: "failed"
            }
        }
        parameters.addNumbers(.int4, of: deliveries) { Int32(clamping: $0.attempts) }
        parameters.addTexts(of: deliveries) { $0.lastError.map(Quarantining.storable) }
        parameters.addInstants(of: deliveries) { if case .sent(let at) = $0.state { at } else { nil } }
        parameters.addNumbers(.int8, of: deliveries) { delivery in
            if case .underWay(let lease) = delivery.state { lease.microseconds } else { nil }
        }
        return parameters
    }

    private static func lateParameters(_ outcomes: [LateOutcome]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addTexts(of: outcomes) { $0.key }
        parameters.addNumbers(.int4, of: outcomes) { Int32(clamping: $0.attempt) }
        parameters.addTexts(of: outcomes) { late in
            switch late.outcome {
            case .sent: "sent"
            case .retry: "pending"
            case .failed: "failed"
            }
        }
        parameters.addInstants(of: outcomes) { if case .sent(let at) = $0.outcome { at } else { nil } }
        parameters.addNumbers(.int8, of: outcomes) {
            if case .retry(let after, _) = $0.outcome { after.microseconds } else { nil }
        }
        parameters.addTexts(of: outcomes) { late in
            switch late.outcome {
            case .sent: nil
            case .retry(_, let error), .failed(let error): Quarantining.storable(error)
            }
        }
        return parameters
    }
}

extension PostgresParameters {
    mutating func addAlerts<Elements: Collection>(of elements: Elements, _ alert: (Elements.Element) -> AlertID) {
        addArray(.uuid, of: elements) { element, parameters in
            let id = alert(element)
            parameters.write((id.high, id.low))
            return true
        }
    }
}
