/*
 * The protocol of the ring in Sources/RingBuffer, for the model checker spin. deploy/verify-ring.sh checks it.
 *
 * WHAT IS MODELLED
 *   Three threads: the producer and two stages, decoder and committer, which run the same code. Between them the cursors
 *   `received`, `decoded`, `durable` and `released`; for each end the flag `parked` and an eventfd; `ended` of each
 *   cursor, and `failed`. Every interleaving of their accesses; batches and parts of every size; finishing at any
 *   moment, also with slots that are staged or not yet durable.
 *   -DWITH_OTHER_WAKES   sleeps that end by a deadline, a signal or another descriptor; waits that only look
 *   -DWITH_FAILURE       either stage fails the ring, or goes out of scope, at any moment
 *   -DWITH_GAUGE         a thread that reads the cursors, while the first few reports pass
 *   -DPROGRESS, -DLIVENESS   for the two checks of runs without end, see deploy/verify-ring.sh
 *
 *   Store buffers. Promela's memory is sequentially consistent and the machine's is not. So a store with release
 *   ordering goes into the buffer of its thread, and a process `storeBuffer` brings it to memory at any later time,
 *   while the thread goes on to its next loads. A sequentially consistent store waits until it has come to memory: this
 *   is the fence that parking relies on (Dekker's pattern: S1 then S2 against P1 then P2). A call of the kernel orders
 *   nothing. Slots are written with plain stores, which others may see late: `writtenSlots` has those that no store of
 *   a cursor has made visible yet, and it is an error for another thread to touch one.
 *
 * WHAT IS PROVED
 *   No slot is read before it was written or overwritten before it is durable and released: a slot's content says which
 *   sequence number it holds and who had it last, and every end asserts both when it touches the slot.
 *   No wake-up is lost and nothing deadlocks: spin reports an end state in which somebody still sleeps and, with weak
 *   fairness, a run in which from some moment on nothing becomes durable although the producer goes on (PROGRESS), or
 *   in which an end never ends after finish (`everyone_ends`; with -DWITH_FAILURE after failure too, in longer time).
 *   Everything published is durable when the ring has ended: asserted at the end of `init`. Nothing fails by itself:
 *   asserted where `failed` is read.
 *
 * WHAT IS ABSTRACTED
 *   Sequence numbers count modulo twice the capacity, so that there is no bound on how many reports pass: the ring only
 *   subtracts and compares them, and no two that it compares are further apart than the capacity.
 *   An eventfd is readable or not; how often it was written does not matter, since one read takes all.
 *   A sleep decides when it begins how it will end; it may still end at any later time. Otherwise a deadline or a signal
 *   that may always come would hide a wake-up that was lost.
 *   Work on slots and the store of the cursor after it are one step. An end that touches a slot out of turn is noticed
 *   by the content all the same, whichever of the two comes first.
 *   A buffer holds one store: the unchanged protocol never has two of one thread in flight that another end reads.
 *   Loads are not reordered: every load of the code is sequentially consistent or acquiring.
 *   The producer's owner (the MQTT thread) releases what it has seen to be durable before it sleeps, and waits for the
 *   eventfd alone only while the ring holds something.
 *
 * NAMES
 *   Each label but `end...` and `progress...` is a step; a comment `Model: label` stands at the access in the code that
 *   it models, and Tests/ArchitectureTests holds the two against each other.
 *   position[PRODUCER] is `received`, position[DECODER] is `decoded`, position[COMMITTER] is `durable`, each under its
 *   writer; so is `ended`. parked[x] and readable[x] are the parking spot of x. A stage's cursor ahead is
 *   position[ahead], the spot behind it parked[behind].
 *
 * MUTATIONS
 *   Each of these takes one protection away, and spin must then find an error:
 *   NO_FENCE_PUBLISH      S1 with release ordering, in both stages and in the producer
 *   NO_FENCE_CLOSE        E1 with release ordering
 *   NO_FENCE_PARK         P1 with release ordering
 *   NO_FENCE_FAIL         F1 with release ordering (WITH_FAILURE)
 *   RELAXED_PUBLISH       S1 without waiting for the stores before it
 *   NO_PARK_RECHECK       P2 left out
 *   NO_FULL_CHECK         `stage` fills whether there is a free slot or not
 *   NO_DURABLE_CHECK      `release` frees what is received
 *   NO_WAKE               S2 to S4 left out after S1
 *   NO_WAKE_AT_CLOSE      S2 to S4 left out after E1
 *   NO_WAKE_AT_FAIL       F2 left out (WITH_FAILURE)
 *   NO_FAIL_AT_SCOPE_END  a stage that leaves something behind closes as if it had worked off everything (WITH_FAILURE)
 *   POSITION_BEFORE_ENDED P2 looks at the position before `ended`
 *   CLEAR_AFTER_SIGNAL    S4 before S3
 *   DRAIN_AFTER_LOOK      P5 between P2 and P4
 */

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifdef WITH_GAUGE
#define SEQUENCES (3 * CAPACITY)
#else
#define SEQUENCES (2 * CAPACITY)
#endif

