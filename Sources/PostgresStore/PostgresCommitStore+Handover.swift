internal import Clinical
public import Ingestion

/// The table `handover`. Each call is a transaction of its own: call it between those of `begin()`.
extension PostgresCommitStore: Handover {
    private static let insertMessages = Statement(
        name: "insert_handover",
        sql: """
            INSERT INTO homeward.handover (shard, instance, topic, payload, full_length, digest, retained, received_at)
            SELECT $1::text, $2::text, topic, payload, full_length, digest, retained, received_at
            FROM unnest($3::bytea[], $4::bytea[], $5::int8[], $6::bytea[], $7::bool[], $8::timestamptz[])
                WITH ORDINALITY AS m (topic, payload, full_length, digest, retained, received_at, place)
            ORDER BY place
            """)
    private static let insertTold = Statement(
        name: "insert_handover_told",
        sql: "INSERT INTO homeward.handover (shard, instance, told) VALUES ($1::text, $2::text, $3::bytea)")
    private static let read = Statement(
        name: "read_handover",
        sql: """
            SELECT id, told, topic, payload, full_length, digest, retained, received_at FROM homeward.handover
            WHERE shard = $1::text ORDER BY told IS NULL, id LIMIT $2::int4
            """)
    private static let remove = Statement(
        name: "remove_handover", sql: "DELETE FROM homeward.handover WHERE id = ANY ($1::int8[])")

    private func start() throws(StoreFailure) -> LeaseSeat {
        guard let seat else { throw StoreFailure(kind: .misconfigured, message: "handing over: there is no lease") }
        rollback()
        try connection.startCheckedCall()
        return seat
    }

    public func handOver(_ messages: [Message], told: [UInt8]) throws(StoreFailure) {
        let seat = try start()
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        if !told.isEmpty {
            var parameters = PostgresParameters()
            parameters.add(seat.shard)
            parameters.add(seat.instance)
            parameters.add(told)
            calls.append((Self.insertTold, parameters))
        }
        if !messages.isEmpty {
            var parameters = PostgresParameters()
            parameters.add(seat.shard)
            parameters.add(seat.instance)
            parameters.addBytes(of: messages) { $0.topic }
            parameters.addBytes(of: messages) { $0.payload }
            parameters.addNumbers(.int8, of: messages) { Int64($0.fullLength) }
            parameters.addBytes(of: messages) { $0.digest }
            parameters.addBooleans(of: messages) { $0.retained }
            parameters.addInstants(of: messages) { $0.receivedAt }
            calls.append((Self.insertMessages, parameters))
        }
        // The session commits synchronously.
        _ = try connection.run(calls, doing: "handing over")
    }

    public func handedOver(limit: Int) throws(StoreFailure) -> [HandedOver] {
        let seat = try start()
        var parameters = PostgresParameters()
        parameters.add(seat.shard)
        parameters.add(Int32(clamping: limit))
        let result = try connection.run(Self.read, parameters, doing: "reading what was handed over")
        var rows: [HandedOver] = []
        for row in 0..<result.rowCount {
            guard let id = result.int64(row, 0) else { continue }
            if let told = result.bytes(row, 1) {
                rows.append(HandedOver(id: id, content: .told(told)))
            } else if let topic = result.bytes(row, 2), let payload = result.bytes(row, 3),
                let receivedAt = result.instant(row, 7)
            {
                let message = Message(
                    topic: topic, payload: payload, fullLength: result.int64(row, 4).map { Int(clamping: $0) },
                    digest: result.bytes(row, 5), retained: result.boolean(row, 6) ?? false, receivedAt: receivedAt)
                rows.append(HandedOver(id: id, content: .message(message)))
            } else {
                throw StoreFailure(
                    kind: .misconfigured, message: "reading what was handed over: a row can't be understood")
            }
        }
        return rows
    }

    public func forget(_ rows: [HandedOver]) throws(StoreFailure) {
        _ = try start()
        var parameters = PostgresParameters()
        parameters.addNumbers(.int8, of: rows) { $0.id }
        _ = try connection.run(Self.remove, parameters, doing: "forgetting what was handed over")
    }
}

extension PostgresParameters {
    fileprivate mutating func addBytes<Elements: Collection>(
        of elements: Elements, _ bytes: (Elements.Element) -> [UInt8]?
    ) {
        addArray(.bytea, of: elements) { element, parameters in
            guard let bytes = bytes(element) else { return false }
            parameters.write(raw: bytes)
            return true
        }
    }
}
