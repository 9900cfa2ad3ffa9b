import * as z from 'zod'

const megabyte = 1_000_000

/** A name or an id, where `*` stands for any characters. */
const Pattern = z.string().min(1).max(128)

/** Which names are taken: those that fit `allow` (absent: all) and nothing of `deny`. */
const Names = z
  .strictObject({ allow: z.array(Pattern).max(256).optional(), deny: z.array(Pattern).max(256).default([]) })
  .default({ deny: [] })
export type Names = z.output<typeof Names>

const Time = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'not HH:MM')
export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const

/** From `from` until before `to`; one that ends before it begins ends the next day, and belongs to the day it begins on. */
const Window = z.strictObject({
  days: z
    .array(z.enum(weekdays))
    .min(1)
    .max(7)
    .default([...weekdays]),
  from: Time,
  to: Time,
})
export type Window = z.output<typeof Window>

const isTimeZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions()
    return true
  } catch {
    return false
  }
}

const Hours = z.strictObject({
  timeZone: z.string().max(64).refine(isTimeZone, 'no time zone, e.g. "Europe/Berlin"').optional(),
  windows: z.array(Window).min(1).max(64),
})

const bytesADay = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional()

/** `policy.json`, by which the owner of the device rules what it does. What is absent is allowed. docs/agent-policy.md */
export const Policy = z.strictObject({
  tasks: Names,
  models: Names,
  datasets: Names,
  /** Of Python trainers; the ONNX trainer of the agent itself is `built-in`. */
  trainers: Names,
  frameworks: Names,
  /** Whom a task asks for; a task that asks for every device has none. */
  groups: Names,
  /** Whether deployed versions are fitted to this device where a deployment asks for it. */
  personalise: z.boolean().default(true),
  /** Times of work; absent: always. */
  hours: Hours.optional(),
  onBattery: z.boolean().default(true),
  onMeteredNetwork: z.boolean().default(true),
  /** Most of the processors, as a share, that others may keep busy for work to go on. */
  mostLoad: z.number().min(0).max(1000).optional(),
  /** Bytes of models and updates in a day of this device's calendar. */
  bytesADay: z.strictObject({ down: bytesADay, up: bytesADay }).default({}),
  cpu: z
    .strictObject({
      /** How much training gives way to everything else, as nice(1). */
      nice: z.int().min(0).max(19).default(0),
      /** Most threads of a Python trainer; the ONNX trainer has one. */
      threads: z.int().min(1).max(1024).optional(),
    })
    .default({ nice: 0 }),
  /** Most memory of a process that trains, in megabytes. */
  memoryMegabytes: z
    .int()
    .min(64)
    .max(2 ** 24)
    .optional(),
  /** Versions that are deployed to the device and served here; the rules for work do not hold for them. */
  deployments: z
    .strictObject({
      models: Names,
      /** Whom a deployment is for; one for every device has none. */
      groups: Names,
      /** Times at which versions are pulled and served; absent: always. */
      hours: Hours.optional(),
      /** Of the files of all versions together, in megabytes. */
      diskMegabytes: z
        .int()
        .min(0)
        .max(2 ** 24)
        .optional(),
    })
    .prefault({}),
  /** What may leave the device beside what was learnt. */
  share: z
    .strictObject({
      /** Metrics of training; and evaluation, which is nothing else. */
      metrics: z.boolean().default(true),
      /** Why work failed, beyond a code: messages, and the end of a trainer's log. */
      logs: z.boolean().default(true),
      /** Of columns and classes, where `datasets.json` tells them. */
      names: z.boolean().default(true),
      /** Where `datasets.json` tells them. */
      labelHistograms: z.boolean().default(true),
      /** Mean and variance of features, where `datasets.json` has a data set normalised by those of all devices. */
      statistics: z.boolean().default(true),
    })
    .default({ metrics: true, logs: true, names: true, labelHistograms: true, statistics: true }),
})
export type Policy = z.output<typeof Policy>

/** What holds where the owner wrote nothing. */
export const openPolicy: Policy = Policy.parse({})
/** What may leave the device while nobody knows what the owner wants. */
export const closedShare: Policy['share'] = {
  metrics: false,
  logs: false,
  names: false,
  labelHistograms: false,
  statistics: false,
}

/** What a process that trains may take. */
export type TrainingLimits = {
  readonly nice: number
  readonly threads: number | undefined
  readonly memoryBytes: number | undefined
}

export const limitsOf = ({ cpu, memoryMegabytes }: Policy): TrainingLimits => ({
  nice: cpu.nice,
  threads: cpu.threads,
  memoryBytes: memoryMegabytes === undefined ? undefined : memoryMegabytes * megabyte,
})