#define PRODUCER 0
#define DECODER 1
#define COMMITTER 2

/* How far sequence number b is ahead of a; and the one n after a. */
#define distance(a, b) ((b + SEQUENCES - a) % SEQUENCES)
#define after(a, n) ((a + n) % SEQUENCES)

/* Memory. */
byte position[3];
bool ended[3];
byte released;
bool parked[3];
bool failed;
byte slot[CAPACITY];

/* The eventfds. */
bool readable[3];

/* Who touched a slot last: its content is 4 * sequence + one of these, never 0. */
#define FILLED 1
#define DECODED 2
#define DURABLE 3
#define RELEASED 4
#define content(sequence, mark) (4 * (sequence) + mark)

/* The store buffers: one store of an atomic; and which slots a thread has written since its last store of a cursor. */
mtype = { NOTHING, POSITION, ENDED, IS_PARKED, CURSOR_RELEASED, FAILED_FLAG, SLOTS, FINISHED, FAILED, TIMED_OUT };
mtype buffered[3] = NOTHING;
byte bufferedValue[3];
byte writtenSlots[3];

/* What the run is about, unknown to the ring. */
bool broughtDown;  /* a stage has failed or left on purpose */
bool isDone[3];

inline toMemory(location, value) {
    if
    :: location == POSITION -> position[me] = value
    :: location == ENDED -> ended[me] = true
    :: location == IS_PARKED -> parked[me] = value
    :: location == CURSOR_RELEASED -> released = value
    :: location == FAILED_FLAG -> failed = true
    fi
}

proctype storeBuffer(byte me) {
end_idle:
    do
    :: d_step {
        buffered[me] != NOTHING ->
        toMemory(buffered[me], bufferedValue[me]);
        buffered[me] = NOTHING;
        bufferedValue[me] = 0
    }
    od
}

/* What a fence or a locked exchange waits for. */
#define isDrained(me) (buffered[me] == NOTHING)

inline storeRelaxed(location, value) {
    d_step { isDrained(me) -> buffered[me] = location; bufferedValue[me] = value }
}

inline storeReleasing(location, value) {
    d_step { isDrained(me) -> buffered[me] = location; bufferedValue[me] = value; writtenSlots[me] = 0 }
}

/* Into the buffer and on to memory before anything else: nobody can tell that from one step. */
inline storeWithFence(location, value) {
    d_step { isDrained(me) -> toMemory(location, value); writtenSlots[me] = 0 }
}

#define bit(index) (1 << (index))

