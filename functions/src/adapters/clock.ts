/** The time of this machine; leases and deadlines use the database's. */
export type Clock = { now(): Date }

export const systemClock: Clock = { now: () => new Date() }
