import Alerting
import Clinical
import Glibc
import Instruments
import Logging
import Synchronization

// MARK: - The thread of the messages under way

extension Dispatcher {
    func sendMessages() {
        var backlog = Backlog<DeliveryJob>(limits: limits)
        while true {
            let (claimed, isStopping) = board.state.withLock { state in
                defer { state.claimed = [] }
                return (state.claimed, state.isStopping)
            }
            for job in claimed { accept(job, into: &backlog) }
            if isStopping {
                for entry in backlog.giveBackAll() {
                    giveBack(entry.message, "stopped before it was sent", after: 0...0)
                }
            }
            while let entry = backlog.next(at: monotonicNow) { begin(entry, &backlog) }
            for entry in backlog.giveBack(at: monotonicNow) {
                giveBack(entry.message, "other messages to its host are under way", after: 2...5)
            }
            var ended = board.transfers.step().map { ($0.tag, DeliveryResult.http($0.result)) }
            let elsewhere = board.state.withLock { state in
                ended += state.endedElsewhere.map { ($0.tag, $0.result) }
                state.underWayElsewhere -= state.endedElsewhere.count
                state.endedElsewhere = []
                return state.underWayElsewhere
            }
            for (tag, result) in ended { finish(tag, result, &backlog) }
            if isStopping, board.transfers.count == 0, elsewhere == 0 { break }
            // What has just ended may have made room for what waits.
            if ended.isEmpty { board.transfers.wait(milliseconds: backlog.waiting == 0 ? 1000 : 100) }
        }
        board.state.withLock { $0.transfersEnded = true }
        queue.wake()
    }

    private var monotonicNow: Instant { time(of: CLOCK_MONOTONIC) }

    private func accept(_ job: DeliveryJob, into backlog: inout Backlog<DeliveryJob>) {
        do throws(DeliveryRefusal) {
            let message = try channels.message(for: job, at: clock())
            backlog.add(
                .init(message: job, host: message.host, isRed: job.episode.severity == .red, since: monotonicNow))
        } catch {
            finish(job, .failed(error: error.rawValue), host: nil)
        }
    }

    private func begin(_ entry: Backlog<DeliveryJob>.Entry, _ backlog: inout Backlog<DeliveryJob>) {
        let job = entry.message
        let tag = Board.Tag(job: job, host: entry.host, start: entry.since)
        do {
            // Made again, since it holds the time of the attempt.
            switch try channels.message(for: job, at: clock()) {
            case .http(let request): try board.transfers.begin(request, tag: tag)
            case .mail(let request): beginElsewhere { send(request, tag) }
            case .publication(let publication): beginElsewhere { publish(publication, tag) }
            }
        } catch let refusal as DeliveryRefusal {
            backlog.ended(host: entry.host, start: entry.since)
            finish(job, .failed(error: refusal.rawValue), host: nil)
        } catch {
            finish(tag, .http(.unanswered("no memory for a request")), &backlog)
        }
    }

    private func beginElsewhere(_ start: () -> Void) {
        board.state.withLock { $0.underWayElsewhere += 1 }
        start()
    }

    private func send(_ request: MailRequest, _ tag: Board.Tag) {
        let deadline = channels.deadline
        let hasBegun = startThread { [board] in
            MailSession.run(request, deadline: deadline) { board.end(tag, .mail($0)) }
        }
        if !hasBegun { board.end(tag, .mail(.unanswered("no thread for a message"))) }
    }

    private func publish(_ publication: Publication, _ tag: Board.Tag) {
        guard let display = channels.display else {
            return board.end(tag, .publication(.unavailable(DeliveryRefusal.otherChannel.rawValue)))
        }
        display.publish(publication, channels.deadline) { [board] in board.end(tag, .publication($0)) }
    }

    private func finish(_ tag: Board.Tag, _ result: DeliveryResult, _ backlog: inout Backlog<DeliveryJob>) {
        backlog.ended(host: tag.host, start: tag.start)
        var generator = SystemRandomNumberGenerator()
        finish(
            tag.job, channels.outcome(of: result, for: tag.job, at: clock(), using: &generator), host: tag.host)
    }

    /// No attempt was made: nothing is counted.
    private func giveBack(_ job: DeliveryJob, _ reason: String, after seconds: ClosedRange<Int64>) {
        let delay = Interval.seconds(Int64.random(in: seconds))
        hand(over: job, .retry(after: delay, error: reason), isDead: false)
    }

    /// `host` is nil for a message that could not be made.
    private func finish(_ job: DeliveryJob, _ outcome: DeliveryOutcome, host: String?) {
        let channel = job.entry.channel.rawValue
        var metadata: Logger.Metadata = ["delivery": "\(job.entry.key)", "attempt": "\(job.attempt)"]
        switch outcome {
        case .sent:
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.sent.rawValue].add()
            logger.debug("alert was delivered", metadata: metadata)
        case .retry(_, let error):
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.retried.rawValue].add()
            metadata["error"] = "\(error)"
            logger.notice("alert was not delivered and will be sent again", metadata: metadata)
        case .failed(let error):
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.failed.rawValue].add()
            metadata["error"] = "\(error)"
            logger.error("alert can't be delivered", metadata: metadata)
        }
        hand(over: job, outcome, isDead: health.note(outcome, of: job, host: host, at: monotonicNow))
    }

    private func hand(over job: DeliveryJob, _ outcome: DeliveryOutcome, isDead: Bool) {
        board.state.withLock { $0.finished.append(.init(job: job, outcome: outcome, isDead: isDead)) }
        queue.wake()
    }
}
