/**
 * Shards of one command: with the longest names a message of so many stays below the 64 KiB that a node takes
 * (`amqpLimits.maxMessageBytes`).
 */
const mostShards = 256

/** Each region's shards, in as many commands as they need; nodes put them together, in any order. */
export function* shardBatches<Shard extends { readonly region: string }>(
  shards: readonly Shard[],
): Generator<readonly [region: string, batch: Shard[]]> {
  for (const [region, own] of Map.groupBy(shards, shard => shard.region)) {
    for (let at = 0; at < own.length; at += mostShards) yield [region, own.slice(at, at + mostShards)]
  }
}
