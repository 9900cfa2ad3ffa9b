/** What the functions measure. `docs/metrics.md` is generated from this table. */
export type Metric = {
  /** How it adds up: a sum, the last value, or a distribution. */
  readonly kind: 'counter' | 'gauge' | 'histogram'
  /** Unit of CloudWatch. */
  readonly unit: 'Count' | 'Milliseconds' | 'Seconds' | 'Bytes' | 'Megabytes/Second'
  /** Names of its dimensions (labels), in their order. Each has few values. */
  readonly dimensions: readonly string[]
  readonly text: string
}

export const metricNamespace = 'Tributary'

export const metrics = {
  Requests: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['function', 'route', 'status'],
    text: 'Requests by the operation of the API (`none`: no such route) and the HTTP status of the answer.',
  },
  RequestDuration: {
    kind: 'histogram',
    unit: 'Milliseconds',
    dimensions: ['function', 'route'],
    text: 'From the event to the answer, inside the function.',
  },
  RateLimited: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['function'],
    text: 'Requests that were refused with 429.',
  },
  ColdStarts: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['function'],
    text: 'First invocations of an instance.',
  },
  Invocations: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['function', 'outcome'],
    text: 'Invocations of a function that serves no API: `done` or `failed`.',
  },
  InvocationDuration: {
    kind: 'histogram',
    unit: 'Milliseconds',
    dimensions: ['function'],
    text: 'How long those took.',
  },
  RoundsCommitted: {
    kind: 'counter',
    unit: 'Count',
    dimensions: [],
    text: 'Rounds that gave a new version.',
  },
  RoundsAbandoned: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['reason'],
    text: 'Attempts that gave none, by the code of the reason.',
  },
  TasksEnded: {
    kind: 'counter',
    unit: 'Count',
    dimensions: ['state'],
    text: 'Tasks that came to an end: `completed`, `failed`, `cancelled`.',
  },
  MergeDuration: {
    kind: 'histogram',
    unit: 'Milliseconds',
    dimensions: [],
    text: 'A merge from its start to its commit.',
  },
  MergeThroughput: {
    kind: 'histogram',
    unit: 'Megabytes/Second',
    dimensions: [],
    text: 'Bytes of the new version by the time of its merge.',
  },
  MessagesSent: {
    kind: 'counter',
    unit: 'Count',
    dimensions: [],
    text: 'Messages of the outbox that the broker confirmed.',
  },
  OutboxLag: {
    kind: 'gauge',
    unit: 'Seconds',
    dimensions: [],
    text: 'Age of the oldest message that waits in the outbox when the relay or the sweep begins; 0: none waits.',
  },
  DueWork: {
    kind: 'counter',
    unit: 'Count',
    dimensions: [],
    text: 'Items of due work that a sweep found: what no status call had done before.',
  },
} as const satisfies Record<string, Metric>

export type MetricName = keyof typeof metrics

const suffixes: Readonly<Record<Metric['unit'], string>> = {
  Count: '',
  Milliseconds: '_seconds',
  Seconds: '_seconds',
  Bytes: '_bytes',
  'Megabytes/Second': '_megabytes_per_second',
}

/** A metric's name where it is read as Prometheus text; durations are in seconds there. */
export const prometheusName = (name: MetricName): string => {
  const { unit, kind }: Metric = metrics[name]
  const words = name.replaceAll(/(?<!^)[A-Z]/g, letter => `_${letter}`).toLowerCase()
  return `tributary_${words}${suffixes[unit]}${kind === 'counter' ? '_total' : ''}`
}