/* Takes the slot of `sequence`, which must be as `expected` says and visible to us, and writes it. */
inline touch(sequence, expected, new) {
    assert(slot[(sequence) % CAPACITY] == (expected));
    assert((writtenSlots[(me + 1) % 3] & bit((sequence) % CAPACITY)) == 0);
    assert((writtenSlots[(me + 2) % 3] & bit((sequence) % CAPACITY)) == 0);
    slot[(sequence) % CAPACITY] = new;
    writtenSlots[me] = writtenSlots[me] | bit((sequence) % CAPACITY)
}

/* ---- ParkingSpot ---- (spin takes no label at the head of an inline, hence each `skip`) */

inline arm() {
    skip;
park:
#ifdef NO_FENCE_PARK
    storeReleasing(IS_PARKED, true);
#else
    storeWithFence(IS_PARKED, true);  /* P1 */
#endif
}

inline disarm() {
    skip;
unpark:
    storeWithFence(IS_PARKED, false)  /* P3, P6 */
}

inline sleepUntilReadable() {
    skip;
sleep:
    readable[me];  /* P4 */
drain_token:
    readable[me] = false  /* P5 */
}

inline wakeIfParked(spot) {
    skip;
see_parked:
    if
    :: parked[spot] ->  /* S2 */
#ifdef CLEAR_AFTER_SIGNAL
        readable[spot] = true;
        d_step { isDrained(me) -> parked[spot] = false }
#else
take_parked:
        d_step { isDrained(me) -> wasParked = parked[spot]; parked[spot] = false }  /* S3 */
        if
        :: wasParked ->
signal:
            readable[spot] = true;  /* S4 */
            wasParked = false
        :: else
        fi
#endif
    :: else
    fi
}

/* ---- RingControl ---- */

inline failRing() {
    skip;
fail:
#ifdef NO_FENCE_FAIL
    storeReleasing(FAILED_FLAG, true);
#else
    storeWithFence(FAILED_FLAG, true);  /* F1 */
#endif
#ifndef NO_WAKE_AT_FAIL
signal_any:
    readable[PRODUCER] = true;  /* F2 */
    readable[DECODER] = true;
    readable[COMMITTER] = true
#endif
}

#define seesFailed (failed || buffered[me] == FAILED_FLAG)

/* ---- RingStage ---- */

/* P2: `work` is NOTHING when there is nothing to do but sleep. */
inline look() {
    skip;
#ifdef WITH_FAILURE
look_failed:
    if
    :: seesFailed -> work = FAILED; assert(broughtDown)
    :: else ->
#endif
#ifdef POSITION_BEFORE_ENDED
        claimed = position[ahead];
        sawEnded = ended[ahead];
#else
look_ended:
        sawEnded = ended[ahead];
#endif
look_position:
        d_step {
#ifndef POSITION_BEFORE_ENDED
            claimed = position[ahead];
#endif
            if
            :: claimed != published -> work = SLOTS
            :: claimed == published && sawEnded -> work = FINISHED
            :: else -> work = NOTHING
            fi;
            sawEnded = false
        }
#ifdef WITH_FAILURE
    fi
#endif
}

/* Leaves what it has found in `work`. */
inline wait() {
    look();
    if
    :: work != NOTHING
#ifdef WITH_OTHER_WAKES
    :: work == NOTHING -> work = TIMED_OUT  /* 0 milliseconds */
#endif
    :: work == NOTHING ->
        do
        :: true ->
            arm();
#ifndef NO_PARK_RECHECK
            look();
#endif
            if
            :: work != NOTHING -> disarm(); break
            :: else ->
#ifdef DRAIN_AFTER_LOOK
                readable[me] = false;
#endif
                if
                :: true -> sleepUntilReadable()
#ifdef WITH_OTHER_WAKES
                :: true  /* a signal ended the sleep */
                :: true ->  /* the deadline */
                    disarm();
                    look();
                    if
                    :: work == NOTHING -> work = TIMED_OUT
                    :: else
                    fi;
                    break
#endif
                fi
            fi
        od
    fi
}

