import { randomUUID } from 'node:crypto'
import type { AsyncInvocations } from './async-invocations.ts'
import type { FunctionPool } from './function-pool.ts'
import { account } from './instance-environment.ts'

/** Sends an EventBridge scheduled event to the function every `everySeconds`, the first one that long after the start. */
export function startSchedule(
  pool: FunctionPool,
  everySeconds: number,
  events: AsyncInvocations,
  region: string,
): Disposable {
  const timer = setInterval(() => {
    events.accept(pool, Buffer.from(JSON.stringify(scheduledEvent(pool.spec.name, region, new Date()))))
  }, everySeconds * 1000)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-scheduled-events.html */
function scheduledEvent(name: string, region: string, now: Date) {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account,
    time: now.toISOString().replace(/\.\d+Z$/, 'Z'),
    region,
    resources: [`arn:aws:events:${region}:${account}:rule/${name}`],
    detail: {},
  }
}
