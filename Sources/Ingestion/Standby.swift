public import Alerting
public import Registry

/// What the commit thread goes on with while PostgreSQL can't take reports in time: a spool for the reports, a memory to
/// judge in, and a way to tell of reds that needs no database. Only the commit thread calls it.
public protocol Standby: AnyObject {
    var spool: any ReportSpool { get }
    /// The memory that rules go on from; kept current by `note`.
    var memory: any CommitStore { get }
    /// What was told of while PostgreSQL was away.
    var ledger: any OutageLedger { get }
    /// Reds that the memory has raised: handed to delivery, by every step of their chains, when it returns.
    func tell(_ changes: [EpisodeChange], registry: Registry)
    /// Messages of reds that PostgreSQL has recorded and can't send: handed to delivery when it returns.
    func tell(_ notices: [OutageNotice])
    /// After each transaction of PostgreSQL's: what the memory must know of it.
    func note(_ memory: JudgingMemory, registry: Registry)
    /// It is time for `refresh`, and for a look at whether the registry has moved.
    var isRefreshDue: Bool { get }
    /// While PostgreSQL is there: what people have done to open alerts since.
    func refresh(from store: any CommitStore) throws(StoreFailure)
    /// The spool is empty and what was told is recorded: PostgreSQL's word stands.
    func endOutage()
    /// The commit thread ends: what the next start needs is put on disk.
    func close()
}
