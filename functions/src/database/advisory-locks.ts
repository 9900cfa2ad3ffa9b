/** Keys of Postgres's advisory locks, which one database shares over all that it holds. */
export const advisoryLocks = {
  /** One process migrates at a time. */
  migrations: 7_227_000,
  /** The audit chain has one end. */
  auditChain: 7_227_001,
  /** Changes of devices take turns; taken by the trigger `place_in_directory`. */
  deviceDirectory: 7_227_002,
  /** One relay publishes at a time. */
  relay: 7_227_003,
  /** Log entries become visible in the order of their numbers; taken by the trigger `log_in_order`. */
  logOrder: 7_227_004,
  /** Deployments begin one after another, so that none is counted too late. */
  deploymentRoom: 7_227_005,
} as const