proctype stage(byte me) {
    byte ahead = me - 1;
    byte behind = (me + 1) % 3;
    byte published = 0;
    byte claimed = 0;
    byte count = 0;
    byte index = 0;
    mtype work = NOTHING;
    bool sawEnded = false;
    bool wasParked = false;
    do
    :: true ->
        wait();
        if
        :: work == SLOTS ->
            /* One part of what is claimed; what is left the next wait gives again. */
            atomic {
                work = NOTHING;
                select(count : 1 .. distance(published, claimed));
                for (index : 1 .. count) {
                    touch(published, content(published, me), content(published, me + 1));
                    published = after(published, 1)
                }
                index = 0;
                count = 0;
                claimed = 0;
publish_own:
#if defined(RELAXED_PUBLISH)
                storeRelaxed(POSITION, published);
#elif defined(NO_FENCE_PUBLISH)
                storeReleasing(POSITION, published);
#else
                storeWithFence(POSITION, published);  /* S1 */
#endif
            }
#ifndef NO_WAKE
            wakeIfParked(behind);
#endif
            if
            :: me == COMMITTER ->
progress_durable:
                skip
            :: else
            fi
#ifdef WITH_OTHER_WAKES
        :: work == TIMED_OUT -> work = NOTHING
#endif
        :: work == FINISHED || work == FAILED -> break
        fi
#ifdef WITH_FAILURE
    :: !broughtDown -> broughtDown = true; break  /* goes out of scope */
    :: !broughtDown -> broughtDown = true; failRing()
#endif
    od;
    work = NOTHING;
    claimed = 0;

    /* deinit */
scope_end_ended:
    sawEnded = ended[ahead];
    if
    :: sawEnded ->
scope_end_position:
        sawEnded = (position[ahead] == published)
    :: else
    fi;
#ifdef NO_FAIL_AT_SCOPE_END
    sawEnded = true;
#endif
    if
    :: sawEnded ->
        sawEnded = false;
close_own:
#ifdef NO_FENCE_CLOSE
        storeReleasing(ENDED, true);
#else
        storeWithFence(ENDED, true);  /* E1 */
#endif
#ifndef NO_WAKE_AT_CLOSE
        wakeIfParked(behind)
#endif
    :: else ->
        assert(broughtDown);
        failRing()
    fi;
    isDone[me] = true
}

/* ---- RingProducer ---- */

#ifdef NO_FULL_CHECK
#define FULL (CAPACITY + 1)
#else
#define FULL CAPACITY
#endif
#define used distance(releasedOwn, next)

inline lookDurable() {
    skip;
look_durable:
    seenDurable = position[COMMITTER]
}

