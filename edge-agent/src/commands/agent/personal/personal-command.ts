import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { readBookPage } from '../../../deployments/deployment-book-file.ts'
import { writeForgetRequest } from '../../../deployments/personal/forget-request.ts'
import { readOwnWishes, writeOwnWishes } from '../../../deployments/personal/own-wishes.ts'
import { stateFolderOf } from '../../../settings/state-folder.ts'
import { LocalTensors, localTensorsFolder } from '../../../state/local-tensors.ts'
import { readLiveStatus } from '../../../status/read-live-status.ts'
import { table } from '../../output.ts'
import { UsageError } from '../../usage-error.ts'
import type { Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Shows what this device keeps for itself: its own values of tensors that tasks keep local, and deployed
versions that were fitted to it. None of it ever leaves the device; all of it can be forgotten.

  ${program} personal [--state-dir folder] [--json]
  ${program} personal --forget-task id | --forget-model name | --forget-all

  --forget-task id      the device's own values of a task; its next round begins without
  --forget-model name   what was fitted of a model; it is served as it was released. A later version is fitted again where a
                        deployment asks for it ("personalise": false in policy.json: never)
  --forget-all          both, of everything
  --json                one JSON object: { tasks, models }
`

type Kept = Awaited<ReturnType<typeof readKept>>

/** The command `personal`. Throws UsageError. */
export const personal = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output } = surroundings
  const given = readOptions(line, {
    'state-dir': { type: 'string' },
    'forget-task': { type: 'string' },
    'forget-model': { type: 'string' },
    'forget-all': { type: 'boolean' },
    json: { type: 'boolean' },
  })
  if (given.help) {
    output.out(usage)
    return 0
  }
  const stateDir = resolve(folder, given['state-dir'] ?? stateFolderOf(environment))
  const wishes = [given['forget-task'], given['forget-model'], given['forget-all']].filter(wish => wish !== undefined)
  if (wishes.length > 1) throw new UsageError('--forget-task, --forget-model and --forget-all: give one of them')
  const kept = await readKept(stateDir)
  if (wishes.length === 0) {
    output.out(given.json ? `${JSON.stringify(kept, null, 2)}\n` : describe(kept))
    return 0
  }
  const isAll = given['forget-all'] === true
  const gone: string[] = []
  const task = given['forget-task']
  if (task !== undefined || isAll) gone.push(...(await forgetTasks(stateDir, task)))
  const model = given['forget-model']
  if (model !== undefined || isAll) gone.push(...(await forgetModels(stateDir, kept, model)))
  output.out(gone.length === 0 ? 'There was nothing to forget.\n' : `Forgotten: ${gone.join(', ')}.\n`)
  return 0
}

/** What is kept, without values. */
const readKept = async (stateDir: string) => {
  const page = await readBookPage(join(stateDir, 'deployments'))
  const records = new Map(page?.personal.map(record => [record.deployment, record]))
  const versions = [...(page?.serving ?? []), ...(page?.former ?? [])]
  return {
    tasks: await LocalTensors.at(localTensorsFolder(stateDir)).summaries(),
    models: versions.flatMap(({ deployment, modelName, versionNumber }) => {
      const record = records.get(deployment)
      if (record === undefined) return []
      return [{ deployment, model: modelName, version: versionNumber, weights: record.weights, ...record.result }]
    }),
  }
}

const forgetTasks = async (stateDir: string, task: string | undefined): Promise<string[]> =>
  (await LocalTensors.at(localTensorsFolder(stateDir)).forget(task)).map(id => `own values of task ${id}`)

/** The agent, which knows what is in service, does it; where none runs, at its start, and the files go at once. */
const forgetModels = async (stateDir: string, { models }: Kept, name: string | undefined): Promise<string[]> => {
  const chosen = models.filter(({ model, weights }) => weights !== undefined && (name === undefined || model === name))
  if (chosen.length === 0) return []
  const folder = join(stateDir, 'deployments')
  const wishes = new Map(await readOwnWishes(folder))
  if (chosen.filter(({ model }) => wishes.delete(model)).length > 0) await writeOwnWishes(folder, wishes)
  await writeForgetRequest(
    folder,
    chosen.map(({ deployment }) => deployment),
  )
  const running = await readLiveStatus(stateDir).catch(() => undefined)
  if (running === undefined)
    for (const { weights } of chosen)
      await rm(join(folder, 'objects', (weights as { sha256: string }).sha256), { force: true })
  return chosen.map(({ model, version }) => `what was fitted of ${model} version ${version}`)
}

const describe = ({ tasks, models }: Kept): string => {
  if (tasks.length + models.length === 0) return 'This device keeps nothing of its own.\n'
  const own = tasks.map(({ task, rounds, bytes }) => ['task', task, `round ${rounds.join(', ')}`, `${bytes} bytes`])
  const fitted = models.map(({ model, version, outcome, code, metrics }) => [
    'model',
    `${model} version ${version}`,
    code === undefined ? outcome : `${outcome}: ${code}`,
    metrics === undefined
      ? ''
      : `loss ${metrics.before.loss.toFixed(4)} → ${metrics.after.loss.toFixed(4)} on ${metrics.examples} held out`,
  ])
  return table([...own, ...fitted])
}
