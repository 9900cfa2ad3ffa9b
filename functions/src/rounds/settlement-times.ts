/*
 * Every attempt settles by its deadline D plus 90 s (DESIGN I8), also where no node is alive and the sweep alone looks:
 * what is due is then found up to `latenessSeconds` late.
 *
 *   D + 15          shards that have not reported are left out: abandoned, or closed with a merge started, by D + 30
 *   + 30 + 15       a merge that died is found silent 45 s after its last sign of life at the latest
 *   until D + 45    it is started again, and found silent by D + 90 should it die as well; later it is given up at once
 *
 * A merge that goes on saying that it lives is let finish, within the time of its function: giving it up would throw away
 * a round that is being written.
 */

/** Shards have so long after the deadline to write their sum and say so. */
export const shardGraceSeconds = 15
/** A merge says that it lives by moving `merge_started_at`, every 8 s; silent for so long, it is dead. */
export const mergeSilenceSeconds = 30
/** Until so long after the deadline a dead merge is started again. */
export const mergeGraceSeconds = 45
/** Most that passes between the moment at which something is due and the sweep's next look. */
export const latenessSeconds = 15