proctype producer(byte me) {
    byte next = 0;
    byte releasedOwn = 0;
    byte seenDurable = 0;
    byte seen = 0;
    byte count = 0;
    byte index = 0;
    bool wasParked = false;
    do
    /* stage, and publish */
#ifdef WITH_GAUGE
    :: used < FULL && next + CAPACITY < SEQUENCES ->
#else
    :: used < FULL ->
#endif
        atomic {
            select(count : 1 .. FULL - used);
            for (index : 1 .. count) {
                touch(next, content(after(next, SEQUENCES - CAPACITY), RELEASED), content(next, FILLED));
                next = after(next, 1)
            }
            index = 0;
            count = 0;
publish_received:
#if defined(RELAXED_PUBLISH)
            storeRelaxed(POSITION, next);
#elif defined(NO_FENCE_PUBLISH)
            storeReleasing(POSITION, next);
#else
            storeWithFence(POSITION, next);  /* S1 */
#endif
        }
#ifndef NO_WAKE
        wakeIfParked(DECODER)
#endif

    /* release: frees at least one, since a visit that frees none changes nothing */
#ifdef NO_DURABLE_CHECK
    :: position[PRODUCER] != releasedOwn ->
#else
    :: position[COMMITTER] != releasedOwn ->
#endif
        atomic {
#ifdef NO_DURABLE_CHECK
            seenDurable = position[PRODUCER];
#else
            lookDurable();
#endif
            select(count : 1 .. distance(releasedOwn, seenDurable));
            for (index : 1 .. count) {
                touch(releasedOwn, content(releasedOwn, DURABLE), content(releasedOwn, RELEASED));
                releasedOwn = after(releasedOwn, 1)
            }
            index = 0;
            count = 0;
publish_released:
#ifdef WITH_GAUGE
            storeReleasing(CURSOR_RELEASED, releasedOwn)
#else
            skip  /* nobody else reads it */
#endif
        }

    /* park, sleep, drainWake */
#ifdef WITH_OTHER_WAKES
    :: releasedOwn == seenDurable ->
#else
    :: releasedOwn == seenDurable && used > 0 ->  /* an owner that sends nothing makes no progress */
#endif
        seen = seenDurable;
        arm();
#ifndef NO_PARK_RECHECK
look_failure:
        if
        :: seesFailed -> disarm(); break
        :: else -> lookDurable()  /* P2 */
        fi;
#endif
        if
        :: seenDurable != seen -> disarm()
        :: else ->
            if
            :: used > 0 -> sleepUntilReadable(); disarm()
#if defined(WITH_OTHER_WAKES) || defined(PROGRESS)
            :: true  /* another descriptor ended the sleep */
            :: true -> lookDurable()  /* and the owner has looked once more before it */
#endif
            fi
        fi;
        seen = 0

    :: seesFailed -> assert(broughtDown); break
    :: true -> break
    od;
    seen = 0;
    seenDurable = 0;
    isDone[me] = true;

    /* deinit; what is staged and not published stays unseen */
    if
    :: used < CAPACITY -> d_step { touch(next, content(after(next, SEQUENCES - CAPACITY), RELEASED), content(next, FILLED)) }
    :: true
    fi;
close_received:
#ifdef NO_FENCE_CLOSE
    storeReleasing(ENDED, true);
#else
    storeWithFence(ENDED, true);  /* E1 */
#endif
#ifndef NO_WAKE_AT_CLOSE
    wakeIfParked(DECODER)
#endif
}

/* ---- RingGauge ---- */

#ifdef WITH_GAUGE
proctype gauge() {
    byte low = 0;
    if
    :: true ->
gauge_durable:
        low = position[COMMITTER];
gauge_decoded:
        d_step { assert(low <= position[DECODER]); low = position[DECODER] }
gauge_received:
        assert(low <= position[PRODUCER])
    :: true ->
gauge_released:
        low = released;
        assert(low <= position[PRODUCER])
    fi
}
#endif

init {
    atomic {
        byte index;
        for (index : 0 .. CAPACITY - 1) {
            slot[index] = content(after(index, SEQUENCES - CAPACITY), RELEASED)
        }
        index = 0;
        run storeBuffer(PRODUCER);
        run storeBuffer(DECODER);
        run storeBuffer(COMMITTER);
        run producer(PRODUCER);
        run stage(DECODER);
        run stage(COMMITTER);
#ifdef WITH_GAUGE
        run gauge()
#endif
    }
    isDone[PRODUCER] && isDone[DECODER] && isDone[COMMITTER];
    isDrained(PRODUCER) && isDrained(DECODER) && isDrained(COMMITTER);
    assert(broughtDown || (position[PRODUCER] == position[DECODER] && position[DECODER] == position[COMMITTER]));
    assert(broughtDown || !failed)
}

/* Once the producer has finished, or anything has failed, every end ends. */
#ifdef LIVENESS
ltl everyone_ends { [] ((isDone[PRODUCER] || failed) -> <> (isDone[PRODUCER] && isDone[DECODER] && isDone[COMMITTER])) }
#endif
