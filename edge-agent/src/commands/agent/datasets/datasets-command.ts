import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConfigError, loadConfig } from '../../../config.ts'
import { DataError } from '../../../data/data-error.ts'
import { Datasets } from '../../../data/datasets.ts'
import { describeTold } from '../../../data/describe-told.ts'
import { type ToldData, toldData } from '../../../data/told-data.ts'
import { closedShare } from '../../../policy/policy.ts'
import { PolicyFile } from '../../../policy/policy-file.ts'
import { AgentFileError } from '../../../settings/agent-file.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Shows what central is told about the data of this device, before it is sent, and what cannot be used and why.

  ${program} datasets [--state-dir folder] [--json]

Reads every data set whole. Exit codes: 0 all can be used, 1 some cannot.
`

/** The command `datasets`. Throws UsageError, CommandError. */
export const datasets = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output } = surroundings
  const given = readOptions(line, { 'state-dir': { type: 'string' }, json: { type: 'boolean' } })
  if (given.help) {
    output.out(usage)
    return 0
  }
  const stateDir = given['state-dir']
  const found = await look(
    stateDir === undefined ? environment : { ...environment, STATE_DIR: resolve(folder, stateDir) },
  )
  output.out(given.json ? `${JSON.stringify(found, null, 2)}\n` : describe(found))
  return found.faults.length === 0 ? 0 : 1
}

type Found = {
  readonly told: ToldData
  /** Names of those whose mean and variance go to tasks that find statistics. */
  readonly measured: readonly string[]
  readonly faults: readonly Fault[]
}

type Fault = { readonly name: string; readonly message: string }

const look = async (environment: Surroundings['environment']): Promise<Found> => {
  try {
    const {
      dataDir,
      stateDir,
      maxDatasetBytes: maxBytes,
      datasetCacheBytes: cacheBytes,
    } = await loadConfig(environment)
    await mkdir(stateDir, { recursive: true, mode: 0o700 })
    // A cache of its own: the agent may be at work in the other.
    const cacheDir = await mkdtemp(join(stateDir, 'datasets-'))
    try {
      const faults: Fault[] = []
      const data = await Datasets.open(dataDir, { maxBytes, cacheDir, cacheBytes })
      const found = await data.describe((name, { message }) => faults.push({ name, message }), { convert: 'all' })
      const state = await new PolicyFile(dataDir).read()
      const share = 'policy' in state ? state.policy.share : closedShare
      const trained = found.filter(({ name, heldOut }) => !heldOut && data.isFederated(name)).map(({ name }) => name)
      return { told: toldData(found, share), measured: share.statistics ? trained : [], faults }
    } finally {
      await rm(cacheDir, { recursive: true, force: true })
    }
  } catch (error) {
    const known = [ConfigError, AgentFileError, DataError].some(kind => error instanceof kind)
    throw known ? new CommandError((error as Error).message, { cause: error }) : error
  }
}

const describe = ({ told: { datasets: told, descriptions }, measured, faults }: Found): string => {
  const byName = new Map(descriptions.map(description => [description.name, description]))
  const lines = told.flatMap(({ name, heldOut, examples }) => [
    `${name}: ${examples} examples${heldOut ? ', held out: evaluated on, never trained on' : ''}`,
    ...describeTold(byName.get(name) ?? {}).map(line => `  ${line}`),
    ...(measured.includes(name) ? ['  to tasks that find statistics: scale, mean and variance of each feature'] : []),
  ])
  const head =
    told.length === 0 ? 'Central is told of no data set.' : 'Central is told this, and nothing else, of the data:'
  const wrong = faults.map(({ name, message }) => `  ${name}: ${message}`)
  return `${[head, ...lines.map(line => `  ${line}`), ...(wrong.length > 0 ? ['', 'Cannot be used:', ...wrong] : [])].join('\n')}\n`
}
