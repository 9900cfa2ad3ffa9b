import type { apiFunctions } from './routes/route.ts'

/** What invokes a function. */
export type FunctionTrigger =
  /** HTTP API (payload format 2.0): the routes of the route table that name the function. */
  | { readonly kind: 'http' }
  /** RabbitMQ event source mapping. */
  | { readonly kind: 'queue'; readonly queue: 'central.events'; readonly batchSize: number }
  /** Lambda Invoke API only. */
  | { readonly kind: 'invoke' }
  /** A schedule, also open to Invoke. */
  | { readonly kind: 'schedule'; readonly everySeconds: number }

/** One Lambda function as it is deployed, in the cloud and on one machine alike. */
export type FunctionSpec = {
  readonly name: string
  /** Entry below `functions/src`, bundled to `functions/dist/<name>/index.mjs` with export `handler`. */
  readonly entry: string
  readonly memoryMegabytes: number
  readonly timeoutSeconds: number
  /** Most instances at once. */
  readonly concurrency: number
  readonly trigger: FunctionTrigger
}

const api = (name: (typeof apiFunctions)[number], concurrency: number): FunctionSpec => ({
  name,
  entry: `${name}/${name}.lambda.ts`,
  memoryMegabytes: 512,
  timeoutSeconds: 15,
  concurrency,
  trigger: { kind: 'http' },
})

export const functionSpecs: readonly FunctionSpec[] = [
  api('tasks', 4),
  // Apart from the tasks, since a live tail holds an instance for as long as it waits.
  api('logs', 8),
  api('models', 2),
  api('fleet', 2),
  api('deployments', 2),
  api('regional-nodes', 4),
  api('platform', 2),
  api('health', 1),
  {
    name: 'events',
    entry: 'events/events.lambda.ts',
    memoryMegabytes: 512,
    timeoutSeconds: 30,
    // The RabbitMQ event source has concurrency 1.
    concurrency: 1,
    trigger: { kind: 'queue', queue: 'central.events', batchSize: 20 },
  },
  {
    name: 'relay',
    entry: 'relay/relay.lambda.ts',
    memoryMegabytes: 256,
    timeoutSeconds: 30,
    concurrency: 2,
    trigger: { kind: 'invoke' },
  },
  {
    name: 'merge',
    entry: 'merge/merge.lambda.ts',
    memoryMegabytes: 512,
    timeoutSeconds: 900,
    concurrency: 4,
    trigger: { kind: 'invoke' },
  },
  {
    // Checks, exports and comparisons of large versions.
    name: 'version-jobs',
    entry: 'models/version-jobs.lambda.ts',
    memoryMegabytes: 512,
    timeoutSeconds: 900,
    concurrency: 2,
    trigger: { kind: 'invoke' },
  },
  {
    name: 'migrate',
    entry: 'migrations/migrate.lambda.ts',
    memoryMegabytes: 256,
    timeoutSeconds: 300,
    concurrency: 1,
    trigger: { kind: 'invoke' },
  },
  {
    name: 'sweep',
    entry: 'sweep/sweep.lambda.ts',
    memoryMegabytes: 256,
    timeoutSeconds: 60,
    concurrency: 1,
    // EventBridge has no finer rate; while a task is live, a run looks every 10 s until the next is near.
    trigger: { kind: 'schedule', everySeconds: 60 },
  },
]
