import { setTimeout as delay } from 'node:timers/promises'
import type { TaskDetail } from '@tributary/contracts/tasks'
import { brokenInvariants } from '@tributary/functions/testing/check-invariants'
import { failpoints } from '@tributary/regional-node/log/failpoint'
import { createDemoTask } from '../../demo/run-task.ts'
import { ensureStartModel } from '../../demo/start-model.ts'
import type { ApiClient } from '../../platform/api-client.ts'
import { Draw } from '../explorer/draw.ts'
import { chaosDevices, startChaosFederation } from './chaos-federation.ts'
import { FaultTable } from './fault-table.ts'
import { judgeTask, lastSha256 } from './judge-task.ts'
import type { StoragePlan } from './storage-plan.ts'
import { strikesOn } from './strikes.ts'
import { weatherOf } from './weather.ts'

const taskSeconds = 400
/**
 * Every round waits for every device, longer than any fault lasts, and counts with all of them only: then bytes can be compared, and an
 * update that is lost shows.
 */
const deadlines = { selectionSeconds: 20, roundSeconds: 300 }
const everybody = { goal: chaosDevices, minimumToStart: chaosDevices, quorum: chaosDevices, overSelection: 1 }
const attempts = 10
const finalStates: readonly string[] = ['completed', 'failed', 'cancelled']
const died = 'node dies at'
/** One after the other. */
const strikesOfTask = 2
/** At the same time, each from some instant on. */
const spellsOfTask = 3
const spellsWithinMillis = 6000

export type ChaosOptions = {
  readonly seconds: number
  readonly seed: number
  readonly portBase: number
  readonly rounds: number
  /** Goes on past its time until each kind of fault came so often. */
  readonly least: Readonly<Record<string, number>>
}
export type ChaosResult = {
  readonly tasks: number
  readonly violations: readonly string[]
  readonly table: FaultTable
  readonly storage: StoragePlan
}

/**
 * Runs the same task again and again on real processes while faults drawn from a seed come upon them. When a fault meets which
 * instant is up to the machine: a seed repeats the draw, not the history.
 */
export const runChaos = async (
  { seconds, seed, portBase, rounds, least }: ChaosOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<ChaosResult> => {
  const draw = new Draw(seed)
  const table = new FaultTable()
  const violations: string[] = []
  let state = 'none'
  let armed = 0
  await using federation = await startChaosFederation(
    {
      portBase,
      rounds,
      nextFailpoint: () => {
        if (armed === 0) return null
        armed -= 1
        return `${draw.oneOf(failpoints)}:${draw.between(1, 2)}`
      },
      onFailpoint: failpoint => table.count(`${died} ${failpoint.split(':')[0]}`, state),
    },
    signal,
  )
  const { api, options, database, storage } = federation

  let ended = Promise.withResolvers<void>()
  const start = await ensureStartModel(api, options.model, options.seed)
  const example = await createDemoTask(api, options, start)
  const { settings } = await untilFinal(api, example.id, signal, () => {})
  const run = async (disturb: (task: string) => Promise<void>): Promise<TaskDetail> => {
    ended = Promise.withResolvers<void>()
    state = 'none'
    const cohort = settings.cohort as object
    const { id } = await api.call('createTask', {
      body: { ...settings, deadlines, attempts, cohort: { ...cohort, size: everybody } } as never,
    })
    const disturbing = disturb(id)
    // Whoever waits for it hears of it at once; here it is waited for below.
    disturbing.catch(() => {})
    try {
      return await untilFinal(api, id, signal, found => {
        state = found.history.at(-1)?.state ?? 'none'
      })
    } finally {
      armed = 0
      ended.resolve()
      await disturbing
    }
  }
  const undisturbed = await run(async () => {})
  const expected = lastSha256(undisturbed)
  tell(`undisturbed: ${undisturbed.state}, ${expected}`)
  if (undisturbed.state !== 'completed') violations.push(`the undisturbed task is ${undisturbed.state}`)

  const arm = (lives: number): void => {
    armed = lives
  }
  const strikes = strikesOn({ federation, draw, arm, taskEnded: () => ended.promise })
  const weather = weatherOf(federation, draw, () => ended.promise)
  const began = performance.now()
  const missing = (kinds: readonly string[]): readonly string[] =>
    kinds.filter(kind => table.total(kind) < (least[kind] ?? 0))
  /** Kinds that did not come often enough yet, then any. */
  const drawKinds = (kinds: readonly string[], wanted: readonly string[], count: number): readonly string[] => {
    let left = wanted
    return Array.from({ length: count }, () => {
      const drawn = draw.oneOf(left) ?? (draw.oneOf(kinds) as string)
      // Spells of one link come one after the other: the next is of another one.
      left = left.filter(kind => placeOf(kind) !== placeOf(drawn))
      return drawn
    })
  }
  let tasks = 0
  while (violations.length === 0 && !signal.aborted) {
    const [strikeKinds, spellKinds] = [Object.keys(strikes), Object.keys(weather)]
    const wanted = [...missing(strikeKinds), ...(missing([died]).length > 0 ? ['failpoints armed'] : [])]
    const wantedSpells = missing(spellKinds)
    if (performance.now() - began > seconds * 1000 && wanted.length + wantedSpells.length === 0) break
    tasks += 1
    const drawn = drawKinds(strikeKinds, wanted, strikesOfTask)
    const spells = drawKinds(spellKinds, wantedSpells, spellsOfTask)
    tell(`task ${tasks}: ${drawn.join(', ')}; meanwhile ${spells.join(', ')}`)
    const strikeAll = async (task: string): Promise<void> => {
      for (const kind of drawn) {
        await delay(draw.between(0, 1500))
        if (finalStates.includes(await stateOf(api, task))) return
        const met = state
        table.count(kind, met, (await strikes[kind]?.()) ?? 0)
      }
    }
    const passSpell = async (spell: string): Promise<void> => {
      await Promise.race([delay(draw.between(0, spellsWithinMillis)), ended.promise])
      const met = state
      table.count(spell, met, (await weather[spell]?.()) ?? 0)
    }
    const detail = await run(async task => {
      await Promise.all([strikeAll(task), ...spells.map(passSpell)])
    }).catch((error: Error) => error)
    if (detail instanceof Error) violations.push(`task ${tasks}: ${detail.message}`)
    else violations.push(...judgeTask(detail, expected))
    violations.push(...(await database.read(sql => brokenInvariants(sql))))
  }
  return { tasks, violations, table, storage }
}

const stateOf = (api: ApiClient, task: string): Promise<string> =>
  api.call('getTask', { params: { task } }).then(
    ({ state }) => state,
    () => 'unknown',
  )

/** Follows a task through whatever becomes of the API meanwhile. */
const untilFinal = async (
  api: ApiClient,
  task: string,
  signal: AbortSignal,
  seen: (detail: TaskDetail) => void,
): Promise<TaskDetail> => {
  const deadline = Date.now() + taskSeconds * 1000
  while (Date.now() < deadline) {
    signal.throwIfAborted()
    const detail = await api.call('getTask', { params: { task } }).catch(() => undefined)
    if (detail !== undefined) seen(detail)
    if (detail !== undefined && finalStates.includes(detail.state)) return detail
    await delay(100)
  }
  throw new Error(`task ${task} is not final after ${taskSeconds} s`)
}

/** `link to devices: cut` → `link to devices`. */
const placeOf = (kind: string): string => kind.replace(/:.*$/, '')
