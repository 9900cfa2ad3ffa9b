import { setTimeout as delay } from 'node:timers/promises'
import type { ApiClient } from './api-client.ts'

const pollMillis = 200
const deadlineMillis = 20_000

const countOnline = async (api: ApiClient, regions: ReadonlySet<string>): Promise<number> => {
  let online = 0
  for await (const { region, shards } of api.pages('listRegions')) {
    if (!regions.has(region)) continue
    for (const { devicesOnline, evaluatorsOnline } of shards) online += devicesOnline + evaluatorsOnline
  }
  return online
}

/**
 * Waits until so many devices are online in the regions, as central sees it: whom the first round selects must not depend on
 * who started fastest. Gives up quietly after 20 s, since a federation works with those who are there.
 * @returns how many are online
 */
export const untilOnline = async (
  api: ApiClient,
  regions: readonly string[],
  wanted: number,
  signal: AbortSignal,
): Promise<number> => {
  const deadline = Date.now() + deadlineMillis
  for (;;) {
    const online = await countOnline(api, new Set(regions))
    if (online >= wanted || Date.now() > deadline) return online
    await delay(pollMillis, undefined, { signal })
  }
}
